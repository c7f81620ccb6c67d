/** `GatewayStore` in memory, for simulation and unit tests: each method is one synchronous step. */
import type { HopRecord } from '@tapnpay/protocol/wire';
import { MemoryElements } from './elements/store-memory.ts';
import { GatewayError } from './errors.ts';
import {
  type CardEnd,
  type LedgerEntry,
  type Order,
  type OutboxMessage,
  PAYMENT_MOVES,
  type PairingCode,
  type Payment,
  type PaymentState,
  type Reversal,
} from './model.ts';
import { assertBalanced, newReversal, reversalKey } from './operations/store-memory.ts';
import type {
  BeginGuard,
  BeginResult,
  Claim,
  CreateOrderResult,
  GatewayStore,
  PaymentChange,
  PaymentQuery,
} from './store.ts';
import type { TryResult } from './webhooks/model.ts';

/** Moves that need the order to be this attempt's. */
const TAKING: readonly PaymentState[] = ['captured', 'held'];

/** The tables as maps; survives a simulated crash as long as the object is kept. */
export class MemoryGatewayStore extends MemoryElements implements GatewayStore {
  readonly #orders = this.orders;
  readonly #idempotency = new Map<string, { fingerprint: string; orderId: string }>();
  readonly #payments = this.payments;
  readonly #traces = new Map<string, string>();
  readonly #reversals = this.reversals;
  readonly #outbox = this.outbox;
  readonly #entries = this.entries;
  #stan = 0;

  /** All orders and payments, for lists in unit tests. */
  everything(): { readonly orders: readonly Order[]; readonly payments: readonly Payment[] } {
    return { orders: [...this.#orders.values()], payments: [...this.#payments.values()] };
  }

  async createOrder(
    order: Order,
    idempotency: { readonly key: string; readonly fingerprint: string },
  ): Promise<CreateOrderResult> {
    const key = JSON.stringify([order.merchantId, order.mode, idempotency.key]);
    const earlier = this.#idempotency.get(key);
    if (earlier) {
      const stored = this.#orders.get(earlier.orderId);
      if (!stored || earlier.fingerprint !== idempotency.fingerprint) return { kind: 'conflict' };
      return { kind: 'replayed', order: stored };
    }
    this.#idempotency.set(key, { fingerprint: idempotency.fingerprint, orderId: order.orderId });
    this.#orders.set(order.orderId, order);
    return { kind: 'created', order };
  }

  async findOrder(orderId: string): Promise<Order | null> {
    return this.#orders.get(orderId) ?? null;
  }

  async cancelOrder(orderId: string): Promise<Order | null> {
    const order = this.#orders.get(orderId);
    if (order?.status === 'open') this.#orders.set(orderId, { ...order, status: 'cancelled' });
    return this.#orders.get(orderId) ?? null;
  }

  async expireOrders(nowMs: number): Promise<number> {
    let count = 0;
    for (const order of this.#orders.values()) {
      if (order.status !== 'open' || order.expiresAtMs > nowMs) continue;
      this.#orders.set(order.orderId, { ...order, status: 'expired' });
      count++;
    }
    return count;
  }

  async nextStan(): Promise<string> {
    this.#stan = (this.#stan % 999_999) + 1;
    return String(this.#stan).padStart(6, '0');
  }

  async beginPayment(payment: Payment, guard: BeginGuard): Promise<BeginResult> {
    const order = this.#orders.get(payment.orderId);
    if (order?.status !== 'open') return { refused: 'order', status: order?.status ?? null };
    if (order.expiresAtMs <= guard.nowMs) return { refused: 'order', status: 'expired' };
    const element = this.elements.get(payment.elementId);
    if (element?.state !== 'operable') return { refused: 'element' };
    const refusal = this.refusalOf(element, guard.attestation);
    if (refusal) return refusal;
    if (guard.pinCounter !== null && guard.pinCounter <= element.lastPinCounter) {
      return { refused: 'pinCounter' };
    }
    const trace = traceKey(payment);
    if (this.#traces.has(trace) || this.#payments.has(payment.paymentId)) {
      return { refused: 'trace' };
    }
    this.#traces.set(trace, payment.paymentId);
    this.#payments.set(payment.paymentId, payment);
    this.#orders.set(order.orderId, {
      ...order,
      status: 'processing',
      paymentId: payment.paymentId,
    });
    const { pinCounter, attestation: kept } = guard;
    this.count(payment.paymentId, { element, kept, pinCounter });
    return { refused: null };
  }

  async changePayment(change: PaymentChange): Promise<Payment | null> {
    const payment = this.#payments.get(change.paymentId);
    if (!payment || !change.from.includes(payment.state)) return null;
    if (!PAYMENT_MOVES[payment.state].includes(change.to)) throw illegal(payment.state, change.to);
    if (TAKING.includes(change.to) && this.#isTakenByAnother(payment)) return null;
    const postings = change.postings ?? [];
    assertBalanced(postings);
    const changed: Payment = {
      ...payment,
      ...change.facts,
      state: change.to,
      sequence: payment.sequence + (change.event ? 1 : 0),
      hops: [...payment.hops, ...(change.hops ?? [])],
      updatedAtMs: change.atMs,
    };
    this.#payments.set(payment.paymentId, changed);
    this.#moveOrder(changed, change);
    this.#keepReversal(change);
    for (const posting of postings) {
      this.#entries.push({ ...posting, paymentId: payment.paymentId });
    }
    if (change.event) this.tell(change.event);
    return changed;
  }

  #isTakenByAnother(payment: Payment): boolean {
    return this.#orders.get(payment.orderId)?.paymentId !== payment.paymentId;
  }

  #moveOrder(payment: Payment, change: PaymentChange): void {
    const order = this.#orders.get(payment.orderId);
    if (!order || change.orderStatus === null || order.paymentId !== payment.paymentId) return;
    if (order.status === 'paid' || order.status === 'voided') return;
    this.#orders.set(order.orderId, { ...order, status: change.orderStatus });
  }

