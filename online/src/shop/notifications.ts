/**
 * Hop 14: what a verified notification does. It is never trusted alone for money: order number,
 * gateway order, amount and currency must be those of the order. Any news makes the shop ask the
 * gateway, whose order is the truth, except an approval, which ends the order.
 */
import { Hop } from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { ShopError } from './errors.ts';
import { reportIncident } from './incidents.ts';
import type { OrderWithItems } from './model.ts';
import { logChange } from './orders.ts';
import type { ShopPorts } from './ports.ts';
import type { WebhookMessage } from './webhook.ts';

const text = (max: number): z.ZodString => z.string().min(1).max(max);
const schema = z.object({
  data: z.object({
    orderId: text(64),
    merchantOrderNumber: text(64),
    paymentId: text(64),
    sequence: z.number().int().min(1).max(1_000_000),
    outcome: z.enum(['approved', 'declined', 'reversed', 'unknown']),
    responseCode: text(8).nullable(),
    amountMinor: z.string().regex(/^[0-9]{1,12}$/),
    currency: z.string().regex(/^[0-9]{3}$/),
    panMasked: z.string().regex(/^[0-9]{6}\*+[0-9]{4}$/),
  }),
});
type News = z.infer<typeof schema>['data'];

/** Events that tell how a payment ended; others (holds, captures, refunds) are taken as read. */
const PAYMENT_ENDS: ReadonlySet<unknown> = new Set(
  ['approved', 'declined', 'reversed', 'unknown'].map((outcome) => `payment.${outcome}`),
);

/** Resolves when the notification is taken, as new or as known. @throws ShopError. */
export async function takeNotification(ports: ShopPorts, message: WebhookMessage): Promise<void> {
  const body = jsonOf(message.body);
  const type = typeof body === 'object' && body !== null && 'type' in body ? body.type : null;
  if (typeof type === 'string' && !PAYMENT_ENDS.has(type)) return;
  const news = newsOf(body);
  const order = await matchingOrder(ports, news, message);
  const { clock, store } = ports;
  const atMs = clock.nowMs();
  const { outcome, paymentId, sequence, responseCode, panMasked } = news;
  const settled = await store.settle({
    orderId: order.orderId,
    version: null,
    to: outcome === 'approved' ? 'paid' : outcome === 'unknown' ? 'unknownPayment' : null,
    gatewayStatus: outcome === 'approved' ? 'paid' : outcome === 'unknown' ? 'unknown' : null,
    attempt: { paymentId, outcome, responseCode, panMasked },
    notification: { webhookId: message.id ?? '', paymentId, sequence, outcome, atMs },
    // Due at once: the gateway's order says where this leaves us.
    nextCheckAtMs: atMs,
    atMs,
  });
  if (!settled || settled.kind === 'duplicate') return;
  const amountMinor = String(order.amountMinor);
  const facts = { orderId: news.orderId, paymentId, outcome, sequence, amountMinor };
  ports.onHop({ n: Hop.tell, name: 'tell', party: 'shop', atMs, facts });
  if (settled.kind === 'applied') {
    logChange(ports, settled.order, 'notification');
    ports.wake();
  }
  if (settled.kind === 'final' && outcome === 'approved') {
    await noteLateMoney(ports, settled.order, paymentId);
  }
}

/** Money for goods that are on sale again, or a second time: somebody must give it back. */
async function noteLateMoney(
  ports: ShopPorts,
  order: OrderWithItems,
  paymentId: string,
): Promise<void> {
  if (order.state === 'paid' && order.paymentId === null) return;
  if (order.state === 'paid' && order.paymentId === paymentId) return;
  const facts = { paymentId, state: order.state, countedPaymentId: order.paymentId ?? '' };
  const dedupe = `late:${order.orderId}:${paymentId}`;
  const code = order.state === 'paid' ? 'ERR_PAID_TWICE' : 'ERR_PAID_AFTER_RELEASE';
  await reportIncident(ports, { code, order, facts, dedupe });
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new ShopError('ERR_REQUEST', 'the notification is no JSON', {}, cause);
  }
}

function newsOf(value: unknown): News {
  const result = schema.safeParse(value);
  if (result.success) return result.data.data;
  const field = result.error.issues[0]?.path.join('.') ?? '';
  throw new ShopError('ERR_REQUEST', `${field || 'body'} is wrong`, { field });
}

async function matchingOrder(
  ports: ShopPorts,
  news: News,
  message: WebhookMessage,
): Promise<OrderWithItems> {
  const order = await ports.store.findOrderByNumber(news.merchantOrderNumber);
  const dedupe = `notification:${message.id}`;
  if (!order) {
    const facts = { orderNumber: news.merchantOrderNumber };
    await reportIncident(ports, { code: 'ERR_ORDER_NOT_FOUND', order: null, facts, dedupe });
    throw new ShopError('ERR_ORDER_NOT_FOUND', 'there is no such order');
  }
  // The gateway made it, its answer is still on the way to us: it tells again.
  if (order.gatewayOrderId === null) throw new ShopError('ERR_ORDER_PLACING', 'not placed yet');
  const isSame =
    order.gatewayOrderId === news.orderId &&
    String(order.amountMinor) === news.amountMinor &&
    order.currency === news.currency;
  if (isSame) return order;
  const facts = {
    orderedMinor: String(order.amountMinor),
    notifiedMinor: news.amountMinor,
    orderedCurrency: order.currency,
    notifiedCurrency: news.currency,
    notifiedOrderId: news.orderId,
  };
  await reportIncident(ports, { code: 'ERR_ORDER_MISMATCH', order, facts, dedupe });
  throw new ShopError('ERR_ORDER_MISMATCH', 'order, amount or currency is not that of the order');
}
