/** Shapes of what browsers send. */
import {
  SHOP_LINES_MAX,
  SHOP_PRICE_MINOR_MAX,
  SHOP_QUANTITY_MAX,
  SHOP_STOCK_MAX,
  type ShopCheckout,
  type ShopOrderState,
} from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { ShopError } from '../errors.ts';
import { type Goods, ORDER_MOVES } from '../model.ts';

const goodsId = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'is a-z, 0-9 and -');
const line = (max: number): z.ZodString => z.string().trim().min(1).max(max);
const texts = (max: number) => z.strictObject({ zh: line(max), en: line(max) });
const stock = z.number().int().min(0).max(SHOP_STOCK_MAX);
const draft = {
  name: texts(60),
  description: texts(400),
  priceMinor: z
    .string()
    .regex(/^[0-9]{1,8}$/)
    .transform(BigInt)
    .refine((value) => value >= 1n && value <= BigInt(SHOP_PRICE_MINOR_MAX), 'is out of range'),
  picture: z.string().regex(/^[a-z0-9-]{1,40}$/),
  isOnSale: z.boolean(),
};
const states = Object.keys(ORDER_MOVES) as [ShopOrderState, ...ShopOrderState[]];

const checkoutSchema = z.strictObject({
  idempotencyKey: z.string(),
  items: z
    .array(z.strictObject({ goodsId, quantity: z.number().int().min(1).max(SHOP_QUANTITY_MAX) }))
    .min(1)
    .max(SHOP_LINES_MAX),
});
const orderIdSchema = z.object({ orderId: z.uuid() });
const goodsIdSchema = z.object({ goodsId });
const loginSchema = z.strictObject({ password: z.string().min(1).max(256) });
const newGoodsSchema = z.strictObject({ goodsId, ...draft, stock });
const editGoodsSchema = z.strictObject({ ...draft, version: z.number().int().min(1) });
const stockSchema = z.strictObject({
  delta: z
    .number()
    .int()
    .min(-SHOP_STOCK_MAX)
    .max(SHOP_STOCK_MAX)
    .refine((value) => value !== 0, 'is not zero'),
  note: z.string().trim().max(120),
});
const orderQuerySchema = z.object({
  state: z.enum(states).optional(),
  search: z
    .string()
    .max(32)
    .regex(/^[0-9A-Za-z-]*$/)
    .default(''),
  beforeMs: z.coerce.number().int().positive().optional(),
});

/** What the merchant writes about goods. */
type Written = Pick<Goods, 'name' | 'description' | 'priceMinor' | 'picture' | 'isOnSale'>;

/** @throws ShopError `ERR_CART`. */
export function parseCheckout(value: unknown): ShopCheckout {
  return parse(checkoutSchema, value, 'ERR_CART');
}

/** @throws ShopError `ERR_ORDER_NOT_FOUND`: what is no order id is no order's. */
export function parseOrderId(params: unknown): string {
  return parse(orderIdSchema, params, 'ERR_ORDER_NOT_FOUND').orderId;
}

/** @throws ShopError `ERR_GOODS_NOT_FOUND`. */
export function parseGoodsId(params: unknown): string {
  return parse(goodsIdSchema, params, 'ERR_GOODS_NOT_FOUND').goodsId;
}

/** @throws ShopError `ERR_REQUEST`. */
export function parsePassword(value: unknown): string {
  return parse(loginSchema, value).password;
}

/** @throws ShopError `ERR_REQUEST`. */
export function parseNewGoods(value: unknown): Written & Pick<Goods, 'goodsId' | 'stock'> {
  return parse(newGoodsSchema, value);
}

/** @throws ShopError `ERR_REQUEST`. */
export function parseEdit(value: unknown): Written & Pick<Goods, 'version'> {
  return parse(editGoodsSchema, value);
}

/** @throws ShopError `ERR_REQUEST`. */
export function parseStockChange(value: unknown): {
  readonly delta: number;
  readonly note: string;
} {
  return parse(stockSchema, value);
}

/** @throws ShopError `ERR_REQUEST`. */
export function parseOrderQuery(query: unknown): {
  readonly state?: ShopOrderState | undefined;
  readonly search: string;
  readonly beforeMs?: number | undefined;
} {
  return parse(orderQuerySchema, query);
}

/** The checked value. @throws ShopError naming the first wrong field, never its value. */
function parse<T>(
  schema: z.ZodType<T>,
  value: unknown,
  code: 'ERR_REQUEST' | 'ERR_CART' | 'ERR_ORDER_NOT_FOUND' | 'ERR_GOODS_NOT_FOUND' = 'ERR_REQUEST',
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.join('.') || 'body';
  throw new ShopError(code, `${field}: ${issue?.message ?? 'is wrong'}`, { field });
}
