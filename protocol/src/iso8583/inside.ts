/** What is inside a field, as data: positional parts, data objects, usages, fields of its own. */
import type { Alphabet } from './characters.ts';
import type { BitmapEncoding } from './dialect.ts';
import type { FieldSpec, Visibility } from './field-spec.ts';

/** One positional part of a text field. The last ones may be left out by the sender. */
export type Part = {
  /** Behind the field's own path: `2.5` of `F60.2.5`. */
  readonly name: string;
  readonly alphabet: Exclude<Alphabet, 'b'>;
  /** Characters; null for all that is left. */
  readonly length: number | null;
  readonly visibility: Visibility;
};

/** How a field is divided. */
export type Inside =
  | { readonly kind: 'parts'; readonly parts: readonly Part[] }
  /** BER-TLV; `clearTags` are harmless ones that a description shows. */
  | { readonly kind: 'tlv'; readonly clearTags: ReadonlySet<string> }
  /** Tag characters, length digits, value, again and again. */
  | {
      readonly kind: 'textTlv';
      readonly tagCharacters: number;
      readonly lengthDigits: number;
    }
  /** The first characters say how the rest is divided. */
  | {
      readonly kind: 'usage';
      readonly usageCharacters: number;
      readonly usages: Readonly<Record<string, Inside>>;
    }
  /** Fields with encodings of their own, in order or after a bitmap, whose bit 1 is a field. */
  | {
      readonly kind: 'fields';
      readonly fields: readonly FieldSpec[];
      readonly bitmap: BitmapEncoding | null;
      /** Number of the field that the bitmap's first bit speaks of. */
      readonly firstNumber: number;
    };

/** Rows of `name alphabet length`, `*` for the rest, and `-` in front of what stays hidden. */
export function partsOf(text: string): Inside {
  const parts = text
    .trim()
    .split(/\s*\n\s*/)
    .map((row): Part => {
      const [name = '', alphabet = '', length = ''] = row.replace(/^-/, '').split(' ');
      return {
        name,
        alphabet: alphabet as Part['alphabet'],
        length: length === '*' ? null : Number(length),
        visibility: row.startsWith('-') ? 'hidden' : 'clear',
      };
    });
  return { kind: 'parts', parts };
}

/** Data objects of a payment that show neither card nor cardholder nor a cryptogram. */
const CLEAR_TAGS = '9F27 9F36 95 9A 9C 9F02 9F03 5F2A 9F1A 82 9F33 9F34 9F35 9F09 84 9F41 9F1E 8A';
/** Field 55. @see Q/CUP 006 field 55 */
export const ICC_DATA: Inside = { kind: 'tlv', clearTags: new Set(CLEAR_TAGS.split(' ')) };

/** Field 90. @see ISO 8583:1987 §4.3 */
export const ORIGINAL_DATA: Inside = partsOf(`
  1 n 4
  2 n 6
  3 n 10
  4 n 11
  5 n 11
`);
