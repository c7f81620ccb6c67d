/** Shows cryptograms, responses to them and script MACs against published values, right and wrong. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { fromHex, toHex } from '../bytes/index.ts';
import {
  deriveSm4IccMasterKey,
  deriveSm4SessionKey,
  sm4ApplicationCryptogram,
} from '../crypto/index.ts';
import type { CryptogramFacts, ScriptFacts } from './facts.ts';
import { ExplainError, type Explanation, explain } from './index.ts';

/** The published PBOC message (vectors/pboc/cvn01.json). */
const PBOC = {
  imk_ac: 'F0C34A8124CEE0A91A0B034AA97D6EAC',
  pan: '6228000100001',
  psn: '01',
  '9F26': '5D016C91005E7CC2',
  '9F10': '07000103A04002010A010000001000D1F61152',
  '9F37': '1E78EEBC',
  '9F36': '0240',
  '95': '0080046000',
  '9A': '140701',
  '9C': '00',
  '9F02': '000000000001',
  '5F2A': '0156',
  '82': '7D00',
  '9F1A': '0156',
  '9F03': '000000000000',
  arc: '01',
};
const read = (input: Readonly<Record<string, string>>): Explanation =>
  explain(nodeCiphers, JSON.stringify(input));
const factsOf = (input: Readonly<Record<string, string>>): CryptogramFacts => {
  const explanation = read(input);
  assert.equal(explanation.kind, 'cryptogram');
  return explanation.facts as unknown as CryptogramFacts;
};
const isCode = (wanted: string, name: string) => (thrown: unknown) =>
  thrown instanceof ExplainError && thrown.code === wanted && thrown.data['name'] === name;

test('PBOC CVN 01: card key, session key, input, ARQC and ARPC of the published message', () => {
  const facts = factsOf(PBOC);
  assert.deepEqual(
    [facts.iccMasterKey, facts.sessionKey, facts.verified, facts.arpc],
    [
      '014D996FCC8F49157DC8B49E3BCDFD99',
      'D4102725E6E5AD329E55AAB50BF23DA9',
      true,
      '21415243527CE78F',
    ],
  );
  assert.equal(facts.iad?.discretionary?.balanceMinor, '1000');
  assert.equal(read(PBOC).checks[0]?.steps.length, 5);
});

test('the same with one thing changed is found wrong, and says what would be right', () => {
  const changes: readonly Readonly<Record<string, string>>[] = [
    { '9F02': '000000000002' },
    { '9F36': '0241' },
    { psn: '02' },
    { pan: '6228000100002' },
    { '95': '0080046001' },
    { imk_ac: 'F0C34A8124CEE0A91A0B034AA97D6EAF' },
    { '9F26': '5D016C91005E7CC3' },
    { '9F10': '07000103A04003010A010000001000D1F61152' },
  ];
  for (const change of changes) {
    const explanation = read({ ...PBOC, ...change });
    assert.equal(explanation.checks[0]?.result, 'failed', JSON.stringify(change));
    assert.ok(explanation.findings.some((found) => found.code === 'CRYPTOGRAM_WRONG'));
  }
});

test('a given ARPC is verified, by 91 too', () => {
  assert.equal(factsOf({ ...PBOC, '91': '21415243527CE78F3031' }).arpcVerified, true);
  assert.equal(factsOf({ ...PBOC, '91': '21415243527CE78E3031' }).arpcVerified, false);
  assert.equal(factsOf({ ...PBOC, arc: '3031' }).arpc, '21415243527CE78F');
});

test('from the card key or the session key as well as from the master key', () => {
  const { imk_ac: _, ...rest } = PBOC;
  assert.equal(factsOf({ ...rest, udk: '014D996FCC8F49157DC8B49E3BCDFD99' }).verified, true);
  assert.equal(factsOf({ ...rest, sk_ac: 'D4102725E6E5AD329E55AAB50BF23DA9' }).verified, true);
});

