/** Rows of the switch's tables and the facts they stand for. */
import type { Advice, Transaction, TransactionState } from './model.ts';

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
  readonly body_digest: string | null;
  readonly destination: string | null;
  readonly retrieval_reference: string | null;
  readonly amount_minor: Int8 | null;
  readonly currency: string | null;
  readonly pan_masked: string | null;
  readonly sealed_original: string | null;
  readonly state: TransactionState;
  readonly response_code: string | null;
  readonly approval_code: string | null;
  readonly sealed_answer: string | null;
  readonly reason: string | null;
  readonly late_response_code: string | null;
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
  'body_digest',
  'destination',
  'retrieval_reference',
  'amount_minor',
  'currency',
  'pan_masked',
  'sealed_original',
  'state',
  'response_code',
  'approval_code',
  'sealed_answer',
  'reason',
  'late_response_code',
  'created_at_ms',
  'updated_at_ms',
];

export function transactionValues(transaction: Transaction): readonly unknown[] {
  return [
    transaction.transactionId,
    transaction.memberId,
    transaction.acquirerId,
    transaction.stan,
    transaction.transmission,
    transaction.terminalId,
    transaction.bodyDigest,
    transaction.destination,
    transaction.retrievalReference,
    transaction.amountMinor,
    transaction.currency,
    transaction.panMasked,
    transaction.sealedOriginal,
    transaction.state,
    transaction.responseCode,
    transaction.approvalCode,
    transaction.sealedAnswer,
    transaction.reason,
    transaction.lateResponseCode,
    transaction.createdAtMs,
    transaction.updatedAtMs,
  ];
}

export function transactionOf(row: TransactionRow): Transaction {
  return {
    transactionId: row.transaction_id,
    memberId: row.member_id,
    acquirerId: row.acquirer_id,
    stan: row.stan,
    transmission: row.transmission,
    terminalId: row.terminal_id,
    bodyDigest: row.body_digest,
    destination: row.destination,
    retrievalReference: row.retrieval_reference,
    amountMinor: row.amount_minor === null ? null : BigInt(row.amount_minor),
    currency: row.currency,
    panMasked: row.pan_masked,
    sealedOriginal: row.sealed_original,
    state: row.state,
    responseCode: row.response_code,
    approvalCode: row.approval_code,
    sealedAnswer: row.sealed_answer,
    reason: row.reason,
    lateResponseCode: row.late_response_code,
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
  };
}

/** A row of `advices`. */
export type AdviceRow = {
  readonly transaction_id: string;
  readonly destination: string;
  readonly stan: string;
  readonly transmission: string;
  readonly reason: string;
  readonly attempts: number;
  readonly next_at_ms: Int8;
  readonly settled_at_ms: Int8 | null;
  readonly response_code: string | null;
};

export function adviceOf(row: AdviceRow): Advice {
  return {
    transactionId: row.transaction_id,
    destination: row.destination,
    stan: row.stan,
    transmission: row.transmission,
    reason: row.reason,
    attempts: row.attempts,
    nextAtMs: Number(row.next_at_ms),
    settledAtMs: row.settled_at_ms === null ? null : Number(row.settled_at_ms),
    responseCode: row.response_code,
  };
}
