/** What the HTTP interface shows: amounts as text, card numbers masked. */
import type {
  ShopAdminGoods,
  ShopAdminOrder,
  ShopAdminOrderDetail,
  ShopAttempt,
  ShopGoods,
  ShopIncidentView,
  ShopNotificationView,
  ShopOrderItem,
  ShopOrderView,
  ShopStockMovement,
} from '@tapnpay/protocol/wire';
import { payUrlOf } from '../checkout.ts';
import {
  type Goods,
  type Incident,
  type NotificationRecord,
  type Order,
  type OrderItem,
  type OrderWithItems,
  SHOP_CURRENCY,
  type StockMovement,
} from '../model.ts';
import type { GoodsFigures, OrderLine, OrderTrail } from '../store.ts';

export function goodsView(goods: Goods): ShopGoods {
  const { goodsId, name, description, priceMinor, stock, picture } = goods;
  const price = { priceMinor: String(priceMinor), currency: SHOP_CURRENCY };
  return { goodsId, name, description, ...price, stock, picture };
}

export function adminGoodsView(goods: Goods, figures: GoodsFigures | undefined): ShopAdminGoods {
  const { isOnSale, version, updatedAtMs } = goods;
  const { reserved, sold } = figures ?? { reserved: 0, sold: 0 };
  return { ...goodsView(goods), isOnSale, reserved, sold, version, updatedAtMs };
}

function itemView({ goodsId, name, priceMinor, quantity, picture }: OrderItem): ShopOrderItem {
  return { goodsId, name, priceMinor: String(priceMinor), quantity, picture };
}

function attemptView({ outcome, responseCode, panMasked }: Order): ShopAttempt | null {
  return outcome === null ? null : { outcome, responseCode, panMasked };
}

/** An order for its buyer. */
export function orderView(order: OrderWithItems, nowMs: number): ShopOrderView {
  const { orderId, orderNumber, state, currency, createdAtMs, expiresAtMs, paidAtMs } = order;
  return {
    orderId,
    orderNumber,
    state,
    isProcessing: state === 'awaitingPayment' && order.gatewayStatus === 'processing',
    amountMinor: String(order.amountMinor),
    currency,
    items: order.items.map(itemView),
    payUrl: payUrlOf(order),
    receiptUrl: state === 'paid' ? order.payUrl : null,
    lastAttempt: attemptView(order),
    createdAtMs,
    expiresAtMs,
    paidAtMs,
    nowMs,
  };
}

export function adminOrderView(order: OrderLine): ShopAdminOrder {
  const { orderId, orderNumber, state, currency, createdAtMs, paidAtMs } = order;
  const { pieces, hasIncident } = order;
  const amountMinor = String(order.amountMinor);
  const head = { orderId, orderNumber, state, amountMinor, currency };
  return { ...head, pieces, createdAtMs, paidAtMs, hasIncident };
}

/** An order with its history. */
export function adminOrderDetail(order: OrderWithItems, trail: OrderTrail): ShopAdminOrderDetail {
  const pieces = order.items.reduce((sum, { quantity }) => sum + quantity, 0);
  const { gatewayOrderId, gatewayStatus, paymentId, checks, nextCheckAtMs } = order;
  return {
    ...adminOrderView({ ...order, pieces, hasIncident: trail.incidents.length > 0 }),
    items: order.items.map(itemView),
    ...{ gatewayOrderId, gatewayStatus, paymentId, checks, nextCheckAtMs },
    lastAttempt: attemptView(order),
    movements: trail.movements.map(movementView),
    notifications: trail.notifications.map(notificationView),
    incidents: trail.incidents.map(incidentView),
  };
}

export function movementView({ orderId: _orderId, ...shown }: StockMovement): ShopStockMovement {
  return shown;
}

export function incidentView({ orderId: _orderId, ...shown }: Incident): ShopIncidentView {
  return shown;
}

function notificationView(record: NotificationRecord): ShopNotificationView {
  const { webhookId, outcome, sequence, effect, atMs } = record;
  return { webhookId, outcome, sequence, effect, atMs };
}
