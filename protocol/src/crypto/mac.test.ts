/** MACs of cards and lines: padding rules, relations between the algorithms, and refusals. */
import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../bytes/index.ts';
import {
  aesCmac,
  kcvAes,
  kcvTdes,
  padIso9797Method1,
  padIso9797Method2,
  retailMac,
  unionPayPosMac,
  x99Mac,
} from './index.ts';

const KEY = fromHex('0123456789ABCDEFFEDCBA9876543210');
const bytes = fc.uint8Array({ maxLength: 80 });
const code = (expected: string) => (error: unknown) =>
  (error as { readonly code?: unknown }).code === expected;

test('ISO 9797-1 §6.3.3: method 2 always adds 80, then zeros to whole blocks', () => {
  assert.equal(toHex(padIso9797Method2(new Uint8Array(0))), '8000000000000000');
  assert.equal(toHex(padIso9797Method2(fromHex('11223344556677'))), '1122334455667780');
  const whole = fromHex('1122334455667788');
  assert.equal(toHex(padIso9797Method2(whole)), '11223344556677888000000000000000');
  assert.equal(padIso9797Method2(whole, 16).length, 16);
});

test('ISO 9797-1 §6.3.2: method 1 adds zeros to an open or absent block only', () => {
  assert.equal(toHex(padIso9797Method1(new Uint8Array(0))), '0000000000000000');
  assert.equal(toHex(padIso9797Method1(fromHex('1122'))), '1122000000000000');
  assert.equal(padIso9797Method1(new Uint8Array(8)).length, 8);
});

test('ISO 9797-1 §7.4: retail MAC is CBC under the left half, then D and E', () => {
  fc.assert(
    fc.property(bytes, (data) => {
      const left = KEY.subarray(0, 8);
      const padded = padIso9797Method2(data);
      const chain = x99Mac(left, padded);
      const ede = concatBytes(KEY, left);
      const before = padded.length === 8 ? new Uint8Array(8) : x99Mac(left, padded.slice(0, -8));
      const last = padded.slice(-8).map((value, index) => value ^ (before[index] ?? 0));
      const cipher = createCipheriv('des-ede3', ede, null).setAutoPadding(false);
      const mac = retailMac(KEY, data, { padding: 2 });
      assert.equal(toHex(mac), toHex(cipher.update(last)));
      assert.notEqual(toHex(mac), toHex(chain));
    }),
  );
});

test('ISO 9797-1 §6.3.2: zero padding by hand gives the same MACs', () => {
  fc.assert(
    fc.property(bytes, (data) => {
      const padded = padIso9797Method1(data);
      assert.deepEqual(x99Mac(KEY, data), x99Mac(KEY, padded));
      const zeros = { padding: 1 } as const;
      assert.deepEqual(retailMac(KEY, data, zeros), retailMac(KEY, padded, zeros));
    }),
  );
});

test('X9.19 and X9.9 agree when both key halves are one key', () => {
  const single = KEY.subarray(0, 8);
  const same = concatBytes(single, single);
  const data = fromHex('00112233445566778899');
  assert.deepEqual(retailMac(same, data, { padding: 1 }), x99Mac(single, data));
  assert.deepEqual(x99Mac(same, data), x99Mac(single, data));
});

test('X9.9: one changed bit of data or key changes the MAC', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(), (data, position) => {
      const changed = data.slice();
      const index = position % data.length;
      changed[index] = (changed[index] ?? 0) ^ 1;
      assert.notDeepEqual(x99Mac(KEY, changed), x99Mac(KEY, data));
      assert.notDeepEqual(unionPayPosMac(KEY, changed), unionPayPosMac(KEY, data));
    }),
  );
});

test('Q/CUP 009.1: the POS MAC is eight upper-case hex characters', () => {
  fc.assert(
    fc.property(bytes, (data) => {
      const text = String.fromCharCode(...unionPayPosMac(KEY, data));
      assert.match(text, /^[0-9A-F]{8}$/);
    }),
  );
});

test('RFC 4493 §2.4: the CMAC of every length differs from that of its zero-padded form', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 47 }), (data) => {
      if (data.length % 16 === 0 && data.length > 0) return;
      const padded = padIso9797Method1(data, 16);
      assert.notDeepEqual(aesCmac(nodeCiphers, KEY, data), aesCmac(nodeCiphers, KEY, padded));
    }),
  );
});

test('X9.24-1 annex A: check values are zeros under the key, a CMAC of zeros for AES', () => {
  assert.equal(kcvTdes(KEY), '08D7B4FB');
  assert.equal(kcvTdes(KEY.subarray(0, 8)), 'D5D44FF7');
  const cmac = aesCmac(nodeCiphers, KEY, new Uint8Array(16));
  assert.equal(kcvAes(nodeCiphers, KEY), toHex(cmac).slice(0, 10));
});

test('wrong key lengths are refused with their code', () => {
  const data = new Uint8Array(8);
  const refused = code('ERR_CRYPTO_KEY_LENGTH');
  for (const lengthBytes of [0, 7, 15, 17, 33]) {
    const key = new Uint8Array(lengthBytes);
    assert.throws(() => retailMac(key, data, { padding: 2 }), refused);
    assert.throws(() => x99Mac(key, data), refused);
    assert.throws(() => unionPayPosMac(key, data), refused);
    assert.throws(() => aesCmac(nodeCiphers, key, data), refused);
    assert.throws(() => kcvTdes(key), refused);
    assert.throws(() => kcvAes(nodeCiphers, key), refused);
  }
  assert.throws(() => retailMac(new Uint8Array(8), data, { padding: 1 }), refused);
  assert.throws(() => retailMac(new Uint8Array(24), data, { padding: 1 }), refused);
  assert.throws(() => unionPayPosMac(new Uint8Array(24), data), refused);
});
