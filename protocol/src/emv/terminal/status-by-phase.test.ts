/**
 * TVR and TSI after every phase, for named situations. A row lists the phases that change them, as
 * `phase TVR TSI`; every phase reported between must leave both as they were.
 * @see EMV 4.3 B3 §C5, §C6
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { StatusWord } from '../../iso7816/index.ts';
import { answer, testKeyOf } from './card.test-kit.ts';
import type { OnlineAnswer, Phase } from './index.ts';
import { APPROVAL, answering, runCase, type TestCase } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };

const PHASES: Readonly<Record<string, Phase>> = {
  oda: 'offlineDataAuthentication',
  restrictions: 'processingRestrictions',
  cvm: 'cardholderVerification',
  risk: 'terminalRiskManagement',
  first: 'firstGenerateAc',
  online: 'onlineProcessing',
  issuer: 'issuerAuthentication',
  script71: 'scriptsBeforeFinalAc',
  second: 'secondGenerateAc',
  script72: 'scriptsAfterFinalAc',
};

type Row = {
  readonly name: string;
  readonly what?: TestCase;
  readonly steps: readonly string[];
};

const elements = (values: Readonly<Record<string, string | null>>): TestCase => ({
  card: { elements: values },
});
const cvm = (rules: string, more: TestCase = {}): TestCase => ({
  ...more,
  card: { ...more.card, elements: { '8E': `0000000000000000${rules}`, '9F0E': '0000000000' } },
  change: { aid: { floorLimitMinor: 100_000n }, ...more.change },
});
/** A terminal with every PIN; the card refuses the PIN with these words. */
const pin = (rules: string, words: readonly number[], counter = '03'): TestCase => {
  let used = 0;
  const what = cvm(rules, {
    change: {
      aid: { floorLimitMinor: 100_000n },
      terminal: { capabilities: fromHex('E0F8C0') },
    },
    driver: {
      verifyPin: () => {
        used += 1;
        const word = words[used - 1] ?? words.at(-1) ?? 0x9000;
        return { data: new Uint8Array(0), statusWord: StatusWord(word) };
      },
    },
  });
  return { ...what, card: { ...what.card, getData: { '9F17': counter } } };
};
const quiet: NonNullable<TestCase['change']> = { aid: { floorLimitMinor: 100_000n } };
const below = (change: NonNullable<TestCase['change']>, card: TestCase['card'] = {}): TestCase => ({
  card,
  change: { ...quiet, ...change, aid: { ...quiet.aid, ...change.aid } },
});
const velocity = (getData: Readonly<Record<string, string>>): TestCase =>
  below({}, { elements: { '9F14': '02', '9F23': '04' }, getData });
const answered = (scripts: readonly string[], responseCode = '00'): TestCase => ({
  online: { ...APPROVAL, result: 'answered', responseCode, scripts: scripts.map(fromHex) },
});
const SCRIPT = '860F04DA9F790A000000100000A1B2C3D4';
const FAILING = answering(0xda, answer('', 0x6988));
const WORKING = answering(0xda, answer(''));

/** What a plain card at a plain terminal goes through. */
const ODA = 'oda 0000000000 8000';
const CVM = 'cvm 0000000000 C000';
const FLOOR = ['risk 0000008000 C800', 'first 0000008000 E800'];
const PLAIN = [ODA, CVM, ...FLOOR];
const ISSUER = 'issuer 0000008000 F800';
const QUIET_END = ['risk 0000000000 C800', 'first 0000000000 E800', 'issuer 0000000000 F800'];

