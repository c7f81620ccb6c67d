/**
 * SM2 certificates and signed data of a card: what is signed, byte by byte. Unlike RSA ones they
 * are clear data with a signature behind. @see PBOC3 P17
 */
import { byteAt, concatBytes, type RandomSource } from '../../bytes/index.ts';
import {
  type CipherProvider,
  SM2_PUBLIC_KEY_BYTES,
  SM2_SIGNATURE_BYTES,
  sm2Sign,
} from '../../crypto/index.ts';

/**
 * Everything that is not public text stands here. [I] marks what is inferred: the others were read
 * off a published card (formats 13 and 14 with their lengths, 04 00 11 40 before the key).
 */
export const SM_SIGNED_DATA = {
  /** [I] by analogy with 14: identifier of 4 bytes in place of the PAN. */
  issuerCertificate: { format: 0x12, identifierBytes: 4 },
  iccCertificate: { format: 0x14, identifierBytes: 10 },
  staticData: { format: 0x13, authenticationCodeBytes: 2 },
  /** [I] format, then length and value of the ICC dynamic data, then r ‖ s. */
  dynamicData: { format: 0x15 },
  /** SM2 with SM3. */
  signatureAlgorithm: 0x04,
  /** As seen; a card key serves for no encryption. */
  encryptionAlgorithm: 0x00,
  /** The recommended curve. */
  curveParameter: 0x11,
  /** [I] SM3 in place of SHA-1 in the combined answer of GENERATE AC. */
  transactionHashBytes: 32,
} as const;

/** Bytes from the expiry to the key: MMYY, serial 3, four algorithm bytes. */
const CERTIFICATE_MIDDLE_BYTES = 9;
/** Format and length of ICC dynamic data. */
const DYNAMIC_HEAD_BYTES = 2;

/** The two kinds of certificate. */
export type SmCertificateForm = { readonly format: number; readonly identifierBytes: number };

/** Offsets in a certificate; the signature ends it. */
export type SmCertificateOffsets = {
  readonly identifier: number;
  readonly expiry: number;
  readonly serialNumber: number;
  readonly signatureAlgorithm: number;
  readonly encryptionAlgorithm: number;
  readonly curveParameter: number;
  readonly keyLength: number;
  readonly publicKey: number;
  readonly signature: number;
  readonly lengthBytes: number;
};

/** Where everything stands in a certificate of this form. */
export function smCertificateOffsets(form: SmCertificateForm): SmCertificateOffsets {
  const expiry = 1 + form.identifierBytes;
  const publicKey = expiry + CERTIFICATE_MIDDLE_BYTES;
  const signature = publicKey + SM2_PUBLIC_KEY_BYTES;
  return {
    identifier: 1,
    expiry,
    serialNumber: expiry + 2,
    signatureAlgorithm: expiry + 5,
    encryptionAlgorithm: expiry + 6,
    curveParameter: expiry + 7,
    keyLength: expiry + 8,
    publicKey,
    signature,
    lengthBytes: signature + SM2_SIGNATURE_BYTES,
  };
}

/** Clear part of a certificate, format to key. Callers have checked every length. */
export function smCertificateBody(
  form: SmCertificateForm,
  parts: {
    /** As long as the form says, padded with F. */
    readonly identifier: Uint8Array;
    readonly expiryMmyy: Uint8Array;
    readonly serialNumber: Uint8Array;
    readonly publicKey: Uint8Array;
  },
): Uint8Array {
  const { signatureAlgorithm, encryptionAlgorithm, curveParameter } = SM_SIGNED_DATA;
  return concatBytes(
    Uint8Array.of(form.format),
    parts.identifier,
    parts.expiryMmyy,
    parts.serialNumber,
    Uint8Array.of(signatureAlgorithm, encryptionAlgorithm, curveParameter, SM2_PUBLIC_KEY_BYTES),
    parts.publicKey,
  );
}

/** Whether these bytes can only be an SM2 certificate: RSA recovery must not be tried on them. */
export function looksLikeSmCertificate(certificate: Uint8Array): boolean {
  const { issuerCertificate, iccCertificate } = SM_SIGNED_DATA;
  return [issuerCertificate, iccCertificate].some((form) => {
    const offsets = smCertificateOffsets(form);
    return (
      certificate.length === offsets.lengthBytes &&
      certificate[0] === form.format &&
      certificate[offsets.curveParameter] === SM_SIGNED_DATA.curveParameter &&
      certificate[offsets.keyLength] === SM2_PUBLIC_KEY_BYTES
    );
  });
}

/** Clear part of signed static data (93): format and data authentication code. */
export function smStaticDataBody(dataAuthenticationCode: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(SM_SIGNED_DATA.staticData.format), dataAuthenticationCode);
}

/** Clear part of signed dynamic data (9F4B): format, length, ICC dynamic data. */
export function smDynamicDataBody(iccDynamicData: Uint8Array): Uint8Array {
  const head = Uint8Array.of(SM_SIGNED_DATA.dynamicData.format, iccDynamicData.length);
  return concatBytes(head, iccDynamicData);
}

/** ICC dynamic data of 9F4B and its signature; null when the lengths do not agree. */
export function smDynamicDataParts(
  signed: Uint8Array,
): { readonly iccDynamicData: Uint8Array; readonly signature: Uint8Array } | null {
  if (signed.length < DYNAMIC_HEAD_BYTES + SM2_SIGNATURE_BYTES) return null;
  const end = DYNAMIC_HEAD_BYTES + byteAt(signed, 1);
  if (signed.length !== end + SM2_SIGNATURE_BYTES) return null;
  return { iccDynamicData: signed.slice(DYNAMIC_HEAD_BYTES, end), signature: signed.slice(end) };
}

/**
 * Signed dynamic data of a card (9F4B): the terminal's data are signed but not repeated.
 * `terminalData` are the values of the DDOL, or 9F37 alone in the answer to GENERATE AC.
 * @throws CryptoError `ERR_CRYPTO_SM2`. @see PBOC3 P17
 */
export function signSmDynamicData(
  ciphers: Pick<CipherProvider, 'sm3'>,
  request: {
    readonly privateKey: Uint8Array;
    /** At most 255 bytes: the ICC dynamic number with its length first. */
    readonly iccDynamicData: Uint8Array;
    readonly terminalData: Uint8Array;
    readonly random: RandomSource;
  },
): Uint8Array {
  const body = smDynamicDataBody(request.iccDynamicData);
  const { privateKey, random } = request;
  const message = concatBytes(body, request.terminalData);
  return concatBytes(body, sm2Sign(ciphers, { privateKey, message, random }));
}
