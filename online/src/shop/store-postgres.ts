/** `ShopStore` in PostgreSQL 15 or later: each method is one statement, or one transaction. */
import { join } from 'node:path';
import { SHOP_STOCK_MAX, type ShopOrderState } from '@tapnpay/protocol/wire';
import { type Database, type Log, openDatabase, type Transaction } from '../runtime/index.ts';
import {
  FINAL_STATES,
  type Goods,
  type Incident,
  ORDER_MOVES,
  type Order,
  type OrderItem,
  type OrderWithItems,
  type StockMovement,
} from './model.ts';
import { planSettlement } from './plan-settlement.ts';
import { takeFromStock } from './reservations.ts';
import type {
  GoodsFigures,
  NewIncident,
  OrderLine,
  OrderQuery,
  OrderTrail,
  Placement,
  Reservation,
  ReserveResult,
  Session,
  Settlement,
  SettleResult,
  ShopStore,
  StockChange,
  Totals,
} from './store.ts';
import {
  type GoodsRow,
  goodsOf,
  goodsValues,
  type IncidentRow,
  type ItemRow,
  incidentOf,
  itemOf,
  type MovementRow,
  movementOf,
  type NotificationRow,
  notificationOf,
  type OrderRow,
  orderOf,
  withItems,
} from './store-rows.ts';

/** Opens the shop's schema and brings it up to date. */
export async function openShopStore(options: {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly log?: Log;
}): Promise<PostgresShopStore> {
  const migrationsDir = join(import.meta.dirname, 'migrations');
  return new PostgresShopStore(await openDatabase({ ...options, migrationsDir }));
}

