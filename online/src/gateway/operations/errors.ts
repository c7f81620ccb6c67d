/** Coded refusals of captures, voids, refunds and webhook endpoints, as rows of the one table. */

/** Code -> status and texts. */
export const OPERATION_ERRORS = {
  ERR_OPERATION_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such operation.', zh: '操作不存在。' },
    remedy: {
      en: 'Check the operation id, and that key and payment are of one merchant and mode.',
      zh: '请检查操作号，并确认密钥与支付属于同一商户和模式。',
    },
  },
  ERR_OPERATION_PENDING: {
    status: 409,
    text: {
      en: 'Another operation on this payment has no final answer yet.',
      zh: '该支付有其他操作尚无最终结果。',
    },
    remedy: { en: 'Read the payment again a little later.', zh: '请稍后再查询支付。' },
  },
  ERR_CAPTURE_EXISTS: {
    status: 409,
    text: {
      en: 'The payment is captured already, or being captured, with another amount.',
      zh: '该支付已以其他金额完成或正在完成预授权。',
    },
    remedy: {
      en: 'Read the capture that `operationId` names.',
      zh: '请查询 operationId 所指操作。',
    },
  },
  ERR_CAPTURE_EXCEEDS: {
    status: 422,
    text: { en: 'A capture cannot exceed the amount held.', zh: '完成金额不得超过预授权金额。' },
    remedy: { en: 'Capture at most `heldMinor`.', zh: '金额不得超过 heldMinor。' },
  },
  ERR_REFUND_EXCEEDS: {
    status: 422,
    text: {
      en: 'The refunds of a payment cannot exceed what was captured.',
      zh: '退款总额不得超过已扣款金额。',
    },
    remedy: { en: 'Refund at most `refundableMinor`.', zh: '金额不得超过 refundableMinor。' },
  },
  ERR_CURRENCY_MISMATCH: {
    status: 422,
    text: { en: 'The payment has another currency.', zh: '币种与支付不一致。' },
    remedy: { en: 'Use the currency of the payment.', zh: '请使用支付的币种。' },
  },
  ERR_VOID_TOO_LATE: {
    status: 409,
    text: {
      en: 'The settlement day of the payment is over: it can no longer be voided.',
      zh: '支付的清算日已结束，不能撤销。',
    },
    remedy: { en: 'Refund it instead.', zh: '请改为退款。' },
  },
  ERR_VOID_REFUNDED: {
    status: 409,
    text: {
      en: 'A part was refunded: the payment can no longer be voided as a whole.',
      zh: '支付已部分退款，不能整笔撤销。',
    },
    remedy: { en: 'Refund the rest.', zh: '请对余额退款。' },
  },
  ERR_DISPUTE_OPEN: {
    status: 409,
    text: {
      en: 'A dispute is open: money given back now could be given back twice.',
      zh: '存在未结争议，此时退款可能重复返还。',
    },
    remedy: { en: 'Settle the dispute first.', zh: '请先处理争议。' },
  },
  ERR_ENDPOINT_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such webhook endpoint.', zh: 'Webhook 端点不存在。' },
    remedy: { en: 'Check the endpoint id.', zh: '请检查端点编号。' },
  },
  ERR_ENDPOINT_LIMIT: {
    status: 409,
    text: { en: 'The merchant has too many webhook endpoints.', zh: 'Webhook 端点过多。' },
    remedy: { en: 'Disable one that is no longer used.', zh: '请停用不再使用的端点。' },
  },
  ERR_DELIVERY_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such notification.', zh: '通知不存在。' },
    remedy: { en: 'Check the message id.', zh: '请检查消息编号。' },
  },
} as const;

/** Codes of the rules; those about payments in general are among the gateway's own. */
export type OperationErrorCode =
  | keyof typeof OPERATION_ERRORS
  | 'ERR_PAYMENT_NOT_FOUND'
  | 'ERR_PAYMENT_STATE'
  | 'ERR_SWITCH_UNAVAILABLE';
