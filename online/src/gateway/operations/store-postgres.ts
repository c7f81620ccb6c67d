/** `OperationStore` in PostgreSQL; the gateway's store is built on it. */
import type { TransactionKind } from '@tapnpay/protocol/iso8583';
import type { Transaction } from '../../runtime/index.ts';
import { GatewayError } from '../errors.ts';
import { insertEntries } from '../ledger/entries.ts';
import type { NewPosting } from '../model.ts';
import type { Claim } from '../store.ts';
import { type OrderRow, orderOf, type PaymentRow, paymentOf } from '../store-rows.ts';
import { PostgresWebhooks, tellEvent } from '../webhooks/store-postgres.ts';
import {
  balanceAfter,
  initialBalance,
  type NewWorkItem,
  type Operation,
  type OperationKind,
  type OperationState,
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

/** SQLSTATE unique_violation. */
const SQLSTATE_UNIQUE = '23505';

type OperationRow = {
  readonly operation_id: string;
  readonly payment_id: string;
  readonly merchant_id: string;
  readonly kind: OperationKind;
  readonly transaction_kind: TransactionKind;
  readonly state: OperationState;
  readonly amount_minor: bigint;
  readonly currency: string;
  readonly stan: string;
  readonly transmission: string;
  readonly retrieval_reference: string;
  readonly sealed_request: string;
  readonly note: string | null;
  readonly response_code: string | null;
  readonly approval_code: string | null;
  readonly settlement_date: string | null;
  readonly reason: string | null;
  readonly attempts: number;
  readonly next_at_ms: bigint;
  readonly identity: string;
  readonly fingerprint: string;
  readonly created_at_ms: bigint;
  readonly updated_at_ms: bigint;
};

function operationOf(row: OperationRow): Operation {
  return {
    operationId: row.operation_id,
    paymentId: row.payment_id,
    merchantId: row.merchant_id,
    kind: row.kind,
    transactionKind: row.transaction_kind,
    state: row.state,
    amountMinor: row.amount_minor,
    currency: row.currency,
    stan: row.stan,
    transmission: row.transmission,
    retrievalReference: row.retrieval_reference,
    sealedRequest: row.sealed_request,
    note: row.note,
    responseCode: row.response_code,
    approvalCode: row.approval_code,
    settlementDate: row.settlement_date,
    reason: row.reason,
    attempts: row.attempts,
    nextAtMs: Number(row.next_at_ms),
    identity: row.identity,
    fingerprint: row.fingerprint,
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
  };
}

type BalanceRow = {
  readonly held_minor: bigint;
  readonly captured_minor: bigint;
  readonly refunded_minor: bigint;
  readonly pending_refund_minor: bigint;
  readonly disputed: boolean;
};

function balanceOf(row: BalanceRow): PaymentBalance {
  return {
    heldMinor: row.held_minor,
    capturedMinor: row.captured_minor,
    refundedMinor: row.refunded_minor,
    pendingRefundMinor: row.pending_refund_minor,
    disputed: row.disputed,
  };
}

type WorkItemRow = {
  readonly item_id: string;
  readonly kind: string;
  readonly subject_id: string;
  readonly facts: WorkItem['facts'];
  readonly opened_at_ms: bigint;
  readonly closed_at_ms: bigint | null;
  readonly closed_by: string | null;
  readonly note: string | null;
};

function workItemOf(row: WorkItemRow): WorkItem {
  return {
    itemId: row.item_id,
    kind: row.kind,
    subjectId: row.subject_id,
    facts: row.facts,
    openedAtMs: Number(row.opened_at_ms),
    closedAtMs: row.closed_at_ms === null ? null : Number(row.closed_at_ms),
    closedBy: row.closed_by,
    note: row.note,
  };
}

/** Operations, sums and work items in the gateway's schema. */
export class PostgresOperations extends PostgresWebhooks implements OperationStore {
  async beginOperation(wanted: NewOperation): Promise<BeginOperationResult> {
    try {
      return await this.#begin(wanted);
    } catch (thrown) {
      // The same identity at the same moment for another payment: no lock kept them apart.
      if (sqlStateOf(thrown) !== SQLSTATE_UNIQUE) throw thrown;
      const earlier = await this.database.transaction((client) => earlierOf(client, wanted));
      if (!earlier) throw thrown;
      return earlier;
    }
  }

  #begin(wanted: NewOperation): Promise<BeginOperationResult> {
    return this.database.transaction(async (client) => {
      const whole = await lockWhole(client, wanted.paymentId);
      // After the lock: of copies of one request the second finds the first.
      const earlier = await earlierOf(client, wanted);
      if (earlier) return earlier;
      if (!whole) return { kind: 'noPayment' };
      const planned = wanted.plan(whole);
      if (planned.kind === 'refuse') return planned;
      if (planned.kind === 'replay') return { kind: 'replayed', operation: planned.operation };
      const { operation } = planned;
      await keepBalance(client, whole, balanceAfter(whole.balance, operation, 'sending'));
      await insertOperation(client, operation);
      return { kind: 'created', operation };
    });
  }

  changeOperation(change: OperationChange): Promise<OperationAfter | null> {
    return this.database.transaction(async (client) => {
      const { rows } = await client.query<{ payment_id: string }>(
        'SELECT payment_id FROM operations WHERE operation_id = $1',
        [change.operationId],
      );
      const whole = await lockWhole(client, rows[0]?.payment_id ?? '');
      const before = whole?.operations.find((row) => row.operationId === change.operationId);
      if (!whole || !before || !change.from.includes(before.state)) return null;
      const operation = await moveOperation(client, change);
      const balance = balanceAfter(whole.balance, before, change.to);
      await keepBalance(client, whole, balance);
      const after = { ...(await movePayment(client, whole, change)), balance, operation };
      await keepReversal(client, before, change);
      await book(client, before.paymentId, change.postings?.(after) ?? []);
      if (change.event) await tellEvent(client, change.event(after));
      return after;
    });
  }

  async findOperation(operationId: string): Promise<Operation | null> {
    const [row] = await this.rows<OperationRow>(
      'SELECT * FROM operations WHERE operation_id = $1',
      [operationId],
    );
    return row ? operationOf(row) : null;
  }

  async findOperationByTrace(
    trace: Pick<Operation, 'stan' | 'transmission'>,
  ): Promise<Operation | null> {
    const [row] = await this.rows<OperationRow>(
      'SELECT * FROM operations WHERE stan = $1 AND transmission = $2',
      [trace.stan, trace.transmission],
    );
    return row ? operationOf(row) : null;
  }

  async findPaymentWhole(paymentId: string): Promise<PaymentWhole | null> {
    return this.database.transaction((client) => lockWhole(client, paymentId));
  }

  async claimOperations(claim: Claim): Promise<readonly Operation[]> {
    const claimed = await this.rows<OperationRow>(
      `UPDATE operations SET attempts = attempts + 1, next_at_ms = $2 WHERE operation_id IN (
         SELECT operation_id FROM operations
         WHERE state IN ('sending', 'pending') AND next_at_ms <= $1
         ORDER BY next_at_ms LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [claim.nowMs, claim.nowMs + claim.leaseMs, claim.limit],
    );
    return claimed.map(operationOf);
  }

  async postponeOperation(operationId: string, nextAtMs: number): Promise<void> {
    await this.rows('UPDATE operations SET next_at_ms = $2 WHERE operation_id = $1', [
      operationId,
      nextAtMs,
    ]);
  }

  async postponeHeld(paymentId: string, deadlineMs: number): Promise<void> {
    await this.rows(
      `UPDATE payments SET deadline_ms = $2 WHERE payment_id = $1 AND state = 'held'`,
      [paymentId, deadlineMs],
    );
  }

  markDispute(paymentId: string, dispute: 'open' | 'closed'): Promise<PaymentBalance | null> {
    return this.database.transaction(async (client) => {
      const whole = await lockWhole(client, paymentId);
      if (whole?.payment.state !== 'captured') return null;
      const balance = { ...whole.balance, disputed: dispute === 'open' };
      await keepBalance(client, whole, balance);
      return balance;
    });
  }

  async openWorkItem(item: NewWorkItem): Promise<void> {
    await this.rows(
      `INSERT INTO work_items (item_id, kind, subject_id, facts, opened_at_ms)
       VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
      [item.itemId, item.kind, item.subjectId, JSON.stringify(item.facts), item.openedAtMs],
    );
  }

  async closeWorkItem(
    { kind, subjectId }: Pick<WorkItem, 'kind' | 'subjectId'>,
    atMs: number,
  ): Promise<void> {
    await this.rows(
      `UPDATE work_items SET closed_at_ms = $3
       WHERE kind = $1 AND subject_id = $2 AND closed_at_ms IS NULL`,
      [kind, subjectId, atMs],
    );
  }

  async closeWorkItemByHand(
    itemId: string,
    hand: { readonly atMs: number; readonly by: string; readonly note: string },
  ): Promise<WorkItem | null> {
    const [row] = await this.rows<WorkItemRow>(
      `UPDATE work_items SET closed_at_ms = $2, closed_by = $3, note = $4
       WHERE item_id = $1 AND closed_at_ms IS NULL RETURNING *`,
      [itemId, hand.atMs, hand.by, hand.note],
    );
    return row ? workItemOf(row) : null;
  }

  async listWorkItems(limit: number): Promise<readonly WorkItem[]> {
    const listed = await this.rows<WorkItemRow>(
      `SELECT * FROM work_items WHERE closed_at_ms IS NULL
       ORDER BY opened_at_ms, item_id LIMIT $1`,
      [limit],
    );
    return listed.map(workItemOf);
  }
}

