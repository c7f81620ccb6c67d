/**
 * The gateway without sockets, files or timers of its own: orders, payments, reversals and
 * notifications over ports, so that a seeded simulator can run it beside the other parties.
 */
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import type { GatewayMessage, SealedCompletion, SealedPayment } from '@tapnpay/protocol/wire';
import { eachInTurn, inSpan, withTrace } from '../runtime/index.ts';
import { type Enrolment, enrol, newPairingCode } from './enrolment.ts';
import { GatewayError } from './errors.ts';
import { HOPS_BEFORE_SEAL, strike } from './lab.ts';
import { runNotices } from './load/notices.ts';
import type { Order, Payment, Reversal } from './model.ts';
import { Outbox } from './notifications.ts';
import { runExpiry } from './operations/expiry.ts';
import type { Operation, PaymentBalance, PaymentWhole, WorkItem } from './operations/model.ts';
import { type OperationRequest, operate, runOperations } from './operations/operate.ts';
import {
  createOrder,
  type OrderOwner,
  type OrderRequest,
  payableOrder,
  refusalOf,
  signOrder,
} from './orders.ts';
import { pay } from './payment/pay.ts';
import type { ChannelPeer } from './payment/peer.ts';
import { runReversals } from './payment/reversals.ts';
import { abandonPayment, complete, finishLoad } from './payment/settle.ts';
import type { GatewayPorts } from './ports.ts';

/** Payments a sweep or a start-up takes at once. */
const SWEEP_BATCH = 64;

/** Work items listed at once. */
const WORK_ITEMS_MAX = 1_000;

/** What became of due work in one `tick`. */
export type TickReport = Readonly<Record<MoneyStage | 'notifications', number>>;
/** What is done about money, in this order. */
type MoneyStage = 'overdue' | 'expired' | 'released' | 'operations' | 'reversals' | 'notices';

const NOTHING_DONE: Readonly<Record<MoneyStage, number>> = {
  ...{ overdue: 0, expired: 0, released: 0, operations: 0, reversals: 0, notices: 0 },
};

/** The party. Every method may be called concurrently; the store decides races. */
export class GatewayCore {
  readonly ports: GatewayPorts;
  readonly #outbox: Outbox;

  constructor(ports: GatewayPorts) {
    this.ports = ports;
    this.#outbox = new Outbox(ports);
  }

  /** Hop 1. @throws GatewayError as `createOrder` of orders.ts. */
  createOrder(
    idempotencyKey: string,
    request: OrderRequest,
    owner?: OrderOwner,
  ): Promise<{ readonly order: Order; readonly replayed: boolean }> {
    return createOrder(this.ports, idempotencyKey, request, owner);
  }

  /**
   * The order as it stands. One past its time is closed before anybody is told so: a payment that
   * was slow to begin must not charge it then. @throws GatewayError `ERR_ORDER_NOT_FOUND`.
   */
  async order(orderId: string): Promise<Order> {
    const { store, clock } = this.ports;
    const order = found(await store.findOrder(orderId), 'ERR_ORDER_NOT_FOUND');
    const nowMs = clock.nowMs();
    if (order.status !== 'open' || order.expiresAtMs > nowMs) return order;
    await store.expireOrders(nowMs);
    return found(await store.findOrder(orderId), 'ERR_ORDER_NOT_FOUND');
  }

  /** Closes an open order; others stay as they are. @throws GatewayError `ERR_ORDER_NOT_FOUND`. */
  async cancelOrder(orderId: string): Promise<Order> {
    return found(await this.ports.store.cancelOrder(orderId), 'ERR_ORDER_NOT_FOUND');
  }

  /** The payer closes an open order. @throws GatewayError the code of any other status. */
  async cancelByPayer(orderId: string): Promise<Order> {
    await payableOrder(this.ports, orderId);
    const order = await this.cancelOrder(orderId);
    if (order.status === 'cancelled') return order;
    throw refusalOf(order.status) ?? new GatewayError('ERR_ORDER_BUSY', 'the order is not free');
  }

