/** MACs of several texts at a time against OpenSSL and against the one-by-one function. */
import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { test } from 'node:test';
import { concatBytes, fromHex, toHex } from '../bytes/index.ts';
import { x99Mac, x99Macs } from './index.ts';

function seeded(seed: string, lengthBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let part = 0; 32 * part < lengthBytes; part++) {
    parts.push(new Uint8Array(createHash('sha256').update(`${seed} ${part}`).digest()));
  }
  return concatBytes(...parts).slice(0, lengthBytes);
}

function openssl(key: Uint8Array, text: Uint8Array): string {
  const zeros = Math.max(1, Math.ceil(text.length / 8)) * 8 - text.length;
  const padded = concatBytes(text, new Uint8Array(zeros));
  const name = key.length === 16 ? 'des-ede-cbc' : 'des-ede3-cbc';
  const cipher = createCipheriv(name, key, new Uint8Array(8)).setAutoPadding(false);
  return toHex(cipher.update(padded)).slice(-16);
}

test('ISO 9797-1 §7.2: equal to OpenSSL on 2,000 keys, texts of every length side by side', () => {
  for (let index = 0; index < 2_000; index++) {
    const key = seeded(`key ${index}`, index % 3 === 0 ? 24 : 16);
    const count = 1 + (index % 7);
    const texts = Array.from({ length: count }, (_, text) =>
      seeded(`text ${index} ${text}`, (index * 31 + text * 17) % 140),
    );
    const macs = x99Macs(key, texts).map(toHex);
    assert.deepEqual(
      macs,
      texts.map((text) => openssl(key, text)),
    );
  }
});

test('equal to the one-by-one function for very unlike lengths, single DES and no text', () => {
  const key = fromHex('0123456789ABCDEFFEDCBA9876543210');
  const lengths = [0, 8192, 1, 8193, 7, 4096, 8, 9];
  const texts = lengths.map((length) => seeded(`long ${length}`, length));
  const expected = texts.map((text) => x99Mac(key, text));
  assert.deepEqual(x99Macs(key, texts), expected);
  const fit = texts.filter(({ length }) => length <= 8192);
  assert.deepEqual(
    x99Macs(key, fit),
    fit.map((text) => x99Mac(key, text)),
  );
  const single = key.slice(0, 8);
  assert.deepEqual(
    x99Macs(single, fit),
    fit.map((text) => x99Mac(single, text)),
  );
  assert.deepEqual(x99Macs(key, []), []);
});

test('a text is not changed, and one call leaves nothing for the next', () => {
  const key = fromHex('0123456789ABCDEFFEDCBA9876543210');
  const texts = [seeded('a', 50), seeded('b', 60), seeded('c', 70)];
  const copies = texts.map((text) => text.slice());
  const first = x99Macs(key, texts);
  assert.deepEqual(texts, copies);
  x99Macs(seeded('other key', 16), [seeded('d', 8192), seeded('e', 8192), seeded('f', 8192)]);
  assert.deepEqual(x99Macs(key, texts), first);
});

test('a key of a wrong length is refused, as one by one', () => {
  for (const lengthBytes of [0, 7, 15, 17, 33]) {
    assert.throws(() => x99Macs(new Uint8Array(lengthBytes), [new Uint8Array(8)]), {
      code: 'ERR_CRYPTO_KEY_LENGTH',
    });
  }
});
