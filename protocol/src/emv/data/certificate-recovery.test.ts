/**
 * Every check of certificates and signed data, each with the right bytes and with one thing wrong:
 * which check fails, and at which byte of which part.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import {
  type BlockChange,
  certifyKey,
  kitKey,
  signBlock,
} from './certificate-recovery.test-kit.ts';
import {
  COMBINED_DATA_CHECKS,
  century,
  DYNAMIC_DATA_CHECKS,
  ICC_CERTIFICATE_CHECKS,
  ISSUER_CERTIFICATE_CHECKS,
  type RecoveryFailure,
  recoverCombinedDynamicData,
  recoverIccCertificate,
  recoverIssuerCertificate,
  recoverSignedDynamicData,
  recoverSignedStaticData,
  STATIC_DATA_CHECKS,
} from './index.ts';

const CA = kitKey(1152);
const ISSUER = kitKey(1024);
const ICC = kitKey(1024, 65537);
const PAN = '6299990000000009';
const DATE = '261201';
const STATIC_DATA = fromHex('5A0862999900000000097C00');

type Fault = readonly [fault: string, part: string, offsetBytes: number | null];

function faultOf(result: { readonly ok: true } | RecoveryFailure): Fault | 'ok' {
  return result.ok ? 'ok' : [result.fault, result.where.part, result.where.offsetBytes];
}

type IssuerChange = {
  readonly head?: string;
  readonly change?: BlockChange;
  readonly outside?: { readonly remainder?: Uint8Array; readonly exponent?: Uint8Array };
  readonly input?: Partial<Parameters<typeof recoverIssuerCertificate>[1]>;
};

function recoverIssuer({ head = '02629999FF1235000001', input = {}, ...rest }: IssuerChange = {}) {
  const certified = certifyKey(CA, ISSUER, { head, ...rest });
  const expected = { pan: PAN, dateYymmdd: DATE };
  return recoverIssuerCertificate(nodeCiphers, { caKey: CA, ...certified, ...expected, ...input });
}

test('EMV 4.3 B2 §5.3: a right issuer certificate gives key, identifier, expiry and serial', () => {
  const result = recoverIssuer();
  assert.ok(result.ok);
  assert.deepEqual(result.key, { modulus: ISSUER.modulus, exponent: ISSUER.exponent });
  assert.equal(result.identifier, '629999');
  assert.equal(result.expiryMmyy, '1235');
  assert.equal(toHex(result.serialNumber), '000001');
  assert.equal(toHex(result.recovered.slice(0, 2)), '6A02');
});

test('EMV 4.3 B2 §5.3 steps 1 to 12: one byte wrong fails the check of its step, at its place', () => {
  const end = CA.modulus.length;
  const cases: readonly (readonly [Fault, IssuerChange])[] = [
    [['trailer', 'recovered', end - 1], { change: { trailer: 0xbb } }],
    [['header', 'recovered', 0], { change: { header: 0x6b } }],
    [['format', 'recovered', 1], { head: '04629999FF1235000001' }],
    [['hashAlgorithm', 'recovered', 11], { change: { bytes: { 11: '02' } } }],
    [['hash', 'recovered', end - 21], { change: { hash: new Uint8Array(20) } }],
    [['issuerIdentifier', 'recovered', 2], { head: '02629998FF1235000001' }],
    [['issuerIdentifier', 'recovered', 2], { head: '02629F99FF1235000001' }],
    [['issuerIdentifier', 'recovered', 2], { head: '0262FFFFFF1235000001' }],
    [['issuerIdentifier', 'recovered', 2], { head: '02FFFFFFFF1235000001' }],
    [['expired', 'recovered', 6], { head: '02629999FF1126000001' }],
    [['expired', 'recovered', 6], { head: '02629999FF1335000001' }],
    [['expired', 'recovered', 6], { head: '02629999FF0035000001' }],
    [['expired', 'recovered', 6], { head: '02629999FF1250000001' }],
    [['revoked', 'recovered', 8], { input: { isRevoked: (serial) => toHex(serial) === '000001' } }],
    [['keyAlgorithm', 'recovered', 12], { change: { bytes: { 12: '02' } } }],
    [['keyLength', 'recovered', 13], { change: { bytes: { 13: '3F' } } }],
    [['exponentLength', 'exponent', null], { outside: { exponent: fromHex('00000003') } }],
    [['exponentLength', 'exponent', null], { outside: { exponent: new Uint8Array(0) } }],
    [['exponent', 'exponent', 0], { outside: { exponent: fromHex('11') } }],
    [['exponent', 'exponent', 0], { outside: { exponent: fromHex('01') } }],
    [['remainder', 'remainder', null], { outside: { remainder: new Uint8Array(19) } }],
    [['remainder', 'remainder', null], { outside: { remainder: new Uint8Array(21) } }],
    [['remainderMissing', 'remainder', null], { input: { remainder: new Uint8Array(0) } }],
    [['remainderMissing', 'remainder', null], { input: { remainder: undefined } }],
    [['length', 'certificate', null], { input: { certificate: new Uint8Array(end - 1) } }],
    [['rsa', 'certificate', null], { input: { certificate: new Uint8Array(end).fill(0xff) } }],
  ];
  for (const [fault, change] of cases) {
    assert.deepEqual(faultOf(recoverIssuer(change)), fault, JSON.stringify(change));
  }
});

test('EMV 4.3 B2 §5.3 step 8: 3 to 8 leftmost digits identify the issuer', () => {
  for (const identifier of ['629FFFFF', '62999900', '6299FFFF']) {
    assert.equal(faultOf(recoverIssuer({ head: `02${identifier}1235000001` })), 'ok', identifier);
  }
});

test('EMV 4.3 B2 §5.3 step 9: the month of expiry is inclusive; B4 §6.7.3: 50 and up are 19xx', () => {
  const at = (mmyy: string, dateYymmdd: string) =>
    faultOf(recoverIssuer({ head: `02629999FF${mmyy}000001`, input: { dateYymmdd } }));
  assert.equal(at('1226', '261231'), 'ok');
  assert.deepEqual(at('1226', '270101'), ['expired', 'recovered', 6]);
  assert.equal(at('1249', '991231'), 'ok');
  assert.deepEqual(at('1299', '000101'), ['expired', 'recovered', 6]);
  assert.deepEqual(['49', '50'].map(century), ['20', '19']);
});

test('without PAN and date only the form of identifier and expiry is looked at', () => {
  const { certificate, remainder, exponent } = certifyKey(CA, ISSUER, {
    head: '02629998FF0120000001',
  });
  const input = { caKey: CA, certificate, remainder, exponent };
  assert.equal(faultOf(recoverIssuerCertificate(nodeCiphers, input)), 'ok');
});

test('EMV 4.3 B2 §5.3 step 12: a key that fits needs no remainder, one that is there is hashed', () => {
  const small = kitKey(640);
  const head = '02629999FF1235000001';
  const fits = certifyKey(CA, small, { head });
  assert.equal(fits.remainder.length, 0);
  const result = recoverIssuerCertificate(nodeCiphers, { caKey: CA, ...fits, pan: PAN });
  assert.ok(result.ok);
  assert.deepEqual(result.key.modulus, small.modulus);
  const more = { caKey: CA, ...fits, remainder: Uint8Array.of(1) };
  assert.equal(faultOf(recoverIssuerCertificate(nodeCiphers, more))[0], 'hash');
});

test('EMV 4.3 B2 §B2.1, §D1: no key is longer than its signer, none beyond 64 to 248 bytes', () => {
  const longer = certifyKey(ISSUER, CA, { head: '02629999FF1235000001' });
  const input = { caKey: ISSUER, ...longer, pan: PAN };
  const result = recoverIssuerCertificate(nodeCiphers, input);
  assert.deepEqual(faultOf(result), ['keyLength', 'recovered', 13]);
  for (const bits of [504, 1992]) {
    const caKey = { modulus: new Uint8Array(bits / 8).fill(0xff), exponent: CA.exponent };
    const certificate = new Uint8Array(bits / 8);
    const fault = faultOf(recoverIssuerCertificate(nodeCiphers, { ...input, caKey, certificate }));
    assert.deepEqual(fault, ['signerKey', 'signerKey', null]);
  }
});

type IccChange = {
  readonly head?: string;
  readonly change?: BlockChange;
  readonly input?: Partial<Parameters<typeof recoverIccCertificate>[1]>;
};
const ICC_HEAD = `04${PAN}FFFF1231000002`;

function recoverIcc({ head = ICC_HEAD, change = {}, input = {} }: IccChange = {}) {
  const certified = certifyKey(ISSUER, ICC, { head, change, staticData: STATIC_DATA });
  return recoverIccCertificate(nodeCiphers, {
    issuerKey: ISSUER,
    ...certified,
    staticData: STATIC_DATA,
    pan: PAN,
    dateYymmdd: DATE,
    ...input,
  });
}

test('EMV 4.3 B2 §6.4: a right card certificate gives key and PAN, exponent 65537 too', () => {
  const result = recoverIcc();
  assert.ok(result.ok);
  assert.deepEqual(result.key, { modulus: ICC.modulus, exponent: fromHex('010001') });
  assert.equal(result.identifier, PAN);
});

test('EMV 4.3 B2 §6.4 steps 1 to 10: one thing wrong fails its check, at its place', () => {
  const end = ISSUER.modulus.length;
  const cases: readonly (readonly [Fault, IccChange])[] = [
    [['trailer', 'recovered', end - 1], { change: { trailer: 0 } }],
    [['header', 'recovered', 0], { change: { header: 0x29 } }],
    [['format', 'recovered', 1], { head: `02${PAN}FFFF1231000002` }],
    [['hashAlgorithm', 'recovered', 17], { change: { bytes: { 17: '00' } } }],
    [['hash', 'recovered', end - 21], { input: { staticData: STATIC_DATA.slice(1) } }],
    [['hash', 'recovered', end - 21], { input: { exponent: fromHex('03') } }],
    [['pan', 'recovered', 2], { head: '046299990000000017FFFF1231000002' }],
    [['pan', 'recovered', 2], { head: '0462999900000000091FFF1231000002' }],
    [['pan', 'recovered', 2], { head: '04FFFFFFFFFFFFFFFFFFFF1231000002' }],
    [['expired', 'recovered', 12], { head: `04${PAN}FFFF1126000002` }],
    [['keyAlgorithm', 'recovered', 18], { change: { bytes: { 18: '04' } } }],
    [['keyLength', 'recovered', 19], { change: { bytes: { 19: '3F' } } }],
    [['remainderMissing', 'remainder', null], { input: { remainder: undefined } }],
  ];
  for (const [fault, change] of cases) {
    assert.deepEqual(faultOf(recoverIcc(change)), fault, JSON.stringify(change));
  }
});

test('AndreasFagschlunger/O2Xfs #4: PANs of odd and full length compare without their padding', () => {
  for (const pan of ['62999900', '629999000000001', '6299990000000000017']) {
    const head = `04${pan.padEnd(20, 'F')}1231000002`;
    assert.equal(faultOf(recoverIcc({ head, input: { pan } })), 'ok', pan);
  }
});

test('EMV 4.3 B2 §7.1: the PIN encipherment certificate covers no static data', () => {
  const pin = certifyKey(ISSUER, ICC, { head: ICC_HEAD });
  const input = { issuerKey: ISSUER, ...pin, pan: PAN, dateYymmdd: DATE };
  const without = recoverIccCertificate(nodeCiphers, { ...input, staticData: new Uint8Array(0) });
  assert.equal(faultOf(without), 'ok');
  const withData = recoverIccCertificate(nodeCiphers, { ...input, staticData: STATIC_DATA });
  assert.equal(faultOf(withData)[0], 'hash');
});

test('EMV 4.3 B2 §5.4: signed static data give the authentication code, or the failed check', () => {
  const body = fromHex('0301DAC1');
  const recover = (change: BlockChange = {}, staticData = STATIC_DATA) =>
    recoverSignedStaticData(nodeCiphers, {
      issuerKey: ISSUER,
      signature: signBlock(ISSUER, { body, beyond: STATIC_DATA, change }),
      staticData,
    });
  const right = recover();
  assert.ok(right.ok);
  assert.equal(toHex(right.dataAuthenticationCode), 'DAC1');
  assert.deepEqual(faultOf(recover({ bytes: { 1: '05' } })), ['format', 'recovered', 1]);
  assert.deepEqual(faultOf(recover({ bytes: { 2: '07' } })), ['hashAlgorithm', 'recovered', 2]);
  assert.equal(faultOf(recover({}, STATIC_DATA.slice(1)))[0], 'hash');
});

const NUMBER = '081122334455667788';
const TERMINAL_DATA = fromHex('01020304');

function recoverDynamic(dynamicData: string, change: BlockChange = {}) {
  const inner = fromHex(dynamicData);
  const body = concatBytes(Uint8Array.of(5, 1, inner.length), inner);
  const signature = signBlock(ICC, { body, beyond: TERMINAL_DATA, change });
  const input = { iccKey: ICC, signature, terminalData: TERMINAL_DATA };
  return recoverSignedDynamicData(nodeCiphers, input);
}

test('EMV 4.3 B2 §6.5.2: signed dynamic data give the card number, or the failed check', () => {
  const right = recoverDynamic(NUMBER);
  assert.ok(right.ok && right.iccDynamicNumber);
  assert.equal(toHex(right.iccDynamicNumber), NUMBER.slice(2));
  assert.equal(toHex(right.iccDynamicData), NUMBER);
  assert.deepEqual(faultOf(recoverDynamic(NUMBER, { bytes: { 1: '03' } }))[0], 'format');
  assert.deepEqual(faultOf(recoverDynamic(NUMBER, { bytes: { 2: '02' } }))[0], 'hashAlgorithm');
  const roomBytes = ICC.modulus.length - 25;
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  assert.equal(faultOf(recoverDynamic(NUMBER, { bytes: { 3: hex(roomBytes) } })), 'ok');
  assert.deepEqual(faultOf(recoverDynamic(NUMBER, { bytes: { 3: hex(roomBytes + 1) } })), [
    'dynamicDataLength',
    'recovered',
    3,
  ]);
});

test('EMV 4.3 B2 §6.5.1: a number of 1, 9 or too many bytes is none, the signature stands', () => {
  for (const data of ['0111', '09112233445566778899', '0411', '', '1122334455667788']) {
    const result = recoverDynamic(data);
    assert.ok(result.ok);
    assert.equal(result.iccDynamicNumber, null, data);
  }
});

const TRANSACTION = fromHex('00112233445566778899');
const HASH = toHex(nodeCiphers.sha1(TRANSACTION));
const AC = '1111111111111111';

function recoverCombined(
  dynamicData: string,
  input: Partial<Parameters<typeof recoverCombinedDynamicData>[1]> = {},
) {
  const inner = fromHex(dynamicData);
  const body = concatBytes(Uint8Array.of(5, 1, inner.length), inner);
  return recoverCombinedDynamicData(nodeCiphers, {
    iccKey: ICC,
    signature: signBlock(ICC, { body, beyond: TERMINAL_DATA }),
    unpredictableNumber: TERMINAL_DATA,
    cryptogramInformationData: 0x80,
    transactionData: TRANSACTION,
    ...input,
  });
}

test('EMV 4.3 B2 §6.6.2: a combined answer gives number, CID, cryptogram and transaction hash', () => {
  const right = recoverCombined(`${NUMBER}80${AC}${HASH}`);
  assert.ok(right.ok);
  assert.equal(toHex(right.applicationCryptogram), AC);
  assert.equal(right.cryptogramInformationData, 0x80);
  assert.equal(toHex(right.iccDynamicNumber), NUMBER.slice(2));
  assert.equal(toHex(right.transactionHash), HASH);
  assert.equal(faultOf(recoverCombined(`02112280${AC}${HASH}`)), 'ok');
});

test('EMV 4.3 B2 §6.6.2 steps 5 to 13: another number, CID, byte sent or length fails CDA', () => {
  const right = `${NUMBER}80${AC}${HASH}`;
  const cases: readonly (readonly [Fault, string, Parameters<typeof recoverCombined>[1]])[] = [
    [['dynamicNumber', 'recovered', 4], `011180${AC}${HASH}`, {}],
    [['dynamicDataLength', 'recovered', 3], `${NUMBER}80${AC}${HASH.slice(2)}`, {}],
    [['cryptogramInformationData', 'recovered', 13], right, { cryptogramInformationData: 0x40 }],
    [['cryptogramInformationData', 'recovered', 13], `${NUMBER}00${AC}${HASH}`, {}],
    [['transactionHash', 'recovered', 22], right, { transactionData: TRANSACTION.slice(1) }],
    [['transactionHash', 'recovered', 22], `${NUMBER}80${AC}${'00'.repeat(20)}`, {}],
  ];
  for (const [fault, data, input] of cases) {
    assert.deepEqual(faultOf(recoverCombined(data, input)), fault, data);
  }
  const other = { unpredictableNumber: fromHex('01020305') };
  assert.equal(faultOf(recoverCombined(right, other))[0], 'hash');
});

test('the lists of checks name every fault that their recovery can tell', () => {
  const lists = [
    ISSUER_CERTIFICATE_CHECKS,
    ICC_CERTIFICATE_CHECKS,
    STATIC_DATA_CHECKS,
    DYNAMIC_DATA_CHECKS,
    COMBINED_DATA_CHECKS,
  ];
  for (const list of lists) assert.equal(new Set(list).size, list.length);
  assert.ok(ICC_CERTIFICATE_CHECKS.includes('pan'));
  assert.ok(!ICC_CERTIFICATE_CHECKS.includes('issuerIdentifier'));
  assert.deepEqual(ISSUER_CERTIFICATE_CHECKS.slice(0, 6), STATIC_DATA_CHECKS.slice(0, 6));
  assert.deepEqual(COMBINED_DATA_CHECKS.slice(-1), ['transactionHash']);
});
