/** Rows of the switch's tables and the facts they stand for. */
import type { TransactionKind } from '@tapnpay/protocol/iso8583';
import type {
  Advice,
  AdviceKind,
  AdviceState,
  Booking,
  Day,
  Transaction,
  TransactionState,
} from './model.ts';

/** A whole number as a column (bigint) or inside JSON (number). */
type Int8 = bigint | number;

/** A row of `transactions`. */
export type TransactionRow = {
  readonly transaction_id: string;
  readonly member_id: string;
  readonly acquirer_id: string;
  readonly stan: string;
  readonly transmission: string;
  readonly terminal_id: string;
  readonly kind: TransactionKind | null;
  readonly body_digest: string | null;
  readonly destination: string | null;
  readonly retrieval_reference: string | null;
  readonly merchant_id: string | null;
  readonly amount_minor: Int8 | null;
  readonly currency: string | null;
  readonly pan_masked: string | null;
  readonly sealed_original: string | null;
  readonly original_id: string | null;
  readonly ended_by: string | null;
  readonly state: TransactionState;
  readonly response_code: string | null;
  readonly approval_code: string | null;
  readonly sealed_answer: string | null;
  readonly reason: string | null;
  readonly late_response_code: string | null;
  readonly settlement_date: string;
  readonly reversal_date: string | null;
  readonly created_at_ms: Int8;
  readonly updated_at_ms: Int8;
};

/** Columns in the order of `transactionValues`. */
export const TRANSACTION_COLUMNS: readonly (keyof TransactionRow)[] = [
  'transaction_id',
  'member_id',
  'acquirer_id',
  'stan',
  'transmission',
  'terminal_id',
  'kind',
  'body_digest',
  'destination',
  'retrieval_reference',
  'merchant_id',
  'amount_minor',
  'currency',
  'pan_masked',
  'sealed_original',
  'original_id',
  'ended_by',
  'state',
  'response_code',
  'approval_code',
  'sealed_answer',
  'reason',
  'late_response_code',
  'settlement_date',
  'reversal_date',
  'created_at_ms',
  'updated_at_ms',
];

/** Those of them that are no text. */
export const BIGINT_COLUMNS: ReadonlySet<keyof TransactionRow> = new Set([
  ...(['amount_minor', 'created_at_ms', 'updated_at_ms'] as const),
]);

export function transactionValues(transaction: Transaction): readonly unknown[] {
  return [
    transaction.transactionId,
    transaction.memberId,
    transaction.acquirerId,
    transaction.stan,
    transaction.transmission,
    transaction.terminalId,
    transaction.kind,
    transaction.bodyDigest,
    transaction.destination,
    transaction.retrievalReference,
    transaction.merchantId,
    transaction.amountMinor,
    transaction.currency,
    transaction.panMasked,
    transaction.sealedOriginal,
    transaction.originalId,
    transaction.endedBy,
    transaction.state,
    transaction.responseCode,
    transaction.approvalCode,
    transaction.sealedAnswer,
    transaction.reason,
    transaction.lateResponseCode,
    transaction.settlementDate,
    transaction.reversalDate,
    transaction.createdAtMs,
    transaction.updatedAtMs,
  ];
}

/** A row for JSON: amounts as text, for JSON has no bigint. */
export function transactionCells(transaction: Transaction): readonly unknown[] {
  return transactionValues(transaction).map((value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
}

export function transactionOf(row: TransactionRow): Transaction {
  return {
    transactionId: row.transaction_id,
    memberId: row.member_id,
    acquirerId: row.acquirer_id,
    stan: row.stan,
    transmission: row.transmission,
    terminalId: row.terminal_id,
    kind: row.kind,
    bodyDigest: row.body_digest,
    destination: row.destination,
    retrievalReference: row.retrieval_reference,
    merchantId: row.merchant_id,
    amountMinor: row.amount_minor === null ? null : BigInt(row.amount_minor),
    currency: row.currency,
    panMasked: row.pan_masked,
    sealedOriginal: row.sealed_original,
    originalId: row.original_id,
    endedBy: row.ended_by,
    state: row.state,
    responseCode: row.response_code,
    approvalCode: row.approval_code,
    sealedAnswer: row.sealed_answer,
    reason: row.reason,
    lateResponseCode: row.late_response_code,
    settlementDate: row.settlement_date,
    reversalDate: row.reversal_date,
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
  };
}

/** A row of `advices`. */
export type AdviceRow = {
  readonly advice_id: string;
  readonly kind: AdviceKind;
  readonly transaction_id: string | null;
  readonly order_key: string;
  readonly destination: string;
  readonly stan: string;
  readonly transmission: string;
  readonly reason: string;
  readonly settlement_date: string;
  readonly state: AdviceState;
  readonly attempts: number;
  readonly refusals: number;
  readonly next_at_ms: Int8;
  readonly settled_at_ms: Int8 | null;
  readonly response_code: string | null;
};

export function adviceOf(row: AdviceRow): Advice {
  return {
    adviceId: row.advice_id,
    kind: row.kind,
    transactionId: row.transaction_id,
    orderKey: row.order_key,
    destination: row.destination,
    stan: row.stan,
    transmission: row.transmission,
    reason: row.reason,
    settlementDate: row.settlement_date,
    state: row.state,
    attempts: row.attempts,
    refusals: row.refusals,
    nextAtMs: Number(row.next_at_ms),
    settledAtMs: row.settled_at_ms === null ? null : Number(row.settled_at_ms),
    responseCode: row.response_code,
  };
}

/** A row of `days`. */
export type DayRow = {
  readonly settlement_date: string;
  readonly begun_at_ms: Int8;
  readonly closed_at_ms: Int8 | null;
};

export function dayOf(row: DayRow): Day {
  return {
    settlementDate: row.settlement_date,
    begunAtMs: Number(row.begun_at_ms),
    closedAtMs: row.closed_at_ms === null ? null : Number(row.closed_at_ms),
  };
}

/** A row of `bookings` with its transaction. */
export type BookingRow = TransactionRow & { readonly leg: Booking['leg'] };

export function bookingOf(row: BookingRow): Booking {
  return { leg: row.leg, of: transactionOf(row) };
}