test('Visa CVN 10 has no session key and pads with zeros (vectors/emv/cryptograms.json)', () => {
  const { '9F10': _, '9F26': __, ...rest } = PBOC;
  const facts = factsOf({
    ...rest,
    imk_ac: '0123456789ABCDEFFEDCBA9876543210',
    pan: '1234567890123456',
    psn: '00',
    cvr: '03A06010',
    '9F02': '000000004000',
    '9F1A': '0124',
    '95': '8000048000',
    '5F2A': '0124',
    '9A': '191105',
    '9C': '01',
    '9F37': '52BF4585',
    '82': '1800',
    '9F36': '001C',
    arc: '00',
  });
  assert.deepEqual(
    [facts.cryptogram, facts.arpc, facts.sessionKeyMethod, facts.iccMasterKeyKcv],
    ['29CCA15AE665FA2E', '28993816AFAE4AEB', 'none', 'BAB02F5C'],
  );
});

test('CVN 18: EMV common session key, the whole 9F10, and ARPC by method 2 of 4 bytes', () => {
  const iad = '06011203A0B800';
  const facts = factsOf({ ...PBOC, '9F10': iad, csu: '00000000' });
  assert.deepEqual(
    [facts.sessionKeyMethod, facts.arpcMethod, facts.arpc?.length],
    ['EMV common', 2, 8],
  );
  assert.ok(facts.macInput.endsWith(iad));
});

test('SM4 by the algorithm byte of 9F10 (PBOC3 P17)', () => {
  const iad = '07000103A0400204';
  const master = fromHex(PBOC.imk_ac);
  const udk = deriveSm4IccMasterKey(nodeCiphers, master, {
    pan: PBOC.pan,
    panSequenceNumber: '01',
  });
  const key = deriveSm4SessionKey(nodeCiphers, udk, fromHex('0240'));
  const facts = factsOf({ ...PBOC, '9F10': iad });
  const input = fromHex(facts.macInput);
  assert.equal(facts.cryptogram, toHex(sm4ApplicationCryptogram(nodeCiphers, key, input)));
  assert.equal(facts.algorithm, 'SM4');
});

test('what is needed and missing, or has a wrong form, is named', () => {
  const { '9F02': _, ...withoutAmount } = PBOC;
  assert.throws(() => read(withoutAmount), isCode('ERR_EXPLAIN_MISSING', '9F02'));
  const { pan: __, ...withoutPan } = PBOC;
  assert.throws(() => read(withoutPan), isCode('ERR_EXPLAIN_MISSING', 'pan'));
  assert.throws(() => read({ ...PBOC, imk_ac: 'AABB' }), isCode('ERR_EXPLAIN_VALUE', 'imk_ac'));
  assert.throws(() => read({ ...PBOC, '9F36': '02' }), isCode('ERR_EXPLAIN_VALUE', '9F36'));
  assert.throws(() => read({ ...PBOC, cvn: '77' }), isCode('ERR_EXPLAIN_VALUE', 'cvn'));
});

/** The regression value of a load (vectors/pboc/script-mac.json). */
const LOAD = {
  script: '721C9F180400000001861404DA9F790A000000002000612B2F69'
    .replace('721C', '7218')
    .replace('8614', '860F'),
  imk_mac: '12B1AC4AF070CC35612BFE2D30AB600D',
  pan: '6228000100001',
  psn: '01',
  atc: '0240',
  arqc: '5D016C91005E7CC2',
};
const script = (input: Readonly<Record<string, string>>): ScriptFacts =>
  explain(nodeCiphers, JSON.stringify(input), { as: 'script' }).facts as unknown as ScriptFacts;

test('a script: template, identifier, PUT DATA of the e-cash balance, its MAC (PBOC3 P13)', () => {
  const facts = script(LOAD);
  const [command] = facts.commands;
  assert.deepEqual([facts.template, facts.identifier, command?.tag], ['72', '00000001', '9F79']);
  assert.deepEqual(
    [command?.amountMinor, command?.mac, command?.macVerified],
    ['2000', '612B2F69', true],
  );
  assert.equal(command?.macInput, '04DA9F790A02405D016C91005E7CC2000000002000');
});

test('a script with another amount, ATC or key is found wrong; without keys its input is still shown', () => {
  const other = { ...LOAD, script: LOAD.script.replace('000000002000', '000000003000') };
  assert.equal(script(other).commands[0]?.macVerified, false);
  assert.equal(script({ ...LOAD, atc: '0241' }).commands[0]?.macVerified, false);
  const { imk_mac: _, atc: __, arqc: ___, ...bare } = LOAD;
  assert.equal(script(bare).commands[0]?.macInput, '04DA9F790A‖ATC‖AC‖000000002000');
  assert.equal(explain(nodeCiphers, LOAD.script).kind, 'script');
});
