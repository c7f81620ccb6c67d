/**
 * The issuer's durable facts: cards, accounts, holds, answered requests, ledger. Amounts are minor
 * units; a customer's account holds what the bank owes, so a purchase is a negative entry on it.
 */
import type { TransactionKind } from '@tapnpay/protocol/iso8583';
import type { Script } from './scripts/model.ts';

/** Wrong PINs in a row after which a card's PIN is refused unseen. */
export const PIN_FAILURES_MAX = 3;

/** Life of a card as the issuer sees it; `refused`: nothing is wrong with it, the bank says no. */
export type CardState = 'active' | 'blocked' | 'refused' | 'lost' | 'stolen' | 'expired' | 'closed';
/** All of them. */
export const CARD_STATES: readonly CardState[] = [
  ...(['active', 'blocked', 'refused', 'lost'] as const),
  ...(['stolen', 'expired', 'closed'] as const),
];

/** Field 39 of a hot-listed number: lost, stolen, to be picked up, restricted. */
export const HOT_REASONS = ['41', '43', '04', '62'] as const;
export type HotReason = (typeof HOT_REASONS)[number];

/** Limits of one card; null where the installation's count. Amounts are minor units. */
export type CardLimits = {
  readonly singleAmountMinor: bigint | null;
  readonly dayAmountMinor: bigint | null;
  readonly dayCount: number | null;
  /** One tap without a PIN. */
  readonly noPinMinor: bigint | null;
  /** All taps without a PIN of one day. */
  readonly noPinDayMinor: bigint | null;
};

/** A card that has no limits of its own. */
export const NO_CARD_LIMITS: CardLimits = {
  singleAmountMinor: null,
  dayAmountMinor: null,
  dayCount: null,
  noPinMinor: null,
  noPinDayMinor: null,
};

/** A card to be taken into the books; the account number itself is not kept. */
export type NewCard = {
  readonly cardId: string;
  readonly name: string;
  /** Keyed digest of the account number. */
  readonly panLookup: string;
  readonly panMasked: string;
  /** Two digits. */
  readonly panSequenceNumber: string;
  readonly expiryYymm: string;
  readonly pvki: string;
  readonly pvv: string;
  readonly currency: string;
  readonly state: CardState;
  readonly balanceMinor: bigint;
  /** What a credit card may spend beyond its balance. */
  readonly creditLineMinor: bigint;
  /** What the chip's electronic cash holds when the card is issued. */
  readonly electronicCashMinor: bigint;
  readonly limits: CardLimits;
  /** Wrong PINs in a row so far. */
  readonly pinFailures: number;
  /** Ids of the opening transaction and its entries; random, used once. */
  readonly opening: {
    readonly transactionId: string;
    readonly entryIds: readonly [string, string, string, string];
  };
};

/** How a counter of a verified cryptogram was used up. */
export type AtcUse = 'request' | 'advice' | 'token';

/** What a card has spent on one day of China; reversed payments are taken out again. */
export type DayUsage = {
  readonly amountMinor: bigint;
  readonly count: number;
  readonly noPinMinor: bigint;
};

/** A card with what a decision needs to know, as of one moment. */
export type CardView = Omit<NewCard, 'opening'> & {
  readonly accountId: string;
  /** Held for pre-authorisations. */
  readonly heldMinor: bigint;
  /** Balance and credit line without what is held. */
  readonly availableMinor: bigint;
  /** What the customer owes because it could not be debited, zero or more. */
  readonly owedMinor: bigint;
  /** Highest application transaction counter that was accepted. */
  readonly atcHighest: number;
  /** How the counter that was asked about was used before; null when it was not. */
  readonly atcUse: AtcUse | null;
  /** Why the number is on the hot list, null when it is not. */
  readonly hotReason: HotReason | null;
  /** Whether scripts or loads of it are open. */
  readonly hasScripts: boolean;
  /** 9F77 where a script has changed it; null: the installation's. */
  readonly electronicCashLimitMinor: bigint | null;
  /** Of the day that was asked about. */
  readonly usage: DayUsage;
  /** Changes with every change of the card; a decision holds only for this version. */
  readonly version: bigint;
};

/** What a message asks for. */
export type RequestKind = TransactionKind | 'reversal';

/**
 * What a request came to. `refusedAhead`: its reversal was here first, so it must never pay.
 * `voided`: a later void or cancellation undid it; reversing that one makes it `approved` again.
 * `acknowledged`: a reversal, which is never refused for its original's sake.
 */
export type RequestState =
  | 'approved'
  | 'declined'
  | 'voided'
  | 'reversed'
  | 'refusedAhead'
  | 'acknowledged';

