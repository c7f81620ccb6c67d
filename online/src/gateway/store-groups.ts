/**
 * The durable steps that every payment takes, as groups of runtime/group-commit.ts: each statement
 * does the same step for many payments, and for one alone it is the same statement.
 */
import { type Database, GroupCommit } from '../runtime/index.ts';
import type { Order, Payment } from './model.ts';
import type { BeginRefusal, BeginResult, GatewayStore, PaymentChange } from './store.ts';
import * as rows from './store-rows.ts';
import { insertEvents } from './webhooks/store-postgres.ts';

type NewOrder = {
  readonly order: Order;
  readonly idempotency: Parameters<GatewayStore['createOrder']>[1];
};
type NewPayment = {
  readonly payment: Payment;
  readonly guard: Parameters<GatewayStore['beginPayment']>[1];
};
type Settled = {
  readonly messageId: string;
  readonly result: Parameters<GatewayStore['settleOutbox']>[1];
  readonly tried: Parameters<GatewayStore['settleOutbox']>[2];
};
type Found<T> = { readonly found: T | null };

/** SQLSTATE unique_violation. */
const SQLSTATE_UNIQUE = '23505';
/** Times the commit point looks again when what had refused it is gone. */
const LOOKS_MAX = 3;

/** Groups over one database. */
export class GatewayGroups {
  readonly #database: Database;
  readonly #orders: GroupCommit<string, Found<Order>>;
  readonly #payments: GroupCommit<string, Found<Payment>>;
  /** Whether the order is new. */
  readonly #creations: GroupCommit<NewOrder, boolean>;
  /** Whether the payment fitted. */
  readonly #begins: GroupCommit<NewPayment, boolean>;
  readonly #changes: GroupCommit<PaymentChange, Found<Payment>>;
  readonly #settlements: GroupCommit<Settled, null>;

