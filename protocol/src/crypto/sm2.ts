/**
 * SM2 signatures over SM3 on the recommended curve, with the signer's Z value. Node's own
 * `crypto.sign('sm3')` is ECDSA with a key it made and SM2 of an empty user identity with a key it
 * imported: neither is what cards have. BigInt arithmetic is not constant in time: private keys
 * here are laboratory keys only. @see GM/T 0003
 */
import { weierstrass } from '@noble/curves/abstract/weierstrass.js';
import { asciiToBytes, concatBytes, fromHex, type RandomSource } from '../bytes/index.ts';
import { CryptoError } from './errors.ts';
import type { CipherProvider } from './provider.ts';

/** User identity of a signer that has no other. @see GM/T 0009 §10 */
export const SM2_DEFAULT_USER_ID = '1234567812345678';
/** Sizes in bytes: x ‖ y, r ‖ s, d. */
export const SM2_PUBLIC_KEY_BYTES = 64;
export const SM2_SIGNATURE_BYTES = 64;
export const SM2_PRIVATE_KEY_BYTES = 32;
const COORDINATE_BYTES = 32;
/** A number outside the range comes once in 2^32 times; more than this is a broken source. */
const NONCE_TRIES_MAX = 16;

/** The recommended curve. @see GM/T 0003 part 5 */
const CURVE = {
  p: 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffffn,
  a: 0xfffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffcn,
  b: 0x28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93n,
  n: 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n,
  h: 1n,
  Gx: 0x32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7n,
  Gy: 0xbc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0n,
};
const ORDER = CURVE.n;

/** A whole SM2 key; lives in an HSM's sealed store, in a card or in a test. */
export type Sm2KeyPair = { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array };

type Point = ReturnType<ReturnType<typeof weierstrass<bigint>>['fromAffine']>;
let curve: ReturnType<typeof weierstrass<bigint>> | undefined;

/** Made at first use, so that a party without SM2 pays nothing for it. */
function points(): ReturnType<typeof weierstrass<bigint>> {
  curve ??= weierstrass(CURVE);
  return curve;
}

/** A fresh key pair. @throws CryptoError `ERR_CRYPTO_SM2` when the random source is broken. */
export function sm2KeyPair(random: RandomSource): Sm2KeyPair {
  const privateKey = numberToBytes(randomScalar(random, ORDER - 2n));
  return { privateKey, publicKey: sm2PublicKey(privateKey) };
}

/** Point x ‖ y of a private key. @throws CryptoError `ERR_CRYPTO_SM2`. @see GM/T 0003 §6.1 */
export function sm2PublicKey(privateKey: Uint8Array): Uint8Array {
  return pointBytes(points().BASE.multiply(privateScalar(privateKey)));
}

/** Whether the 64 bytes are a point of the curve. @see GM/T 0003 part 1 §6.2 */
export function isSm2PublicKey(publicKey: Uint8Array): boolean {
  return affineOf(publicKey) !== null;
}

/**
 * What is signed: SM3 over Z ‖ message, where Z binds user identity, curve and public key.
 * @see GM/T 0003 part 2 §5.5, §6.1
 */
export function sm2Digest(
  ciphers: Pick<CipherProvider, 'sm3'>,
  input: { readonly publicKey: Uint8Array; readonly message: Uint8Array; readonly userId?: string },
): Uint8Array {
  return ciphers.sm3(concatBytes(sm2Z(ciphers, input), input.message));
}

/**
 * Z value of a signer, 32 bytes.
 * @throws CryptoError `ERR_CRYPTO_SM2` for a user identity that has no two-byte length in bits.
 * @see GM/T 0003 part 2 §5.5
 */
export function sm2Z(
  ciphers: Pick<CipherProvider, 'sm3'>,
  signer: { readonly publicKey: Uint8Array; readonly userId?: string },
): Uint8Array {
  const identity = asciiToBytes(signer.userId ?? SM2_DEFAULT_USER_ID);
  const lengthBits = 8 * identity.length;
  if (lengthBits > 0xffff) throw sm2Error('user identity is too long');
  return ciphers.sm3(
    concatBytes(
      Uint8Array.of(lengthBits >> 8, lengthBits & 0xff),
      identity,
      ...[CURVE.a, CURVE.b, CURVE.Gx, CURVE.Gy].map(numberToBytes),
      signer.publicKey,
    ),
  );
}

