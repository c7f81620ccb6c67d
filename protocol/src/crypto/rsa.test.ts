/** Raw RSA against plain arithmetic: exponents by bits and by windows, lengths off the word. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { systemRandom } from '../../node/index.ts';
import { fromHex, toHex, uintToBytes } from '../bytes/index.ts';
import { rsaRaw } from './index.ts';

const number = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`);

/** Square and multiply from the right, the plainest way there is. */
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square, rest] = [1n % modulus, base % modulus, exponent];
  for (; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** An odd number of that many bytes with its highest bit set. */
function oddModulus(lengthBytes: number): Uint8Array {
  const modulus = systemRandom.bytes(lengthBytes);
  modulus[0] = (modulus[0] ?? 0) | 0x80;
  modulus[lengthBytes - 1] = (modulus[lengthBytes - 1] ?? 0) | 0x01;
  return modulus;
}

test('EMV 4.3 B2 A2.1: exponents 3 and 65537, and others, are plain powers at every length', () => {
  for (const lengthBytes of [1, 3, 8, 9, 64, 127, 128, 141, 176, 247, 248]) {
    const modulus = oddModulus(lengthBytes);
    const data = systemRandom.bytes(lengthBytes);
    data[0] = 0;
    for (const exponent of [0, 1, 2, 3, 17, 65537, 0xffffff, 0x1000000, 0xffffffff]) {
      const expected = power(number(data), BigInt(exponent), number(modulus));
      const result = rsaRaw(modulus, uintToBytes(exponent, 5), data);
      assert.equal(result.length, lengthBytes);
      assert.equal(number(result), expected, `${lengthBytes} bytes, exponent ${exponent}`);
    }
  }
});

test('a view into a larger buffer is read from its own offset', () => {
  const whole = fromHex(`FFFFFF${'00'.repeat(15)}07FFFF`);
  const data = whole.subarray(3, 19);
  const modulus = new Uint8Array(16).fill(0xff);
  assert.equal(toHex(rsaRaw(modulus, fromHex('03'), data)), '0157'.padStart(32, '0'));
});