  constructor(database: Database) {
    this.#database = database;
    this.#orders = new GroupCommit({ run: (orderIds) => this.#findOrders(orderIds) });
    this.#payments = new GroupCommit({ run: (paymentIds) => this.#findPayments(paymentIds) });
    this.#creations = new GroupCommit({
      run: (orders) => this.#createAll(orders),
      find: async ({ order }) => ((await this.findOrder(order.orderId)) ? true : null),
    });
    this.#begins = new GroupCommit({
      run: (payments) => this.#beginAll(payments),
      // An order takes one attempt at a time, an element's counters rise.
      keysOf: ({ payment }) => [payment.orderId, payment.elementId],
      find: async ({ payment }) => ((await this.findPayment(payment.paymentId)) ? true : null),
    });
    this.#changes = new GroupCommit({
      run: (changes) => this.#changeAll(changes),
      keysOf: ({ paymentId }) => [paymentId],
      find: async ({ paymentId, to, atMs }) => {
        const found = await this.findPayment(paymentId);
        return found?.state === to && found.updatedAtMs === atMs ? { found } : null;
      },
    });
    this.#settlements = new GroupCommit({ run: (settled) => this.#settleAll(settled) });
  }

  async findOrder(orderId: string): Promise<Order | null> {
    return (await this.#orders.submit(orderId)).found;
  }

  async findPayment(paymentId: string): Promise<Payment | null> {
    return (await this.#payments.submit(paymentId)).found;
  }

  /** False when the key was used before. */
  createOrder(wanted: NewOrder): Promise<boolean> {
    return this.#creations.submit(wanted);
  }

  async beginPayment(wanted: NewPayment): Promise<BeginResult> {
    for (let look = 1; ; look++) {
      try {
        if (await this.#begins.submit(wanted)) return { refused: null };
      } catch (thrown) {
        if (isUnique(thrown)) return { refused: 'trace' };
        throw thrown;
      }
      const refusal = await this.#whyRefused(wanted, look === LOOKS_MAX);
      if (refusal) return refusal;
    }
  }

  async changePayment(change: PaymentChange): Promise<Payment | null> {
    return (await this.#changes.submit(change)).found;
  }

  async settleOutbox(settled: Settled): Promise<void> {
    await this.#settlements.submit(settled);
  }

  async #findOrders(orderIds: readonly string[]): Promise<readonly Found<Order>[]> {
    const found = await this.#rows<rows.OrderRow>(
      'SELECT * FROM orders WHERE order_id = ANY ($1)',
      [orderIds],
    );
    const orders = new Map(found.map((row) => [row.order_id, rows.orderOf(row)]));
    return orderIds.map((orderId) => ({ found: orders.get(orderId) ?? null }));
  }

  async #findPayments(paymentIds: readonly string[]): Promise<readonly Found<Payment>[]> {
    const found = await this.#rows<rows.PaymentRow>(
      'SELECT * FROM payments WHERE payment_id = ANY ($1)',
      [paymentIds],
    );
    const payments = new Map(found.map((row) => [row.payment_id, rows.paymentOf(row)]));
    return paymentIds.map((paymentId) => ({ found: payments.get(paymentId) ?? null }));
  }

  async #createAll(orders: readonly NewOrder[]): Promise<readonly boolean[]> {
    const created = await this.#rows<{ readonly order_id: string }>(CREATE_ALL, [
      JSON.stringify(
        orders.map(({ order, idempotency }) => ({
          ...{ ...order, amountMinor: String(order.amountMinor) },
          ...{ idempotencyKey: idempotency.key, fingerprint: idempotency.fingerprint },
        })),
      ),
    ]);
    const ids = new Set(created.map(({ order_id }) => order_id));
    return orders.map(({ order }) => ids.has(order.orderId));
  }

  async #beginAll(payments: readonly NewPayment[]): Promise<readonly boolean[]> {
    const begun = await this.#rows<{ readonly payment_id: string }>(BEGIN_ALL, [
      JSON.stringify(
        payments.map(({ payment, guard: { attestation, ...guard } }) => ({
          ...{ ...payment, amountMinor: String(payment.amountMinor) },
          ...{ ...guard, ...attestation },
        })),
      ),
    ]);
    const ids = new Set(begun.map(({ payment_id }) => payment_id));
    return payments.map(({ payment }) => ids.has(payment.paymentId));
  }

  /** What stands against a payment now; null when nothing does any more and it may try again. */
  async #whyRefused({ payment, guard }: NewPayment, isLast: boolean): Promise<BeginRefusal | null> {
    const order = await this.findOrder(payment.orderId);
    const isOpen = order?.status === 'open';
    if (!isOpen) return { refused: 'order', status: order?.status ?? null };
    if (order.expiresAtMs <= guard.nowMs) return { refused: 'order', status: 'expired' };
    const { elementId } = payment;
    const { pinCounter, attestation } = guard;
    const { counter, loadFileHash, parameterVersion } = attestation;
    const [now] = await this.#rows<ElementNow>(ELEMENT_NOW, [elementId, loadFileHash, counter]);
    if (now?.state !== 'operable') return { refused: 'element' };
    const { load_file: state, minimum_version: minimum, recorded } = now;
    if (BigInt(counter) <= now.last_payment_counter) return { refused: 'counter', recorded };
    if (state !== 'accepted') return { refused: 'loadFile', state: state ?? 'unknown' };
    if (BigInt(parameterVersion) < minimum) {
      return { refused: 'parameters', minimumVersion: Number(minimum) };
    }
    if (pinCounter !== null && BigInt(pinCounter) <= now.last_pin_counter) {
      return { refused: 'pinCounter' };
    }
    return isLast ? { refused: 'order', status: 'processing' } : null;
  }

  async #changeAll(changes: readonly PaymentChange[]): Promise<readonly Found<Payment>[]> {
    const moved = await this.#rows<rows.PaymentRow>(CHANGE_ALL, [
      JSON.stringify(changes.map(changeJson)),
    ]);
    const payments = new Map(moved.map((row) => [row.payment_id, rows.paymentOf(row)]));
    return changes.map(({ paymentId }) => ({ found: payments.get(paymentId) ?? null }));
  }

  async #settleAll(settled: readonly Settled[]): Promise<readonly null[]> {
    await this.#rows(SETTLE_ALL, [
      JSON.stringify(
        settled.map(({ messageId, result, tried }) => ({
          messageId,
          state: 'kind' in result ? result.kind : 'waiting',
          nextAtMs: 'kind' in result ? null : result.nextAtMs,
          ...{ status: tried.status, atMs: tried.atMs },
        })),
      ),
    ]);
    return settled.map(() => null);
  }

  async #rows<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> {
    const result = await this.#database.steps.query<Row>(text, [...values]);
    return result.rows;
  }
}

function isUnique(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === SQLSTATE_UNIQUE;
}

