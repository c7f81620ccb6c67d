/** Rows of the shop's tables as its facts, and the reverse. */
import type { ShopOrderState } from '@tapnpay/protocol/wire';
import type {
  GatewayStatus,
  Goods,
  Incident,
  NotificationRecord,
  Order,
  OrderItem,
  OrderWithItems,
  StockMovement,
} from './model.ts';

export type GoodsRow = {
  readonly goods_id: string;
  readonly name_zh: string;
  readonly name_en: string;
  readonly description_zh: string;
  readonly description_en: string;
  readonly price_minor: bigint;
  readonly stock: number;
  readonly picture: string;
  readonly is_on_sale: boolean;
  readonly position: number;
  readonly version: number;
  readonly created_at_ms: bigint;
  readonly updated_at_ms: bigint;
};

export function goodsOf(row: GoodsRow): Goods {
  return {
    goodsId: row.goods_id,
    name: { zh: row.name_zh, en: row.name_en },
    description: { zh: row.description_zh, en: row.description_en },
    priceMinor: row.price_minor,
    stock: row.stock,
    picture: row.picture,
    isOnSale: row.is_on_sale,
    position: row.position,
    version: row.version,
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
  };
}

/** In the order of the columns of `goods`. */
export function goodsValues(goods: Goods): readonly unknown[] {
  return [
    goods.goodsId,
    goods.name.zh,
    goods.name.en,
    goods.description.zh,
    goods.description.en,
    goods.priceMinor,
    goods.stock,
    goods.picture,
    goods.isOnSale,
    goods.position,
    goods.version,
    goods.createdAtMs,
    goods.updatedAtMs,
  ];
}

export type ItemRow = {
  readonly order_id: string;
  readonly goods_id: string;
  readonly name_zh: string;
  readonly name_en: string;
  readonly picture: string;
  readonly price_minor: bigint;
  readonly quantity: number;
};

export function itemOf(row: ItemRow): OrderItem {
  return {
    goodsId: row.goods_id,
    name: { zh: row.name_zh, en: row.name_en },
    picture: row.picture,
    priceMinor: row.price_minor,
    quantity: row.quantity,
  };
}

export type OrderRow = {
  readonly order_id: string;
  readonly order_number: string;
  readonly fingerprint: string;
  readonly state: ShopOrderState;
  readonly amount_minor: bigint;
  readonly currency: string;
  readonly origin: string;
  readonly gateway_order_id: string | null;
  readonly gateway_status: GatewayStatus | null;
  readonly pay_url: string | null;
  readonly expires_at_ms: bigint | null;
  readonly payment_id: string | null;
  readonly outcome: string | null;
  readonly response_code: string | null;
  readonly pan_masked: string | null;
  readonly version: number;
  readonly checks: number;
  readonly next_check_at_ms: bigint | null;
  readonly last_asked_at_ms: bigint;
  readonly created_at_ms: bigint;
  readonly updated_at_ms: bigint;
  readonly paid_at_ms: bigint | null;
};

export function orderOf(row: OrderRow): Order {
  return {
    orderId: row.order_id,
    orderNumber: row.order_number,
    state: row.state,
    amountMinor: row.amount_minor,
    currency: row.currency,
    origin: row.origin,
    gatewayOrderId: row.gateway_order_id,
    gatewayStatus: row.gateway_status,
    payUrl: row.pay_url,
    expiresAtMs: instantOf(row.expires_at_ms),
    paymentId: row.payment_id,
    outcome: row.outcome,
    responseCode: row.response_code,
    panMasked: row.pan_masked,
    version: row.version,
    checks: row.checks,
    nextCheckAtMs: instantOf(row.next_check_at_ms),
    lastAskedAtMs: Number(row.last_asked_at_ms),
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
    paidAtMs: instantOf(row.paid_at_ms),
  };
}

/** Orders with their lines, in the order of `orders`. */
export function withItems(
  orders: readonly OrderRow[],
  items: readonly ItemRow[],
): readonly OrderWithItems[] {
  return orders.map((row) => ({
    ...orderOf(row),
    items: items.filter(({ order_id }) => order_id === row.order_id).map(itemOf),
  }));
}

export type MovementRow = {
  readonly movement_id: bigint;
  readonly goods_id: string;
  readonly kind: StockMovement['kind'];
  readonly delta: number;
  readonly stock_after: number;
  readonly order_id: string | null;
  readonly order_number: string | null;
  readonly note: string | null;
  readonly at_ms: bigint;
};

export function movementOf(row: MovementRow): StockMovement {
  return {
    movementId: String(row.movement_id),
    goodsId: row.goods_id,
    kind: row.kind,
    delta: row.delta,
    stockAfter: row.stock_after,
    orderId: row.order_id,
    orderNumber: row.order_number,
    note: row.note,
    atMs: Number(row.at_ms),
  };
}

export type NotificationRow = {
  readonly webhook_id: string;
  readonly order_id: string;
  readonly payment_id: string;
  readonly sequence: number;
  readonly outcome: string;
  readonly effect: NotificationRecord['effect'];
  readonly at_ms: bigint;
};

export function notificationOf(row: NotificationRow): NotificationRecord {
  return {
    webhookId: row.webhook_id,
    orderId: row.order_id,
    paymentId: row.payment_id,
    sequence: row.sequence,
    outcome: row.outcome,
    effect: row.effect,
    atMs: Number(row.at_ms),
  };
}

export type IncidentRow = {
  readonly incident_id: string;
  readonly order_id: string | null;
  readonly order_number: string | null;
  readonly code: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly at_ms: bigint;
};

export function incidentOf(row: IncidentRow): Incident {
  return {
    incidentId: row.incident_id,
    orderId: row.order_id,
    orderNumber: row.order_number,
    code: row.code,
    facts: row.facts,
    atMs: Number(row.at_ms),
  };
}

function instantOf(value: bigint | null): number | null {
  return value === null ? null : Number(value);
}
