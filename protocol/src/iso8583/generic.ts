/** ISO 8583:1987 as its tables say, in ASCII, BCD and EBCDIC. @see ISO 8583:1987 table 5 */
import {
  ASCII_STYLE,
  type Dialect,
  defineDialect,
  type FieldRow,
  fieldTable,
  type Style,
} from './dialect.ts';
import { NO_HEADER } from './header.ts';
import { ICC_DATA, ORIGINAL_DATA } from './inside.ts';

const ROWS: readonly FieldRow[] = [
  [2, 'n', 'LL', 19, 'pan'],
  [3, 'n', 'fixed', 6, 'clear'],
  ...fixed('n', 12, [4, 5, 6]),
  [7, 'n', 'fixed', 10, 'clear'],
  ...fixed('n', 8, [8, 9, 10]),
  ...fixed('n', 6, [11, 12]),
  [13, 'n', 'fixed', 4, 'clear'],
  [14, 'n', 'fixed', 4, 'hidden'],
  ...fixed('n', 4, [15, 16, 17, 18]),
  ...fixed('n', 3, [19, 20, 21, 22, 23, 24]),
  ...fixed('n', 2, [25, 26]),
  [27, 'n', 'fixed', 1, 'clear'],
  ...fixed('x+n', 9, [28, 29, 30, 31]),
  [32, 'n', 'LL', 11, 'clear'],
  [33, 'n', 'LL', 11, 'clear'],
  [34, 'ans', 'LL', 28, 'hidden'],
  [35, 'z', 'LL', 37, 'hidden', { align: 'left' }],
  [36, 'z', 'LLL', 104, 'hidden', { align: 'left' }],
  ...fixed('an', 12, [37]),
  ...fixed('an', 6, [38]),
  ...fixed('an', 2, [39]),
  ...fixed('an', 3, [40]),
  ...fixed('ans', 8, [41]),
  ...fixed('ans', 15, [42]),
  ...fixed('ans', 40, [43]),
  [44, 'ans', 'LL', 25, 'clear'],
  [45, 'ans', 'LL', 79, 'hidden'],
  ...reserved([46, 47, 48]),
  ...fixed('an', 3, [49, 50, 51]),
  [52, 'b', 'fixed', 8, 'hidden'],
  [53, 'n', 'fixed', 16, 'clear'],
  [54, 'ans', 'LLL', 120, 'hidden'],
  [55, 'b', 'LLL', 999, 'hidden', { inside: ICC_DATA }],
  ...reserved([56, 57, 58, 59, 60, 61, 62, 63]),
  [64, 'b', 'fixed', 8, 'hidden'],
  ...fixed('n', 1, [66]),
  ...fixed('n', 2, [67]),
  ...fixed('n', 3, [68, 69, 70]),
  ...fixed('n', 4, [71, 72]),
  ...fixed('n', 6, [73]),
  ...fixed('n', 10, [74, 75, 76, 77, 78, 79, 80, 81]),
  ...fixed('n', 12, [82, 83, 84, 85]),
  ...fixed('n', 16, [86, 87, 88, 89]),
  [90, 'n', 'fixed', 42, 'clear', { inside: ORIGINAL_DATA }],
  ...fixed('an', 1, [91]),
  ...fixed('an', 2, [92]),
  ...fixed('an', 5, [93]),
  ...fixed('an', 7, [94]),
  ...fixed('an', 42, [95]),
  [96, 'b', 'fixed', 8, 'hidden'],
  ...fixed('x+n', 17, [97]),
  ...fixed('ans', 25, [98]),
  [99, 'n', 'LL', 11, 'clear'],
  [100, 'n', 'LL', 11, 'clear'],
  [101, 'ans', 'LL', 17, 'hidden'],
  [102, 'ans', 'LL', 28, 'hidden'],
  [103, 'ans', 'LL', 28, 'hidden'],
  ...reserved(Array.from({ length: 24 }, (_, index) => 104 + index)),
  [128, 'b', 'fixed', 8, 'hidden'],
];

function fixed(
  alphabet: FieldRow[1],
  length: number,
  numbers: readonly number[],
): readonly FieldRow[] {
  return numbers.map((number) => [number, alphabet, 'fixed', length, 'clear']);
}

/** What a network keeps for itself may be anything. */
function reserved(numbers: readonly number[]): readonly FieldRow[] {
  return numbers.map((number) => [number, 'ans', 'LLL', 999, 'hidden']);
}

/** Odd digits stand right, but tracks left; lengths count digits. */
const BCD_STYLE: Style = {
  ...{ text: 'ascii', digits: 'bcd', bytes: 'binary' },
  ...{ prefixEncoding: 'bcd', counts: 'units', align: 'right', filler: '0' },
};
const EBCDIC_STYLE: Style = {
  ...{ text: 'ebcdic', digits: 'ebcdic', bytes: 'binary' },
  ...{ prefixEncoding: 'ebcdic', counts: 'units', align: 'right', filler: '0' },
};

/** Everything in characters; the bitmap as 16 hex characters. */
export const ASCII_DIALECT: Dialect<null, null> = generic('ASCII', ASCII_STYLE, 'ascii', 'hex');
/** Digits and lengths packed. */
export const BCD_DIALECT: Dialect<null, null> = generic('BCD', BCD_STYLE, 'bcd', 'binary');
/** Code page 1047, the bitmap in bytes. */
export const EBCDIC_DIALECT: Dialect<null, null> = generic(
  'EBCDIC',
  EBCDIC_STYLE,
  'ebcdic',
  'binary',
);

function generic(
  name: string,
  style: Style,
  mtiEncoding: Dialect['mtiEncoding'],
  bitmap: Dialect['bitmap'],
): Dialect<null, null> {
  return defineDialect({
    ...{ name, mtiEncoding, bitmap, bitmaps: 'two', versions: '012' },
    ...{ header: NO_HEADER, messageBytesMax: 8_192, fields: fieldTable(ROWS, style) },
  });
}
