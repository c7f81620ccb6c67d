/**
 * What is done to a payment after its approval: capture, void, refund; their states and legal
 * moves, and the sums that bound them. Amounts are minor units, times are milliseconds.
 */
import type { TransactionKind } from '@tapnpay/protocol/iso8583';
import type { Order, Payment } from '../model.ts';

/** `capture` and `refund` are advices (0220), `void` is a request (0200 or 0100). */
export type OperationKind = 'capture' | 'void' | 'refund';

/**
 * `sending`: its first message is on its way. `pending`: an advice that is repeated until it is
 * acknowledged. `unknown`: a void without a final answer, being reversed; `reversed`: it was, and
 * the payment stands as before. `failed`: refused for certain, nothing happened.
 */
export type OperationState =
  | 'sending'
  | 'pending'
  | 'succeeded'
  | 'failed'
  | 'unknown'
  | 'reversed';

/** Legal moves of an operation; the database enforces the same table. */
export const OPERATION_MOVES: Readonly<Record<OperationState, readonly OperationState[]>> = {
  sending: ['pending', 'succeeded', 'failed', 'unknown'],
  pending: ['succeeded', 'failed'],
  unknown: ['reversed'],
  succeeded: [],
  failed: [],
  reversed: [],
};

/** Facts of an operation that later steps fill in. */
export type OperationFacts = {
  /** Fields 39, 38 and 15 of the answer. */
  readonly responseCode: string | null;
  readonly approvalCode: string | null;
  readonly settlementDate: string | null;
  /** Why it is not succeeded: `timeout`, `code:96`, `issuer:25`, `lineDown`, ... */
  readonly reason: string | null;
  /** An advice is sent again then; a void without an answer is reversed then. */
  readonly nextAtMs: number;
};

/** One operation on one payment. */
export type Operation = OperationFacts & {
  readonly operationId: string;
  readonly paymentId: string;
  readonly merchantId: string;
  readonly kind: OperationKind;
  readonly transactionKind: TransactionKind;
  readonly state: OperationState;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** Fields 11, 7 and 37; the same in each repeat. */
  readonly stan: string;
  readonly transmission: string;
  readonly retrievalReference: string;
  /** The request (`OriginalRequest`) that repeats and a reversal are made of, sealed. */
  readonly sealedRequest: string;
  /** The merchant's own words. */
  readonly note: string | null;
  readonly attempts: number;
  /** The same intent has the same identity; the fingerprint tells a misused one. */
  readonly identity: string;
  readonly fingerprint: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
};

/** Sums of a payment; the database checks refunded + pending <= captured <= held. */
export type PaymentBalance = {
  readonly heldMinor: bigint;
  readonly capturedMinor: bigint;
  readonly refundedMinor: bigint;
  readonly pendingRefundMinor: bigint;
  /** A dispute is open: what may be given back by it must not be refunded as well. */
  readonly disputed: boolean;
};

/** A payment with all that belongs to it, as one moment sees it. */
export type PaymentWhole = {
  readonly order: Order;
  readonly payment: Payment;
  readonly balance: PaymentBalance;
  readonly operations: readonly Operation[];
};

/** Something a person must look at. */
export type WorkItem = {
  readonly itemId: string;
  /** `reversalRefused`, `reversalUnanswered`, `adviceUnanswered`, `holdNotReleased`, ... */
  readonly kind: string;
  /** A payment, an operation, or a difference of a day's books. */
  readonly subjectId: string;
  readonly facts: Readonly<Record<string, string | number | null>>;
  readonly openedAtMs: number;
  readonly closedAtMs: number | null;
  /** Who closed it, and why; null while it is open, and when it has settled itself. */
  readonly closedBy: string | null;
  readonly note: string | null;
};
/** One that is opened. */
export type NewWorkItem = Omit<WorkItem, 'closedAtMs' | 'closedBy' | 'note'>;

/** Whether it may still happen or has happened. */
export function isLive(operation: Pick<Operation, 'state'>): boolean {
  return operation.state !== 'failed' && operation.state !== 'reversed';
}

/** The sums of a payment without operations. */
export function initialBalance(payment: Pick<Payment, 'state' | 'amountMinor'>): PaymentBalance {
  const isCaptured = payment.state === 'captured';
  return {
    heldMinor: payment.amountMinor,
    capturedMinor: isCaptured ? payment.amountMinor : 0n,
    refundedMinor: 0n,
    pendingRefundMinor: 0n,
    disputed: false,
  };
}

/** The sums after an operation has come to `state`; `sending` is its beginning. */
export function balanceAfter(
  balance: PaymentBalance,
  operation: Pick<Operation, 'kind' | 'amountMinor'>,
  state: OperationState,
): PaymentBalance {
  const { kind, amountMinor } = operation;
  if (kind === 'capture') {
    return state === 'succeeded' ? { ...balance, capturedMinor: amountMinor } : balance;
  }
  if (kind === 'void' || state === 'pending') return balance;
  const { refundedMinor, pendingRefundMinor } = balance;
  if (state === 'sending') {
    return { ...balance, pendingRefundMinor: pendingRefundMinor + amountMinor };
  }
  const refunded = state === 'succeeded' ? refundedMinor + amountMinor : refundedMinor;
  const rest = { pendingRefundMinor: pendingRefundMinor - amountMinor };
  return { ...balance, ...rest, refundedMinor: refunded };
}

/** What can still be given back. */
export function refundableMinor(balance: PaymentBalance): bigint {
  return balance.capturedMinor - balance.refundedMinor - balance.pendingRefundMinor;
}
