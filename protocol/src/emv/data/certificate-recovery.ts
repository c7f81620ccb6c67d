/**
 * Recovery of certificates and signed data of RSA cards, with every check of Book 2 in its order.
 * A failed check is a value that says which one and where; nothing is thrown, whatever the bytes.
 * The kernel turns it into TVR bits, the explainer prints each step.
 */
import {
  byteAt,
  bytesToUint,
  concatBytes,
  equalBytes,
  TapError,
  toHex,
} from '../../bytes/index.ts';
import { type CipherProvider, rsaRaw } from '../../crypto/index.ts';
import { EMV_MODULUS_BYTES_MAX } from './ca-key.ts';

/** An RSA public key of CA, issuer or card. */
export type EmvRsaPublicKey = { readonly modulus: Uint8Array; readonly exponent: Uint8Array };

/** The check that failed. */
export type RecoveryFault =
  /** The signing key itself is shorter or longer than any EMV key. */
  | 'signerKey'
  | 'length'
  /** Not below the modulus, or no RSA modulus. */
  | 'rsa'
  | 'trailer'
  | 'header'
  | 'format'
  | 'remainderMissing'
  | 'hashAlgorithm'
  | 'hash'
  /** SM2: the signature does not stand. */
  | 'signature'
  | 'issuerIdentifier'
  | 'pan'
  | 'expired'
  | 'revoked'
  | 'keyAlgorithm'
  | 'curveParameter'
  | 'keyLength'
  | 'exponentLength'
  | 'exponent'
  | 'remainder'
  /** SM2: no point of the curve. */
  | 'publicKey'
  | 'dynamicDataLength'
  | 'dynamicNumber'
  | 'cryptogramInformationData'
  | 'transactionHash';

/** The input a fault was found in. `recovered` is what RSA opened. */
export type RecoveryPart =
  | 'signerKey'
  | 'certificate'
  | 'signature'
  | 'recovered'
  | 'remainder'
  | 'exponent'
  | 'cryptogramInformationData'
  | 'transactionData';

/** A failed check: which, and at which byte of which part. */
export type RecoveryFailure = {
  readonly ok: false;
  readonly fault: RecoveryFault;
  readonly where: { readonly part: RecoveryPart; readonly offsetBytes: number | null };
  /** The opened block; null when it did not open. For SM2 the clear certificate. */
  readonly recovered: Uint8Array | null;
};

/** A certificate that passed every check. */
export type RecoveredCertificate<Key> = {
  readonly ok: true;
  readonly recovered: Uint8Array;
  /** Issuer identifier, or the whole PAN of a card's certificate; without padding. */
  readonly identifier: string;
  readonly expiryMmyy: string;
  readonly serialNumber: Uint8Array;
  readonly key: Key;
};

/** Signed static data that passed every check. */
export type RecoveredStaticData = {
  readonly ok: true;
  readonly recovered: Uint8Array;
  /** Tag 9F45, 2 bytes. */
  readonly dataAuthenticationCode: Uint8Array;
};

/** Signed dynamic data that passed every check. */
export type RecoveredDynamicData = {
  readonly ok: true;
  readonly recovered: Uint8Array;
  readonly iccDynamicData: Uint8Array;
  /** Tag 9F4C; null when the card gave none of 2 to 8 bytes. */
  readonly iccDynamicNumber: Uint8Array | null;
};

/** What a combined answer to GENERATE AC holds. @see EMV 4.3 B2 table 19 */
export type RecoveredCombinedData = {
  readonly ok: true;
  readonly recovered: Uint8Array;
  readonly iccDynamicNumber: Uint8Array;
  /** Tag 9F27. */
  readonly cryptogramInformationData: number;
  /** Tag 9F26. */
  readonly applicationCryptogram: Uint8Array;
  readonly transactionHash: Uint8Array;
};

