/**
 * A hostile card from cardholder verification to the last script: each status word, length
 * and counter at VERIFY, GET CHALLENGE, GET DATA, EXTERNAL AUTHENTICATE, GENERATE AC and scripts, and
 * any cardholder. It ends in an outcome or a coded fault, in bounded steps; TVR and TSI only grow.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { encodeTlv, type ResponseApdu, StatusWord } from '../../iso7816/index.ts';
import { testKeyOf } from './card.test-kit.ts';
import { COMMANDS_MAX, KernelError, type OnlineAnswer, type PinEntry } from './index.ts';
import { type CaseRun, runCase } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
/** Commands, and phases and questions beside them. */
const STEPS_MAX = COMMANDS_MAX + 100;
/** INS of the commands that are answered at will; 1E, 24, DA are those of the scripts. */
const WILD = [0x84, 0xca, 0x82, 0x1e, 0x24, 0xda];

const statusWord = fc
  .oneof(
    fc.constantFrom(0x9000, 0x9000, 0x63c0, 0x63c1, 0x63cf, 0x6983, 0x6984, 0x6a88),
    fc.integer({ min: 0x6100, max: 0x61ff }),
    fc.integer({ min: 0x6000, max: 0x6fff }),
    fc.integer({ min: 0x9000, max: 0x9fff }),
  )
  .map((value) => StatusWord(value));
const counter = fc
  .tuple(fc.constantFrom('9F17', '9F36', '9F13'), fc.uint8Array({ maxLength: 3 }))
  .map(([tag, value]) => encodeTlv(tag, value));
const response: fc.Arbitrary<ResponseApdu> = fc.record({
  data: fc.oneof(counter, fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.uint8Array()),
  statusWord,
});
const SCRIPTS = [
  '7112860484240000860A841E000005A1B2C3D4A1',
  '7109860784240000' + '02A1B2',
  '720B9F1804010203048602841E',
  '7206860484DA0000',
];
const online: fc.Arbitrary<OnlineAnswer> = fc.oneof(
  fc.constantFrom<OnlineAnswer>({ result: 'unable' }, { result: 'unknown' }),
  fc.record({
    result: fc.constant('answered' as const),
    responseCode: fc.constantFrom('00', '01', '51'),
    issuerAuthenticationData: fc.uint8Array({ maxLength: 20 }),
    scripts: fc.array(fc.constantFrom(...SCRIPTS.map((script) => fromHex(script))), {
      maxLength: 4,
    }),
  }),
);
const scene = fc.record({
  rules: fc
    .array(fc.tuple(fc.nat(0x7f), fc.nat(0x0a)), { maxLength: 8 })
    .map((rules) => toHex(Uint8Array.from(rules.flat()))),
  answers: fc.array(response, { minLength: 1, maxLength: 12 }),
  entries: fc.array(
    fc.constantFrom<PinEntry>('entered', 'entered', 'entered', 'bypassed', 'unavailable'),
    { minLength: 1, maxLength: 5 },
  ),
  firstCid: fc.constantFrom(0x80, 0x80, 0x40, 0x00, 0x0b, 0xc0),
  secondCid: fc.nat(0xff),
  isBelow: fc.boolean(),
  online,
});

type Scene = typeof scene extends fc.Arbitrary<infer Value> ? Value : never;

function play(what: Scene): { readonly run: CaseRun; readonly asked: number } | KernelError {
  let given = 0;
  let asked = 0;
  const next = (): ResponseApdu => {
    given += 1;
    const answer = what.answers[given % what.answers.length];
    return answer ?? { data: new Uint8Array(0), statusWord: StatusWord(0x9000) };
  };
  try {
    const run = runCase(
      { ciphers: nodeCiphers, keys: KEYS },
      {
        card: {
          firstCid: what.firstCid,
          secondCid: what.secondCid,
          elements: { '8E': `000004D2000007D0${what.rules}`, '9F14': '01', '9F23': '02' },
          override: ({ ins }) => (WILD.includes(ins) ? next() : undefined),
        },
        change: {
          aid: { floorLimitMinor: what.isBelow ? 100_000n : 0n },
          terminal: { capabilities: fromHex('E0F8C0') },
        },
        online: what.online,
        driver: {
          enterPin: () => {
            asked += 1;
            return what.entries[asked % what.entries.length] ?? 'entered';
          },
          verifyPin: next,
        },
      },
    );
    return { run, asked };
  } catch (fault) {
    if (fault instanceof KernelError) return fault;
    throw fault;
  }
}

function assertGrows(values: readonly Uint8Array[]): void {
  values.reduce((before, after) => {
    const isKept = before.every((byte, at) => ((after[at] ?? 0) & byte) === byte);
    assert.ok(isKept, `${toHex(before)} lost a bit in ${toHex(after)}`);
    return after;
  });
}

test('any answers from verification to the last script end bounded, and TVR and TSI only grow', () => {
  let outcomes = 0;
  fc.assert(
    fc.property(scene, (what) => {
      const result = play(what);
      if (result instanceof KernelError) {
        assert.match(result.code, /^ERR_CARD_/);
        return;
      }
      outcomes += 1;
      const { run, asked } = result;
      assert.ok(run.steps <= STEPS_MAX, `${run.steps} steps`);
      // Eight rules, sixteen tries each at the very most.
      assert.ok(asked <= 8 * 16, `${asked} PINs asked`);
      assert.ok(!run.outcome.reason.includes('ERR_INTERNAL'));
      assertGrows([...run.phases.map(({ tvr }) => tvr), run.outcome.tvr]);
      assertGrows([...run.phases.map(({ tsi }) => tsi), run.outcome.tsi]);
      const { outcome } = run.outcome;
      const last = run.outcome.second ?? run.outcome.first;
      if (outcome === 'approved') assert.equal(last?.type, 'TC');
      if (run.outcome.offlineApproval !== null) assert.equal(outcome, 'approved');
    }),
    { numRuns: 200 },
  );
  assert.ok(outcomes > 80, `${outcomes} of them came to an outcome`);
});

test('a card that says 63CF to every PIN for ever is left after two', () => {
  const word = { data: new Uint8Array(0), statusWord: StatusWord(0x63cf) };
  const result = play({
    rules: '0100',
    answers: [word],
    entries: ['entered'],
    firstCid: 0x80,
    secondCid: 0x40,
    isBelow: false,
    online: { result: 'unable' },
  });
  assert.ok(!(result instanceof KernelError));
  assert.equal(result.asked, 2);
});
