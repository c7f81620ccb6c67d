/**
 * The durable consequences of a payment's events: approval, decline, unknown end, completion,
 * lost completion, acknowledged reversal. Each function is one transaction of the store.
 */
import {
  type GatewayMessage,
  Hop,
  type HopRecord,
  type SealedCompletion,
} from '@tapnpay/protocol/wire';
import { joinTrace, traceIdOfParts } from '../../runtime/index.ts';
import { GatewayError } from '../errors.ts';
import { strike } from '../lab.ts';
import { haveSucceeded, type Notice } from '../load/model.ts';
import { keepResults } from '../load/notices.ts';
import { localTime } from '../local-time.ts';
import {
  type CardEnd,
  type Order,
  outcomeOf,
  type Payment,
  type PaymentFacts,
  type PaymentState,
} from '../model.ts';
import { paymentEvent } from '../notifications.ts';
import { holdPostings, salePostings } from '../operations/postings.ts';
import { type GatewayPorts, hopRecord, reachHop } from '../ports.ts';
import { settlementDateAt, settlementDayOf } from '../settlement-date.ts';
import type { NewReversal, PaymentChange } from '../store.ts';
import type { ChannelPeer } from './peer.ts';
import type { Verdict } from './verdict.ts';

type Move = Pick<PaymentChange, 'to' | 'orderStatus'> & {
  readonly facts?: Partial<PaymentFacts>;
  readonly hops?: readonly HopRecord[];
  readonly reversal?: NewReversal;
  readonly postings?: NonNullable<PaymentChange['postings']>;
  readonly acknowledged?: string;
};

/** One move from the state just read; null when another event was faster. */
async function move(
  ports: GatewayPorts,
  subject: { readonly order: Order; readonly payment: Payment },
  wanted: Move,
): Promise<Payment | null> {
  const { order, payment } = subject;
  const { to, facts } = wanted;
  const tell = tellOf(ports, order, { ...payment, ...facts, state: to });
  // The move happens from this very row or not at all: what is told is what is committed.
  const after = { ...payment, ...facts, state: to, sequence: payment.sequence + 1 };
  const event = outcomeOf(after) === null ? undefined : paymentEvent(ports, order, after);
  const changed = await ports.store.changePayment({
    ...wanted,
    hops: [...(wanted.hops ?? []), ...tell],
    paymentId: payment.paymentId,
    from: [payment.state],
    atMs: ports.clock.nowMs(),
    ...(event && { event }),
  });
  const { paymentId } = payment;
  const { reason } = after;
  const moved = changed !== null;
  ports.log({ event: 'paymentMoved', paymentId, from: payment.state, to, moved, reason });
  if (!changed) return null;
  for (const hop of tell) ports.onHop(hop);
  if (wanted.reversal || event) ports.wake();
  return changed;
}

/** Hop 14, once: with the move after which payer and merchant hear an outcome. */
function tellOf(ports: GatewayPorts, order: Order, after: Payment): readonly HopRecord[] {
  const outcome = outcomeOf(after);
  if (outcome === null || after.hops.some(({ n }) => n === Hop.tell)) return [];
  const facts = { paymentId: after.paymentId, outcome, notified: order.notifyUrl !== null };
  return [hopRecord(ports, { n: Hop.tell, name: 'tell', facts })];
}

/** Writes what the switch said. The verdict comes back as `unknown` when a sweep was faster. */
export async function settlePayment(
  ports: GatewayPorts,
  facts: {
    readonly order: Order;
    readonly payment: Payment;
    readonly verdict: Verdict;
    readonly hops: readonly HopRecord[];
  },
): Promise<{ readonly verdict: Verdict; readonly changed: Payment | null }> {
  const { payment, verdict } = facts;
  const changed = await settleVerdict(ports, facts);
  const isReversed = changed?.state === 'unknown' || changed?.state === 'reversing';
  if (verdict.kind === 'unknown' || (changed && !isReversed)) return { verdict, changed };
  ports.log({ event: 'answerTooLate', paymentId: payment.paymentId, verdict: verdict.kind });
  return { verdict: { kind: 'unknown', reason: 'answerTooLate', responseCode: null }, changed };
}

