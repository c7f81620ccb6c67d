/** What the HTTP interface shows of orders and payments: masked, amounts as text. */
import {
  type HopRecord,
  PAY_PAGE,
  type PayOrderView,
  type PayPaymentView,
  type Receipt,
} from '@tapnpay/protocol/wire';
import { type Order, outcomeOf, type Payment, type Reversal } from '../model.ts';
import { type Inquiry, orderInquiry, paymentInquiry } from '../operations/inquiry.ts';
import type { MerchantProfile } from '../ports.ts';
import { type ResponseText, responseText } from '../response-codes.ts';

/** Addresses that views point to; origins without a slash at the end. */
export type SiteAddresses = {
  /** The gateway as browsers reach it. */
  readonly publicUrl: string;
  /** The helper on the payer's machine. */
  readonly agentUrl: string;
  /** The look inside, or null without one. */
  readonly observerUrl: string | null;
};

/** An order as the API shows it. */
export type OrderView = Pick<
  Order,
  | 'orderId'
  | 'mode'
  | 'merchantOrderNumber'
  | 'currency'
  | 'origin'
  | 'kind'
  | 'captureMode'
  | 'status'
  | 'paymentId'
  | 'createdAtMs'
  | 'expiresAtMs'
> & { readonly inquiry: Inquiry; readonly amountMinor: string; readonly payUrl: string };

/** An order as it stands. */
export function orderView(
  order: Order,
  { publicUrl }: Pick<SiteAddresses, 'publicUrl'>,
): OrderView {
  const { orderId, mode, merchantOrderNumber, amountMinor, currency, origin, status } = order;
  const { kind, captureMode, createdAtMs, expiresAtMs, paymentId } = order;
  return {
    orderId,
    mode,
    merchantOrderNumber,
    amountMinor: String(amountMinor),
    currency,
    origin,
    kind,
    captureMode,
    status,
    inquiry: orderInquiry(order),
    paymentId,
    createdAtMs,
    expiresAtMs,
    payUrl: `${publicUrl}${PAY_PAGE}/${orderId}`,
  };
}

/** An order as it was made: the same answer to each repeat of its idempotency key. */
export function createdOrderView(order: Order, site: Pick<SiteAddresses, 'publicUrl'>): OrderView {
  return orderView({ ...order, status: 'open', paymentId: null }, site);
}

/** A payment as lists show it. */
export type PaymentRowView = Omit<
  Payment,
  'sealedOriginal' | 'deadlineMs' | 'card' | 'tsi' | 'hops' | 'state' | 'amountMinor'
> & {
  readonly status: Payment['state'];
  readonly inquiry: Inquiry;
  readonly response: ResponseText | null;
  readonly outcome: ReturnType<typeof outcomeOf>;
  readonly amountMinor: string;
};

/** A payment without its hops. */
export function paymentRowView(payment: Payment): PaymentRowView {
  const {
    sealedOriginal: _sealed,
    deadlineMs: _deadline,
    card: _card,
    tsi: _tsi,
    ...rest
  } = payment;
  const { state, amountMinor, hops: _hops, ...shown } = rest;
  const outcome = outcomeOf(payment);
  const inquiry = paymentInquiry(payment);
  const response = responseText(payment.responseCode);
  return { ...shown, status: state, inquiry, outcome, response, amountMinor: String(amountMinor) };
}

/** A payment with its reversal and the hops the gateway saw. */
export type PaymentView = PaymentRowView & {
  readonly reversal:
    | (Pick<Reversal, 'reason' | 'attempts' | 'responseCode'> & { readonly acknowledged: boolean })
    | null;
  readonly hops: readonly HopRecord[];
};

/** What `getPayment` shows. */
export function paymentView(payment: Payment, reversal: Reversal | null): PaymentView {
  return {
    ...paymentRowView(payment),
    hops: payment.hops,
    reversal: reversal && {
      reason: reversal.reason,
      attempts: reversal.attempts,
      acknowledged: reversal.acknowledgedAtMs !== null,
      responseCode: reversal.responseCode,
    },
  };
}

/** What a payer is told of an order: a hold is paid to him, a void is as if it had not been. */
function payerStatus(status: Order['status']): PayOrderView['status'] {
  if (status === 'authorised') return 'paid';
  return status === 'voided' ? 'cancelled' : status;
}

/** An order as its payer sees it. */
export function payOrderView(facts: {
  readonly order: Order;
  readonly payment: Payment | null;
  readonly merchant: MerchantProfile;
  readonly lab: boolean;
  readonly site: SiteAddresses;
  readonly nowMs: number;
}): PayOrderView {
  const { order, payment, merchant, site, nowMs } = facts;
  const { orderId, merchantOrderNumber, currency, origin, expiresAtMs, returnUrl } = order;
  const { merchantId, name: merchantName, terminalId } = merchant;
  const isInsideShown = facts.lab && site.observerUrl !== null;
  return {
    orderId,
    merchantId,
    merchantName,
    terminalId,
    merchantOrderNumber,
    amountMinor: String(order.amountMinor),
    currency,
    origin,
    status: payerStatus(order.status),
    nowMs,
    expiresAtMs,
    returnUrl: returnUrl === null ? null : withOrderId(returnUrl, orderId),
    agentUrl: site.agentUrl,
    sandbox: facts.lab,
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
