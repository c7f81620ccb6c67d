/** `OperationStore` in memory; the gateway's store in memory is built on it. */
import { GatewayError } from '../errors.ts';
import {
  type LedgerEntry,
  type NewPosting,
  type Order,
  PAYMENT_MOVES,
  type Payment,
  type Reversal,
} from '../model.ts';
import type { Claim, NewReversal } from '../store.ts';
import { MemoryWebhooks } from '../webhooks/store-memory.ts';
import {
  balanceAfter,
  initialBalance,
  isLive,
  type NewWorkItem,
  OPERATION_MOVES,
  type Operation,
  type PaymentBalance,
  type PaymentWhole,
  type WorkItem,
} from './model.ts';
import type {
  BeginOperationResult,
  NewOperation,
  OperationAfter,
  OperationChange,
  OperationStore,
} from './store.ts';

/** Payments and what is done to them, as maps; each method is one synchronous step. */
export class MemoryOperations extends MemoryWebhooks implements OperationStore {
  protected readonly orders: Map<string, Order> = new Map();
  protected readonly payments: Map<string, Payment> = new Map();
  /** By payment and operation; an empty operation is the payment itself. */
  protected readonly reversals: Map<string, Reversal> = new Map();
  protected readonly entries: LedgerEntry[] = [];
  readonly #operations = new Map<string, Operation>();
  readonly #balances = new Map<string, PaymentBalance>();
  readonly #workItems = new Map<string, WorkItem>();

  async beginOperation(wanted: NewOperation): Promise<BeginOperationResult> {
    const { identity, fingerprint, paymentId, plan } = wanted;
    const earlier = [...this.#operations.values()].find((row) => row.identity === identity);
    if (earlier && earlier.fingerprint !== fingerprint) return { kind: 'conflict' };
    if (earlier) return { kind: 'replayed', operation: earlier };
    const whole = this.#whole(paymentId);
    if (!whole) return { kind: 'noPayment' };
    const planned = plan(whole);
    if (planned.kind === 'refuse') return planned;
    if (planned.kind === 'replay') return { kind: 'replayed', operation: planned.operation };
    const { operation } = planned;
    const twins = whole.operations.filter(
      (other) => other.kind === operation.kind && isLive(other),
    );
    if (operation.kind !== 'refund' && twins.length > 0) throw broken(`a second ${operation.kind}`);
    this.#balance(whole.payment, balanceAfter(whole.balance, operation, 'sending'));
    this.#operations.set(operation.operationId, operation);
    return { kind: 'created', operation };
  }

  async changeOperation(change: OperationChange): Promise<OperationAfter | null> {
    const { operationId, to, atMs } = change;
    const before = this.#operations.get(operationId);
    if (!before || !change.from.includes(before.state)) return null;
    if (!OPERATION_MOVES[before.state].includes(to)) throw illegal(before.state, to);
    const whole = this.#whole(before.paymentId);
    if (!whole) throw broken('an operation without its payment');
    const operation = { ...before, ...change.facts, state: to, updatedAtMs: atMs };
    const balance = balanceAfter(whole.balance, before, to);
    const after: OperationAfter = { ...movedPayment(whole, change), balance, operation };
    const postings = change.postings?.(after) ?? [];
    assertBalanced(postings);
    this.#balance(whole.payment, balance);
    this.payments.set(before.paymentId, after.payment);
    this.orders.set(after.order.orderId, after.order);
    this.#operations.set(operationId, operation);
    this.#keepReversal(before, change);
    for (const posting of postings) {
      this.entries.push({ ...posting, paymentId: before.paymentId });
    }
    if (change.event) this.tell(change.event(after));
    return after;
  }

  #keepReversal(
    { paymentId, operationId }: Operation,
    { reversal, acknowledged, atMs }: OperationChange,
  ): void {
    const key = reversalKey(paymentId, operationId);
    if (reversal) this.reversals.set(key, newReversal(reversal, paymentId, operationId));
    const kept = this.reversals.get(key);
    if (kept && acknowledged !== undefined) {
      this.reversals.set(key, { ...kept, responseCode: acknowledged, acknowledgedAtMs: atMs });
    }
  }

  async findOperation(operationId: string): Promise<Operation | null> {
    return this.#operations.get(operationId) ?? null;
  }

  async findOperationByTrace(
    trace: Pick<Operation, 'stan' | 'transmission'>,
  ): Promise<Operation | null> {
    const found = [...this.#operations.values()].find(
      ({ stan, transmission }) => stan === trace.stan && transmission === trace.transmission,
    );
    return found ?? null;
  }

  async findPaymentWhole(paymentId: string): Promise<PaymentWhole | null> {
    return this.#whole(paymentId);
  }