/** What a certificate is checked against. An absent member skips its check. */
export type CertificateExpectation = {
  /** Digits of 5A. */
  readonly pan?: string;
  /** Transaction date. */
  readonly dateYymmdd?: string;
  /** Certificate revocation list, asked with the 3 bytes of the serial number. */
  readonly isRevoked?: (serialNumber: Uint8Array) => boolean;
};

/** A certificate with what stands outside of it; an empty remainder is none. */
export type CertificateInput = CertificateExpectation & {
  readonly certificate: Uint8Array;
  readonly remainder?: Uint8Array | undefined;
  readonly exponent: Uint8Array;
};

/** Checks of an issuer certificate in their order: those before a fault have passed. */
export const ISSUER_CERTIFICATE_CHECKS: readonly RecoveryFault[] = [
  'signerKey',
  'length',
  'rsa',
  'trailer',
  'header',
  'format',
  'remainderMissing',
  'hashAlgorithm',
  'hash',
  'issuerIdentifier',
  'expired',
  'revoked',
  'keyAlgorithm',
  'keyLength',
  'exponentLength',
  'exponent',
  'remainder',
];
/** As `ISSUER_CERTIFICATE_CHECKS`, for a card's certificate, its PIN certificate included. */
export const ICC_CERTIFICATE_CHECKS: readonly RecoveryFault[] = ISSUER_CERTIFICATE_CHECKS.map(
  (check) => (check === 'issuerIdentifier' ? 'pan' : check),
).filter((check) => check !== 'revoked');
/** As `ISSUER_CERTIFICATE_CHECKS`, for signed static data. */
export const STATIC_DATA_CHECKS: readonly RecoveryFault[] = [
  'signerKey',
  'length',
  'rsa',
  'trailer',
  'header',
  'format',
  'hashAlgorithm',
  'hash',
];
/** As `ISSUER_CERTIFICATE_CHECKS`, for signed dynamic data. */
export const DYNAMIC_DATA_CHECKS: readonly RecoveryFault[] = [
  ...STATIC_DATA_CHECKS,
  'dynamicDataLength',
];
/** As `ISSUER_CERTIFICATE_CHECKS`, for the combined answer of GENERATE AC. */
export const COMBINED_DATA_CHECKS: readonly RecoveryFault[] = [
  ...DYNAMIC_DATA_CHECKS,
  'dynamicNumber',
  'cryptogramInformationData',
  'transactionHash',
];

const RECOVERED_HEADER = 0x6a;
const RECOVERED_TRAILER = 0xbc;
const HASH_ALGORITHM_SHA1 = 0x01;
const PUBLIC_KEY_ALGORITHM_RSA = 0x01;
const HASH_BYTES = 20;
/** Hash and trailer. */
const TAIL_BYTES = HASH_BYTES + 1;
/** Shortest modulus whose certificates and signatures have room for their fields. */
export const EMV_MODULUS_BYTES_MIN = 64;
const CRYPTOGRAM_BYTES = 8;

/** Second byte of the opened block: what kind of signed data it is. */
const FORMAT_STATIC_DATA = 0x03;
const FORMAT_DYNAMIC_DATA = 0x05;

/** The two kinds of certificate. */
type CertificateForm = {
  readonly format: number;
  readonly identifierBytes: number;
  readonly fault: 'issuerIdentifier' | 'pan';
};
const ISSUER_FORM: CertificateForm = {
  format: 0x02,
  identifierBytes: 4,
  fault: 'issuerIdentifier',
};
const ICC_FORM: CertificateForm = { format: 0x04, identifierBytes: 10, fault: 'pan' };

/**
 * Issuer public key of its certificate (90, 92, 9F32).
 * @see EMV 4.3 B2 §5.3 (steps 1 to 12), table 6; §6.3
 */
export function recoverIssuerCertificate(
  ciphers: Pick<CipherProvider, 'sha1'>,
  input: CertificateInput & { readonly caKey: EmvRsaPublicKey },
): RecoveredCertificate<EmvRsaPublicKey> | RecoveryFailure {
  return recoverCertificate(ciphers, ISSUER_FORM, {
    ...input,
    signer: input.caKey,
    staticData: new Uint8Array(0),
  });
}

