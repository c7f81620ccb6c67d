/** Coded faults of the shop: one table with HTTP status and text for people of each code. */
import { type ErrorData, TapError } from '@tapnpay/protocol/bytes';
import type { ShopErrorBody, ShopText } from '@tapnpay/protocol/wire';

/** Every code this folder throws. */
export type ShopErrorCode =
  | 'ERR_REQUEST'
  | 'ERR_CART'
  | 'ERR_HOST'
  | 'ERR_ORIGIN'
  | 'ERR_NOT_FOUND'
  | 'ERR_GOODS_NOT_FOUND'
  | 'ERR_GOODS_EXISTS'
  | 'ERR_GOODS_CHANGED'
  | 'ERR_STOCK'
  | 'ERR_ORDER_NOT_FOUND'
  | 'ERR_IDEMPOTENCY_MISMATCH'
  | 'ERR_GATEWAY_UNAVAILABLE'
  | 'ERR_GATEWAY_REFUSED'
  | 'ERR_ORDER_MISMATCH'
  | 'ERR_PAID_AFTER_RELEASE'
  | 'ERR_PAID_TWICE'
  | 'ERR_ORDER_PLACING'
  | 'ERR_SIGNATURE'
  | 'ERR_TIMESTAMP'
  | 'ERR_LOGIN'
  | 'ERR_LOGIN_NEEDED'
  | 'ERR_RATE'
  | 'ERR_BODY_TOO_LARGE'
  | 'ERR_PAGES'
  | 'ERR_INTERNAL';
type Entry = ShopText & { readonly status: number };

/** Code -> HTTP status and texts; `{name}` in a text is a fact of the fault. */
export const SHOP_ERRORS: Readonly<Record<ShopErrorCode, Entry>> = {
  ERR_REQUEST: {
    status: 400,
    zh: '提交的内容有误，请检查后重试。',
    en: 'Something in this request is not right. Please check it and try again.',
  },
  ERR_CART: {
    status: 400,
    zh: '购物车内容有误，请刷新页面后重试。',
    en: 'The cart is not valid. Please reload the page and try again.',
  },
  ERR_HOST: {
    status: 421,
    zh: '此地址不属于本店，请使用商城启动时显示的地址。',
    en: 'This address is not one of this shop. Use the one printed when the system started.',
  },
  ERR_ORIGIN: {
    status: 403,
    zh: '请求来自其他网站，已拒绝。请在本店页面中操作。',
    en: 'The request came from another site and was refused. Use the pages of this shop.',
  },
  ERR_NOT_FOUND: { status: 404, zh: '找不到这个页面。', en: 'There is no such page.' },
  ERR_GOODS_NOT_FOUND: {
    status: 404,
    zh: '该商品不存在或已下架，请选择其他商品。',
    en: 'This item does not exist or is no longer on sale. Choose another one.',
  },
  ERR_GOODS_EXISTS: {
    status: 409,
    zh: '商品编号已被占用，请换一个。',
    en: 'This item number is already in use. Choose another one.',
  },
  ERR_GOODS_CHANGED: {
    status: 409,
    zh: '该商品刚刚被修改过，请重新打开后再编辑。',
    en: 'Somebody else has just changed this item. Open it again and repeat your edit.',
  },
  ERR_STOCK: {
    status: 409,
    zh: '库存不足，仅剩 {left} 件。',
    en: 'Not enough in stock: only {left} left.',
  },
  ERR_ORDER_NOT_FOUND: {
    status: 404,
    zh: '找不到这个订单，请核对订单号。',
    en: 'There is no such order.',
  },
  ERR_IDEMPOTENCY_MISMATCH: {
    status: 422,
    zh: '这次提交与之前的不一致，请刷新页面后重新下单。',
    en: 'This order differs from the one sent before. Reload the page and order again.',
  },
  ERR_GATEWAY_UNAVAILABLE: {
    status: 503,
    zh: '支付系统暂时无法连接。订单与库存已保留，未扣款，请稍后重试。',
    en: 'The payment system cannot be reached. Your order is kept, nothing was charged; try again.',
  },
  ERR_GATEWAY_REFUSED: {
    status: 502,
    zh: '支付系统未接受该订单，未扣款。请联系本店处理。',
    en: 'The payment system did not accept this order. Nothing was charged; contact the shop.',
  },
  ERR_ORDER_MISMATCH: {
    status: 409,
    zh: '支付信息与订单不一致，已转人工核对，请勿重复支付。',
    en: 'The payment does not match the order. A person will check it; please do not pay again.',
  },
  ERR_PAID_AFTER_RELEASE: {
    status: 409,
    zh: '订单关闭后收到款项，已转人工处理。',
    en: 'A payment arrived after the order was closed. A person will deal with it.',
  },
  ERR_PAID_TWICE: {
    status: 409,
    zh: '同一订单收到两笔付款，已转人工处理。',
    en: 'Two payments arrived for one order. A person will deal with it.',
  },
  ERR_ORDER_PLACING: {
    status: 503,
    zh: '订单仍在提交中，请稍后重发通知。',
    en: 'The order is still being placed; send the notification again later.',
  },
  ERR_SIGNATURE: {
    status: 401,
    zh: '通知签名无效。',
    en: 'The signature of the notification is wrong.',
  },
  ERR_TIMESTAMP: {
    status: 401,
    zh: '通知时间超出允许范围。',
    en: 'The time of the notification is too far off.',
  },
  ERR_LOGIN: { status: 401, zh: '密码不正确，请重试。', en: 'The password is wrong. Try again.' },
  ERR_LOGIN_NEEDED: { status: 401, zh: '请先登录。', en: 'Please sign in first.' },
  ERR_RATE: {
    status: 429,
    zh: '尝试次数过多，请 {seconds} 秒后再试。',
    en: 'Too many tries. Wait {seconds} seconds, then try again.',
  },
  ERR_BODY_TOO_LARGE: {
    status: 413,
    zh: '提交的内容过长，请缩短。',
    en: 'The request is too long. Shorten it.',
  },
  ERR_PAGES: {
    status: 503,
    zh: '页面尚未构建，请运行 node web/build.ts。',
    en: 'The pages are not built yet. Run node web/build.ts.',
  },
  ERR_INTERNAL: {
    status: 500,
    zh: '系统出错，请稍后重试。',
    en: 'Something went wrong on our side. Please try again later.',
  },
};

/** A request, notification or peer the shop refuses; `code` is what callers test. */
export class ShopError extends TapError<ShopErrorCode> {}

/** HTTP status of a code. */
export function httpStatusOf(code: ShopErrorCode): number {
  return SHOP_ERRORS[code].status;
}

/** The crossing form with the texts for people. */
export function shopErrorBody(fault: ShopError): ShopErrorBody {
  const { zh, en } = SHOP_ERRORS[fault.code];
  const texts = { zh: fillIn(zh, fault.data), en: fillIn(en, fault.data) };
  return { ...fault.toJSON(), texts };
}

function fillIn(text: string, data: ErrorData): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(data[name] ?? ''));
}
