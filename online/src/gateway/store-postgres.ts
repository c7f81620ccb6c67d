/** `GatewayStore` in PostgreSQL 15 or later: each method is one statement or one transaction. */
import { join } from 'node:path';
import type { HopRecord } from '@tapnpay/protocol/wire';
import pg from 'pg';
import { type Database, type Log, openDatabase } from '../runtime/index.ts';
import { PostgresElements } from './elements/store-postgres.ts';
import type {
  CardEnd,
  LedgerEntry,
  Order,
  OutboxMessage,
  PairingCode,
  Payment,
  Reversal,
} from './model.ts';
import type {
  BeginGuard,
  BeginResult,
  Claim,
  CreateOrderResult,
  GatewayStore,
  PaymentChange,
  PaymentQuery,
} from './store.ts';
import { GatewayGroups } from './store-groups.ts';
import * as rows from './store-rows.ts';
import type { TryResult } from './webhooks/model.ts';

/** Trace numbers a process takes at once. */
const STAN_BLOCK = 1_000;
const STAN_COUNT = 999_999;

/** Opens the gateway's schema and brings it up to date. */
export function openGatewayDatabase(options: {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly log?: Log;
}): Promise<Database> {
  return openDatabase({ ...options, migrationsDir: join(import.meta.dirname, 'migrations') });
}

/** The gateway's store alone, on a database of its own. */
export async function openGatewayStore(
  options: Parameters<typeof openGatewayDatabase>[0],
): Promise<PostgresGatewayStore> {
  return new PostgresGatewayStore(await openGatewayDatabase(options));
}

/** The gateway's books in its own schema. */
export class PostgresGatewayStore extends PostgresElements implements GatewayStore {
  readonly #database: Database;
  readonly #groups: GatewayGroups;
  #stans: string[] = [];
  #stanBlock: Promise<void> | null = null;

  constructor(database: Database) {
    super(database);
    this.#database = database;
    this.#groups = new GatewayGroups(database);
  }