/** An answered request: all that its answer is made of, so that a repeat gets the same. */
export type RequestRecord = {
  /** See `traceKeyOf`. */
  readonly traceKey: string;
  readonly kind: RequestKind;
  /** Keyed digest of what was asked; empty for a request that has not arrived. */
  readonly fingerprint: string;
  readonly panLookup: string;
  readonly cardId: string | null;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly state: RequestState;
  /** Field 39. */
  readonly responseCode: string;
  /** Field 38. */
  readonly approvalCode: string | null;
  readonly reason: string | null;
  readonly arqcVerified: boolean | null;
  /** The customer's entry. */
  readonly ledgerEntryId: string | null;
  /** Field 55 of the answer, hex: the proof for the card (91), later scripts (71, 72). */
  readonly iccData: string | null;
  /** Field 54 of the answer. */
  readonly additionalAmounts: string | null;
  /** The request that field 90 names. */
  readonly originalTraceKey: string | null;
  /** What refunds, a void or a reversal gave back of it; never more than its amount. */
  readonly returnedMinor: bigint;
  /** Day of settlement, YYYYMMDD. */
  readonly settlementDate: string;
  /** Day of China on which it counts to the card's limits, YYYYMMDD; null when it does not. */
  readonly usageDay: string | null;
  /** Whether it counts as a tap without PIN. */
  readonly isNoPin: boolean;
  /** Field 37. */
  readonly retrievalReference: string | null;
  readonly answeredAtMs: number;
};

/** Life of a hold. */
export type HoldState = 'held' | 'posted' | 'released' | 'expired';

/** Money that a pre-authorisation keeps from being spent; under its trace key. */
export type Hold = {
  readonly holdId: string;
  readonly accountId: string;
  /** What was authorised. */
  readonly amountMinor: bigint;
  /** What is kept now: more than zero exactly while it is `held`. */
  readonly heldMinor: bigint;
  /** What a completion took out of it. */
  readonly postedMinor: bigint;
  readonly state: HoldState;
  readonly expiresAtMs: number;
};

/** One side of a ledger transaction. */
export type Posting = {
  readonly entryId: string;
  readonly accountId: string;
  readonly currency: string;
  readonly amountMinor: bigint;
};

/** Entries that belong together; their sum is zero in each currency. */
export type LedgerTransaction = {
  readonly transactionId: string;
  readonly kind: 'opening' | RequestKind;
  /** The request that it books, null for an opening. */
  readonly traceKey: string | null;
  readonly atMs: number;
  readonly postings: readonly Posting[];
};

/**
 * An account. The bank's own have no balance here (null), their sums are made when asked; `owed`
 * accounts are zero or below, the others never fall below their credit line and holds.
 */
export type Account = {
  readonly accountId: string;
  readonly currency: string;
  readonly balanceMinor: bigint | null;
  readonly heldMinor: bigint;
  readonly creditLineMinor: bigint;
};

/** Why a person must look at something. */
export type WorkItemKind =
  /** An advice that was answered with a refusal. */
  | 'adviceRefused'
  /** A completion of more than the hold. */
  | 'aboveHold'
  /** A debit that could not be refused and was not covered. */
  | 'notCovered'
  /** A verified electronic cash payment of more than the issuer's own record of the purse. */
  | 'electronicCashShort'
  /** A reversal that could not undo its original. */
  | 'reversalRefused'
  /** The card said no to a script. */
  | 'scriptFailed'
  /** Nothing shows whether the card has a load that was debited. */
  | 'loadUndecided'
  /** A load was reversed on its acquirer's word, and the card has it. */
  | 'loadReversedWrongly';

/** Something that a person must look at. */
export type WorkItem = {
  readonly itemId: string;
  readonly kind: WorkItemKind;
  readonly traceKey: string;
  readonly cardId: string | null;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly note: string;
  readonly openedAtMs: number;
};

/** All books at one moment, for checks. */
export type Books = {
  readonly scripts: readonly Script[];
  readonly accounts: readonly Account[];
  readonly transactions: readonly LedgerTransaction[];
  readonly requests: readonly RequestRecord[];
  readonly holds: readonly Hold[];
  readonly workItems: readonly WorkItem[];
};

/** Account of what the bank owes the interbank clearing. */
export function clearingAccountId(currency: string): string {
  return `clearing-${currency}`;
}

/** Where opening balances come from. */
export function openingAccountId(currency: string): string {
  return `opening-${currency}`;
}

/** What chips paid beyond the issuer's record of their purses. */
export function differenceAccountId(currency: string): string {
  return `difference-${currency}`;
}

/** The account of a card. */
export function cardAccountId(cardId: string): string {
  return `card-${cardId}`;
}

/** The issuer's record of a chip's purse: a shadow, for the chip itself decides. */
export function electronicCashAccountId(cardId: string): string {
  return `ecash-${cardId}`;
}

/** What a card's holder owes: debits that could not be refused and were not covered. */
export function owedAccountId(cardId: string): string {
  return `owed-${cardId}`;
}

/** How a new card's balances come into the books; null when there are none. */
export function openingTransaction(card: NewCard, atMs: number): LedgerTransaction | null {
  const { cardId, currency, balanceMinor, electronicCashMinor } = card;
  const opening = openingAccountId(currency);
  const sides: readonly (readonly [accountId: string, amountMinor: bigint])[] = [
    [cardAccountId(cardId), balanceMinor],
    [opening, -balanceMinor],
    [electronicCashAccountId(cardId), electronicCashMinor],
    [opening, -electronicCashMinor],
  ];
  const postings = sides
    .map(([accountId, amountMinor], index) => {
      const entryId = card.opening.entryIds[index] ?? '';
      return { entryId, accountId, currency, amountMinor };
    })
    .filter(({ amountMinor }) => amountMinor !== 0n);
  if (postings.length === 0) return null;
  const { transactionId } = card.opening;
  return { transactionId, kind: 'opening', traceKey: null, atMs, postings };
}