/** The payment's row is locked until the transaction ends: the order of all that is done to it. */
async function lockWhole(client: Transaction, paymentId: string): Promise<PaymentWhole | null> {
  const payments = await client.query<PaymentRow>(
    'SELECT * FROM payments WHERE payment_id = $1 FOR NO KEY UPDATE',
    [paymentId],
  );
  const [row] = payments.rows;
  if (!row) return null;
  const payment = paymentOf(row);
  const orders = await client.query<OrderRow>('SELECT * FROM orders WHERE order_id = $1', [
    payment.orderId,
  ]);
  const [orderRow] = orders.rows;
  if (!orderRow) throw broken('a payment without its order');
  const balances = await client.query<BalanceRow>(
    'SELECT * FROM payment_balances WHERE payment_id = $1',
    [paymentId],
  );
  const operations = await client.query<OperationRow>(
    'SELECT * FROM operations WHERE payment_id = $1 ORDER BY created_at_ms, operation_id',
    [paymentId],
  );
  return {
    order: orderOf(orderRow),
    payment,
    balance: balances.rows[0] ? balanceOf(balances.rows[0]) : initialBalance(payment),
    operations: operations.rows.map(operationOf),
  };
}

async function earlierOf(
  client: Transaction,
  { identity, fingerprint }: NewOperation,
): Promise<BeginOperationResult | null> {
  const { rows } = await client.query<OperationRow>(
    'SELECT * FROM operations WHERE identity = $1',
    [identity],
  );
  const [row] = rows;
  if (!row) return null;
  if (row.fingerprint !== fingerprint) return { kind: 'conflict' };
  return { kind: 'replayed', operation: operationOf(row) };
}

