/** What the gateway's word about an order means for the page. Pure. */
import type { ElementPayResult, PayOrderView, PayPaymentView } from '@tapnpay/protocol/wire';
import { meaningOf, type PaymentCode, paymentCodeOf } from './errors.ts';
import type { StateName } from './states.ts';

/** How a page ends; without a code it paid, or nothing was tried yet. */
export type End = {
  readonly name: StateName;
  readonly code?: PaymentCode;
  readonly detail?: string;
};

/** How an attempt ended, from the agent or our own clock. */
export type Ending = {
  readonly code: PaymentCode;
  /** Null: the code's own state. */
  readonly name: StateName | null;
  readonly detail: string;
  /** The agent said itself that nothing was sent, or nothing can have been. */
  readonly isCertain: boolean;
};

/** What the page knows of its own attempt. */
export type Attempt = {
  /** The order's last payment before it. */
  readonly before: string | null;
  readonly ending: Ending | null;
  /** The sealed payment may have left this page. */
  readonly isSealed: boolean;
};

/**
 * The end that the order's view means; `unknown`: nobody knows yet; `unsure`: open, though the
 * sealed payment may be on its way in. A status that we do not know is an unknown end.
 */
export function endOf(order: PayOrderView, attempt: Attempt): End | 'unknown' | 'unsure' {
  const { status, payment } = order;
  if (status === 'paid') return { name: 'APPROVED' };
  if (status === 'cancelled') return { name: 'CANCELLED', code: 'TP_ORDER_CANCELLED' };
  if (status === 'expired') return { name: 'CANCELLED', code: 'TP_ORDER_EXPIRED' };
  if (status !== 'open') return 'unknown';
  const { before, ending, isSealed } = attempt;
  if (payment !== null && payment.paymentId !== before) return endOfPayment(payment, ending);
  return isSealed && ending?.isCertain !== true ? 'unsure' : endOfAttempt(ending);
}

/** The end of an attempt that charged nothing. */
export function endOfAttempt(ending: Ending | null): End {
  if (ending === null) return { name: 'READY' };
  const { code, name, detail } = ending;
  // "Unknown" was our own doubt; the gateway has none.
  const isDoubt = code === 'TP_RESULT_UNKNOWN' || code === 'TP_DUPLICATE';
  const known = isDoubt ? 'TP_CHANNEL_LOST' : code;
  return { name: name ?? meaningOf(known).state, code: known, detail };
}

/** The final payment of an order that is open again; `unknown` for one that contradicts it. */
function endOfPayment(payment: PayPaymentView, ending: Ending | null): End | 'unknown' {
  const { outcome, responseCode } = payment;
  const reason = payment.reason ?? '';
  const detail = responseCode ?? reason;
  if (outcome === 'cancelled') return { name: 'CANCELLED', code: 'TP_USER_CANCELLED', detail };
  if (outcome !== 'declined' && outcome !== 'reversed') return 'unknown';
  if (/^(card|terminal):/.test(reason)) {
    // The gateway only misses the card's last word; the agent may have seen the card leave.
    const code = ending?.code === 'TP_CARD_REMOVED' ? ending.code : paymentCodeOf(reason);
    return { name: meaningOf(code).state, code, detail: reason };
  }
  if (outcome === 'reversed') return { name: 'INTERRUPTED', code: 'TP_REVERSED', detail: reason };
  return { name: 'DECLINED', code: paymentCodeOf(`issuer:${detail}`), detail };
}

/** An ending by the code or reason of a peer, or `timeout`: nobody said anything. */
export function endingOf(raw: string, { isCertain }: { readonly isCertain: boolean }): Ending {
  const code = raw === 'timeout' ? 'TP_RESULT_UNKNOWN' : paymentCodeOf(raw);
  return { code, name: null, detail: raw, isCertain };
}

/** What the agent reports. Its approval is none: the gateway says so, or nobody. */
export function resultEnding(result: ElementPayResult): Ending {
  const { outcome, reason, charged, responseCode } = result;
  const isDeclined = outcome === 'declined';
  if (charged !== 'no' || !(isDeclined || outcome === 'cancelled')) {
    const unknown = endingOf('timeout', { isCertain: false });
    // Whether money moved only the gateway knows; that the card left or a record was not genuine,
    // only the agent.
    const { code, stage } = meaningOf(paymentCodeOf(reason ?? ''));
    const isKnown = stage === 'channel' || code === 'TP_CARD_REMOVED';
    return isKnown ? { ...unknown, code } : unknown;
  }
  const ending = endingOf(reason ?? '', { isCertain: true });
  const isOnline = responseCode !== null && /^(issuer|switch):/.test(reason ?? '');
  const detail = isOnline ? responseCode : ending.detail;
  return { ...ending, name: isDeclined ? 'DECLINED' : null, detail };
}