  async createOrder(
    order: Order,
    idempotency: { readonly key: string; readonly fingerprint: string },
  ): Promise<CreateOrderResult> {
    const isNew = await this.#groups.createOrder({ order, idempotency });
    if (isNew) return { kind: 'created', order };
    const [earlier] = await this.#rows<rows.OrderRow>(
      `SELECT * FROM orders WHERE merchant_id = $1 AND mode = $2 AND idempotency_key = $3`,
      [order.merchantId, order.mode, idempotency.key],
    );
    if (earlier?.fingerprint !== idempotency.fingerprint) return { kind: 'conflict' };
    return { kind: 'replayed', order: rows.orderOf(earlier) };
  }

  findOrder(orderId: string): Promise<Order | null> {
    return this.#groups.findOrder(orderId);
  }

  async cancelOrder(orderId: string): Promise<Order | null> {
    await this.#rows(
      `UPDATE orders SET status = 'cancelled' WHERE order_id = $1 AND status = 'open'`,
      [orderId],
    );
    return this.findOrder(orderId);
  }

  async expireOrders(nowMs: number): Promise<number> {
    const expired = await this.#rows(
      `UPDATE orders SET status = 'expired' WHERE status = 'open' AND expires_at_ms <= $1
       RETURNING 1`,
      [nowMs],
    );
    return expired.length;
  }

  async nextStan(): Promise<string> {
    for (;;) {
      const stan = this.#stans.shift();
      if (stan !== undefined) return stan;
      this.#stanBlock ??= this.#takeStanBlock().finally(() => {
        this.#stanBlock = null;
      });
      await this.#stanBlock;
    }
  }

  async #takeStanBlock(): Promise<void> {
    const [row] = await this.#rows<{ block: bigint }>(`SELECT nextval('stan_blocks') AS block`);
    const first = (Number(row?.block ?? 1n) - 1) * STAN_BLOCK;
    this.#stans = Array.from({ length: STAN_BLOCK }, (_, index) =>
      String(((first + index) % STAN_COUNT) + 1).padStart(6, '0'),
    );
  }

  beginPayment(payment: Payment, guard: BeginGuard): Promise<BeginResult> {
    return this.#groups.beginPayment({ payment, guard });
  }

  changePayment(change: PaymentChange): Promise<Payment | null> {
    return this.#groups.changePayment(change);
  }

  async noteCardEnd(
    paymentId: string,
    { facts, hops }: { readonly facts: CardEnd; readonly hops: readonly HopRecord[] },
  ): Promise<void> {
    await this.#rows(
      `UPDATE payments SET second = $2, second_type = $3, tsi = $4, hops = hops || $5::jsonb
       WHERE payment_id = $1 AND tsi IS NULL`,
      [paymentId, facts.second, facts.secondType, facts.tsi, JSON.stringify(hops)],
    );
  }

  findPayment(paymentId: string): Promise<Payment | null> {
    return this.#groups.findPayment(paymentId);
  }

  async findPaymentByTrace(trace: {
    readonly stan: string;
    readonly transmission: string;
  }): Promise<Payment | null> {
    const [row] = await this.#rows<rows.PaymentRow>(
      'SELECT * FROM payments WHERE stan = $1 AND transmission = $2',
      [trace.stan, trace.transmission],
    );
    return row ? rows.paymentOf(row) : null;
  }

  async listPayments(query: PaymentQuery): Promise<readonly Payment[]> {
    const { states, deadlineBeforeMs, limit } = query;
    // In the text, so that every plan may use the indexes of these states.
    const names = states.map((state) => pg.escapeLiteral(state)).join(', ');
    const due = deadlineBeforeMs === undefined ? '' : 'AND deadline_ms <= $2';
    const listed = await this.#rows<rows.PaymentRow>(
      `SELECT * FROM payments WHERE state IN (${names}) ${due}
       ORDER BY created_at_ms, payment_id LIMIT $1`,
      deadlineBeforeMs === undefined ? [limit] : [limit, deadlineBeforeMs],
    );
    return listed.map(rows.paymentOf);
  }

  async claimReversals(claim: Claim): Promise<readonly Reversal[]> {
    const claimed = await this.#rows<rows.ReversalRow>(
      `UPDATE reversals SET attempts = attempts + 1, next_at_ms = $2
       WHERE (payment_id, operation_id) IN (
         SELECT payment_id, operation_id FROM reversals
         WHERE acknowledged_at_ms IS NULL AND next_at_ms <= $1
         ORDER BY next_at_ms LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [claim.nowMs, claim.nowMs + claim.leaseMs, claim.limit],
    );
    return claimed.map(rows.reversalOf);
  }

  async postponeReversal(
    { paymentId, operationId }: Pick<Reversal, 'paymentId' | 'operationId'>,
    nextAtMs: number,
  ): Promise<void> {
    await this.#rows(
      `UPDATE reversals SET next_at_ms = $3
       WHERE payment_id = $1 AND operation_id = $2 AND acknowledged_at_ms IS NULL`,
      [paymentId, operationId ?? '', nextAtMs],
    );
  }

  async findReversal(paymentId: string): Promise<Reversal | null> {
    const [row] = await this.#rows<rows.ReversalRow>(
      `SELECT * FROM reversals WHERE payment_id = $1 AND operation_id = ''`,
      [paymentId],
    );
    return row ? rows.reversalOf(row) : null;
  }

  async claimOutbox(
    claim: Parameters<GatewayStore['claimOutbox']>[0],
  ): Promise<readonly OutboxMessage[]> {
    const claimed = await this.#rows<rows.OutboxRow>(
      `UPDATE outbox SET attempts = attempts + 1, next_at_ms = $2 WHERE message_id IN (
         SELECT message_id FROM outbox WHERE state = 'waiting' AND next_at_ms <= $1
           AND merchant_id <> ALL ($4)
         ORDER BY next_at_ms LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [claim.nowMs, claim.nowMs + claim.leaseMs, claim.limit, claim.exceptMerchants],
    );
    return claimed.map(rows.outboxOf);
  }

  settleOutbox(
    messageId: string,
    result: { readonly kind: 'delivered' | 'dead' } | { readonly nextAtMs: number },
    tried: Pick<TryResult, 'atMs' | 'status'>,
  ): Promise<void> {
    return this.#groups.settleOutbox({ messageId, result, tried });
  }

  async addPairingCode(code: PairingCode): Promise<void> {
    await this.#rows(
      `WITH old AS (DELETE FROM pairing_codes WHERE expires_at_ms < $3::bigint - 86400000)
       INSERT INTO pairing_codes (code_id, sealed_code, expires_at_ms, failures)
       VALUES ($1, $2, $3::bigint, $4)`,
      [code.codeId, code.sealedCode, code.expiresAtMs, code.failures],
    );
  }

  async activePairingCodes(nowMs: number): Promise<readonly PairingCode[]> {
    const active = await this.#rows<rows.PairingRow>(
      'SELECT * FROM pairing_codes WHERE expires_at_ms > $1',
      [nowMs],
    );
    return active.map(rows.pairingOf);
  }

  async notePairingFailure(nowMs: number, failuresMax: number): Promise<void> {
    await this.#database.transaction(async (client) => {
      await client.query(
        'UPDATE pairing_codes SET failures = failures + 1 WHERE expires_at_ms > $1',
        [nowMs],
      );
      await client.query('DELETE FROM pairing_codes WHERE failures >= $1', [failuresMax]);
    });
  }

  async ledgerEntries(): Promise<readonly LedgerEntry[]> {
    const entries = await this.#rows<rows.LedgerRow>(
      'SELECT * FROM ledger_entries ORDER BY transaction_id, leg',
    );
    return entries.map(rows.ledgerEntryOf);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #rows<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.#database.pool.query<Row>(text, [...values]);
    return result.rows;
  }
}
