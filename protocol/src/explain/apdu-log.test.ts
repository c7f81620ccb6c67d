/**
 * Shows that a session is told as a transaction: our own card's contact and contactless sessions
 * verified to the last signature, changed ones found wrong, and what a terminal must send next.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import type { ApduLogFacts } from './facts.ts';
import { ExplainError, type Explanation, explain } from './index.ts';
import {
  contactSession,
  logOf,
  type Recorded,
  SESSION_KEYS,
  tapSession,
} from './session.test-kit.ts';

const read = (text: string, keys: Readonly<Record<string, string>> = {}): Explanation =>
  explain(nodeCiphers, text, { as: 'apduLog', keys });
const factsOf = (text: string): ApduLogFacts => read(text).facts as unknown as ApduLogFacts;
const verdicts = (explanation: Explanation): Readonly<Record<string, string>> =>
  Object.fromEntries(explanation.checks.map(({ name, result }) => [name, result]));
const codesOf = (explanation: Explanation): readonly string[] =>
  explanation.findings.map((found) => found.code);
/** The session with one answer changed. */
const changed = (
  session: readonly Recorded[],
  which: RegExp,
  change: (response: string) => string,
): string =>
  logOf(
    session.map((each) =>
      which.test(each.command) ? { ...each, response: change(each.response) } : each,
    ),
  );

const DDA = contactSession('DDA');
const CDA = contactSession('CDA');
const TAP = tapSession();

test('a contact session with DDA: certificates, signature, both cryptograms, ARPC and script MAC', () => {
  const explanation = explain(nodeCiphers, logOf(DDA), { keys: SESSION_KEYS });
  assert.equal(explanation.kind, 'apduLog');
  assert.deepEqual(verdicts(explanation), {
    issuerCertificate: 'passed',
    iccCertificate: 'passed',
    dynamicSignature: 'passed',
    cryptogram1: 'passed',
    arpc1: 'passed',
    cryptogram2: 'passed',
    scriptMac1: 'passed',
  });
  const facts = explanation.facts as unknown as ApduLogFacts;
  assert.deepEqual(
    [facts.outcome, facts.selectedAid, facts.dataAuthentication.method],
    ['approved', 'A000000333010101', 'DDA'],
  );
  assert.deepEqual(
    facts.cryptograms.map((each) => each.type),
    ['ARQC', 'TC'],
  );
  assert.deepEqual(
    [facts.issuerAuthentication?.accepted, facts.issuerAuthentication?.lengthBytes],
    [true, 10],
  );
  assert.equal(facts.records.filter((record) => record.signed).length, 1);
});

test('CDA of both calls: the cryptograms come out of the signatures (EMV 4.3 B2 §6.6.2)', () => {
  const explanation = read(logOf(CDA), SESSION_KEYS);
  const results = verdicts(explanation);
  assert.deepEqual(
    ['dynamicSignature', 'dynamicSignature2', 'cryptogram1', 'cryptogram2'].map(
      (name) => results[name],
    ),
    ['passed', 'passed', 'passed', 'passed'],
  );
  const facts = explanation.facts as unknown as ApduLogFacts;
  assert.equal(facts.dataAuthentication.method, 'CDA');
  assert.equal(
    facts.cryptograms.every((each) => each.cryptogram?.length === 16),
    true,
  );
});

test('SM2 and SM4: certificates, signature and cryptograms with the SM2 CA key (PBOC3 P17)', () => {
  const log = logOf(contactSession('DDA', 'SM'));
  const keys = { ...SESSION_KEYS, algorithm: 'SM4' };
  const results = verdicts(read(log, keys));
  assert.deepEqual(results, {
    'issuerCertificate.publicKey': 'passed',
    issuerCertificate: 'passed',
    'iccCertificate.publicKey': 'passed',
    iccCertificate: 'passed',
    dynamicSignature: 'passed',
    cryptogram1: 'passed',
    arpc1: 'passed',
    cryptogram2: 'passed',
    scriptMac1: 'passed',
  });
  const other = { ...keys, sm_ca_key: '11'.repeat(64) };
  assert.equal(verdicts(read(log, other))['issuerCertificate'], 'failed');
});

test('a tap: fDDA and the cryptogram of GPO, version 17, whose kind is read of 9F10 (EMV C-7)', () => {
  const explanation = read(logOf(TAP), SESSION_KEYS);
  assert.deepEqual(verdicts(explanation), {
    issuerCertificate: 'passed',
    iccCertificate: 'passed',
    dynamicSignature: 'passed',
    cryptogram0: 'passed',
  });
  const facts = explanation.facts as unknown as ApduLogFacts;
  assert.deepEqual([facts.dataAuthentication.method, facts.outcome], ['fDDA', 'onlineRequested']);
  assert.equal(facts.candidates[0]?.label, 'PBOC DEBIT');
});

