/** Visa PIN verification value. @see Visa PVV */
import { fromHex, toHex } from '../bytes/index.ts';
import { tdesEncrypt } from './des.ts';
import { assertKeyLength, assertPan, assertPin, CryptoError } from './errors.ts';

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

/** The first four of: the decimal digits from left to right, then A to F as 0 to 5. */
function decimalize(block: Uint8Array): string {
  const nibbles = [...toHex(block)].map((digit) => Number.parseInt(digit, 16));
  const decimals = nibbles.filter((nibble) => nibble < 10);
  const letters = nibbles.filter((nibble) => nibble >= 10).map((nibble) => nibble - 10);
  return [...decimals, ...letters].slice(0, 4).join('');
}