  #keepReversal(change: PaymentChange): void {
    const { paymentId } = change;
    const key = reversalKey(paymentId, null);
    if (change.reversal) this.#reversals.set(key, newReversal(change.reversal, paymentId, null));
    const reversal = this.#reversals.get(key);
    if (reversal && change.acknowledged !== undefined) {
      const responseCode = change.acknowledged;
      this.#reversals.set(key, { ...reversal, responseCode, acknowledgedAtMs: change.atMs });
    }
  }

  async noteCardEnd(
    paymentId: string,
    { facts, hops }: { readonly facts: CardEnd; readonly hops: readonly HopRecord[] },
  ): Promise<void> {
    const payment = this.#payments.get(paymentId);
    if (payment?.tsi !== null) return;
    this.#payments.set(paymentId, { ...payment, ...facts, hops: [...payment.hops, ...hops] });
  }

  async findPayment(paymentId: string): Promise<Payment | null> {
    return this.#payments.get(paymentId) ?? null;
  }

  async findPaymentByTrace(trace: {
    readonly stan: string;
    readonly transmission: string;
  }): Promise<Payment | null> {
    return this.#payments.get(this.#traces.get(traceKey(trace)) ?? '') ?? null;
  }

  async listPayments(query: PaymentQuery): Promise<readonly Payment[]> {
    const { deadlineBeforeMs: before } = query;
    const listed = [...this.#payments.values()].filter((payment) => {
      if (!query.states.includes(payment.state)) return false;
      if (before === undefined) return true;
      return payment.deadlineMs !== null && payment.deadlineMs <= before;
    });
    return listed.slice(0, query.limit);
  }

  async claimReversals(claim: Claim): Promise<readonly Reversal[]> {
    const due = [...this.#reversals.values()]
      .filter((row) => row.acknowledgedAtMs === null && row.nextAtMs <= claim.nowMs)
      .slice(0, claim.limit)
      .map((row) => ({
        ...row,
        attempts: row.attempts + 1,
        nextAtMs: claim.nowMs + claim.leaseMs,
      }));
    for (const row of due) this.#reversals.set(reversalKey(row.paymentId, row.operationId), row);
    return due;
  }

  async postponeReversal(
    { paymentId, operationId }: Pick<Reversal, 'paymentId' | 'operationId'>,
    nextAtMs: number,
  ): Promise<void> {
    const key = reversalKey(paymentId, operationId);
    const row = this.#reversals.get(key);
    if (row && row.acknowledgedAtMs === null) this.#reversals.set(key, { ...row, nextAtMs });
  }

  async findReversal(paymentId: string): Promise<Reversal | null> {
    return this.#reversals.get(reversalKey(paymentId, null)) ?? null;
  }

  async claimOutbox(
    claim: Parameters<GatewayStore['claimOutbox']>[0],
  ): Promise<readonly OutboxMessage[]> {
    const due = [...this.#outbox.values()]
      .filter((row) => row.state === 'waiting' && row.nextAtMs <= claim.nowMs)
      .filter((row) => !claim.exceptMerchants.includes(row.merchantId))
      .slice(0, claim.limit)
      .map((row) => ({
        ...row,
        attempts: row.attempts + 1,
        nextAtMs: claim.nowMs + claim.leaseMs,
      }));
    for (const row of due) this.#outbox.set(row.messageId, row);
    return due.map(({ state: _state, lastStatus: _status, lastAtMs: _at, ...message }) => message);
  }

  async settleOutbox(
    messageId: string,
    result: { readonly kind: 'delivered' | 'dead' } | { readonly nextAtMs: number },
    { atMs: lastAtMs, status: lastStatus }: Pick<TryResult, 'atMs' | 'status'>,
  ): Promise<void> {
    const row = this.#outbox.get(messageId);
    if (row?.state !== 'waiting') return;
    const change = 'kind' in result ? { state: result.kind } : { nextAtMs: result.nextAtMs };
    this.#outbox.set(messageId, { ...row, ...change, lastAtMs, lastStatus });
  }

  async addPairingCode(code: PairingCode): Promise<void> {
    this.codes.set(code.codeId, code);
  }

  async activePairingCodes(nowMs: number): Promise<readonly PairingCode[]> {
    return [...this.codes.values()].filter((code) => code.expiresAtMs > nowMs);
  }

  async notePairingFailure(_nowMs: number, failuresMax: number): Promise<void> {
    for (const code of this.codes.values()) {
      const failures = code.failures + 1;
      if (failures >= failuresMax) this.codes.delete(code.codeId);
      else this.codes.set(code.codeId, { ...code, failures });
    }
  }

  async ledgerEntries(): Promise<readonly LedgerEntry[]> {
    return [...this.#entries];
  }

  async close(): Promise<void> {}
}

function traceKey(trace: { readonly stan: string; readonly transmission: string }): string {
  return `${trace.transmission}/${trace.stan}`;
}

function illegal(from: string, to: string): GatewayError {
  return new GatewayError('ERR_INTERNAL', `a payment cannot go from ${from} to ${to}`, {
    from,
    to,
  });
}
