/** A message format as data: what each field is, how it is written, and who may see it. */
import {
  type Alphabet,
  asciiContent,
  asciiPrefix,
  binaryContent,
  type ContentEncoding,
  fixedLength,
  type LengthPrefix,
} from './encodings.ts';

/** What a log shows of a field: all, a masked card number, or its length only. */
export type Visibility = 'clear' | 'pan' | 'hidden';

/** One field of a dialect. */
export type FieldSpec = {
  readonly number: number;
  readonly fieldPath: string;
  readonly content: ContentEncoding;
  readonly prefix: LengthPrefix;
  readonly contentBytesMin: number;
  readonly contentBytesMax: number;
  readonly visibility: Visibility;
};

/** A message format: its header's length and its fields by number. */
export type Dialect = {
  readonly name: string;
  readonly headerBytes: number;
  readonly fields: ReadonlyMap<number, FieldSpec>;
};

/** The short form in which a dialect's table is written. */
export type FieldRow = readonly [
  number: number,
  kind: Alphabet | 'b',
  prefix: 'fixed' | 'LL' | 'LLL',
  contentBytes: number,
  visibility: Visibility,
];

const PREFIXES: Readonly<Record<FieldRow[2], LengthPrefix>> = {
  fixed: fixedLength,
  LL: asciiPrefix(2),
  LLL: asciiPrefix(3),
};

/** The field specifications of a table. */
export function fieldTable(rows: readonly FieldRow[]): ReadonlyMap<number, FieldSpec> {
  return new Map(
    rows.map(([number, kind, prefix, contentBytes, visibility]) => [
      number,
      {
        number,
        fieldPath: `F${number}`,
        content: kind === 'b' ? binaryContent : asciiContent(kind),
        prefix: PREFIXES[prefix],
        contentBytesMin: prefix === 'fixed' ? contentBytes : 1,
        contentBytesMax: contentBytes,
        visibility,
      },
    ]),
  );
}
