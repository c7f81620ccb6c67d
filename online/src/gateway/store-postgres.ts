/** `GatewayStore` in PostgreSQL 15 or later: each method is one statement or one transaction. */
import { join } from 'node:path';
import type { HopRecord } from '@tapnpay/protocol/wire';
import { type Database, type Log, openDatabase, type Transaction } from '../runtime/index.ts';
import type {
  CardEnd,
  ElementRecord,
  LedgerEntry,
  Order,
  OutboxMessage,
  PairingCode,
  Payment,
  Reversal,
} from './model.ts';
import { PostgresOperations } from './operations/store-postgres.ts';
import type {
  BeginRefusal,
  BeginResult,
  Claim,
  CreateOrderResult,
  GatewayStore,
  PaymentChange,
  PaymentQuery,
} from './store.ts';
import * as rows from './store-rows.ts';
import type { TryResult } from './webhooks/model.ts';
import { insertEvents } from './webhooks/store-postgres.ts';

/** Trace numbers a process takes at once. */
const STAN_BLOCK = 100;
const STAN_COUNT = 999_999;
/** SQLSTATE unique_violation. */
const SQLSTATE_UNIQUE = '23505';

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
export class PostgresGatewayStore extends PostgresOperations implements GatewayStore {
  readonly #database: Database;
  #stans: string[] = [];
  #stanBlock: Promise<void> | null = null;

  constructor(database: Database) {
    super(database);
    this.#database = database;
  }

