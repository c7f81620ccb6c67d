/** How each dialect writes its fields, as tables. @see ISO 8583:1987 table 5, Q/CUP 009.1 */

/** `n` digits, `z` track nibbles, `a` characters, `b` bytes, `x` sign and digits. */
export type FieldKind = 'n' | 'z' | 'a' | 'b' | 'x';

/** One field of a dialect; sizes are digits for `n` and `z`, characters or bytes for the others. */
export type FieldFormat = {
  readonly kind: FieldKind;
  /** Digits of the length in front: none, LL or LLL. */
  readonly prefixDigits: 0 | 2 | 3;
  readonly size: number;
  /** Where an odd digit's filler is in BCD. */
  readonly align: 'left' | 'right';
};

/** A message format that the explainer tries. */
export type MessageFormat = {
  readonly name: 'unionPayPos' | 'cups' | 'bcd' | 'ascii';
  /** How digits and lengths are written. */
  readonly digits: 'bcd' | 'ascii';
  /** What a length in front of digits counts. */
  readonly counts: 'digits' | 'bytes';
  readonly fields: ReadonlyMap<number, FieldFormat>;
};

/** `35 z LL 37`; a trailing `r` puts the filler of an odd digit in front. */
function tableOf(text: string): ReadonlyMap<number, FieldFormat> {
  const table = new Map<number, FieldFormat>();
  for (const row of text.trim().split(/\s*\n\s*/)) {
    const [range = '', kind = 'a', prefix = '', size = '0', align = ''] = row.split(' ');
    const [first = 0, last = first] = range.split('-').map(Number);
    const format: FieldFormat = {
      kind: kind as FieldKind,
      prefixDigits: prefix === 'LLL' ? 3 : prefix === 'LL' ? 2 : 0,
      size: Number(size),
      align: align === 'r' ? 'right' : 'left',
    };
    for (let number = first; number <= last; number++) table.set(number, format);
  }
  return table;
}

/**
 * @see Q/CUP 009.1, field table; F22 stands left, F23 right of its filler. Private fields may be
 * longer than the standard's: hosts use them so.
 */
const UNION_PAY_POS = tableOf(`
  2 n LL 19
  3 n - 6
  4 n - 12
  11 n - 6
  12 n - 6
  13 n - 4
  14 n - 4
  15 n - 4
  22 n - 3
  23 n - 3 r
  25 n - 2
  26 n - 2
  32 n LL 11
  35 z LL 37
  36 z LLL 104
  37 a - 12
  38 a - 6
  39 a - 2
  41 a - 8
  42 a - 15
  43 a - 40
  44 a LL 25
  48 n LLL 999
  49 a - 3
  52 b - 8
  53 n - 16
  54 a LLL 20
  55 b LLL 999
  57 a LLL 100
  58 a LLL 100
  59 a LLL 600
  60 n LLL 999
  61 n LLL 999
  62 b LLL 999
  63 a LLL 999
  64 b - 8
`);

const ISO_1987 = `
  2 n LL 19
  3 n - 6 r
  4-6 n - 12 r
  7 n - 10 r
  8-10 n - 8 r
  11-12 n - 6 r
  13-18 n - 4 r
  19-24 n - 3 r
  25-26 n - 2 r
  27 n - 1 r
  28-31 x - 9
  32-33 n LL 11
  34 a LL 28
  35 z LL 37
  36 z LLL 104
  37 a - 12
  38 a - 6
  39 a - 2
  40 a - 3
  41 a - 8
  42 a - 15
  43 a - 40
  44 a LL 25
  45 a LL 79
  46-48 a LLL 999
  49-51 a - 3
  52 b - 8
  53 n - 16 r
  54 a LLL 120
  55 b LLL 999
  56-63 a LLL 999
  64 b - 8
  66 n - 1 r
  67 n - 2 r
  68-70 n - 3 r
  71-72 n - 4 r
  73 n - 6 r
  74-81 n - 10 r
  82-85 n - 12 r
  86-89 n - 16 r
  90 n - 42 r
  91 a - 1
  92 a - 2
  93 a - 5
  94 a - 7
  95 a - 42
  96 b - 8
  97 x - 17
  98 a - 25
  99-100 n LL 11
  101 a LL 17
  102-103 a LL 28
  104 a LLL 100
  105-127 a LLL 999
  128 b - 8
`;

const GENERIC = tableOf(ISO_1987);
/** A double-length key fills 96 of the interbank dialect. @see Q/CUP 006 */
const CUPS = tableOf(`${ISO_1987}\n  96 b - 16`);

/** The formats in the order in which equal readings win. */
export const MESSAGE_FORMATS: readonly MessageFormat[] = [
  { name: 'unionPayPos', digits: 'bcd', counts: 'digits', fields: UNION_PAY_POS },
  { name: 'cups', digits: 'ascii', counts: 'digits', fields: CUPS },
  { name: 'bcd', digits: 'bcd', counts: 'digits', fields: GENERIC },
  { name: 'bcd', digits: 'bcd', counts: 'bytes', fields: GENERIC },
  { name: 'ascii', digits: 'ascii', counts: 'digits', fields: GENERIC },
];
