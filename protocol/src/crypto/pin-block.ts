/** PIN blocks of format 0 (clear, for 3DES) and format 4 (for AES). @see ISO 9564-1 §9.3 */
import { concatBytes, fromHex, toHex, xorBytes } from '../bytes/index.ts';
import { AES_BLOCK_BYTES, AES_KEY_BYTES } from './cmac.ts';
import { DES_BLOCK_BYTES } from './des.ts';
import { assertDataLength, assertKeyLength, assertPan, assertPin, CryptoError } from './errors.ts';
import type { CipherProvider } from './provider.ts';

/**
 * The clear format 0 block: PIN field XOR PAN field.
 * @see ISO 9564-1 §9.3.2
 * @throws CryptoError `ERR_CRYPTO_PIN`, `ERR_CRYPTO_PAN`.
 */
export function pinBlockFormat0(pin: string, pan: string): Uint8Array {
  assertPin(pin);
  const pinField = `0${pin.length.toString(16)}${pin}`.padEnd(2 * DES_BLOCK_BYTES, 'F');
  return xorBytes(fromHex(pinField), panFieldFormat0(pan));
}

/**
 * The PIN of a clear format 0 block.
 * @throws CryptoError `ERR_CRYPTO_PIN_BLOCK` when block and PAN do not belong together or the block
 *   was deciphered under a wrong key; one message for every cause, so that it is no oracle.
 */
export function pinOfBlockFormat0(block: Uint8Array, pan: string): string {
  assertDataLength(block, DES_BLOCK_BYTES, 'PIN block');
  return pinOfField(toHex(xorBytes(block, panFieldFormat0(pan))), '0', 'F');
}

/** What goes into a format 4 block; `random8` must be fresh for every block. */
export type PinBlockFormat4Input = {
  readonly pin: string;
  readonly pan: string;
  readonly random8: Uint8Array;
};

/**
 * The enciphered format 4 block of 16 bytes.
 * @see ISO 9564-1 §9.3.6 and §9.4.2
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_PIN`, `ERR_CRYPTO_PAN`,
 *   `ERR_CRYPTO_DATA_LENGTH`.
 */
export function encipherPinBlockFormat4(
  ciphers: CipherProvider,
  key: Uint8Array,
  input: PinBlockFormat4Input,
): Uint8Array {
  assertKeyLength(key, AES_KEY_BYTES);
  assertPin(input.pin);
  assertDataLength(input.random8, 8, 'random filler');
  const panField = panFieldFormat4(input.pan);
  const digits = `4${input.pin.length.toString(16)}${input.pin}`.padEnd(16, 'A');
  const first = ciphers.aesEcbEncrypt(key, concatBytes(fromHex(digits), input.random8));
  return ciphers.aesEcbEncrypt(key, xorBytes(first, panField));
}

/**
 * The PIN of an enciphered format 4 block.
 * @throws CryptoError `ERR_CRYPTO_PIN_BLOCK` for a wrong key, PAN or block, without saying which.
 */
export function decipherPinBlockFormat4(
  ciphers: CipherProvider,
  key: Uint8Array,
  block: Uint8Array,
  pan: string,
): string {
  assertKeyLength(key, AES_KEY_BYTES);
  assertDataLength(block, AES_BLOCK_BYTES, 'PIN block');
  const panField = panFieldFormat4(pan);
  const first = xorBytes(ciphers.aesEcbDecrypt(key, block), panField);
  return pinOfField(toHex(ciphers.aesEcbDecrypt(key, first)).slice(0, 16), '4', 'A');
}

/** `0000` and the 12 rightmost PAN digits without the check digit. */
function panFieldFormat0(pan: string): Uint8Array {
  assertPan(pan);
  return fromHex(
    pan
      .slice(0, -1)
      .slice(-12)
      .padStart(2 * DES_BLOCK_BYTES, '0'),
  );
}

/** PAN length minus 12, the PAN left-justified, zeros. */
function panFieldFormat4(pan: string): Uint8Array {
  assertPan(pan);
  return fromHex(`${pan.length - 12}${pan}`.padEnd(2 * AES_BLOCK_BYTES, '0'));
}

function pinOfField(field: string, control: string, filler: string): string {
  const length = Number.parseInt(field.charAt(1), 16);
  const pin = field.slice(2, 2 + length);
  const fill = field.slice(2 + length);
  const good =
    field.startsWith(control) &&
    length >= 4 &&
    length <= 12 &&
    /^[0-9]+$/.test(pin) &&
    fill === filler.repeat(fill.length);
  if (!good) throw new CryptoError('ERR_CRYPTO_PIN_BLOCK', 'PIN block does not decode');
  return pin;
}
