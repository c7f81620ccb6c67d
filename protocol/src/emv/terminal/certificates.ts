/** Recovery of issuer key, card key, static and dynamic signature, with every check of Book 2. */
import {
  byteAt,
  bytesToUint,
  concatBytes,
  equalBytes,
  TapError,
  toHex,
} from '../../bytes/index.ts';
import { type CipherProvider, rsaRaw } from '../../crypto/index.ts';

/** An RSA public key. */
export type RsaPublicKey = { readonly modulus: Uint8Array; readonly exponent: Uint8Array };

/** A recovered value, or the check that failed; the text goes into traces. */
export type Recovered<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly why: string };

const RECOVERED_HEADER = 0x6a;
const RECOVERED_TRAILER = 0xbc;
const HASH_ALGORITHM_SHA1 = 0x01;
const PUBLIC_KEY_ALGORITHM_RSA = 0x01;
const HASH_BYTES = 20;
/** Shortest and longest modulus. @see EMV 4.3 B2 §B2.1, §D1 */
const MODULUS_BYTES_MIN = 64;
const MODULUS_BYTES_MAX = 248;

/** First byte after the header: what kind of signed data it is. */
const FORMAT_ISSUER_CERTIFICATE = 0x02;
const FORMAT_STATIC_DATA = 0x03;
const FORMAT_ICC_CERTIFICATE = 0x04;
const FORMAT_DYNAMIC_DATA = 0x05;

/** Why a recovery failed when a needed remainder (92, 9F48) is not there. */
export const REMAINDER_MISSING = 'remainderMissing';

/** Where the key stands in a recovered certificate. */
type KeyLayout = { readonly keyLengthBytes: number; readonly keyOffsetBytes: number };

/** Inputs of a certificate's recovery. */
export type CertificateInput = {
  readonly certificate: Uint8Array;
  readonly remainder: Uint8Array | undefined;
  readonly exponent: Uint8Array;
  /** Digits of the PAN (5A). */
  readonly pan: string;
  readonly dateYymmdd: string;
};

/**
 * Issuer public key of its certificate.
 * @see EMV 4.3 B2 §5.3 (steps 1 to 12), table 6
 */
export function recoverIssuerKey(
  ciphers: CipherProvider,
  ca: RsaPublicKey,
  input: CertificateInput,
): Recovered<RsaPublicKey> {
  const opened = openSigned(ca, input.certificate, FORMAT_ISSUER_CERTIFICATE);
  if (!opened.ok) return opened;
  const recovered = opened.value;
  // 6A 02 issuer-id(4) MMYY(2) serial(3) hash-alg key-alg key-len exp-len key... hash(20) BC
  const layout = { keyLengthBytes: byteAt(recovered, 13), keyOffsetBytes: 15 };
  if (lacksRemainder(recovered, { ...input, ...layout })) return failed(REMAINDER_MISSING);
  if (byteAt(recovered, 11) !== HASH_ALGORITHM_SHA1) return failed('hashAlgorithm');
  const signed = concatBytes(
    recovered.subarray(1, recovered.length - 21),
    input.remainder ?? new Uint8Array(0),
    input.exponent,
  );
  if (!hashMatches(ciphers, recovered, signed)) return failed('hash');
  const identifier = toHex(recovered.subarray(2, 6)).replace(/F+$/, '');
  if (!/^[0-9]{3,8}$/.test(identifier) || !input.pan.startsWith(identifier)) {
    return failed('issuerIdentifier');
  }
  if (isExpired(recovered.subarray(6, 8), input.dateYymmdd)) return failed('expired');
  if (byteAt(recovered, 12) !== PUBLIC_KEY_ALGORITHM_RSA) return failed('keyAlgorithm');
  return keyOf(recovered, { ...input, ...layout });
}

/**
 * Card's public key of its certificate; `staticData` is what the issuer signed with it.
 * @see EMV 4.3 B2 §6.4 (steps 1 to 10), table 14
 */
export function recoverIccKey(
  ciphers: CipherProvider,
  issuer: RsaPublicKey,
  input: CertificateInput & { readonly staticData: Uint8Array },
): Recovered<RsaPublicKey> {
  const opened = openSigned(issuer, input.certificate, FORMAT_ICC_CERTIFICATE);
  if (!opened.ok) return opened;
  const recovered = opened.value;
  // 6A 04 PAN(10) MMYY(2) serial(3) hash-alg key-alg key-len exp-len key... hash(20) BC
  const layout = { keyLengthBytes: byteAt(recovered, 19), keyOffsetBytes: 21 };
  if (lacksRemainder(recovered, { ...input, ...layout })) return failed(REMAINDER_MISSING);
  if (byteAt(recovered, 17) !== HASH_ALGORITHM_SHA1) return failed('hashAlgorithm');
  const signed = concatBytes(
    recovered.subarray(1, recovered.length - 21),
    input.remainder ?? new Uint8Array(0),
    input.exponent,
    input.staticData,
  );
  if (!hashMatches(ciphers, recovered, signed)) return failed('hash');
  // Both are padded with F to different lengths (AndreasFagschlunger/O2Xfs #4).
  if (toHex(recovered.subarray(2, 12)).replace(/F+$/, '') !== input.pan) return failed('pan');
  if (isExpired(recovered.subarray(12, 14), input.dateYymmdd)) return failed('expired');
  if (byteAt(recovered, 18) !== PUBLIC_KEY_ALGORITHM_RSA) return failed('keyAlgorithm');
  return keyOf(recovered, { ...input, ...layout });
}

/**
 * Data authentication code of signed static application data (93).
 * @see EMV 4.3 B2 §5.4, table 7
 */
