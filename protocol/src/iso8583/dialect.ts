/** A message format as data: fields with their content, length and encoding. */

/** Value of a field: text for n, an, ans and z; bytes for b. */
export type FieldValue = string | Uint8Array;

/** A message without its transport header. */
export type Iso8583Message = {
  readonly mti: string;
  readonly fields: ReadonlyMap<number, FieldValue>;
};

/** Content of a field: n digits, an letters and digits, ans printable, z track 2, x+n signed, b bytes. */
export type FieldContent = 'n' | 'an' | 'ans' | 'z' | 'x+n' | 'b';

/** One row of a dialect's table. Lengths count characters of text, bytes of binary. */
export type FieldSpec = {
  readonly number: number;
  readonly nameEn: string;
  readonly nameZh: string;
  readonly content: FieldContent;
  /** Fixed length, or the maximum when `prefixDigits` is not 0. */
  readonly length: number;
  /** 0 fixed, 2 LLVAR, 3 LLLVAR; the prefix is ASCII digits. */
  readonly prefixDigits: 0 | 2 | 3;
  /** How much of it a person may see: all, a masked PAN, or nothing. */
  readonly shown: 'all' | 'pan' | 'none';
};

/** A dialect: its table by field number. Text is ASCII, the bitmap is binary. */
export type Dialect = {
  readonly name: string;
  readonly fields: ReadonlyMap<number, FieldSpec>;
};
