/**
 * What the shop does with the gateway about an order: place it (hop 1), ask about it, close it. The
 * gateway's answer is checked against the order before it counts.
 */
import { formatAmount } from '@tapnpay/protocol/bytes';
import { Hop } from '@tapnpay/protocol/wire';
import { ShopError } from './errors.ts';
import { reportIncident } from './incidents.ts';
import { type AttemptFacts, type Order, type OrderWithItems, STATE_OF_STATUS } from './model.ts';
import type { GatewayAnswer, GatewayOrder, ShopPorts } from './ports.ts';

/** Path that the gateway's notifications come to. */
export const NOTIFICATIONS_PATH = '/notifications';

/**
 * placing -> awaitingPayment. The same key each time, so that the gateway makes one order.
 * @throws ShopError `ERR_GATEWAY_UNAVAILABLE`, `ERR_GATEWAY_REFUSED`, `ERR_ORDER_MISMATCH`.
 */
export async function placeOrder(ports: ShopPorts, order: OrderWithItems): Promise<OrderWithItems> {
  const { gateway, store, clock } = ports;
  const startedAtMs = clock.nowMs();
  const answer = await gateway.createOrder(order.orderId, {
    merchantOrderNumber: order.orderNumber,
    amount: formatAmount(order.amountMinor, order.currency),
    currency: order.currency,
    origin: order.origin,
    notifyUrl: `${order.origin}${NOTIFICATIONS_PATH}`,
    returnUrl: `${order.origin}/orders/${order.orderId}`,
  });
  const made = await answered(ports, order, answer);
  await assertSame(ports, order, made);
  const atMs = clock.nowMs();
  const placed = await store.placed({
    orderId: order.orderId,
    gatewayOrderId: made.orderId,
    payUrl: made.payUrl,
    expiresAtMs: made.expiresAtMs,
    nextCheckAtMs: atMs + pauseMs(ports, 0),
    atMs,
  });
  if (!placed) throw new ShopError('ERR_ORDER_NOT_FOUND', 'there is no such order');
  if (placed.moved) {
    const { orderNumber, amountMinor, currency } = order;
    const facts = {
      orderId: made.orderId,
      orderNumber,
      amountMinor: String(amountMinor),
      currency,
    };
    ports.onHop({ n: Hop.order, name: 'order', party: 'shop', atMs: startedAtMs, facts });
  }
  return placed.order;
}

/** Asks the gateway and takes over what it says; an unreachable one is asked again later. */
export async function checkOrder(ports: ShopPorts, order: OrderWithItems): Promise<void> {
  if (order.gatewayOrderId === null) return;
  await takeOver(ports, order, await ports.gateway.order(order.gatewayOrderId));
}

/** Closes an open order; one that is paid or under way stays. @throws ShopError. */
export async function cancelOrder(ports: ShopPorts, order: OrderWithItems): Promise<void> {
  if (order.gatewayOrderId === null) return;
  const answer = await ports.gateway.cancel(order.gatewayOrderId);
  if (answer.kind === 'unavailable') throw unavailable(order, answer.why);
  await takeOver(ports, order, answer);
}

async function takeOver(
  ports: ShopPorts,
  order: OrderWithItems,
  answer: GatewayAnswer<GatewayOrder>,
): Promise<void> {
  const { store, clock, log } = ports;
  const nextCheckAtMs = clock.nowMs() + pauseMs(ports, order.checks);
  try {
    const seen = await answered(ports, order, answer);
    await assertSame(ports, order, seen);
    const to = STATE_OF_STATUS[seen.status];
    // Nothing new: the order is not touched, so that its version tells of changes only.
    if (to === order.state && seen.status === order.gatewayStatus) {
      await store.scheduleCheck(order.orderId, nextCheckAtMs);
      return;
    }
    const settled = await store.settle({
      orderId: order.orderId,
      version: order.version,
      to,
      gatewayStatus: seen.status,
      attempt: to === 'paid' ? paidAttempt(order, seen) : null,
      notification: null,
      nextCheckAtMs,
      atMs: clock.nowMs(),
    });
    if (settled?.kind === 'applied') logChange(ports, settled.order, 'check');
  } catch (fault) {
    if (!(fault instanceof ShopError)) throw fault;
    await store.scheduleCheck(order.orderId, nextCheckAtMs);
    log({ event: 'checkFailed', orderNumber: order.orderNumber, code: fault.code });
  }
}

function paidAttempt(order: Order, { paymentId }: GatewayOrder): AttemptFacts {
  const isKnown = order.paymentId === paymentId && order.outcome === 'approved';
  const { responseCode, panMasked } = isKnown ? order : { responseCode: null, panMasked: null };
  return { paymentId, outcome: 'approved', responseCode, panMasked };
}

/** One line of the log for each change of an order. */
export function logChange(ports: ShopPorts, order: Order, by: 'check' | 'notification'): void {
  const { orderNumber, state, gatewayStatus, gatewayOrderId } = order;
  ports.log({ event: 'orderChanged', orderNumber, gatewayOrderId, state, gatewayStatus, by });
}

/** The pause before the next question; a final order needs none. */
export function pauseMs(ports: ShopPorts, checks: number): number {
  const { checkPausesMs } = ports.profile;
  return checkPausesMs[Math.min(checks, checkPausesMs.length - 1)] ?? 60_000;
}

async function answered<T>(ports: ShopPorts, order: Order, answer: GatewayAnswer<T>): Promise<T> {
  if (answer.kind === 'answer') return answer.value;
  if (answer.kind === 'unavailable') throw unavailable(order, answer.why);
  const facts = { status: String(answer.status), gatewayCode: answer.code };
  const dedupe = `refused:${order.orderId}:${answer.code}`;
  await reportIncident(ports, { code: 'ERR_GATEWAY_REFUSED', order, facts, dedupe });
  throw new ShopError('ERR_GATEWAY_REFUSED', `the gateway answered ${answer.code}`, {
    orderId: order.orderId,
    gatewayCode: answer.code,
  });
}

function unavailable(order: Order, why: string): ShopError {
  const { orderId, orderNumber } = order;
  return new ShopError('ERR_GATEWAY_UNAVAILABLE', `the gateway does not answer: ${why}`, {
    orderId,
    orderNumber,
  });
}

/** Number, amount and currency must be ours, whoever answers. @throws ShopError. */
async function assertSame(ports: ShopPorts, order: Order, seen: GatewayOrder): Promise<void> {
  const isSame =
    seen.merchantOrderNumber === order.orderNumber &&
    seen.amountMinor === order.amountMinor &&
    seen.currency === order.currency &&
    (order.gatewayOrderId === null || seen.orderId === order.gatewayOrderId);
  if (isSame) return;
  const facts = {
    orderedMinor: String(order.amountMinor),
    seenMinor: String(seen.amountMinor),
    orderedCurrency: order.currency,
    seenCurrency: seen.currency,
    seenOrderNumber: seen.merchantOrderNumber,
  };
  const dedupe = `answer:${order.orderId}:${Object.values(facts).join(':')}`;
  await reportIncident(ports, { code: 'ERR_ORDER_MISMATCH', order, facts, dedupe });
  throw new ShopError('ERR_ORDER_MISMATCH', 'the gateway has another order under this name');
}
