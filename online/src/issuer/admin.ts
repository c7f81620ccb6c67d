/**
 * What an operator may do to cards, beside the payments: states, PIN tries, limits, hot list. Every
 * act is written down with who did it and why, and is refused without both.
 */
import type { CardLimits, CardState, CardView, HotReason, WorkItem } from './model.ts';

/** A card as an operator sees it. */
export type CardSummary = {
  readonly cardId: string;
  readonly name: string;
  /** Keyed digest of the account number. */
  readonly panLookup: string;
  readonly panMasked: string;
  readonly panSequenceNumber: string;
  readonly expiryYymm: string;
  readonly state: CardState;
  readonly pinFailures: number;
  readonly currency: string;
  readonly balanceMinor: bigint;
  readonly heldMinor: bigint;
  readonly owedMinor: bigint;
  readonly electronicCashMinor: bigint;
  readonly limits: CardLimits;
  readonly hotReason: HotReason | null;
};

/** A number that is refused wherever it appears. */
export type HotEntry = {
  readonly panLookup: string;
  readonly panMasked: string;
  readonly reason: HotReason;
  readonly listedAtMs: number;
};

/** Who acts, and why. */
export type Act = {
  /** Random, used once. */
  readonly auditId: string;
  readonly actor: string;
  readonly note: string;
  readonly atMs: number;
};

/** What an operator changes. */
export type AdminChange =
  | { readonly action: 'cardState'; readonly cardId: string; readonly state: CardState }
  | { readonly action: 'pinTries'; readonly cardId: string }
  | { readonly action: 'limits'; readonly cardId: string; readonly limits: Partial<CardLimits> }
  | {
      readonly action: 'hotListed';
      readonly panLookup: string;
      readonly panMasked: string;
      readonly reason: HotReason;
    }
  | { readonly action: 'hotDelisted'; readonly panLookup: string }
  | { readonly action: 'workItemClosed'; readonly itemId: string };

/** One line of the audit table. */
export type AuditLine = Act & {
  readonly action: AdminChange['action'];
  /** Card, keyed digest of a number, or work item. */
  readonly subject: string;
  readonly before: string;
  readonly after: string;
};

/** The operator's door to the issuer's books. */
export interface IssuerAdmin {
  cards(): Promise<readonly CardSummary[]>;
  hotList(): Promise<readonly HotEntry[]>;
  /** Open ones, oldest first. */
  workItems(): Promise<readonly WorkItem[]>;
  /** The newest `limit` lines, newest first. */
  audit(limit: number): Promise<readonly AuditLine[]>;
  /** Changes one thing and writes it down, both or neither; false when there is no such thing. */
  change(change: AdminChange, act: Act): Promise<boolean>;
}

/** What the change is about. */
export function subjectOf(change: AdminChange): string {
  switch (change.action) {
    case 'hotListed':
    case 'hotDelisted':
      return change.panLookup;
    case 'workItemClosed':
      return change.itemId;
    default:
      return change.cardId;
  }
}

/** A card as an operator sees it. */
export function summaryOf(view: CardView): CardSummary {
  const { cardId, name, panLookup, panMasked, panSequenceNumber, expiryYymm, state, pinFailures } =
    view;
  const { currency, balanceMinor, heldMinor, owedMinor, electronicCashMinor } = view;
  const { limits, hotReason } = view;
  return {
    ...{ cardId, name, panLookup, panMasked, panSequenceNumber, expiryYymm, state, pinFailures },
    ...{ currency, balanceMinor, heldMinor, owedMinor, electronicCashMinor, limits, hotReason },
  };
}
