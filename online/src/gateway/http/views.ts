/** What the HTTP interface shows of orders and payments: masked, amounts as text. */
import { type Order, outcomeOf, type Payment, type Reversal } from '../model.ts';

/** An order as it stands. */
export function orderView(order: Order): Readonly<Record<string, unknown>> {
  const { orderId, merchantOrderNumber, amountMinor, currency, origin, status } = order;
  const { createdAtMs, expiresAtMs, paymentId } = order;
  return {
    orderId,
    merchantOrderNumber,
    amountMinor: String(amountMinor),
    currency,
    origin,
    status,
    paymentId,
    createdAtMs,
    expiresAtMs,
  };
}

/** An order as it was made: the same answer to each repeat of its idempotency key. */
export function createdOrderView(order: Order): Readonly<Record<string, unknown>> {
  return orderView({ ...order, status: 'open', paymentId: null });
}

/** A payment with the issuer's facts, its reversal and the hops the gateway saw. */
export function paymentView(
  payment: Payment,
  reversal: Reversal | null,
): Readonly<Record<string, unknown>> {
  const { sealedOriginal: _sealed, deadlineMs: _deadline, state, amountMinor, ...shown } = payment;
  return {
    ...shown,
    status: state,
    outcome: outcomeOf(payment),
    amountMinor: String(amountMinor),
    reversal: reversal && {
      reason: reversal.reason,
      attempts: reversal.attempts,
      acknowledged: reversal.acknowledgedAtMs !== null,
      responseCode: reversal.responseCode,
    },
  };
}