async function settleVerdict(
  ports: GatewayPorts,
  facts: Parameters<typeof settlePayment>[1],
): Promise<Payment | null> {
  const { order, payment, verdict, hops } = facts;
  if (verdict.kind === 'unknown') {
    const { reason, responseCode } = verdict;
    return reverse(ports, { order, payment, to: 'unknown', reason, responseCode, hops });
  }
  const { responseCode, approvalCode, issuer } = verdict;
  const settlementDate = verdict.settlementDate ?? settlementDateAt(ports.clock.nowMs());
  const answered = { responseCode, approvalCode, issuer, settlementDate };
  if (verdict.kind === 'declined') {
    // The issuer always tells its facts; a refusal without them came from the switch.
    const reason = `${issuer ? 'issuer' : 'switch'}:${responseCode}`;
    const declined = { ...answered, reason, deadlineMs: null };
    return move(ports, facts, { to: 'declined', orderStatus: 'open', facts: declined, hops });
  }
  // A contactless order is paid at the 0210, a contact one at its completion.
  if (payment.interface === 'contactless') {
    const paid = await succeed(ports, { order, payment, facts: answered, hops });
    // Null: a sweep was faster, or the order is another attempt's; then this one is given back.
    return paid ?? reverse(ports, { order, payment, to: 'unknown', reason: 'orderTaken', hops });
  }
  // From here on the answer, and with it the new total, may reach the card.
  if (order.kind === 'ecashLoad') {
    const debited = { ...answered, deadlineMs: null };
    return move(ports, facts, {
      ...{ to: 'debitedNotConfirmed', orderStatus: null, facts: debited, hops },
    });
  }
  const deadlineMs = ports.clock.nowMs() + ports.profile.completionTimeoutMs;
  const waiting = { ...answered, deadlineMs };
  return move(ports, facts, { to: 'authorised', orderStatus: null, facts: waiting, hops });
}

/** Paid, or held for its capture: book, order, and notification in one transaction. */
async function succeed(
  ports: GatewayPorts,
  wanted: {
    readonly order: Order;
    readonly payment: Payment;
    readonly facts: Partial<PaymentFacts>;
    readonly hops: readonly HopRecord[];
  },
): Promise<Payment | null> {
  const { order, payment, hops } = wanted;
  const { clock, profile } = ports;
  const deadlineMs = order.captureMode === 'manual' ? clock.nowMs() + profile.holdLifetimeMs : null;
  const facts = { ...wanted.facts, deadlineMs };
  const field15 = facts.settlementDate ?? payment.settlementDate;
  const settlementDate = settlementDayOf(field15, clock.nowMs());
  const booked = { order, payment, settlementDate };
  // A load moves money between two of the issuer's accounts: none of it is the merchant's.
  const postings = order.kind === 'ecashLoad' ? [] : salePostings(booked);
  const succeeded = await move(
    ports,
    wanted,
    order.captureMode === 'manual'
      ? { to: 'held', orderStatus: 'authorised', facts, hops, postings: holdPostings(booked) }
      : { to: 'captured', orderStatus: 'paid', facts, hops, postings },
  );
  if (succeeded) strike(ports, order.fault, ['tell']);
  return succeeded;
}

/** Starts the durable reversal of a payment that may have moved money. */
export async function reverse(
  ports: GatewayPorts,
  wanted: {
    readonly order: Order;
    readonly payment: Payment;
    readonly to: 'unknown' | 'reversing';
    readonly reason: string;
    readonly responseCode?: string | null;
    readonly facts?: Partial<PaymentFacts>;
    readonly hops?: readonly HopRecord[];
  },
): Promise<Payment | null> {
  const { order, payment, to, reason } = wanted;
  const nowMs = ports.clock.nowMs();
  const stan = await ports.store.nextStan();
  const { transmission } = localTime(nowMs);
  const responseCode = wanted.responseCode ?? payment.responseCode;
  return move(
    ports,
    { order, payment },
    {
      to,
      orderStatus: 'unknown',
      facts: { ...wanted.facts, responseCode, reason, deadlineMs: null },
      hops: wanted.hops ?? [],
      reversal: { stan, transmission, reason, nextAtMs: nowMs },
    },
  );
}

/** The switch acknowledged the reversal: nothing is charged, the order can be paid again. */
export async function closeReversal(
  ports: GatewayPorts,
  payment: Payment,
  responseCode: string,
): Promise<Payment | null> {
  const order = await orderOf(ports, payment);
  const wanted = { to: 'reversed', orderStatus: 'open', acknowledged: responseCode } as const;
  return move(ports, { order, payment }, wanted);
}

/**
 * How the card ended it (hop 13). The first valid completion decides; repeats hear the same.
 * @throws GatewayError `ERR_PAYMENT_NOT_FOUND`, `ERR_PAYMENT_STATE`.
 */
