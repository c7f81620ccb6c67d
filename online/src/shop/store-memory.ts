/** `ShopStore` in memory, for unit tests: each method is one synchronous step. */
import { SHOP_STOCK_MAX, type ShopOrderState } from '@tapnpay/protocol/wire';
import {
  type Goods,
  type Incident,
  isFinal,
  type NotificationRecord,
  ORDER_MOVES,
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

type Kept = { readonly fingerprint: string; readonly orderId: string };

/** The tables as maps; survives a simulated crash as long as the object is kept. */
export class MemoryShopStore implements ShopStore {
  readonly #goods = new Map<string, Goods>();
  readonly #orders = new Map<string, OrderWithItems>();
  readonly #keys = new Map<string, Kept>();
  readonly #movements: StockMovement[] = [];
  readonly #notifications = new Map<string, NotificationRecord>();
  readonly #incidents = new Map<string, Incident>();
  readonly #sessions = new Map<string, number>();
  #passwordHash: string | null = null;

  async seedGoods(goods: readonly Goods[]): Promise<boolean> {
    if (this.#goods.size > 0) return false;
    for (const one of goods) this.#open(one);
    return true;
  }

  async listGoods(): Promise<readonly Goods[]> {
    return [...this.#goods.values()].sort(
      (left, right) => left.position - right.position || (left.goodsId < right.goodsId ? -1 : 1),
    );
  }

  async findGoods(goodsId: string): Promise<Goods | null> {
    return this.#goods.get(goodsId) ?? null;
  }

  async createGoods(goods: Goods): Promise<'created' | 'exists'> {
    if (this.#goods.has(goods.goodsId)) return 'exists';
    this.#open(goods);
    return 'created';
  }

  async editGoods(draft: Parameters<ShopStore['editGoods']>[0]): Promise<Goods | 'changed' | null> {
    const goods = this.#goods.get(draft.goodsId);
    if (!goods) return null;
    if (goods.version !== draft.version) return 'changed';
    const { name, description, priceMinor, picture, isOnSale, atMs } = draft;
    const edited: Goods = {
      ...goods,
      ...{ name, description, priceMinor, picture, isOnSale },
      version: goods.version + 1,
      updatedAtMs: atMs,
    };
    this.#goods.set(edited.goodsId, edited);
    return edited;
  }

  async changeStock(
    change: StockChange,
  ): Promise<{ readonly kind: 'changed' | 'short'; readonly goods: Goods } | null> {
    const goods = this.#goods.get(change.goodsId);
    if (!goods) return null;
    const stock = goods.stock + change.delta;
    if (stock < 0 || stock > SHOP_STOCK_MAX) return { kind: 'short', goods };
    return { kind: 'changed', goods: this.#move('adjusted', change, null) };
  }

  async listMovements(goodsId: string, limit: number): Promise<readonly StockMovement[]> {
    return this.#movements
      .filter((movement) => movement.goodsId === goodsId)
      .reverse()
      .slice(0, limit);
  }

  async goodsFigures(): Promise<ReadonlyMap<string, GoodsFigures>> {
    const figures = new Map<string, GoodsFigures>();
    for (const { state, items } of this.#orders.values()) {
      for (const { goodsId, quantity } of items) {
        const { reserved, sold } = figures.get(goodsId) ?? { reserved: 0, sold: 0 };
        figures.set(goodsId, {
          reserved: reserved + (isFinal(state) ? 0 : quantity),
          sold: sold + (state === 'paid' ? quantity : 0),
        });
      }
    }
    return figures;
  }

  async reserve(reservation: Reservation): Promise<ReserveResult> {
    const { idempotencyKey, fingerprint, items } = reservation;
    const kept = this.#keys.get(idempotencyKey);
    if (kept && kept.fingerprint !== fingerprint) return { kind: 'conflict' };
    if (kept) return { kind: 'replayed', order: this.#require(kept.orderId) };
    const goods = items.flatMap(({ goodsId }) => this.#goods.get(goodsId) ?? []);
    const taken = takeFromStock(goods, reservation);
    if (taken.kind !== 'taken') return taken;
    const { order } = taken;
    this.#keys.set(idempotencyKey, { fingerprint, orderId: order.orderId });
    this.#orders.set(order.orderId, order);
    for (const { goodsId, quantity } of order.items) {
      const change = { goodsId, delta: -quantity, note: null, atMs: order.createdAtMs };
      this.#move('reserved', change, order);
    }
    return { kind: 'reserved', order };
  }

  async findOrder(orderId: string): Promise<OrderWithItems | null> {
    return this.#orders.get(orderId) ?? null;
  }

  async findOrderByNumber(orderNumber: string): Promise<OrderWithItems | null> {
    return [...this.#orders.values()].find((order) => order.orderNumber === orderNumber) ?? null;
  }

  async placed(
    placement: Placement,
  ): Promise<{ readonly moved: boolean; readonly order: OrderWithItems } | null> {
    const order = this.#orders.get(placement.orderId);
    if (!order) return null;
    if (order.state !== 'placing') return { moved: false, order };
    const { gatewayOrderId, payUrl, expiresAtMs, nextCheckAtMs, atMs } = placement;
    const placed: OrderWithItems = {
      ...order,
      ...{ gatewayOrderId, payUrl, expiresAtMs, nextCheckAtMs },
      state: 'awaitingPayment',
      gatewayStatus: 'open',
      version: order.version + 1,
      checks: 0,
      updatedAtMs: atMs,
    };
    this.#orders.set(order.orderId, placed);
    return { moved: true, order: placed };
  }

  async settle(settlement: Settlement): Promise<SettleResult | null> {
    const { orderId, notification, atMs } = settlement;
    const before = this.#orders.get(orderId);
    if (!before) return null;
    if (notification && this.#notifications.has(notification.webhookId)) {
      return { kind: 'duplicate', order: before };
    }
    const sequences = [...this.#notifications.values()]
      .filter((known) => known.orderId === orderId && known.paymentId === notification?.paymentId)
      .map(({ sequence }) => sequence);
    const plan = planSettlement(before, settlement, Math.max(0, ...sequences));
    if (notification) {
      const record = { ...notification, orderId, effect: plan.effect };
      this.#notifications.set(notification.webhookId, record);
    }
    if (plan.kind !== 'applied') return { kind: plan.kind, order: before };
    const order = { ...plan.order, items: before.items };
    this.#orders.set(orderId, order);
    if (plan.reservation !== 'kept') {
      for (const { goodsId, quantity } of order.items) {
        const delta = plan.reservation === 'released' ? quantity : 0;
        this.#move(plan.reservation, { goodsId, delta, note: null, atMs }, order);
      }
    }
    return { kind: 'applied', order };
  }

  async claimChecks(claim: {
    readonly nowMs: number;
    readonly leaseMs: number;
    readonly limit: number;
  }): Promise<readonly OrderWithItems[]> {
    const due = [...this.#orders.values()]
      .filter(({ nextCheckAtMs }) => nextCheckAtMs !== null && nextCheckAtMs <= claim.nowMs)
      .sort((left, right) => (left.nextCheckAtMs ?? 0) - (right.nextCheckAtMs ?? 0))
      .slice(0, claim.limit);
    return due.map((order) => {
      const claimed = {
        ...order,
        checks: order.checks + 1,
        nextCheckAtMs: claim.nowMs + claim.leaseMs,
        lastAskedAtMs: claim.nowMs,
      };
      this.#orders.set(order.orderId, claimed);
      return claimed;
    });
  }

  async claimCheck(orderId: string, nowMs: number, gapMs: number): Promise<boolean> {
    const order = this.#orders.get(orderId);
    if (!order || order.nextCheckAtMs === null || order.lastAskedAtMs > nowMs - gapMs) return false;
    this.#orders.set(orderId, { ...order, lastAskedAtMs: nowMs });
    return true;
  }

  async scheduleCheck(orderId: string, nextCheckAtMs: number): Promise<void> {
    const order = this.#orders.get(orderId);
    if (!order || order.nextCheckAtMs === null) return;
    this.#orders.set(orderId, { ...order, nextCheckAtMs });
  }

  async addIncident({ dedupe, ...incident }: NewIncident): Promise<boolean> {
    if (this.#incidents.has(dedupe)) return false;
    const order = incident.orderId === null ? undefined : this.#orders.get(incident.orderId);
    this.#incidents.set(dedupe, { ...incident, orderNumber: order?.orderNumber ?? null });
    return true;
  }

  async listIncidents(limit: number): Promise<readonly Incident[]> {
    return [...this.#incidents.values()].reverse().slice(0, limit);
  }

  async listOrders(query: OrderQuery): Promise<readonly OrderLine[]> {
    const { state, search, beforeMs, limit } = query;
    return [...this.#orders.values()]
      .filter((order) => state === null || order.state === state)
      .filter((order) => order.orderNumber.includes(search))
      .filter((order) => beforeMs === null || order.createdAtMs < beforeMs)
      .sort(
        (left, right) =>
          right.createdAtMs - left.createdAtMs || (left.orderId < right.orderId ? 1 : -1),
      )
      .slice(0, limit)
      .map(({ items, ...order }) => ({
        ...order,
        pieces: items.reduce((sum, { quantity }) => sum + quantity, 0),
        hasIncident: [...this.#incidents.values()].some(({ orderId }) => orderId === order.orderId),
      }));
  }

  async orderTrail(orderId: string): Promise<OrderTrail> {
    const ofOrder = (record: { readonly orderId: string | null }): boolean =>
      record.orderId === orderId;
    return {
      movements: this.#movements.filter(ofOrder),
      notifications: [...this.#notifications.values()].filter(ofOrder),
      incidents: [...this.#incidents.values()].filter(ofOrder),
    };
  }

  async totals(): Promise<Totals> {
    const orders = [...this.#orders.values()];
    const states = Object.keys(ORDER_MOVES) as ShopOrderState[];
    const counts = states.map(
      (state) => [state, orders.filter((order) => order.state === state).length] as const,
    );
    const paid = orders.filter(({ state }) => state === 'paid');
    return {
      orders: Object.fromEntries(counts) as Record<ShopOrderState, number>,
      paidMinor: paid.reduce((sum, { amountMinor }) => sum + amountMinor, 0n),
    };
  }

  async passwordHash(): Promise<string | null> {
    return this.#passwordHash;
  }

  async setPasswordHash(hash: string): Promise<string> {
    this.#passwordHash ??= hash;
    return this.#passwordHash;
  }

  async addSession(session: Session, nowMs: number): Promise<void> {
    for (const [hash, endMs] of this.#sessions) if (endMs <= nowMs) this.#sessions.delete(hash);
    this.#sessions.set(session.tokenHash, session.expiresAtMs);
  }

  async hasSession(tokenHash: string, nowMs: number): Promise<boolean> {
    return (this.#sessions.get(tokenHash) ?? 0) > nowMs;
  }

  async removeSession(tokenHash: string): Promise<void> {
    this.#sessions.delete(tokenHash);
  }

  async close(): Promise<void> {}

  #open(goods: Goods): void {
    this.#goods.set(goods.goodsId, { ...goods, stock: 0 });
    const { goodsId, stock, createdAtMs } = goods;
    this.#move('opening', { goodsId, delta: stock, note: null, atMs: createdAtMs }, null);
  }

  #move(kind: StockMovement['kind'], change: StockChange, order: OrderWithItems | null): Goods {
    const goods = this.#goods.get(change.goodsId);
    if (!goods) throw new Error(`no goods ${change.goodsId}`);
    const moved = { ...goods, stock: goods.stock + change.delta, updatedAtMs: change.atMs };
    this.#goods.set(goods.goodsId, moved);
    this.#movements.push({
      ...change,
      movementId: String(this.#movements.length + 1),
      kind,
      stockAfter: moved.stock,
      orderId: order?.orderId ?? null,
      orderNumber: order?.orderNumber ?? null,
    });
    return moved;
  }

  #require(orderId: string): OrderWithItems {
    const order = this.#orders.get(orderId);
    if (!order) throw new Error(`no order ${orderId}`);
    return order;
  }
}
