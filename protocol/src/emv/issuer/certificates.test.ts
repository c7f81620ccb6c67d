/**
 * Shows that the certificates and signatures of a made card open again as EMV Book 2 says, with
 * keys of node:crypto, and that keys against the rules make none.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, luhnCheckDigit, TapError, toHex } from '../../bytes/index.ts';
import { rsaRaw } from '../../crypto/index.ts';
import { decodeTlv } from '../../iso7816/index.ts';
import { iccDgi, iccObject } from '../data/index.ts';
import { SAMPLE_PAN, type SampleKeys, sampleCard } from '../icc/sample.test-card.ts';
import {
  issueIccCertificate,
  issueIssuerCertificate,
  makeCaKeyEntry,
  type RsaPrivateKey,
  signStaticData,
} from './index.ts';

const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof TapError && thrown.code === wanted;

/** A key pair with exponent 3, as payment schemes use. */
function rsaKey(modulusLength: number): RsaPrivateKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
}

const KEYS: SampleKeys = { ca: rsaKey(1408), issuer: rsaKey(1152), icc: rsaKey(1024) };
const { image, caKey } = sampleCard(nodeCiphers, KEYS);

const [card] = image.applications;
assert.ok(card);
/** Value of a data object of the card. */
const objectOf = (tag: string): Uint8Array => iccObject(card, tag) ?? new Uint8Array(0);
/** Record 1 of file 2 without its template, then the AIP: what certificates and 93 cover. */
const STATIC_DATA = concatBytes(
  decodeTlv(iccDgi(card, '0201') ?? new Uint8Array(0))[0]?.value ?? new Uint8Array(0),
  fromHex('7C00'),
);

const open = (key: { modulus: Uint8Array; publicExponent: Uint8Array }, signed: Uint8Array) =>
  rsaRaw(key.modulus, key.publicExponent, signed);
const sha1 = (...parts: Uint8Array[]) => toHex(nodeCiphers.sha1(concatBytes(...parts)));

test('the sample account number has a sound check digit (ISO 7812)', () => {
  assert.equal(luhnCheckDigit(SAMPLE_PAN.slice(0, -1)), SAMPLE_PAN.slice(-1));
});

test('CA key entry: SHA-1 over RID, index, modulus, exponent (EMV 4.3 B2 §11.2.2)', () => {
  const covered = concatBytes(fromHex('A000000333F0'), KEYS.ca.modulus, Uint8Array.of(3));
  assert.equal(caKey.sha1, sha1(covered));
  assert.equal(caKey.modulus.length, 2 * 176);
});

test('issuer certificate opens under the CA key (EMV 4.3 B2 §5.3 table 6)', () => {
  const recovered = open(KEYS.ca, objectOf('90'));
  assert.equal(recovered.length, 176);
  assert.equal(recovered[0], 0x6a);
  assert.equal(recovered.at(-1), 0xbc);
  assert.equal(toHex(recovered.slice(1, 15)), '02629999001235000001010190 01'.replace(' ', ''));
  const hash = toHex(recovered.slice(-21, -1));
  const remainder = objectOf('92');
  assert.equal(hash, sha1(recovered.slice(1, -21), remainder, Uint8Array.of(3)));
  const modulus = concatBytes(recovered.slice(15, 15 + 140), remainder);
  assert.deepEqual(modulus, KEYS.issuer.modulus);
  assert.equal(toHex(objectOf('9F32')), '03');
});

test('card certificate opens under the issuer key, covers the static data (B2 §6.4)', () => {
  const recovered = open(KEYS.issuer, objectOf('9F46'));
  assert.equal(recovered.length, 144);
  assert.equal(toHex(recovered.slice(1, 12)), `04${SAMPLE_PAN}FFFF`.padEnd(22, 'F'));
  assert.equal(toHex(recovered.slice(12, 21)), '1231000002010180' + '01');
  const remainder = objectOf('9F48');
  assert.equal(remainder.length, 26);
  const hashed = [recovered.slice(1, -21), remainder, Uint8Array.of(3), STATIC_DATA];
  assert.equal(toHex(recovered.slice(-21, -1)), sha1(...hashed));
  assert.deepEqual(concatBytes(recovered.slice(21, 21 + 102), remainder), KEYS.icc.modulus);
});

