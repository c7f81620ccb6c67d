/**
 * Shows certificates and signatures that we issue ourselves, RSA and SM2, alone and opened, and that
 * every changed byte is found by the check that covers it.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { fromHex, toHex } from '../bytes/index.ts';
import { rsaRaw } from '../crypto/index.ts';
import { KEYS } from '../emv/icc/icc.test-kit.ts';
import {
  issueIccCertificate,
  issueIssuerCertificate,
  signStaticData,
} from '../emv/issuer/index.ts';
import type { CertificateFacts } from './facts.ts';
import { ExplainError, type Explanation, explain } from './index.ts';

const PAN = '6299990000000009';
const STATIC_DATA = '5A0862999900000000095F2403311231';
const ISSUER = issueIssuerCertificate(nodeCiphers, {
  caKey: KEYS.ca,
  issuerKey: KEYS.issuer,
  issuerIdentifier: '62999900',
  expiryMmyy: '1230',
  serialNumber: Uint8Array.of(0, 0, 7),
});
const ICC = issueIccCertificate(nodeCiphers, {
  issuerKey: KEYS.issuer,
  iccKey: KEYS.icc,
  pan: PAN,
  expiryMmyy: '0631',
  serialNumber: Uint8Array.of(0, 0, 8),
  staticData: fromHex(STATIC_DATA),
});
const SIGNED = signStaticData(nodeCiphers, {
  issuerKey: KEYS.issuer,
  dataAuthenticationCode: fromHex('ABCD'),
  staticData: fromHex(STATIC_DATA),
});
const INPUT: Readonly<Record<string, string>> = {
  capk_rid: 'A000000333',
  capk_index: 'F0',
  capk_modulus: toHex(KEYS.ca.modulus),
  capk_exponent: toHex(KEYS.ca.publicExponent),
  '90': toHex(ISSUER.certificate),
  '92': toHex(ISSUER.remainder),
  '9F32': toHex(KEYS.issuer.publicExponent),
  '9F46': toHex(ICC.certificate),
  '9F48': toHex(ICC.remainder),
  '9F47': toHex(KEYS.icc.publicExponent),
  '93': toHex(SIGNED),
  '5A': PAN,
  static_data: STATIC_DATA,
};
const read = (change: Readonly<Record<string, string>> = {}): Explanation =>
  explain(nodeCiphers, JSON.stringify({ ...INPUT, ...change }));
const factsOf = (explanation: Explanation): CertificateFacts =>
  explanation.facts as unknown as CertificateFacts;
const verdicts = (explanation: Explanation): Readonly<Record<string, string>> =>
  Object.fromEntries(explanation.checks.map(({ name, result }) => [name, result]));
/** The last failed step of a check, in words. */
const failedAt = (explanation: Explanation, name: string): string | undefined =>
  explanation.checks
    .find((check) => check.name === name)
    ?.steps.find((step) => step.value === 'failed')?.nameEn;

test('the whole chain: fields, keys, hashes and a verdict for each link (EMV 4.3 B2 §5, §6)', () => {
  const explanation = read();
  assert.equal(explanation.kind, 'certificate');
  assert.deepEqual(verdicts(explanation), {
    issuerCertificate: 'passed',
    iccCertificate: 'passed',
    staticSignature: 'passed',
  });
  const { issuer, icc, staticData, valid } = factsOf(explanation);
  assert.equal(valid, true);
  assert.deepEqual(
    [issuer?.subject, issuer?.serial, issuer?.validThrough],
    ['62999900', '000007', '2030-12-31'],
  );
  assert.equal(issuer?.publicKey, toHex(KEYS.issuer.modulus));
  assert.deepEqual([icc?.subject, icc?.validThrough], [`${PAN}FFFF`, '2031-06-30']);
  assert.equal(icc?.publicKey, toHex(KEYS.icc.modulus));
  assert.equal(staticData?.dataAuthenticationCode, 'ABCD');
});

test('a changed part fails at the step that covers it', () => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, string, string])[] = [
    [{ '92': flip(INPUT['92']) }, 'issuerCertificate', 'hash matches'],
    [{ '90': (INPUT['90'] ?? '').slice(2) }, 'issuerCertificate', 'as long as the signing key'],
    [{ '5A': '6288880000000009' }, 'issuerCertificate', 'issuer identifier begins the PAN'],
    [{ static_data: flip(STATIC_DATA) }, 'iccCertificate', 'hash matches'],
    [{ static_data: flip(STATIC_DATA) }, 'staticSignature', 'hash matches'],
    [{ date: '2031-01-01' }, 'issuerCertificate', 'not expired'],
  ];
  for (const [change, name, step] of cases) {
    const explanation = read(change);
    assert.equal(failedAt(explanation, name), step, JSON.stringify(change).slice(0, 40));
    assert.equal(factsOf(explanation).valid, false);
  }
});

