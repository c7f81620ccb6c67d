/**
 * From the first cryptogram to the end: what the card may answer, the issuer's answer, scripts, the
 * second cryptogram, lost cards and open requests. Who refused is named every time.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { inspect } from 'node:util';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import { type CommandApdu, Iso7816Error } from '../../iso7816/index.ts';
import {
  answer,
  TEST_PAN,
  type TestCardOptions,
  testCard,
  testKeyOf,
  testTransaction,
} from './card.test-kit.ts';
import { contactTransaction, driveKernel, type OnlineAnswer } from './index.ts';
import {
  APPROVAL,
  answering,
  type CaseRun,
  runCase,
  type TestCase,
  type TestDriver,
} from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
const NO_CVM = { '8E': '00000000000000001F00' };

type Change = TestCase['change'];
const run = (what: TestCase): CaseRun => runCase({ ciphers: nodeCiphers, keys: KEYS }, what);

const SCRIPT_72 = '7211860F04DA9F790A000000100000A1B2C3D4';
const approvedBy = (responseCode: string, scripts: readonly string[] = []): OnlineAnswer => ({
  ...APPROVAL,
  result: 'answered',
  responseCode,
  scripts: scripts.map(fromHex),
});

test('EMV 4.3 B3 §10.9 to §10.11: approval, issuer authentication, TC', () => {
  const { word, tvr, tsi, wires, outcome, phases } = run({});
  assert.deepEqual(word, ['approved', 'issuer:00']);
  assert.deepEqual([tvr, tsi], ['0000008000', 'F800']);
  assert.equal(outcome.issuerAuthentication, 'passed');
  assert.deepEqual([outcome.first?.type, outcome.second?.type], ['ARQC', 'TC']);
  assert.equal(wires.at(-2), '008200000AAABBCCDDEEFF00113030');
  // CDOL2: response code, TVR, the same unpredictable number as in CDOL1, TSI before the end.
  assert.equal(wires.at(-1), '80AE40000D303000000080005A5A5A5AF80000');
  assert.deepEqual(
    phases.map(({ phase }) => phase),
    [
      'applicationSelection',
      'initiateApplication',
      'readApplicationData',
      'offlineDataAuthentication',
      'processingRestrictions',
      'cardholderVerification',
      'terminalRiskManagement',
      'terminalActionAnalysis',
      'firstGenerateAc',
      'onlineProcessing',
      'issuerAuthentication',
      'secondGenerateAc',
      'completion',
    ],
  );
  const online = phases.find(({ phase }) => phase === 'onlineProcessing');
  assert.deepEqual(online?.facts, { result: 'answered', responseCode: '00', fault: null });
});

test('the card is released after its last command, before the outcome, at every end', () => {
  const order: string[] = [];
  const traced = (what: TestCase): string => {
    order.length = 0;
    const { wires } = run({
      ...what,
      driver: {
        ...what.driver,
        releaseCard: () => order.push('release'),
        onPhase: ({ phase }) => order.push(phase),
      },
    });
    assert.ok(wires.length > 0);
    return order.slice(-2).join(' ');
  };
  assert.equal(traced({ online: approvedBy('00', [SCRIPT_72]) }), 'completion release');
  assert.equal(traced({ card: { firstCid: 0x00 } }), 'completion release');
  assert.equal(
    traced({ online: { result: 'unknown' }, card: { secondCid: 0x00 } }),
    'completion release',
  );
  assert.equal(
    traced({ card: answering(0xa8, answer('', 0x6985)) }),
    'applicationSelection release',
  );
});

test('a driver that cannot release the card any more changes nothing of the outcome', () => {
  const releaseCard = (): never => {
    throw new TapError('ERR_CARD_REMOVED', 'gone');
  };
  assert.deepEqual(run({ driver: { releaseCard } }).word, ['approved', 'issuer:00']);
  const offline = { firstCid: 0x40 };
  const change: Change = { aid: { floorLimitMinor: 100_000n } };
  const taken = run({ card: offline, change, driver: { releaseCard } });
  assert.deepEqual(taken.word, ['approved', 'card:TC']);
});

test('the issuer declines: the card is asked for an AAC, the issuer is named', () => {
  const { word, wires, outcome } = run({ online: approvedBy('51'), card: { secondCid: 0x00 } });
  assert.deepEqual(word, ['declined', 'issuer:51']);
  assert.equal(outcome.responseCode, '51');
  assert.equal(outcome.second?.type, 'AAC');
  assert.match(wires.at(-1) ?? '', /^80AE0000/);
});

test('a card that answers AAC to ARQC has declined itself', () => {
  const { word, outcome, requests } = run({ card: { firstCid: 0x00 } });
  assert.deepEqual(word, ['declined', 'card:AAC']);
  assert.equal(outcome.online, 'notSent');
  assert.equal(outcome.arqc, null);
  assert.equal(requests.length, 0);
});

test('a card that answers AAC after an approval has declined; the gateway must reverse', () => {
  const { word, outcome } = run({ card: { secondCid: 0x00 } });
  assert.deepEqual(word, ['declined', 'card:AAC']);
  assert.equal(outcome.responseCode, '00');
});

test('EMV 4.3 B3 §9.3: a card may never answer more than it was asked for', () => {
  for (const firstCid of [0x40, 0xc0]) {
    assert.throws(() => run({ card: { firstCid } }), { code: 'ERR_CARD_CRYPTOGRAM' });
  }
  for (const secondCid of [0x80, 0xc0]) {
    assert.deepEqual(run({ card: { secondCid } }).word, ['declined', 'card:ERR_CARD_CRYPTOGRAM']);
  }
  const denied = { secondCid: 0x40 };
  assert.deepEqual(run({ online: approvedBy('51'), card: denied }).word, ['declined', 'issuer:51']);
});

test('EMV 4.3 B3 §6.5.5.4: format 2 is taken, a cut-off answer is not', () => {
  const format2 = '771A9F2701809F360200069F260811111111111111119F1003070001';
  const { requests } = run({
    card: {
      override: ({ ins, p1 }) => (ins === 0xae && p1 === 0x80 ? answer(format2) : undefined),
    },
  });
  assert.equal(toHex(requests[0]?.values.get('9F10') ?? new Uint8Array(0)), '070001');
  for (const data of ['', '80', '8000', '800A80000611111111111111', '77049F270180', '7003800101']) {
    assert.throws(
      () => run({ card: answering(0xae, answer(data)) }),
      { code: 'ERR_CARD_DATA' },
      data,
    );
    const { word, outcome } = run({ card: answering(0xae, answer(data), 2) });
    assert.deepEqual(word, ['declined', 'card:ERR_CARD_DATA'], data);
    assert.equal(outcome.responseCode, '00');
  }
});

test('an answer to GENERATE AC gives its own objects only, the first of two', () => {
  // 9F02 is the terminal's, 9F34 too; the second 9F10 does not replace the first.
  const objects =
    '9F2701809F360200069F260811111111111111119F10030700019F10030700029F02060000000000019F34031F0002';
  const format2 = `77${(objects.length / 2).toString(16)}${objects}`;
  const { requests } = run({
    card: {
      elements: { '8E': '00000000000000001E00' },
      override: ({ ins, p1 }) => (ins === 0xae && p1 === 0x80 ? answer(format2) : undefined),
    },
  });
  const value = (tag: string): string => toHex(requests[0]?.values.get(tag) ?? new Uint8Array(0));
  assert.deepEqual(
    [value('9F10'), value('9F02'), value('9F34')],
    ['070001', '000000001234', '1E0000'],
  );
});

test('a driver that gives too few random bytes is told so', () => {
  const random = (length: number): Uint8Array => new Uint8Array(length - 1);
  assert.throws(() => run({ driver: { random } }), { code: 'ERR_KERNEL_ANSWER' });
  const none = (): Uint8Array => 'random' as unknown as Uint8Array;
  assert.throws(() => run({ driver: { random: none } }), { code: 'ERR_KERNEL_ANSWER' });
});

test('an issuer application data of a record never reaches the issuer', () => {
  const card: TestCardOptions = {
    override: ({ ins, p1, p2 }) => {
      if (ins === 0xb2 && p2 === 0x0c && p1 === 1) return answer('70069F1003070001');
      return ins === 0xae && p1 === 0x80 ? answer('800B8000061111111111111111') : undefined;
    },
  };
  assert.equal(run({ card }).requests[0]?.values.has('9F10'), false);
});

test('GENERATE AC refused: before the request nothing was charged, after an approval it is declined', () => {
  const first = run({ card: answering(0xae, answer('', 0x6985)) });
  assert.deepEqual(first.word, ['notAccepted', 'card:GENERATE_AC:6985']);
  const second = run({ card: answering(0xae, answer('', 0x6985), 2) });
  assert.deepEqual(second.word, ['declined', 'card:ERR_CARD_STATUS']);
});

test('there is never a third GENERATE AC, which cards answer with 6985', () => {
  for (const online of [
    APPROVAL,
    approvedBy('05'),
    { result: 'unable' },
    { result: 'unknown' },
  ] as const) {
    const { commands } = run({ online, card: { secondCid: 0x00 } });
    assert.equal(commands.filter(({ ins }) => ins === 0xae).length, 2);
  }
});

test('EMV 4.3 B3 §10.7: unable to go online, default action codes decide Y3 or Z3', () => {
  const z3 = run({
    online: { result: 'unable' },
    card: { secondCid: 0x00 },
    change: { aid: { tacDefault: fromHex('0000008000') } },
  });
  assert.deepEqual(z3.word, ['declined', 'terminal:TAC+IAC-default']);
  assert.equal(toHex(z3.outcome.values.get('8A') ?? new Uint8Array(0)), '5A33');
  const elements = { '9F0D': '0000000000' };
  const aid = { tacDefault: fromHex('0000000000') };
  const y3 = run({ online: { result: 'unable' }, card: { elements }, change: { aid } });
  assert.deepEqual(y3.word, ['approved', 'terminal:Y3']);
  assert.equal(toHex(y3.outcome.values.get('8A') ?? new Uint8Array(0)), '5933');
  const byCard = run({
    online: { result: 'unable' },
    card: { elements, secondCid: 0x00 },
    change: { aid },
  });
  assert.deepEqual(byCard.word, ['declined', 'card:AAC']);
  const onlineOnly = run({
    online: { result: 'unable' },
    card: { elements, secondCid: 0x00 },
    change: { aid, terminal: { terminalType: 0x21 } },
  });
  assert.deepEqual(onlineOnly.word, ['declined', 'terminal:onlineOnly']);
});

test('an open request stays unknown whatever the card says, and the card is asked for an AAC', () => {
  const elements = { '9F0D': '0000000000' };
  const aid = { tacDefault: fromHex('0000000000') };
  for (const secondCid of [0x00, 0x40]) {
    const { word, wires, outcome } = run({
      online: { result: 'unknown' },
      card: { elements, secondCid },
      change: { aid },
    });
    assert.deepEqual(word, ['unknown', 'online:unknown']);
    assert.match(wires.at(-1) ?? '', /^80AE00000D5A33/);
    assert.equal(outcome.responseCode, null);
  }
});

test('a driver that throws or answers nonsense at the request leaves it unknown', () => {
  const throwing = (fault: unknown): Partial<TestDriver> => ({
    authorise: () => {
      throw fault;
    },
  });
  const card = { secondCid: 0x00 };
  const coded = run({ card, driver: throwing(new TapError('ERR_CHANNEL_TIMEOUT', 'no answer')) });
  assert.deepEqual(coded.word, ['unknown', 'ERR_CHANNEL_TIMEOUT']);
  assert.deepEqual(run({ card, driver: throwing(new Error('x')) }).word, [
    'unknown',
    'ERR_INTERNAL',
  ]);
  for (const nonsense of [
    null,
    { result: 'maybe' },
    { result: 'answered', responseCode: '0', scripts: [] },
    { result: 'answered', responseCode: '00' },
    { result: 'answered', responseCode: '00', scripts: ['71'] },
  ]) {
    const { word } = run({
      card,
      driver: { authorise: () => nonsense as unknown as OnlineAnswer },
    });
    assert.deepEqual(word, ['unknown', 'ERR_KERNEL_ANSWER']);
  }
});

/** Pulls the card before the n-th use of an instruction. */
function pulled(ins: number, nth = 1): TestDriver['transmit'] {
  const card = testCard(nodeCiphers, KEYS, { elements: NO_CVM });
  let used = 0;
  return (command, index) => {
    if (command.ins === ins) used += 1;
    if (used >= nth && command.ins === ins)
      throw new Iso7816Error('ERR_CARD_REMOVED', 'card removed');
    return card(command, index);
  };
}