/** The shop's books in its own schema. */
export class PostgresShopStore implements ShopStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  seedGoods(goods: readonly Goods[]): Promise<boolean> {
    return this.#database.transaction(async (client) => {
      await client.query('LOCK TABLE goods IN EXCLUSIVE MODE');
      const { rowCount } = await client.query('SELECT 1 FROM goods LIMIT 1');
      if (rowCount !== 0) return false;
      for (const one of goods) await insertGoods(client, one);
      return true;
    });
  }

  async listGoods(): Promise<readonly Goods[]> {
    const rows = await this.#rows<GoodsRow>('SELECT * FROM goods ORDER BY position, goods_id');
    return rows.map(goodsOf);
  }

  async findGoods(goodsId: string): Promise<Goods | null> {
    const [row] = await this.#rows<GoodsRow>('SELECT * FROM goods WHERE goods_id = $1', [goodsId]);
    return row ? goodsOf(row) : null;
  }

  createGoods(goods: Goods): Promise<'created' | 'exists'> {
    return this.#database.transaction(async (client) =>
      (await insertGoods(client, goods)) ? 'created' : 'exists',
    );
  }

  async editGoods(draft: Parameters<ShopStore['editGoods']>[0]): Promise<Goods | 'changed' | null> {
    const [row] = await this.#rows<GoodsRow>(EDIT_GOODS, [
      draft.goodsId,
      draft.version,
      draft.name.zh,
      draft.name.en,
      draft.description.zh,
      draft.description.en,
      draft.priceMinor,
      draft.picture,
      draft.isOnSale,
      draft.atMs,
    ]);
    if (row) return goodsOf(row);
    return (await this.findGoods(draft.goodsId)) ? 'changed' : null;
  }

  changeStock(
    change: StockChange,
  ): Promise<{ readonly kind: 'changed' | 'short'; readonly goods: Goods } | null> {
    const { goodsId, delta, note, atMs } = change;
    return this.#database.transaction(async (client) => {
      const [goods] = await lockGoods(client, [goodsId]);
      if (!goods) return null;
      const stock = goods.stock + delta;
      if (stock < 0 || stock > SHOP_STOCK_MAX) return { kind: 'short', goods };
      await moveStock(client, { goodsId, kind: 'adjusted', delta, orderId: null, note, atMs });
      return { kind: 'changed', goods: { ...goods, stock, updatedAtMs: atMs } };
    });
  }

  async listMovements(goodsId: string, limit: number): Promise<readonly StockMovement[]> {
    const rows = await this.#rows<MovementRow>(
      `${MOVEMENTS} WHERE stock_movements.goods_id = $1 ORDER BY movement_id DESC LIMIT $2`,
      [goodsId, limit],
    );
    return rows.map(movementOf);
  }

  async goodsFigures(): Promise<ReadonlyMap<string, GoodsFigures>> {
    const rows = await this.#rows<{ goods_id: string; reserved: bigint; sold: bigint }>(FIGURES, [
      FINAL_STATES,
    ]);
    return new Map(
      rows.map(({ goods_id, reserved, sold }) => [
        goods_id,
        { reserved: Number(reserved), sold: Number(sold) },
      ]),
    );
  }

  reserve(reservation: Reservation): Promise<ReserveResult> {
    return this.#database.transaction((client) => reserve(client, reservation));
  }

  async findOrder(orderId: string): Promise<OrderWithItems | null> {
    return this.#order('SELECT * FROM orders WHERE order_id = $1', orderId);
  }

  async findOrderByNumber(orderNumber: string): Promise<OrderWithItems | null> {
    return this.#order('SELECT * FROM orders WHERE order_number = $1', orderNumber);
  }

  async placed(
    placement: Placement,
  ): Promise<{ readonly moved: boolean; readonly order: OrderWithItems } | null> {
    const rows = await this.#rows<OrderRow>(PLACED, [
      placement.orderId,
      placement.gatewayOrderId,
      placement.payUrl,
      placement.expiresAtMs,
      placement.nextCheckAtMs,
      placement.atMs,
    ]);
    const order = await this.findOrder(placement.orderId);
    return order && { moved: rows.length > 0, order };
  }

  settle(settlement: Settlement): Promise<SettleResult | null> {
    return this.#database.transaction((client) => settle(client, settlement));
  }

  async claimChecks(claim: {
    readonly nowMs: number;
    readonly leaseMs: number;
    readonly limit: number;
  }): Promise<readonly OrderWithItems[]> {
    const rows = await this.#rows<OrderRow>(
      `UPDATE orders SET checks = checks + 1, next_check_at_ms = $2, last_asked_at_ms = $1
       WHERE order_id IN (
         SELECT order_id FROM orders WHERE next_check_at_ms <= $1
         ORDER BY next_check_at_ms LIMIT $3 FOR UPDATE SKIP LOCKED)
       RETURNING *`,
      [claim.nowMs, claim.nowMs + claim.leaseMs, claim.limit],
    );
    return withItems(rows, await itemsOf(this.#database.pool, rows));
  }

  async claimCheck(orderId: string, nowMs: number, gapMs: number): Promise<boolean> {
    const rows = await this.#rows(
      `UPDATE orders SET last_asked_at_ms = $2
       WHERE order_id = $1 AND next_check_at_ms IS NOT NULL AND last_asked_at_ms <= $3
       RETURNING order_id`,
      [orderId, nowMs, nowMs - gapMs],
    );
    return rows.length > 0;
  }

  async scheduleCheck(orderId: string, nextCheckAtMs: number): Promise<void> {
    await this.#rows(
      `UPDATE orders SET next_check_at_ms = $2
       WHERE order_id = $1 AND next_check_at_ms IS NOT NULL`,
      [orderId, nextCheckAtMs],
    );
  }

  async addIncident(incident: NewIncident): Promise<boolean> {
    const rows = await this.#rows(
      `INSERT INTO incidents (incident_id, dedupe, order_id, code, facts, at_ms)
       VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (dedupe) DO NOTHING RETURNING incident_id`,
      [
        incident.incidentId,
        incident.dedupe,
        incident.orderId,
        incident.code,
        JSON.stringify(incident.facts),
        incident.atMs,
      ],
    );
    return rows.length > 0;
  }

  async listIncidents(limit: number): Promise<readonly Incident[]> {
    const rows = await this.#rows<IncidentRow>(
      `${INCIDENTS} ORDER BY at_ms DESC, incident_id DESC LIMIT $1`,
      [limit],
    );
    return rows.map(incidentOf);
  }

  async listOrders(query: OrderQuery): Promise<readonly OrderLine[]> {
    const rows = await this.#rows<OrderRow & { pieces: bigint; has_incident: boolean }>(
      LIST_ORDERS,
      [query.state, query.search, query.beforeMs, query.limit],
    );
    return rows.map((row) => ({
      ...orderOf(row),
      pieces: Number(row.pieces),
      hasIncident: row.has_incident,
    }));
  }

  async orderTrail(orderId: string): Promise<OrderTrail> {
    const [movements, notifications, incidents] = await Promise.all([
      this.#rows<MovementRow>(
        `${MOVEMENTS} WHERE stock_movements.order_id = $1 ORDER BY movement_id`,
        [orderId],
      ),
      this.#rows<NotificationRow>(
        'SELECT * FROM notifications WHERE order_id = $1 ORDER BY at_ms, webhook_id',
        [orderId],
      ),
      this.#rows<IncidentRow>(`${INCIDENTS} WHERE incidents.order_id = $1 ORDER BY at_ms`, [
        orderId,
      ]),
    ]);
    return {
      movements: movements.map(movementOf),
      notifications: notifications.map(notificationOf),
      incidents: incidents.map(incidentOf),
    };
  }

  async totals(): Promise<Totals> {
    const rows = await this.#rows<{ state: ShopOrderState; count: bigint; amount: string }>(
      `SELECT state, count(*) AS count, sum(amount_minor)::text AS amount
       FROM orders GROUP BY state`,
    );
    const states = Object.keys(ORDER_MOVES) as ShopOrderState[];
    const rowOf = (state: ShopOrderState) => rows.find((row) => row.state === state);
    const counts = states.map((state) => [state, Number(rowOf(state)?.count ?? 0)] as const);
    return {
      orders: Object.fromEntries(counts) as Record<ShopOrderState, number>,
      paidMinor: BigInt(rowOf('paid')?.amount ?? 0),
    };
  }

  async passwordHash(): Promise<string | null> {
    const [row] = await this.#rows<{ password_hash: string }>('SELECT * FROM merchant');
    return row?.password_hash ?? null;
  }

  async setPasswordHash(hash: string): Promise<string> {
    await this.#rows('INSERT INTO merchant (password_hash) VALUES ($1) ON CONFLICT DO NOTHING', [
      hash,
    ]);
    return (await this.passwordHash()) ?? hash;
  }

  async addSession(session: Session, nowMs: number): Promise<void> {
    await this.#rows('DELETE FROM sessions WHERE expires_at_ms <= $1', [nowMs]);
    await this.#rows('INSERT INTO sessions (token_hash, expires_at_ms) VALUES ($1, $2)', [
      session.tokenHash,
      session.expiresAtMs,
    ]);
  }

  async hasSession(tokenHash: string, nowMs: number): Promise<boolean> {
    const rows = await this.#rows(
      'SELECT 1 FROM sessions WHERE token_hash = $1 AND expires_at_ms > $2',
      [tokenHash, nowMs],
    );
    return rows.length > 0;
  }

  async removeSession(tokenHash: string): Promise<void> {
    await this.#rows('DELETE FROM sessions WHERE token_hash = $1', [tokenHash]);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #order(text: string, value: string): Promise<OrderWithItems | null> {
    const rows = await this.#rows<OrderRow>(text, [value]);
    return withItems(rows, await itemsOf(this.#database.pool, rows))[0] ?? null;
  }

  async #rows<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.#database.pool.query<Row>(text, [...values]);
    return result.rows;
  }
}

