/**
 * Offline data authentication with a chain made here: the right card, and cards with one thing
 * wrong. Each wrong one must show the exact TVR and let the transaction go on.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, toHex } from '../../bytes/index.ts';
import { sm2PublicKey } from '../../crypto/index.ts';
import { parseCaKeyFile } from '../data/index.ts';
import {
  answer,
  type TestCardOptions,
  type TestKey,
  testCaKey,
  testCard,
  testKeyOf,
  testTransaction,
} from './card.test-kit.ts';
import { caPublicKeysOf, contactTransaction, loadCaPublicKeys } from './index.ts';
import { runKernel } from './kernel.test-kit.ts';

function makeKey(modulusLength: number): TestKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  return testKeyOf(privateKey.export({ format: 'jwk' }));
}

const KEYS = { ca: makeKey(1024), issuer: makeKey(1024), icc: makeKey(1024) };
const SHORT_KEYS = { ...KEYS, issuer: makeKey(640), icc: makeKey(512) };

type Change = Parameters<typeof testTransaction>[2];

/** Runs to the end and tells what data authentication found. */
function authenticate(card: TestCardOptions, change: Change = {}, keys = KEYS) {
  const run = runKernel(contactTransaction(testTransaction(nodeCiphers, keys, change)), {
    transmit: testCard(nodeCiphers, keys, card),
    random: (length) => new Uint8Array(length).fill(0x5a),
    authorise: () => ({ result: 'answered', responseCode: '00', scripts: [] }),
  });
  const phase = run.phases.find((notice) => notice.phase === 'offlineDataAuthentication');
  return {
    ...run,
    tvr: toHex(phase?.tvr ?? new Uint8Array(0)),
    tsi: toHex(phase?.tsi ?? new Uint8Array(0)),
    facts: phase?.facts ?? {},
  };
}

function flip(signature: Uint8Array): Uint8Array {
  return signature.map((value, index) => (index === 20 ? value ^ 0x01 : value));
}

test('EMV 4.3 B2 §6: a right card passes DDA, its dynamic number is kept', () => {
  const { facts, tvr, tsi, outcome } = authenticate({});
  assert.deepEqual(facts, { method: 'DDA', result: 'passed' });
  assert.equal(tvr, '0000000000');
  assert.equal(tsi, '8000');
  assert.equal(toHex(outcome.values.get('9F4C') ?? new Uint8Array(0)), '1122334455667788');
});

test('EMV 4.3 B2 §5.3 step 12: keys that fit their certificates need no remainder', () => {
  assert.deepEqual(authenticate({}, {}, SHORT_KEYS).facts, { method: 'DDA', result: 'passed' });
});

test('EMV 4.3 B2 §5.4: a right card passes SDA where the terminal has no DDA', () => {
  const terminal = { capabilities: fromHex('E06880') };
  const { facts, tvr, outcome } = authenticate({}, { terminal });
  assert.deepEqual(facts, { method: 'SDA', result: 'passed' });
  assert.equal(tvr, '0200000000');
  assert.equal(outcome.dataAuthentication, 'SDA');
  assert.equal(toHex(outcome.values.get('9F45') ?? new Uint8Array(0)), 'DAC1');
});

test('EMV 4.3 B3 §10.3: without a tag list only the records are authenticated', () => {
  const { facts } = authenticate({ elements: { '9F4A': null } });
  assert.deepEqual(facts, { method: 'DDA', result: 'passed' });
});

test('EMV 4.3 B3 §10.3: neither method in common is "not performed", TSI stays', () => {
  const { tvr, tsi, outcome } = authenticate({ aip: '1C00' });
  assert.equal(tvr, '8000000000');
  assert.equal(tsi, '0000');
  assert.equal(outcome.dataAuthentication, 'none');
});

test('EMV 4.3 B2 §6: one thing wrong fails DDA with TVR 08 in byte 1 and nothing else', () => {
  const cases: readonly (readonly [string, TestCardOptions])[] = [
    ['signedDynamicData:trailer', { signature: flip }],
    ['signedDynamicData:length', { signature: (bytes) => bytes.slice(1) }],
    ['issuerCertificate:expired', { issuerExpiryMmyy: '1126' }],
    ['issuerCertificate:expired', { issuerExpiryMmyy: '1335' }],
    ['issuerCertificate:issuerIdentifier', { issuerIdentifier: '62123400' }],
    ['iccCertificate:expired', { iccExpiryMmyy: '1126' }],
    ['iccCertificate:pan', { iccPan: '6299990000000017' }],
    ['iccCertificate:hash', { forged: { '5F24': '351231' } }],
    ['iccCertificate:hash', { forged: { '9F47': '010001' } }],
    ['issuerCertificate:hash', { forged: { '92': '00'.repeat(36) } }],
    ['issuerCertificate:length', { forged: { '90': '00'.repeat(127) } }],
    ['issuerCertificate:rsa', { forged: { '90': 'FF'.repeat(128) } }],
    ['caKey:missing', { forged: { '8F': 'F1' } }],
    ['staticData:tagList', { elements: { '9F4A': '8284' } }],
    ['ddol:noUnpredictableNumber', { elements: { '9F49': '9F0206' } }],
    [
      'internalAuthenticate:6985',
      { override: ({ ins }) => (ins === 0x88 ? answer('', 0x6985) : undefined) },
    ],
    [
      'internalAuthenticate:format',
      { override: ({ ins }) => (ins === 0x88 ? answer('810100') : undefined) },
    ],
  ];
  for (const [why, card] of cases) {
    const { facts, tvr, tsi, outcome } = authenticate(card);
    const found = `${facts['why']}`;
    const isSignature = why.startsWith('signedDynamicData:trailer');
    if (isSignature) assert.match(found, /^signedDynamicData:/);
    else assert.equal(found, why);
    assert.equal(tvr, '0800000000', why);
    assert.equal(tsi, '8000', why);
    assert.equal(outcome.dataAuthentication, 'failed', why);
  }
});

