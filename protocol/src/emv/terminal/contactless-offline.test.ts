/**
 * Shows the offline side of a tap: when a TC is an approval, what is stored for upload, what a card
 * that paid never leads to (an authorisation, a second payment), its purse, and torn taps.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fromHex, toHex } from '../../bytes/index.ts';
import { decodeTlv, flattenTlv, Iso7816Error } from '../../iso7816/index.ts';
import { FIELD_55_TAGS, judgeTornTap, KernelError, type OfflineApproval } from './index.ts';
import { OFFLINE_LIMITS, TAP_PDOL, type Tap, type TapRun, TC_CARD, tap } from './tap.test-kit.ts';

const TC = '0701170390000201';
const flip = (bytes: Uint8Array): Uint8Array =>
  bytes.map((value, index) => (index === 40 ? value ^ 1 : value));

/** A tap of 12.34 below the floor limit with a card that approves by itself. */
function offline(what: Tap = {}): TapRun & { readonly stored: readonly OfflineApproval[] } {
  const stored: OfflineApproval[] = [];
  const run = tap({
    ...what,
    card: { ...what.card, elements: { ...TC_CARD.elements, ...what.card?.elements } },
    change: { ...what.change, aid: { contactless: OFFLINE_LIMITS, ...what.change?.aid } },
    driver: { storeOfflineApproval: (approval) => void stored.push(approval), ...what.driver },
  });
  return { ...run, stored };
}

test('a TC with a passed fDDA is an approval: stored before it is told, nobody else is asked', () => {
  const order: string[] = [];
  const run = offline({
    driver: {
      releaseCard: () => order.push('release'),
      onPhase: ({ phase }) => order.push(phase),
      storeOfflineApproval: () => void order.push('store'),
    },
  });
  assert.deepEqual(run.word, ['approved', 'card:TC']);
  assert.deepEqual(order.slice(3), [
    'readApplicationData',
    'electronicCash',
    'release',
    'offlineDataAuthentication',
    'processingRestrictions',
    'transactionDecision',
    'cardholderVerification',
    'store',
    'completion',
  ]);
  const { outcome } = run;
  assert.deepEqual([run.tvr, run.tsi, run.cvm], ['0000000000', 'C000', '1F0302']);
  assert.equal(run.requests.length, 0);
  assert.equal(outcome.online, 'notSent');
  assert.equal(outcome.arqc, null);
  assert.equal(outcome.first?.type, 'TC');
  assert.equal(outcome.dataAuthentication, 'fDDA');
});

test('field 55 of an offline approval: the tags of a purchase, then 9F74, 9F63 and 8A', () => {
  const product = '00112233445566778899AABBCCDDEEFF';
  const [approval] = offline({ card: { elements: { '9F63': product } } }).stored;
  const objects = decodeTlv(approval?.field55 ?? new Uint8Array(0));
  assert.deepEqual(
    objects.map(({ tag }) => tag),
    [...FIELD_55_TAGS, '9F74', '9F63', '8A'],
  );
  const values = flattenTlv(objects);
  const hex = (tag: string) => toHex(values.get(tag) ?? new Uint8Array(0));
  assert.deepEqual(['9F26', '9F27', '9F10', '9F36', '95', '9F34', '9F74', '9F63', '8A'].map(hex), [
    '1111111111111111',
    '40',
    TC,
    '0006',
    '0000000000',
    '1F0302',
    '313233343536',
    product,
    '5931',
  ]);
  assert.equal(approval?.kind, 'electronicCash');
  assert.equal(approval?.amountMinor, 1234n);
  assert.equal(approval?.currency, '156');
  assert.equal(approval?.applicationTransactionCounter, 6);
  assert.equal(approval?.pan.expose(), '6299990000000009');
  assert.equal(approval?.panSequenceNumber.expose(), '01');
});