test('a card pulled before the request: the fault itself, nothing charged', () => {
  for (const ins of [0xa4, 0xa8, 0xb2, 0x88, 0xae]) {
    assert.throws(() => run({ driver: { transmit: pulled(ins) } }), { code: 'ERR_CARD_REMOVED' });
  }
});

test('a card pulled after an approval leaves it unknown, after a decline it is declined', () => {
  for (const transmit of [pulled(0x82), pulled(0xae, 2)]) {
    const { word, outcome } = run({ driver: { transmit } });
    assert.deepEqual(word, ['unknown', 'ERR_CARD_REMOVED']);
    assert.equal(outcome.responseCode, '00');
  }
  const declined = run({ online: approvedBy('51'), driver: { transmit: pulled(0xae, 2) } });
  assert.deepEqual(declined.word, ['declined', 'issuer:51']);
  const unable = run({ online: { result: 'unable' }, driver: { transmit: pulled(0xae, 2) } });
  assert.deepEqual(unable.word, ['declined', 'ERR_CARD_REMOVED']);
  const script72 = approvedBy('00', [SCRIPT_72]);
  const afterTc = run({ online: script72, driver: { transmit: pulled(0xda) } });
  assert.deepEqual(afterTc.word, ['approved', 'issuer:00']);
  assert.deepEqual(afterTc.outcome.scriptResults, []);
});

