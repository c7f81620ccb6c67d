/**
 * Which of a member's lines signs on: a new connection takes the place of the older one of the same
 * number, and stands beside those of other numbers.
 * DEVIATION: field 48 of an 0820/001 has "LN" and two digits; without it the line is number 1.
 */
import { DE_48_ADDITIONAL_DATA, type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';

/** Lines of one institution. */
export const LINES_MAX = 16;

/** Field 48 of a sign-on. */
export function lineNumberText(lineNumber: number): string {
  return `LN${String(lineNumber).padStart(2, '0')}`;
}

/** The number of the line that signs on; null for one outside 1 to `LINES_MAX`. */
export function lineNumberOf(signOn: Iso8583Message): number | null {
  const text = textField(signOn, DE_48_ADDITIONAL_DATA);
  if (text === undefined) return 1;
  const lineNumber = Number(/^LN([0-9]{2})$/.exec(text)?.[1]);
  return lineNumber >= 1 && lineNumber <= LINES_MAX ? lineNumber : null;
}
