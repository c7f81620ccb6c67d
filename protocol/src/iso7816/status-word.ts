/** Status words SW1 SW2. @see ISO 7816-4 §5.6; EMV 4.3 B3 §6.3.5 */
import type { Branded } from '../bytes/index.ts';
import { Iso7816Error } from './errors.ts';

/** A status word as a 16-bit number. */
export type StatusWord = Branded<number, 'StatusWord'>;
/** @throws Iso7816Error `ERR_APDU_STATUS` outside 6000-6FFF and 9000-9FFF. */
export function StatusWord(value: number): StatusWord {
  const high = value >> 12;
  if (!Number.isInteger(value) || (high !== 0x6 && high !== 0x9)) {
    throw new Iso7816Error('ERR_APDU_STATUS', `${value.toString(16)} is no status word`, {
      statusWord: value.toString(16),
    });
  }
  return value as StatusWord;
}

export const SW_9000_OK: StatusWord = StatusWord(0x9000);
export const SW_6283_SELECTED_FILE_INVALIDATED: StatusWord = StatusWord(0x6283);
export const SW_6300_AUTHENTICATION_FAILED: StatusWord = StatusWord(0x6300);
export const SW_6700_WRONG_LENGTH: StatusWord = StatusWord(0x6700);
export const SW_6982_SECURITY_STATUS_NOT_SATISFIED: StatusWord = StatusWord(0x6982);
export const SW_6983_AUTHENTICATION_METHOD_BLOCKED: StatusWord = StatusWord(0x6983);
export const SW_6984_REFERENCED_DATA_INVALIDATED: StatusWord = StatusWord(0x6984);
export const SW_6985_CONDITIONS_NOT_SATISFIED: StatusWord = StatusWord(0x6985);
export const SW_6987_SECURE_MESSAGING_DATA_MISSING: StatusWord = StatusWord(0x6987);
export const SW_6988_SECURE_MESSAGING_DATA_INCORRECT: StatusWord = StatusWord(0x6988);
export const SW_6A80_WRONG_DATA: StatusWord = StatusWord(0x6a80);
export const SW_6A81_FUNCTION_NOT_SUPPORTED: StatusWord = StatusWord(0x6a81);
export const SW_6A82_FILE_NOT_FOUND: StatusWord = StatusWord(0x6a82);
export const SW_6A83_RECORD_NOT_FOUND: StatusWord = StatusWord(0x6a83);
export const SW_6A86_WRONG_P1_P2: StatusWord = StatusWord(0x6a86);
export const SW_6A88_REFERENCED_DATA_NOT_FOUND: StatusWord = StatusWord(0x6a88);
export const SW_6D00_INSTRUCTION_NOT_SUPPORTED: StatusWord = StatusWord(0x6d00);
export const SW_6E00_CLASS_NOT_SUPPORTED: StatusWord = StatusWord(0x6e00);
export const SW_6F00_NO_PRECISE_DIAGNOSIS: StatusWord = StatusWord(0x6f00);

/** Four upper-case hex digits. */
export function statusWordHex(statusWord: StatusWord): string {
  return statusWord.toString(16).toUpperCase().padStart(4, '0');
}
