/** Rules of the application transaction counter over the set of counters that a card has used. */

/** Last counter of a card's life. @see EMV 4.3 B3 Annex A (9F36) */
export const ATC_MAX = 0xffff;

/** What the issuer makes of a counter. */
export type AtcVerdict =
  /** Above all that were seen. */
  | 'fresh'
  /** Below the highest one and never seen: allowed only for advices of offline approvals. */
  | 'lateAdvice'
  /** Seen before: a copied or repeated cryptogram. */
  | 'replayed'
  /** Below the highest one and not seen, in an online request. */
  | 'behind'
  /** No counter of a card: zero, or beyond 65535. */
  | 'impossible';

/** Counters that a card has used already, and the highest of them. */
export type AtcHistory = { readonly used: ReadonlySet<number>; readonly highest: number };

/** What a counter came in: an online request, or the advice of an offline approval. */
export type AtcMessage = 'request' | 'advice';

/** Judges one counter; only `fresh` and `lateAdvice` may be accepted and then recorded. */
export function judgeAtc(atc: number, history: AtcHistory, message: AtcMessage): AtcVerdict {
  if (!Number.isInteger(atc) || atc < 1 || atc > ATC_MAX) return 'impossible';
  if (history.used.has(atc)) return 'replayed';
  if (atc > history.highest) return 'fresh';
  return message === 'advice' ? 'lateAdvice' : 'behind';
}

/** Whether a verdict lets the cryptogram count. */
export function isAtcAccepted(verdict: AtcVerdict): boolean {
  return verdict === 'fresh' || verdict === 'lateAdvice';
}

/** The history with one more counter; for stores that keep it in memory. */
export function recordAtc(history: AtcHistory, atc: number): AtcHistory {
  return {
    used: new Set([...history.used, atc]),
    highest: Math.max(history.highest, atc),
  };
}
