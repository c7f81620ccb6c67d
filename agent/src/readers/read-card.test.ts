/** A reading tells all that a card shows, pays nothing, and asks a tap for no cryptogram unasked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import { ICC_ATR_T0 } from '@tapnpay/protocol/emv/data';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { imageOf } from '../../../protocol/src/emv/icc/icc.test-kit.ts';
import { nodeCiphers, systemRandom } from '../system.ts';
import { type CardRead, readBalance, readCard, readLogs, virtualReader } from './index.ts';

const CASH = {
  balanceMinor: '12345',
  singleTransactionLimitMinor: '5000',
  resetThresholdMinor: '1000',
};
const IMAGE = imageOf({ request: { electronicCash: CASH } });
const RANDOM: RandomSource = { bytes: (length) => new Uint8Array(length).fill(0x5a) };

type Read = {
  readonly read: CardRead;
  /** CLA INS of what was sent. */
  readonly sent: readonly string[];
  readonly wires: readonly string[];
};
async function readThe(
  image: typeof IMAGE,
  by: CardInterface,
  consent: 'given' | 'none',
): Promise<Read> {
  const reader = virtualReader({
    image,
    interface: by,
    ciphers: nodeCiphers,
    random: systemRandom,
  });
  const session = await reader.connect();
  const wires: string[] = [];
  const card = {
    transmit: (command: Uint8Array) => {
      wires.push(toHex(command));
      return session.transmit(command);
    },
  };
  const options = { interface: by, consent, random: RANDOM, dateYymmdd: '260701' };
  const read = await readCard(card, options);
  return { read, wires, sent: [...new Set(wires.map((wire) => wire.slice(0, 4)))] };
}

test('contact: directory, application, options, records, data, log; no VERIFY, no GENERATE AC', async () => {
  const { read, sent } = await readThe(IMAGE, 'contact', 'none');
  const [application] = read.applications;
  assert.deepEqual([read.directory, read.isConsentWanted], ['PSE', false]);
  assert.deepEqual(
    [application?.aid, application?.selected, application?.options],
    ['A000000333010101', '9000', '9000'],
  );
  assert.ok((application?.records ?? 0) > 3);
  assert.deepEqual(sent.toSorted(), ['00A4', '00B2', '80A8', '80CA']);
});

test('a card without directory is asked for the known names', async () => {
  const { read } = await readThe({ ...IMAGE, pse: null }, 'contact', 'none');
  assert.equal(read.directory, 'none');
  assert.deepEqual(
    read.applications.map(({ aid }) => aid),
    ['A000000333010101'],
  );
});

test('contactless without consent: SELECT and nothing else', async () => {
  const { read, sent } = await readThe(IMAGE, 'contactless', 'none');
  assert.deepEqual([read.directory, read.isConsentWanted], ['PPSE', true]);
  assert.deepEqual(sent, ['00A4']);
  assert.equal(read.applications[0]?.options, null);
});

test('contactless with consent: amount 0, 9F7A 0, online cryptogram required', async () => {
  const { read, wires, sent } = await readThe(IMAGE, 'contactless', 'given');
  assert.equal(read.applications[0]?.options, '9000');
  const gpo = wires.find((wire) => wire.startsWith('80A8')) ?? '';
  assert.match(gpo, /^80A80000..83..36800080000000000000000000000000/);
  assert.deepEqual(
    sent.filter((header) => ['0020', '80AE'].includes(header)),
    [],
  );
  assert.equal(read.isConsentWanted, false);
});

test('T=0: 61xx is fetched and 6Cxx is asked again', async () => {
  const { read, sent } = await readThe({ ...IMAGE, atr: ICC_ATR_T0 }, 'contact', 'none');
  assert.equal(read.applications[0]?.options, '9000');
  assert.ok(sent.includes('00C0'));
});

test('a card that never ends is left in bounds, one that says nonsense too', async () => {
  const options = {
    interface: 'contact',
    consent: 'none',
    random: RANDOM,
    dateYymmdd: '260701',
  } as const;
  const endless = { transmit: async () => fromHex('6110') };
  await assert.rejects(readCard(endless, options), { code: 'ERR_CARD_TRANSPORT' });
  // A directory that names itself, and an AFL of every record.
  const many = {
    transmit: async (command: Uint8Array) => {
      if (command[1] === 0xa8) return fromHex('800A7C00080101FF0010 01FF9000'.replace(' ', ''));
      return fromHex('701261104F07A0000003330101500544454249549000');
    },
  };
  const result = await readCard(many, options).catch((fault: { code: string }) => fault.code);
  assert.ok(result === 'ERR_CARD_TRANSPORT' || typeof result === 'object');
  const mute = { transmit: async () => fromHex('6A82') };
  const { applications } = await readCard(mute, options);
  assert.deepEqual(applications, []);
});

test('purses and logs come by either interface', async () => {
  for (const by of ['contact', 'contactless'] as const) {
    const reader = virtualReader({
      ...{ image: IMAGE, interface: by, ciphers: nodeCiphers, random: systemRandom },
    });
    const session = await reader.connect();
    const look = { ciphers: nodeCiphers, interface: by };
    const balance = await readBalance(session, look);
    assert.equal(balance.result === 'read' && balance.purses[0]?.balanceMinor, 12345n);
    const { payments } = await readLogs(session, look);
    assert.ok(payments.result === 'read', payments.result);
  }
  const reader = virtualReader({
    ...{ image: imageOf(), interface: 'contact', ciphers: nodeCiphers, random: systemRandom },
  });
  const session = await reader.connect();
  const none = await readBalance(session, { ciphers: nodeCiphers, interface: 'contact' });
  assert.deepEqual(none, { result: 'none', reason: 'card:noElectronicCash' });
  reader.remove();
  await assert.rejects(readBalance(session, { ciphers: nodeCiphers, interface: 'contact' }), {
    code: 'ERR_CARD_REMOVED',
  });
});
