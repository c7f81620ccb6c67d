/** Rows of the settlement tables and the facts they stand for. */
import type { Mode } from '../merchants/model.ts';
import type { SettledKind, SettlementBatch, SettlementItem } from './batch.ts';
import type { StatementLine } from './statement.ts';

/** A row of `settlement_batches`. */
export type BatchRow = {
  readonly batch_id: string;
  readonly settlement_date: string;
  readonly merchant_id: string;
  readonly mode: Mode;
  readonly currency: string;
  readonly sale_count: number;
  readonly sale_minor: bigint;
  readonly return_count: number;
  readonly return_minor: bigint;
  readonly fee_minor: bigint;
  readonly brought_minor: bigint;
  readonly paid_out_minor: bigint;
  readonly carried_minor: bigint;
};

export function batchOf(row: BatchRow): SettlementBatch {
  return {
    batchId: row.batch_id,
    settlementDate: row.settlement_date,
    merchantId: row.merchant_id,
    mode: row.mode,
    currency: row.currency,
    saleCount: row.sale_count,
    saleMinor: row.sale_minor,
    returnCount: row.return_count,
    returnMinor: row.return_minor,
    feeMinor: row.fee_minor,
    broughtMinor: row.brought_minor,
    paidOutMinor: row.paid_out_minor,
    carriedMinor: row.carried_minor,
  };
}

/** A row of `settlement_items` with the currency of its batch. */
export type ItemRow = {
  readonly transaction_id: string;
  readonly payment_id: string;
  readonly kind: SettledKind;
  readonly currency: string;
  readonly amount_minor: bigint;
  readonly fee_minor: bigint;
};

export function itemOf(row: ItemRow): SettlementItem {
  return {
    transactionId: row.transaction_id,
    paymentId: row.payment_id,
    kind: row.kind,
    currency: row.currency,
    amountMinor: row.amount_minor,
    feeMinor: row.fee_minor,
  };
}

/** An item with what its line in the statement says of payment and operation. */
export type LineRow = ItemRow & {
  readonly told: string;
  readonly operation_id: string;
  readonly merchant_order_number: string;
  readonly transmission: string;
  readonly stan: string;
  readonly retrieval_reference: string;
};

export function lineOf(row: LineRow): StatementLine {
  const { transactionId: _id, ...item } = itemOf(row);
  return {
    ...item,
    operationId: row.operation_id,
    merchantOrderNumber: row.merchant_order_number,
    transmission: row.transmission,
    stan: row.stan,
    retrievalReference: row.retrieval_reference,
    settlementDate: row.told,
  };
}
