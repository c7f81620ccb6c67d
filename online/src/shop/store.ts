/**
 * What the shop keeps. Each method is one atomic durable step: when its promise resolves the change
 * survives a kill; when it rejects nothing of it happened or the caller must ask again.
 */
import type { ShopGoodsDraft, ShopOrderState } from '@tapnpay/protocol/wire';
import type {
  AttemptFacts,
  GatewayStatus,
  Goods,
  Incident,
  NotificationRecord,
  Order,
  OrderWithItems,
  StockMovement,
} from './model.ts';

/** A wish to order; price and name come from the goods. */
export type Reservation = Pick<
  Order,
  'orderId' | 'orderNumber' | 'currency' | 'origin' | 'createdAtMs' | 'nextCheckAtMs'
> & {
  readonly idempotencyKey: string;
  /** Of the request: the same key with another one is refused. */
  readonly fingerprint: string;
  /** Different goods, each once. */
  readonly items: readonly { readonly goodsId: string; readonly quantity: number }[];
};
export type ReserveResult =
  | { readonly kind: 'reserved' | 'replayed'; readonly order: OrderWithItems }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'notOnSale'; readonly goodsId: string }
  | { readonly kind: 'short'; readonly goodsId: string; readonly left: number };

/** The gateway knows the order from now on. */
export type Placement = {
  readonly orderId: string;
  readonly gatewayOrderId: string;
  readonly payUrl: string;
  readonly expiresAtMs: number;
  readonly nextCheckAtMs: number;
  readonly atMs: number;
};

/** News of an order: from the sweep with the version it looked at, or from a notification. */
export type Settlement = {
  readonly orderId: string;
  /** Only if the order has not changed since; null: in any case. */
  readonly version: number | null;
  /** Null: facts only. */
  readonly to: ShopOrderState | null;
  readonly gatewayStatus: GatewayStatus | null;
  readonly attempt: AttemptFacts | null;
  readonly notification: Omit<NotificationRecord, 'orderId' | 'effect'> | null;
  readonly nextCheckAtMs: number;
  readonly atMs: number;
};
export type SettleResult = {
  /**
   * `applied`: state or facts changed. `duplicate`, `stale`: a notification that is known or older
   * than what is known. `moved`: the order changed since `version`. `final`: nothing leaves this
   * state.
   */
  readonly kind: 'applied' | 'duplicate' | 'stale' | 'moved' | 'final';
  readonly order: OrderWithItems;
};

/** What the merchant asks of the list of orders. */
export type OrderQuery = {
  readonly state: ShopOrderState | null;
  /** Part of an order number, upper case. */
  readonly search: string;
  /** Only older ones. */
  readonly beforeMs: number | null;
  readonly limit: number;
};
export type OrderLine = Order & { readonly pieces: number; readonly hasIncident: boolean };
/** The history of one order. */
export type OrderTrail = {
  readonly movements: readonly StockMovement[];
  readonly notifications: readonly NotificationRecord[];
  readonly incidents: readonly Incident[];
};
export type GoodsFigures = { readonly reserved: number; readonly sold: number };
export type Totals = {
  readonly orders: Readonly<Record<ShopOrderState, number>>;
  readonly paidMinor: bigint;
};
/** An incident is told once for each `dedupe`. */
export type NewIncident = Omit<Incident, 'orderNumber'> & { readonly dedupe: string };
export type StockChange = {
  readonly goodsId: string;
  readonly delta: number;
  readonly note: string | null;
  readonly atMs: number;
};
export type Session = { readonly tokenHash: string; readonly expiresAtMs: number };

/** The shop's durable memory: PostgreSQL in service, maps in unit tests. */
export interface ShopStore {
  /** Into a shop that never had goods, else nothing. Whether it happened. */
  seedGoods(goods: readonly Goods[]): Promise<boolean>;
  /** All, in the order of the window. */
  listGoods(): Promise<readonly Goods[]>;
  findGoods(goodsId: string): Promise<Goods | null>;
  createGoods(goods: Goods): Promise<'created' | 'exists'>;
  /** Null: there is none. */
  editGoods(
    draft: Omit<ShopGoodsDraft, 'priceMinor'> & {
      readonly priceMinor: bigint;
      readonly version: number;
      readonly atMs: number;
    },
  ): Promise<Goods | 'changed' | null>;
  /** Never below zero nor above the limit; null: there is none. */
  changeStock(
    change: StockChange,
  ): Promise<{ readonly kind: 'changed' | 'short'; readonly goods: Goods } | null>;
  listMovements(goodsId: string, limit: number): Promise<readonly StockMovement[]>;
  /** Pieces in open and in paid orders, by goods. */
  goodsFigures(): Promise<ReadonlyMap<string, GoodsFigures>>;

  /** Takes the pieces from the stock and writes the order, or nothing of both. */
  reserve(reservation: Reservation): Promise<ReserveResult>;
  findOrder(orderId: string): Promise<OrderWithItems | null>;
  findOrderByNumber(orderNumber: string): Promise<OrderWithItems | null>;
  /** placing -> awaitingPayment; other states stay. Null: there is none. */
  placed(
    placement: Placement,
  ): Promise<{ readonly moved: boolean; readonly order: OrderWithItems } | null>;
  /** Order, reservation and notification change together. Null: there is no such order. */
  settle(settlement: Settlement): Promise<SettleResult | null>;
  /** Orders whose time to be asked about has come; each is leased and counted. */
  claimChecks(claim: {
    readonly nowMs: number;
    readonly leaseMs: number;
    readonly limit: number;
  }): Promise<readonly OrderWithItems[]>;
  /** Whether this order may be asked about now: not final, not asked since `nowMs - gapMs`. */
  claimCheck(orderId: string, nowMs: number, gapMs: number): Promise<boolean>;
  scheduleCheck(orderId: string, nextCheckAtMs: number): Promise<void>;

  addIncident(incident: NewIncident): Promise<boolean>;
  listIncidents(limit: number): Promise<readonly Incident[]>;
  listOrders(query: OrderQuery): Promise<readonly OrderLine[]>;
  orderTrail(orderId: string): Promise<OrderTrail>;
  totals(): Promise<Totals>;

  passwordHash(): Promise<string | null>;
  /** Keeps the first one. The one that is kept. */
  setPasswordHash(hash: string): Promise<string>;
  /** Also forgets sessions that have ended. */
  addSession(session: Session, nowMs: number): Promise<void>;
  hasSession(tokenHash: string, nowMs: number): Promise<boolean>;
  removeSession(tokenHash: string): Promise<void>;
  close(): Promise<void>;
}