/** A change as CHANGE_ALL takes it; amounts as text, for JSON has no bigint. */
function changeJson(change: PaymentChange): unknown {
  const { paymentId, from, to, atMs, orderStatus } = change;
  return {
    ...{ paymentId, from, to, atMs, orderStatus },
    facts: change.facts ?? {},
    newHops: change.hops ?? [],
    reversals: change.reversal ? [change.reversal] : [],
    acknowledged: change.acknowledged ?? null,
    postings: (change.postings ?? []).map((posting) => {
      return { ...posting, amountMinor: String(posting.amountMinor) };
    }),
    events: change.event ? [change.event] : [],
  };
}

const CREATE_ALL = `
INSERT INTO orders (order_id, merchant_id, mode, merchant_order_number, amount_minor, currency,
  origin, notify_url, return_url, kind, capture_mode, status, created_at_ms, expires_at_ms, fault,
  idempotency_key, fingerprint)
SELECT "orderId", "merchantId", mode, "merchantOrderNumber", "amountMinor", currency, origin,
  "notifyUrl", "returnUrl", kind, "captureMode", status, "createdAtMs", "expiresAtMs", fault,
  "idempotencyKey", fingerprint
FROM jsonb_to_recordset($1::jsonb) AS given("orderId" text, "merchantId" text, mode text,
  "merchantOrderNumber" text, "amountMinor" bigint, currency text, origin text, "notifyUrl" text,
  "returnUrl" text, kind text, "captureMode" text, status text, "createdAtMs" bigint,
  "expiresAtMs" bigint, fault text, "idempotencyKey" text, fingerprint text)
ON CONFLICT (merchant_id, mode, idempotency_key) DO NOTHING RETURNING order_id`;

type ElementNow = {
  readonly state: 'operable' | 'locked';
  readonly last_pin_counter: bigint;
  readonly last_payment_counter: bigint;
  readonly load_file: 'accepted' | 'revoked' | null;
  readonly minimum_version: bigint;
  readonly recorded: string | null;
};

/** What stands against an attestation of an element. */
const ELEMENT_NOW = `
SELECT state, last_pin_counter, last_payment_counter,
  (SELECT state FROM load_files WHERE hash = $2) AS load_file,
  coalesce((SELECT minimum_version FROM parameter_sets ORDER BY version DESC LIMIT 1), 0)
    AS minimum_version,
  (SELECT statement FROM payment_attestations WHERE element_id = $1 AND counter = $3) AS recorded
FROM elements WHERE element_id = $1`;

/**
 * Those that fit are locked first, in one order for every process, and seen again after the wait;
 * the others are left alone.
 */
const BEGIN_ALL = `
WITH given AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS given("paymentId" text, "orderId" text,
    "elementId" text, interface text, state text, "amountMinor" bigint, currency text,
    "panMasked" text, card jsonb, stan text, "retrievalReference" text, transmission text,
    "sealedOriginal" text, "deadlineMs" bigint, sequence integer, hops jsonb,
    "createdAtMs" bigint, "updatedAtMs" bigint, "nowMs" bigint, "pinCounter" bigint,
    counter bigint, "loadFileHash" text, "parameterVersion" bigint, statement text, signature text)
), fit AS MATERIALIZED (
  SELECT given.* FROM given
    JOIN orders ON orders.order_id = "orderId" JOIN elements ON elements.element_id = "elementId"
    JOIN load_files ON load_files.hash = "loadFileHash"
  WHERE orders.status = 'open' AND orders.expires_at_ms > "nowMs" AND elements.state = 'operable'
    AND given.counter > elements.last_payment_counter AND load_files.state = 'accepted'
    AND "parameterVersion" >= coalesce(
      (SELECT minimum_version FROM parameter_sets ORDER BY version DESC LIMIT 1), 0)
    AND ("pinCounter" IS NULL OR "pinCounter" > elements.last_pin_counter)
  ORDER BY "elementId", "orderId" FOR NO KEY UPDATE OF orders, elements
), taken AS (
  UPDATE orders SET status = 'processing', payment_id = "paymentId"
  FROM fit WHERE orders.order_id = "orderId"
), counted AS (
  UPDATE elements SET last_payment_counter = fit.counter,
    last_pin_counter = coalesce("pinCounter", last_pin_counter)
  FROM fit WHERE elements.element_id = "elementId"
), attested AS (
  INSERT INTO payment_attestations (element_id, counter, statement, signature)
  SELECT "elementId", counter, statement, signature FROM fit
)
INSERT INTO payments (payment_id, order_id, element_id, interface, state, amount_minor, currency,
  pan_masked, card, stan, retrieval_reference, transmission, sealed_original, deadline_ms, sequence,
  hops, created_at_ms, updated_at_ms, attestation_counter)
SELECT "paymentId", "orderId", "elementId", interface, state, "amountMinor", currency, "panMasked",
  card, stan, "retrievalReference", transmission, "sealedOriginal", "deadlineMs", sequence, hops,
  "createdAtMs", "updatedAtMs", counter FROM fit
RETURNING payment_id`;

