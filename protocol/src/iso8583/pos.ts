/** The dialect of a POS and its acquirer: BCD, 64 fields, MAC in field 64. @see Q/CUP 009.1 */
import { type Dialect, defineDialect, type FieldRow, fieldTable, type Style } from './dialect.ts';
import { ICC_DATA, type Inside, partsOf } from './inside.ts';
import { POS_HEADER, type PosHeader } from './pos-header.ts';

/** Digits are packed from the left, and lengths count digits. */
const STYLE: Style = {
  ...{ text: 'ascii', digits: 'bcd', bytes: 'binary' },
  ...{ prefixEncoding: 'bcd', counts: 'units', align: 'left', filler: '0' },
};

/** Sums of a batch (0500): debits, credits, the host's verdict; then the same of foreign cards. */
const SETTLEMENT: Inside = partsOf(`
  1 n 12
  2 n 3
  3 n 12
  4 n 3
  5 n 1
  6 n 12
  7 n 3
  8 n 12
  9 n 3
  10 n 1
`);

/** Kind of transaction, batch, network management code, reader, chip condition, partial amount. */
const FIELD_60: Inside = partsOf(`
  1 n 2
  2 n 6
  3 n 3
  4 n 1
  5 n 1
  6 n 1
  7 n 3
`);

/** The original: batch, trace number, date, how and by whom it was authorised. */
const FIELD_61: Inside = partsOf(`
  1 n 6
  2 n 6
  3 n 4
  4 n 2
  5 n 11
`);

/** Operator at sign-in, otherwise the card's scheme; then what the host says in words. */
const FIELD_63: Inside = partsOf(`
  1 an 3
  -2 any *
`);

const ROWS: readonly FieldRow[] = [
  [2, 'n', 'LL', 19, 'pan'],
  [3, 'n', 'fixed', 6, 'clear'],
  [4, 'n', 'fixed', 12, 'clear'],
  [11, 'n', 'fixed', 6, 'clear'],
  [12, 'n', 'fixed', 6, 'clear'],
  [13, 'n', 'fixed', 4, 'clear'],
  [14, 'n', 'fixed', 4, 'hidden'],
  [15, 'n', 'fixed', 4, 'clear'],
  [22, 'n', 'fixed', 3, 'clear'],
  // QUIRK: 0001 and not 0010, unlike field 22.
  [23, 'n', 'fixed', 3, 'clear', { align: 'right' }],
  [25, 'n', 'fixed', 2, 'clear'],
  [26, 'n', 'fixed', 2, 'clear'],
  [32, 'n', 'LL', 11, 'clear'],
  [35, 'z', 'LL', 37, 'hidden'],
  [36, 'z', 'LLL', 104, 'hidden'],
  [37, 'an', 'fixed', 12, 'clear'],
  [38, 'an', 'fixed', 6, 'clear'],
  [39, 'an', 'fixed', 2, 'clear'],
  [41, 'ans', 'fixed', 8, 'clear'],
  [42, 'ans', 'fixed', 15, 'clear'],
  [43, 'any', 'fixed', 40, 'clear'],
  [44, 'any', 'LL', 25, 'clear'],
  [48, 'n', 'LLL', 322, 'hidden', { inside: SETTLEMENT }],
  [49, 'an', 'fixed', 3, 'clear'],
  [52, 'b', 'fixed', 8, 'hidden'],
  [53, 'n', 'fixed', 16, 'clear'],
  [54, 'ans', 'LLL', 20, 'hidden'],
  [55, 'b', 'LLL', 255, 'hidden', { inside: ICC_DATA }],
  // Hosts put GBK text and bytes of their own into these.
  [57, 'any', 'LLL', 100, 'hidden'],
  [58, 'any', 'LLL', 100, 'hidden'],
  [59, 'any', 'LLL', 600, 'hidden'],
  [60, 'n', 'LLL', 999, 'clear', { inside: FIELD_60 }],
  [61, 'n', 'LLL', 999, 'clear', { inside: FIELD_61 }],
  // Keys of a sign-in, lists of CA keys, texts of parameters: see sign-in-keys.ts.
  [62, 'b', 'LLL', 999, 'hidden'],
  [63, 'any', 'LLL', 999, 'hidden', { inside: FIELD_63 }],
  [64, 'b', 'fixed', 8, 'hidden'],
];

/** Q/CUP 009.1: 0200, 0100, 0220, 0400, 0500, 0320, 0620, 0800, 0820 and their answers. */
export const POS_DIALECT: Dialect<PosHeader, PosHeader> = defineDialect({
  name: 'POS',
  header: POS_HEADER,
  mtiEncoding: 'bcd',
  versions: '0',
  bitmap: 'binary',
  bitmaps: 'one',
  messageBytesMax: 4_096,
  fields: fieldTable(ROWS, STYLE),
});
