/**
 * SM2 certificates and signed data: made here, checked by what kernel and explainer use, and each
 * with one thing wrong. The layout is held against a published card's certificate.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers, systemRandom as random } from '../../../node/index.ts';
import { concatBytes, fromHex, TapError, toHex } from '../../bytes/index.ts';
import { isSm2PublicKey, sm2KeyPair, sm2Sign } from '../../crypto/index.ts';
import {
  looksLikeSmCertificate,
  type RecoveryFailure,
  SM_DYNAMIC_DATA_CHECKS,
  SM_ICC_CERTIFICATE_CHECKS,
  SM_ISSUER_CERTIFICATE_CHECKS,
  SM_SIGNED_DATA,
  SM_STATIC_DATA_CHECKS,
  smCertificateOffsets,
  verifySmCombinedDynamicData,
  verifySmDynamicData,
  verifySmIccCertificate,
  verifySmIssuerCertificate,
  verifySmStaticData,
} from '../data/index.ts';
import {
  issueSmIccCertificate,
  issueSmIssuerCertificate,
  signSmDynamicData,
  signSmStaticData,
} from './index.ts';

const [CA, ISSUER, ICC] = [sm2KeyPair(random), sm2KeyPair(random), sm2KeyPair(random)];
const PAN = '6299990000000009';
const DATE = '261201';
const STATIC_DATA = fromHex('5A0862999900000000097C00');
const flip = (bytes: Uint8Array, at: number, bit = 0x01): Uint8Array =>
  bytes.map((byte, index) => (index === at ? byte ^ bit : byte));
const faultOf = (result: { readonly ok: true } | RecoveryFailure) =>
  result.ok ? 'ok' : [result.fault, result.where.offsetBytes];

const issuerRequest = {
  caPrivateKey: CA.privateKey,
  publicKey: ISSUER.publicKey,
  issuerIdentifier: '629999',
  expiryMmyy: '1235',
  serialNumber: fromHex('000001'),
  random,
};
const issue = (change: Partial<typeof issuerRequest> = {}) =>
  issueSmIssuerCertificate(nodeCiphers, { ...issuerRequest, ...change });
const verifyIssuer = (
  certificate: Uint8Array,
  input: Partial<Parameters<typeof verifySmIssuerCertificate>[1]> = {},
) =>
  verifySmIssuerCertificate(nodeCiphers, {
    caKey: CA.publicKey,
    certificate,
    pan: PAN,
    dateYymmdd: DATE,
    ...input,
  });

test('PBOC3 P17: an issuer certificate is clear data of format 12 with the CA signature behind', () => {
  const certificate = issue();
  assert.equal(certificate.length, 142);
  assert.equal(toHex(certificate.slice(0, 14)), '12629999FF123500000104001140');
  const result = verifyIssuer(certificate);
  assert.ok(result.ok);
  assert.deepEqual(result.key, ISSUER.publicKey);
  assert.equal(result.identifier, '629999');
  assert.equal(result.expiryMmyy, '1235');
  assert.equal(toHex(result.serialNumber), '000001');
});

/** Signs the clear part again after a change, so that only the changed field is wrong. */
function resigned(certificate: Uint8Array, change: Readonly<Record<number, string>>): Uint8Array {
  const body = certificate.slice(0, 78);
  for (const [offset, bytes] of Object.entries(change)) body.set(fromHex(bytes), Number(offset));
  const { privateKey } = CA;
  return concatBytes(body, sm2Sign(nodeCiphers, { privateKey, message: body, random }));
}

test('PBOC3 P17: each field of an issuer certificate that is wrong is named with its byte', () => {
  const right = issue();
  const off = toHex(flip(ISSUER.publicKey, 63));
  const cases: readonly (readonly [unknown, Uint8Array, Parameters<typeof verifyIssuer>[1]?])[] = [
    [['length', null], right.slice(1)],
    [['length', null], new Uint8Array(0)],
    [['format', 0], resigned(right, { 0: '14' })],
    [['keyAlgorithm', 10], resigned(right, { 10: '01' })],
    [['curveParameter', 12], resigned(right, { 12: '12' })],
    [['keyLength', 13], resigned(right, { 13: '41' })],
    [['signature', 78], flip(right, 5)],
    [['signature', 78], flip(right, 20)],
    [['signature', 78], flip(right, 100)],
    [['signature', 78], right, { caKey: ICC.publicKey }],
    [['signature', 78], right, { caKey: new Uint8Array(64) }],
    [['issuerIdentifier', 1], right, { pan: '6299980000000009' }],
    [['expired', 5], issue({ expiryMmyy: '1126' })],
    [['expired', 5], resigned(right, { 5: '1335' })],
    [['revoked', 7], right, { isRevoked: (serial) => toHex(serial) === '000001' }],
    [['publicKey', 14], resigned(right, { 14: off })],
  ];
  for (const [fault, certificate, input] of cases) {
    assert.deepEqual(faultOf(verifyIssuer(certificate, input)), fault);
  }
  // The encryption algorithm is not looked at: what it may be is not public.
  assert.equal(faultOf(verifyIssuer(resigned(right, { 11: '04' }))), 'ok');
  assert.equal(faultOf(verifyIssuer(issue({ expiryMmyy: '1226' }))), 'ok');
});

