/** Card verification values of stripe and print. @see Visa PVV */
import { fromHex, toHex, xorBytes } from '../bytes/index.ts';
import { desEncrypt, tdesEncrypt } from './des.ts';
import { assertKeyLength, assertPan, CryptoError } from './errors.ts';

/** What a CVV is made of; service code 000 makes CVV2, 999 the chip's iCVV. */
export type CvvInput = {
  readonly pan: string;
  /** Four digits in the order that the scheme uses (stripe YYMM, CVV2 often MMYY). */
  readonly expiry: string;
  readonly serviceCode: string;
};

/** Digits of PAN, expiry and service code that fit the two blocks. */
const BLOCK_DIGITS = 32;

/**
 * Three digits: DES of the first block, XOR the second, 3DES, decimalised.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_PAN`, `ERR_CRYPTO_DIGITS`.
 */
export function cardVerificationValue(key: Uint8Array, input: CvvInput): string {
  const { first, second } = cvvBlocks(input);
  assertKeyLength(key, [16]);
  const block = tdesEncrypt(key, xorBytes(desEncrypt(key.slice(0, 8), first), second));
  const nibbles = [...toHex(block)];
  const decimals = nibbles.filter((nibble) => /[0-9]/.test(nibble));
  const letters = nibbles
    .filter((nibble) => /[A-F]/.test(nibble))
    .map((nibble) => String(Number.parseInt(nibble, 16) - 10));
  return [...decimals, ...letters].slice(0, 3).join('');
}

/** The two blocks that go into a CVV. @throws CryptoError as `cardVerificationValue`. */
export function cvvBlocks(input: CvvInput): {
  readonly first: Uint8Array;
  readonly second: Uint8Array;
} {
  const { pan, expiry, serviceCode } = input;
  assertPan(pan);
  if (!/^[0-9]{4}$/.test(expiry) || !/^[0-9]{3}$/.test(serviceCode)) {
    throw new CryptoError('ERR_CRYPTO_DIGITS', 'expiry needs 4 digits, service code 3');
  }
  const digits = `${pan}${expiry}${serviceCode}`.padEnd(BLOCK_DIGITS, '0');
  return { first: fromHex(digits.slice(0, 16)), second: fromHex(digits.slice(16, BLOCK_DIGITS)) };
}