test('EMV 4.3 B3 §7.5: a missing object is "ICC data missing" beside the failure', () => {
  for (const tag of ['8F', '90', '92', '9F32', '9F46', '9F47', '9F48']) {
    const { facts, tvr } = authenticate({ forged: { [tag]: null } });
    assert.equal(facts['why'], `missing:${tag}`);
    assert.equal(tvr, '2800000000', tag);
  }
  const terminal = { capabilities: fromHex('E06880') };
  const { tvr } = authenticate({ forged: { '93': null } }, { terminal });
  assert.equal(tvr, '6200000000');
});

test('EMV 4.3 B2 §5.4: a forged static signature or datum fails SDA with TVR 40', () => {
  const terminal = { capabilities: fromHex('E06880') };
  for (const forged of [{ '93': `00${'11'.repeat(127)}` }, { '5F24': '351231' }]) {
    const { tvr, outcome } = authenticate({ forged }, { terminal });
    assert.equal(tvr, '4200000000');
    assert.equal(outcome.dataAuthentication, 'failed');
  }
});

test('EMV 4.3 B2 §6.5.1: without a DDOL on the card the default one is used, or none', () => {
  const elements = { '9F49': null };
  assert.equal(authenticate({ elements }).facts['result'], 'passed');
  const withoutAny = authenticate({ elements }, { aid: { defaultDdol: null } });
  assert.equal(withoutAny.facts['why'], 'ddol:missing');
});

test('INTERNAL AUTHENTICATE in format 2 is taken too; EMV 4.3 B3 §6.5.9.4', () => {
  const inner = testCard(nodeCiphers, KEYS);
  const override: TestCardOptions['override'] = (command, index) => {
    if (command.ins !== 0x88) return undefined;
    const signature = toHex(inner(command, index).data).replace(/^8081/, '9F4B81');
    return answer(`77818${(signature.length / 2).toString(16).slice(-1)}${signature}`);
  };
  assert.equal(authenticate({ override }).facts['result'], 'passed');
});

test("a dynamic signature without the number's length stands, the number is dropped", () => {
  // QUIRK: cards that leave the length out; EMV 4.3 B2 §6.5.2 tests the hash, not the contents.
  const { outcome, facts } = authenticate({ dynamicData: '1122334455667788' });
  assert.equal(facts['result'], 'passed');
  assert.equal(outcome.values.has('9F4C'), false);
});

test('EMV 4.3 B2 §6.5.1: the dynamic number has 2 to 8 bytes', () => {
  const number = (dynamicData: string): string =>
    toHex(authenticate({ dynamicData }).outcome.values.get('9F4C') ?? new Uint8Array(0));
  assert.equal(number('021122'), '1122');
  assert.equal(number('081122334455667788'), '1122334455667788');
  for (const wrong of ['0111', '09112233445566778899', '0411', '']) assert.equal(number(wrong), '');
});

test('an expired CA key is as good as none', () => {
  const input = { dateYymmdd: '360101' };
  const { facts } = authenticate({}, { input });
  assert.equal(facts['why'], 'caKey:expired');
});

test('EMV 4.3 B2 §11.2: keys of a file become the terminal table, live and test ones by name', () => {
  const { rid, modulus, exponent, sha1 } = testCaKey(nodeCiphers, KEYS.ca);
  const row = { rid: toHex(rid), index: 'F0', modulus: toHex(modulus), exponent: toHex(exponent) };
  const point = toHex(sm2PublicKey(new Uint8Array(32).fill(7)));
  const file = [
    { ...row, sha1: toHex(sha1), label: 'test family', expiryYymmdd: '' },
    { rid: row.rid, index: '18', algorithm: 'SM2', publicKey: point, label: 'production' },
  ];
  const entries = parseCaKeyFile(nodeCiphers, JSON.stringify(file));
  const load = (...uses: Parameters<typeof caPublicKeysOf>[1]) =>
    loadCaPublicKeys(nodeCiphers, caPublicKeysOf(entries, uses));
  const both = load('test', 'live');
  assert.deepEqual(both.find(rid, 0xf0)?.modulus, modulus);
  assert.equal(both.find(rid, 0xf0)?.expiryYymmdd, null);
  assert.equal(toHex(both.findSm?.(rid, 0x18)?.publicKey ?? new Uint8Array(0)), point);
  assert.equal(load('live').find(rid, 0xf0), undefined);
  assert.equal(load('test').findSm?.(rid, 0x18), undefined);
  const terminal = { caPublicKeys: both };
  assert.deepEqual(authenticate({}, { terminal }).facts, { method: 'DDA', result: 'passed' });
});
