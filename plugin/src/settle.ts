/** What the gateway's word about an order means for the page. */
import type { PayOrderView, PayPaymentView } from '@tapnpay/protocol/wire';
import { type PaymentCode, paymentCodeOf, paymentError } from './errors.ts';
import {
  CLOSE_CHANNEL,
  type Effect,
  type Ending,
  INITIAL,
  type Machine,
  type Step,
  timer,
} from './model.ts';
import { endStateOf, OPEN_GRACE_MS, POLL_MS, type StateName } from './states.ts';

/** How a page ends. */
type End = { readonly name: StateName; readonly code?: PaymentCode; readonly detail?: string };

const EXPIRY_SLACK_MS = 500;
const PAID: End = { name: 'APPROVED' };
const CANCELLED: End = { name: 'CANCELLED', code: 'TP_ORDER_CANCELLED' };
const EXPIRED: End = { name: 'CANCELLED', code: 'TP_ORDER_EXPIRED' };

/** By the order's status; a status that we do not know is an unknown end. */
const BY_STATUS: Readonly<
  Record<PayOrderView['status'], (machine: Machine, atMs: number) => Step>
> = {
  paid: (machine) => finish(machine, PAID),
  cancelled: (machine) => finish(machine, CANCELLED),
  expired: (machine) => finish(machine, EXPIRED),
  processing: stayUnknown,
  unknown: stayUnknown,
  open: settleOpen,
};

/** Moves the page to what the order's view says. */
export function settle(machine: Machine, atMs: number): Step {
  const status = machine.order?.status ?? 'unknown';
  return (BY_STATUS[status] ?? stayUnknown)(machine, atMs);
}

/** Ends an attempt that charged nothing. */
export function stop(machine: Machine, ending: Ending): Step {
  const { code, state, detail } = ending;
  // "Unknown" was our own doubt; the gateway has none.
  const isDoubt = code === 'TP_RESULT_UNKNOWN' || code === 'TP_DUPLICATE';
  const known = isDoubt ? 'TP_CHANNEL_LOST' : code;
  return finish(machine, {
    name: state ?? endStateOf(known),
    code: known,
    detail,
  });
}

/** An open order: not paid, and its last payment, if any, is final. */
function settleOpen(machine: Machine, atMs: number): Step {
  const { order, before, ending, sealed } = machine;
  const payment = order?.payment ?? null;
  if (payment !== null && payment.paymentId !== before) {
    const ended = endOfPayment(payment, ending);
    return ended === null ? stayUnknown(machine) : finish(machine, ended);
  }
  if (sealed && ending?.isCertain !== true) return waitForOpen(machine, atMs);
  if (ending !== null) return stop(machine, ending);
  return finish(machine, { name: 'READY' });
}

/** The final payment of an order that is open again; null for one that contradicts it. */
function endOfPayment(payment: PayPaymentView, ending: Ending | null): End | null {
  const { outcome, responseCode } = payment;
  const reason = payment.reason ?? '';
  const detail = responseCode ?? reason;
  switch (outcome) {
    case 'declined':
    case 'reversed':
      if (/^(card|terminal):/.test(reason)) {
        // The gateway only misses the card's last word; the agent may have seen the card leave.
        const code = ending?.code === 'TP_CARD_REMOVED' ? ending.code : paymentCodeOf(reason);
        return { name: endStateOf(code), code, detail: reason };
      }
      if (outcome === 'declined') return { name: 'DECLINED', code: 'TP_DECLINED_ONLINE', detail };
      return { name: 'INTERRUPTED', code: 'TP_REVERSED', detail: reason };
    case 'cancelled':
      return { name: 'CANCELLED', code: 'TP_USER_CANCELLED', detail };
    default:
      return null;
  }
}

/** The sealed payment may still be on its way in: "open" counts when it has stayed so. */
function waitForOpen(machine: Machine, atMs: number): Step {
  const sinceMs = machine.openSinceMs ?? atMs;
  if (atMs - sinceMs < OPEN_GRACE_MS) {
    const { machine: next, effects } = stayUnknown({ ...machine, openSinceMs: sinceMs });
    // Nothing more may pass, or the wait would prove nothing.
    return { machine: next, effects: [CLOSE_CHANNEL, { do: 'closeAgent' }, ...effects] };
  }
  if (machine.ending === null) return finish(machine, { name: 'READY' });
  return stop(machine, machine.ending);
}

/** Nobody knows yet: asks again. */
export function stayUnknown(machine: Machine): Step {
  const detail = machine.ending?.detail ?? machine.order?.payment?.reason ?? '';
  const error = paymentError('TP_RESULT_UNKNOWN', 'unknown', detail);
  const { machine: next, effects } = pollAgain({ ...machine, name: 'UNKNOWN', error });
  return { machine: next, effects: [timer('budget'), ...effects] };
}

/** The next question to the gateway, each after a longer pause. */
export function pollAgain(machine: Machine): Step {
  const ms = POLL_MS[Math.min(machine.polls, POLL_MS.length - 1)] ?? null;
  const next = { ...machine, polls: machine.polls + 1 };
  return { machine: next, effects: [timer('poll', ms)] };
}

/** The end of an attempt, or of the first look at the order. */
function finish(machine: Machine, { name, code, detail = '' }: End): Step {
  const { order, before, interface: by } = machine;
  const error = code === undefined ? null : paymentError(code, 'no', detail);
  const next: Machine = { ...INITIAL, name, order, before, interface: by, error };
  const close: readonly Effect[] = [
    CLOSE_CHANNEL,
    { do: 'closeAgent' },
    { do: 'remember', sealed: null },
    ...(['budget', 'slow', 'poll', 'probe'] as const).map((each) => timer(each)),
  ];
  return { machine: next, effects: [...close, ...watch(next)] };
}

/** An order that can be paid is watched for its end; the agent is looked for before the click. */
function watch({ name, order }: Machine): readonly Effect[] {
  if (order === null || order.status !== 'open') return [timer('expiry')];
  const ms = Math.max(0, order.expiresAtMs - order.nowMs) + EXPIRY_SLACK_MS;
  const expiry = timer('expiry', ms);
  const probe: Effect = { do: 'probe', agentUrl: order.agentUrl };
  return name === 'READY' ? [expiry, probe] : [expiry];
}
