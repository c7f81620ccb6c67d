/** From the cart to the pay page: one key for each try, kept until the order is known. */
import type { ShopPlaced } from '@tapnpay/protocol/wire';
import { ApiError, api } from './api.ts';
import type { Cart, CartAction } from './cart.ts';
import { parseRecent, withRecent } from './recent-orders.ts';
import { RECENT_KEY, readStored, writeStored } from './storage.ts';

/** Remembers an order of this browser. */
export function rememberOrder(orderId: string): void {
  const list = withRecent(parseRecent(readStored(RECENT_KEY)), orderId);
  writeStored(RECENT_KEY, JSON.stringify(list));
}

/**
 * Orders what is in the cart. The key stays in the cart until the shop has answered, so that a
 * second click, a reload or a lost answer never makes a second order. @throws ApiError.
 */
export async function orderCart(
  cart: Cart,
  dispatch: (action: CartAction) => void,
): Promise<ShopPlaced> {
  const idempotencyKey = cart.key ?? crypto.randomUUID();
  dispatch({ type: 'begin', key: idempotencyKey });
  try {
    const placed = await api.checkout({ items: cart.lines, idempotencyKey });
    rememberOrder(placed.orderId);
    dispatch({ type: 'empty' });
    return placed;
  } catch (thrown) {
    const error = ApiError.of(thrown);
    const { orderId } = error.body.data;
    if (typeof orderId === 'string') rememberOrder(orderId);
    throw error;
  }
}

/** A pay page is a web page, whatever a server may answer. */
export function isWebAddress(url: string): boolean {
  return /^https?:$/.test(URL.parse(url)?.protocol ?? '');
}