  /** @throws GatewayError `ERR_PAYMENT_NOT_FOUND`. */
  async payment(
    paymentId: string,
  ): Promise<{ readonly payment: Payment; readonly reversal: Reversal | null }> {
    const { store } = this.ports;
    const payment = found(await store.findPayment(paymentId), 'ERR_PAYMENT_NOT_FOUND');
    return { payment, reversal: await store.findReversal(paymentId) };
  }

  /**
   * Captures, voids or refunds; a repeat finds the operation as it stands. @throws GatewayError as
   * `operate` of operations/operate.ts.
   */
  operate(
    request: OperationRequest,
  ): Promise<{ readonly operation: Operation; readonly replayed: boolean }> {
    return operate(this.ports, request);
  }

  /** @throws GatewayError `ERR_OPERATION_NOT_FOUND`. */
  async operation(operationId: string): Promise<Operation> {
    return found(await this.ports.store.findOperation(operationId), 'ERR_OPERATION_NOT_FOUND');
  }

  /** A payment with its sums and operations. @throws GatewayError `ERR_PAYMENT_NOT_FOUND`. */
  async paymentWhole(paymentId: string): Promise<PaymentWhole> {
    return found(await this.ports.store.findPaymentWhole(paymentId), 'ERR_PAYMENT_NOT_FOUND');
  }

  /** While a dispute is open nothing is refunded. @throws GatewayError `ERR_PAYMENT_STATE`. */
  async markDispute(paymentId: string, dispute: 'open' | 'closed'): Promise<PaymentBalance> {
    const balance = await this.ports.store.markDispute(paymentId, dispute);
    if (balance) return balance;
    throw new GatewayError('ERR_PAYMENT_STATE', 'only a captured payment can be disputed');
  }

  /** What a person must look at, oldest first. */
  workItems(): Promise<readonly WorkItem[]> {
    return this.ports.store.listWorkItems(WORK_ITEMS_MAX);
  }

  /** A person closes an open item. @throws GatewayError `ERR_WORK_ITEM_NOT_FOUND`. */
  async closeWorkItem(
    itemId: string,
    hand: { readonly by: string; readonly note: string },
  ): Promise<WorkItem> {
    const { store, clock } = this.ports;
    const closed = await store.closeWorkItemByHand(itemId, { ...hand, atMs: clock.nowMs() });
    return found(closed, 'ERR_WORK_ITEM_NOT_FOUND');
  }

  /** Gives the application the order it may pay on this channel. @throws GatewayError. */
  async requestOrder(peer: ChannelPeer, orderId: string): Promise<GatewayMessage> {
    const payable = await payableOrder(this.ports, orderId);
    strike(this.ports, payable.fault, HOPS_BEFORE_SEAL);
    const order = await signOrder(this.ports, payable);
    peer.signedOrders.set(orderId, { order, atMs: this.ports.clock.nowMs() });
    return { type: 'signedOrder', order };
  }

  /** Hops 7 to 12. @throws GatewayError before the commit point. */
  pay(peer: ChannelPeer, payment: SealedPayment): Promise<GatewayMessage> {
    return withTrace(null, () => inSpan('gateway.pay', {}, () => pay(this.ports, peer, payment)));
  }

  /** Hops 13 and 14. @throws GatewayError. */
  complete(peer: ChannelPeer, completion: SealedCompletion): Promise<GatewayMessage> {
    return withTrace(null, () =>
      inSpan('gateway.complete', {}, () => complete(this.ports, peer, completion)),
    );
  }

  /** A tap that ended before its cryptogram left the element: nothing to undo. */
  abandon(peer: ChannelPeer, orderId: string, reason: string): void {
    peer.signedOrders.delete(orderId);
    this.ports.log({ event: 'paymentAbandoned', elementId: peer.elementId, orderId, reason });
  }

  /** A single-use code for one element. */
  newPairingCode(): Promise<{ readonly code: string; readonly expiresAtMs: number }> {
    return newPairingCode(this.ports);
  }