async function insertOperation(client: Transaction, operation: Operation): Promise<void> {
  await client.query(
    `INSERT INTO operations (operation_id, payment_id, merchant_id, kind, transaction_kind, state,
       amount_minor, currency, stan, transmission, retrieval_reference, sealed_request, note,
       attempts, next_at_ms, identity, fingerprint, created_at_ms, updated_at_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
    [
      operation.operationId,
      operation.paymentId,
      operation.merchantId,
      operation.kind,
      operation.transactionKind,
      operation.state,
      operation.amountMinor,
      operation.currency,
      operation.stan,
      operation.transmission,
      operation.retrievalReference,
      operation.sealedRequest,
      operation.note,
      operation.attempts,
      operation.nextAtMs,
      operation.identity,
      operation.fingerprint,
      operation.createdAtMs,
      operation.updatedAtMs,
    ],
  );
}

async function keepBalance(
  client: Transaction,
  { payment }: PaymentWhole,
  balance: PaymentBalance,
): Promise<void> {
  await client.query(
    `INSERT INTO payment_balances (payment_id, held_minor, captured_minor, refunded_minor,
       pending_refund_minor, disputed)
     SELECT payment_id, amount_minor, $2, $3, $4, $5 FROM payments WHERE payment_id = $1
     ON CONFLICT (payment_id) DO UPDATE SET captured_minor = EXCLUDED.captured_minor,
       refunded_minor = EXCLUDED.refunded_minor,
       pending_refund_minor = EXCLUDED.pending_refund_minor, disputed = EXCLUDED.disputed`,
    [
      payment.paymentId,
      balance.capturedMinor,
      balance.refundedMinor,
      balance.pendingRefundMinor,
      balance.disputed,
    ],
  );
}

async function moveOperation(client: Transaction, change: OperationChange): Promise<Operation> {
  const text = (name: string, column: string): string =>
    `CASE WHEN $4::jsonb ? '${name}' THEN $4::jsonb ->> '${name}' ELSE ${column} END`;
  const { rows } = await client.query<OperationRow>(
    `UPDATE operations SET state = $2, updated_at_ms = $3,
       response_code = ${text('responseCode', 'response_code')},
       approval_code = ${text('approvalCode', 'approval_code')},
       settlement_date = ${text('settlementDate', 'settlement_date')},
       reason = ${text('reason', 'reason')},
       next_at_ms = coalesce(($4::jsonb ->> 'nextAtMs')::bigint, next_at_ms)
     WHERE operation_id = $1 RETURNING *`,
    [change.operationId, change.to, change.atMs, JSON.stringify(change.facts ?? {})],
  );
  const [row] = rows;
  if (!row) throw broken('an operation is gone');
  return operationOf(row);
}

async function movePayment(
  client: Transaction,
  { payment, order }: PaymentWhole,
  { payment: move, event, atMs }: OperationChange,
): Promise<Pick<PaymentWhole, 'payment' | 'order'>> {
  const { rows } = await client.query<PaymentRow>(
    `UPDATE payments SET sequence = sequence + $2, state = coalesce($3, state),
       reason = coalesce($4, reason),
       deadline_ms = CASE WHEN $3::text IS NULL THEN deadline_ms END,
       updated_at_ms = CASE WHEN $3::text IS NULL THEN updated_at_ms ELSE $5 END
     WHERE payment_id = $1 RETURNING *`,
    [payment.paymentId, event ? 1 : 0, move?.to ?? null, move?.reason ?? null, atMs],
  );
  const [row] = rows;
  if (!row) throw broken('a payment is gone');
  if (!move) return { payment: paymentOf(row), order };
  const ordered = await client.query<OrderRow>(
    'UPDATE orders SET status = $2 WHERE order_id = $1 RETURNING *',
    [order.orderId, move.orderStatus],
  );
  const [orderRow] = ordered.rows;
  return { payment: paymentOf(row), order: orderRow ? orderOf(orderRow) : order };
}

async function keepReversal(
  client: Transaction,
  { paymentId, operationId }: Operation,
  { reversal, acknowledged, atMs }: OperationChange,
): Promise<void> {
  if (reversal) {
    const { stan, transmission, reason, nextAtMs } = reversal;
    await client.query(
      `INSERT INTO reversals (payment_id, operation_id, stan, transmission, reason, next_at_ms)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [paymentId, operationId, stan, transmission, reason, nextAtMs],
    );
  }
  if (acknowledged !== undefined) {
    await client.query(
      `UPDATE reversals SET acknowledged_at_ms = $3, response_code = $4
       WHERE payment_id = $1 AND operation_id = $2`,
      [paymentId, operationId, atMs, acknowledged],
    );
  }
}

async function book(
  client: Transaction,
  paymentId: string,
  postings: readonly NewPosting[],
): Promise<void> {
  if (postings.length > 0) await insertEntries(client, { paymentId, postings });
}

function sqlStateOf(thrown: unknown): string | null {
  if (!(thrown instanceof Error) || !('code' in thrown)) return null;
  return typeof thrown.code === 'string' ? thrown.code : null;
}

function broken(message: string): GatewayError {
  return new GatewayError('ERR_INTERNAL', message);
}
