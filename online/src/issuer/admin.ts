/**
 * What an operator may do to cards, beside the payments: states, PIN tries, limits, hot list. Every
 * act is written down with who did it and why, and is refused without both.
 */
import type { CardLimits, CardState, CardView, HotReason, WorkItem } from './model.ts';
import type { Script } from './scripts/model.ts';

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
  | { readonly action: 'workItemClosed'; readonly itemId: string }
  | { readonly action: 'scriptQueued'; readonly cardId: string; readonly script: Script }
  /** One that no card has been told of. */
  | { readonly action: 'scriptClosed'; readonly scriptId: string }
  /** A person knows whether the card has a load that nothing shows. */
  | {
      readonly action: 'loadResolved';
      readonly scriptId: string;
      readonly verdict: 'has' | 'hasNot';
    }
  /** The holder of another card consents that its account loads this card's purse. */
  | {
      readonly action: 'loadPayerBound';
      readonly cardId: string;
      readonly payerCardId: string;
    };

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
  /** Scripts and loads, newest first, `limit` at most; of one card or of all. */
  scripts(cardId: string | null, limit: number): Promise<readonly Script[]>;
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
    case 'scriptClosed':
    case 'loadResolved':
      return change.scriptId;
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

/** A load's state after a person's verdict; null for one that is not open. */
export function resolvedLoad(
  load: Pick<Script, 'kind' | 'state'>,
  verdict: 'has' | 'hasNot',
): Script['state'] | null {
  const { kind, state } = load;
  if (kind !== 'load' || (state !== 'delivered' && state !== 'reversed')) return null;
  if (verdict === 'has') return 'done';
  return state === 'reversed' ? 'closed' : 'delivered';
}
