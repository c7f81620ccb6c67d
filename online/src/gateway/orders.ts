/** Orders: made once per idempotency key, signed for the element, closed by hand or by time. */
import { createHash } from 'node:crypto';
import {
  type AmountMinor,
  BytesError,
  currencyExponent,
  parseAmount,
} from '@tapnpay/protocol/bytes';
import { Hop, orderSignatureInput, type SignedOrder } from '@tapnpay/protocol/wire';
import { uuidv7 } from '../runtime/index.ts';
import { GatewayError } from './errors.ts';
import { type LabFault, strike } from './lab.ts';
import { localTime } from './local-time.ts';
import { merchantOf } from './merchants/directory.ts';
import type { Mode } from './merchants/model.ts';
import type { CaptureMode, Order, OrderKind, OrderStatus } from './model.ts';
import { type GatewayPorts, reachHop } from './ports.ts';

/** What a merchant asks for; `amount` is decimal text in the currency's own digits. */
export type OrderRequest = {
  readonly merchantOrderNumber: string;
  readonly amount: string;
  readonly currency: string;
  readonly origin: string;
  readonly notifyUrl?: string | undefined;
  /** Where the payer's page leads back to. */
  readonly returnUrl?: string | undefined;
  /** Absent: `purchase`. */
  readonly kind?: OrderKind | undefined;
  /** `manual`: the amount is held until the merchant captures it. Absent: `automatic`. */
  readonly captureMode?: CaptureMode | undefined;
  readonly lab?: { readonly fault: LabFault } | undefined;
};

/** Whose order it is. */
export type OrderOwner = { readonly merchantId: string; readonly mode: Mode };

/** 9C of each kind of order, hex. @see EMV 4.3 B3 Annex A; PBOC3 P13 (load) */
const TRANSACTION_TYPES: Readonly<Record<OrderKind, SignedOrder['transactionType']>> = {
  purchase: '00',
  ecashLoad: '60',
};

/** Longest idempotency key, in characters. */
export const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255;

/**
 * Makes an order, or hands back the one this key of the same merchant and mode made before with
 * the same body: the order's own row is the record, so that a payment needs no second commit.
 * @throws GatewayError `ERR_AMOUNT`, `ERR_CURRENCY`, `ERR_IDEMPOTENCY_KEY`,
 * `ERR_IDEMPOTENCY_MISMATCH`, `ERR_LAB_ONLY`, `ERR_NOTIFY_URL`, `ERR_RETURN_URL`.
 */
export async function createOrder(
  ports: GatewayPorts,
  idempotencyKey: string,
  request: OrderRequest,
  owner: OrderOwner = { merchantId: ports.profile.merchant.merchantId, mode: 'test' },
): Promise<{ readonly order: Order; readonly replayed: boolean }> {
  const { profile, clock, random } = ports;
  if (!/^[\x21-\x7e]+$/.test(idempotencyKey) || idempotencyKey.length > 255) {
    const message = `Idempotency-Key is 1 to ${IDEMPOTENCY_KEY_CHARACTERS_MAX} visible characters`;
    throw new GatewayError('ERR_IDEMPOTENCY_KEY', message);
  }
  if (request.lab && !profile.lab) {
    throw new GatewayError('ERR_LAB_ONLY', 'faults exist only in lab mode');
  }
  if (request.kind === 'ecashLoad' && request.captureMode === 'manual') {
    const message = 'a load cannot be held for a capture';
    throw new GatewayError('ERR_REQUEST', message, { fieldPath: 'captureMode' });
  }
  const notifyUrl = webUrl(request.notifyUrl, 'notifyUrl', 'ERR_NOTIFY_URL');
  if (notifyUrl !== null) await ports.courier.check?.(notifyUrl);
  const createdAtMs = clock.nowMs();
  const order: Order = {
    orderId: uuidv7(clock, random),
    ...owner,
    merchantOrderNumber: request.merchantOrderNumber,
    amountMinor: minorAmount(request.amount, request.currency),
    currency: request.currency,
    origin: request.origin,
    notifyUrl,
    returnUrl: webUrl(request.returnUrl, 'returnUrl', 'ERR_RETURN_URL'),
    kind: request.kind ?? 'purchase',
    captureMode: request.captureMode ?? 'automatic',
    status: 'open',
    createdAtMs,
    expiresAtMs: createdAtMs + profile.orderLifetimeMs,
    paymentId: null,
    fault: request.lab?.fault ?? null,
  };
  const fingerprint = fingerprintOf(request);
  const facts = { orderId: order.orderId, amountMinor: String(order.amountMinor) };
  reachHop(ports, { n: Hop.order, name: 'order', facts });
  strike(ports, order.fault, ['order']);
  const result = await ports.store.createOrder(order, { key: idempotencyKey, fingerprint });
  if (result.kind === 'conflict') {
    throw new GatewayError(
      'ERR_IDEMPOTENCY_MISMATCH',
      'this Idempotency-Key was used with another body',
    );
  }
  return { order: result.order, replayed: result.kind === 'replayed' };
}

