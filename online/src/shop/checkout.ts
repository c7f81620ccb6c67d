/** From a cart to an order with reserved stock: prices and names are the shop's own. */
import { createHash } from 'node:crypto';
import type { RandomSource } from '@tapnpay/protocol/bytes';
import { SHOP_LINES_MAX, SHOP_QUANTITY_MAX } from '@tapnpay/protocol/wire';
import { uuidv7 } from '../runtime/index.ts';
import { ShopError } from './errors.ts';
import { type OrderWithItems, SHOP_CURRENCY } from './model.ts';
import type { ShopPorts } from './ports.ts';

/** A line of a cart: no price, nobody would believe it. */
export type CartItem = { readonly goodsId: string; readonly quantity: number };

/** Letters and digits that are not mistaken for one another (Crockford). */
const NUMBER_LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const NUMBER_LETTERS_COUNT = 8;

/**
 * The order of this key, new or as it was made before.
 * @throws ShopError `ERR_CART`, `ERR_STOCK`, `ERR_GOODS_NOT_FOUND`, `ERR_IDEMPOTENCY_MISMATCH`.
 */
export async function openOrder(
  ports: ShopPorts,
  idempotencyKey: string,
  cart: readonly CartItem[],
): Promise<OrderWithItems> {
  if (!/^[\x21-\x7e]{16,64}$/.test(idempotencyKey)) {
    throw new ShopError('ERR_REQUEST', 'idempotencyKey is 16 to 64 visible characters');
  }
  assertCart(cart);
  const { store, clock, random, profile } = ports;
  const nowMs = clock.nowMs();
  const result = await store.reserve({
    orderId: uuidv7(clock, random),
    orderNumber: orderNumber(nowMs, random),
    currency: SHOP_CURRENCY,
    origin: profile.origin,
    createdAtMs: nowMs,
    // The buyer's own request places it now; the sweep only if that fails.
    nextCheckAtMs: nowMs + profile.checkLeaseMs,
    idempotencyKey,
    fingerprint: fingerprintOf(cart),
    items: cart,
  });
  switch (result.kind) {
    case 'reserved':
    case 'replayed':
      return result.order;
    case 'conflict':
      throw new ShopError('ERR_IDEMPOTENCY_MISMATCH', 'this key was used with another cart');
    case 'notOnSale':
      throw new ShopError('ERR_GOODS_NOT_FOUND', 'not on sale', { goodsId: result.goodsId });
    case 'short': {
      const { goodsId, left } = result;
      throw new ShopError('ERR_STOCK', `only ${left} of ${goodsId} left`, { goodsId, left });
    }
  }
}

function assertCart(cart: readonly CartItem[]): void {
  const ids = new Set(cart.map(({ goodsId }) => goodsId));
  if (cart.length === 0 || cart.length > SHOP_LINES_MAX || ids.size !== cart.length) {
    throw new ShopError('ERR_CART', `a cart holds 1 to ${SHOP_LINES_MAX} goods, each once`);
  }
  for (const { quantity } of cart) {
    if (Number.isInteger(quantity) && quantity >= 1 && quantity <= SHOP_QUANTITY_MAX) continue;
    throw new ShopError('ERR_CART', `a quantity is 1 to ${SHOP_QUANTITY_MAX}`);
  }
}

/** Independent of the order of the lines. */
function fingerprintOf(cart: readonly CartItem[]): string {
  const lines = cart.map(({ goodsId, quantity }) => `${goodsId}=${quantity}`).sort();
  return createHash('sha256').update(JSON.stringify(lines)).digest('hex');
}

/** `261125-7K2QX9MB`: the day in UTC, then 40 random bits. */
function orderNumber(nowMs: number, random: RandomSource): string {
  const day = new Date(nowMs).toISOString().slice(2, 10).replaceAll('-', '');
  const letters = [...random.bytes(NUMBER_LETTERS_COUNT)].map((byte) => NUMBER_LETTERS[byte & 31]);
  return `${day}-${letters.join('')}`;
}

/** The pay page while the gateway would take a payment, else null. */
export function payUrlOf(order: OrderWithItems): string | null {
  const isPayable = order.state === 'awaitingPayment' && order.gatewayStatus === 'open';
  return isPayable ? order.payUrl : null;
}
