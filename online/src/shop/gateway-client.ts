/** The gateway over HTTP: bounded in time and size, its answers checked field by field. */
import { z } from 'zod';
import type { Gateway, GatewayAnswer, GatewayOrder } from './ports.ts';

/** How long a buyer waits for the gateway at most. */
const TIMEOUT_MS = 5_000;
/** Longest answer, in characters. */
const ANSWER_CHARACTERS_MAX = 65_536;

const orderSchema = z.object({
  orderId: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  merchantOrderNumber: z.string(),
  amountMinor: z
    .string()
    .regex(/^[0-9]{1,12}$/)
    .transform(BigInt),
  currency: z.string(),
  status: z
    .enum([
      ...['open', 'processing', 'paid', 'unknown', 'cancelled', 'expired'],
      ...['authorised', 'voided'],
    ] as const)
    // A hold waits for its capture; what was voided takes no payment any more.
    .transform((status) => {
      if (status === 'authorised') return 'processing';
      return status === 'voided' ? 'cancelled' : status;
    }),
  paymentId: z.string().nullable(),
  expiresAtMs: z.number(),
});
const createdSchema = orderSchema.extend({ payUrl: z.url({ protocol: /^https?$/ }) });
const faultSchema = z.object({ code: z.string().regex(/^[A-Z_]{1,64}$/) });

/** A client with the merchant's key. */
export function createGateway(options: {
  readonly gatewayUrl: string;
  readonly apiKey: string;
  readonly timeoutMs?: number;
}): Gateway {
  const ask = async <T>(
    path: string,
    schema: z.ZodType<T>,
    init: { readonly key?: string; readonly body?: unknown; readonly method: 'GET' | 'POST' },
  ): Promise<GatewayAnswer<T>> => {
    const headers: Record<string, string> = { authorization: `Bearer ${options.apiKey}` };
    if (init.key !== undefined) headers['idempotency-key'] = init.key;
    if (init.body !== undefined) headers['content-type'] = 'application/json';
    try {
      const response = await fetch(new URL(path, options.gatewayUrl), {
        method: init.method,
        headers,
        redirect: 'error',
        signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
        ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
      });
      const text = await response.text();
      return answerOf(response.status, text, schema);
    } catch (fault) {
      return { kind: 'unavailable', why: fault instanceof Error ? fault.name : 'fault' };
    }
  };
  const orderPath = (orderId: string): string => `/v1/orders/${encodeURIComponent(orderId)}`;
  return {
    createOrder: (key, body) => ask('/v1/orders', createdSchema, { method: 'POST', key, body }),
    order: (orderId) => ask<GatewayOrder>(orderPath(orderId), orderSchema, { method: 'GET' }),
    cancel: (orderId) =>
      ask<GatewayOrder>(`${orderPath(orderId)}/cancel`, orderSchema, { method: 'POST' }),
  };
}

/** A 4xx is a "no" that stays; 429, 5xx and what cannot be read may be otherwise next time. */
function answerOf<T>(status: number, text: string, schema: z.ZodType<T>): GatewayAnswer<T> {
  const value = text.length > ANSWER_CHARACTERS_MAX ? null : parseJson(text);
  if (status >= 200 && status < 300) {
    const parsed = schema.safeParse(value);
    if (parsed.success) return { kind: 'answer', value: parsed.data };
    return { kind: 'unavailable', why: 'unreadable answer' };
  }
  if (status >= 500 || status === 429) return { kind: 'unavailable', why: `HTTP ${status}` };
  const fault = faultSchema.safeParse(value);
  return { kind: 'refused', status, code: fault.success ? fault.data.code : 'ERR_UNKNOWN' };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
