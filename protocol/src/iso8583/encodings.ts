/**
 * How one field stands on the wire: a content encoding and a length prefix, chosen independently.
 * @see ISO 8583:1987 §4.4
 */
import { fault, type Place } from './errors.ts';
import type { FieldValue } from './message.ts';

/** How the value itself is written. */
export type ContentEncoding = {
  /** @throws Iso8583Error `ERR_ISO8583_FIELD` for a value of another type or alphabet. */
  readonly encode: (value: FieldValue, place: Place) => Uint8Array;
  /** `bytes` is exactly the content. @throws Iso8583Error `ERR_ISO8583_FIELD`. */
  readonly decode: (bytes: Uint8Array, place: Place) => FieldValue;
};

/** How many bytes say the content's length, and how. */
export type LengthPrefix = {
  readonly lengthBytes: number;
  readonly encode: (contentBytes: number) => Uint8Array;
  /** The length, or null when the prefix is malformed. */
  readonly decode: (bytes: Uint8Array) => number | null;
};

/** Characters allowed in a character field. */
export type Alphabet = 'n' | 'an' | 'ans' | 'x+n' | 'z';
const PATTERNS: Readonly<Record<Alphabet, RegExp>> = {
  n: /^[0-9]*$/,
  // Fixed alphanumeric fields are padded with blanks on the right.
  an: /^[0-9A-Za-z ]*$/,
  ans: /^[\x20-\x7e]*$/,
  'x+n': /^[CD][0-9]*$/,
  // Track data: digits and the separator, `=` on the track, `D` where it was BCD.
  z: /^[0-9=D]*$/,
};

/** One ASCII character a byte. */
export function asciiContent(alphabet: Alphabet): ContentEncoding {
  const pattern = PATTERNS[alphabet];
  const check = (text: string, place: Place): void => {
    if (!pattern.test(text)) throw fault('ERR_ISO8583_FIELD', place, `is not of type ${alphabet}`);
  };
  return {
    encode(value, place) {
      if (typeof value !== 'string') throw fault('ERR_ISO8583_FIELD', place, 'wants text');
      check(value, place);
      const bytes = new Uint8Array(value.length);
      for (let index = 0; index < value.length; index++) bytes[index] = value.charCodeAt(index);
      return bytes;
    },
    decode(bytes, place) {
      const text = String.fromCharCode(...bytes);
      check(text, place);
      return text;
    },
  };
}

/** Bytes as they are. */
export const binaryContent: ContentEncoding = {
  encode(value, place) {
    if (typeof value === 'string') throw fault('ERR_ISO8583_FIELD', place, 'wants bytes');
    return value;
  },
  decode: (bytes) => bytes.slice(),
};

/** No prefix: the length is the field's fixed one. */
export const fixedLength: LengthPrefix = {
  lengthBytes: 0,
  encode: () => new Uint8Array(0),
  decode: () => null,
};

/** LLVAR (2) or LLLVAR (3): the length in ASCII digits. A sign or blank is malformed. */
export function asciiPrefix(digits: number): LengthPrefix {
  return {
    lengthBytes: digits,
    encode(contentBytes) {
      const text = String(contentBytes).padStart(digits, '0');
      return Uint8Array.from(text, (character) => character.charCodeAt(0));
    },
    decode(bytes) {
      let length = 0;
      for (const byte of bytes) {
        if (byte < 0x30 || byte > 0x39) return null;
        length = 10 * length + byte - 0x30;
      }
      return length;
    },
  };
}