  /** Certifies an element's key. @throws GatewayError `ERR_PAIRING_CODE` and others. */
  enrol(enrolment: Enrolment): ReturnType<typeof enrol> {
    return enrol(this.ports, enrolment);
  }

  /** An answer nobody waits for any more: noted, never acted on, for the reversal has begun. */
  async lateReply(message: Iso8583Message): Promise<void> {
    const stan = textField(message, 11) ?? '';
    const transmission = textField(message, 7) ?? '';
    const { store } = this.ports;
    const find = async (): Promise<Payment | Operation | null> =>
      (await store.findPaymentByTrace({ stan, transmission })) ??
      (await store.findOperationByTrace({ stan, transmission }));
    // Nobody waits for this: a database that is away must not end the process.
    const late = await find().catch(() => null);
    this.ports.log({
      event: 'lateAnswerIgnored',
      mti: message.mti,
      responseCode: textField(message, 39) ?? null,
      paymentId: late?.paymentId ?? null,
      state: late?.state ?? null,
    });
  }

  /**
   * Before traffic: no process waits for these answers any more, so each payment without an end
   * gets its reversal. Returns how many.
   */
  async recover(): Promise<number> {
    const { store } = this.ports;
    let count = 0;
    for (;;) {
      const states = ['sending', 'authorised'] as const;
      const left = await store.listPayments({ states, limit: SWEEP_BATCH });
      if (left.length === 0) return count;
      for (const payment of left) await abandonPayment(this.ports, payment, 'restart');
      count += left.length;
    }
  }

  /** Does all work that is due now. @throws the first fault, when all stages had their turn. */
  async tick(): Promise<TickReport> {
    const report = { ...NOTHING_DONE, notifications: 0 };
    await eachInTurn(['money', 'notifications'] as const, async (part) => {
      if (part === 'money') Object.assign(report, await this.tickMoney());
      else report.notifications = (await Promise.all(await this.startDeliveries())).length;
    });
    return report;
  }

  /**
   * All due work but notifications; called by a timer and after `wake`. A stage that fails keeps no
   * later one from its turn. @throws the first fault, at the end.
   */
  async tickMoney(): Promise<Readonly<Record<MoneyStage, number>>> {
    const { ports } = this;
    const stages: Readonly<Record<MoneyStage, () => Promise<number>>> = {
      overdue: () => this.#abandonOverdue(),
      expired: () => ports.store.expireOrders(ports.clock.nowMs()),
      released: () => runExpiry(ports),
      operations: () => runOperations(ports),
      reversals: () => runReversals(ports),
      notices: () => runNotices(ports, finishLoad),
    };
    const done = { ...NOTHING_DONE };
    await eachInTurn(Object.keys(stages) as MoneyStage[], async (stage) => {
      done[stage] = await stages[stage]();
    });
    return done;
  }

  /**
   * Starts due notifications; apart, for a merchant that does not answer must hold up no money.
   * Each resolves when its try has ended.
   */
  startDeliveries(): Promise<readonly Promise<void>[]> {
    return this.#outbox.start();
  }

  async #abandonOverdue(): Promise<number> {
    const { store, clock } = this.ports;
    const overdue = await store.listPayments({
      states: ['sending', 'authorised'],
      deadlineBeforeMs: clock.nowMs(),
      limit: SWEEP_BATCH,
    });
    await eachInTurn(overdue, (payment) => abandonPayment(this.ports, payment, 'overdue'));
    return overdue.length;
  }
}

const NOT_FOUND = {
  ERR_ORDER_NOT_FOUND: 'there is no such order',
  ERR_PAYMENT_NOT_FOUND: 'there is no such payment',
  ERR_OPERATION_NOT_FOUND: 'there is no such operation',
  ERR_WORK_ITEM_NOT_FOUND: 'there is no such open work item',
} as const;

function found<T>(value: T | null, code: keyof typeof NOT_FOUND): T {
  if (value !== null) return value;
  throw new GatewayError(code, NOT_FOUND[code]);
}
