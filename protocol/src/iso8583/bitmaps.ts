/** Message type and bitmaps at the head of a message. @see ISO 8583:1987 §4.1, §4.3 */
import { EBCDIC_TO_LATIN1, LATIN1_TO_EBCDIC, NIBBLE_CHARACTERS, NIBBLES } from './characters.ts';
import type { BitmapEncoding, Dialect } from './dialect.ts';
import { assertRoom } from './encodings.ts';
import { fault, type Iso8583Error } from './errors.ts';

/** 32-bit words of at most three bitmaps. */
export const WORDS_MAX = 6;
const BITMAP_BITS = 64;

/** Bytes of one bitmap of 64 bits. */
export function bitmapBytes(encoding: BitmapEncoding): number {
  return encoding === 'binary' ? 8 : 16;
}

/** Bytes of the message type. */
export function mtiBytes({ mtiEncoding }: Pick<Dialect, 'mtiEncoding'>): number {
  return mtiEncoding === 'bcd' ? 2 : 4;
}

/** The four digits at `offset`. @throws Iso8583Error `ERR_ISO8583_MTI`, `_TRUNCATED`. */
export function readMti(dialect: Dialect, bytes: Uint8Array, offset: number): string {
  assertRoom(bytes, offset, mtiBytes(dialect), 'MTI');
  let value = 0;
  let isDigits = true;
  if (dialect.mtiEncoding === 'bcd') {
    for (let index = offset; index < offset + 2; index++) {
      const byte = bytes[index] ?? 0;
      isDigits &&= byte >> 4 <= 9 && (byte & 0x0f) <= 9;
      value = 100 * value + 10 * (byte >> 4) + (byte & 0x0f);
    }
  } else {
    const zero = dialect.mtiEncoding === 'ascii' ? 0x30 : 0xf0;
    for (let index = offset; index < offset + 4; index++) {
      const digit = (bytes[index] ?? 0) - zero;
      isDigits &&= digit >= 0 && digit <= 9;
      value = 10 * value + digit;
    }
  }
  const mti = isDigits ? (MTIS[value] ?? '') : '';
  assertMti(dialect, mti, offset);
  return mti;
}

/** `0000` to `9999`, so that no message makes a string of its own. */
const MTIS: readonly string[] = Array.from({ length: 10_000 }, (_, value) =>
  String(value).padStart(4, '0'),
);

