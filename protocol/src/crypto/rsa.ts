/**
 * Raw RSA for EMV certificates, dynamic signatures and the virtual card; no padding of its own.
 * BigInt arithmetic is not constant in time: private keys here are laboratory keys only.
 * @see EMV 4.3 B2 A2.1
 */
import { byteAt } from '../bytes/index.ts';
import { CryptoError } from './errors.ts';

/** Longest modulus taken, in bytes (4096 bits); EMV itself stops at 248. */
export const RSA_MODULUS_BYTES_MAX = 512;

/** A private key in the form of the Chinese remainder theorem; every part big-endian. */
export type RsaCrtKey = {
  readonly p: Uint8Array;
  readonly q: Uint8Array;
  /** d mod (p - 1). */
  readonly exponentP: Uint8Array;
  /** d mod (q - 1). */
  readonly exponentQ: Uint8Array;
  /** q^-1 mod p. */
  readonly coefficient: Uint8Array;
};

/**
 * data^exponent mod modulus, as long as the modulus.
 * @throws CryptoError `ERR_CRYPTO_RSA` for an empty, even, over-long or too small modulus.
 */
export function rsaRaw(modulus: Uint8Array, exponent: Uint8Array, data: Uint8Array): Uint8Array {
  const n = toInteger(modulus);
  const message = toInteger(data);
  assertModulus(n, modulus.length);
  if (message >= n) throw new CryptoError('ERR_CRYPTO_RSA', 'datum is not below the modulus');
  return toBytes(modPow(message, toInteger(exponent), n), modulus.length);
}

/** The private operation by the Chinese remainder theorem, about four times faster. */
export function rsaRawCrt(key: RsaCrtKey, data: Uint8Array): Uint8Array {
  const p = toInteger(key.p);
  const q = toInteger(key.q);
  const lengthBytes = Math.ceil((p * q).toString(16).length / 2);
  assertModulus(p * q, lengthBytes);
  const message = toInteger(data);
  if (message >= p * q) throw new CryptoError('ERR_CRYPTO_RSA', 'datum is not below the modulus');
  const modP = modPow(message % p, toInteger(key.exponentP), p);
  const modQ = modPow(message % q, toInteger(key.exponentQ), q);
  const difference = (((modP - modQ) % p) + p) % p;
  const factor = (difference * toInteger(key.coefficient)) % p;
  return toBytes(modQ + factor * q, lengthBytes);
}

function assertModulus(modulus: bigint, lengthBytes: number): void {
  if (lengthBytes <= RSA_MODULUS_BYTES_MAX && modulus > 1n && modulus % 2n === 1n) return;
  throw new CryptoError('ERR_CRYPTO_RSA', 'modulus is empty, even or too long', { lengthBytes });
}

/** Exponents up to this one, such as 3 and 65537, have so few bits that windows cost more. */
const SMALL_EXPONENT_MAX = 0xffffffn;

function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  return exponent <= SMALL_EXPONENT_MAX
    ? modPowByBits(base, exponent, modulus)
    : modPowByWindows(base, exponent, modulus);
}

/** Left-to-right squaring and multiplying: two products for 3, seventeen for 65537. */
function modPowByBits(base: bigint, exponent: bigint, modulus: bigint): bigint {
  if (exponent === 0n) return 1n % modulus;
  const bits = exponent.toString(2);
  let result = base % modulus;
  for (let index = 1; index < bits.length; index++) {
    result = (result * result) % modulus;
    if (bits[index] === '1') result = (result * base) % modulus;
  }
  return result;
}

/** Left-to-right exponentiation with windows of four bits. */
function modPowByWindows(base: bigint, exponent: bigint, modulus: bigint): bigint {
  const powers: bigint[] = [1n];
  for (let index = 1; index < 16; index++) powers.push((powers[index - 1]! * base) % modulus);
  let result = 1n;
  for (const digit of exponent.toString(16)) {
    for (let square = 0; square < 4; square++) result = (result * result) % modulus;
    const value = Number.parseInt(digit, 16);
    if (value !== 0) result = (result * powers[value]!) % modulus;
  }
  return result % modulus;
}

const WORD_BYTES = 8;

/** Eight bytes at a time: three times faster than by hex digits. */
function toInteger(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const head = bytes.length % WORD_BYTES;
  let value = 0n;
  for (let offset = 0; offset < head; offset++) {
    value = (value << 8n) | BigInt(byteAt(bytes, offset));
  }
  for (let offset = head; offset < bytes.length; offset += WORD_BYTES) {
    value = (value << 64n) | view.getBigUint64(offset);
  }
  return value;
}

/** The value fits: it is below a modulus of that many bytes. */
function toBytes(value: bigint, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  const view = new DataView(bytes.buffer);
  let rest = value;
  let offset = lengthBytes;
  for (; offset >= WORD_BYTES; rest >>= 64n) {
    offset -= WORD_BYTES;
    view.setBigUint64(offset, rest);
  }
  for (; offset > 0; rest >>= 8n) {
    offset -= 1;
    bytes[offset] = Number(rest & 0xffn);
  }
  return bytes;
}