/** Locks the goods first, always in the same order, so that buyers wait and never deadlock. */
async function reserve(client: Transaction, reservation: Reservation): Promise<ReserveResult> {
  const ids = reservation.items.map(({ goodsId }) => goodsId);
  const goods = await lockGoods(client, ids);
  const earlier = await earlierOrder(client, reservation);
  if (earlier) return earlier;
  const taken = takeFromStock(goods, reservation);
  if (taken.kind !== 'taken') return taken;
  const { order } = taken;
  const inserted = await client.query(INSERT_ORDER, [
    order.orderId,
    order.orderNumber,
    reservation.idempotencyKey,
    reservation.fingerprint,
    order.amountMinor,
    order.currency,
    order.origin,
    order.nextCheckAtMs,
    order.createdAtMs,
  ]);
  // The same key with other goods, at the same moment: they share no lock.
  if (inserted.rowCount === 0) {
    return (await earlierOrder(client, reservation)) ?? { kind: 'conflict' };
  }
  for (const [index, item] of order.items.entries()) {
    await insertItem(client, order.orderId, index + 1, item);
    await moveStock(client, {
      goodsId: item.goodsId,
      kind: 'reserved',
      delta: -item.quantity,
      orderId: order.orderId,
      note: null,
      atMs: order.createdAtMs,
    });
  }
  return { kind: 'reserved', order };
}

