/**
 * Approvals of the card alone: what is kept, that it is kept before the card leaves and before the
 * outcome, and that a proof which could not be kept is never called an approval.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { inspect } from 'node:util';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import { Iso7816Error } from '../../iso7816/index.ts';
import { TEST_PAN, testCard, testKeyOf, testTransaction } from './card.test-kit.ts';
import { contactTransaction, driveKernel, type OfflineApproval } from './index.ts';
import { type CaseRun, runCase, type TestCase } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
const OFFLINE: NonNullable<TestCase['change']> = { aid: { floorLimitMinor: 100_000n } };
const TC = { firstCid: 0x40 };
const lost = (): never => {
  throw new TapError('ERR_STORE_FULL', 'no room');
};

/** Runs a case and tells what was kept. */
function run(what: TestCase): CaseRun & { readonly kept: readonly OfflineApproval[] } {
  const kept: OfflineApproval[] = [];
  const driver = {
    storeOfflineApproval: (approval: OfflineApproval) => void kept.push(approval),
    ...what.driver,
  };
  return { ...runCase({ ciphers: nodeCiphers, keys: KEYS }, { ...what, driver }), kept };
}

/** Default action codes that let a lost transaction be approved. */
const Y3: TestCase = {
  online: { result: 'unable' },
  card: { elements: { '9F0D': '0000000000' } },
  change: { aid: { tacDefault: new Uint8Array(5) } },
};

test('EMV 4.3 B3 §10.8: a TC at the first GENERATE AC is kept with its field 55 and approved', () => {
  const { word, outcome, kept } = run({ card: TC, change: OFFLINE });
  assert.deepEqual(word, ['approved', 'card:TC']);
  assert.equal(kept.length, 1);
  const [approval] = kept;
  assert.ok(approval);
  assert.equal(outcome.offlineApproval, approval);
  assert.equal(
    toHex(approval.field55),
    '9F260811111111111111119F2701409F100807000103A0A802019F37045A5A5A5A9F3602000695050000000000' +
      '9A032612019C01009F02060000000012345F2A02015682027C009F1A0201569F03060000000000009F3303E068C0' +
      '9F34031F00029F3501229F1E085441504E504159318408A0000003330101019F090200309F4104000000428A025931',
  );
  const { field55: _, pan, panSequenceNumber, expiryYymm, track2, ...plain } = approval;
  assert.deepEqual(plain, {
    kind: 'debitCredit',
    amountMinor: 1234n,
    currency: '156',
    applicationTransactionCounter: 6,
  });
  assert.deepEqual(
    [pan.expose(), panSequenceNumber.expose(), expiryYymm.expose(), track2?.expose()],
    [TEST_PAN, '01', '3112', '6299990000000009D31122010000000000000'],
  );
  assert.ok(!inspect({ ...approval, field55: null }, { depth: 9 }).includes(TEST_PAN));
});

test('without track 2 and PAN sequence number the approval says so', () => {
  const { kept } = run({
    card: { ...TC, elements: { '57': null, '5F34': null } },
    change: OFFLINE,
  });
  assert.deepEqual([kept[0]?.track2, kept[0]?.panSequenceNumber.expose()], [null, '00']);
});

test('it is kept before the card is released, before any notice, and once', () => {
  const order: string[] = [];
  run({
    card: TC,
    change: OFFLINE,
    driver: {
      storeOfflineApproval: () => order.push('store'),
      releaseCard: () => order.push('release'),
      onPhase: ({ phase }) => order.push(phase),
    },
  });
  assert.deepEqual(order.slice(-5), [
    'terminalActionAnalysis',
    'store',
    'firstGenerateAc',
    'completion',
    'release',
  ]);
});

test('a proof that is not kept makes the outcome unknown: the card has paid', () => {
  const failed = run({ card: TC, change: OFFLINE, driver: { storeOfflineApproval: lost } });
  assert.deepEqual(failed.word, ['unknown', 'ERR_STORE_FULL']);
  assert.deepEqual(
    [failed.outcome.offlineApproval, failed.outcome.first?.type, failed.outcome.online],
    [null, 'TC', 'notSent'],
  );
  const plain = (): never => {
    throw new Error('disk');
  };
  const foreign = run({ card: TC, change: OFFLINE, driver: { storeOfflineApproval: plain } });
  assert.deepEqual(foreign.word, ['unknown', 'ERR_INTERNAL']);
  const y3 = run({ ...Y3, driver: { storeOfflineApproval: lost } });
  assert.deepEqual(y3.word, ['unknown', 'ERR_STORE_FULL']);
  assert.equal(y3.outcome.online, 'unable');
});