test("field 55 has UnionPay's tags in order, and the request its secrets masked", () => {
  const { requests, outcome } = run({});
  const [request] = requests;
  assert.ok(request);
  assert.equal(
    toHex(request.field55),
    '9F260811111111111111119F2701809F100807000103A0A802019F37045A5A5A5A9F3602000695050000008000' +
      '9A032612019C01009F02060000000012345F2A02015682027C009F1A0201569F03060000000000009F3303E068C0' +
      '9F34031F00029F3501229F1E085441504E504159318408A0000003330101019F090200309F410400000042',
  );
  assert.equal(request.pan.expose(), TEST_PAN);
  assert.equal(request.panSequenceNumber.expose(), '01');
  assert.equal(request.expiryYymm.expose(), '3112');
  assert.equal(request.track2?.expose(), '6299990000000009D31122010000000000000');
  assert.equal(outcome.panMasked, '629999******0009');
  const { field55, ...rest } = request;
  assert.ok(field55.length > 0);
  for (const printed of [
    inspect(rest, { depth: 9 }),
    JSON.stringify(rest),
    inspect(outcome, { depth: 9 }),
    JSON.stringify(outcome),
  ]) {
    assert.ok(!printed.includes(TEST_PAN), 'PAN is printed');
    assert.ok(!printed.includes('98, 153'), 'PAN bytes are printed');
  }
});