test('a flipped bit in a certificate or signature fails, at whichever step the noise meets first', () => {
  const cases = [
    ['90', 'issuerCertificate'],
    ['9F46', 'iccCertificate'],
    ['93', 'staticSignature'],
  ] as const;
  for (const [tag, name] of cases) {
    const explanation = read({ [tag]: flip(INPUT[tag]) });
    assert.equal(verdicts(explanation)[name], 'failed');
    assert.notEqual(failedAt(explanation, name), undefined);
  }
});

test('an RSA certificate that begins with a format byte of SM2 stays one of RSA', () => {
  const certificate = `14${(INPUT['90'] ?? '').slice(2)}`;
  const explanation = read({ '90': certificate });
  assert.equal(factsOf(explanation).issuer?.algorithm, 'RSA');
});

test('a certificate is valid to the last day of its month (EMV 4.3 B2 §5.3 step 9)', () => {
  assert.equal(factsOf(read({ date: '2030-12-31' })).issuer?.expired, false);
  assert.equal(factsOf(read({ date: '20310101' })).issuer?.expired, true);
  assert.equal(factsOf(read()).issuer?.expired, null);
});

test('what was not given is not judged: no PAN, no date, no static data, no CA key', () => {
  const { '5A': _, static_data: __, ...rest } = INPUT;
  const explanation = explain(nodeCiphers, JSON.stringify(rest));
  assert.equal(verdicts(explanation)['iccCertificate'], 'notPossible');
  const steps = explanation.checks[0]?.steps.filter((step) => step.value === 'notPossible');
  assert.deepEqual(
    steps?.map((step) => step.nameEn),
    ['issuer identifier begins the PAN', 'not expired', 'not revoked'],
  );
  const { capk_modulus: ___, ...unknown } = INPUT;
  assert.equal(
    verdicts(explain(nodeCiphers, JSON.stringify(unknown)))['issuerCertificate'],
    'notPossible',
  );
});

test('an opened block shows its fields, and that its key is not complete', () => {
  const opened = toHex(rsaRaw(KEYS.ca.modulus, KEYS.ca.publicExponent, ISSUER.certificate));
  const whole = explain(nodeCiphers, opened);
  assert.equal(whole.kind, 'certificate');
  assert.equal(factsOf(whole).issuer?.serial, '000007');
  assert.deepEqual(verdicts(whole), { hash: 'notPossible' });
  const icc = toHex(rsaRaw(KEYS.issuer.modulus, KEYS.issuer.publicExponent, ICC.certificate));
  const { icc: fact } = factsOf(explain(nodeCiphers, icc));
  assert.deepEqual([fact?.keyComplete, fact?.remainderNeededBytes], [false, ICC.remainder.length]);
});

test('SM2 certificates are clear data and a signature; RSA is not tried (PBOC3 P17)', () => {
  const sm = `14${PAN}FFFF1230000009040011 40${'11'.repeat(64)}${'22'.repeat(64)}`.replace(
    /\s/g,
    '',
  );
  const explanation = explain(nodeCiphers, sm);
  assert.equal(explanation.kind, 'certificate');
  const { icc } = factsOf(explanation);
  assert.deepEqual(
    [icc?.algorithm, icc?.subject, icc?.curveParameter, icc?.valid],
    ['SM2', `${PAN}FFFF`, '11', false],
  );
  assert.ok(explanation.findings.some((found) => found.code === 'SM_NOT_RSA'));
});

test('no certificate at all is a coded error', () => {
  assert.throws(
    () => explain(nodeCiphers, '9F0206000000005100', { as: 'certificate' }),
    (thrown) => thrown instanceof ExplainError && thrown.code === 'ERR_EXPLAIN_FORMAT',
  );
});

/** The last byte another. */
function flip(hex = ''): string {
  const last = Number.parseInt(hex.slice(-2), 16) ^ 1;
  return hex.slice(0, -2) + last.toString(16).padStart(2, '0').toUpperCase();
}