test('signed static data opens and covers records and AIP (EMV 4.3 B2 §5.4 table 7)', () => {
  const recovered = open(KEYS.issuer, objectOf('93'));
  assert.equal(toHex(recovered.slice(0, 5)), '6A0301DAC0');
  assert.ok(recovered.slice(5, -21).every((value) => value === 0xbb));
  const hash = sha1(recovered.slice(1, -21), STATIC_DATA);
  assert.equal(toHex(recovered.slice(-21, -1)), hash);
});

test('one bit flipped in the static data breaks both hashes', () => {
  const changed = STATIC_DATA.with(14, (STATIC_DATA[14] ?? 0) ^ 0x01);
  const recovered = open(KEYS.issuer, objectOf('93'));
  assert.notEqual(toHex(recovered.slice(-21, -1)), sha1(recovered.slice(1, -21), changed));
});

test('a key that fits whole has no remainder', () => {
  const small = rsaKey(512);
  const certified = issueIssuerCertificate(nodeCiphers, {
    caKey: KEYS.ca,
    issuerKey: small,
    issuerIdentifier: '629999',
    expiryMmyy: '1235',
    serialNumber: new Uint8Array(3),
  });
  assert.equal(certified.remainder.length, 0);
  const recovered = rsaRaw(KEYS.ca.modulus, KEYS.ca.publicExponent, certified.certificate);
  assert.equal(toHex(recovered.slice(2, 6)), '629999FF');
  assert.ok(recovered.slice(15 + 64, -21).every((value) => value === 0xbb));
});

test('no certificate for a key longer than its signer (EMV 4.3 B2 §D1)', () => {
  const issuer = {
    caKey: KEYS.icc,
    issuerKey: KEYS.issuer,
    issuerIdentifier: '629999',
    expiryMmyy: '1235',
    serialNumber: new Uint8Array(3),
  };
  assert.throws(() => issueIssuerCertificate(nodeCiphers, issuer), code('ERR_EMV_KEY'));
  const icc = {
    issuerKey: KEYS.icc,
    iccKey: KEYS.issuer,
    pan: SAMPLE_PAN,
    expiryMmyy: '1231',
    serialNumber: new Uint8Array(3),
    staticData: new Uint8Array(0),
  };
  assert.throws(() => issueIccCertificate(nodeCiphers, icc), code('ERR_EMV_KEY'));
});

test('no certificate for other exponents, identifiers, dates, serials', () => {
  const sound = {
    caKey: KEYS.ca,
    issuerKey: KEYS.issuer,
    issuerIdentifier: '629999',
    expiryMmyy: '1235',
    serialNumber: new Uint8Array(3),
  };
  for (const wrong of [
    { issuerKey: { ...KEYS.issuer, publicExponent: Uint8Array.of(17) } },
    { issuerIdentifier: '62' },
    { expiryMmyy: '1335' },
    { serialNumber: new Uint8Array(2) },
  ]) {
    const request = { ...sound, ...wrong };
    assert.throws(() => issueIssuerCertificate(nodeCiphers, request), code('ERR_EMV_KEY'));
  }
  const entry = { ...KEYS.ca, rid: 'A0', index: 'F0', expiryYymmdd: '351231' };
  assert.throws(() => makeCaKeyEntry(nodeCiphers, entry), code('ERR_EMV_KEY'));
  const unsigned = {
    issuerKey: KEYS.issuer,
    dataAuthenticationCode: new Uint8Array(3),
    staticData: new Uint8Array(0),
  };
  assert.throws(() => signStaticData(nodeCiphers, unsigned), code('ERR_EMV_KEY'));
});