/**
 * The card's public key of its certificate (9F46, 9F48, 9F47), which covers the static data; or its
 * PIN encipherment key (9F2D, 9F2F, 9F2E), whose certificate covers none.
 * @see EMV 4.3 B2 §6.4 (steps 1 to 10), table 14; §7.1, table 21
 */
export function recoverIccCertificate(
  ciphers: Pick<CipherProvider, 'sha1'>,
  input: CertificateInput & {
    readonly issuerKey: EmvRsaPublicKey;
    readonly staticData: Uint8Array;
  },
): RecoveredCertificate<EmvRsaPublicKey> | RecoveryFailure {
  return recoverCertificate(ciphers, ICC_FORM, { ...input, signer: input.issuerKey });
}

/**
 * Data authentication code of signed static application data (93).
 * @see EMV 4.3 B2 §5.4, table 7
 */
export function recoverSignedStaticData(
  ciphers: Pick<CipherProvider, 'sha1'>,
  input: {
    readonly issuerKey: EmvRsaPublicKey;
    readonly signature: Uint8Array;
    readonly staticData: Uint8Array;
  },
): RecoveredStaticData | RecoveryFailure {
  const opened = openSigned(input.issuerKey, input.signature, FORMAT_STATIC_DATA);
  if (!opened.ok) return opened;
  const { recovered } = opened;
  const wrong = checkHash(ciphers, recovered, { algorithmAt: 2, beyond: [input.staticData] });
  if (wrong) return wrong;
  return { ok: true, recovered, dataAuthenticationCode: recovered.slice(3, 5) };
}

/**
 * ICC dynamic data of signed dynamic application data (9F4B): DDA, and fDDA with its own terminal
 * data. @see EMV 4.3 B2 §6.5.2, table 17
 */
export function recoverSignedDynamicData(
  ciphers: Pick<CipherProvider, 'sha1'>,
  input: {
    readonly iccKey: EmvRsaPublicKey;
    readonly signature: Uint8Array;
    /** What the DDOL gave; in a combined answer the unpredictable number alone. */
    readonly terminalData: Uint8Array;
  },
): RecoveredDynamicData | RecoveryFailure {
  const opened = openSigned(input.iccKey, input.signature, FORMAT_DYNAMIC_DATA);
  if (!opened.ok) return opened;
  const { recovered } = opened;
  const wrong = checkHash(ciphers, recovered, { algorithmAt: 2, beyond: [input.terminalData] });
  if (wrong) return wrong;
  const lengthBytes = byteAt(recovered, 3);
  if (lengthBytes > recovered.length - 4 - TAIL_BYTES) {
    return failure('dynamicDataLength', 'recovered', 3, recovered);
  }
  const iccDynamicData = recovered.slice(4, 4 + lengthBytes);
  const iccDynamicNumber = iccDynamicNumberOf(iccDynamicData);
  return { ok: true, recovered, iccDynamicData, iccDynamicNumber };
}

/** A combined answer to GENERATE AC with all that its signature covers. */
export type CombinedDataInput = {
  readonly signature: Uint8Array;
  /** 9F37 as it stood in CDOL1. */
  readonly unpredictableNumber: Uint8Array;
  /** 9F27 of the answer, in clear. */
  readonly cryptogramInformationData: number;
  /**
   * Values of PDOL and CDOL1 (then CDOL2), then tag, length and value of every object of the
   * answer but 9F4B, each in the order sent.
   */
  readonly transactionData: Uint8Array;
};

/**
 * CDA: the cryptogram out of the signature, bound to what both sides sent.
 * @see EMV 4.3 B2 §6.6.2 (steps 1 to 13), tables 18 and 19
 */