  async claimOperations(claim: Claim): Promise<readonly Operation[]> {
    const due = [...this.#operations.values()]
      .filter(({ state }) => state === 'sending' || state === 'pending')
      .filter(({ nextAtMs }) => nextAtMs <= claim.nowMs)
      .slice(0, claim.limit)
      .map((row) => {
        return { ...row, attempts: row.attempts + 1, nextAtMs: claim.nowMs + claim.leaseMs };
      });
    for (const row of due) this.#operations.set(row.operationId, row);
    return due;
  }

  async postponeOperation(operationId: string, nextAtMs: number): Promise<void> {
    const row = this.#operations.get(operationId);
    if (row) this.#operations.set(operationId, { ...row, nextAtMs });
  }

  async postponeHeld(paymentId: string, deadlineMs: number): Promise<void> {
    const payment = this.payments.get(paymentId);
    if (payment?.state === 'held') this.payments.set(paymentId, { ...payment, deadlineMs });
  }

  async markDispute(paymentId: string, dispute: 'open' | 'closed'): Promise<PaymentBalance | null> {
    const whole = this.#whole(paymentId);
    if (whole?.payment.state !== 'captured') return null;
    return this.#balance(whole.payment, { ...whole.balance, disputed: dispute === 'open' });
  }

  async openWorkItem(item: NewWorkItem): Promise<void> {
    const isOpen = [...this.#workItems.values()].some(
      (other) =>
        other.kind === item.kind && other.subjectId === item.subjectId && other.closedAtMs === null,
    );
    if (isOpen) return;
    const life = { closedAtMs: null, closedBy: null, note: null };
    this.#workItems.set(item.itemId, { ...item, ...life });
  }

  async closeWorkItem(
    { kind, subjectId }: Pick<WorkItem, 'kind' | 'subjectId'>,
    atMs: number,
  ): Promise<void> {
    for (const item of this.#workItems.values()) {
      if (item.kind !== kind || item.subjectId !== subjectId || item.closedAtMs !== null) continue;
      this.#workItems.set(item.itemId, { ...item, closedAtMs: atMs });
    }
  }

  async closeWorkItemByHand(
    itemId: string,
    { atMs: closedAtMs, by: closedBy, note }: { atMs: number; by: string; note: string },
  ): Promise<WorkItem | null> {
    const item = this.#workItems.get(itemId);
    if (!item || item.closedAtMs !== null) return null;
    const closed = { ...item, closedAtMs, closedBy, note };
    this.#workItems.set(itemId, closed);
    return closed;
  }

  async listWorkItems(limit: number): Promise<readonly WorkItem[]> {
    return [...this.#workItems.values()]
      .filter(({ closedAtMs }) => closedAtMs === null)
      .slice(0, limit);
  }

  #whole(paymentId: string): PaymentWhole | null {
    const payment = this.payments.get(paymentId);
    const order = this.orders.get(payment?.orderId ?? '');
    if (!payment || !order) return null;
    const balance = this.#balances.get(paymentId) ?? initialBalance(payment);
    const operations = [...this.#operations.values()].filter((row) => row.paymentId === paymentId);
    return { order, payment, balance, operations };
  }

  /** The rule that the database keeps by constraints. */
  #balance({ paymentId }: Payment, balance: PaymentBalance): PaymentBalance {
    const { heldMinor, capturedMinor, refundedMinor, pendingRefundMinor } = balance;
    const isRight =
      refundedMinor >= 0n &&
      pendingRefundMinor >= 0n &&
      refundedMinor + pendingRefundMinor <= capturedMinor &&
      capturedMinor <= heldMinor;
    if (!isRight) throw broken('refunds_within_capture');
    this.#balances.set(paymentId, balance);
    return balance;
  }
}

function movedPayment(
  { payment, order }: PaymentWhole,
  { payment: move, event, atMs }: OperationChange,
): Pick<PaymentWhole, 'payment' | 'order'> {
  if (move && !PAYMENT_MOVES[payment.state].includes(move.to)) {
    throw broken(`a payment cannot go from ${payment.state} to ${move.to}`);
  }
  const moved: Payment = {
    ...payment,
    ...(move && { state: move.to, deadlineMs: null, updatedAtMs: atMs }),
    ...(move?.reason !== undefined && { reason: move.reason }),
    sequence: payment.sequence + (event ? 1 : 0),
  };
  return { payment: moved, order: move ? { ...order, status: move.orderStatus } : order };
}

/** Key of a reversal among those in memory. */
export function reversalKey(paymentId: string, operationId: string | null): string {
  return `${paymentId}/${operationId ?? ''}`;
}

/** A reversal at the beginning of its life. */
export function newReversal(
  reversal: NewReversal,
  paymentId: string,
  operationId: string | null,
): Reversal {
  const life = { attempts: 0, acknowledgedAtMs: null, responseCode: null };
  return { ...reversal, ...life, paymentId, operationId };
}

/** The rule the database keeps by a deferred trigger: currency and phase of each sum to zero. */
export function assertBalanced(postings: readonly NewPosting[]): void {
  const sums = new Map<string, bigint>();
  for (const { transactionId, currency, phase, amountMinor } of postings) {
    const key = `${transactionId} ${currency} ${phase}`;
    sums.set(key, (sums.get(key) ?? 0n) + amountMinor);
  }
  for (const [of, sum] of sums) {
    if (sum === 0n) continue;
    throw new GatewayError('ERR_INTERNAL', 'ledger transaction does not balance', { of });
  }
}

function illegal(from: string, to: string): GatewayError {
  return broken(`an operation cannot go from ${from} to ${to}`);
}

function broken(message: string): GatewayError {
  return new GatewayError('ERR_INTERNAL', message);
}