/** @throws Iso8583Error `ERR_ISO8583_MTI` unless it is a type of the dialect's versions. */
export function assertMti(dialect: Dialect, mti: string, offsetBytes: number): void {
  const kind = mti.charCodeAt(1);
  const { versions } = dialect;
  const isType =
    mti.length === 4 &&
    (mti.charCodeAt(0) === versions.charCodeAt(0) || versions.includes(mti.charAt(0))) &&
    kind >= 0x31 &&
    kind <= 0x38 &&
    isDigit(mti.charCodeAt(2)) &&
    isDigit(mti.charCodeAt(3));
  if (isType) return;
  const what = `is no version ${[...versions].join(' or ')} type`;
  throw fault('ERR_ISO8583_MTI', { fieldPath: 'MTI', offsetBytes }, what);
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Writes a message type that is known to be one. */
export function writeMti(dialect: Dialect, mti: string, target: Uint8Array, offset: number): void {
  for (let index = 0; index < 4; index++) {
    const digit = mti.charCodeAt(index) - 0x30;
    if (dialect.mtiEncoding !== 'bcd') {
      target[offset + index] = digit + (dialect.mtiEncoding === 'ascii' ? 0x30 : 0xf0);
    } else if (index % 2 === 0) target[offset + (index >> 1)] = digit << 4;
    else target[offset + (index >> 1)] = (target[offset + (index >> 1)] ?? 0) | digit;
  }
}

/**
 * Reads the bitmaps that stand together at `offset` into `words`; answers how many words there are.
 * @throws Iso8583Error `ERR_ISO8583_BITMAP` for one that the dialect does not have, `_TRUNCATED`.
 */
export function readBitmaps(
  dialect: Dialect,
  bytes: Uint8Array,
  offset: number,
  words: Int32Array,
): number {
  const size = bitmapBytes(dialect.bitmap);
  readBitmap(dialect.bitmap, bytes, offset, words, 0);
  if ((words[0] ?? 0) >= 0) return 2;
  if (dialect.bitmaps === 'one') throw wrong(offset, 'announces a second bitmap');
  readBitmap(dialect.bitmap, bytes, offset + size, words, 2);
  if ((words[2] ?? 0) >= 0) return 4;
  if (dialect.bitmaps === 'two') throw wrong(offset + size, 'announces a third bitmap');
  if (dialect.bitmaps === 'threeInOrder') return 4;
  readBitmap(dialect.bitmap, bytes, offset + 2 * size, words, 4);
  return WORDS_MAX;
}

/** Reads one bitmap into two words. */
export function readBitmap(
  bitmap: BitmapEncoding,
  bytes: Uint8Array,
  offset: number,
  words: Int32Array,
  at: number,
): void {
  const size = bitmapBytes(bitmap);
  assertRoom(bytes, offset, size, 'bitmap');
  if (bitmap === 'binary') {
    words[at] = wordAt(bytes, offset);
    words[at + 1] = wordAt(bytes, offset + 4);
    return;
  }
  for (let half = 0; half < 2; half++) {
    let word = 0;
    const start = offset + (half * size) / 2;
    for (let index = start; index < start + size / 2; index++) {
      const byte = bytes[index] ?? 0;
      word = (word << 4) | hexAt(bitmap, byte, index);
    }
    words[at + half] = word;
  }
}

function wordAt(bytes: Uint8Array, offset: number): number {
  const high = ((bytes[offset] ?? 0) << 24) | ((bytes[offset + 1] ?? 0) << 16);
  return high | ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
}

function hexAt(encoding: BitmapEncoding, byte: number, offsetBytes: number): number {
  const isEbcdic = encoding === 'ebcdicHex';
  const code = isEbcdic ? (EBCDIC_TO_LATIN1[byte] ?? 0) : byte;
  const nibble = NIBBLES[code] ?? 0xff;
  if (nibble <= 0x0f && code !== 0x3d) return nibble;
  throw wrong(offsetBytes, 'is not hex');
}

/** Writes one bitmap of two words. */
export function writeBitmap(
  bitmap: BitmapEncoding,
  words: Int32Array,
  at: number,
  target: Uint8Array,
  offset: number,
): void {
  for (let index = 0; index < BITMAP_BITS / 8; index++) {
    const byte = ((words[at + (index >> 2)] ?? 0) >>> (24 - 8 * (index & 3))) & 0xff;
    if (bitmap === 'binary') target[offset + index] = byte;
    else {
      const high = NIBBLE_CHARACTERS[byte >> 4] ?? 0;
      const low = NIBBLE_CHARACTERS[byte & 0x0f] ?? 0;
      const isEbcdic = bitmap === 'ebcdicHex';
      target[offset + 2 * index] = isEbcdic ? (LATIN1_TO_EBCDIC[high] ?? 0) : high;
      target[offset + 2 * index + 1] = isEbcdic ? (LATIN1_TO_EBCDIC[low] ?? 0) : low;
    }
  }
}

/** Sets the bit of a field. */
export function setBit(words: Int32Array, number: number): void {
  const index = (number - 1) >> 5;
  words[index] = (words[index] ?? 0) | (0x8000_0000 >>> ((number - 1) & 31));
}

function wrong(offsetBytes: number, what: string): Iso8583Error {
  return fault('ERR_ISO8583_BITMAP', { fieldPath: 'bitmap', offsetBytes }, what);
}
