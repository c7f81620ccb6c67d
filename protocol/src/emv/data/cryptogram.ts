/** Cryptogram types (9F27), issuer application data (9F10), authorisation response codes (8A). */
import { byteAt, concatBytes } from '../../bytes/index.ts';
import type { DolEntry } from '../../iso7816/index.ts';
import { EmvDataError } from './errors.ts';
import * as tags from './tags.ts';

/** Kinds of application cryptogram; the value is the type in bits 8-7 of P1 and of the CID. */
export const CRYPTOGRAM_AAC = 0x00;
export const CRYPTOGRAM_TC = 0x40;
export const CRYPTOGRAM_ARQC = 0x80;
/** Bits 8-7 of the CID and of GENERATE AC's P1. */
export const CRYPTOGRAM_TYPE_MASK = 0xc0;
/** Bit 5 of GENERATE AC's P1: the terminal asks for CDA. */
export const GENERATE_AC_CDA_REQUESTED = 0x10;

/** A cryptogram's kind by name; `RFU` is 11, which no card may answer. */
export type CryptogramType = 'AAC' | 'TC' | 'ARQC' | 'RFU';

/** The kind in bits 8-7 of cryptogram information data. @see EMV 4.3 B3 §6.5.5 table 14 */
export function cryptogramTypeOf(cid: number): CryptogramType {
  switch (cid & CRYPTOGRAM_TYPE_MASK) {
    case CRYPTOGRAM_AAC:
      return 'AAC';
    case CRYPTOGRAM_TC:
      return 'TC';
    case CRYPTOGRAM_ARQC:
      return 'ARQC';
    default:
      return 'RFU';
  }
}

/** Authorisation response codes that a terminal sets by itself. @see EMV 4.3 B4 §A6 */
export const ARC_OFFLINE_APPROVED = 'Y1';
export const ARC_OFFLINE_DECLINED = 'Z1';
export const ARC_UNABLE_ONLINE_APPROVED = 'Y3';
export const ARC_UNABLE_ONLINE_DECLINED = 'Z3';

/** Cryptogram version 01 of PBOC: contact application, 3DES. */
export const CRYPTOGRAM_VERSION_01 = 0x01;
/** Cryptogram version 17 (hex) of PBOC: qPBOC. */
export const CRYPTOGRAM_VERSION_17 = 0x17;
/**
 * What a CVN 01 cryptogram covers, in order, before the four bytes of the CVR: 33 bytes.
 * @see PBOC3 P5 (CVN 01)
 */
export const AC_INPUT_CVN_01: readonly DolEntry[] = [
  { tag: tags.TAG_9F02_AMOUNT_AUTHORISED, lengthBytes: 6 },
  { tag: tags.TAG_9F03_AMOUNT_OTHER, lengthBytes: 6 },
  { tag: tags.TAG_9F1A_TERMINAL_COUNTRY_CODE, lengthBytes: 2 },
  { tag: tags.TAG_95_TERMINAL_VERIFICATION_RESULTS, lengthBytes: 5 },
  { tag: tags.TAG_5F2A_TRANSACTION_CURRENCY_CODE, lengthBytes: 2 },
  { tag: tags.TAG_9A_TRANSACTION_DATE, lengthBytes: 3 },
  { tag: tags.TAG_9C_TRANSACTION_TYPE, lengthBytes: 1 },
  { tag: tags.TAG_9F37_UNPREDICTABLE_NUMBER, lengthBytes: 4 },
  { tag: tags.TAG_82_APPLICATION_INTERCHANGE_PROFILE, lengthBytes: 2 },
  { tag: tags.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, lengthBytes: 2 },
];
/** Bytes of the whole CVN 01 input, CVR included. */
export const AC_INPUT_CVN_01_BYTES = 37;
/**
 * What a CVN 17 (hex) cryptogram covers, in order, before byte 5 of 9F10, which is byte 2 of the
 * CVR and holds the kind of cryptogram. Country, date, type, TVR and AIP are outside: an issuer
 * must not believe them for the cryptogram's sake. @see PBOC3 P12 (CVN 17)
 */
export const AC_INPUT_CVN_17: readonly DolEntry[] = [
  { tag: tags.TAG_9F02_AMOUNT_AUTHORISED, lengthBytes: 6 },
  { tag: tags.TAG_9F37_UNPREDICTABLE_NUMBER, lengthBytes: 4 },
  { tag: tags.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, lengthBytes: 2 },
];
/** Bytes of the whole CVN 17 input, the CVR's byte included. */
export const AC_INPUT_CVN_17_BYTES = 13;

/** Algorithm byte of issuer application data. */
export const IAD_ALGORITHM_3DES = 0x01;
export const IAD_ALGORITHM_SM4 = 0x04;

/** PBOC issuer application data `07 DKI CVN CVR(4) ALG`, then issuer discretionary data. */
export type IssuerApplicationData = {
  readonly derivationKeyIndex: number;
  readonly cryptogramVersion: number;
  /** Card verification results, 4 bytes with their own length byte 03. */
  readonly cvr: Uint8Array;
  readonly algorithm: number;
  /** Issuer discretionary data without its length byte; empty when absent. */
  readonly discretionary: Uint8Array;
};

/**
 * Tag 9F10 of a PBOC card taken apart.
 * @throws EmvDataError `ERR_EMV_IAD` on any other layout.
 * @see PBOC3 P5 (9F10)
 */
export function decodeIad(bytes: Uint8Array): IssuerApplicationData {
  if (bytes.length < 8 || bytes.length > 32) throw iadError(bytes.length, 'needs 8 to 32 bytes');
  if (byteAt(bytes, 0) !== 0x07) throw iadError(0, 'its first length byte is not 07');
  if (byteAt(bytes, 3) !== 0x03) throw iadError(3, 'its CVR does not begin with 03');
  const rest = bytes.subarray(8);
  if (rest.length > 0 && byteAt(rest, 0) !== rest.length - 1) {
    throw iadError(8, 'the length of issuer discretionary data does not fit');
  }
  return {
    derivationKeyIndex: byteAt(bytes, 1),
    cryptogramVersion: byteAt(bytes, 2),
    cvr: bytes.slice(3, 7),
    algorithm: byteAt(bytes, 7),
    discretionary: rest.slice(1),
  };
}

/** Tag 9F10 of its parts. @throws EmvDataError `ERR_EMV_IAD` when they do not fit. */
export function encodeIad(iad: IssuerApplicationData): Uint8Array {
  const bytes = concatBytes(
    Uint8Array.of(0x07, iad.derivationKeyIndex, iad.cryptogramVersion),
    iad.cvr,
    Uint8Array.of(iad.algorithm),
    iad.discretionary.length === 0
      ? iad.discretionary
      : concatBytes(Uint8Array.of(iad.discretionary.length), iad.discretionary),
  );
  decodeIad(bytes);
  return bytes;
}

function iadError(offsetBytes: number, why: string): EmvDataError {
  return new EmvDataError('ERR_EMV_IAD', `issuer application data: ${why}`, { offsetBytes });
}
