/** Coded faults of the gateway: one table of status, texts in two languages and what to do. */
import { TapError } from '@tapnpay/protocol/bytes';
import { ELEMENT_ERRORS } from './elements/errors.ts';
import { OPERATION_ERRORS } from './operations/errors.ts';
import { PLUGIN_ERRORS } from './plugin/errors.ts';
import { SETTLEMENT_ERRORS } from './settlement/errors.ts';

/** A text in both languages. */
export type BothTexts = { readonly en: string; readonly zh: string };
/** What a code means to the one who gets it. */
export type ErrorText = {
  /** HTTP status; faults inside the channel carry the code alone. */
  readonly status: number;
  /** The same for every fault of this code; names no value. */
  readonly text: BothTexts;
  readonly remedy: BothTexts;
};

const BASE_ERRORS = {
  ERR_REQUEST: {
    status: 400,
    text: { en: 'The request has not the form of this route.', zh: '请求格式不符合该接口。' },
    remedy: {
      en: 'Correct the field that `fieldPath` names.',
      zh: '请更正 fieldPath 指出的字段。',
    },
  },
  ERR_AMOUNT: {
    status: 400,
    text: {
      en: 'The amount is not positive decimal text in the digits of its currency.',
      zh: '金额必须是符合币种小数位的正数文本。',
    },
    remedy: {
      en: 'Send text such as "12.34", at most 12 digits, never rounded.',
      zh: '请发送如 "12.34" 的文本，最多 12 位数字，不作舍入。',
    },
  },
  ERR_CURRENCY: {
    status: 400,
    text: {
      en: 'The currency is no known ISO 4217 number.',
      zh: '币种不是已知的 ISO 4217 数字代码。',
    },
    remedy: { en: 'Send three digits such as "156".', zh: '请发送三位数字，例如 "156"。' },
  },
  ERR_NOTIFY_URL: {
    status: 400,
    text: { en: 'Notifications may not go to this address.', zh: '通知地址不被允许。' },
    remedy: {
      en: 'Give an http or https URL without credentials that may be reached.',
      zh: '请提供可访问且不含账号密码的 http 或 https 地址。',
    },
  },
  ERR_RETURN_URL: {
    status: 400,
    text: { en: 'The return address is no web address.', zh: '返回地址不是有效网址。' },
    remedy: {
      en: 'Give an http or https URL without credentials.',
      zh: '请提供不含账号密码的 http 或 https 地址。',
    },
  },
  ERR_IDEMPOTENCY_KEY: {
    status: 400,
    text: {
      en: 'The Idempotency-Key header is missing or malformed.',
      zh: '缺少 Idempotency-Key 请求头或其格式错误。',
    },
    remedy: {
      en: 'Send 1 to 255 visible characters, a new key for each new intent.',
      zh: '请发送 1 至 255 个可见字符，每个新意图使用新的键。',
    },
  },
  ERR_LAB_ONLY: {
    status: 400,
    text: { en: 'Faults exist only in a laboratory.', zh: '故障注入仅限实验环境。' },
    remedy: { en: 'Leave `lab` out.', zh: '请去掉 lab 字段。' },
  },
  ERR_CURSOR: {
    status: 400,
    text: { en: 'The page cursor is not one of this list.', zh: '分页游标不属于该列表。' },
    remedy: {
      en: 'Send `nextCursor` of the page before, unchanged, with the same filters.',
      zh: '请原样发送上一页的 nextCursor，并保持相同的筛选条件。',
    },
  },
  ERR_UNAUTHORIZED: {
    status: 401,
    text: { en: 'The API key is missing, wrong or revoked.', zh: 'API 密钥缺失、错误或已吊销。' },
    remedy: {
      en: 'Send `Authorization: Bearer` and a key that is in use.',
      zh: '请在 Authorization: Bearer 中发送有效密钥。',
    },
  },
  ERR_ROLE: {
    status: 403,
    text: {
      en: 'The role of this API key does not allow the call.',
      zh: '该 API 密钥的角色无权调用此接口。',
    },
    remedy: { en: 'Use a key of a role that the route names.', zh: '请使用接口要求的角色的密钥。' },
  },
  ERR_LIVE_MODE: {
    status: 403,
    text: {
      en: 'Live mode is closed while the installation holds LAB keys only.',
      zh: '系统仅有实验密钥（LAB），生产模式未开放。',
    },
    remedy: { en: 'Use a key of test mode.', zh: '请使用测试模式的密钥。' },
  },
  ERR_MERCHANT_CLOSED: {
    status: 403,
    text: { en: 'The merchant is suspended.', zh: '商户已停用。' },
    remedy: { en: 'Ask the operator.', zh: '请联系运营方。' },
  },
  ERR_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such route.', zh: '接口不存在。' },
    remedy: { en: 'Compare method and path with this page.', zh: '请对照本页检查方法与路径。' },
  },
  ERR_ORDER_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such order.', zh: '订单不存在。' },
    remedy: {
      en: 'Check the order id, and that key and order are of one merchant and mode.',
      zh: '请检查订单号，并确认密钥与订单属于同一商户和模式。',
    },
  },
  ERR_PAYMENT_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such payment.', zh: '支付不存在。' },
    remedy: {
      en: 'Check the payment id, and that key and payment are of one merchant and mode.',
      zh: '请检查支付号，并确认密钥与支付属于同一商户和模式。',
    },
  },
  ERR_MERCHANT_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such merchant.', zh: '商户不存在。' },
    remedy: { en: 'Check the merchant number.', zh: '请检查商户号。' },
  },
  ERR_KEY_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such API key.', zh: 'API 密钥不存在。' },
    remedy: {
      en: 'Check the key id: 12 characters, not the whole key.',
      zh: '请检查密钥编号：12 个字符，而非完整密钥。',
    },
  },
  ERR_ORDER_PAID: {
    status: 409,
    text: { en: 'The order is already paid.', zh: '订单已支付。' },
    remedy: { en: 'Read the order; nothing more is due.', zh: '请查询订单，无需再支付。' },
  },
  ERR_ORDER_BUSY: {
    status: 409,
    text: { en: 'Another payment of the order is under way.', zh: '订单正在支付中。' },
    remedy: { en: 'Read the order again a little later.', zh: '请稍后再查询订单。' },
  },
  ERR_ORDER_UNKNOWN: {
    status: 409,
    text: {
      en: 'The last payment of the order has no final answer yet.',
      zh: '订单的上一笔支付尚无最终结果。',
    },
    remedy: {
      en: 'Wait for the notification or read the order again; never pay it elsewhere.',
      zh: '请等待通知或再次查询订单，切勿另行支付。',
    },
  },
  ERR_ORDER_CANCELLED: {
    status: 409,
    text: { en: 'The order was cancelled.', zh: '订单已取消。' },
    remedy: { en: 'Make a new order.', zh: '请新建订单。' },
  },
  ERR_ORDER_EXPIRED: {
    status: 409,
    text: { en: 'The order has expired.', zh: '订单已过期。' },
    remedy: { en: 'Make a new order.', zh: '请新建订单。' },
  },
  ERR_ELEMENT_EXISTS: {
    status: 409,
    text: { en: 'An element of this name is enrolled already.', zh: '同名安全单元已注册。' },
    remedy: { en: 'Enrol under another element id.', zh: '请使用其他安全单元编号注册。' },
  },
  ERR_MERCHANT_EXISTS: {
    status: 409,
    text: {
      en: 'A merchant of this number or terminal exists already.',
      zh: '商户号或终端号已存在。',
    },
    remedy: { en: 'Choose another number.', zh: '请选择其他编号。' },
  },
  ERR_IDEMPOTENCY_IN_FLIGHT: {
    status: 409,
    text: {
      en: 'The first request with this Idempotency-Key is still running.',
      zh: '使用该 Idempotency-Key 的首个请求仍在处理。',
    },
    remedy: {
      en: 'Repeat the same request with the same key after `retry-after`.',
      zh: '请在 retry-after 之后用相同的键重发相同请求。',
    },
  },
  ERR_BODY_TOO_LARGE: {
    status: 413,
    text: { en: 'The body is too long.', zh: '请求体过长。' },
    remedy: { en: 'Send less.', zh: '请缩短请求体。' },
  },
  ERR_IDEMPOTENCY_MISMATCH: {
    status: 422,
    text: {
      en: 'This Idempotency-Key was used with another request.',
      zh: '该 Idempotency-Key 已用于其他请求。',
    },
    remedy: { en: 'Use a new key for a new intent.', zh: '新的意图请使用新的键。' },
  },
  ERR_ORIGIN: {
    status: 403,
    text: { en: 'Only a page of this gateway may do this.', zh: '仅限本网关页面调用。' },
    remedy: { en: 'Open the page of the gateway.', zh: '请打开网关页面。' },
  },
  ERR_HOST: {
    status: 421,
    text: { en: 'The gateway is not known under this name.', zh: '网关不使用该主机名。' },
    remedy: { en: 'Use the address that the operator gave.', zh: '请使用运营方提供的地址。' },
  },
  ERR_PAIRING_CODE: {
    status: 403,
    text: { en: 'The pairing code is wrong, used or expired.', zh: '配对码错误、已使用或已过期。' },
    remedy: { en: 'Ask the operator for a new one.', zh: '请向运营方索取新的配对码。' },
  },
  ERR_PROOF_OF_POSSESSION: {
    status: 403,
    text: {
      en: 'The element did not prove that it holds its key.',
      zh: '安全单元未能证明持有其密钥。',
    },
    remedy: { en: 'Sign the enrolment with the enrolled key.', zh: '请用所注册的密钥签名。' },
  },
  ERR_CHANNEL_STATE: {
    status: 400,
    text: {
      en: 'The message does not fit this moment of the channel.',
      zh: '该消息与通道当前状态不符。',
    },
    remedy: { en: 'Open a new channel.', zh: '请重新建立通道。' },
  },
  ERR_CHANNEL_VERSION: {
    status: 400,
    text: { en: 'The channel speaks another version.', zh: '通道版本不一致。' },
    remedy: { en: 'Update the application.', zh: '请更新应用。' },
  },
  ERR_CHANNEL_LOST: {
    status: 400,
    text: { en: 'The channel has ended.', zh: '通道已断开。' },
    remedy: { en: 'Read the order, then try again.', zh: '请先查询订单再重试。' },
  },
  ERR_ELEMENT_UNKNOWN: {
    status: 403,
    text: { en: 'The element is not enrolled.', zh: '安全单元未注册。' },
    remedy: { en: 'Enrol it.', zh: '请先注册。' },
  },
  ERR_ELEMENT_LOCKED: {
    status: 403,
    text: { en: 'The element is locked.', zh: '安全单元已锁定。' },
    remedy: { en: 'Ask the operator.', zh: '请联系运营方。' },
  },
  ERR_ORDER_UNSIGNED: {
    status: 400,
    text: { en: 'The order was not signed on this channel.', zh: '订单未在该通道上签发。' },
    remedy: { en: 'Ask for the order first.', zh: '请先获取订单。' },
  },
  ERR_ORDER_STALE: {
    status: 400,
    text: { en: 'The signed order is too old.', zh: '签发的订单已过时。' },
    remedy: { en: 'Ask for the order again.', zh: '请重新获取订单。' },
  },
  ERR_PAYMENT_SIGNATURE: {
    status: 403,
    text: { en: "The payment's signature is wrong.", zh: '支付签名错误。' },
    remedy: { en: 'Start the payment again.', zh: '请重新发起支付。' },
  },
  ERR_PAYMENT_FIELD: {
    status: 400,
    text: { en: 'A field of the payment is wrong.', zh: '支付数据字段错误。' },
    remedy: { en: 'Start the payment again.', zh: '请重新发起支付。' },
  },
  ERR_PAYMENT_AMOUNT: {
    status: 400,
    text: {
      en: 'The card signed another amount than the order has.',
      zh: '卡片签名金额与订单不符。',
    },
    remedy: { en: 'Start the payment again.', zh: '请重新发起支付。' },
  },
  ERR_PAYMENT_STATE: {
    status: 409,
    text: {
      en: 'The payment is not in a state that allows this.',
      zh: '支付当前状态不允许该操作。',
    },
    remedy: { en: 'Read the payment.', zh: '请查询支付。' },
  },
  ERR_PIN_KSN: {
    status: 403,
    text: { en: 'The PIN counter was used before.', zh: '密码计数器重复。' },
    remedy: {
      en: 'The element may be a copy: ask the operator.',
      zh: '安全单元可能被复制，请联系运营方。',
    },
  },
  ERR_TRACE_NUMBER: {
    status: 409,
    text: { en: 'The trace number was used before.', zh: '流水号重复。' },
    remedy: { en: 'Start the payment again.', zh: '请重新发起支付。' },
  },
  ERR_RATE: {
    status: 429,
    text: { en: 'Too many requests.', zh: '请求过于频繁。' },
    remedy: { en: 'Wait for `retry-after` seconds.', zh: '请等待 retry-after 所示秒数。' },
  },
  ERR_BRIDGE_LIMIT: {
    status: 503,
    text: { en: 'Too many channels are open.', zh: '打开的通道过多。' },
    remedy: { en: 'Try again a little later.', zh: '请稍后重试。' },
  },
  ERR_PAGES_MISSING: {
    status: 503,
    text: { en: 'The page is not built.', zh: '页面尚未构建。' },
    remedy: { en: 'Build the pages and start again.', zh: '请构建页面后重新启动。' },
  },
  ERR_SWITCH_UNAVAILABLE: {
    status: 503,
    text: { en: 'The switch cannot be reached.', zh: '交换中心不可达。' },
    remedy: {
      en: 'Try again a little later; nothing was charged.',
      zh: '请稍后重试，未发生扣款。',
    },
  },
  ERR_HSM_UNAVAILABLE: {
    status: 503,
    text: { en: 'The HSM cannot be reached.', zh: '加密机不可达。' },
    remedy: {
      en: 'Try again a little later; nothing was charged.',
      zh: '请稍后重试，未发生扣款。',
    },
  },
  ERR_INTERNAL: {
    status: 500,
    text: { en: 'Something in the gateway is broken.', zh: '网关内部故障。' },
    remedy: {
      en: 'Repeat with the same Idempotency-Key; tell the operator the `instance`.',
      zh: '请用相同的 Idempotency-Key 重试，并将 instance 告知运营方。',
    },
  },
} as const;

