/**
 * How one field stands on the wire: a content encoding and a length prefix, chosen independently.
 * Both read from the whole message and write into it, so that no field costs an array of its own.
 * @see ISO 8583:1987 §4.4
 */
import { byteAt } from '../bytes/index.ts';
import { fault } from './errors.ts';
import type { FieldValue } from './message.ts';

/** A received message: its bytes, and the same as one character a byte. */
export type Source = { readonly bytes: Uint8Array; readonly text: string };

/** Where a field is, for its faults. */
export type Field = { readonly fieldPath: string };

/** The bytes of a message in both forms. */
export function sourceOf(bytes: Uint8Array): Source {
  // Messages are short; one call is many times as fast as a character at a time.
  const text = String.fromCharCode.apply(null, bytes as unknown as number[]);
  return { bytes, text };
}

/** How the value itself is written. */
export type ContentEncoding = {
  /**
   * Length of a value that may be written at `offset`.
   * @throws Iso8583Error `ERR_ISO8583_FIELD` for a value of another type or alphabet.
   */
  readonly measure: (field: Field, value: FieldValue, offset: number) => number;
  /** Writes a value that `measure` has allowed. */
  readonly write: (value: FieldValue, target: Uint8Array, offset: number) => void;
  /** The value between two offsets. @throws Iso8583Error `ERR_ISO8583_FIELD`. */
  readonly read: (field: Field, source: Source, start: number, end: number) => FieldValue;
};

/** How many bytes say the content's length, and how. */
export type LengthPrefix = {
  readonly lengthBytes: number;
  readonly write: (contentBytes: number, target: Uint8Array, offset: number) => void;
  /** The length, or null when the prefix is malformed. */
  readonly read: (source: Source, offset: number) => number | null;
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
  const check = ({ fieldPath }: Field, text: string, offsetBytes: number): void => {
    if (pattern.test(text)) return;
    throw fault('ERR_ISO8583_FIELD', { fieldPath, offsetBytes }, `is not of type ${alphabet}`);
  };
  return {
    measure({ fieldPath }, value, offsetBytes) {
      if (typeof value !== 'string') {
        throw fault('ERR_ISO8583_FIELD', { fieldPath, offsetBytes }, 'wants text');
      }
      check({ fieldPath }, value, offsetBytes);
      return value.length;
    },
    write(value, target, offset) {
      if (typeof value === 'string') putAscii(value, target, offset);
    },
    read(field, source, start, end) {
      const text = source.text.slice(start, end);
      check(field, text, start);
      return text;
    },
  };
}

/** Bytes as they are. */
export const binaryContent: ContentEncoding = {
  measure({ fieldPath }, value, offsetBytes) {
    if (typeof value !== 'string') return value.length;
    throw fault('ERR_ISO8583_FIELD', { fieldPath, offsetBytes }, 'wants bytes');
  },
  write(value, target, offset) {
    if (typeof value !== 'string') target.set(value, offset);
  },
  read: (_field, source, start, end) => source.bytes.slice(start, end),
};

/** No prefix: the length is the field's fixed one. */
export const fixedLength: LengthPrefix = {
  lengthBytes: 0,
  write: () => undefined,
  read: () => null,
};

/** LLVAR (2) or LLLVAR (3): the length in ASCII digits. A sign or blank is malformed. */
export function asciiPrefix(digits: number): LengthPrefix {
  return {
    lengthBytes: digits,
    write(contentBytes, target, offset) {
      let rest = contentBytes;
      for (let index = digits - 1; index >= 0; index--) {
        target[offset + index] = 0x30 + (rest % 10);
        rest = Math.floor(rest / 10);
      }
    },
    read(source, offset) {
      let length = 0;
      for (let index = 0; index < digits; index++) {
        const byte = byteAt(source.bytes, offset + index);
        if (byte < 0x30 || byte > 0x39) return null;
        length = 10 * length + byte - 0x30;
      }
      return length;
    },
  };
}

/** Characters that are known to be ASCII. */
export function putAscii(text: string, target: Uint8Array, offset: number): void {
  for (let index = 0; index < text.length; index++) {
    target[offset + index] = text.charCodeAt(index);
  }
}