const iccRequest = {
  issuerPrivateKey: ISSUER.privateKey,
  publicKey: ICC.publicKey,
  pan: PAN,
  expiryMmyy: '1231',
  serialNumber: fromHex('000002'),
  staticData: STATIC_DATA,
  random,
};

test('PBOC3 P17: a card certificate has format 14 and the PAN, and covers the static data', () => {
  const certificate = issueSmIccCertificate(nodeCiphers, iccRequest);
  assert.equal(certificate.length, 148);
  assert.equal(toHex(certificate.slice(0, 20)), `14${PAN}FFFF123100000204001140`);
  const input = { issuerKey: ISSUER.publicKey, certificate, staticData: STATIC_DATA };
  const expected = { pan: PAN, dateYymmdd: DATE };
  const right = verifySmIccCertificate(nodeCiphers, { ...input, ...expected });
  assert.ok(right.ok);
  assert.deepEqual(right.key, ICC.publicKey);
  assert.equal(right.identifier, PAN);
  const verify = (change: object) =>
    faultOf(verifySmIccCertificate(nodeCiphers, { ...input, ...expected, ...change }));
  assert.deepEqual(verify({ staticData: STATIC_DATA.slice(1) }), ['signature', 84]);
  assert.deepEqual(verify({ issuerKey: CA.publicKey }), ['signature', 84]);
  assert.deepEqual(verify({ pan: '6299990000000017' }), ['pan', 1]);
  assert.deepEqual(verify({ dateYymmdd: '320101' }), ['expired', 11]);
  assert.deepEqual(verify({ certificate: issue() }), ['length', null]);
});

test('PBOC3 P17: signed static data are 67 bytes, 13 and the authentication code in clear', () => {
  const signature = signSmStaticData(nodeCiphers, {
    issuerPrivateKey: ISSUER.privateKey,
    dataAuthenticationCode: fromHex('DAC1'),
    staticData: STATIC_DATA,
    random,
  });
  assert.equal(signature.length, 67);
  assert.equal(toHex(signature.slice(0, 3)), '13DAC1');
  const input = { issuerKey: ISSUER.publicKey, signature, staticData: STATIC_DATA };
  const verify = (change: object = {}) => verifySmStaticData(nodeCiphers, { ...input, ...change });
  const right = verify();
  assert.ok(right.ok);
  assert.equal(toHex(right.dataAuthenticationCode), 'DAC1');
  assert.deepEqual(faultOf(verify({ signature: flip(signature, 0) })), ['format', 0]);
  assert.deepEqual(faultOf(verify({ signature: flip(signature, 1) })), ['signature', 3]);
  assert.deepEqual(faultOf(verify({ staticData: flip(STATIC_DATA, 3) })), ['signature', 3]);
  assert.deepEqual(faultOf(verify({ signature: signature.slice(1) })), ['length', null]);
});

const NUMBER = '081122334455667788';
const TERMINAL_DATA = fromHex('01020304');
const signDynamic = (data: string): Uint8Array =>
  signSmDynamicData(nodeCiphers, {
    privateKey: ICC.privateKey,
    iccDynamicData: fromHex(data),
    terminalData: TERMINAL_DATA,
    random,
  });

test('PBOC3 P17: signed dynamic data have format 15, the number in clear, terminal data outside', () => {
  const signature = signDynamic(NUMBER);
  assert.equal(toHex(signature.slice(0, 11)), `1509${NUMBER}`);
  const input = { iccKey: ICC.publicKey, signature, terminalData: TERMINAL_DATA };
  const verify = (change: object = {}) => verifySmDynamicData(nodeCiphers, { ...input, ...change });
  const right = verify();
  assert.ok(right.ok && right.iccDynamicNumber);
  assert.equal(toHex(right.iccDynamicNumber), NUMBER.slice(2));
  assert.deepEqual(faultOf(verify({ signature: flip(signature, 0) })), ['format', 0]);
  assert.deepEqual(faultOf(verify({ signature: flip(signature, 1) })), ['dynamicDataLength', 1]);
  assert.deepEqual(faultOf(verify({ signature: flip(signature, 4) })), ['signature', 11]);
  assert.deepEqual(faultOf(verify({ terminalData: flip(TERMINAL_DATA, 0) })), ['signature', 11]);
  assert.deepEqual(faultOf(verify({ signature: fromHex('1500') })), ['dynamicDataLength', 1]);
  assert.deepEqual(faultOf(verify({ signature: new Uint8Array(0) })), ['format', 0]);
});

