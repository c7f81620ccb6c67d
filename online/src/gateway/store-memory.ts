/** `GatewayStore` in memory, for simulation and unit tests: each method is one synchronous step. */
import type { HopRecord } from '@tapnpay/protocol/wire';
import { GatewayError } from './errors.ts';
import {
  type CardEnd,
  type ElementRecord,
  type LedgerEntry,
  type Order,
  type OutboxMessage,
  PAYMENT_MOVES,
  type PairingCode,
  type Payment,
  type Reversal,
} from './model.ts';
import type {
  BeginResult,
  Claim,
  CreateOrderResult,
  GatewayStore,
  PaymentChange,
  PaymentQuery,
} from './store.ts';

type OutboxRow = OutboxMessage & { readonly state: 'waiting' | 'delivered' | 'dead' };

/** The tables as maps; survives a simulated crash as long as the object is kept. */
export class MemoryGatewayStore implements GatewayStore {
  readonly #orders = new Map<string, Order>();
  readonly #idempotency = new Map<string, { fingerprint: string; orderId: string }>();
  readonly #payments = new Map<string, Payment>();
  readonly #traces = new Map<string, string>();
  readonly #reversals = new Map<string, Reversal>();
  readonly #outbox = new Map<string, OutboxRow>();
  readonly #codes = new Map<string, PairingCode>();
  readonly #elements = new Map<string, ElementRecord>();
  readonly #entries: LedgerEntry[] = [];
  #stan = 0;

  async createOrder(
    order: Order,
    idempotency: { readonly key: string; readonly fingerprint: string },
  ): Promise<CreateOrderResult> {
    const key = JSON.stringify([order.merchantId, idempotency.key]);
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

  async beginPayment(
    payment: Payment,
    guard: { readonly nowMs: number; readonly pinCounter: number | null },
  ): Promise<BeginResult> {
    const order = this.#orders.get(payment.orderId);
    if (order?.status !== 'open') return { refused: 'order', status: order?.status ?? null };
    if (order.expiresAtMs <= guard.nowMs) return { refused: 'order', status: 'expired' };
    const element = this.#elements.get(payment.elementId);
    if (element?.state !== 'operable') return { refused: 'element' };
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
    if (guard.pinCounter !== null) {
      const lastPinCounter = guard.pinCounter;
      this.#elements.set(element.elementId, { ...element, lastPinCounter });
    }
    return { refused: null };
  }

  async changePayment(change: PaymentChange): Promise<Payment | null> {
    const payment = this.#payments.get(change.paymentId);
    if (!payment || !change.from.includes(payment.state)) return null;
    if (!PAYMENT_MOVES[payment.state].includes(change.to)) throw illegal(payment.state, change.to);
    const postings = change.postings ?? [];
    assertBalanced(postings);
    const changed: Payment = {
      ...payment,
      ...change.facts,
      state: change.to,
      sequence: payment.sequence + 1,
      hops: [...payment.hops, ...(change.hops ?? [])],
      updatedAtMs: change.atMs,
    };
    this.#payments.set(payment.paymentId, changed);
    this.#moveOrder(changed, change);
    this.#keepReversal(change);
    for (const posting of postings) {
      this.#entries.push({ ...posting, paymentId: payment.paymentId });
    }
    if (change.notification) {
      const { notification } = change;
      this.#outbox.set(notification.messageId, { ...notification, attempts: 0, state: 'waiting' });
    }
    return changed;
  }

  #moveOrder(payment: Payment, change: PaymentChange): void {
    const order = this.#orders.get(payment.orderId);
    if (!order || change.orderStatus === null || order.status === 'paid') return;
    this.#orders.set(order.orderId, { ...order, status: change.orderStatus });
  }