export async function complete(
  ports: GatewayPorts,
  peer: ChannelPeer,
  completion: SealedCompletion,
): Promise<GatewayMessage> {
  const { paymentId, secondType } = completion;
  const kept = peer.authorised.get(paymentId);
  peer.authorised.delete(paymentId);
  const payment = kept?.payment ?? (await ports.store.findPayment(paymentId));
  if (!payment || payment.elementId !== peer.elementId) {
    throw new GatewayError('ERR_PAYMENT_NOT_FOUND', 'this element has no such payment');
  }
  joinTrace(traceIdOfParts({ ...payment, acquirer: ports.profile.acquirerId }));
  if (payment.interface === 'contactless') {
    throw new GatewayError('ERR_PAYMENT_STATE', 'a contactless payment ends with its answer');
  }
  const facts = { paymentId, secondType, tvr: completion.tvr, tsi: completion.tsi };
  const confirm = reachHop(ports, { n: Hop.confirm, name: 'confirm', facts });
  const finish = peer.finishHops.get(paymentId);
  peer.finishHops.delete(paymentId);
  const hops = finish ? [finish, confirm] : [confirm];
  // The results first: were they lost, the issuer could only wait for the card.
  const notice = await keepResults(ports, payment, completion.scriptResults);
  const order = kept?.order ?? null;
  const settled = await settleCompletion(ports, { payment, order, completion, hops, notice });
  const isLoading = settled.state === 'debitedNotConfirmed';
  const outcome = isLoading ? 'unknown' : outcomeOf(settled);
  if (outcome === null) {
    throw new GatewayError('ERR_PAYMENT_STATE', 'the payment has no answer of the issuer yet');
  }
  return { type: 'result', paymentId, outcome, responseCode: settled.responseCode };
}

async function settleCompletion(
  ports: GatewayPorts,
  facts: {
    readonly payment: Payment;
    /** Null: not at hand. */
    readonly order: Order | null;
    readonly completion: SealedCompletion;
    readonly hops: readonly HopRecord[];
    readonly notice: Notice | null;
  },
): Promise<Payment> {
  const { payment, completion, hops, notice } = facts;
  const { second, secondType, tsi } = completion;
  const ended = { second, secondType, tsi };
  if (payment.state === 'debitedNotConfirmed') {
    const order = await orderOf(ports, payment);
    strike(ports, order.fault, ['confirm']);
    const loaded = await confirmLoad(ports, { order, payment, notice, ended, hops });
    return loaded ?? (await ports.store.findPayment(payment.paymentId)) ?? payment;
  }
  if (payment.state !== 'authorised') {
    // Repeated, or the end of a declined or unknown payment: it changes no state.
    if (outcomeOf(payment) === null) return payment;
    await ports.store.noteCardEnd(payment.paymentId, { facts: ended, hops });
    return payment;
  }
  const order = facts.order ?? (await orderOf(ports, payment));
  strike(ports, order.fault, ['confirm']);
  const isPaid = secondType === 'TC' && second !== null && completion.outcome === 'approved';
  const paid = isPaid ? await succeed(ports, { order, payment, facts: ended, hops }) : null;
  if (paid) return paid;
  // Not paid by the card, or the order is another attempt's. A sweep that was faster wins again.
  const why = secondType === 'TC' ? 'terminal:declined' : `card:${secondType ?? 'none'}`;
  const changed = await reverse(ports, {
    order,
    payment,
    to: 'reversing',
    reason: isPaid ? 'orderTaken' : why,
    facts: ended,
    hops,
  });
  if (changed) return changed;
  return (await ports.store.findPayment(payment.paymentId)) ?? payment;
}

/**
 * A load is captured when the card has done the script. Otherwise it stays debited and not
 * confirmed: the issuer gives the script again with the card's next contact. Null: nothing moved.
 */
async function confirmLoad(
  ports: GatewayPorts,
  facts: {
    readonly order: Order;
    readonly payment: Payment;
    readonly notice: Notice | null;
    readonly ended: CardEnd;
    readonly hops: readonly HopRecord[];
  },
): Promise<Payment | null> {
  const { order, payment, notice, ended, hops } = facts;
  if (notice !== null && haveSucceeded(notice.results)) {
    return succeed(ports, { order, payment, facts: ended, hops });
  }
  await ports.store.noteCardEnd(payment.paymentId, { facts: ended, hops });
  return null;
}

/** A load whose results are there and whose end was not written: its process died between. */
export async function finishLoad(
  ports: GatewayPorts,
  payment: Payment,
  notice: Notice,
): Promise<void> {
  if (payment.state !== 'debitedNotConfirmed' || !haveSucceeded(notice.results)) return;
  await succeed(ports, { order: await orderOf(ports, payment), payment, facts: {}, hops: [] });
}

/** What a sweep or a start-up does with a payment whose next event will not come. */
export async function abandonPayment(
  ports: GatewayPorts,
  payment: Payment,
  why: 'restart' | 'overdue',
): Promise<void> {
  const states: Partial<Record<PaymentState, { to: 'unknown' | 'reversing'; reason: string }>> = {
    sending: { to: 'unknown', reason: `noAnswer:${why}` },
    authorised: { to: 'reversing', reason: `noCompletion:${why}` },
  };
  const wanted = states[payment.state];
  if (wanted) await reverse(ports, { ...wanted, order: await orderOf(ports, payment), payment });
}

async function orderOf(ports: GatewayPorts, payment: Payment): Promise<Order> {
  const order = await ports.store.findOrder(payment.orderId);
  if (order) return order;
  throw new GatewayError('ERR_INTERNAL', 'a payment without its order', {
    paymentId: payment.paymentId,
  });
}