const ROWS: readonly Row[] = [
  { name: 'a plain card online, approved', steps: [...PLAIN, ISSUER] },
  {
    name: 'SDA',
    what: { card: { aip: '5C00' } },
    steps: [
      'oda 0200000000 8000',
      'cvm 0200000000 C000',
      'risk 0200008000 C800',
      'first 0200008000 E800',
      'issuer 0200008000 F800',
    ],
  },
  {
    name: 'SDA failed',
    what: { card: { aip: '5C00', forged: { '93': '00'.repeat(128) } } },
    steps: [
      'oda 4200000000 8000',
      'cvm 4200000000 C000',
      'risk 4200008000 C800',
      'first 4200008000 E800',
      'issuer 4200008000 F800',
    ],
  },
  {
    name: 'DDA failed',
    what: { card: { signature: (signature) => signature.map((byte) => byte ^ 1) } },
    steps: [
      'oda 0800000000 8000',
      'cvm 0800000000 C000',
      'risk 0800008000 C800',
      'first 0800008000 E800',
      'issuer 0800008000 F800',
    ],
  },
  {
    name: 'DDA without the card certificate: ICC data missing',
    what: { card: { forged: { '9F46': null } } },
    steps: [
      'oda 2800000000 8000',
      'cvm 2800000000 C000',
      'risk 2800008000 C800',
      'first 2800008000 E800',
      'issuer 2800008000 F800',
    ],
  },
  {
    name: 'CDA: marked with the cryptogram, failed without a signature, declined',
    what: {
      card: { aip: '7D00', secondCid: 0x00 },
      change: { terminal: { capabilities: fromHex('E068C8') } },
    },
    steps: ['cvm 0000000000 4000', 'risk 0000008000 4800', 'first 0400008000 E800'],
  },
  {
    name: 'CDA: the key fails before, so that the issuer is asked',
    what: {
      card: { aip: '7D00', forged: { '9F46': null } },
      change: { terminal: { capabilities: fromHex('E068C8') } },
    },
    steps: [
      'oda 2400000000 8000',
      'cvm 2400000000 C000',
      'risk 2400008000 C800',
      'first 2400008000 E800',
      'issuer 2400008000 F800',
    ],
  },
  {
    name: 'no data authentication in common',
    what: { card: { aip: '1C00' } },
    steps: [
      'oda 8000000000 0000',
      'cvm 8000000000 4000',
      'risk 8000008000 4800',
      'first 8000008000 6800',
      'issuer 8000008000 7800',
    ],
  },
  ...(
    [
      ['other application version', '0080', { '9F08': '0020' }],
      ['expired', '0040', { '5F24': '261130' }],
      ['not yet effective', '0020', { '5F25': '270101' }],
      ['service not allowed', '0010', { '9F07': '0000', '9F0E': '0000000000' }],
    ] as const
  ).map(([name, bits, values]) => ({
    name: `restrictions: ${name}`,
    what: { ...elements(values), change: { aid: { tacDenial: new Uint8Array(5) } } },
    steps: [
      ODA,
      `restrictions ${bits}000000 8000`,
      `cvm ${bits}000000 C000`,
      `risk ${bits}008000 C800`,
      `first ${bits}008000 E800`,
      `issuer ${bits}008000 F800`,
    ],
  })),
  {
    name: 'the card knows no cardholder verification',
    what: { card: { aip: '6C00' } },
    steps: [ODA, 'risk 0000008000 8800', 'first 0000008000 A800', 'issuer 0000008000 B800'],
  },
  {
    name: 'no CVM list: ICC data missing, verification not performed',
    what: elements({ '8E': null }),
    steps: [
      ODA,
      'cvm 2000000000 8000',
      'risk 2000008000 8800',
      'first 2000008000 A800',
      'issuer 2000008000 B800',
    ],
  },
  {
    name: 'a CVM list without rules: not performed',
    what: elements({ '8E': '0000000000000000' }),
    steps: [ODA, 'risk 0000008000 8800', 'first 0000008000 A800', 'issuer 0000008000 B800'],
  },
  ...(
    [
      ['signature', '00', cvm('1E00')],
      ['no CVM required', '00', cvm('1F00')],
      ['online PIN', '04', cvm('0200')],
      ['online PIN bypassed', '88', cvm('0200', { driver: { enterPin: () => 'bypassed' } })],
      ['PIN pad broken', '90', cvm('0200', { driver: { enterPin: () => 'unavailable' } })],
      ['unrecognised, then no CVM', '40', cvm('6A001F00')],
      ['unrecognised and no other', 'C0', cvm('2A00')],
      ['fail CVM processing', '80', cvm('00001F00')],
      ['no condition holds', '80', cvm('1F01')],
      ['offline PIN at a terminal without', '10', cvm('41001F00')],
      ['offline PIN right', '00', pin('0100', [0x9000])],
      ['offline PIN right with signature', '00', pin('0300', [0x9000])],
      ['enciphered offline PIN, no challenge', '80', pin('0400', [0x9000])],
      ['offline PIN wrong, then right', '00', pin('0100', [0x63c2, 0x9000])],
      ['offline PIN wrong to the end', 'A0', pin('0100', [0x63c2, 0x63c1, 0x63c0])],
      ['offline PIN blocked, no other', 'A0', pin('0100', [0x6983])],
      ['offline PIN blocked, signature next', '20', pin('41001E00', [0x6984])],
      ['no try left, online PIN next', '24', pin('41004200', [], '00')],
    ] as const
  ).map(([name, byte3, what]) => ({
    name: `verification: ${name}`,
    what,
    steps: [
      ODA,
      `cvm 0000${byte3}0000 C000`,
      `risk 0000${byte3}0000 C800`,
      `first 0000${byte3}0000 E800`,
      `issuer 0000${byte3}0000 F800`,
    ],
  })),
  { name: 'risk: below the floor limit', what: below({}), steps: [ODA, CVM, ...QUIET_END] },
  ...(
    [
      [
        'split sale',
        '0000008000',
        below({ terminal: { amountLog: { amountMinorOf: () => 98_766n } } }),
      ],
      [
        'selected at random',
        '0000001000',
        below({
          aid: {
            randomSelection: {
              targetPercentage: 99,
              maximumTargetPercentage: 99,
              thresholdMinor: 0n,
            },
          },
        }),
      ],
      ['lower limit', '0000004000', velocity({ '9F36': '0007', '9F13': '0004' })],
      ['both limits', '0000006000', velocity({ '9F36': '0009', '9F13': '0004' })],
      ['counters missing', '2000006000', velocity({})],
      ['counter behind the register', '0000006000', velocity({ '9F36': '0003', '9F13': '0004' })],
      ['new card', '0008000000', velocity({ '9F36': '0001', '9F13': '0000' })],
      ['new card without counter', '2008006000', velocity({ '9F13': '0000' })],
      ['forced online', '0000000800', below({ input: { forceOnline: true } })],
      [
        'on the exception file',
        '1000000000',
        below({ terminal: { isOnExceptionFile: () => true } }),
      ],
    ] as const
  ).map(([name, tvr, what]) => ({
    name: `risk: ${name}`,
    what,
    steps: [ODA, CVM, `risk ${tvr} C800`, `first ${tvr} E800`, `issuer ${tvr} F800`],
  })),
  {
    name: 'risk: not wanted by the card, the exception file and the merchant count all the same',
    what: below(
      { input: { forceOnline: true }, terminal: { isOnExceptionFile: () => true } },
      { aip: '7400' },
    ),
    steps: [ODA, CVM, 'risk 1000000800 C000', 'first 1000000800 E000', 'issuer 1000000800 F000'],
  },
  {
    name: 'offline approval: card risk management, nothing after',
    what: below({}, { firstCid: 0x40 }),
    steps: [ODA, CVM, 'risk 0000000000 C800', 'first 0000000000 E800'],
  },
  { name: 'the card declines', what: { card: { firstCid: 0x00 } }, steps: PLAIN },
  {
    name: 'default TDOL',
    what: elements({ '8C': '9F02069505981437049F3704' }),
    steps: [ODA, CVM, 'risk 0000008000 C800', 'first 0000008080 E800', 'issuer 0000008080 F800'],
  },
  { name: 'unable to go online', what: { online: { result: 'unable' } }, steps: PLAIN },
  {
    name: 'open request',
    what: { online: { result: 'unknown' }, card: { secondCid: 0 } },
    steps: PLAIN,
  },
  {
    name: 'no issuer authentication data',
    what: { online: { result: 'answered', responseCode: '00', scripts: [] } },
    steps: PLAIN,
  },
  {
    name: 'issuer authentication failed',
    what: { card: answering(0x82, answer('', 0x6300)) },
    steps: [...PLAIN, 'issuer 0000008040 F800'],
  },
  {
    name: 'issuer authentication data of a wrong length: failed, not performed',
    what: { online: { ...APPROVAL, issuerAuthenticationData: new Uint8Array(17) } as OnlineAnswer },
    steps: [...PLAIN, 'issuer 0000008040 E800'],
  },
  {
    name: 'issuer authentication in the second GENERATE AC',
    what: { card: { aip: '7800', elements: { '8D': '91088A0295059B02' } } },
    steps: PLAIN,
  },
  {
    name: 'script 71',
    what: { ...answered([`7111${SCRIPT}`]), card: WORKING },
    steps: [...PLAIN, ISSUER, 'script71 0000008000 FC00'],
  },
  {
    name: 'script 71 fails',
    what: { ...answered([`7111${SCRIPT}`]), card: FAILING },
    steps: [...PLAIN, ISSUER, 'script71 0000008020 FC00'],
  },
  {
    name: 'script 72',
    what: { ...answered([`7211${SCRIPT}`]), card: WORKING },
    steps: [...PLAIN, ISSUER, 'script72 0000008000 FC00'],
  },
  {
    name: 'script 72 fails',
    what: { ...answered([`7211${SCRIPT}`]), card: FAILING },
    steps: [...PLAIN, ISSUER, 'script72 0000008010 FC00'],
  },
  {
    name: 'scripts 71 and 72 fail after a decline and a failed issuer authentication',
    what: {
      ...answered([`7111${SCRIPT}`, `7211${SCRIPT}`], '51'),
      card: {
        secondCid: 0x00,
        override: ({ ins }) =>
          ins === 0xda || ins === 0x82 ? answer('', ins === 0x82 ? 0x6300 : 0x6988) : undefined,
      },
    },
    steps: [
      ...PLAIN,
      'issuer 0000008040 F800',
      'script71 0000008060 FC00',
      'script72 0000008070 FC00',
    ],
  },
  {
    name: 'everything that can go wrong at once',
    what: {
      card: {
        signature: (signature) => concatBytes(signature.slice(1), Uint8Array.of(1)),
        elements: {
          '9F08': '0020',
          '9F07': '0000',
          '5F24': '261130',
          '5F25': '270101',
          '8E': '00000000000000004A000200',
          '9F14': '00',
          '9F23': '00',
          '9F0E': '0000000000',
        },
        getData: { '9F13': '0000' },
        override: answering(0x82, answer('', 0x6300)).override ?? (() => undefined),
      },
      change: {
        aid: { tacDenial: new Uint8Array(5) },
        input: { forceOnline: true },
        terminal: { isOnExceptionFile: () => true },
      },
      driver: { enterPin: () => 'bypassed' },
    },
    steps: [
      'oda 0800000000 8000',
      'restrictions 08F0000000 8000',
      'cvm 08F0C80000 C000',
      'risk 38F8C8E800 C800',
      'first 38F8C8E800 E800',
      'issuer 38F8C8E840 F800',
    ],
  },
];

for (const { name, what = {}, steps } of ROWS) {
  test(`TVR and TSI by phase: ${name}`, () => {
    const { phases, outcome } = runCase({ ciphers: nodeCiphers, keys: KEYS }, what);
    const changes = new Map(
      steps.map((step) => {
        const [phase = '', tvr = '', tsi = ''] = step.split(' ');
        return [PHASES[phase], `${tvr} ${tsi}`] as const;
      }),
    );
    let expected = '0000000000 0000';
    for (const { phase, tvr, tsi } of phases) {
      expected = changes.get(phase) ?? expected;
      changes.delete(phase);
      assert.equal(`${toHex(tvr)} ${toHex(tsi)}`, expected, phase);
    }
    assert.deepEqual([...changes.keys()], [], 'phases that never came');
    assert.equal(`${toHex(outcome.tvr)} ${toHex(outcome.tsi)}`, expected, 'outcome');
  });
}

test('the table has its forty situations, each with its own name', () => {
  assert.ok(ROWS.length >= 40);
  assert.equal(new Set(ROWS.map(({ name }) => name)).size, ROWS.length);
});