  #keepReversal(change: PaymentChange): void {
    const { paymentId } = change;
    if (change.reversal) {
      this.#reversals.set(paymentId, {
        ...change.reversal,
        paymentId,
        attempts: 0,
        acknowledgedAtMs: null,
        responseCode: null,
      });
    }
    const reversal = this.#reversals.get(paymentId);
    if (reversal && change.acknowledged !== undefined) {
      const responseCode = change.acknowledged;
      this.#reversals.set(paymentId, { ...reversal, responseCode, acknowledgedAtMs: change.atMs });
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
    for (const row of due) this.#reversals.set(row.paymentId, row);
    return due;
  }

  async postponeReversal(paymentId: string, nextAtMs: number): Promise<void> {
    const row = this.#reversals.get(paymentId);
    if (row && row.acknowledgedAtMs === null) this.#reversals.set(paymentId, { ...row, nextAtMs });
  }

  async findReversal(paymentId: string): Promise<Reversal | null> {
    return this.#reversals.get(paymentId) ?? null;
  }

  async claimOutbox(claim: Claim): Promise<readonly OutboxMessage[]> {
    const due = [...this.#outbox.values()]
      .filter((row) => row.state === 'waiting' && row.nextAtMs <= claim.nowMs)
      .slice(0, claim.limit)
      .map((row) => ({
        ...row,
        attempts: row.attempts + 1,
        nextAtMs: claim.nowMs + claim.leaseMs,
      }));
    for (const row of due) this.#outbox.set(row.messageId, row);
    return due.map(({ state: _, ...message }) => message);
  }

  async settleOutbox(
    messageId: string,
    result: { readonly kind: 'delivered' | 'dead' } | { readonly nextAtMs: number },
  ): Promise<void> {
    const row = this.#outbox.get(messageId);
    if (row?.state !== 'waiting') return;
    const changed =
      'kind' in result ? { ...row, state: result.kind } : { ...row, nextAtMs: result.nextAtMs };
    this.#outbox.set(messageId, changed);
  }

  async addPairingCode(code: PairingCode): Promise<void> {
    this.#codes.set(code.codeId, code);
  }

  async activePairingCodes(nowMs: number): Promise<readonly PairingCode[]> {
    return [...this.#codes.values()].filter((code) => code.expiresAtMs > nowMs);
  }

  async notePairingFailure(_nowMs: number, failuresMax: number): Promise<void> {
    for (const code of this.#codes.values()) {
      const failures = code.failures + 1;
      if (failures >= failuresMax) this.#codes.delete(code.codeId);
      else this.#codes.set(code.codeId, { ...code, failures });
    }
  }

  async enrolElement(
    codeId: string,
    element: ElementRecord,
    nowMs: number,
  ): Promise<'enrolled' | 'codeUsed' | 'exists'> {
    const code = this.#codes.get(codeId);
    if (!code || code.expiresAtMs <= nowMs) return 'codeUsed';
    if (this.#elements.has(element.elementId)) return 'exists';
    this.#codes.delete(codeId);
    this.#elements.set(element.elementId, element);
    return 'enrolled';
  }

  async findElement(elementId: string): Promise<ElementRecord | null> {
    return this.#elements.get(elementId) ?? null;
  }

  async lockElement(elementId: string): Promise<void> {
    const element = this.#elements.get(elementId);
    if (element) this.#elements.set(elementId, { ...element, state: 'locked' });
  }

  async ledgerEntries(): Promise<readonly LedgerEntry[]> {
    return [...this.#entries];
  }

  async close(): Promise<void> {}
}

function traceKey(trace: { readonly stan: string; readonly transmission: string }): string {
  return `${trace.transmission}/${trace.stan}`;
}

/** The rule the database keeps by a deferred trigger: each currency of a transaction sums to 0. */
function assertBalanced(postings: NonNullable<PaymentChange['postings']>): void {
  const sums = new Map<string, bigint>();
  for (const { currency, amountMinor } of postings) {
    sums.set(currency, (sums.get(currency) ?? 0n) + amountMinor);
  }
  for (const [currency, sum] of sums) {
    if (sum === 0n) continue;
    throw new GatewayError('ERR_INTERNAL', 'ledger transaction does not balance', { currency });
  }
}

function illegal(from: string, to: string): GatewayError {
  return new GatewayError('ERR_INTERNAL', `a payment cannot go from ${from} to ${to}`, {
    from,
    to,
  });
}
