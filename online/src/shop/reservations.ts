/** Whether goods can be ordered, and the order that this makes: one pure rule for both stores. */
import { amountOf, type Goods, type OrderItem, type OrderWithItems } from './model.ts';
import type { Reservation, ReserveResult } from './store.ts';

/** The new order, or why there is none. `goods` are those of the reservation, as they are now. */
export function takeFromStock(
  goods: readonly Goods[],
  reservation: Reservation,
): { readonly kind: 'taken'; readonly order: OrderWithItems } | ReserveResult {
  const items: OrderItem[] = [];
  for (const { goodsId, quantity } of reservation.items) {
    const one = goods.find((candidate) => candidate.goodsId === goodsId);
    if (!one?.isOnSale) return { kind: 'notOnSale', goodsId };
    if (one.stock < quantity) return { kind: 'short', goodsId, left: one.stock };
    const { name, picture, priceMinor } = one;
    items.push({ goodsId, name, picture, priceMinor, quantity });
  }
  const { orderId, orderNumber, currency, origin, createdAtMs, nextCheckAtMs } = reservation;
  const order: OrderWithItems = {
    orderId,
    orderNumber,
    state: 'placing',
    amountMinor: amountOf(items),
    currency,
    origin,
    gatewayOrderId: null,
    gatewayStatus: null,
    payUrl: null,
    expiresAtMs: null,
    paymentId: null,
    outcome: null,
    responseCode: null,
    panMasked: null,
    version: 1,
    checks: 0,
    nextCheckAtMs,
    lastAskedAtMs: 0,
    createdAtMs,
    updatedAtMs: createdAtMs,
    paidAtMs: null,
    items,
  };
  return { kind: 'taken', order };
}
