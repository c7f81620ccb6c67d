/** What the HTTP interface shows of orders and payments: masked, amounts as text. */
import {
  PAY_PAGE,
  type PayOrderView,
  type PayPaymentView,
  type Receipt,
} from '@tapnpay/protocol/wire';
import { type Order, outcomeOf, type Payment, type Reversal } from '../model.ts';
import type { GatewayProfile } from '../ports.ts';

/** Addresses that views point to; origins without a slash at the end. */
export type SiteAddresses = {
  /** The gateway as browsers reach it. */
  readonly publicUrl: string;
  /** The helper on the payer's machine. */
  readonly agentUrl: string;
  /** The look inside, or null without one. */
  readonly observerUrl: string | null;
};

/** An order as it stands. */
export function orderView(
  order: Order,
  { publicUrl }: Pick<SiteAddresses, 'publicUrl'>,
): Readonly<Record<string, unknown>> {
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
    payUrl: `${publicUrl}${PAY_PAGE}/${orderId}`,
  };
}

/** An order as it was made: the same answer to each repeat of its idempotency key. */
export function createdOrderView(
  order: Order,
  site: Pick<SiteAddresses, 'publicUrl'>,
): Readonly<Record<string, unknown>> {
  return orderView({ ...order, status: 'open', paymentId: null }, site);
}

/** A payment with the issuer's facts, its reversal and the hops the gateway saw. */
export function paymentView(
  payment: Payment,
  reversal: Reversal | null,
): Readonly<Record<string, unknown>> {
  const {
    sealedOriginal: _sealed,
    deadlineMs: _deadline,
    card: _card,
    tsi: _tsi,
    ...rest
  } = payment;
  const { state, amountMinor, ...shown } = rest;
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

/** An order as its payer sees it. */
export function payOrderView(facts: {
  readonly order: Order;
  readonly payment: Payment | null;
  readonly profile: Pick<GatewayProfile, 'merchant' | 'lab'>;
  readonly site: SiteAddresses;
  readonly nowMs: number;
}): PayOrderView {
  const { order, payment, profile, site, nowMs } = facts;
  const { orderId, merchantOrderNumber, currency, origin, expiresAtMs, returnUrl } = order;
  const { merchantId, name: merchantName, terminalId } = profile.merchant;
  const isInsideShown = profile.lab && site.observerUrl !== null;
  return {
    orderId,
    merchantId,
    merchantName,
    terminalId,
    merchantOrderNumber,
    amountMinor: String(order.amountMinor),
    currency,
    origin,
    status: order.status,
    nowMs,
    expiresAtMs,
    returnUrl: returnUrl === null ? null : withOrderId(returnUrl, orderId),
    agentUrl: site.agentUrl,
    sandbox: profile.lab,
    insideUrl: isInsideShown ? `${site.observerUrl}/inside/${orderId}` : null,
    payment: payment && payPaymentView(payment),
  };
}

function withOrderId(returnUrl: string, orderId: string): string {
  const url = new URL(returnUrl);
  url.searchParams.set('orderId', orderId);
  return url.href;
}

function payPaymentView(payment: Payment): PayPaymentView {
  const { paymentId, responseCode, reason } = payment;
  return {
    paymentId,
    outcome: outcomeOf(payment),
    responseCode,
    reason,
    receipt: receiptOf(payment),
  };
}

function receiptOf(payment: Payment): Receipt {
  const { panMasked, card, second, secondType, tsi } = payment;
  const { approvalCode, stan, retrievalReference, createdAtMs } = payment;
  return {
    panMasked,
    entryMode: payment.interface,
    ...card,
    second,
    secondType,
    tsi,
    approvalCode,
    stan,
    retrievalReference,
    createdAtMs,
  };
}
