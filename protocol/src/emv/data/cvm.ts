/** Cardholder verification: the CVM list (8E) and CVM results (9F34). */
import { byteAt, bytesToUint } from '../../bytes/index.ts';
import { EmvDataError } from './errors.ts';

/** Methods, bits 6-1 of a rule's first byte. @see EMV 4.3 B3 §C3 table 39 */
export const CVM_FAIL = 0x00;
export const CVM_PLAINTEXT_PIN_OFFLINE = 0x01;
export const CVM_ENCIPHERED_PIN_ONLINE = 0x02;
export const CVM_PLAINTEXT_PIN_OFFLINE_AND_SIGNATURE = 0x03;
export const CVM_ENCIPHERED_PIN_OFFLINE = 0x04;
export const CVM_ENCIPHERED_PIN_OFFLINE_AND_SIGNATURE = 0x05;
export const CVM_SIGNATURE = 0x1e;
export const CVM_NO_CVM_REQUIRED = 0x1f;
/** PBOC's own method: the cardholder's identity document (持卡人证件出示). @see PBOC3 P5 (8E) */
export const CVM_PBOC_CARDHOLDER_ID = 0x20;
/** Bits 6-1 of the first byte hold the method. */
export const CVM_METHOD_MASK = 0x3f;
/** Bit 7: apply the next rule when this one fails. */
export const CVM_APPLY_NEXT_MASK = 0x40;

/** Conditions, second byte of a rule. @see EMV 4.3 B3 §C3 table 40 */
export const CVM_CONDITION_ALWAYS = 0x00;
export const CVM_CONDITION_UNATTENDED_CASH = 0x01;
export const CVM_CONDITION_NOT_CASH = 0x02;
export const CVM_CONDITION_TERMINAL_SUPPORTS = 0x03;
export const CVM_CONDITION_MANUAL_CASH = 0x04;
export const CVM_CONDITION_CASHBACK = 0x05;
export const CVM_CONDITION_UNDER_X = 0x06;
export const CVM_CONDITION_OVER_X = 0x07;
export const CVM_CONDITION_UNDER_Y = 0x08;
export const CVM_CONDITION_OVER_Y = 0x09;

/** Third byte of CVM results. @see EMV 4.3 B4 §A4 */
export const CVM_RESULT_UNKNOWN = 0x00;
export const CVM_RESULT_FAILED = 0x01;
export const CVM_RESULT_SUCCESSFUL = 0x02;
/** First byte of CVM results when no method was performed. @see EMV 4.3 B4 §A4 */
export const CVM_RESULTS_NO_CVM_PERFORMED = 0x3f;

/** One rule of the list. */
export type CvmRule = {
  /** The rule's first byte as it stands, which goes into 9F34. */
  readonly code: number;
  readonly method: number;
  readonly condition: number;
  readonly applyNextOnFailure: boolean;
};

/** Amounts X and Y in minor units of the application's currency, and the rules in order. */
export type CvmList = {
  readonly amountX: bigint;
  readonly amountY: bigint;
  readonly rules: readonly CvmRule[];
};

/** Tag 9F34 taken apart. */
export type CvmResults = {
  readonly code: number;
  readonly method: number;
  readonly condition: number;
  readonly result: number;
};

/**
 * A CVM list; one without rules is valid here, the kernel then performs no verification.
 * @throws EmvDataError `ERR_EMV_CVM_LIST` below 8 bytes or with half a rule.
 * @see EMV 4.3 B3 §10.5
 */
export function decodeCvmList(bytes: Uint8Array): CvmList {
  if (bytes.length < 8 || bytes.length % 2 !== 0 || bytes.length > 252) {
    throw new EmvDataError('ERR_EMV_CVM_LIST', `${bytes.length} bytes are no CVM list`, {
      lengthBytes: bytes.length,
    });
  }
  const rules: CvmRule[] = [];
  for (let offset = 8; offset < bytes.length; offset += 2) {
    const code = byteAt(bytes, offset);
    rules.push({
      code,
      method: code & CVM_METHOD_MASK,
      condition: byteAt(bytes, offset + 1),
      applyNextOnFailure: (code & CVM_APPLY_NEXT_MASK) !== 0,
    });
  }
  const amountX = BigInt(bytesToUint(bytes.subarray(0, 4)));
  const amountY = BigInt(bytesToUint(bytes.subarray(4, 8)));
  return { amountX, amountY, rules };
}

/** CVM results taken apart. @throws EmvDataError `ERR_EMV_CVM_LIST` unless 3 bytes. */
export function decodeCvmResults(bytes: Uint8Array): CvmResults {
  if (bytes.length !== 3) {
    throw new EmvDataError('ERR_EMV_CVM_LIST', `CVM results of ${bytes.length} bytes`, {
      lengthBytes: bytes.length,
    });
  }
  const code = byteAt(bytes, 0);
  return {
    code,
    method: code & CVM_METHOD_MASK,
    condition: byteAt(bytes, 1),
    result: byteAt(bytes, 2),
  };
}

/** Whether a method lets the card itself check a PIN. */
export function isOfflinePinMethod(method: number): boolean {
  return (
    method === CVM_PLAINTEXT_PIN_OFFLINE ||
    method === CVM_PLAINTEXT_PIN_OFFLINE_AND_SIGNATURE ||
    method === CVM_ENCIPHERED_PIN_OFFLINE ||
    method === CVM_ENCIPHERED_PIN_OFFLINE_AND_SIGNATURE
  );
}
