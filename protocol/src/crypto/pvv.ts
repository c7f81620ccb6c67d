/** Visa PIN verification value. @see Visa PVV */
import { tdesEncryptInPlace } from './des.ts';
import { DES_BLOCK_BYTES } from './des-core.ts';
import { putDigits } from './digits.ts';
import { assertKeyLength, assertPan, assertPin, CryptoError } from './errors.ts';

/** Digits of the PIN that one PVV covers. */
export const PVV_DIGITS = 4;
const DIGITS = '0123456789';
const DOUBLE_KEY: readonly number[] = [16];
/** Digits of the account number in a block; a PAN has at least twelve. */
const ACCOUNT_DIGITS = 11;

/** What a PVV is made of; only the first four PIN digits count. */
export type PvvInput = { readonly pan: string; readonly pvki: string; readonly pin: string };

/**
 * Four digits, from the 11 rightmost PAN digits without the check digit, PVKI and PIN.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_PAN`, `ERR_CRYPTO_PIN`,
 *   `ERR_CRYPTO_DIGITS`.
 */
export function visaPvv(pinVerificationKey: Uint8Array, input: PvvInput): string {
  assertInput(pinVerificationKey, input);
  return valuesAt(pinVerificationKey, input, [0]);
}

/**
 * The check value of a PIN that the issuer keeps.
 * DEVIATION: a PVV covers four digits, a PIN of a UnionPay card has six. A longer PIN gets one PVV
 * for each four digits, the last one for its last four, one after the other.
 * @see Visa PVV
 * @throws as `visaPvv`.
 */
export function pinVerificationValue(pinVerificationKey: Uint8Array, input: PvvInput): string {
  assertInput(pinVerificationKey, input);
  const starts: number[] = [];
  for (let start = 0; start < input.pin.length; start += PVV_DIGITS) {
    starts.push(Math.min(start, input.pin.length - PVV_DIGITS));
  }
  return valuesAt(pinVerificationKey, input, starts);
}

function assertInput(pinVerificationKey: Uint8Array, { pan, pvki, pin }: PvvInput): void {
  assertKeyLength(pinVerificationKey, DOUBLE_KEY);
  assertPan(pan);
  assertPin(pin);
  if (pvki.length === 1 && pvki >= '0' && pvki <= '6') return;
  throw new CryptoError('ERR_CRYPTO_DIGITS', 'PVKI is one digit, 0 to 6');
}

/** A value for the four PIN digits at each of `starts`. */
function valuesAt(
  pinVerificationKey: Uint8Array,
  { pan, pvki, pin }: PvvInput,
  starts: readonly number[],
): string {
  const blocks = new Uint8Array(DES_BLOCK_BYTES * starts.length);
  for (let block = 0; block < starts.length; block++) {
    const at = 2 * DES_BLOCK_BYTES * block;
    const start = starts[block]!;
    putDigits(blocks, at, pan, { from: pan.length - 1 - ACCOUNT_DIGITS, to: pan.length - 1 });
    putDigits(blocks, at + ACCOUNT_DIGITS, pvki, { from: 0, to: 1 });
    putDigits(blocks, at + ACCOUNT_DIGITS + 1, pin, { from: start, to: start + PVV_DIGITS });
  }
  const enciphered = tdesEncryptInPlace(pinVerificationKey, blocks);
  let values = '';
  for (let block = 0; block < starts.length; block++) {
    values += decimalize(enciphered, DES_BLOCK_BYTES * block);
  }
  return values;
}

/** The first four of: the decimal digits from left to right, then A to F as 0 to 5. */
function decimalize(blocks: Uint8Array, offset: number): string {
  let value = '';
  for (const isDecimal of [true, false]) {
    for (let nibble = 0; nibble < 2 * DES_BLOCK_BYTES; nibble++) {
      const digit = (blocks[offset + (nibble >> 1)]! >> (nibble & 1 ? 0 : 4)) & 15;
      if (digit < 10 !== isDecimal) continue;
      value += DIGITS.charAt(digit % 10);
      if (value.length === PVV_DIGITS) return value;
    }
  }
  return value;
}
