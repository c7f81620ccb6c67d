/**
 * Raw RSA for EMV certificates, dynamic signatures and the virtual card; no padding of its own.
 * BigInt arithmetic is not constant in time: private keys here are laboratory keys only.
 * @see EMV 4.3 B2 A2.1
 */
import { fromHex, toHex } from '../bytes/index.ts';
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

/** Left-to-right exponentiation with windows of four bits. */
function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  if (exponent === 3n) return (((base * base) % modulus) * base) % modulus;
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

function toInteger(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

function toBytes(value: bigint, lengthBytes: number): Uint8Array {
  return fromHex(value.toString(16).padStart(2 * lengthBytes, '0'));
}