async function earlierOrder(
  client: Transaction,
  { idempotencyKey, fingerprint }: Reservation,
): Promise<ReserveResult | null> {
  const { rows } = await client.query<OrderRow>('SELECT * FROM orders WHERE idempotency_key = $1', [
    idempotencyKey,
  ]);
  const [row] = rows;
  if (!row) return null;
  if (row.fingerprint !== fingerprint) return { kind: 'conflict' };
  const [order] = withItems(rows, await itemsOf(client, rows));
  return order ? { kind: 'replayed', order } : null;
}

async function settle(client: Transaction, settlement: Settlement): Promise<SettleResult | null> {
  const { orderId, notification, atMs } = settlement;
  const { rows } = await client.query<OrderRow>(
    'SELECT * FROM orders WHERE order_id = $1 FOR UPDATE',
    [orderId],
  );
  const [row] = rows;
  if (!row) return null;
  const items = (await itemsOf(client, rows)).map(itemOf);
  const before = { ...orderOf(row), items };
  if (notification && (await isKnown(client, notification.webhookId))) {
    return { kind: 'duplicate', order: before };
  }
  const last = notification ? await lastSequence(client, orderId, notification.paymentId) : 0;
  const plan = planSettlement(before, settlement, last);
  if (notification) {
    await client.query(INSERT_NOTIFICATION, [
      notification.webhookId,
      orderId,
      notification.paymentId,
      notification.sequence,
      notification.outcome,
      plan.effect,
      notification.atMs,
    ]);
  }
  if (plan.kind !== 'applied') return { kind: plan.kind, order: before };
  await updateOrder(client, plan.order);
  if (plan.reservation !== 'kept') {
    const kind = plan.reservation;
    await lockGoods(
      client,
      items.map(({ goodsId }) => goodsId),
    );
    for (const { goodsId, quantity } of items) {
      const delta = kind === 'released' ? quantity : 0;
      await moveStock(client, { goodsId, kind, delta, orderId, note: null, atMs });
    }
  }
  return { kind: 'applied', order: { ...plan.order, items } };
}

async function isKnown(client: Transaction, webhookId: string): Promise<boolean> {
  const known = await client.query('SELECT 1 FROM notifications WHERE webhook_id = $1', [
    webhookId,
  ]);
  return known.rowCount !== 0;
}

async function lastSequence(
  client: Transaction,
  orderId: string,
  paymentId: string,
): Promise<number> {
  const { rows } = await client.query<{ last: number | null }>(
    `SELECT max(sequence) AS last FROM notifications WHERE order_id = $1 AND payment_id = $2`,
    [orderId, paymentId],
  );
  return rows[0]?.last ?? 0;
}

async function updateOrder(client: Transaction, order: Order): Promise<void> {
  await client.query(UPDATE_ORDER, [
    order.orderId,
    order.state,
    order.gatewayStatus,
    order.paymentId,
    order.outcome,
    order.responseCode,
    order.panMasked,
    order.version,
    order.checks,
    order.nextCheckAtMs,
    order.updatedAtMs,
    order.paidAtMs,
  ]);
}

async function lockGoods(client: Transaction, ids: readonly string[]): Promise<readonly Goods[]> {
  const { rows } = await client.query<GoodsRow>(
    'SELECT * FROM goods WHERE goods_id = ANY($1) ORDER BY goods_id FOR UPDATE',
    [ids],
  );
  return rows.map(goodsOf);
}

async function insertGoods(client: Transaction, goods: Goods): Promise<boolean> {
  const inserted = await client.query(INSERT_GOODS, [...goodsValues(goods)]);
  if (inserted.rowCount === 0) return false;
  await client.query(
    `INSERT INTO stock_movements (goods_id, kind, delta, stock_after, at_ms)
     VALUES ($1, 'opening', $2, $2, $3)`,
    [goods.goodsId, goods.stock, goods.createdAtMs],
  );
  return true;
}

