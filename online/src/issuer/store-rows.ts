/** Rows of the issuer's tables and the values they stand for. Amounts travel as text in JSON. */
import type { AdminChange, AuditLine, HotEntry } from './admin.ts';
import type {
  Account,
  AtcUse,
  CardLimits,
  CardState,
  CardView,
  Hold,
  HotReason,
  LedgerTransaction,
  NewCard,
  Posting,
  RequestKind,
  RequestRecord,
  RequestState,
  WorkItem,
  WorkItemKind,
} from './model.ts';
import { newScriptChange } from './scripts/model.ts';
import { rowOfScriptChange } from './scripts/store-rows.ts';
import type { SettlementLine } from './settlement.ts';
import type { CardChange, HoldChange, RequestMark, UsageChange } from './store.ts';

type Row = Readonly<Record<string, string | number | boolean | null>>;

export type AccountRow = {
  readonly account_id: string;
  readonly currency: string;
  readonly balance_minor: bigint | null;
  readonly held_minor: bigint;
  readonly credit_line_minor: bigint;
};

export function accountOf(row: AccountRow): Account {
  return {
    accountId: row.account_id,
    currency: row.currency,
    balanceMinor: row.balance_minor,
    heldMinor: row.held_minor,
    creditLineMinor: row.credit_line_minor,
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
  readonly single_amount_minor: bigint | null;
  readonly day_amount_minor: bigint | null;
  readonly day_count: number | null;
  readonly no_pin_minor: bigint | null;
  readonly no_pin_day_minor: bigint | null;
  readonly version: bigint;
  readonly balance_minor: bigint;
  readonly held_minor: bigint;
  readonly credit_line_minor: bigint;
  readonly owed_balance_minor: bigint;
  readonly ecash_balance_minor: bigint;
  readonly atc_use: AtcUse | null;
  readonly hot_reason: HotReason | null;
  readonly has_scripts: boolean;
  readonly electronic_cash_limit_minor: bigint | null;
  readonly used_amount_minor: bigint | null;
  readonly used_count: number | null;
  readonly used_no_pin_minor: bigint | null;
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
    heldMinor: row.held_minor,
    creditLineMinor: row.credit_line_minor,
    availableMinor: row.balance_minor + row.credit_line_minor - row.held_minor,
    owedMinor: -row.owed_balance_minor,
    electronicCashMinor: row.ecash_balance_minor,
    limits: {
      singleAmountMinor: row.single_amount_minor,
      dayAmountMinor: row.day_amount_minor,
      dayCount: row.day_count,
      noPinMinor: row.no_pin_minor,
      noPinDayMinor: row.no_pin_day_minor,
    },
    accountId: row.account_id,
    pinFailures: row.pin_failures,
    atcHighest: row.atc_highest,
    atcUse: row.atc_use,
    hotReason: row.hot_reason,
    hasScripts: row.has_scripts,
    electronicCashLimitMinor: row.electronic_cash_limit_minor,
    usage: {
      amountMinor: row.used_amount_minor ?? 0n,
      count: row.used_count ?? 0,
      noPinMinor: row.used_no_pin_minor ?? 0n,
    },
    version: row.version,
  };
}

export function rowOfCard(card: NewCard): Row {
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
    ...rowOfLimits(card.limits),
  };
}

/** The limits that are given; null is "the installation's". */
export function rowOfLimits(limits: Partial<CardLimits>): Row {
  const columns = {
    single_amount_minor: limits.singleAmountMinor,
    day_amount_minor: limits.dayAmountMinor,
    day_count: limits.dayCount,
    no_pin_minor: limits.noPinMinor,
    no_pin_day_minor: limits.noPinDayMinor,
  };
  const given = Object.entries(columns).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([name, value]) => [name, value == null ? null : String(value)]),
  );
}

/** A row as `commit_changes` takes it: its columns in the order of their table. */
type Values = readonly (string | number | boolean | null)[];

export function valuesOfCardChange(change: CardChange): Values {
  const { cardId, version, pinFailures, usedAtc, atcUse } = change;
  return [cardId, String(version), pinFailures, usedAtc, atcUse];
}

export function valuesOfUsage(change: UsageChange): Values {
  const { cardId, day, amountMinor, count, noPinMinor } = change;
  return [cardId, day, String(amountMinor), count, String(noPinMinor)];
}

export function rowOfMark(mark: RequestMark): Row {
  return {
    trace_key: mark.traceKey,
    from: mark.from,
    to: mark.to,
    returned_before_minor: String(mark.returnedBeforeMinor),
    returned_minor: String(mark.returnedMinor),
  };
}

export type HoldRow = {
  readonly hold_id: string;
  readonly account_id: string;
  readonly amount_minor: bigint;
  readonly held_minor: bigint;
  readonly posted_minor: bigint;
  readonly state: Hold['state'];
  readonly expires_at_ms: bigint;
};

export function holdOf(row: HoldRow): Hold {
  return {
    holdId: row.hold_id,
    accountId: row.account_id,
    amountMinor: row.amount_minor,
    heldMinor: row.held_minor,
    postedMinor: row.posted_minor,
    state: row.state,
    expiresAtMs: Number(row.expires_at_ms),
  };
}