export function recoverCombinedDynamicData(
  ciphers: Pick<CipherProvider, 'sha1'>,
  input: CombinedDataInput & { readonly iccKey: EmvRsaPublicKey },
): RecoveredCombinedData | RecoveryFailure {
  const opened = recoverSignedDynamicData(ciphers, {
    iccKey: input.iccKey,
    signature: input.signature,
    terminalData: input.unpredictableNumber,
  });
  if (!opened.ok) return opened;
  return combinedDataOf(opened, {
    input,
    dynamicDataAt: 4,
    hash: ciphers.sha1(input.transactionData),
  });
}

/** The fields of ICC dynamic data in a combined answer, checked; RSA and SM2 share it. */
export function combinedDataOf(
  opened: RecoveredDynamicData,
  check: {
    readonly input: CombinedDataInput;
    /** Where ICC dynamic data begin in the block. */
    readonly dynamicDataAt: number;
    readonly hash: Uint8Array;
  },
): RecoveredCombinedData | RecoveryFailure {
  const { recovered, iccDynamicData, iccDynamicNumber } = opened;
  const { dynamicDataAt, hash } = check;
  if (iccDynamicNumber === null) {
    return failure('dynamicNumber', 'recovered', dynamicDataAt, recovered);
  }
  const cidAt = 1 + iccDynamicNumber.length;
  const hashAt = cidAt + 1 + CRYPTOGRAM_BYTES;
  if (iccDynamicData.length < hashAt + hash.length) {
    return failure('dynamicDataLength', 'recovered', dynamicDataAt - 1, recovered);
  }
  const cryptogramInformationData = byteAt(iccDynamicData, cidAt);
  if (cryptogramInformationData !== check.input.cryptogramInformationData) {
    return failure('cryptogramInformationData', 'recovered', dynamicDataAt + cidAt, recovered);
  }
  const transactionHash = iccDynamicData.slice(hashAt, hashAt + hash.length);
  if (!equalBytes(transactionHash, hash)) {
    return failure('transactionHash', 'recovered', dynamicDataAt + hashAt, recovered);
  }
  const applicationCryptogram = iccDynamicData.slice(cidAt + 1, hashAt);
  return {
    ok: true,
    recovered,
    iccDynamicNumber,
    cryptogramInformationData,
    applicationCryptogram,
    transactionHash,
  };
}

/**
 * First byte of ICC dynamic data is the length of the ICC dynamic number, 2 to 8.
 * QUIRK: some cards leave it out; a DDA signature stands all the same (§6.5.2 does not test it), so
 * only the number is dropped. @see EMV 4.3 B2 §6.5.1 table 15
 */
export function iccDynamicNumberOf(iccDynamicData: Uint8Array): Uint8Array | null {
  const lengthBytes = iccDynamicData[0] ?? 0;
  if (lengthBytes < 2 || lengthBytes > 8 || iccDynamicData.length < 1 + lengthBytes) return null;
  return iccDynamicData.slice(1, 1 + lengthBytes);
}

/** Result of opening: trailer, header and format are right. */
type Opened = { readonly ok: true; readonly recovered: Uint8Array };

/** Length, RSA, trailer, header, format: the checks every recovery begins with. */
function openSigned(
  key: EmvRsaPublicKey,
  signed: Uint8Array,
  format: number,
): Opened | RecoveryFailure {
  const lengthBytes = key.modulus.length;
  if (lengthBytes < EMV_MODULUS_BYTES_MIN || lengthBytes > EMV_MODULUS_BYTES_MAX) {
    return failure('signerKey', 'signerKey', null, null);
  }
  if (signed.length !== lengthBytes) return failure('length', 'certificate', null, null);
  const recovered = recover(key, signed);
  if (recovered === null) return failure('rsa', 'certificate', null, null);
  const last = lengthBytes - 1;
  if (byteAt(recovered, last) !== RECOVERED_TRAILER) {
    return failure('trailer', 'recovered', last, recovered);
  }
  if (byteAt(recovered, 0) !== RECOVERED_HEADER) {
    return failure('header', 'recovered', 0, recovered);
  }
  if (byteAt(recovered, 1) !== format) return failure('format', 'recovered', 1, recovered);
  return { ok: true, recovered };
}

