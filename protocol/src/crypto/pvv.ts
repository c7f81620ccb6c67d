/** Visa PIN verification value. @see Visa PVV */
import { fromHex } from '../bytes/index.ts';
import { tdesEncrypt } from './des.ts';
import { assertKeyLength, assertPan, assertPin, CryptoError } from './errors.ts';

/** Digits of the PIN that one PVV covers. */
export const PVV_DIGITS = 4;
const DIGITS = '0123456789';

/** What a PVV is made of; only the first four PIN digits count. */
export type PvvInput = { readonly pan: string; readonly pvki: string; readonly pin: string };

/**
 * Four digits, from the 11 rightmost PAN digits without the check digit, PVKI and PIN.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_PAN`, `ERR_CRYPTO_PIN`,
 *   `ERR_CRYPTO_DIGITS`.
 */
export function visaPvv(pinVerificationKey: Uint8Array, input: PvvInput): string {
  assertKeyLength(pinVerificationKey, [16]);
  assertPan(input.pan);
  assertPin(input.pin);
  if (!/^[0-6]$/.test(input.pvki)) {
    throw new CryptoError('ERR_CRYPTO_DIGITS', 'PVKI is one digit, 0 to 6');
  }
  const account = input.pan.slice(0, -1).slice(-11).padStart(11, '0');
  const security = fromHex(`${account}${input.pvki}${input.pin.slice(0, 4)}`);
  return decimalize(tdesEncrypt(pinVerificationKey, security));
}

/**
 * The check value of a PIN that the issuer keeps.
 * DEVIATION: a PVV covers four digits, a PIN of a UnionPay card has six. A longer PIN gets one PVV
 * for each four digits, the last one for its last four, one after the other.
 * @see Visa PVV
 */
export function pinVerificationValue(pvk: Uint8Array, input: PvvInput): string {
  const { pan, pvki, pin } = input;
  const values: string[] = [];
  for (let start = 0; start < pin.length; start += PVV_DIGITS) {
    const from = Math.min(start, pin.length - PVV_DIGITS);
    values.push(visaPvv(pvk, { pan, pvki, pin: pin.slice(from, from + PVV_DIGITS) }));
  }
  return values.join('');
}

/** The first four of: the decimal digits from left to right, then A to F as 0 to 5. */
function decimalize(block: Uint8Array): string {
  let decimals = '';
  let letters = '';
  for (let index = 0; index < block.length; index++) {
    for (const nibble of [block[index]! >> 4, block[index]! & 15]) {
      if (nibble < 10) decimals += DIGITS.charAt(nibble);
      else letters += DIGITS.charAt(nibble - 10);
    }
  }
  return `${decimals}${letters}`.slice(0, PVV_DIGITS);
}