/** The stock and the movement that says why, together. */
async function moveStock(
  client: Transaction,
  movement: StockChange & {
    readonly kind: StockMovement['kind'];
    readonly orderId: string | null;
  },
): Promise<void> {
  const { goodsId, delta, atMs, kind, orderId, note } = movement;
  await client.query(
    `WITH moved AS (
       UPDATE goods SET stock = stock + $2, updated_at_ms = $3 WHERE goods_id = $1 RETURNING stock)
     INSERT INTO stock_movements (goods_id, kind, delta, stock_after, order_id, note, at_ms)
     SELECT $1, $4, $2, stock, $5, $6, $3 FROM moved`,
    [goodsId, delta, atMs, kind, orderId, note],
  );
}

async function insertItem(
  client: Transaction,
  orderId: string,
  line: number,
  item: OrderItem,
): Promise<void> {
  await client.query(INSERT_ITEM, [
    orderId,
    line,
    item.goodsId,
    item.name.zh,
    item.name.en,
    item.picture,
    item.priceMinor,
    item.quantity,
  ]);
}

async function itemsOf(
  client: Pick<Transaction, 'query'>,
  orders: readonly OrderRow[],
): Promise<readonly ItemRow[]> {
  if (orders.length === 0) return [];
  const { rows } = await client.query<ItemRow>(
    'SELECT * FROM order_items WHERE order_id = ANY($1) ORDER BY order_id, line',
    [orders.map(({ order_id }) => order_id)],
  );
  return rows;
}

const INSERT_GOODS = `
INSERT INTO goods (goods_id, name_zh, name_en, description_zh, description_en, price_minor, stock,
  picture, is_on_sale, position, version, created_at_ms, updated_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (goods_id) DO NOTHING`;

const EDIT_GOODS = `
UPDATE goods SET name_zh = $3, name_en = $4, description_zh = $5, description_en = $6,
  price_minor = $7, picture = $8, is_on_sale = $9, updated_at_ms = $10, version = version + 1
WHERE goods_id = $1 AND version = $2
RETURNING *`;

const FIGURES = `
SELECT goods_id,
  coalesce(sum(quantity) FILTER (WHERE state <> ALL($1)), 0) AS reserved,
  coalesce(sum(quantity) FILTER (WHERE state = 'paid'), 0) AS sold
FROM order_items JOIN orders USING (order_id) GROUP BY goods_id`;

const MOVEMENTS = `
SELECT stock_movements.*, order_number FROM stock_movements LEFT JOIN orders USING (order_id)`;

const INCIDENTS = `
SELECT incidents.*, order_number FROM incidents LEFT JOIN orders USING (order_id)`;

const INSERT_ORDER = `
INSERT INTO orders (order_id, order_number, idempotency_key, fingerprint, state, amount_minor,
  currency, origin, version, checks, next_check_at_ms, last_asked_at_ms, created_at_ms,
  updated_at_ms)
VALUES ($1, $2, $3, $4, 'placing', $5, $6, $7, 1, 0, $8, 0, $9, $9)
ON CONFLICT (idempotency_key) DO NOTHING`;

const INSERT_ITEM = `
INSERT INTO order_items (order_id, line, goods_id, name_zh, name_en, picture, price_minor, quantity)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;

const INSERT_NOTIFICATION = `
INSERT INTO notifications (webhook_id, order_id, payment_id, sequence, outcome, effect, at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)`;

const PLACED = `
UPDATE orders SET state = 'awaitingPayment', gateway_order_id = $2, pay_url = $3,
  expires_at_ms = $4, next_check_at_ms = $5, updated_at_ms = $6, gateway_status = 'open',
  version = version + 1, checks = 0
WHERE order_id = $1 AND state = 'placing'
RETURNING *`;

const UPDATE_ORDER = `
UPDATE orders SET state = $2, gateway_status = $3, payment_id = $4, outcome = $5,
  response_code = $6, pan_masked = $7, version = $8, checks = $9, next_check_at_ms = $10,
  updated_at_ms = $11, paid_at_ms = $12
WHERE order_id = $1`;

const LIST_ORDERS = `
SELECT orders.*,
  (SELECT sum(quantity) FROM order_items WHERE order_items.order_id = orders.order_id) AS pieces,
  EXISTS (SELECT 1 FROM incidents WHERE incidents.order_id = orders.order_id) AS has_incident
FROM orders
WHERE ($1::text IS NULL OR state = $1) AND position($2 IN order_number) > 0
  AND ($3::bigint IS NULL OR created_at_ms < $3)
ORDER BY created_at_ms DESC, order_id DESC LIMIT $4`;