function recover(key: EmvRsaPublicKey, signed: Uint8Array): Uint8Array | null {
  try {
    return rsaRaw(key.modulus, key.exponent, signed);
  } catch (fault) {
    // A number not below the modulus, or an even modulus: not a signature of this key.
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

/** The indicated hash algorithm is known, and the hash is that of the block and what is beyond. */
function checkHash(
  ciphers: Pick<CipherProvider, 'sha1'>,
  recovered: Uint8Array,
  rule: { readonly algorithmAt: number; readonly beyond: readonly Uint8Array[] },
): RecoveryFailure | null {
  if (byteAt(recovered, rule.algorithmAt) !== HASH_ALGORITHM_SHA1) {
    return failure('hashAlgorithm', 'recovered', rule.algorithmAt, recovered);
  }
  const hashAt = recovered.length - TAIL_BYTES;
  const signed = concatBytes(recovered.subarray(1, hashAt), ...rule.beyond);
  const hash = recovered.subarray(hashAt, hashAt + HASH_BYTES);
  return equalBytes(ciphers.sha1(signed), hash)
    ? null
    : failure('hash', 'recovered', hashAt, recovered);
}

/** `6A format identifier MMYY serial(3) hash-alg key-alg key-len exp-len key… hash(20) BC` */
function recoverCertificate(
  ciphers: Pick<CipherProvider, 'sha1'>,
  form: CertificateForm,
  input: CertificateInput & { readonly signer: EmvRsaPublicKey; readonly staticData: Uint8Array },
): RecoveredCertificate<EmvRsaPublicKey> | RecoveryFailure {
  const opened = openSigned(input.signer, input.certificate, form.format);
  if (!opened.ok) return opened;
  const { recovered } = opened;
  const expiryAt = 2 + form.identifierBytes;
  const algorithmAt = expiryAt + 5;
  const keyAt = algorithmAt + 4;
  const room = recovered.length - keyAt - TAIL_BYTES;
  const keyLengthBytes = byteAt(recovered, algorithmAt + 2);
  const remainder = input.remainder ?? new Uint8Array(0);
  if (keyLengthBytes > room && remainder.length === 0) {
    return failure('remainderMissing', 'remainder', null, recovered);
  }
  const beyond = [remainder, input.exponent, input.staticData];
  const wrongHash = checkHash(ciphers, recovered, { algorithmAt, beyond });
  if (wrongHash) return wrongHash;
  const subject = { identifierAt: 2, expiryAt, fault: form.fault };
  const wrongSubject = checkSubject(recovered, subject, input);
  if (wrongSubject) return { ...wrongSubject, recovered };
  if (byteAt(recovered, algorithmAt + 1) !== PUBLIC_KEY_ALGORITHM_RSA) {
    return failure('keyAlgorithm', 'recovered', algorithmAt + 1, recovered);
  }
  const key = keyOf(recovered, { ...input, keyAt, room, keyLengthBytes, remainder });
  if (!key.ok) return key;
  return { ok: true, recovered, key: key.value, ...subjectOf(recovered, subject) };
}

/** Where a certificate says whose it is and until when. */
export type CertificateSubject = {
  readonly identifierAt: number;
  readonly expiryAt: number;
  readonly fault: 'issuerIdentifier' | 'pan';
};

/** Identifier, expiry and serial number as a certificate has them. */
export function subjectOf(
  certificate: Uint8Array,
  { identifierAt, expiryAt }: CertificateSubject,
): { readonly identifier: string; readonly expiryMmyy: string; readonly serialNumber: Uint8Array } {
  return {
    // Identifier and PAN are padded with F to a fixed length (AndreasFagschlunger/O2Xfs #4).
    identifier: toHex(certificate.subarray(identifierAt, expiryAt)).replace(/F+$/, ''),
    expiryMmyy: toHex(certificate.subarray(expiryAt, expiryAt + 2)),
    serialNumber: certificate.slice(expiryAt + 2, expiryAt + 5),
  };
}

/**
 * Issuer identifier or PAN, expiry, revocation; RSA and SM2 certificates share it.
 * @see EMV 4.3 B2 §5.3 steps 8 to 10, §6.4 steps 8 and 9
 */
export function checkSubject(
  certificate: Uint8Array,
  place: CertificateSubject,
  expected: CertificateExpectation,
): RecoveryFailure | null {
  const { identifier, expiryMmyy, serialNumber } = subjectOf(certificate, place);
  const { pan, dateYymmdd, isRevoked } = expected;
  const at = (fault: RecoveryFault, offsetBytes: number) =>
    failure(fault, 'recovered', offsetBytes, certificate);
  const isIssuers = place.fault === 'issuerIdentifier';
  const isWellFormed = (isIssuers ? /^[0-9]{3,8}$/ : /^[0-9]{8,19}$/).test(identifier);
  const isOfPan =
    pan === undefined || (isIssuers ? pan.startsWith(identifier) : pan === identifier);
  if (!isWellFormed || !isOfPan) return at(place.fault, place.identifierAt);
  if (isCertificateExpired(expiryMmyy, dateYymmdd)) return at('expired', place.expiryAt);
  if (isRevoked?.(serialNumber)) return at('revoked', place.expiryAt + 2);
  return null;
}

/**
 * MMYY is the last month of validity; a month that is none has passed. Without a date only the
 * form is tested. @see EMV 4.3 B2 §5.3 step 9; B4 §6.7.3
 */
export function isCertificateExpired(expiryMmyy: string, dateYymmdd: string | undefined): boolean {
  if (!/^(0[1-9]|1[0-2])[0-9]{2}$/.test(expiryMmyy)) return true;
  if (dateYymmdd === undefined) return false;
  const lastYymm = expiryMmyy.slice(2) + expiryMmyy.slice(0, 2);
  return century(dateYymmdd) + dateYymmdd.slice(0, 4) > century(lastYymm) + lastYymm;
}

/** Two-digit years 00 to 49 are 20xx, 50 to 99 are 19xx. @see EMV 4.3 B4 §6.7.3 */
export function century(yy: string): '19' | '20' {
  return Number(yy.slice(0, 2)) < 50 ? '20' : '19';
}

/**
 * Leftmost part in the certificate, the rest in the remainder; no key is longer than its signer's,
 * and its exponent is 3 or 65537. @see EMV 4.3 B2 §5.3 step 12, §D1, §B2.1
 */
function keyOf(
  recovered: Uint8Array,
  input: {
    readonly keyAt: number;
    readonly room: number;
    readonly keyLengthBytes: number;
    readonly remainder: Uint8Array;
    readonly exponent: Uint8Array;
  },
): { readonly ok: true; readonly value: EmvRsaPublicKey } | RecoveryFailure {
  const { keyAt, room, keyLengthBytes, remainder, exponent } = input;
  if (keyLengthBytes < EMV_MODULUS_BYTES_MIN || keyLengthBytes > recovered.length) {
    return failure('keyLength', 'recovered', keyAt - 2, recovered);
  }
  if (exponent.length < 1 || exponent.length > 3) {
    return failure('exponentLength', 'exponent', null, recovered);
  }
  if (bytesToUint(exponent) !== 3 && bytesToUint(exponent) !== 65537) {
    return failure('exponent', 'exponent', 0, recovered);
  }
  const inside = recovered.subarray(keyAt, keyAt + Math.min(room, keyLengthBytes));
  const modulus = keyLengthBytes > room ? concatBytes(inside, remainder) : inside.slice();
  if (modulus.length !== keyLengthBytes) {
    return failure('remainder', 'remainder', null, recovered);
  }
  return { ok: true, value: { modulus, exponent } };
}

/** A failed check. */
export function failure(
  fault: RecoveryFault,
  part: RecoveryPart,
  offsetBytes: number | null,
  recovered: Uint8Array | null,
): RecoveryFailure {
  return { ok: false, fault, where: { part, offsetBytes }, recovered };
}
