/** What is inside the fields of CUPS. @see Q/CUP 006 part 2, fields 48, 60, 61, 63, 121 */
import { type Inside, partsOf } from './inside.ts';

/** Usage, length, value; several of them after usage AS. */
const USAGES: Inside = { kind: 'textTlv', tagCharacters: 2, lengthDigits: 3 };

/** Field 48. Key resets carry NK and a check value. */
export const CUPS_48: Inside = {
  kind: 'usage',
  usageCharacters: 2,
  usages: {
    AO: partsOf('1 an 2'),
    AS: USAGES,
    BC: partsOf(`
      1 an 3
      2 an 1
      3 an 3
      -4 ans 12
    `),
    NK: partsOf('-1 ans *'),
    PB: partsOf(`
      1 an 3
      2 an 1
    `),
  },
};

/**
 * Field 60: reason, how the payment came about, fees and kinds. 60.2.2 reader (5 chip, 6 with
 * contactless), 60.2.5 terminal type, 60.2.8 electronic commerce, 60.3.7 application of the card.
 */
export const CUPS_60: Inside = partsOf(`
  1 an 4
  2.1 an 1
  2.2 an 1
  2.3 an 1
  2.4 an 1
  2.5 an 2
  2.6 an 1
  2.7 an 1
  2.8 an 2
  2.9 an 1
  3.1 an 2
  3.2 an 1
  3.3 an 3
  3.4 an 1
  3.5 an 1
  3.6 an 1
  3.7 an 1
  3.8 an 2
  3.9 an 1
  3.10 an 2
`);

/** Field 61: identity document, results of checks (61.8: of the cryptogram), and more. */
export const CUPS_61: Inside = partsOf(`
  -1 ans 2
  -2 ans 20
  3 ans 1
  4 ans 1
  5 ans 3
  -6 ans 3
  7 ans 1
  8 ans 1
  9 ans 3
  -10 ans *
`);

/** Field 62: what CUPS tells; by its usage. */
export const CUPS_62: Inside = {
  kind: 'usage',
  usageCharacters: 2,
  usages: { IO: partsOf('-1 ans *') },
};

/** Field 63: usage, length, value, again and again. */
export const CUPS_63: Inside = USAGES;

/** Field 121: reason of the answer, conversion, kind of card, reserved, transfer. */
export const CUPS_121: Inside = partsOf(`
  1 ans 1
  2 ans 1
  3 ans 1
  -4 ans 40
  -5 ans *
`);