/** The payment's moves with all that belongs to them. */
const CHANGE_ALL = `
WITH given AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS given("paymentId" text, "from" jsonb, "to" text,
    "atMs" bigint, facts jsonb, "newHops" jsonb, "orderStatus" text, reversals jsonb,
    acknowledged text, postings jsonb, events jsonb)
), moved AS (
  UPDATE payments SET
    state = "to",
    updated_at_ms = "atMs",
    sequence = sequence + jsonb_array_length(events),
    hops = hops || "newHops",
    response_code = ${factText('responseCode', 'response_code')},
    approval_code = ${factText('approvalCode', 'approval_code')},
    issuer = CASE WHEN facts ? 'issuer'
      THEN NULLIF(facts -> 'issuer', 'null'::jsonb) ELSE issuer END,
    second = ${factText('second', 'second')},
    second_type = ${factText('secondType', 'second_type')},
    tsi = ${factText('tsi', 'tsi')},
    settlement_date = ${factText('settlementDate', 'settlement_date')},
    reason = ${factText('reason', 'reason')},
    deadline_ms = CASE WHEN facts ? 'deadlineMs'
      THEN (facts ->> 'deadlineMs')::bigint ELSE deadline_ms END
  FROM given
  WHERE payments.payment_id = "paymentId" AND "from" ? payments.state
    AND ("to" NOT IN ('captured', 'held') OR EXISTS (SELECT 1 FROM orders
      WHERE orders.order_id = payments.order_id AND orders.payment_id = payments.payment_id))
  RETURNING payments.*
), told_of AS (
  SELECT * FROM moved JOIN given ON "paymentId" = payment_id
), ordered AS (
  UPDATE orders SET status = "orderStatus" FROM told_of
  WHERE orders.order_id = told_of.order_id AND "orderStatus" IS NOT NULL
    AND orders.payment_id = told_of.payment_id AND orders.status NOT IN ('paid', 'voided')
), reversed AS (
  INSERT INTO reversals (payment_id, stan, transmission, reason, next_at_ms)
  SELECT payment_id, new.stan, new.transmission, new.reason, new."nextAtMs"
  FROM told_of, jsonb_to_recordset(reversals)
    AS new(stan text, transmission text, reason text, "nextAtMs" bigint)
), acknowledged AS (
  UPDATE reversals SET acknowledged_at_ms = "atMs", response_code = acknowledged FROM told_of
  WHERE reversals.payment_id = told_of.payment_id AND operation_id = ''
    AND acknowledged IS NOT NULL
), booked AS (
  INSERT INTO ledger_entries (transaction_id, leg, payment_id, kind, phase, mode, account,
    currency, amount_minor, settlement_date)
  SELECT new."transactionId", new.leg, payment_id, new.kind, new.phase, new.mode, new.account,
    new.currency, new."amountMinor", new."settlementDate"
  FROM told_of, jsonb_to_recordset(postings)
    AS new("transactionId" text, leg smallint, kind text, phase text, mode text, account text,
    currency text, "amountMinor" bigint, "settlementDate" text)
), told AS (${insertEvents('told_of.events', 'told_of')}
)
SELECT * FROM moved`;

function factText(name: string, column: string): string {
  return `CASE WHEN facts ? '${name}' THEN facts ->> '${name}' ELSE ${column} END`;
}

const SETTLE_ALL = `
UPDATE outbox SET state = given.state, next_at_ms = coalesce("nextAtMs", next_at_ms),
  last_status = given.status, last_at_ms = "atMs"
FROM jsonb_to_recordset($1::jsonb) AS given("messageId" text, state text, "nextAtMs" bigint,
  status integer, "atMs" bigint)
WHERE message_id = "messageId" AND outbox.state = 'waiting'`;