test('PBOC3 P17: a combined answer hashes with SM3', () => {
  const transactionData = fromHex('00112233');
  const hash = toHex(nodeCiphers.sm3(transactionData));
  const signature = signDynamic(`${NUMBER}80C1C1C1C1C1C1C1C1${hash}`);
  const input = {
    iccKey: ICC.publicKey,
    signature,
    unpredictableNumber: TERMINAL_DATA,
    cryptogramInformationData: 0x80,
    transactionData,
  };
  const verify = (change: object = {}) =>
    verifySmCombinedDynamicData(nodeCiphers, { ...input, ...change });
  const right = verify();
  assert.ok(right.ok);
  assert.equal(toHex(right.applicationCryptogram), 'C1C1C1C1C1C1C1C1');
  assert.deepEqual(faultOf(verify({ transactionData: new Uint8Array(1) })), [
    'transactionHash',
    20,
  ]);
  assert.deepEqual(faultOf(verify({ cryptogramInformationData: 0x40 })), [
    'cryptogramInformationData',
    11,
  ]);
  assert.equal(faultOf(verify({ unpredictableNumber: new Uint8Array(4) }))[0], 'signature');
});

test('the layout is that of a published card certificate (its number is masked, its signature cut)', () => {
  const start = fromHex(
    '14623061000000000082FF12300001FC04001140' +
      'E841B537350C40A54F0DA3A108D1168FCFB9C3AE354D29F6323D50F067F1CCCD' +
      '5316F8F8E0D777B8AEAFAE8D4098DBF59B640362F659B83DA82D3D7EE0ED815C',
  );
  const offsets = smCertificateOffsets(SM_SIGNED_DATA.iccCertificate);
  assert.equal(start.length, offsets.signature);
  assert.equal(isSm2PublicKey(start.slice(offsets.publicKey)), true);
  assert.equal(toHex(start.slice(offsets.expiry, offsets.serialNumber)), '1230');
  const whole = concatBytes(start, new Uint8Array(64));
  assert.equal(looksLikeSmCertificate(whole), true);
  for (const at of [0, offsets.curveParameter, offsets.keyLength]) {
    assert.equal(looksLikeSmCertificate(flip(whole, at)), false);
  }
  assert.equal(looksLikeSmCertificate(start), false);
  const input = { issuerKey: ISSUER.publicKey, certificate: whole, staticData: STATIC_DATA };
  assert.deepEqual(faultOf(verifySmIccCertificate(nodeCiphers, input)), ['signature', 84]);
});

test('nothing is signed for a wrong key, identifier, PAN, date, serial number or code', () => {
  const refused = (make: () => unknown, code = 'ERR_EMV_KEY') =>
    assert.throws(make, (thrown) => thrown instanceof TapError && thrown.code === code);
  refused(() => issue({ issuerIdentifier: '62' }));
  refused(() => issue({ issuerIdentifier: '629999000' }));
  refused(() => issue({ expiryMmyy: '0035' }));
  refused(() => issue({ serialNumber: new Uint8Array(2) }));
  refused(() => issue({ publicKey: new Uint8Array(64) }));
  refused(() => issue({ caPrivateKey: new Uint8Array(32) }), 'ERR_CRYPTO_SM2');
  refused(() => issueSmIccCertificate(nodeCiphers, { ...iccRequest, pan: '62' }));
  refused(() =>
    signSmStaticData(nodeCiphers, {
      issuerPrivateKey: ISSUER.privateKey,
      dataAuthenticationCode: new Uint8Array(3),
      staticData: STATIC_DATA,
      random,
    }),
  );
});

test('the lists of checks have each check once', () => {
  for (const list of [
    SM_ISSUER_CERTIFICATE_CHECKS,
    SM_ICC_CERTIFICATE_CHECKS,
    SM_STATIC_DATA_CHECKS,
    SM_DYNAMIC_DATA_CHECKS,
  ]) {
    assert.equal(new Set(list).size, list.length);
    assert.ok(list.includes('signature'));
  }
});
