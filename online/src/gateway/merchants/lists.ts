/** Orders and payments of a merchant, newest first, page by page; stable by id. */
import type { Database } from '../../runtime/index.ts';
import type { Order, OrderStatus, Payment, PaymentState } from '../model.ts';
import { type OrderRow, orderOf, type PaymentRow, paymentOf } from '../store-rows.ts';
import type { Mode } from './model.ts';

/** Filters that both lists have; times are of the creation, `toMs` is the first one left out. */
type ListQuery = {
  readonly merchantId: string;
  readonly mode: Mode;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly merchantOrderNumber?: string | undefined;
  readonly limit: number;
};
/** Which orders; `before` is the last one of the page before. */
export type OrderListQuery = ListQuery & {
  readonly status?: OrderStatus | undefined;
  readonly before?: string | undefined;
};
/** Which payments: the newest order first, and of each its newest attempt. */
export type PaymentListQuery = ListQuery & {
  readonly status?: PaymentState | undefined;
  readonly orderId?: string | undefined;
  readonly before?: { readonly orderId: string; readonly paymentId: string } | undefined;
};

/** Reads of merchants; no payment waits for them. */
export interface MerchantLists {
  orders(query: OrderListQuery): Promise<readonly Order[]>;
  payments(query: PaymentListQuery): Promise<readonly Payment[]>;
}

/** In the gateway's schema. Each list follows an index of the merchant. */
export class PostgresMerchantLists implements MerchantLists {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async orders(query: OrderListQuery): Promise<readonly Order[]> {
    const where = new Conditions('o', query);
    if (query.status !== undefined) where.add('o.status =', query.status);
    if (query.before !== undefined) where.add('o.order_id <', query.before);
    const { rows } = await this.#database.pool.query<OrderRow>(
      `SELECT o.* FROM orders o WHERE ${where.text}
       ORDER BY o.order_id DESC LIMIT ${where.parameter(query.limit)}`,
      where.values,
    );
    return rows.map(orderOf);
  }

  async payments(query: PaymentListQuery): Promise<readonly Payment[]> {
    const where = new Conditions('p', query);
    if (query.status !== undefined) where.add('p.state =', query.status);
    if (query.orderId !== undefined) where.add('o.order_id =', query.orderId);
    if (query.before !== undefined) {
      const { orderId, paymentId } = query.before;
      // The first condition is what the index can follow.
      where.add('o.order_id <=', orderId);
      const last = where.parameter(orderId);
      where.addText(`(o.order_id < ${last} OR p.payment_id < ${where.parameter(paymentId)})`);
    }
    const { rows } = await this.#database.pool.query<PaymentRow>(
      `SELECT p.* FROM orders o JOIN payments p ON p.order_id = o.order_id WHERE ${where.text}
       ORDER BY o.order_id DESC, p.payment_id DESC LIMIT ${where.parameter(query.limit)}`,
      where.values,
    );
    return rows.map(paymentOf);
  }
}

/** Conditions and their parameters, in step. */
class Conditions {
  readonly values: unknown[] = [];
  readonly #texts: string[] = [];

  constructor(created: 'o' | 'p', query: ListQuery) {
    this.add('o.merchant_id =', query.merchantId);
    this.add('o.mode =', query.mode);
    if (query.fromMs !== undefined) this.add(`${created}.created_at_ms >=`, query.fromMs);
    if (query.toMs !== undefined) this.add(`${created}.created_at_ms <`, query.toMs);
    const { merchantOrderNumber } = query;
    if (merchantOrderNumber !== undefined) {
      this.add('o.merchant_order_number =', merchantOrderNumber);
    }
  }

  get text(): string {
    return this.#texts.join(' AND ');
  }

  parameter(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  add(condition: string, value: unknown): void {
    this.addText(`${condition} ${this.parameter(value)}`);
  }

  addText(text: string): void {
    this.#texts.push(text);
  }
}

/** All that a store in memory holds. */
export type Everything = {
  readonly orders: readonly Order[];
  readonly payments: readonly Payment[];
};

/** For unit tests. */
export class MemoryMerchantLists implements MerchantLists {
  readonly #all: () => Everything;

  constructor(all: () => Everything) {
    this.#all = all;
  }

  async orders(query: OrderListQuery): Promise<readonly Order[]> {
    const { status, before, limit } = query;
    return this.#owned(query)
      .filter((order) => isWithin(order, query))
      .filter((order) => status === undefined || order.status === status)
      .filter((order) => before === undefined || order.orderId < before)
      .toSorted((one, other) => (one.orderId < other.orderId ? 1 : -1))
      .slice(0, limit);
  }

  async payments(query: PaymentListQuery): Promise<readonly Payment[]> {
    const { status, orderId, before, limit } = query;
    const owned = new Set(this.#owned(query).map((order) => order.orderId));
    const place = (payment: { orderId: string; paymentId: string }): string =>
      `${payment.orderId}/${payment.paymentId}`;
    return this.#all()
      .payments.filter((payment) => owned.has(payment.orderId) && isWithin(payment, query))
      .filter((payment) => status === undefined || payment.state === status)
      .filter((payment) => orderId === undefined || payment.orderId === orderId)
      .filter((payment) => before === undefined || place(payment) < place(before))
      .toSorted((one, other) => (place(one) < place(other) ? 1 : -1))
      .slice(0, limit);
  }

  #owned({ merchantId, mode, merchantOrderNumber: number }: ListQuery): readonly Order[] {
    return this.#all().orders.filter(
      (order) =>
        order.merchantId === merchantId &&
        order.mode === mode &&
        (number === undefined || order.merchantOrderNumber === number),
    );
  }
}

function isWithin({ createdAtMs }: { createdAtMs: number }, { fromMs, toMs }: ListQuery): boolean {
  return createdAtMs >= (fromMs ?? 0) && createdAtMs < (toMs ?? Number.POSITIVE_INFINITY);
}