test('another amount, another record, another signature: the check that it touches fails', () => {
  const flip = (response: string) =>
    response.replace(/..(?=9000$)/, (byte) => (byte === '00' ? '01' : '00'));
  const amount = logOf(DDA).replace('80AE800034000000001234', '80AE800034000000001235');
  assert.notEqual(amount, logOf(DDA));
  assert.equal(verdicts(read(amount, SESSION_KEYS))['cryptogram1'], 'failed');
  const signed = changed(DDA, /^00B20114/, (response) => response.replace('5F280201', '5F280202'));
  assert.equal(verdicts(read(signed, SESSION_KEYS))['iccCertificate'], 'failed');
  const signature = changed(DDA, /^0088/, flip);
  assert.equal(verdicts(read(signature, SESSION_KEYS))['dynamicSignature'], 'failed');
  const combined = changed(CDA, /^80AE90/, (response) =>
    response.replace('9F36020001', '9F36020002'),
  );
  assert.equal(verdicts(read(combined, SESSION_KEYS))['dynamicSignature'], 'failed');
  const number = logOf(TAP).replaceAll('7863AFC6', '7863AFC7');
  assert.equal(verdicts(read(number, SESSION_KEYS))['dynamicSignature'], 'failed');
});

test('without the CA key the chain cannot be checked, and that is said', () => {
  const explanation = read(logOf(DDA));
  assert.equal(verdicts(explanation)['issuerCertificate'], 'notPossible');
  assert.ok(codesOf(explanation).includes('CERTIFICATE_KEY_UNKNOWN'));
  assert.equal(
    verdicts(read(logOf(DDA), { ...SESSION_KEYS, capk_exponent: '11' }))['issuerCertificate'],
    'failed',
  );
});

test('61xx asks for GET RESPONSE and 6Cxx for the same command with that Le (EMV 4.3 B1 §9.3.1)', () => {
  const log =
    '=> 00A4040007A0000003330101\n<= 6112\n=> 00C0000012\n<= 6F10840 7A0000003330101A505500341424 39000\n=> 00B2010C00\n<= 6C1A';
  const facts = factsOf(log);
  assert.deepEqual(
    facts.exchanges.map((each) => each.nextCommand),
    ['00C0000012', null, '00B2010C1A'],
  );
  assert.equal(facts.selectedAid, 'A0000003330101');
  assert.equal(facts.nextCommand, '00B2010C1A');
});

test('GPO before any application is selected: the directory only lists them', () => {
  const ppse = TAP.slice(0, 1);
  const log = `${logOf(ppse)}\n=> 80A80000830000\n<= 6985`;
  const explanation = read(log);
  assert.ok(codesOf(explanation).includes('LOG_GPO_BEFORE_SELECT'));
  assert.ok(codesOf(explanation).includes('APDU_LENGTH'));
  assert.equal(factsOf(log).nextCommand, '00A4040008A00000033301010100');
});

test('PDOL and CDOL data of a wrong length are found (python-emv #22, tinkoff-asdk-android-old #55)', () => {
  const log = logOf([...DDA.slice(0, 1), { command: '80A8000002830000', response: '6700' }]);
  assert.ok(codesOf(read(log)).includes('LOG_DOL_LENGTH'));
});

test('issuer authentication data of 8 bytes and the TVR bit that follows', () => {
  const first = DDA.findIndex(({ command }) => command.startsWith('0082'));
  const log = DDA.map((each, at) =>
    at === first
      ? { command: '00820000081122334455667788', response: '6700' }
      : at === first + 1
        ? { ...each, command: each.command.replace('0000048000', '0000048040') }
        : each,
  );
  const explanation = read(logOf(log));
  assert.ok(codesOf(explanation).includes('LOG_ISSUER_AUTHENTICATION_LENGTH'));
  assert.ok(codesOf(explanation).includes('LOG_TVR_CHANGED'));
  assert.equal(factsOf(logOf(log)).issuerAuthentication?.accepted, false);
});

test('the next step of an unfinished session: SELECT, GPO, the records that are missing', () => {
  assert.equal(factsOf(logOf(TAP.slice(0, 1))).nextCommand, '00A4040008A00000033301010100');
  const upToOptions = DDA.slice(0, 2);
  assert.equal(factsOf(logOf(upToOptions)).nextCommand, '00B2010C00');
  assert.equal(factsOf(logOf(DDA.slice(0, 3))).nextCommand, '00B2011400');
  assert.equal(factsOf(logOf(DDA)).nextCommand, null);
});

test('lines without prefixes alternate; a missing answer does not shift the rest', () => {
  const bare = DDA.flatMap(({ command, response }) => [command, response]);
  assert.equal(factsOf(bare.join('\n')).cryptograms.length, 2);
  assert.equal(factsOf(JSON.stringify(bare)).cryptograms.length, 2);
  const lost = bare.filter((_, at) => at !== 5);
  const facts = factsOf(lost.join('\n'));
  assert.equal(facts.exchanges[2]?.response, null);
  assert.equal(facts.cryptograms.length, 2);
});

test('a log of nothing readable is a coded error', () => {
  assert.throws(
    () => read('=> 01\n<= 02'),
    (thrown) => thrown instanceof ExplainError && thrown.code === 'ERR_EXPLAIN_FORMAT',
  );
});
