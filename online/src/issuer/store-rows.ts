/** Rows of the issuer's tables and the values they stand for. Amounts travel as text in JSON. */
import type {
  Account,
  CardState,
  CardView,
  LedgerTransaction,
  NewCard,
  Posting,
  RequestRecord,
  RequestState,
} from './model.ts';
import type { CardChange } from './store.ts';

export type AccountRow = {
  readonly account_id: string;
  readonly currency: string;
  readonly balance_minor: bigint | null;
};

export function accountOf(row: AccountRow): Account {
  return {
    accountId: row.account_id,
    currency: row.currency,
    balanceMinor: row.balance_minor,
  };
}

export type CardRow = {
  readonly card_id: string;
  readonly name: string;
  readonly pan_lookup: string;
  readonly pan_masked: string;
  readonly pan_sequence_number: string;
  readonly expiry_yymm: string;
  readonly pvki: string;
  readonly pvv: string;
  readonly currency: string;
  readonly state: CardState;
  readonly account_id: string;
  readonly pin_failures: number;
  readonly atc_highest: number;
  readonly version: bigint;
  readonly balance_minor: bigint;
  readonly is_atc_used: boolean;
};

export function cardOf(row: CardRow): CardView {
  return {
    cardId: row.card_id,
    name: row.name,
    panLookup: row.pan_lookup,
    panMasked: row.pan_masked,
    panSequenceNumber: row.pan_sequence_number,
    expiryYymm: row.expiry_yymm,
    pvki: row.pvki,
    pvv: row.pvv,
    currency: row.currency,
    state: row.state,
    balanceMinor: row.balance_minor,
    accountId: row.account_id,
    pinFailures: row.pin_failures,
    atcHighest: row.atc_highest,
    isAtcUsed: row.is_atc_used,
    version: row.version,
  };
}

export function rowOfCard(card: NewCard): Readonly<Record<string, string | number>> {
  return {
    card_id: card.cardId,
    name: card.name,
    pan_lookup: card.panLookup,
    pan_masked: card.panMasked,
    pan_sequence_number: card.panSequenceNumber,
    expiry_yymm: card.expiryYymm,
    pvki: card.pvki,
    pvv: card.pvv,
    currency: card.currency,
    state: card.state,
    pin_failures: card.pinFailures,
  };
}

export function rowOfCardChange(
  change: CardChange,
): Readonly<Record<string, string | number | null>> {
  return {
    card_id: change.cardId,
    version: String(change.version),
    pin_failures: change.pinFailures,
    used_atc: change.usedAtc,
  };
}

export type RequestRow = {
  readonly trace_key: string;
  readonly kind: 'purchase' | 'reversal';
  readonly fingerprint: string;
  readonly pan_lookup: string;
  readonly card_id: string | null;
  readonly amount_minor: bigint;
  readonly currency: string;
  readonly state: RequestState;
  readonly response_code: string;
  readonly approval_code: string | null;
  readonly reason: string | null;
  readonly arqc_verified: boolean | null;
  readonly ledger_entry_id: string | null;
  readonly authentication_data: string | null;
  readonly answered_at_ms: bigint;
};

export function requestOf(row: RequestRow): RequestRecord {
  return {
    traceKey: row.trace_key,
    kind: row.kind,
    fingerprint: row.fingerprint,
    panLookup: row.pan_lookup,
    cardId: row.card_id,
    amountMinor: row.amount_minor,
    currency: row.currency,
    state: row.state,
    responseCode: row.response_code,
    approvalCode: row.approval_code,
    reason: row.reason,
    arqcVerified: row.arqc_verified,
    ledgerEntryId: row.ledger_entry_id,
    authenticationData: row.authentication_data,
    answeredAtMs: Number(row.answered_at_ms),
  };
}

export function rowOfRequest(
  record: RequestRecord,
): Readonly<Record<string, string | number | boolean | null>> {
  return {
    trace_key: record.traceKey,
    kind: record.kind,
    fingerprint: record.fingerprint,
    pan_lookup: record.panLookup,
    card_id: record.cardId,
    amount_minor: String(record.amountMinor),
    currency: record.currency,
    state: record.state,
    response_code: record.responseCode,
    approval_code: record.approvalCode,
    reason: record.reason,
    arqc_verified: record.arqcVerified,
    ledger_entry_id: record.ledgerEntryId,
    authentication_data: record.authenticationData,
    answered_at_ms: record.answeredAtMs,
  };
}

export function rowOfTransaction(transaction: LedgerTransaction): unknown {
  return {
    transaction_id: transaction.transactionId,
    kind: transaction.kind,
    trace_key: transaction.traceKey,
    at_ms: transaction.atMs,
    postings: transaction.postings.map((posting) => ({
      entry_id: posting.entryId,
      transaction_id: transaction.transactionId,
      account_id: posting.accountId,
      currency: posting.currency,
      amount_minor: String(posting.amountMinor),
    })),
  };
}

export type EntryRow = {
  readonly transaction_id: string;
  readonly kind: LedgerTransaction['kind'];
  readonly trace_key: string | null;
  readonly at_ms: bigint;
  readonly entry_id: string;
  readonly account_id: string;
  readonly currency: string;
  readonly amount_minor: bigint;
};

/** Entries, those of one transaction together, as transactions. */
export function transactionsOf(entries: readonly EntryRow[]): readonly LedgerTransaction[] {
  const transactions = new Map<string, LedgerTransaction & { readonly postings: Posting[] }>();
  for (const row of entries) {
    const known = transactions.get(row.transaction_id) ?? {
      transactionId: row.transaction_id,
      kind: row.kind,
      traceKey: row.trace_key,
      atMs: Number(row.at_ms),
      postings: [],
    };
    known.postings.push({
      entryId: row.entry_id,
      accountId: row.account_id,
      currency: row.currency,
      amountMinor: row.amount_minor,
    });
    transactions.set(row.transaction_id, known);
  }
  return [...transactions.values()];
}
