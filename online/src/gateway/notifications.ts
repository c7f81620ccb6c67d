/**
 * Events: one for each change that a merchant can see, numbered without gaps per payment, written
 * to the outbox in the change's own transaction. Then notifications: delivered in batches until the
 * merchant answers 2xx. Only masked data. @see Standard Webhooks 1.0
 */
import { createHmac } from 'node:crypto';
import { errorBody } from '@tapnpay/protocol/bytes';
import { uuidv7 } from '../runtime/index.ts';
import { GatewayError } from './errors.ts';
import { type NewEvent, type Order, type OutboxMessage, outcomeOf, type Payment } from './model.ts';
import type { OperationAfter } from './operations/store.ts';
import type { GatewayPorts } from './ports.ts';
import { noteResult, secretsOf } from './webhooks/endpoints.ts';
import type { TryResult } from './webhooks/model.ts';

/**
 * Notifications taken at once. A merchant with as many on their way gets no more until one of them
 * has ended; so there are less than twice as many.
 */
export const MERCHANT_DELIVERIES_MAX = 64;
/** Notifications of all merchants on their way at once. */
const DELIVERIES_MAX = 512;
/** How long a batch is hidden from other workers. */
const OUTBOX_LEASE_MS = 30_000;

/** What an event says a payment is: the payer's outcome, with holds and voids apart. */
function merchantOutcome(payment: Payment): string | null {
  if (payment.state === 'held') return 'authorised';
  return payment.state === 'voided' ? 'voided' : outcomeOf(payment);
}

/** The event of a payment's change. `payment` is as the change leaves it, its sequence included. */
export function paymentEvent(ports: GatewayPorts, order: Order, payment: Payment): NewEvent {
  const type = `payment.${merchantOutcome(payment)}`;
  return eventOf(ports, { type, order, payment, more: {} });
}

/**
 * The event of an operation's change: named after the payment's new state when that changed with
 * it, else after the operation, as in `refund.succeeded`.
 */
export function operationEvent(
  ports: GatewayPorts,
  after: OperationAfter,
  moves: 'payment' | 'operation',
): NewEvent {
  const { order, payment, balance, operation } = after;
  const { operationId, kind, state, amountMinor, responseCode } = operation;
  const type = moves === 'payment' ? `payment.${merchantOutcome(payment)}` : `${kind}.${state}`;
  const more = {
    capturedMinor: String(balance.capturedMinor),
    refundedMinor: String(balance.refundedMinor),
    operation: { operationId, kind, state, amountMinor: String(amountMinor), responseCode },
  };
  return eventOf(ports, { type, order, payment, more });
}

function eventOf(
  ports: GatewayPorts,
  facts: {
    readonly type: string;
    readonly order: Order;
    readonly payment: Payment;
    readonly more: Readonly<Record<string, unknown>>;
  },
): NewEvent {
  const { type, order, payment, more } = facts;
  const createdAtMs = ports.clock.nowMs();
  const body = JSON.stringify({
    type,
    timestamp: new Date(createdAtMs).toISOString(),
    data: {
      orderId: order.orderId,
      merchantOrderNumber: order.merchantOrderNumber,
      paymentId: payment.paymentId,
      sequence: payment.sequence,
      outcome: merchantOutcome(payment),
      responseCode: payment.responseCode,
      amountMinor: String(payment.amountMinor),
      currency: payment.currency,
      panMasked: payment.panMasked,
      ...more,
    },
  });
  const messageId = `msg_${uuidv7(ports.clock, ports.random)}`;
  const { merchantId, mode, notifyUrl: url } = order;
  return { messageId, paymentId: payment.paymentId, merchantId, mode, url, body, createdAtMs };
}

/**
 * The headers of Standard Webhooks: for each secret `v1,` and base64 of
 * HMAC-SHA256(id.timestamp.body). Two secrets sign while one follows the other.
 */
