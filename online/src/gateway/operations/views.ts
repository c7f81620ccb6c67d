/** What the HTTP interface shows of operations and sums: amounts as text, no card data. */
import { z } from 'zod';
import { DECLINE_ACTIONS, type ResponseText, responseText } from '../response-codes.ts';
import { type Inquiry, operationInquiry } from './inquiry.ts';
import { type Operation, type PaymentBalance, refundableMinor } from './model.ts';

const text = z.string();
const bothTexts = z.object({ en: text, zh: text });

/** Schema of `ResponseText`. */
export const responseMeaning: z.ZodType<ResponseText | null> = z
  .object({
    code: text,
    action: z.enum(DECLINE_ACTIONS),
    merchant: bothTexts,
    cardholder: bothTexts,
  })
  .nullable()
  .describe('Field 39: what it means, and what to do.');

/** A capture, void or refund as the API shows it. */
export type OperationView = Pick<
  Operation,
  | 'operationId'
  | 'paymentId'
  | 'kind'
  | 'currency'
  | 'note'
  | 'reason'
  | 'approvalCode'
  | 'settlementDate'
  | 'retrievalReference'
  | 'attempts'
  | 'createdAtMs'
  | 'updatedAtMs'
> & {
  readonly status: Operation['state'];
  readonly inquiry: Inquiry;
  readonly amountMinor: string;
  readonly response: ResponseText | null;
};

/** An operation as it stands. */
export function operationView(operation: Operation): OperationView {
  const { operationId, paymentId, kind, currency, note, reason, approvalCode } = operation;
  const { settlementDate, retrievalReference, attempts, createdAtMs, updatedAtMs } = operation;
  return {
    operationId,
    paymentId,
    kind,
    status: operation.state,
    inquiry: operationInquiry(operation),
    amountMinor: String(operation.amountMinor),
    currency,
    note,
    response: responseText(operation.responseCode),
    reason,
    approvalCode,
    settlementDate,
    retrievalReference,
    attempts,
    createdAtMs,
    updatedAtMs,
  };
}

/** Sums of a payment as the API shows them. */
export type BalanceView = {
  readonly heldMinor: string;
  readonly capturedMinor: string;
  readonly refundedMinor: string;
  readonly pendingRefundMinor: string;
  readonly refundableMinor: string;
  readonly disputed: boolean;
};

/** The sums as text. */
export function balanceView(balance: PaymentBalance): BalanceView {
  return {
    heldMinor: String(balance.heldMinor),
    capturedMinor: String(balance.capturedMinor),
    refundedMinor: String(balance.refundedMinor),
    pendingRefundMinor: String(balance.pendingRefundMinor),
    refundableMinor: String(refundableMinor(balance)),
    disputed: balance.disputed,
  };
}