test('without PAN sequence number and track 2 the request says so', () => {
  const { requests } = run({ card: { elements: { '5F34': null, '57': null } } });
  assert.equal(requests[0]?.panSequenceNumber.expose(), '00');
  assert.equal(requests[0]?.track2, null);
});

test("EMV 4.3 B3 §9.2.2: a TC hash is made of the card's TDOL or, marked, of the default one", () => {
  const cdol = { '8C': '9F0206950598149F3704' };
  const hash = (input: string): string => toHex(nodeCiphers.sha1(fromHex(input)));
  const first = (card: TestCardOptions, change: Change = {}): string =>
    run({ card, change }).wires.find((wire) => wire.startsWith('80AE80')) ?? '';
  assert.ok(
    first({ elements: { ...cdol, '97': '9F0206' } }).includes(`0000008000${hash('000000001234')}`),
  );
  assert.ok(
    first({ elements: cdol }, { aid: { defaultTdol: fromHex('9F1A02') } }).includes(
      `0000008080${hash('0156')}`,
    ),
  );
  assert.ok(first({ elements: cdol }).includes(`0000008080${hash('')}`));
});

test('the asynchronous driver gives the same, and its faults reach the kernel', async () => {
  const transaction = testTransaction(nodeCiphers, KEYS);
  const card = testCard(nodeCiphers, KEYS, { elements: NO_CVM });
  const phases: string[] = [];
  const driver = {
    transmit: async (command: CommandApdu) => card(command, 0),
    random: (length: number) => new Uint8Array(length),
    selectApplication: () => 0,
    enterPin: () => 'entered' as const,
    authorise: async () => APPROVAL,
    phase: ({ phase }: { phase: string }) => phases.push(phase),
  };
  const outcome = await driveKernel(contactTransaction(transaction), driver);
  assert.deepEqual([outcome.outcome, outcome.reason], ['approved', 'issuer:00']);
  assert.equal(phases.length, 13);
  const refer = async () => ({ result: 'answered', responseCode: '01', scripts: [] }) as const;
  const another = testCard(nodeCiphers, KEYS, { elements: NO_CVM });
  const referred = {
    ...driver,
    transmit: async (command: CommandApdu) => another(command, 0),
    authorise: refer,
    referral: () => 'approved' as const,
  };
  const called = await driveKernel(contactTransaction(transaction), referred);
  assert.equal(called.reason, 'referral:01');
  assert.equal(called.outcome, 'approved', 'the word of the attendant counts');
  const removed = new Iso7816Error('ERR_CARD_REMOVED', 'card removed');
  const transmit = (): Promise<never> => Promise.reject(removed);
  await assert.rejects(
    driveKernel(contactTransaction(transaction), { ...driver, transmit }),
    removed,
  );
});
