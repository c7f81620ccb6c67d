/** Coded faults of the gateway and the one table that maps each code to its HTTP status. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Code -> HTTP status. Faults inside the channel carry the code alone. */
export const GATEWAY_ERROR_HTTP_STATUS = {
  ERR_REQUEST: 400,
  ERR_AMOUNT: 400,
  ERR_CURRENCY: 400,
  ERR_NOTIFY_URL: 400,
  ERR_RETURN_URL: 400,
  ERR_IDEMPOTENCY_KEY: 400,
  ERR_LAB_ONLY: 400,
  ERR_UNAUTHORIZED: 401,
  ERR_NOT_FOUND: 404,
  ERR_ORDER_NOT_FOUND: 404,
  ERR_PAYMENT_NOT_FOUND: 404,
  ERR_ORDER_PAID: 409,
  ERR_ORDER_BUSY: 409,
  ERR_ORDER_UNKNOWN: 409,
  ERR_ORDER_CANCELLED: 409,
  ERR_ORDER_EXPIRED: 409,
  ERR_ELEMENT_EXISTS: 409,
  ERR_BODY_TOO_LARGE: 413,
  ERR_IDEMPOTENCY_MISMATCH: 422,
  /** A page of another origin, or a name that is not ours (DNS rebinding). */
  ERR_ORIGIN: 403,
  ERR_HOST: 421,
  ERR_PAIRING_CODE: 403,
  ERR_PROOF_OF_POSSESSION: 403,
  ERR_CHANNEL_STATE: 400,
  ERR_CHANNEL_VERSION: 400,
  ERR_CHANNEL_LOST: 400,
  ERR_ELEMENT_UNKNOWN: 403,
  ERR_ELEMENT_LOCKED: 403,
  ERR_ORDER_UNSIGNED: 400,
  ERR_ORDER_STALE: 400,
  ERR_PAYMENT_SIGNATURE: 403,
  ERR_PAYMENT_FIELD: 400,
  ERR_PAYMENT_AMOUNT: 400,
  ERR_PAYMENT_STATE: 409,
  ERR_PIN_KSN: 403,
  ERR_TRACE_NUMBER: 409,
  ERR_RATE: 429,
  ERR_BRIDGE_LIMIT: 503,
  ERR_PAGES_MISSING: 503,
  ERR_SWITCH_UNAVAILABLE: 503,
  ERR_HSM_UNAVAILABLE: 503,
  ERR_INTERNAL: 500,
} as const;

/** Every code this folder throws. */
export type GatewayErrorCode = keyof typeof GATEWAY_ERROR_HTTP_STATUS;

/** A request, message or peer the gateway refuses; `code` is what callers test. */
export class GatewayError extends TapError<GatewayErrorCode> {}

/** HTTP status of a code; foreign codes are the server's own fault. */
export function httpStatusOf(code: string): number {
  const table: Readonly<Record<string, number>> = GATEWAY_ERROR_HTTP_STATUS;
  return Object.hasOwn(table, code) ? (table[code] ?? 500) : 500;
}