export function rowOfHoldChange({ from, hold }: HoldChange): {
  readonly from: string | null;
  readonly hold: Row;
} {
  return {
    from,
    hold: {
      hold_id: hold.holdId,
      account_id: hold.accountId,
      amount_minor: String(hold.amountMinor),
      held_minor: String(hold.heldMinor),
      posted_minor: String(hold.postedMinor),
      state: hold.state,
      expires_at_ms: hold.expiresAtMs,
    },
  };
}

export type WorkItemRow = {
  readonly item_id: string;
  readonly kind: WorkItemKind;
  readonly trace_key: string;
  readonly card_id: string | null;
  readonly amount_minor: bigint;
  readonly currency: string;
  readonly note: string;
  readonly opened_at_ms: bigint;
};

export function workItemOf(row: WorkItemRow): WorkItem {
  return {
    itemId: row.item_id,
    kind: row.kind,
    traceKey: row.trace_key,
    cardId: row.card_id,
    amountMinor: row.amount_minor,
    currency: row.currency,
    note: row.note,
    openedAtMs: Number(row.opened_at_ms),
  };
}

export function rowOfWorkItem(item: WorkItem): Row {
  return {
    item_id: item.itemId,
    kind: item.kind,
    trace_key: item.traceKey,
    card_id: item.cardId,
    amount_minor: String(item.amountMinor),
    currency: item.currency,
    note: item.note,
    opened_at_ms: item.openedAtMs,
  };
}

export type RequestRow = {
  readonly trace_key: string;
  readonly kind: RequestKind;
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
  readonly icc_data: string | null;
  readonly additional_amounts: string | null;
  readonly original_trace_key: string | null;
  readonly returned_minor: bigint;
  readonly settlement_date: string;
  readonly usage_day: string | null;
  readonly is_no_pin: boolean;
  readonly retrieval_reference: string | null;
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
    iccData: row.icc_data,
    additionalAmounts: row.additional_amounts,
    originalTraceKey: row.original_trace_key,
    returnedMinor: row.returned_minor,
    settlementDate: row.settlement_date,
    usageDay: row.usage_day,
    isNoPin: row.is_no_pin,
    retrievalReference: row.retrieval_reference,
    answeredAtMs: Number(row.answered_at_ms),
  };
}

export function valuesOfRequest(record: RequestRecord): Values {
  return [
    record.traceKey,
    record.kind,
    record.fingerprint,
    record.panLookup,
    record.cardId,
    String(record.amountMinor),
    record.currency,
    record.state,
    record.responseCode,
    record.approvalCode,
    record.reason,
    record.arqcVerified,
    record.ledgerEntryId,
    record.iccData,
    record.additionalAmounts,
    record.originalTraceKey,
    String(record.returnedMinor),
    record.settlementDate,
    record.usageDay,
    record.isNoPin,
    record.retrievalReference,
    record.answeredAtMs,
  ];
}

export type SettlementRow = {
  readonly trace_key: string;
  readonly kind: RequestKind;
  readonly retrieval_reference: string | null;
  readonly currency: string;
  readonly amount_minor: bigint;
};

export function settlementLineOf(row: SettlementRow): SettlementLine {
  return {
    traceKey: row.trace_key,
    kind: row.kind,
    retrievalReference: row.retrieval_reference,
    currency: row.currency,
    amountMinor: row.amount_minor,
  };
}

export type HotRow = {
  readonly pan_lookup: string;
  readonly pan_masked: string;
  readonly reason: HotReason;
  readonly listed_at_ms: bigint;
};

export function hotEntryOf(row: HotRow): HotEntry {
  return {
    panLookup: row.pan_lookup,
    panMasked: row.pan_masked,
    reason: row.reason,
    listedAtMs: Number(row.listed_at_ms),
  };
}

/** A change as `admin_change` takes it; a card's as the columns that it sets. */
export function rowOfAdminChange(change: AdminChange): Readonly<Record<string, unknown>> {
  const { action } = change;
  switch (action) {
    case 'cardState':
      return { action, set: { state: change.state } };
    case 'pinTries':
      return { action, set: { pin_failures: 0 } };
    case 'limits':
      return { action, set: rowOfLimits(change.limits) };
    case 'scriptQueued':
      return { action, ...rowOfScriptChange(newScriptChange(change.script)) };
    case 'loadResolved':
      return { action, verdict: change.verdict };
    case 'loadPayerBound':
      return { action, payer_card_id: change.payerCardId };
    case 'hotListed':
      return { action, pan_masked: change.panMasked, reason: change.reason };
    default:
      return { action };
  }
}

export type AuditRow = {
  readonly audit_id: string;
  readonly at_ms: bigint;
  readonly actor: string;
  readonly note: string;
  readonly action: AuditLine['action'];
  readonly subject: string;
  readonly before: string;
  readonly after: string;
};

export function auditLineOf(row: AuditRow): AuditLine {
  const { actor, note, action, subject, before, after } = row;
  const line = { actor, note, action, subject, before, after };
  return { ...line, auditId: row.audit_id, atMs: Number(row.at_ms) };
}

export function valuesOfTransaction(transaction: LedgerTransaction): Values {
  const { transactionId, kind, traceKey, atMs } = transaction;
  return [transactionId, kind, traceKey, atMs];
}

export function valuesOfEntries({ transactionId, postings }: LedgerTransaction): Values[] {
  return postings.map(({ entryId, accountId, currency, amountMinor }) => {
    return [entryId, transactionId, accountId, currency, String(amountMinor)];
  });
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