export function verifyStaticSignature(
  ciphers: CipherProvider,
  issuer: RsaPublicKey,
  input: { readonly signature: Uint8Array; readonly staticData: Uint8Array },
): Recovered<Uint8Array> {
  const opened = openSigned(issuer, input.signature, FORMAT_STATIC_DATA);
  if (!opened.ok) return opened;
  const recovered = opened.value;
  if (byteAt(recovered, 2) !== HASH_ALGORITHM_SHA1) return failed('hashAlgorithm');
  const signed = concatBytes(recovered.subarray(1, recovered.length - 21), input.staticData);
  if (!hashMatches(ciphers, recovered, signed)) return failed('hash');
  return { ok: true, value: recovered.slice(3, 5) };
}

/**
 * ICC dynamic data of signed dynamic application data (9F4B); `dynamicData` is what the DDOL gave.
 * @see EMV 4.3 B2 §6.5.2, table 17
 */
export function verifyDynamicSignature(
  ciphers: CipherProvider,
  icc: RsaPublicKey,
  input: { readonly signature: Uint8Array; readonly dynamicData: Uint8Array },
): Recovered<Uint8Array> {
  const opened = openSigned(icc, input.signature, FORMAT_DYNAMIC_DATA);
  if (!opened.ok) return opened;
  const recovered = opened.value;
  if (byteAt(recovered, 2) !== HASH_ALGORITHM_SHA1) return failed('hashAlgorithm');
  const signed = concatBytes(recovered.subarray(1, recovered.length - 21), input.dynamicData);
  if (!hashMatches(ciphers, recovered, signed)) return failed('hash');
  const lengthBytes = byteAt(recovered, 3);
  if (lengthBytes > recovered.length - 25) return failed('dynamicDataLength');
  return { ok: true, value: recovered.slice(4, 4 + lengthBytes) };
}

/** Length, RSA, trailer, header, format: the checks every recovery begins with. */
function openSigned(key: RsaPublicKey, signed: Uint8Array, format: number): Recovered<Uint8Array> {
  if (signed.length !== key.modulus.length) return failed('length');
  const recovered = recover(key, signed);
  if (recovered === null) return failed('rsa');
  if (byteAt(recovered, recovered.length - 1) !== RECOVERED_TRAILER) return failed('trailer');
  if (byteAt(recovered, 0) !== RECOVERED_HEADER) return failed('header');
  if (byteAt(recovered, 1) !== format) return failed('format');
  return { ok: true, value: recovered };
}

function recover(key: RsaPublicKey, signed: Uint8Array): Uint8Array | null {
  try {
    return rsaRaw(key.modulus, key.exponent, signed);
  } catch (fault) {
    // A number not below the modulus, or an even modulus: not a signature of this key.
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

function hashMatches(ciphers: CipherProvider, recovered: Uint8Array, signed: Uint8Array): boolean {
  const hash = recovered.subarray(recovered.length - 1 - HASH_BYTES, recovered.length - 1);
  return equalBytes(ciphers.sha1(signed), hash);
}

/** Leftmost part in the certificate, the rest in the remainder. @see EMV 4.3 B2 §5.3 step 12 */
function keyOf(
  recovered: Uint8Array,
  input: CertificateInput & KeyLayout,
): Recovered<RsaPublicKey> {
  const { keyLengthBytes, keyOffsetBytes, exponent } = input;
  const room = roomForKey(recovered, keyOffsetBytes);
  if (keyLengthBytes < MODULUS_BYTES_MIN || keyLengthBytes > MODULUS_BYTES_MAX) {
    return failed('keyLength');
  }
  if (exponent.length !== 1 && exponent.length !== 3) return failed('exponentLength');
  if (bytesToUint(exponent) !== 3 && bytesToUint(exponent) !== 65537) return failed('exponent');
  const within = recovered.subarray(
    keyOffsetBytes,
    keyOffsetBytes + Math.min(room, keyLengthBytes),
  );
  const rest = keyLengthBytes > room ? (input.remainder ?? new Uint8Array(0)) : new Uint8Array(0);
  const modulus = concatBytes(within, rest);
  if (modulus.length !== keyLengthBytes) return failed('remainder');
  return { ok: true, value: { modulus, exponent } };
}

/** Room for the key between its offset and the hash. */
function roomForKey(recovered: Uint8Array, keyOffsetBytes: number): number {
  return recovered.length - keyOffsetBytes - 1 - HASH_BYTES;
}

/** The key is longer than the certificate's room and nothing holds its rest. */
function lacksRemainder(recovered: Uint8Array, input: CertificateInput & KeyLayout): boolean {
  const room = roomForKey(recovered, input.keyOffsetBytes);
  return input.keyLengthBytes > room && input.remainder === undefined;
}

/** MMYY is the last month of validity. @see EMV 4.3 B2 §5.3 step 9; B4 §6.7.3 */
function isExpired(expiryMmyy: Uint8Array, dateYymmdd: string): boolean {
  const text = toHex(expiryMmyy);
  if (!/^(0[1-9]|1[0-2])[0-9]{2}$/.test(text)) return true;
  return century(dateYymmdd) + dateYymmdd.slice(0, 4) > lastMonth(text);
}

function lastMonth(expiryMmyy: string): string {
  const yymm = expiryMmyy.slice(2) + expiryMmyy.slice(0, 2);
  return century(yymm) + yymm;
}

/** Two-digit years 00 to 49 are 20xx, 50 to 99 are 19xx. @see EMV 4.3 B4 §6.7.3 */
export function century(yy: string): '19' | '20' {
  return Number(yy.slice(0, 2)) < 50 ? '20' : '19';
}

function failed(why: string): { readonly ok: false; readonly why: string } {
  return { ok: false, why };
}
