/** Binary coded decimal: n (right-justified, zero-filled) and cn (compressed, F-filled). */
import { BytesError, fromHex, toHex } from './bytes.ts';

/** EMV format n: decimal digits, right-justified, leading zeros. @see EMV 4.3 B3 §4.3 */
export function numericToBcd(digits: string, lengthBytes: number): Uint8Array {
  assertDigits(digits);
  if (digits.length > 2 * lengthBytes) {
    throw new BytesError('ERR_BYTES_LENGTH', `${digits.length} digits exceed ${lengthBytes} bytes`);
  }
  return fromHex(digits.padStart(2 * lengthBytes, '0'));
}

/** EMV format cn: decimal digits, left-justified, F-filled. @see EMV 4.3 B3 §4.3 */
export function compressedToBcd(digits: string, lengthBytes?: number): Uint8Array {
  assertDigits(digits);
  const nibbles = 2 * (lengthBytes ?? Math.ceil(digits.length / 2));
  if (digits.length > nibbles) {
    throw new BytesError('ERR_BYTES_LENGTH', `${digits.length} digits exceed ${nibbles} nibbles`);
  }
  return fromHex(digits.padEnd(nibbles, 'F'));
}

/** All digits of an n value, leading zeros kept. @throws BytesError `ERR_BCD_DIGIT`. */
export function bcdToNumeric(bytes: Uint8Array): string {
  const digits = toHex(bytes);
  assertDigits(digits);
  return digits;
}

/** Digits of a cn value without its F filler. @throws BytesError `ERR_BCD_DIGIT`. */
export function bcdToCompressed(bytes: Uint8Array): string {
  const digits = toHex(bytes).replace(/F+$/, '');
  assertDigits(digits);
  return digits;
}

function assertDigits(digits: string): void {
  const bad = digits.search(/[^0-9]/);
  if (bad >= 0) {
    throw new BytesError('ERR_BCD_DIGIT', `not a decimal digit at nibble ${bad}`, {
      offsetNibbles: bad,
    });
  }
}
