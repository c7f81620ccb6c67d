/** Byte-array helpers every folder of `protocol` stands on; values are `Uint8Array`, big-endian. */
import { TapError } from './errors.ts';

/** Faults of this folder. */
export type BytesErrorCode =
  | 'ERR_BYTES_HEX'
  | 'ERR_BYTES_LENGTH'
  | 'ERR_BYTES_RANGE'
  | 'ERR_BCD_DIGIT'
  | 'ERR_VALUE';

/** Malformed hex, BCD, length or branded value. */
export class BytesError extends TapError<BytesErrorCode> {}

const HEX_BYTES = Array.from({ length: 256 }, (_, value) =>
  value.toString(16).padStart(2, '0').toUpperCase(),
);

/** Upper-case hex without separators. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const value of bytes) text += HEX_BYTES[value];
  return text;
}

/**
 * Bytes of a hex string; blanks and line breaks between digits are allowed.
 * @throws BytesError `ERR_BYTES_HEX` with the offset of the first bad character or odd length.
 */
export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, '');
  const bad = digits.search(/[^0-9A-Fa-f]/);
  if (bad >= 0) {
    throw new BytesError('ERR_BYTES_HEX', `not a hex digit at character ${bad}`, {
      offsetCharacters: bad,
    });
  }
  if (digits.length % 2 !== 0) {
    throw new BytesError('ERR_BYTES_HEX', `odd number of hex digits (${digits.length})`, {
      offsetCharacters: digits.length,
    });
  }
  const bytes = new Uint8Array(digits.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16);
  }
  return bytes;
}

/** A new array holding the parts one after another. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** The byte at `index`. @throws BytesError `ERR_BYTES_RANGE` beyond the end. */
export function byteAt(bytes: Uint8Array, index: number): number {
  const value = bytes[index];
  if (value === undefined) {
    throw new BytesError('ERR_BYTES_RANGE', `no byte ${index} in ${bytes.length} bytes`, {
      offsetBytes: index,
    });
  }
  return value;
}

/** XOR of two arrays of one length. @throws BytesError `ERR_BYTES_LENGTH`. */
export function xorBytes(left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length !== right.length) {
    throw new BytesError('ERR_BYTES_LENGTH', `xor of ${left.length} and ${right.length} bytes`, {
      lengthBytes: right.length,
    });
  }
  return left.map((value, index) => value ^ byteAt(right, index));
}

/** Equality whose time does not depend on where the arrays differ. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let index = 0; index < left.length; index++) {
    difference |= byteAt(left, index) ^ byteAt(right, index);
  }
  return difference === 0;
}

/** `value` as `lengthBytes` big-endian bytes. @throws BytesError `ERR_BYTES_RANGE`. */
export function uintToBytes(value: number, lengthBytes: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * lengthBytes)) {
    throw new BytesError('ERR_BYTES_RANGE', `${value} does not fit ${lengthBytes} bytes`);
  }
  const bytes = new Uint8Array(lengthBytes);
  let rest = value;
  for (let index = lengthBytes - 1; index >= 0; index--) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** Big-endian unsigned value of at most 6 bytes. */
export function bytesToUint(bytes: Uint8Array): number {
  if (bytes.length > 6) {
    throw new BytesError('ERR_BYTES_LENGTH', `${bytes.length} bytes exceed a safe integer`);
  }
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

/** Characters below 0x80 as bytes. @throws BytesError `ERR_VALUE` on any other. */
export function asciiToBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) {
      throw new BytesError('ERR_VALUE', `character ${index} is not ASCII`, {
        offsetCharacters: index,
      });
    }
    bytes[index] = code;
  }
  return bytes;
}

/** Each byte as the character of the same number (Latin-1), never failing. */
export function bytesToLatin1(bytes: Uint8Array): string {
  let text = '';
  for (const value of bytes) text += String.fromCharCode(value);
  return text;
}
