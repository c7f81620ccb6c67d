/**
 * Shows e-cash whole, on both interfaces: the kernels and the readings against the virtual card,
 * money counted in its purse, a card taken away at every command, and the judgement of torn taps.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { TapError, toHex } from '../../bytes/index.ts';
import { decodeResponse, decodeTlv, encodeCommand, flattenTlv } from '../../iso7816/index.ts';
import { imageOf, RANDOM } from '../icc/icc.test-kit.ts';
import { createVirtualIcc, type IccInterface, type VirtualIcc } from '../icc/index.ts';
import { SAMPLE_TERMINAL } from '../icc/sample-terminal.test-kit.ts';
import {
  type CardReading,
  contactlessTransaction,
  contactTransaction,
  driveKernel,
  judgeTornTap,
  type Kernel,
  type KernelDriver,
  type KernelOutcome,
  type OfflineApproval,
  readElectronicCashBalance,
  readTransactionLog,
} from './index.ts';

/** 100.00 in the purse, at most 50.00 a payment, asked online below 10.00. */
const CASH = {
  balanceMinor: '10000',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};

const IMAGE = imageOf({ request: { electronicCash: CASH } });
const purseCard = (by: IccInterface, electronicCash: object = CASH): VirtualIcc =>
  createVirtualIcc({
    image:
      electronicCash === CASH
        ? IMAGE
        : imageOf({ request: { electronicCash: { ...electronicCash } } }),
    ciphers: nodeCiphers,
    random: RANDOM,
    interface: by,
  });

type Paid = { readonly outcome: KernelOutcome; readonly stored: readonly OfflineApproval[] };

/** The card in a driver; taken away when it is to answer this command, before or after it did. */
function driverOf(
  card: VirtualIcc,
  torn?: { readonly index: number; readonly when: 'before' | 'after' },
): KernelDriver & { readonly stored: OfflineApproval[]; readonly requests: { count: number } } {
  let index = 0;
  const stored: OfflineApproval[] = [];
  const requests = { count: 0 };
  const gone = (when: 'before' | 'after'): void => {
    if (torn?.index === index && torn.when === when) {
      throw new TapError('ERR_CARD_REMOVED', 'gone');
    }
  };
  return {
    stored,
    requests,
    transmit: (command) => {
      gone('before');
      const answer = card.transmit(encodeCommand(command));
      gone('after');
      index += 1;
      return decodeResponse(answer);
    },
    random: (lengthBytes) => new Uint8Array(lengthBytes).fill(0x33),
    selectApplication: () => 0,
    enterPin: () => 'entered',
    authorise: () => {
      requests.count += 1;
      return { result: 'answered', responseCode: '51', scripts: [] };
    },
    storeOfflineApproval: (approval) => void stored.push(approval),
  };
}

async function pay(
  card: VirtualIcc,
  by: IccInterface,
  how: { amountMinor?: bigint; driver?: ReturnType<typeof driverOf> } = {},
): Promise<Paid & { requests: number }> {
  card.reset();
  const input = {
    ciphers: nodeCiphers,
    terminal: SAMPLE_TERMINAL,
    amountMinor: how.amountMinor ?? 1234n,
    otherAmountMinor: 0n,
    transactionType: 0x00,
    dateYymmdd: '260701',
    timeHhmmss: '101112',
    sequenceCounter: 1,
    merchant: { nameAndLocation: 'TEST SHOP' },
  };
  const kernel: Kernel<KernelOutcome> =
    by === 'contact' ? contactTransaction(input) : contactlessTransaction(input);
  const driver = how.driver ?? driverOf(card);
  const outcome = await driveKernel(kernel, driver);
  return { outcome, stored: driver.stored, requests: driver.requests.count };
}

async function look<Value>(
  card: VirtualIcc,
  by: IccInterface,
  reader: (reading: CardReading) => Kernel<Value>,
): Promise<Value> {
  card.reset();
  const reading = { ciphers: nodeCiphers, terminal: SAMPLE_TERMINAL, interface: by };
  return await driveKernel(reader(reading), driverOf(card));
}

async function balanceOf(card: VirtualIcc, by: IccInterface): Promise<bigint> {
  const read = await look(card, by, readElectronicCashBalance);
  assert.ok(read.result === 'read');
  return read.purses[0]?.balanceMinor ?? -1n;
}