test('a driver that cannot take a notice any more does not undo the payment', () => {
  for (const phase of ['firstGenerateAc', 'completion']) {
    const onPhase = (notice: { phase: string }): void => {
      if (notice.phase === phase) lost();
    };
    const { word, kept } = run({ card: TC, change: OFFLINE, driver: { onPhase } });
    assert.deepEqual([...word, kept.length], ['approved', 'card:TC', 1], phase);
  }
  const onPhase = ({ phase }: { phase: string }): void => {
    if (phase === 'secondGenerateAc') lost();
  };
  const y3 = run({ ...Y3, driver: { onPhase } });
  assert.deepEqual([...y3.word, y3.kept.length], ['approved', 'terminal:Y3', 1]);
});

test('EMV 4.3 B4 §A6: unable to go online, Y3 is kept with the second cryptogram', () => {
  const { word, kept, outcome } = run(Y3);
  assert.deepEqual(word, ['approved', 'terminal:Y3']);
  assert.equal(kept.length, 1);
  const field55 = toHex(kept[0]?.field55 ?? new Uint8Array(0));
  assert.ok(field55.startsWith('9F260822222222222222229F270140'), field55);
  assert.ok(field55.endsWith('8A025933'), field55);
  assert.equal(outcome.offlineApproval, kept[0]);
});

test('nothing is kept of a decline, an online approval, or an open request', () => {
  const cases: readonly TestCase[] = [
    {},
    { card: { firstCid: 0x00 } },
    { card: { secondCid: 0x00 } },
    { ...Y3, card: { ...Y3.card, secondCid: 0x00 } },
    { ...Y3, online: { result: 'unknown' }, card: { ...Y3.card, secondCid: 0x40 } },
    { online: { result: 'unable' }, card: { secondCid: 0x00 } },
  ];
  for (const what of cases) {
    const { kept, outcome } = run(what);
    assert.deepEqual([kept.length, outcome.offlineApproval], [0, null]);
  }
});

test('EMV 4.3 B4 §6.3.2.1: a TC without the signature it owes is neither kept nor approved', () => {
  const terminal = { capabilities: fromHex('E068C8') };
  const first = run({ card: { ...TC, aip: '7D00' }, change: { ...OFFLINE, terminal } });
  assert.deepEqual([...first.word, first.kept.length], ['declined', 'terminal:CDA', 0]);
});

test('the asynchronous driver keeps it too; one without a store leaves it unknown', async () => {
  const card = { ...TC, elements: { '8E': '00000000000000001F00' } };
  const kept: OfflineApproval[] = [];
  const driver = {
    transmit: testCard(nodeCiphers, KEYS, card) as never,
    random: (length: number) => new Uint8Array(length),
    selectApplication: () => 0,
    enterPin: () => 'entered' as const,
    authorise: () => ({ result: 'unable' }) as const,
  };
  const transaction = testTransaction(nodeCiphers, KEYS, OFFLINE);
  const stored = await driveKernel(contactTransaction(transaction), {
    ...driver,
    storeOfflineApproval: async (approval) => void kept.push(approval),
  });
  assert.deepEqual([stored.outcome, kept.length], ['approved', 1]);
  const transmit = testCard(nodeCiphers, KEYS, card) as never;
  const without = await driveKernel(contactTransaction(transaction), { ...driver, transmit });
  assert.deepEqual([without.outcome, without.reason], ['unknown', 'ERR_KERNEL_ANSWER']);
});

test('a card pulled after its TC has paid all the same', () => {
  const card = testCard(nodeCiphers, KEYS, { ...TC, elements: { '8E': '00000000000000001F00' } });
  let isGone = false;
  const { word, kept } = run({
    change: OFFLINE,
    driver: {
      transmit: (command, index) => {
        if (isGone) throw new Iso7816Error('ERR_CARD_REMOVED', 'gone');
        isGone = command.ins === 0xae;
        return card(command, index);
      },
      releaseCard: () => {
        throw new Iso7816Error('ERR_CARD_REMOVED', 'gone');
      },
    },
  });
  assert.deepEqual([...word, kept.length], ['approved', 'card:TC', 1]);
});
