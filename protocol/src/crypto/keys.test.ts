/** Card keys, cryptograms, AES DUKPT and raw RSA: their rules and their refusals. */
import assert from 'node:assert/strict';
import {
  constants,
  createPrivateKey,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';
import { test } from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { fromHex, toHex } from '../bytes/index.ts';
import {
  aesDukptInitialKey,
  aesDukptKsn,
  aesDukptWorkingKey,
  applicationCryptogram,
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
  nextAesDukptCounter,
  rsaRaw,
  rsaRawCrt,
  scriptMac4,
} from './index.ts';

const KEY = fromHex('0123456789ABCDEFFEDCBA9876543210');
const ATC = fromHex('0001');
const AC = fromHex('0011223344556677');
const IKID = fromHex('1234567890123456');
const code = (expected: string) => (error: unknown) =>
  (error as { readonly code?: unknown }).code === expected;

test('EMV 4.3 B2 A1.4.1: option A takes the last 16 digits of PAN and PSN', () => {
  const long = deriveIccMasterKey(KEY, '6299991234567890123', '01');
  assert.deepEqual(long, deriveIccMasterKey(KEY, '99991234567890123', '01'));
  assert.notDeepEqual(long, deriveIccMasterKey(KEY, '6299991234567890123', '02'));
});

test('PBOC3 P7: session keys differ by ATC, cryptograms by every input', () => {
  assert.notDeepEqual(deriveSessionKey(KEY, ATC), deriveSessionKey(KEY, fromHex('0002')));
  const arpc = arpcMethod1(KEY, AC, fromHex('3030'));
  assert.notDeepEqual(arpc, arpcMethod1(KEY, AC, fromHex('3035')));
  assert.notDeepEqual(arpc, arpcMethod1(KEY, fromHex('0011223344556676'), fromHex('3030')));
  const header = fromHex('04DA9F790A');
  const mac = scriptMac4(KEY, header, ATC, AC, fromHex('000000002000'));
  assert.equal(mac.length, 4);
  assert.notDeepEqual(mac, scriptMac4(KEY, header, ATC, AC, fromHex('000000002001')));
});

test('derivations and cryptograms refuse wrong lengths and digits', () => {
  const key = new Uint8Array(8);
  const keyRefused = code('ERR_CRYPTO_KEY_LENGTH');
  const dataRefused = code('ERR_CRYPTO_DATA_LENGTH');
  const header = new Uint8Array(5);
  assert.throws(() => deriveIccMasterKey(key, '629999000000', '01'), keyRefused);
  assert.throws(() => deriveIccMasterKey(KEY, '62999900000', '01'), code('ERR_CRYPTO_PAN'));
  assert.throws(() => deriveIccMasterKey(KEY, '629999000000', '1'), code('ERR_CRYPTO_DIGITS'));
  assert.throws(() => deriveIccMasterKey(KEY, '629999000000', '0A'), code('ERR_CRYPTO_DIGITS'));
  assert.throws(() => deriveSessionKey(key, ATC), keyRefused);
  assert.throws(() => deriveSessionKey(KEY, new Uint8Array(3)), dataRefused);
  assert.throws(() => applicationCryptogram(key, AC), keyRefused);
  assert.throws(() => arpcMethod1(key, AC, ATC), keyRefused);
  assert.throws(() => arpcMethod1(KEY, AC.subarray(1), ATC), dataRefused);
  assert.throws(() => arpcMethod1(KEY, AC, new Uint8Array(1)), dataRefused);
  assert.throws(() => scriptMac4(key, header, ATC, AC, ATC), keyRefused);
  assert.throws(() => scriptMac4(KEY, header.subarray(1), ATC, AC, ATC), dataRefused);
  assert.throws(() => scriptMac4(KEY, header, AC, AC, ATC), dataRefused);
  assert.throws(() => scriptMac4(KEY, header, ATC, ATC, ATC), dataRefused);
});

test('X9.24-3 §6.1: counters have 1 to 16 ones; the next one skips the others', () => {
  assert.equal(nextAesDukptCounter(0), 1);
  assert.equal(nextAesDukptCounter(0xfffe), 0xffff);
  assert.equal(nextAesDukptCounter(0xffff), 0x10000);
  assert.equal(nextAesDukptCounter(0x1fffe), 0x20000);
  const refused = code('ERR_CRYPTO_COUNTER');
  assert.throws(() => nextAesDukptCounter(0xffff0000), refused);
  for (const counter of [0, -1, 1.5, 0x1ffff, 0xffff0001, 2 ** 32, Number.NaN]) {
    assert.throws(() => aesDukptKsn(IKID, counter), refused);
    assert.throws(
      () => aesDukptWorkingKey(nodeCiphers, KEY, IKID, counter, 'pinEncryption'),
      refused,
    );
  }
});

test('X9.24-3: working keys differ by usage and counter, wrong lengths are refused', () => {
  const initialKey = aesDukptInitialKey(nodeCiphers, KEY, IKID);
  const usages = ['pinEncryption', 'macGeneration', 'macVerification', 'dataEncryption'] as const;
  const keys = usages.map((usage) => aesDukptWorkingKey(nodeCiphers, initialKey, IKID, 3, usage));
  keys.push(aesDukptWorkingKey(nodeCiphers, initialKey, IKID, 4, 'pinEncryption'));
  assert.equal(new Set(keys.map(toHex)).size, keys.length);
  const keyRefused = code('ERR_CRYPTO_KEY_LENGTH');
  const dataRefused = code('ERR_CRYPTO_DATA_LENGTH');
  assert.throws(() => aesDukptInitialKey(nodeCiphers, new Uint8Array(32), IKID), keyRefused);
  assert.throws(() => aesDukptInitialKey(nodeCiphers, KEY, KEY), dataRefused);
  assert.throws(() => aesDukptKsn(KEY, 1), dataRefused);
  const short = new Uint8Array(15);
  assert.throws(() => {
    aesDukptWorkingKey(nodeCiphers, short, IKID, 1, 'pinEncryption');
  }, keyRefused);
});

test('EMV 4.3 B2 A2.1: raw RSA equals OpenSSL, with and without the remainder theorem', () => {
  const pair = generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 });
  const jwk = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' })).export({
    format: 'jwk',
  });
  const part = (name: 'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi'): Uint8Array =>
    new Uint8Array(Buffer.from(String(jwk[name]), 'base64url'));
  const padding = constants.RSA_NO_PADDING;
  const data = new Uint8Array(128).fill(0x6a);
  const modulus = part('n');
  const enciphered = rsaRaw(modulus, part('e'), data);
  assert.deepEqual(
    enciphered,
    new Uint8Array(publicEncrypt({ key: pair.publicKey, padding }, data)),
  );
  const signed = new Uint8Array(privateDecrypt({ key: pair.privateKey, padding }, data));
  assert.deepEqual(rsaRaw(modulus, part('d'), data), signed);
  const crt = { p: part('p'), q: part('q'), exponentP: part('dp'), exponentQ: part('dq') };
  assert.deepEqual(rsaRawCrt({ ...crt, coefficient: part('qi') }, data), signed);
  assert.deepEqual(rsaRaw(modulus, part('e'), signed), data);
});

test('raw RSA keeps leading zeros and refuses what is no modulus or too large a datum', () => {
  assert.equal(toHex(rsaRaw(fromHex('00C5'), fromHex('03'), fromHex('0002'))), '0008');
  const refused = code('ERR_CRYPTO_RSA');
  const three = fromHex('03');
  assert.throws(() => rsaRaw(new Uint8Array(0), three, three), refused);
  assert.throws(() => rsaRaw(new Uint8Array(128), three, three), refused);
  assert.throws(() => rsaRaw(fromHex('C4'), three, three), refused);
  assert.throws(() => rsaRaw(fromHex('C5'), three, fromHex('C5')), refused);
  assert.throws(() => rsaRaw(new Uint8Array(513).fill(0xff), three, three), refused);
  const even = fromHex('02');
  const parts = { q: three, exponentP: three, exponentQ: three, coefficient: three };
  assert.throws(() => rsaRawCrt({ ...parts, p: even }, three), refused);
});