test('without 9F74 the TC is one of the card application itself, and field 55 has no purse in it', () => {
  const run = offline({ card: { elements: { '9F74': null } } });
  assert.deepEqual(run.word, ['approved', 'card:TC']);
  assert.equal(run.stored[0]?.kind, 'debitCredit');
  const tags = decodeTlv(run.stored[0]?.field55 ?? new Uint8Array(0)).map(({ tag }) => tag);
  assert.deepEqual(tags, [...FIELD_55_TAGS, '8A']);
  assert.equal(run.outcome.electronicCash, null);
});

test('an approval that cannot be stored is unknown: the card has paid, the proof is lost', () => {
  const storeOfflineApproval = (): never => {
    throw new KernelError('ERR_KERNEL_ANSWER', 'disk full');
  };
  const run = offline({ driver: { storeOfflineApproval } });
  assert.deepEqual(run.word, ['unknown', 'ERR_KERNEL_ANSWER']);
  assert.equal(run.outcome.offlineApproval, null);
  assert.equal(run.outcome.electronicCash?.balanceAfterMinor, null);
});

test('a driver that fails after the approval was stored does not change the outcome', () => {
  const onPhase = ({ phase }: { phase: string }): void => {
    if (phase === 'completion') throw new KernelError('ERR_KERNEL_ANSWER', 'no more');
  };
  assert.deepEqual(offline({ driver: { onPhase } }).word, ['approved', 'card:TC']);
});

const CTQ = (ctq: string) => ({ '9F6C': ctq, '9F69': `01C0C1C2C3${ctq}00` });
const OVER_CVM: Tap['change'] = {
  input: { amountMinor: 30_001n },
  aid: { contactless: { ...OFFLINE_LIMITS, floorLimitMinor: 100_000n } },
};