/** Positive integer minor units of at most 12 digits, never rounded. */
export function minorAmount(amount: string, currency: string): AmountMinor {
  try {
    currencyExponent(currency);
  } catch (cause) {
    const message = `currency ${JSON.stringify(currency)} is not a known ISO 4217 number`;
    throw new GatewayError('ERR_CURRENCY', message, {}, cause);
  }
  try {
    return parseAmount(amount, currency);
  } catch (cause) {
    if (!(cause instanceof BytesError)) throw cause;
    throw new GatewayError('ERR_AMOUNT', cause.message, { currency }, cause);
  }
}

/** An http or https URL without credentials, or null when none was given. */
export function webUrl(
  text: string | undefined,
  name: 'notifyUrl' | 'returnUrl' | 'url',
  code: 'ERR_NOTIFY_URL' | 'ERR_RETURN_URL',
): string | null {
  if (text === undefined) return null;
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') {
    return url.href;
  }
  throw new GatewayError(code, `${name} is an http or https URL without credentials`);
}

function fingerprintOf(request: OrderRequest): string {
  const facts = [
    request.merchantOrderNumber,
    request.amount,
    request.currency,
    request.origin,
    request.notifyUrl ?? null,
    request.returnUrl ?? null,
    request.kind ?? 'purchase',
    request.captureMode ?? 'automatic',
    request.lab?.fault ?? null,
  ];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

/** Why an order of this status takes no payment; an open one gives null. */
export function refusalOf(status: OrderStatus | null): GatewayError | null {
  switch (status) {
    case 'open':
      return null;
    case null:
      return new GatewayError('ERR_ORDER_NOT_FOUND', 'there is no such order');
    case 'authorised':
    case 'paid':
      return new GatewayError('ERR_ORDER_PAID', 'the order is already paid');
    case 'processing':
      return new GatewayError('ERR_ORDER_BUSY', 'another payment of the order is under way');
    case 'unknown':
      return new GatewayError(
        'ERR_ORDER_UNKNOWN',
        'the last payment of the order has no final answer yet',
      );
    case 'voided':
    case 'cancelled':
      return new GatewayError('ERR_ORDER_CANCELLED', 'the order was cancelled');
    case 'expired':
      return new GatewayError('ERR_ORDER_EXPIRED', 'the order has expired');
  }
}

/** The order if it can take a payment now. @throws GatewayError as `refusalOf`. */
export async function payableOrder(ports: GatewayPorts, orderId: string): Promise<Order> {
  const order = await ports.store.findOrder(orderId);
  const refusal = refusalOf(order?.status ?? null);
  if (refusal || !order) throw refusal ?? refusalOf(null);
  if (order.expiresAtMs <= ports.clock.nowMs()) throw refusalOf('expired');
  return order;
}

/** What the element may trust: amount, merchant, origin and time under the gateway's key. */
export async function signOrder(ports: GatewayPorts, order: Order): Promise<SignedOrder> {
  const merchant = await merchantOf(ports, order.merchantId);
  const { dateYymmdd, timeHhmmss } = localTime(ports.clock.nowMs());
  const unsigned = {
    orderId: order.orderId,
    merchantId: merchant.merchantId,
    merchantName: merchant.name,
    terminalId: merchant.terminalId,
    amountMinor: String(order.amountMinor),
    currency: order.currency,
    origin: order.origin,
    dateYymmdd,
    timeHhmmss,
    transactionType: TRANSACTION_TYPES[order.kind],
  };
  return { ...unsigned, signature: ports.signatures.signOrder(orderSignatureInput(unsigned)) };
}
