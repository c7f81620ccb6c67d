/**
 * CDA in the kernel, against a card that signs its cryptograms: which method is chosen, what is
 * asked, what is believed, and what a failure leads to at each moment. TVR and TSI are exact.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { kitKey } from '../data/certificate-recovery.test-kit.ts';
import { answer, type TestCardOptions } from './card.test-kit.ts';
import {
  COMBINED_CRYPTOGRAMS,
  type CombinedChange,
  combinedCard,
  rsaSigner,
} from './combined.test-kit.ts';
import type { OnlineAnswer } from './index.ts';
import { type CaseRun, runCase, type TestCase } from './kernel.test-kit.ts';

const KEYS = { ca: kitKey(1152), issuer: kitKey(1152), icc: kitKey(1024) };
const SIGNER = rsaSigner(KEYS.icc);
/** Card and terminal with CDA; the card's own bits else as of the plain test card. */
const AIP = '7D00';
const CAPABILITIES = { capabilities: fromHex('E068C8') };
/** Below the floor limit: a TC is asked for. */
const OFFLINE = { floorLimitMinor: 100_000n };

type Changes = readonly [first?: CombinedChange, second?: CombinedChange];

function run(
  changes: Changes = [],
  what: Omit<TestCase, 'card'> & { readonly card?: TestCardOptions } = {},
): CaseRun {
  const { change = {}, card = {} } = what;
  const override = card.override ?? combinedCard(SIGNER, changes);
  return runCase(
    { ciphers: nodeCiphers, keys: KEYS },
    {
      ...what,
      card: { aip: AIP, ...card, override },
      change: { ...change, terminal: { ...CAPABILITIES, ...change.terminal } },
    },
  );
}

const offline = (changes: Changes = [], card: TestCardOptions = {}): CaseRun =>
  run(changes, { card, change: { aid: OFFLINE } });

/** P1 of each GENERATE AC. */
const requests = ({ commands }: CaseRun): readonly string[] =>
  commands.filter(({ ins }) => ins === 0xae).map(({ p1 }) => toHex(Uint8Array.of(p1)));
const value = ({ outcome }: CaseRun, tag: string): string =>
  toHex(outcome.values.get(tag) ?? new Uint8Array(0));
const factsOf = ({ phases }: CaseRun, phase: string) =>
  phases.find((notice) => notice.phase === phase)?.facts ?? {};

test('EMV 4.3 B2 §6.6, B3 §10.3: a right card signs both cryptograms and is approved', () => {
  const result = run();
  assert.deepEqual(result.word, ['approved', 'issuer:00']);
  assert.deepEqual(requests(result), ['90', '50']);
  assert.equal(result.outcome.dataAuthentication, 'CDA');
  assert.deepEqual([result.tvr, result.tsi], ['0000008000', 'F800']);
  assert.deepEqual(
    [result.outcome.arqc?.value, result.outcome.second?.value].map((bytes) =>
      toHex(bytes ?? new Uint8Array(0)),
    ),
    COMBINED_CRYPTOGRAMS,
  );
  assert.equal(value(result, '9F4C'), '1122334455667788');
  // The issuer gets the cryptogram out of the signature.
  const [request] = result.requests;
  assert.match(toHex(request?.field55 ?? new Uint8Array(0)), /^9F2608C1C1C1C1C1C1C1C19F270180/);
});

test('EMV 4.3 B3 §10.3: the TSI is marked when the signature is checked, not with the key', () => {
  const { phases } = run();
  const tsi = (phase: string) =>
    toHex(phases.find((notice) => notice.phase === phase)?.tsi ?? new Uint8Array(0));
  assert.deepEqual(factsOf(run(), 'offlineDataAuthentication'), {
    method: 'CDA',
    result: 'keyRecovered',
  });
  assert.equal(tsi('offlineDataAuthentication'), '0000');
  assert.equal(tsi('terminalActionAnalysis'), '4800');
  assert.equal(tsi('firstGenerateAc'), 'E800');
  assert.equal(factsOf(run(), 'firstGenerateAc')['combined'], 'passed');
});

