/** The cart: lives in the browser, knows goods and quantities only; prices come from the server. */
import { SHOP_LINES_MAX, SHOP_QUANTITY_MAX, type ShopGoods } from '@tapnpay/protocol/wire';

/** A line, and how many pieces. */
export type CartLine = { readonly goodsId: string; readonly quantity: number };
/** `key` belongs to the running try to order these lines; a change of the lines ends it. */
export type Cart = { readonly lines: readonly CartLine[]; readonly key: string | null };
export type CartAction =
  | { readonly type: 'add'; readonly goodsId: string; readonly quantity: number }
  | { readonly type: 'set'; readonly goodsId: string; readonly quantity: number }
  | { readonly type: 'begin'; readonly key: string }
  | { readonly type: 'empty' }
  /** Another tab changed it. */
  | { readonly type: 'load'; readonly cart: Cart };

export const EMPTY_CART: Cart = { lines: [], key: null };

/** The cart after an action; quantities stay within their limits, zero removes a line. */
export function cartReducer(cart: Cart, action: CartAction): Cart {
  switch (action.type) {
    case 'add': {
      const before = quantityOf(cart, action.goodsId);
      return withQuantity(cart, action.goodsId, before + action.quantity);
    }
    case 'set':
      return withQuantity(cart, action.goodsId, action.quantity);
    case 'begin':
      return cart.key === null ? { ...cart, key: action.key } : cart;
    case 'empty':
      return EMPTY_CART;
    case 'load':
      return action.cart;
  }
}

function withQuantity(cart: Cart, goodsId: string, wanted: number): Cart {
  if (!Number.isInteger(wanted)) return cart;
  const quantity = Math.min(Math.max(wanted, 0), SHOP_QUANTITY_MAX);
  const isThere = cart.lines.some((line) => line.goodsId === goodsId);
  if (quantityOf(cart, goodsId) === quantity) return cart;
  if (!isThere && cart.lines.length >= SHOP_LINES_MAX) return cart;
  const lines = isThere
    ? cart.lines.map((line) => (line.goodsId === goodsId ? { goodsId, quantity } : line))
    : [...cart.lines, { goodsId, quantity }];
  return { lines: lines.filter((line) => line.quantity > 0), key: null };
}

/** Pieces of one kind in the cart. */
export function quantityOf(cart: Cart, goodsId: string): number {
  return cart.lines.find((line) => line.goodsId === goodsId)?.quantity ?? 0;
}

/** All pieces. */
export function piecesOf(cart: Cart): number {
  return cart.lines.reduce((sum, { quantity }) => sum + quantity, 0);
}

/** A line with its goods, and what is wrong with it. */
export type ShownLine = {
  readonly goods: ShopGoods;
  readonly quantity: number;
  readonly sumMinor: string;
  /** More than there is. */
  readonly isShort: boolean;
};

/** The lines that the shop still sells, and their sum in minor units. */
export function shownCart(
  cart: Cart,
  goods: readonly ShopGoods[],
): {
  readonly lines: readonly ShownLine[];
  readonly totalMinor: string;
  readonly canOrder: boolean;
} {
  const lines = cart.lines.flatMap(({ goodsId, quantity }): readonly ShownLine[] => {
    const one = goods.find((candidate) => candidate.goodsId === goodsId);
    if (!one) return [];
    const sumMinor = String(BigInt(one.priceMinor) * BigInt(quantity));
    return [{ goods: one, quantity, sumMinor, isShort: quantity > one.stock }];
  });
  const total = lines.reduce((sum, { sumMinor }) => sum + BigInt(sumMinor), 0n);
  const canOrder = lines.length > 0 && lines.every(({ isShort }) => !isShort);
  return { lines, totalMinor: String(total), canOrder };
}

/** What a storage holds, or an empty cart: anybody may have written there. */
export function parseCart(text: string | null): Cart {
  const value = parseJson(text);
  if (!isRecord(value) || !Array.isArray(value['lines'])) return EMPTY_CART;
  const lines = value['lines'].filter(isLine).slice(0, SHOP_LINES_MAX);
  if (new Set(lines.map(({ goodsId }) => goodsId)).size !== lines.length) return EMPTY_CART;
  const key = value['key'];
  const isKey = typeof key === 'string' && /^[\w-]{16,64}$/.test(key);
  const plain = lines.map(({ goodsId, quantity }) => ({ goodsId, quantity }));
  return { lines: plain, key: isKey && plain.length > 0 ? key : null };
}

function isLine(value: unknown): value is CartLine {
  if (!isRecord(value)) return false;
  const { goodsId, quantity } = value;
  return (
    typeof goodsId === 'string' &&
    /^[a-z0-9][a-z0-9-]{0,39}$/.test(goodsId) &&
    Number.isInteger(quantity) &&
    Number(quantity) >= 1 &&
    Number(quantity) <= SHOP_QUANTITY_MAX
  );
}

function parseJson(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