/** Ends of a card that gave a TC: word, TVR, CVM results. Nothing is stored but an approval. */
const ENDS: readonly (readonly [string, Tap, string, string, string])[] = [
  [
    'at the floor limit',
    { change: { input: { amountMinor: 20_000n } } },
    'approved card:TC',
    '0000000000',
    '1F0302',
  ],
  [
    'above it',
    { change: { input: { amountMinor: 20_001n } } },
    'declined terminal:offlineNotTaken',
    '0000000000',
    '3F0000',
  ],
  [
    'forced online',
    { change: { input: { forceOnline: true } } },
    'declined terminal:offlineNotTaken',
    '0000000000',
    '3F0000',
  ],
  [
    'no e-cash wanted',
    { change: { input: { electronicCash: false } } },
    'declined terminal:offlineNotTaken',
    '0000000000',
    '3F0000',
  ],
  [
    'flipped SDAD, CTQ silent',
    { card: { elements: CTQ('0000'), signature: flip } },
    'declined terminal:fDDA',
    '0800000000',
    '3F0000',
  ],
  [
    'flipped SDAD, CTQ online: never sent',
    { card: { elements: CTQ('2000'), signature: flip } },
    'declined terminal:fDDA',
    '0800000000',
    '3F0000',
  ],
  [
    'flipped SDAD, CTQ switches',
    { card: { elements: CTQ('1000'), signature: flip } },
    'tryAnotherInterface card:useContact',
    '0800000000',
    '3F0000',
  ],
  [
    'no files, so nothing to check',
    { card: { elements: { '94': null } } },
    'declined terminal:fDDA',
    '8000000000',
    '3F0000',
  ],
  [
    '9F69 of version 00',
    { card: { elements: { '9F69': '00C0C1C2C3280000' } } },
    'declined terminal:fDDA',
    '0800000000',
    '3F0000',
  ],
  [
    'no 9F69',
    { card: { forged: { '9F69': null } } },
    'declined terminal:fDDA',
    '2800000000',
    '3F0000',
  ],
  [
    'unknown CA key',
    { card: { elements: { '8F': 'F1' } } },
    'declined terminal:fDDA',
    '0800000000',
    '3F0000',
  ],
  [
    'expired, CTQ online: never sent',
    { card: { elements: { '5F24': '261130', ...CTQ('2800') } } },
    'declined terminal:expired',
    '0040000000',
    '3F0000',
  ],
  [
    'last day',
    { card: { elements: { '5F24': '261201' } } },
    'approved card:TC',
    '0000000000',
    '1F0302',
  ],
  [
    'not yet effective',
    { card: { elements: { '5F25': '261202' } } },
    'declined terminal:notYetEffective',
    '0020000000',
    '3F0000',
  ],
  [
    'usage control',
    { card: { elements: { '9F07': '0000' } } },
    'declined terminal:serviceNotAllowed',
    '0010000000',
    '3F0000',
  ],
  [
    'exception file',
    { change: { terminal: { isOnExceptionFile: () => true } } },
    'declined terminal:exceptionFile',
    '1000000000',
    '3F0000',
  ],
  [
    'cash, CTQ switches',
    { card: { elements: CTQ('0400') }, change: { input: { transactionType: 0x01 } } },
    'tryAnotherInterface card:useContact',
    '0000000000',
    '3F0000',
  ],
  [
    'AAC',
    { card: { elements: { '9F10': '0701170380000201' } } },
    'declined card:AAC',
    '0000000000',
    '3F0000',
  ],
  [
    'ARQC',
    { card: { elements: { '9F10': '07011703A0000201' } } },
    'approved issuer:00',
    '0000000000',
    '1F0302',
  ],
  ['signature', { card: { elements: CTQ('4000') } }, 'approved card:TC', '0000000000', '1E0300'],
  [
    'online PIN: nobody would verify it',
    { card: { elements: CTQ('8000') } },
    'declined terminal:pinNeedsIssuer',
    '0000800000',
    '3F0000',
  ],
  [
    'at the CVM limit',
    { change: { ...OVER_CVM, input: { amountMinor: 30_000n } } },
    'approved card:TC',
    '0000000000',
    '1F0302',
  ],
  [
    'above it, no method',
    { change: OVER_CVM },
    'declined terminal:noCommonCvm',
    '0000800000',
    '3F0000',
  ],
  [
    'above it, signature',
    { card: { elements: CTQ('4000') }, change: OVER_CVM },
    'approved card:TC',
    '0000000000',
    '1E0300',
  ],
  [
    'above it, device',
    { card: { elements: CTQ('0080') }, change: OVER_CVM },
    'approved card:TC',
    '0000000000',
    '1F0302',
  ],
  [
    'above it, device that nobody signed',
    { card: { elements: { '9F6C': '0080' } }, change: OVER_CVM },
    'declined terminal:consumerDeviceCvm',
    '0000800000',
    '3F0000',
  ],
];
for (const [what, how, word, tvr, cvm] of ENDS) {
  test(`TC, ${what}: ${word}, TVR ${tvr}, 9F34 ${cvm} (EMV C-7 §3.6 to §3.8)`, () => {
    const run = offline(how);
    assert.equal(run.word.join(' '), word);
    assert.deepEqual([run.tvr, run.cvm], [tvr, cvm]);
    assert.equal(run.requests.length, what === 'ARQC' ? 1 : 0, 'a TC is never sent as a request');
    assert.equal(run.stored.length, word === 'approved card:TC' ? 1 : 0);
  });
}

test('an offline-only reader declines an ARQC and asks nobody', () => {
  const terminal = { terminalTransactionQualifiers: fromHex('3E000080') };
  const card = { elements: { '9F10': '07011703A0000201' } };
  const run = offline({ card, change: { terminal } });
  assert.deepEqual(run.word, ['declined', 'terminal:offlineOnly']);
  assert.equal(run.requests.length, 0);
});

const CASH = { transactionLimitMinor: 100_000n };
const cash = (amountMinor: bigint, more: Tap['card'] = {}) =>
  offline({
    card: { pdol: `${TAP_PDOL}9F7A01`, ...more },
    change: {
      input: { amountMinor },
      aid: { contactless: OFFLINE_LIMITS, electronicCash: CASH },
    },
  });

