/** Certificate making: CA key entries, issuer and card certificates, signed static data. */
import { compressedToBcd, concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { type CipherProvider, rsaRaw } from '../../crypto/index.ts';
import { type CaPublicKey, caPublicKeyHashInput, EMV_MODULUS_BYTES_MAX } from '../data/index.ts';
import { EmvIssuerError } from './errors.ts';

/** Frame bytes of everything an EMV key signs. @see EMV 4.3 B2 §5.1, §6.1 */
const RECOVERED_DATA_HEADER = 0x6a;
const RECOVERED_DATA_TRAILER = 0xbc;
const PADDING = 0xbb;
const HASH_SHA1 = 0x01;
const ALGORITHM_RSA = 0x01;
const FORMAT_ISSUER_CERTIFICATE = 0x02;
const FORMAT_STATIC_DATA = 0x03;
const FORMAT_ICC_CERTIFICATE = 0x04;
/** Bytes around the leftmost key digits in each certificate. @see EMV 4.3 B2 tables 2 and 14 */
const ISSUER_OVERHEAD_BYTES = 36;
const ICC_OVERHEAD_BYTES = 42;
const STATIC_DATA_OVERHEAD_BYTES = 26;
const MODULUS_BYTES_MIN = 64;

/** A public RSA key. */
export type RsaPublicKey = { readonly modulus: Uint8Array; readonly publicExponent: Uint8Array };
/** A whole RSA key; lives in an HSM's sealed store or in a card. */
export type RsaPrivateKey = RsaPublicKey & { readonly privateExponent: Uint8Array };

/** A certificate with what does not fit into it; empty remainder when all does. */
export type CertifiedKey = {
  readonly certificate: Uint8Array;
  readonly remainder: Uint8Array;
  readonly exponent: Uint8Array;
};

/** A CA key table row with its check value. @see EMV 4.3 B2 §11.2.2 */
export function makeCaKeyEntry(
  ciphers: Pick<CipherProvider, 'sha1'>,
  key: RsaPublicKey & {
    readonly rid: string;
    readonly index: string;
    readonly expiryYymmdd: string;
  },
): CaPublicKey {
  assertKey('CA', key, EMV_MODULUS_BYTES_MAX);
  const { rid, index, expiryYymmdd } = key;
  if (!/^[0-9A-F]{10}$/.test(rid) || !/^[0-9A-F]{2}$/.test(index)) {
    throw keyError('RID needs 5 bytes and the index 1, in upper-case hex');
  }
  const fields = {
    rid,
    index,
    modulus: toHex(key.modulus),
    exponent: toHex(key.publicExponent),
  };
  return { ...fields, sha1: toHex(ciphers.sha1(caPublicKeyHashInput(fields))), expiryYymmdd };
}

/**
 * The CA's certificate of an issuer key. @see EMV 4.3 B2 §5.1 table 2
 * @throws EmvIssuerError `ERR_EMV_KEY` when the issuer's modulus is longer than the CA's.
 */
export function issueIssuerCertificate(
  ciphers: Pick<CipherProvider, 'sha1'>,
  request: {
    readonly caKey: RsaPrivateKey;
    readonly issuerKey: RsaPublicKey;
    /** Leftmost 3 to 8 digits of the PAN. */
    readonly issuerIdentifier: string;
    readonly expiryMmyy: string;
    /** Three bytes. */
    readonly serialNumber: Uint8Array;
  },
): CertifiedKey {
  const { caKey, issuerKey, issuerIdentifier } = request;
  assertKey('CA', caKey, EMV_MODULUS_BYTES_MAX);
  assertKey('issuer', issuerKey, caKey.modulus.length);
  if (!/^[0-9]{3,8}$/.test(issuerIdentifier)) throw keyError('issuer identifier has 3 to 8 digits');
  const head = concatBytes(
    Uint8Array.of(FORMAT_ISSUER_CERTIFICATE),
    compressedToBcd(issuerIdentifier, 4),
    certificateValidity(request),
  );
  return certify(ciphers, {
    signer: caKey,
    subject: issuerKey,
    head,
    leftmostBytes: caKey.modulus.length - ISSUER_OVERHEAD_BYTES,
    hashedAfterwards: new Uint8Array(0),
  });
}

/**
 * The issuer's certificate of a card key; it also covers the static data of the card.
 * @see EMV 4.3 B2 §6.1 table 14
 * @throws EmvIssuerError `ERR_EMV_KEY` when the card's modulus is longer than the issuer's.
 */
export function issueIccCertificate(
  ciphers: Pick<CipherProvider, 'sha1'>,
  request: {
    readonly issuerKey: RsaPrivateKey;
    readonly iccKey: RsaPublicKey;
    readonly pan: string;
    readonly expiryMmyy: string;
    /** Three bytes. */
    readonly serialNumber: Uint8Array;
    readonly staticData: Uint8Array;
  },
): CertifiedKey {
  const { issuerKey, iccKey } = request;
  assertKey('issuer', issuerKey, EMV_MODULUS_BYTES_MAX);
  assertKey('card', iccKey, issuerKey.modulus.length);
  const head = concatBytes(
    Uint8Array.of(FORMAT_ICC_CERTIFICATE),
    compressedToBcd(request.pan, 10),
    certificateValidity(request),
  );
  return certify(ciphers, {
    signer: issuerKey,
    subject: iccKey,
    head,
    leftmostBytes: issuerKey.modulus.length - ICC_OVERHEAD_BYTES,
    hashedAfterwards: request.staticData,
  });
}

/** Signed static application data (93). @see EMV 4.3 B2 §5.1 table 3 */
export function signStaticData(
  ciphers: Pick<CipherProvider, 'sha1'>,
  request: {
    readonly issuerKey: RsaPrivateKey;
    /** Two bytes. */
    readonly dataAuthenticationCode: Uint8Array;
    readonly staticData: Uint8Array;
  },
): Uint8Array {
  const { issuerKey, dataAuthenticationCode, staticData } = request;
  assertKey('issuer', issuerKey, EMV_MODULUS_BYTES_MAX);
  if (dataAuthenticationCode.length !== 2) throw keyError('data authentication code has 2 bytes');
  const padding = issuerKey.modulus.length - STATIC_DATA_OVERHEAD_BYTES;
  const signed = concatBytes(
    Uint8Array.of(FORMAT_STATIC_DATA, HASH_SHA1),
    dataAuthenticationCode,
    new Uint8Array(padding).fill(PADDING),
  );
  return sign(issuerKey, signed, ciphers.sha1(concatBytes(signed, staticData)));
}

function certificateValidity(request: {
  readonly expiryMmyy: string;
  readonly serialNumber: Uint8Array;
}): Uint8Array {
  if (!/^(0[1-9]|1[0-2])[0-9]{2}$/.test(request.expiryMmyy)) throw keyError('expiry is MMYY');
  if (request.serialNumber.length !== 3) throw keyError('certificate serial number has 3 bytes');
  return concatBytes(fromHex(request.expiryMmyy), request.serialNumber);
}

function certify(
  ciphers: Pick<CipherProvider, 'sha1'>,
  parts: {
    readonly signer: RsaPrivateKey;
    readonly subject: RsaPublicKey;
    readonly head: Uint8Array;
    readonly leftmostBytes: number;
    readonly hashedAfterwards: Uint8Array;
  },
): CertifiedKey {
  const { modulus, publicExponent } = parts.subject;
  const leftmost = new Uint8Array(parts.leftmostBytes).fill(PADDING);
  leftmost.set(modulus.subarray(0, parts.leftmostBytes));
  const remainder = modulus.slice(parts.leftmostBytes);
  const signed = concatBytes(
    parts.head,
    Uint8Array.of(HASH_SHA1, ALGORITHM_RSA, modulus.length, publicExponent.length),
    leftmost,
  );
  const hash = ciphers.sha1(concatBytes(signed, remainder, publicExponent, parts.hashedAfterwards));
  return {
    certificate: sign(parts.signer, signed, hash),
    remainder,
    exponent: publicExponent.slice(),
  };
}

function sign(signer: RsaPrivateKey, signed: Uint8Array, hash: Uint8Array): Uint8Array {
  const framed = concatBytes(
    Uint8Array.of(RECOVERED_DATA_HEADER),
    signed,
    hash,
    Uint8Array.of(RECOVERED_DATA_TRAILER),
  );
  return rsaRaw(signer.modulus, signer.privateExponent, framed);
}

/** Length and exponent rules of an EMV key. @see EMV 4.3 B2 §D1; exponents 3 and 65537 only */
function assertKey(owner: string, key: RsaPublicKey, bytesMax: number): void {
  const { modulus, publicExponent } = key;
  if (modulus.length < MODULUS_BYTES_MIN || modulus.length > bytesMax) {
    throw keyError(`${owner} modulus of ${modulus.length} bytes is not in 64 to ${bytesMax}`);
  }
  if (((modulus[0] ?? 0) & 0x80) === 0) throw keyError(`${owner} modulus has a zero first bit`);
  if (!['03', '010001'].includes(toHex(publicExponent))) {
    throw keyError(`${owner} exponent is neither 3 nor 65537`);
  }
}

function keyError(why: string): EmvIssuerError {
  return new EmvIssuerError('ERR_EMV_KEY', why);
}