  async createOrder(
    order: Order,
    idempotency: { readonly key: string; readonly fingerprint: string },
  ): Promise<CreateOrderResult> {
    const inserted = await this.#rows<rows.OrderRow>(
      `INSERT INTO orders (order_id, merchant_id, merchant_order_number, amount_minor, currency,
         origin, notify_url, return_url, status, created_at_ms, expires_at_ms, fault,
         idempotency_key, fingerprint, mode, capture_mode)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
       ON CONFLICT (merchant_id, mode, idempotency_key) DO NOTHING RETURNING *`,
      [
        order.orderId,
        order.merchantId,
        order.merchantOrderNumber,
        order.amountMinor,
        order.currency,
        order.origin,
        order.notifyUrl,
        order.returnUrl,
        order.status,
        order.createdAtMs,
        order.expiresAtMs,
        order.fault,
        idempotency.key,
        idempotency.fingerprint,
        order.mode,
        order.captureMode,
      ],
    );
    if (inserted[0]) return { kind: 'created', order: rows.orderOf(inserted[0]) };
    const [earlier] = await this.#rows<rows.OrderRow>(
      `SELECT * FROM orders WHERE merchant_id = $1 AND mode = $2 AND idempotency_key = $3`,
      [order.merchantId, order.mode, idempotency.key],
    );
    if (earlier?.fingerprint !== idempotency.fingerprint) return { kind: 'conflict' };
    return { kind: 'replayed', order: rows.orderOf(earlier) };
  }

  async findOrder(orderId: string): Promise<Order | null> {
    const [row] = await this.#rows<rows.OrderRow>('SELECT * FROM orders WHERE order_id = $1', [
      orderId,
    ]);
    return row ? rows.orderOf(row) : null;
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

  async beginPayment(
    payment: Payment,
    guard: { readonly nowMs: number; readonly pinCounter: number | null },
  ): Promise<BeginResult> {
    try {
      await this.#database.transaction((client) => begin(client, payment, guard));
      return { refused: null };
    } catch (thrown) {
      if (thrown instanceof Refused) return thrown.refusal;
      if (sqlStateOf(thrown) === SQLSTATE_UNIQUE) return { refused: 'trace' };
      throw thrown;
    }
  }

  async changePayment(change: PaymentChange): Promise<Payment | null> {
    const [row] = await this.#rows<rows.PaymentRow>(CHANGE_PAYMENT, [
      change.paymentId,
      change.from,
      change.to,
      change.atMs,
      JSON.stringify(change.facts ?? {}),
      JSON.stringify(change.hops ?? []),
      change.orderStatus,
      JSON.stringify(change.reversal ? [change.reversal] : []),
      change.acknowledged ?? null,
      JSON.stringify((change.postings ?? []).map(postingJson)),
      JSON.stringify(change.event ? [change.event] : []),
    ]);
    return row ? rows.paymentOf(row) : null;
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

  async findPayment(paymentId: string): Promise<Payment | null> {
    const [row] = await this.#rows<rows.PaymentRow>(
      'SELECT * FROM payments WHERE payment_id = $1',
      [paymentId],
    );
    return row ? rows.paymentOf(row) : null;
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
    const listed = await this.#rows<rows.PaymentRow>(
      `SELECT * FROM payments
       WHERE state = ANY ($1) AND ($2::bigint IS NULL OR deadline_ms <= $2)
       ORDER BY created_at_ms, payment_id LIMIT $3`,
      [query.states, query.deadlineBeforeMs ?? null, query.limit],
    );
    return listed.map(rows.paymentOf);
  }

  async claimReversals(claim: Claim): Promise<readonly Reversal[]> {
    const claimed = await this.#rows<rows.ReversalRow>(
      `UPDATE reversals SET attempts = attempts + 1, next_at_ms = $2
       WHERE (payment_id, operation_id) IN (
         SELECT payment_id, operation_id FROM reversals WHERE acknowledged_at_ms IS NULL AND next_at_ms <= $1
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

  async claimOutbox(claim: Claim): Promise<readonly OutboxMessage[]> {
    const claimed = await this.#rows<rows.OutboxRow>(
      `UPDATE outbox SET attempts = attempts + 1, next_at_ms = $2 WHERE message_id IN (
         SELECT message_id FROM outbox WHERE state = 'waiting' AND next_at_ms <= $1
         ORDER BY next_at_ms LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [claim.nowMs, claim.nowMs + claim.leaseMs, claim.limit],
    );
    return claimed.map(rows.outboxOf);
  }

  async settleOutbox(
    messageId: string,
    result: { readonly kind: 'delivered' | 'dead' } | { readonly nextAtMs: number },
    tried: Pick<TryResult, 'atMs' | 'status'>,
  ): Promise<void> {
    const settled =
      'kind' in result
        ? (['state', result.kind] as const)
        : (['next_at_ms', result.nextAtMs] as const);
    await this.#rows(
      `UPDATE outbox SET ${settled[0]} = $2, last_status = $3, last_at_ms = $4
       WHERE message_id = $1 AND state = 'waiting'`,
      [messageId, settled[1], tried.status, tried.atMs],
    );
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

  async enrolElement(
    codeId: string,
    element: ElementRecord,
    nowMs: number,
  ): Promise<'enrolled' | 'codeUsed' | 'exists'> {
    try {
      return await this.#database.transaction(async (client) => {
        const used = await client.query(
          'DELETE FROM pairing_codes WHERE code_id = $1 AND expires_at_ms > $2',
          [codeId, nowMs],
        );
        if (used.rowCount !== 1) return 'codeUsed';
        await client.query(
          `INSERT INTO elements (element_id, public_key_spki, certificate_sha256, initial_key_id,
             state, last_pin_counter, enrolled_at_ms)
           VALUES ($1, $2, $3, $4, $5, $6, $7)`,
          [
            element.elementId,
            element.publicKeySpki,
            element.certificateSha256,
            element.initialKeyId,
            element.state,
            element.lastPinCounter,
            element.enrolledAtMs,
          ],
        );
        return 'enrolled';
      });
    } catch (thrown) {
      if (sqlStateOf(thrown) === SQLSTATE_UNIQUE) return 'exists';
      throw thrown;
    }
  }

  async findElement(elementId: string): Promise<ElementRecord | null> {
    const [row] = await this.#rows<rows.ElementRow>(
      'SELECT * FROM elements WHERE element_id = $1',
      [elementId],
    );
    return row ? rows.elementOf(row) : null;
  }

  async lockElement(elementId: string): Promise<void> {
    await this.#rows(`UPDATE elements SET state = 'locked' WHERE element_id = $1`, [elementId]);
  }

  async ledgerEntries(): Promise<readonly LedgerEntry[]> {
    const entries = await this.#rows<rows.LedgerRow>(
      'SELECT * FROM ledger_entries ORDER BY entry_id',
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

/** Rolls the commit point back and carries its answer out of the transaction. */
class Refused extends Error {
  readonly refusal: BeginRefusal;

  constructor(refusal: BeginRefusal) {
    super('the commit point refused the payment');
    this.refusal = refusal;
  }
}

async function begin(
  client: Transaction,
  payment: Payment,
  guard: { readonly nowMs: number; readonly pinCounter: number | null },
): Promise<void> {
  const taken = await client.query(
    `UPDATE orders SET status = 'processing', payment_id = $2
     WHERE order_id = $1 AND status = 'open' AND expires_at_ms > $3`,
    [payment.orderId, payment.paymentId, guard.nowMs],
  );
  if (taken.rowCount !== 1) {
    const { rows: found } = await client.query<{ status: Order['status'] }>(
      'SELECT status FROM orders WHERE order_id = $1',
      [payment.orderId],
    );
    const status = found[0]?.status ?? null;
    throw new Refused({ refused: 'order', status: status === 'open' ? 'expired' : status });
  }
  await moveElement(client, payment.elementId, guard.pinCounter);
  await client.query(
    `INSERT INTO payments (payment_id, order_id, element_id, interface, state, amount_minor,
       currency, pan_masked, card, stan, retrieval_reference, transmission, sealed_original,
       deadline_ms, sequence, hops, created_at_ms, updated_at_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
    [
      payment.paymentId,
      payment.orderId,
      payment.elementId,
      payment.interface,
      payment.state,
      payment.amountMinor,
      payment.currency,
      payment.panMasked,
      JSON.stringify(payment.card),
      payment.stan,
      payment.retrievalReference,
      payment.transmission,
      payment.sealedOriginal,
      payment.deadlineMs,
      payment.sequence,
      JSON.stringify(payment.hops),
      payment.createdAtMs,
      payment.updatedAtMs,
    ],
  );
}

async function moveElement(
  client: Transaction,
  elementId: string,
  pinCounter: number | null,
): Promise<void> {
  const { rows: found } = await client.query<{ state: string; last_pin_counter: bigint }>(
    `SELECT state, last_pin_counter FROM elements WHERE element_id = $1
     ${pinCounter === null ? 'FOR SHARE' : 'FOR NO KEY UPDATE'}`,
    [elementId],
  );
  const [element] = found;
  if (element?.state !== 'operable') throw new Refused({ refused: 'element' });
  if (pinCounter === null) return;
  if (BigInt(pinCounter) <= element.last_pin_counter) throw new Refused({ refused: 'pinCounter' });
  await client.query('UPDATE elements SET last_pin_counter = $2 WHERE element_id = $1', [
    elementId,
    pinCounter,
  ]);
}

/** One move with all that belongs to it, as one statement: one round trip, one commit. */
const CHANGE_PAYMENT = `
WITH moved AS (
  UPDATE payments SET
    state = $3,
    updated_at_ms = $4,
    sequence = sequence + jsonb_array_length($11::jsonb),
    hops = hops || $6::jsonb,
    response_code = ${factText('responseCode', 'response_code')},
    approval_code = ${factText('approvalCode', 'approval_code')},
    issuer = CASE WHEN $5::jsonb ? 'issuer'
      THEN NULLIF($5::jsonb -> 'issuer', 'null'::jsonb) ELSE issuer END,
    second = ${factText('second', 'second')},
    second_type = ${factText('secondType', 'second_type')},
    tsi = ${factText('tsi', 'tsi')},
    settlement_date = ${factText('settlementDate', 'settlement_date')},
    reason = ${factText('reason', 'reason')},
    deadline_ms = CASE WHEN $5::jsonb ? 'deadlineMs'
      THEN ($5::jsonb ->> 'deadlineMs')::bigint ELSE deadline_ms END
  WHERE payment_id = $1 AND state = ANY ($2) AND ($3 NOT IN ('captured', 'held') OR EXISTS (
    SELECT 1 FROM orders
    WHERE orders.order_id = payments.order_id AND orders.payment_id = payments.payment_id))
  RETURNING *
), ordered AS (
  UPDATE orders SET status = $7 FROM moved
  WHERE orders.order_id = moved.order_id AND $7::text IS NOT NULL
    AND orders.payment_id = moved.payment_id AND orders.status NOT IN ('paid', 'voided')
), reversed AS (
  INSERT INTO reversals (payment_id, stan, transmission, reason, next_at_ms)
  SELECT moved.payment_id, new.stan, new.transmission, new.reason, new."nextAtMs"
  FROM moved, jsonb_to_recordset($8::jsonb)
    AS new(stan text, transmission text, reason text, "nextAtMs" bigint)
), acknowledged AS (
  UPDATE reversals SET acknowledged_at_ms = $4, response_code = $9 FROM moved
  WHERE reversals.payment_id = moved.payment_id AND operation_id = '' AND $9::text IS NOT NULL
), booked AS (
  INSERT INTO ledger_entries (entry_id, payment_id, account, currency, amount_minor)
  SELECT new."entryId", moved.payment_id, new.account, new.currency, new."amountMinor"
  FROM moved, jsonb_to_recordset($10::jsonb)
    AS new("entryId" text, account text, currency text, "amountMinor" bigint)
), told AS (${insertEvents('$11::jsonb', 'moved')}
)
SELECT * FROM moved`;

function factText(name: string, column: string): string {
  return `CASE WHEN $5::jsonb ? '${name}' THEN $5::jsonb ->> '${name}' ELSE ${column} END`;
}

/** Amounts as text: JSON has no bigint. */
function postingJson(
  posting: NonNullable<PaymentChange['postings']>[number],
): Readonly<Record<string, string>> {
  return { ...posting, amountMinor: String(posting.amountMinor) };
}

function sqlStateOf(thrown: unknown): string | null {
  if (!(thrown instanceof Error) || !('code' in thrown)) return null;
  return typeof thrown.code === 'string' ? thrown.code : null;
}