for (const by of ['contact', 'contactless'] as const) {
  test(`${by}: the purse pays, keeps a log entry, and holds the amount less`, async () => {
    const card = purseCard(by);
    const { outcome, stored, requests } = await pay(card, by);
    assert.deepEqual([outcome.outcome, outcome.reason], ['approved', 'card:TC']);
    assert.equal(requests, 0);
    assert.equal(stored[0]?.kind, 'electronicCash');
    const field55 = flattenTlv(decodeTlv(stored[0]?.field55 ?? new Uint8Array(0)));
    assert.equal(field55.get('9F74')?.length, 6);
    assert.equal(toHex(field55.get('9F27') ?? new Uint8Array(0)), '40');
    assert.deepEqual(outcome.electronicCash, {
      isUsed: true,
      balanceMinor: 10_000n,
      balanceAfterMinor: 8766n,
      currency: '156',
    });
    assert.equal(await balanceOf(card, by), 8766n, 'and the card agrees');
    const log = await look(card, by, readTransactionLog);
    assert.ok(log.result === 'read');
    const [newest] = log.entries;
    assert.equal(newest?.amountMinor, 1234n);
    assert.equal(newest?.applicationTransactionCounter, stored[0]?.applicationTransactionCounter);
  });

  test(`${by}: over the single limit the card goes online and the purse keeps its money`, async () => {
    const card = purseCard(by);
    const { outcome, stored, requests } = await pay(card, by, { amountMinor: 5001n });
    assert.equal(outcome.reason, 'issuer:51');
    assert.equal(requests, 1);
    assert.equal(stored.length, 0);
    assert.equal(await balanceOf(card, by), 10_000n);
    const exact = await pay(card, by, { amountMinor: 5000n });
    assert.equal(exact.outcome.reason, 'card:TC');
    assert.equal(await balanceOf(card, by), 5000n);
  });

  test(`${by}: a reading pays nothing and counts nothing`, async () => {
    const card = purseCard(by);
    const before = JSON.stringify(card.image().applications[0]?.state);
    assert.equal(await balanceOf(card, by), 10_000n);
    await look(card, by, readTransactionLog);
    assert.equal(JSON.stringify(card.image().applications[0]?.state), before);
  });

  test(`${by}: taken away at any command, money that left the purse is never denied`, async () => {
    let isTorn = false;
    for (const when of ['before', 'after'] as const) {
      for (let index = 0; index < 40; index++) {
        const card = purseCard(by);
        const driver = driverOf(card, { index, when });
        const said = await pay(card, by, { driver }).then(
          ({ outcome }) => outcome,
          () => null,
        );
        const isDebited = (await balanceOf(card, by)) !== 10_000n;
        const word = said === null ? 'thrown' : said.outcome;
        const where = `${when} ${index}: ${word}, debited ${isDebited}`;
        if (word === 'approved') {
          assert.ok(isDebited, where);
          assert.equal(driver.stored.length, 1);
          break;
        }
        assert.ok(!isDebited || word === 'unknown', where);
        assert.equal(driver.stored.length, 0, where);
        if (word !== 'unknown' || said === null) continue;
        isTorn = true;
        if (!('second' in said) || by === 'contact') continue;
        const log = await look(card, by, readTransactionLog);
        const entries = log.result === 'read' ? log.entries : [];
        const evidence = { entries, balanceMinor: await balanceOf(card, by) };
        const verdict = judgeTornTap(said as Parameters<typeof judgeTornTap>[0], evidence);
        assert.equal(verdict, isDebited ? 'paid' : 'notPaid', where);
      }
    }
    assert.ok(isTorn, 'the moment was found');
  });
}

test('contact: below the threshold the issuer is asked, with the PIN', async () => {
  const card = purseCard('contact', { ...CASH, balanceMinor: '2233' });
  const { outcome, requests } = await pay(card, 'contact');
  assert.equal(outcome.reason, 'issuer:51');
  assert.equal(requests, 1);
  assert.equal(toHex(outcome.cvmResults), '020000');
  assert.equal(outcome.electronicCash?.isUsed, true);
});

test('a second purse pays in its own currency', async () => {
  const second = { ...CASH, currencyCode: '0156', balanceLimitMinor: '100000' };
  const cash = { ...CASH, currencyCode: '0344', second };
  for (const by of ['contact', 'contactless'] as const) {
    const card = purseCard(by, cash);
    const { outcome } = await pay(card, by);
    assert.equal(outcome.reason, 'card:TC', by);
    assert.equal(outcome.electronicCash?.balanceAfterMinor, 8766n);
    const read = await look(card, by, readElectronicCashBalance);
    assert.ok(read.result === 'read');
    assert.deepEqual(
      read.purses.map(({ currency, balanceMinor }) => [currency, balanceMinor]),
      [
        ['344', 10_000n],
        ['156', 8766n],
      ],
    );
  }
});
