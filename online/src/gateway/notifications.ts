/**
 * Notifications: written to the outbox in the payment's own transaction, then delivered in batches
 * until the merchant answers 2xx. Only masked data. @see Standard Webhooks 1.0
 */
import { createHmac } from 'node:crypto';
import { uuidv7 } from '../runtime/index.ts';
import { type Order, type OutboxMessage, outcomeOf, type Payment } from './model.ts';
import type { GatewayPorts } from './ports.ts';

/** Notifications delivered at once. */
export const OUTBOX_BATCH = 32;
/** How long a batch is hidden from other workers. */
const OUTBOX_LEASE_MS = 30_000;

/**
 * The notification of a payment's change, or none if the merchant asked for none.
 * `payment` is the payment as the change leaves it, its sequence number included.
 */
export function notificationOf(
  ports: GatewayPorts,
  order: Order,
  payment: Payment,
): Omit<OutboxMessage, 'attempts'> | undefined {
  const outcome = outcomeOf(payment);
  if (order.notifyUrl === null || outcome === null) return undefined;
  const nowMs = ports.clock.nowMs();
  const body = JSON.stringify({
    type: `payment.${outcome}`,
    timestamp: new Date(nowMs).toISOString(),
    data: {
      orderId: order.orderId,
      merchantOrderNumber: order.merchantOrderNumber,
      paymentId: payment.paymentId,
      sequence: payment.sequence,
      outcome,
      responseCode: payment.responseCode,
      amountMinor: String(payment.amountMinor),
      currency: payment.currency,
      panMasked: payment.panMasked,
    },
  });
  const messageId = `msg_${uuidv7(ports.clock, ports.random)}`;
  const { paymentId } = payment;
  const createdAtMs = nowMs;
  return { messageId, paymentId, url: order.notifyUrl, body, createdAtMs, nextAtMs: nowMs };
}

/** The three headers of Standard Webhooks: `v1,` and base64 of HMAC-SHA256(id.timestamp.body). */
export function webhookHeaders(
  secret: Uint8Array,
  message: { readonly messageId: string; readonly body: string },
  nowMs: number,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signed = `${message.messageId}.${timestamp}.${message.body}`;
  const signature = createHmac('sha256', secret).update(signed).digest('base64');
  return {
    'content-type': 'application/json',
    'webhook-id': message.messageId,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature}`,
  };
}

/** Delivers what is due; how many were tried. Receivers must bear duplicates in any order. */
export async function runOutbox(ports: GatewayPorts): Promise<number> {
  const claim = { nowMs: ports.clock.nowMs(), leaseMs: OUTBOX_LEASE_MS, limit: OUTBOX_BATCH };
  const due = await ports.store.claimOutbox(claim);
  await Promise.all(due.map((message) => deliver(ports, message)));
  return due.length;
}

async function deliver(ports: GatewayPorts, message: OutboxMessage): Promise<void> {
  const { store, clock, profile, log } = ports;
  const { messageId, attempts } = message;
  const headers = webhookHeaders(profile.webhookSecret, message, clock.nowMs());
  const status = await ports.courier.post(message.url, headers, message.body).catch(() => 0);
  if (status >= 200 && status < 300) {
    await store.settleOutbox(messageId, { kind: 'delivered' });
    log({ event: 'notificationDelivered', messageId, paymentId: message.paymentId, attempts });
    return;
  }
  const pauseMs = profile.notificationPausesMs[attempts - 1];
  log({ event: 'notificationFailed', messageId, status, attempts, givenUp: pauseMs === undefined });
  await store.settleOutbox(
    messageId,
    pauseMs === undefined ? { kind: 'dead' } : { nextAtMs: clock.nowMs() + pauseMs },
  );
}