test('EMV 4.3 B2 §6.6: a TC offline is signed and believed', () => {
  const result = offline();
  assert.deepEqual(result.word, ['approved', 'card:TC']);
  assert.deepEqual(requests(result), ['50']);
  assert.deepEqual([result.tvr, result.tsi], ['0000000000', 'E800']);
  assert.equal(result.outcome.dataAuthentication, 'CDA');
});

test('EMV 4.3 B3 §10.3, B4 §A2: CDA before DDA before SDA, whichever both sides can', () => {
  const method = (aip: string, capabilities: string): unknown =>
    factsOf(
      run([], { card: { aip }, change: { terminal: { capabilities: fromHex(capabilities) } } }),
      'offlineDataAuthentication',
    )['method'];
  const table: readonly (readonly [aip: string, capabilities: string, method: string])[] = [
    ['7D00', 'E068C8', 'CDA'],
    ['1D00', 'E06808', 'CDA'],
    ['7C00', 'E068C8', 'DDA'],
    ['7D00', 'E068C0', 'DDA'],
    ['5D00', 'E068C0', 'SDA'],
    ['7D00', 'E06880', 'SDA'],
    ['5C00', 'E06848', 'none'],
    ['1D00', 'E068C0', 'none'],
  ];
  for (const [aip, capabilities, expected] of table) {
    assert.equal(method(aip, capabilities), expected, `${aip} ${capabilities}`);
  }
});

test('EMV 4.3 B2 §6.6: an AAC is not asked signed, and nothing has failed', () => {
  const change = { aid: { tacDenial: fromHex('0000008000') } };
  const result = run([], { change });
  assert.deepEqual(result.word, ['declined', 'terminal:TAC-denial']);
  assert.deepEqual(requests(result), ['00']);
  assert.equal(result.outcome.dataAuthentication, 'none');
  assert.deepEqual([result.tvr, result.tsi], ['0000008000', '6800']);
});

test('EMV 4.3 B2 §6.6.1: an AAC in answer to a signed request comes in clear, in either format', () => {
  const clear = '77149F2701009F360200069F2608A1A1A1A1A1A1A1A1';
  for (const plain of [clear, '800B000006A1A1A1A1A1A1A1A1']) {
    const result = run([{ plain }]);
    assert.deepEqual(result.word, ['declined', 'card:AAC']);
    assert.equal(toHex(result.outcome.first?.value ?? new Uint8Array(0)), 'A1A1A1A1A1A1A1A1');
    assert.deepEqual([result.tvr, result.tsi], ['0000008000', '6800']);
  }
});

test('a card that signs an AAC too and gives no clear cryptogram is opened like the others', () => {
  const result = run([{ cid: 0x00 }]);
  assert.deepEqual(result.word, ['declined', 'card:AAC']);
  assert.equal(toHex(result.outcome.first?.value ?? new Uint8Array(0)), COMBINED_CRYPTOGRAMS[0]);
  assert.deepEqual([result.tvr, result.tsi], ['0000008000', 'E800']);
});

const flip = (signature: Uint8Array): Uint8Array =>
  signature.map((byte, index) => (index === 20 ? byte ^ 0x01 : byte));

/** Everything that makes CDA fail in an answer, and the check that says so. */
const FAILURES: readonly (readonly [RegExp, CombinedChange])[] = [
  [/^combinedData:/, { signature: flip }],
  [/^combinedData:length$/, { signature: (bytes) => bytes.slice(1) }],
  [/^combinedData:length$/, { signature: () => new Uint8Array(0) }],
  [/^combinedData:rsa$/, { signature: (bytes) => new Uint8Array(bytes.length).fill(0xff) }],
  [/^combinedData:hash$/, { unpredictableNumber: '00000000' }],
  [/^combinedData:cryptogramInformationData$/, { signedCid: 0x00 }],
  [/^combinedData:transactionHash$/, { heard: (sent) => sent.map((byte) => byte ^ 1) }],
  [/^combinedData:transactionHash$/, { heard: (sent) => sent.slice(1) }],
  [/^combinedData:dynamicNumber$/, { dynamicData: (right) => `01${right.slice(2)}` }],
  [/^combinedData:dynamicDataLength$/, { dynamicData: (right) => right.slice(0, -2) }],
];
/** Answers without any signature, by type. */
const unsigned = (cid: string): readonly string[] => [
  `8013${cid}0006D1D1D1D1D1D1D1D107010103A0A80001`,
  `77149F2701${cid}9F360200069F2608D1D1D1D1D1D1D1D1`,
  `77099F2701${cid}9F36020006`,
];