/**
 * Signature r ‖ s, 64 bytes.
 * @throws CryptoError `ERR_CRYPTO_SM2` for a private key outside 1 to n - 2 or a broken source.
 * @see GM/T 0003 part 2 §6.1
 */
export function sm2Sign(
  ciphers: Pick<CipherProvider, 'sm3'>,
  input: {
    readonly privateKey: Uint8Array;
    readonly message: Uint8Array;
    readonly random: RandomSource;
    readonly userId?: string;
  },
): Uint8Array {
  const d = privateScalar(input.privateKey);
  const publicKey = sm2PublicKey(input.privateKey);
  const e = bytesToNumber(sm2Digest(ciphers, { ...input, publicKey }));
  for (let tried = 0; tried < NONCE_TRIES_MAX; tried++) {
    const k = randomScalar(input.random, ORDER - 1n);
    const r = (e + points().BASE.multiply(k).x) % ORDER;
    if (r === 0n || r + k === ORDER) continue;
    const s = modulo(points().Fn.inv(1n + d) * modulo(k - r * d));
    if (s !== 0n) return concatBytes(numberToBytes(r), numberToBytes(s));
  }
  throw sm2Error('random source gives no usable number');
}

/** Whether the signature r ‖ s stands; false too for what is no key or no signature. */
export function sm2Verify(
  ciphers: Pick<CipherProvider, 'sm3' | 'isSm2Signature'>,
  input: {
    readonly publicKey: Uint8Array;
    readonly message: Uint8Array;
    readonly signature: Uint8Array;
    readonly userId?: string;
  },
): boolean {
  const { publicKey, message, signature, userId } = input;
  if (ciphers.isSm2Signature && userId === undefined) {
    return ciphers.isSm2Signature(publicKey, message, signature);
  }
  const key = pointOf(publicKey);
  if (key === null || signature.length !== SM2_SIGNATURE_BYTES) return false;
  const r = bytesToNumber(signature.subarray(0, COORDINATE_BYTES));
  const s = bytesToNumber(signature.subarray(COORDINATE_BYTES));
  if (r === 0n || r >= ORDER || s === 0n || s >= ORDER) return false;
  const t = modulo(r + s);
  if (t === 0n) return false;
  const sum = points().BASE.multiplyUnsafe(s).add(key.multiplyUnsafe(t));
  if (sum.is0()) return false;
  const e = bytesToNumber(sm2Digest(ciphers, input));
  return modulo(e + sum.x) === r;
}

function pointOf(publicKey: Uint8Array): Point | null {
  const affine = affineOf(publicKey);
  return affine && points().fromAffine(affine);
}

/** The coordinates, if they are of a point of the curve. */
function affineOf(publicKey: Uint8Array): { readonly x: bigint; readonly y: bigint } | null {
  if (publicKey.length !== SM2_PUBLIC_KEY_BYTES) return null;
  const x = bytesToNumber(publicKey.subarray(0, COORDINATE_BYTES));
  const y = bytesToNumber(publicKey.subarray(COORDINATE_BYTES));
  const { p, a, b } = CURVE;
  const isOnCurve = x < p && y < p && (y * y - (x * x * x + a * x + b)) % p === 0n;
  return isOnCurve ? { x, y } : null;
}

function pointBytes(point: Point): Uint8Array {
  return concatBytes(numberToBytes(point.x), numberToBytes(point.y));
}

function privateScalar(privateKey: Uint8Array): bigint {
  const d = bytesToNumber(privateKey);
  const isInRange = privateKey.length === SM2_PRIVATE_KEY_BYTES && d >= 1n && d <= ORDER - 2n;
  if (!isInRange) throw sm2Error('private key is not in 1 to n - 2');
  return d;
}

/** 1 to `max`; what falls outside is thrown away, so that none is likelier than another. */
function randomScalar(random: RandomSource, max: bigint): bigint {
  for (let tried = 0; tried < NONCE_TRIES_MAX; tried++) {
    const value = bytesToNumber(random.bytes(COORDINATE_BYTES));
    if (value >= 1n && value <= max) return value;
  }
  throw sm2Error('random source gives no number in range');
}

function modulo(value: bigint): bigint {
  const rest = value % ORDER;
  return rest < 0n ? rest + ORDER : rest;
}

function bytesToNumber(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

function numberToBytes(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(2 * COORDINATE_BYTES, '0'));
}

function sm2Error(why: string): CryptoError {
  return new CryptoError('ERR_CRYPTO_SM2', why);
}