/** Every code this folder throws. */
export type GatewayErrorCode =
  | keyof typeof BASE_ERRORS
  | keyof typeof ELEMENT_ERRORS
  | keyof typeof OPERATION_ERRORS
  | keyof typeof PLUGIN_ERRORS
  | keyof typeof SETTLEMENT_ERRORS;

/** Code -> status and texts. The documentation page and the OpenAPI document are made from it. */
export const GATEWAY_ERRORS: Readonly<Record<GatewayErrorCode, ErrorText>> = {
  ...BASE_ERRORS,
  ...ELEMENT_ERRORS,
  ...OPERATION_ERRORS,
  ...PLUGIN_ERRORS,
  ...SETTLEMENT_ERRORS,
};

/** A request, message or peer the gateway refuses; `code` is what callers test. */
export class GatewayError extends TapError<GatewayErrorCode> {}

/** The row of a code; foreign codes are the server's own fault. */
export function errorTextOf(code: string): ErrorText {
  return isErrorCode(code) ? GATEWAY_ERRORS[code] : GATEWAY_ERRORS.ERR_INTERNAL;
}

/** Whether a code is one of the table. */
export function isErrorCode(code: string): code is GatewayErrorCode {
  return Object.hasOwn(GATEWAY_ERRORS, code);
}

/** HTTP status of a code. */
export function httpStatusOf(code: string): number {
  return errorTextOf(code).status;
}
