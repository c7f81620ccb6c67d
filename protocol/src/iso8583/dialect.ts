/** A message format as data: its header, type, bitmaps and fields. */
import { assert } from './assert.ts';
import type { Alphabet } from './characters.ts';
import {
  type ContentName,
  type FieldChoice,
  type FieldSpec,
  fieldSpec,
  type PrefixEncoding,
  type Visibility,
} from './field-spec.ts';
import type { HeaderCodec } from './header.ts';

/** How a bitmap of 64 bits is written: 8 bytes, or 16 hex characters. */
export type BitmapEncoding = 'binary' | 'hex' | 'ebcdicHex';

/**
 * Which bitmaps a dialect has. The third one (fields 129 to 192, announced by bit 65) stands behind
 * the second, or in field 65's own place; most dialects refuse it.
 */
export type Bitmaps = 'one' | 'two' | 'threeTogether' | 'threeInOrder';

/** A message format. `Written` is the header that a sender gives, `Read` what a receiver gets. */
export type Dialect<Written = never, Read = unknown> = {
  readonly name: string;
  readonly headerBytes: number;
  readonly header: HeaderCodec<Written, Read>;
  readonly mtiEncoding: 'ascii' | 'ebcdic' | 'bcd';
  /** First digits of the message types: 0 is the standard of 1987, 1 of 1993, 2 of 2003. */
  readonly versions: string;
  readonly bitmap: BitmapEncoding;
  readonly bitmaps: Bitmaps;
  /** Longest message, header included. */
  readonly messageBytesMax: number;
  readonly fields: ReadonlyMap<number, FieldSpec>;
};

/** How a dialect writes each sort of field unless a row says otherwise. */
export type Style = Pick<FieldChoice, 'prefixEncoding' | 'counts' | 'align' | 'filler'> & {
  readonly text: ContentName;
  readonly digits: ContentName;
  readonly bytes: ContentName;
};

/** Digits of the length in front. */
export type PrefixName = 'fixed' | 'LL' | 'LLL' | 'LLLL';
const PREFIX_DIGITS: Readonly<Record<PrefixName, number>> = { fixed: 0, LL: 2, LLL: 3, LLLL: 4 };

/** The short form in which a dialect's table is written; sizes in digits, characters or bytes. */
export type FieldRow = readonly [
  number: number,
  alphabet: Alphabet,
  prefix: PrefixName,
  max: number,
  visibility: Visibility,
  differences?: Partial<FieldChoice>,
];

/** Everything in characters, lengths of two or three digits. */
export const ASCII_STYLE: Style = {
  ...{ text: 'ascii', digits: 'ascii', bytes: 'binary' },
  ...{ prefixEncoding: 'ascii', counts: 'units', align: 'right', filler: '0' },
};

/** The field specifications of a table. */
export function fieldTable(
  rows: readonly FieldRow[],
  style: Style = ASCII_STYLE,
): ReadonlyMap<number, FieldSpec> {
  return new Map(rows.map((row) => [row[0], specOfRow(row, style)]));
}

function specOfRow(row: FieldRow, style: Style): FieldSpec {
  const [number, alphabet, prefix, max, visibility, differences] = row;
  const { text, digits, bytes, ...rest } = style;
  const isDigits = alphabet === 'n' || alphabet === 'z' || alphabet === 'x+n';
  return fieldSpec({
    ...rest,
    ...{ number, alphabet, max, visibility },
    prefixDigits: PREFIX_DIGITS[prefix],
    content: alphabet === 'b' ? bytes : isDigits ? digits : text,
    ...differences,
  });
}

/** The prefix encoding that goes with a content, for tables made by programs. */
export function prefixEncodingOf(content: ContentName): PrefixEncoding {
  if (content === 'bcd' || content === 'binary') return content;
  return content === 'ebcdic' || content === 'ebcdicHex' ? 'ebcdic' : 'ascii';
}

/** Longest message of any dialect: the codec's working memory. */
export const DIALECT_BYTES_MAX = 16_384;
/** Highest field number of three bitmaps. */
export const FIELD_NUMBER_MAX = 192;
/** A dialect whose table is known to be sound. */
export function defineDialect<Written, Read>(
  dialect: Omit<Dialect<Written, Read>, 'headerBytes'>,
): Dialect<Written, Read> {
  const highest = { one: 64, two: 128, threeTogether: 192, threeInOrder: 192 }[dialect.bitmaps];
  for (const number of dialect.fields.keys()) {
    const isAnnouncement = number === 65 && highest > 128;
    assert(number >= 2 && number <= highest && !isAnnouncement, `field ${number}`);
  }
  assert(dialect.messageBytesMax <= DIALECT_BYTES_MAX, 'too long');
  return { ...dialect, headerBytes: dialect.header.lengthBytes };
}