test('EMV 4.3 B4 §6.3.2: CDA failed with a TC: declined offline, nothing more is asked', () => {
  const all: readonly (readonly [RegExp, CombinedChange])[] = [
    ...FAILURES,
    ...unsigned('40').map((plain) => [/^combinedData:noSignature$/, { plain }] as const),
  ];
  for (const [why, change] of all) {
    const result = offline([change]);
    assert.match(`${factsOf(result, 'firstGenerateAc')['combined']}`, why);
    assert.deepEqual(result.word, ['declined', 'terminal:CDA'], `${why}`);
    assert.deepEqual(requests(result), ['50']);
    assert.deepEqual([result.tvr, result.tsi], ['0400000000', 'E800'], `${why}`);
    assert.equal(result.outcome.dataAuthentication, 'failed');
    assert.equal(result.outcome.offlineApproval, null);
    assert.equal(value(result, '8A'), toHex(Uint8Array.of(0x5a, 0x31)));
  }
});

test('EMV 4.3 B4 §6.3.2: CDA failed with an ARQC: an AAC at once, nothing goes online', () => {
  const all: readonly (readonly [RegExp, CombinedChange])[] = [
    ...FAILURES,
    ...unsigned('80').map((plain) => [/^combinedData:noSignature$/, { plain }] as const),
  ];
  for (const [why, change] of all) {
    const result = run([change]);
    assert.match(`${factsOf(result, 'firstGenerateAc')['combined']}`, why);
    assert.deepEqual(result.word, ['declined', 'terminal:CDA'], `${why}`);
    assert.deepEqual(requests(result), ['90', '00']);
    const second = { request: 'AAC', result: 'cryptogram' };
    assert.deepEqual(factsOf(result, 'secondGenerateAc'), second);
    assert.equal(result.requests.length, 0);
    assert.equal(result.outcome.online, 'notSent');
    assert.deepEqual([result.tvr, result.tsi], ['0400008000', 'E800'], `${why}`);
    assert.equal(result.outcome.second?.type, 'AAC');
    // CDOL2 tells the card: response code Z1, TVR with CDA failed.
    assert.match(result.wires.at(-1) ?? '', /^80AE00000D5A310400008000/);
  }
});

test('a clear cryptogram beside a signature is not believed: the signed one counts', () => {
  const forged = run([{ objects: (plain) => `${plain}9F2608EEEEEEEEEEEEEEEE` }]);
  assert.equal(toHex(forged.outcome.arqc?.value ?? new Uint8Array(0)), COMBINED_CRYPTOGRAMS[0]);
  const failed = offline([
    { signature: flip, objects: (plain) => `${plain}9F2608EEEEEEEEEEEEEEEE` },
  ]);
  assert.equal(failed.outcome.first?.value.length, 0);
  assert.equal(failed.outcome.values.has('9F26'), false);
});

test('EMV 4.3 B2 §6.6.2 step 10: objects are hashed as they came, lengths in their longer form too', () => {
  const objects = (plain: string): string => `${plain.replace('9F2701', '9F278101')}DF010455667788`;
  const result = run([{ objects }]);
  assert.deepEqual(result.word, ['approved', 'issuer:00']);
  assert.equal(result.outcome.dataAuthentication, 'CDA');
});

