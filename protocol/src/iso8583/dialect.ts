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

/** What the codec asks of a message's bitmaps; made once for each set of fields. */
export type FieldPlan = {
  /** Numbers of the present fields, in order, without bits that announce bitmaps. */
  readonly numbers: readonly number[];
  /** Their specifications; undefined where the dialect has none. */
  readonly specs: readonly (FieldSpec | undefined)[];
  /** Number -> position + 1. */
  readonly slots: Uint8Array;
  /** Position before which a third bitmap stands in order; -1 when none does. */
  readonly thirdBitmapAt: number;
};

/** Longest message of any dialect: the codec's working memory. */
export const DIALECT_BYTES_MAX = 16_384;
/** Highest field number of three bitmaps. */
export const FIELD_NUMBER_MAX = 192;
const PLANS_MAX = 64;

type CachedPlan = { readonly words: readonly number[]; readonly plan: FieldPlan };

/** Plans by dialect: few sets of fields are in use, and a strange one only costs its making. */
const plans = new WeakMap<Dialect, (CachedPlan | undefined)[]>();
/** Nearly always the dialect of the message before. */
let latestDialect: Dialect | null = null;
let latestPlans: (CachedPlan | undefined)[] = [];

/** The plan of bitmaps given as 32-bit words (2, 4 or 6). */
export function planOf(dialect: Dialect, words: Int32Array, count: number): FieldPlan {
  const cached = plansOf(dialect);
  let hash = count;
  for (let index = 0; index < count; index++)
    hash = Math.imul(hash ^ (words[index] ?? 0), 0x9e3779b1);
  const slot = (hash ^ (hash >>> 16)) & (PLANS_MAX - 1);
  const found = cached[slot];
  if (found !== undefined && isSame(found.words, words, count)) return found.plan;
  const own = Array.from(words.subarray(0, count));
  const plan = makePlan(dialect, own);
  cached[slot] = { words: own, plan };
  return plan;
}

function plansOf(dialect: Dialect): (CachedPlan | undefined)[] {
  if (dialect === latestDialect) return latestPlans;
  const known = plans.get(dialect);
  latestPlans = known ?? new Array<CachedPlan | undefined>(PLANS_MAX).fill(undefined);
  latestDialect = dialect;
  if (known === undefined) plans.set(dialect, latestPlans);
  return latestPlans;
}

function isSame(left: readonly number[], right: Int32Array, count: number): boolean {
  if (left.length !== count) return false;
  for (let index = 0; index < count; index++) if (left[index] !== right[index]) return false;
  return true;
}

function makePlan(dialect: Dialect, words: readonly number[]): FieldPlan {
  const numbers: number[] = [];
  const isThird = dialect.bitmaps === 'threeTogether' || dialect.bitmaps === 'threeInOrder';
  let thirdBitmapAt = -1;
  for (let number = 2; number <= 32 * words.length; number++) {
    const word = words[(number - 1) >> 5] ?? 0;
    if ((word & (0x8000_0000 >>> ((number - 1) & 31))) === 0) continue;
    if (number === 65 && isThird) {
      if (dialect.bitmaps === 'threeInOrder') thirdBitmapAt = numbers.length;
    } else numbers.push(number);
  }
  const slots = new Uint8Array(FIELD_NUMBER_MAX + 1);
  numbers.forEach((number, index) => {
    slots[number] = index + 1;
  });
  const specs = numbers.map((number) => dialect.fields.get(number));
  return { numbers, specs, slots, thirdBitmapAt };
}

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