test('9F7A is 1 where the PDOL asks and the terminal takes e-cash below 9F7B, else 0 (PBOC3 P13)', () => {
  const indicator = (run: TapRun): string => run.wires[2]?.slice(-4, -2) ?? '';
  assert.equal(indicator(cash(20_000n)), '01');
  const limits = { contactless: OFFLINE_LIMITS, electronicCash: { transactionLimitMinor: 1234n } };
  const at = (amountMinor: bigint) =>
    offline({
      card: { pdol: `${TAP_PDOL}9F7A01` },
      change: { input: { amountMinor }, aid: limits },
    });
  assert.equal(indicator(at(1233n)), '01');
  assert.equal(indicator(at(1234n)), '00', 'the limit itself is no e-cash');
  const without = offline({ card: { pdol: `${TAP_PDOL}9F7A01` } });
  assert.equal(indicator(without), '00', 'a terminal without e-cash');
});

test('9F5D tells what is left after a payment, or as it is without one (PBOC3 P12)', () => {
  const run = cash(1234n, { elements: { '9F5D': '000000008766' } });
  assert.deepEqual(run.outcome.electronicCash, {
    isUsed: true,
    balanceMinor: 10_000n,
    balanceAfterMinor: 8766n,
    currency: '156',
  });
  assert.equal(run.commands.length, 8, 'nothing more is asked of the card');
  const online = cash(1234n, { elements: { '9F10': '07011703A0000201', '9F5D': '000000010000' } });
  assert.deepEqual(online.outcome.electronicCash, {
    isUsed: false,
    balanceMinor: 10_000n,
    balanceAfterMinor: null,
    currency: '156',
  });
});

test('without 9F5D a card that paid is asked for 9F79, the balance after', () => {
  const getData = { '9F51': '0156', '9F79': '000000008766' };
  const run = cash(1234n, { getData });
  assert.deepEqual(run.wires.slice(8), ['80CA9F5100', '80CA9F7900']);
  assert.equal(run.outcome.electronicCash?.balanceMinor, 10_000n);
  assert.equal(run.outcome.electronicCash?.balanceAfterMinor, 8766n);
  const second = { '9F51': '0840', DF71: '0156', DF79: '000000000001' };
  assert.equal(cash(1234n, { getData: second }).outcome.electronicCash?.balanceAfterMinor, 1n);
});

test('what the card makes of that question changes nothing: refused, nonsense, gone', () => {
  const gone = (index: number): undefined => {
    if (index >= 8) throw new Iso7816Error('ERR_CARD_REMOVED', 'gone');
  };
  for (const more of [
    { getData: {} },
    { getData: { '9F51': '0156', '9F79': '0000000087' } },
    { getData: { '9F51': '0156', '9F79': 'FFFFFFFFFFFF' } },
    { override: gone },
  ]) {
    const run = cash(1234n, more);
    assert.deepEqual(run.word, ['approved', 'card:TC']);
    assert.equal(run.stored.length, 1);
    assert.equal(run.outcome.electronicCash?.isUsed, true);
    assert.equal(run.outcome.electronicCash?.balanceMinor, null);
  }
});

/** The card leaves when it is sent this command. */
const torn = (index: number, more: Tap = {}) =>
  offline({
    ...more,
    card: {
      ...more.card,
      override: (at) => {
        if (at === index) throw new Iso7816Error('ERR_CARD_REMOVED', 'torn');
        return undefined;
      },
    },
  });

test('torn before its last record a card has paid nothing: thrown, tap again (PBOC3 P12)', () => {
  for (let index = 0; index < 7; index++) {
    assert.throws(() => torn(index), { code: 'ERR_CARD_REMOVED' }, `command ${index}`);
  }
});

test('torn at its last record a card that pays offline may have paid: unknown, nothing stored', () => {
  const run = torn(7, { card: { elements: { '9F5D': '000000008766' } } });
  assert.deepEqual(run.word, ['unknown', 'card:torn:ERR_CARD_REMOVED']);
  assert.equal(run.stored.length, 0);
  assert.equal(run.outcome.electronicCash?.balanceMinor, 10_000n);
  assert.equal(run.outcome.electronicCash?.balanceAfterMinor, null);
  assert.equal(toHex(run.outcome.values.get('9F36') ?? new Uint8Array(0)), '0006');
});