test('EMV 4.3 B2 §6.6.2 step 10: what the PDOL asked for is part of the hash', () => {
  const pdol = '9F66049F0206DF6901';
  assert.equal(run([], { card: { pdol } }).outcome.dataAuthentication, 'CDA');
  const deaf = { heard: (sent: Uint8Array) => sent.slice(11) };
  assert.equal(run([deaf], { card: { pdol } }).word[1], 'terminal:CDA');
});

test('EMV 4.3 B4 §6.3.2: CDA failed in the second answer: the TC is no approval', () => {
  for (const [why, change] of FAILURES) {
    const result = run([{}, change]);
    assert.match(`${factsOf(result, 'secondGenerateAc')['combined']}`, why);
    assert.deepEqual(result.word, ['declined', 'terminal:CDA'], `${why}`);
    assert.deepEqual(requests(result), ['90', '50']);
    assert.deepEqual([result.tvr, result.tsi], ['0400008000', 'F800'], `${why}`);
    assert.equal(result.outcome.dataAuthentication, 'failed');
    assert.equal(result.outcome.responseCode, '00');
  }
});

test('EMV 4.3 B2 §6.6.2: the second hash covers CDOL1 and CDOL2', () => {
  const deaf = { heard: (sent: Uint8Array) => sent.slice(0, -13) };
  assert.equal(run([{}, deaf]).word[1], 'terminal:CDA');
});

test('EMV 4.3 B2 §6.6: after a decline the second AAC is asked in clear; Y3 is asked signed', () => {
  const refusal: OnlineAnswer = { result: 'answered', responseCode: '51', scripts: [] };
  const declined = run([], { online: refusal });
  assert.deepEqual(declined.word, ['declined', 'issuer:51']);
  assert.deepEqual(requests(declined), ['90', '00']);
  assert.equal(declined.outcome.dataAuthentication, 'CDA');
  const unable: OnlineAnswer = { result: 'unable' };
  const elements = { '9F0D': '0000000000' };
  const aid = { tacDefault: fromHex('0000000000') };
  const y3 = run([], { online: unable, card: { elements }, change: { aid } });
  assert.deepEqual(y3.word, ['approved', 'terminal:Y3']);
  assert.deepEqual(requests(y3), ['90', '50']);
  const bad = run([{}, { signature: flip }], {
    online: unable,
    card: { elements },
    change: { aid },
  });
  assert.deepEqual(bad.word, ['declined', 'terminal:CDA']);
});

test('EMV 4.3 B4 §6.3.2: a key that fails before GENERATE AC marks TVR and TSI, no CDA is asked', () => {
  const cases: readonly (readonly [TestCardOptions, string, string])[] = [
    [{ iccExpiryMmyy: '1126' }, 'iccCertificate:expired', '0400008000'],
    [{ forged: { '9F46': null } }, 'missing:9F46', '2400008000'],
    [{ forged: { '8F': 'F7' } }, 'caKey:missing', '0400008000'],
  ];
  for (const [card, why, tvr] of cases) {
    const result = run([], { card, change: { aid: { tacDenial: new Uint8Array(5) } } });
    assert.deepEqual(factsOf(result, 'offlineDataAuthentication'), {
      method: 'CDA',
      result: 'failed',
      why,
    });
    assert.deepEqual(requests(result), ['80', '40']);
    assert.equal(result.tvr, tvr);
    assert.equal(result.tsi, 'F800');
    assert.equal(result.outcome.dataAuthentication, 'failed');
    // The issuer decides on the TVR, as after a failed DDA.
    assert.deepEqual(result.word, ['approved', 'issuer:00']);
  }
});

test('a failed key is denied, sent online or not by the action codes', () => {
  const card = { iccExpiryMmyy: '1126' };
  const denied = run([], { card, change: { aid: { tacDenial: fromHex('0400000000') } } });
  assert.deepEqual(denied.word, ['declined', 'terminal:TAC-denial']);
});

test('a card that refuses the signed request ends as without CDA', () => {
  const override: TestCardOptions['override'] = ({ ins }) =>
    ins === 0xae ? answer('', 0x6985) : undefined;
  const result = run([], { card: { override } });
  assert.deepEqual(result.word, ['notAccepted', 'card:GENERATE_AC:6985']);
});
