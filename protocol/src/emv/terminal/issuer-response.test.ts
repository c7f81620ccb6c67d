/** What the issuer sends for the card: EXTERNAL AUTHENTICATE and scripts, with TVR byte 5 and TSI. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { answer, type TestCardOptions, testKeyOf } from './card.test-kit.ts';
import type { OnlineAnswer } from './index.ts';
import { APPROVAL, answering, type CaseRun, runCase, type TestCase } from './kernel.test-kit.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const KEYS = { ca: KEY, issuer: KEY, icc: KEY };
const run = (what: TestCase): CaseRun => runCase({ ciphers: nodeCiphers, keys: KEYS }, what);

const approvedBy = (responseCode: string, scripts: readonly string[] = []): OnlineAnswer => ({
  ...APPROVAL,
  result: 'answered',
  responseCode,
  scripts: scripts.map(fromHex),
});

const COMMAND = '04DA9F790A000000100000A1B2C3D4';
const script = (tag: string, body: string): string =>
  `${tag}${(body.length / 2).toString(16).padStart(2, '0').toUpperCase()}${body}`;
const command86 = (apdu = COMMAND): string => script('86', apdu);

test('EMV 4.3 B3 §10.9: 6300 to EXTERNAL AUTHENTICATE is TVR 40 in byte 5, TSI 10', () => {
  for (const statusWord of [0x6300, 0x6700, 0x6985]) {
    const { tvr, tsi, outcome, word } = run({ card: answering(0x82, answer('', statusWord)) });
    assert.deepEqual([tvr, tsi], ['0000008040', 'F800']);
    assert.equal(outcome.issuerAuthentication, 'failed');
    assert.deepEqual(word, ['approved', 'issuer:00']);
  }
});

test('issuer authentication: none sent, not supported, wrong length', () => {
  const none = run({ online: { result: 'answered', responseCode: '00', scripts: [] } });
  assert.deepEqual(
    [none.tvr, none.tsi, none.outcome.issuerAuthentication],
    ['0000008000', 'E800', 'notPerformed'],
  );
  const unsupported = run({ card: { aip: '7800' } });
  assert.ok(!unsupported.commands.some(({ ins }) => ins === 0x82));
  assert.deepEqual([unsupported.tvr, unsupported.tsi], ['0000008000', 'E800']);
  for (const length of [7, 17]) {
    const online: OnlineAnswer = {
      result: 'answered',
      responseCode: '00',
      scripts: [],
      issuerAuthenticationData: new Uint8Array(length),
    };
    const { tvr, commands } = run({ online });
    assert.equal(tvr, '0000008040');
    assert.ok(!commands.some(({ ins }) => ins === 0x82));
  }
});

test('EMV 4.3 B3 §10.10: 71 runs before, 72 after the second GENERATE AC', () => {
  const online = approvedBy('00', [
    script('71', `9F180401020304${command86('8424000008A1B2C3D4A1B2C3D4')}`),
    script('72', `9F180405060708${command86()}`),
  ]);
  const card: TestCardOptions = {
    override: ({ ins }) => (ins === 0xda || ins === 0x24 ? answer('') : undefined),
  };
  const { commands, outcome, tvr, tsi, phases } = run({ online, card });
  assert.deepEqual(
    commands.slice(-4).map(({ ins }) => ins),
    [0x82, 0x24, 0xae, 0xda],
  );
  assert.deepEqual(outcome.scriptResults.map(toHex), ['2001020304', '2005060708']);
  assert.equal(toHex(outcome.values.get('DF31') ?? new Uint8Array(0)), '20010203042005060708');
  assert.deepEqual([tvr, tsi], ['0000008000', 'FC00']);
  assert.ok(phases.some(({ phase }) => phase === 'scriptsAfterFinalAc'));
});

test('EMV 4.3 B3 §10.10: a failing command stops its script: TVR 20 before, 10 after', () => {
  const two = command86() + command86();
  const sixth = answering(0xda, answer('', 0x6988), 2);
  const before = run({
    online: approvedBy('00', [script('71', two)]),
    card: {
      override: (command, index) =>
        sixth.override?.(command, index) ?? (command.ins === 0xda ? answer('', 0x6310) : undefined),
    },
  });
  assert.equal(before.tvr, '0000008020');
  assert.deepEqual(before.outcome.scriptResults.map(toHex), ['1200000000']);
  const after = run({
    online: approvedBy('00', [script('72', two), script('72', command86())]),
    card: answering(0xda, answer('', 0x6987)),
  });
  assert.equal(after.tvr, '0000008010');
  assert.deepEqual(after.outcome.scriptResults.map(toHex), ['1100000000', '1100000000']);
  // The word on the payment stays the card's.
  assert.deepEqual(after.word, ['approved', 'issuer:00']);
});

test('a script that cannot be read is "not performed" and its TVR bit', () => {
  const cases = [
    '71',
    '7103860502',
    script('71', '9F180401020304'),
    script('71', command86('0400')),
    '8A023030',
    '',
  ];
  for (const text of cases) {
    const { tvr, outcome, word } = run({ online: approvedBy('00', [text]) });
    assert.equal(tvr, '0000008020', text);
    assert.equal(toHex(outcome.scriptResults[0] ?? new Uint8Array(0)).slice(0, 2), '00', text);
    assert.deepEqual(word, ['approved', 'issuer:00']);
  }
});