export function webhookHeaders(
  secrets: readonly Uint8Array[],
  message: { readonly messageId: string; readonly body: string },
  nowMs: number,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signed = `${message.messageId}.${timestamp}.${message.body}`;
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`,
  );
  return {
    'content-type': 'application/json',
    'webhook-id': message.messageId,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}

/**
 * Delivers what is due. A merchant that does not answer holds up its own notifications only.
 * Receivers must bear duplicates in any order.
 */
export class Outbox {
  readonly #ports: GatewayPorts;
  /** Deliveries under way, by merchant. */
  readonly #underWay = new Map<string, number>();
  #count = 0;

  constructor(ports: GatewayPorts) {
    this.#ports = ports;
  }

  /** Starts what is due and may be on its way; the ends of these deliveries, which never reject. */
  async start(): Promise<readonly Promise<void>[]> {
    const started: Promise<void>[] = [];
    for (let room = this.#room(); room > 0; room = this.#room()) {
      const due = await this.#ports.store.claimOutbox({
        nowMs: this.#ports.clock.nowMs(),
        leaseMs: OUTBOX_LEASE_MS,
        limit: room,
        exceptMerchants: this.#busyMerchants(),
      });
      for (const message of due) started.push(this.#deliver(message));
      if (due.length < room) break;
    }
    return started;
  }

  #room(): number {
    return Math.min(MERCHANT_DELIVERIES_MAX, DELIVERIES_MAX - this.#count);
  }

  #busyMerchants(): readonly string[] {
    return [...this.#underWay]
      .filter(([, count]) => count >= MERCHANT_DELIVERIES_MAX)
      .map(([merchantId]) => merchantId);
  }

  async #deliver(message: OutboxMessage): Promise<void> {
    const { merchantId, messageId } = message;
    this.#add(merchantId, 1);
    try {
      await deliver(this.#ports, message);
    } catch (fault) {
      // Its lease ends, and it is tried again.
      const { code } = errorBody(fault);
      this.#ports.log({ event: 'notificationFault', messageId, code });
    }
    const wasFull = this.#room() === 0 || this.#busyMerchants().includes(merchantId);
    this.#add(merchantId, -1);
    if (wasFull) this.#ports.wake();
  }

  #add(merchantId: string, change: 1 | -1): void {
    this.#count += change;
    const count = (this.#underWay.get(merchantId) ?? 0) + change;
    if (count > 0) this.#underWay.set(merchantId, count);
    else this.#underWay.delete(merchantId);
  }
}

async function deliver(ports: GatewayPorts, message: OutboxMessage): Promise<void> {
  const { store, clock, profile, log } = ports;
  const { messageId, attempts } = message;
  const secrets = await secretsOf(ports, message);
  if (secrets.length === 0) {
    // Its endpoint was disabled meanwhile.
    const tried = { atMs: clock.nowMs(), status: 0 };
    return store.settleOutbox(messageId, { kind: 'dead' }, tried);
  }
  const tried = await post(ports, message, secrets);
  const { status } = tried;
  if (status >= 200 && status < 300) {
    await store.settleOutbox(messageId, { kind: 'delivered' }, tried);
    await noteResult(ports, message, tried, 'delivered');
    log({ event: 'notificationDelivered', messageId, paymentId: message.paymentId, attempts });
    return;
  }
  const pauseMs = profile.notificationPausesMs[attempts - 1];
  log({ event: 'notificationFailed', messageId, status, attempts, givenUp: pauseMs === undefined });
  const result =
    pauseMs === undefined ? ({ kind: 'dead' } as const) : { nextAtMs: clock.nowMs() + pauseMs };
  await store.settleOutbox(messageId, result, tried);
  await noteResult(ports, message, tried, 'failed');
}

async function post(
  ports: GatewayPorts,
  message: OutboxMessage,
  secrets: readonly Uint8Array[],
): Promise<TryResult> {
  const { clock, courier } = ports;
  const headers = webhookHeaders(secrets, message, clock.nowMs());
  try {
    const status = await courier.post(message.url, headers, message.body);
    return { atMs: clock.nowMs(), status, fault: null };
  } catch (thrown) {
    const isRefused = thrown instanceof GatewayError && thrown.code === 'ERR_NOTIFY_URL';
    return { atMs: clock.nowMs(), status: 0, fault: isRefused ? 'refusedAddress' : 'network' };
  }
}