test('torn at its last record a card that goes online, or was not to pay, has paid nothing', () => {
  const online = { card: { elements: { '9F10': '07011703A0000201' } } };
  assert.throws(() => torn(7, online), { code: 'ERR_CARD_REMOVED' });
  const forced = { change: { input: { forceOnline: true } } };
  assert.throws(() => torn(7, forced), { code: 'ERR_CARD_REMOVED' });
});

test('a card fault in the last record is the card fault that it is', () => {
  const override = (index: number) =>
    index === 7 ? { data: fromHex('7003FF'), statusWord: 0x9000 as never } : undefined;
  assert.throws(() => offline({ card: { override } }), { code: 'ERR_CARD_DATA' });
});

test('a torn tap is judged by log and balance, which must agree', () => {
  const { outcome } = torn(7, { card: { elements: { '9F5D': '000000008766' } } });
  const entry = (counter: number, amountMinor: bigint) => ({
    record: 1,
    isEmpty: false,
    raw: new Uint8Array(0),
    dateYymmdd: null,
    timeHhmmss: null,
    countryCode: null,
    merchantName: null,
    applicationTransactionCounter: counter,
    amountMinor,
    otherAmountMinor: null,
    currency: null,
    transactionType: null,
  });
  const judge = (entries: ReturnType<typeof entry>[], balanceMinor: bigint | null) =>
    judgeTornTap(outcome, { entries, balanceMinor });
  assert.equal(judge([entry(6, 1234n)], 8766n), 'paid');
  assert.equal(judge([entry(6, 1234n)], null), 'paid');
  assert.equal(judge([], 8766n), 'paid');
  assert.equal(judge([entry(5, 99n)], 10_000n), 'notPaid');
  assert.equal(judge([], 10_000n), 'notPaid');
  assert.equal(judge([{ ...entry(9, 0n), isEmpty: true }, entry(5, 99n)], null), 'notPaid');
  assert.equal(judge([], null), 'unknown');
  assert.equal(judge([entry(7, 5n)], null), 'unknown', 'it paid elsewhere since');
  assert.equal(judge([entry(6, 1235n)], null), 'unknown');
  assert.equal(
    judge([entry(5, 99n)], 8766n),
    'unknown',
    'log and balance contradict: another card',
  );
  assert.equal(judge([], 8767n), 'unknown');
});

test('a torn tap tells of a purse only what the card told', () => {
  assert.equal(torn(7).outcome.electronicCash, null);
  assert.deepEqual(
    torn(7, { card: { elements: { '9F5D': '000000008766' } } }).outcome.electronicCash,
    {
      isUsed: false,
      balanceMinor: 10_000n,
      balanceAfterMinor: null,
      currency: '156',
    },
  );
});

test('a TC tap tells its phases: what was decided, how the holder was verified, what paid', () => {
  const { phases } = offline();
  const facts = (phase: string) => phases.find((notice) => notice.phase === phase)?.facts;
  assert.deepEqual(facts('transactionDecision'), { decision: 'offline', reason: null, tvr: '' });
  assert.deepEqual(facts('cardholderVerification'), { method: 'none', pinEntered: false });
  assert.deepEqual(facts('electronicCash'), {
    offered: false,
    accepted: true,
    decision: 'offline',
  });
});

test('a PDOL may ask for 9F1B: it is the floor limit of the reader', () => {
  const run = offline({ card: { pdol: `${TAP_PDOL}9F1B04` } });
  assert.equal(run.wires[2]?.slice(-10, -2), '00004E20');
});

test('an ARQC tap with a PIN: the cryptogram, the TSI and the facts of the verification', () => {
  const card = { elements: { '9F10': '07011703A0000201', ...CTQ('8000') } };
  const run = offline({ card });
  assert.equal(toHex(run.requests[0]?.arqc.value ?? new Uint8Array(0)), '11'.repeat(8));
  assert.equal(run.tsi, 'C000');
  const verified = run.phases.find(({ phase }) => phase === 'cardholderVerification');
  assert.deepEqual(verified?.facts, { method: 'onlinePin', pinEntered: true });
});
