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

/** Value of a hex digit by its character code; -1 for every other code. */
const HEX_DIGIT_VALUES: Int8Array = new Int8Array(128).fill(-1);
for (const [value, digit] of [...'0123456789ABCDEF'].entries()) {
  HEX_DIGIT_VALUES[digit.charCodeAt(0)] = value;
  HEX_DIGIT_VALUES[digit.toLowerCase().charCodeAt(0)] = value;
}

const HEX_BYTES = Array.from({ length: 256 }, (_, value) =>
  value.toString(16).padStart(2, '0').toUpperCase(),
);

/** Upper-case hex without separators. */
export function toHex(bytes: Uint8Array & { readonly toHex?: () => string }): string {
  // Of ECMAScript 2026, which older browsers have not; several times as fast for long values.
  const builtIn = bytes.toHex?.();
  if (builtIn !== undefined) return builtIn.toUpperCase();
  let text = '';
  for (const value of bytes) text += HEX_BYTES[value];
  return text;
}

/**
 * Bytes of a hex string; blanks and line breaks between digits are allowed.
 * @throws BytesError `ERR_BYTES_HEX` with the offset of the first bad character or odd length.
 */
export function fromHex(text: string): Uint8Array {
  return plainHexBytes(text) ?? spacedHexBytes(text);
}

/** Bytes of digits alone, which nearly every text is; undefined for any other. */
function plainHexBytes(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  let seen = 0;
  for (let index = 0; index < bytes.length; index++) {
    const high = HEX_DIGIT_VALUES[text.charCodeAt(2 * index)] ?? -1;
    const low = HEX_DIGIT_VALUES[text.charCodeAt(2 * index + 1)] ?? -1;
    bytes[index] = (high << 4) | low;
    seen |= high | low;
  }
  return seen < 0 ? undefined : bytes;
}

function spacedHexBytes(text: string): Uint8Array {
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
  return plainHexBytes(digits) ?? new Uint8Array(0);
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
  const mixed = new Uint8Array(left.length);
  for (let index = 0; index < mixed.length; index++) {
    mixed[index] = (left[index] ?? 0) ^ (right[index] ?? 0);
  }
  return mixed;
}

/** Equality whose time does not depend on where the arrays differ. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let index = 0; index < left.length; index++) {
    difference |= (left[index] ?? 0) ^ (right[index] ?? 0);
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
