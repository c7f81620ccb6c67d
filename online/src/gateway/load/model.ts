/** How a card took the issuer's scripts, and the notice (0620) that tells the issuer. */

/** A notice that is repeated until the switch acknowledges it; one for each payment. */
export type Notice = {
  readonly paymentId: string;
  /** Fields 11 and 7; the same in each repeat. */
  readonly stan: string;
  readonly transmission: string;
  /** DF31, hex: five bytes a script. @see EMV 4.3 B4 §A5 table 34 */
  readonly results: string;
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly acknowledgedAtMs: number | null;
  readonly responseCode: string | null;
};

/** What a new notice says; the store adds its life. */
export type NewNotice = Pick<
  Notice,
  'paymentId' | 'stan' | 'transmission' | 'results' | 'nextAtMs'
>;

/** Hex digits of one result; its first one is 2 when all commands of the script succeeded. */
const RESULT_DIGITS = 10;
const RESULTS_FORM = /^(?:[0-2][0-9A-F]{9}){1,16}$/;

/** Whether these are results at all. */
export function areScriptResults(results: string): boolean {
  return RESULTS_FORM.test(results);
}

/** Whether the card has done every script of the answer: a load's one is the new total. */
export function haveSucceeded(results: string): boolean {
  if (!areScriptResults(results)) return false;
  const count = results.length / RESULT_DIGITS;
  return Array.from({ length: count }, (_, index) => results[index * RESULT_DIGITS]).every(
    (outcome) => outcome === '2',
  );
}
