/** PIN blocks of formats 0 and 3 (clear, for 3DES) and format 4 (for AES). @see ISO 9564-1 §9.3 */
import { concatBytes, fromHex, xorBytes } from '../bytes/index.ts';
import { AES_BLOCK_BYTES, AES_KEY_BYTES } from './cmac.ts';
import { DES_BLOCK_BYTES } from './des-core.ts';
import { putDigits } from './digits.ts';
import { assertDataLength, assertKeyLength, assertPan, assertPin, CryptoError } from './errors.ts';
import type { CipherProvider } from './provider.ts';

/** Control, length, digits and fillers, under 3DES and AES alike. */
const PIN_FIELD_BYTES = 8;
/** Digits of the shortest PIN leave ten fillers; of format 3 each is one of these. */
const FILLERS_MAX = 10;
const FILLERS = 'ABCDEF';
const DIGITS = '0123456789';
type FieldForm = {
  readonly control: number;
  readonly filler: readonly [lowest: number, highest: number];
};
const FORMAT_0: FieldForm = { control: 0, filler: [0xf, 0xf] };
const FORMAT_3: FieldForm = { control: 3, filler: [0xa, 0xf] };
const FORMAT_4: FieldForm = { control: 4, filler: [0xa, 0xa] };

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
  return pinOfField(mixedWithPan(block, pan), FORMAT_0);
}

/**
 * The clear format 3 block: as format 0, but its fillers are random digits A to F, so that one PIN
 * and PAN give many blocks. `random10` has a fresh byte for each of the at most ten fillers.
 * @see ISO 9564-1 §9.3.5
 * @throws CryptoError `ERR_CRYPTO_PIN`, `ERR_CRYPTO_PAN`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function pinBlockFormat3(input: {
  readonly pin: string;
  readonly pan: string;
  readonly random10: Uint8Array;
}): Uint8Array {
  const { pin, pan, random10 } = input;
  assertPin(pin);
  assertDataLength(random10, FILLERS_MAX, 'random filler');
  const fillers = [...random10].map((value) => FILLERS.charAt(value % FILLERS.length)).join('');
  const digits = `3${pin.length.toString(16)}${pin}`;
  const pinField = `${digits}${fillers}`.slice(0, 2 * PIN_FIELD_BYTES);
  return xorBytes(fromHex(pinField), panFieldFormat0(pan));
}

/** The PIN of a clear format 3 block. @throws CryptoError `ERR_CRYPTO_PIN_BLOCK` as format 0. */
export function pinOfBlockFormat3(block: Uint8Array, pan: string): string {
  assertDataLength(block, DES_BLOCK_BYTES, 'PIN block');
  return pinOfField(mixedWithPan(block, pan), FORMAT_3);
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
  return pinOfField(ciphers.aesEcbDecrypt(key, first).slice(0, PIN_FIELD_BYTES), FORMAT_4);
}

/** `0000` and the 12 rightmost PAN digits without the check digit. */
function panFieldFormat0(pan: string): Uint8Array {
  assertPan(pan);
  const field = new Uint8Array(DES_BLOCK_BYTES);
  // A PAN of 12 digits has 11 of them: the one before its first is none, and zero.
  putDigits(field, 4, pan, { from: pan.length - 13, to: pan.length - 1 });
  return field;
}

/** The PIN field of a block of format 0 or 3. */
function mixedWithPan(block: Uint8Array, pan: string): Uint8Array {
  const field = panFieldFormat0(pan);
  for (let index = 0; index < field.length; index++) field[index]! ^= block[index]!;
  return field;
}

/** PAN length minus 12, the PAN left-justified, zeros. */
function panFieldFormat4(pan: string): Uint8Array {
  assertPan(pan);
  return fromHex(`${pan.length - 12}${pan}`.padEnd(2 * AES_BLOCK_BYTES, '0'));
}

/** Control nibble, length, digits, fillers; every nibble is looked at, whatever the first says. */
function pinOfField(field: Uint8Array, form: FieldForm): string {
  const [lowest, highest] = form.filler;
  const length = field[0]! & 15;
  let good = field[0]! >> 4 === form.control && length >= 4 && length <= 12;
  let pin = '';
  for (let index = 2; index < 2 * PIN_FIELD_BYTES; index++) {
    const nibble = (field[index >> 1]! >> (index % 2 === 0 ? 4 : 0)) & 15;
    const isDigit = index < 2 + length;
    if (isDigit ? nibble > 9 : nibble < lowest || nibble > highest) good = false;
    if (isDigit) pin += DIGITS.charAt(nibble);
  }
  if (!good) throw new CryptoError('ERR_CRYPTO_PIN_BLOCK', 'PIN block does not decode');
  return pin;
}
