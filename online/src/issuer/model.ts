/**
 * The issuer's durable facts: cards, accounts, answered requests, ledger. Amounts are minor units;
 * a customer's account holds what the bank owes, so a purchase is a negative entry on it.
 */

/** Wrong PINs in a row after which a card's PIN is refused unseen. */
export const PIN_FAILURES_MAX = 3;

/** Life of a card as the issuer sees it; `refused`: nothing is wrong with it, the bank says no. */
export type CardState = 'active' | 'blocked' | 'refused';

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
  /** Wrong PINs in a row so far. */
  readonly pinFailures: number;
  /** Ids of the opening transaction and its two entries; random, used once. */
  readonly opening: {
    readonly transactionId: string;
    readonly entryIds: readonly [string, string];
  };
};

/** A card with what a decision needs to know, as of one moment. */
export type CardView = Omit<NewCard, 'opening'> & {
  readonly accountId: string;
  /** Highest application transaction counter that was accepted. */
  readonly atcHighest: number;
  /** Whether the counter that was asked about was used before. */
  readonly isAtcUsed: boolean;
  /** Changes with every change of the card; a decision holds only for this version. */
  readonly version: bigint;
};

/**
 * What a request came to. `refusedAhead`: its reversal was here first, so it must never pay.
 * Only `approved` changes, once, into `reversed`.
 */
export type RequestState = 'approved' | 'declined' | 'reversed' | 'refusedAhead' | 'acknowledged';

/** An answered request: all that its answer is made of, so that a repeat gets the same. */
export type RequestRecord = {
  /** See `traceKeyOf`. */
  readonly traceKey: string;
  readonly kind: 'purchase' | 'reversal';
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
  /** Tag 91 of field 55, hex. */
  readonly authenticationData: string | null;
  readonly answeredAtMs: number;
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
  readonly kind: 'opening' | 'purchase' | 'reversal';
  /** The request that it books, null for an opening. */
  readonly traceKey: string | null;
  readonly atMs: number;
  readonly postings: readonly Posting[];
};

/** An account; `balanceMinor` is null for the bank's own, whose sums are made when asked. */
export type Account = {
  readonly accountId: string;
  readonly currency: string;
  readonly balanceMinor: bigint | null;
};

/** All books at one moment, for checks. */
export type Books = {
  readonly accounts: readonly Account[];
  readonly transactions: readonly LedgerTransaction[];
  readonly requests: readonly RequestRecord[];
};

/** Account of what the bank owes the interbank clearing. */
export function clearingAccountId(currency: string): string {
  return `clearing-${currency}`;
}

/** Where opening balances come from. */
export function openingAccountId(currency: string): string {
  return `opening-${currency}`;
}

/** The account of a card. */
export function cardAccountId(cardId: string): string {
  return `card-${cardId}`;
}

/** How a new card's balance comes into the books. */
export function openingTransaction(card: NewCard, atMs: number): LedgerTransaction {
  const { currency, balanceMinor } = card;
  const [customer, counter] = card.opening.entryIds;
  const accountId = cardAccountId(card.cardId);
  const counterId = openingAccountId(currency);
  return {
    transactionId: card.opening.transactionId,
    kind: 'opening',
    traceKey: null,
    atMs,
    postings: [
      { entryId: customer, accountId, currency, amountMinor: balanceMinor },
      { entryId: counter, accountId: counterId, currency, amountMinor: -balanceMinor },
    ],
  };
}
