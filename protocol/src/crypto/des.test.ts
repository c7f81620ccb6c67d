/** DES and 3DES against OpenSSL on seeded keys, and their refusals. */
import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { test } from 'node:test';
import { concatBytes, fromHex, toHex, uintToBytes } from '../bytes/index.ts';
import {
  desDecrypt,
  desEncrypt,
  forgetKeySchedules,
  tdesCbcDecrypt,
  tdesCbcEncrypt,
  tdesDecrypt,
  tdesEncrypt,
} from './index.ts';

/** The same pseudo-random bytes at every run: SHA-256 of seed and counter. */
function seeded(seed: string, index: number, lengthBytes: number): Uint8Array {
  const text = `${seed} ${index}`;
  const parts = [0, 1, 2].map((part) => createHash('sha256').update(`${text} ${part}`).digest());
  return new Uint8Array(concatBytes(...parts).subarray(0, lengthBytes));
}

function openssl(cipher: string, key: Uint8Array, iv: Uint8Array | null, data: Uint8Array): string {
  return toHex(createCipheriv(cipher, key, iv).setAutoPadding(false).update(data));
}

const code = (expected: string) => (error: unknown) =>
  (error as { readonly code?: unknown }).code === expected;

test('FIPS 46-3: single, double and triple keys equal OpenSSL on 1,000 seeded keys', () => {
  for (let index = 0; index < 1000; index++) {
    const key = seeded('key', index, 24);
    const data = seeded('data', index, 24);
    const double = key.subarray(0, 16);
    assert.equal(toHex(tdesEncrypt(key, data)), openssl('des-ede3', key, null, data));
    assert.equal(toHex(tdesEncrypt(double, data)), openssl('des-ede', double, null, data));
    const single = key.subarray(0, 8);
    const tripled = concatBytes(single, single, single);
    const block = data.subarray(0, 8);
    assert.equal(toHex(desEncrypt(single, block)), openssl('des-ede3', tripled, null, block));
  }
});

test('FIPS 46-3: deciphering is the inverse for every key length', () => {
  for (let index = 0; index < 100; index++) {
    const key = seeded('inverse', index, 24);
    const data = seeded('clear', index, 32);
    assert.deepEqual(tdesDecrypt(key, tdesEncrypt(key, data)), data);
    const double = key.subarray(0, 16);
    assert.deepEqual(tdesDecrypt(double, tdesEncrypt(double, data)), data);
    const block = data.subarray(0, 8);
    assert.deepEqual(desDecrypt(key.subarray(0, 8), desEncrypt(key.subarray(0, 8), block)), block);
  }
});

test('FIPS 46-3 §1: parity bits of a key do not count', () => {
  const key = fromHex('0123456789ABCDEFFEDCBA9876543210');
  const flipped = key.map((value) => value ^ 1);
  const block = fromHex('0011223344556677');
  assert.deepEqual(tdesEncrypt(key, block), tdesEncrypt(flipped, block));
});

test('FIPS 81: 3DES-CBC equals OpenSSL with and without an initial vector', () => {
  const key = seeded('cbc', 0, 16);
  const data = seeded('cbc data', 0, 64);
  const vector = seeded('cbc iv', 0, 8);
  const zero = new Uint8Array(8);
  assert.equal(toHex(tdesCbcEncrypt(key, data)), openssl('des-ede-cbc', key, zero, data));
  assert.equal(toHex(tdesCbcEncrypt(key, data, vector)), openssl('des-ede-cbc', key, vector, data));
  assert.deepEqual(tdesCbcDecrypt(key, tdesCbcEncrypt(key, data, vector), vector), data);
  assert.deepEqual(tdesCbcDecrypt(key, tdesCbcEncrypt(key, data)), data);
});

test('a key serves in both directions, whichever was asked first and between other keys', () => {
  for (let index = 0; index < 3_000; index++) {
    const key = seeded('turns', index % 7, index % 2 === 0 ? 16 : 24);
    const data = seeded('turned', index, 16);
    const cipher = index % 2 === 0 ? 'des-ede' : 'des-ede3';
    if (index % 3 === 0) assert.deepEqual(tdesEncrypt(key, tdesDecrypt(key, data)), data);
    const enciphered = tdesEncrypt(key, data);
    assert.equal(toHex(enciphered), openssl(cipher, key, null, data));
    assert.deepEqual(tdesDecrypt(key, enciphered), data);
    if (index % 500 === 0) forgetKeySchedules();
  }
});

test('the schedule cache stays right when more keys are used than it holds', () => {
  const block = fromHex('0000000000000001');
  const keyOf = (index: number): Uint8Array =>
    concatBytes(uintToBytes(2 * index, 8), uintToBytes(2 * index + 16, 8));
  const first: string[] = [];
  for (let index = 0; index < 3000; index++) first.push(toHex(tdesEncrypt(keyOf(index), block)));
  for (let index = 0; index < 3000; index++) {
    assert.equal(toHex(tdesEncrypt(keyOf(index), block)), first[index]);
  }
  forgetKeySchedules();
  assert.equal(toHex(tdesEncrypt(keyOf(7), block)), first[7]);
});

test('a key changed in place by its owner is not served from the cache', () => {
  const key = fromHex('0123456789ABCDEFFEDCBA9876543210');
  const block = new Uint8Array(8);
  const before = tdesEncrypt(key, block);
  key[0] = 0x80;
  assert.notDeepEqual(tdesEncrypt(key, block), before);
});

test('wrong key and data lengths are refused with their codes', () => {
  const block = new Uint8Array(8);
  for (const lengthBytes of [0, 7, 9, 15, 17, 32]) {
    const key = new Uint8Array(lengthBytes);
    assert.throws(() => tdesEncrypt(key, block), code('ERR_CRYPTO_KEY_LENGTH'));
    assert.throws(() => tdesDecrypt(key, block), code('ERR_CRYPTO_KEY_LENGTH'));
    assert.throws(() => tdesCbcEncrypt(key, block), code('ERR_CRYPTO_KEY_LENGTH'));
    assert.throws(() => desEncrypt(key, block), code('ERR_CRYPTO_KEY_LENGTH'));
  }
  assert.throws(() => tdesEncrypt(new Uint8Array(8), block), code('ERR_CRYPTO_KEY_LENGTH'));
  assert.throws(() => desDecrypt(new Uint8Array(16), block), code('ERR_CRYPTO_KEY_LENGTH'));
  for (const lengthBytes of [0, 7, 12]) {
    const data = new Uint8Array(lengthBytes);
    assert.throws(() => tdesEncrypt(new Uint8Array(16), data), code('ERR_CRYPTO_DATA_LENGTH'));
    assert.throws(() => tdesCbcDecrypt(new Uint8Array(16), data), code('ERR_CRYPTO_DATA_LENGTH'));
    assert.throws(() => desEncrypt(new Uint8Array(8), data), code('ERR_CRYPTO_DATA_LENGTH'));
  }
  const short = new Uint8Array(7);
  const key = new Uint8Array(16);
  assert.throws(() => tdesCbcEncrypt(key, block, short), code('ERR_CRYPTO_DATA_LENGTH'));
});
