/**
 * The shop without sockets, files or timers of its own: goods, checkout, orders, notifications and
 * the sweep over ports.
 */
import type { ShopPlaced } from '@tapnpay/protocol/wire';
import { type CartItem, openOrder, payUrlOf } from './checkout.ts';
import { ShopError } from './errors.ts';
import { type Goods, isFinal, type OrderWithItems } from './model.ts';
import { takeNotification } from './notifications.ts';
import { cancelOrder, checkOrder, placeOrder } from './orders.ts';
import type { ShopPorts } from './ports.ts';
import { sampleGoods } from './sample-goods.ts';
import { verifyWebhook, type WebhookMessage } from './webhook.ts';

/** Orders that one sweep asks about. */
const SWEEP_BATCH = 32;

/** The party. Every method may be called concurrently; the store decides races. */
export class ShopCore {
  readonly ports: ShopPorts;

  constructor(ports: ShopPorts) {
    this.ports = ports;
  }

  /** Fills a new shop with its sample goods. */
  async seed(): Promise<boolean> {
    return this.ports.store.seedGoods(sampleGoods(this.ports.clock.nowMs()));
  }

  /** Goods that can be bought, sold-out ones too. */
  async window(): Promise<readonly Goods[]> {
    return (await this.ports.store.listGoods()).filter(({ isOnSale }) => isOnSale);
  }

  /**
   * Reserves and orders; a repeat with the same key takes up where the last one stopped.
   * @throws ShopError `ERR_CART`, `ERR_STOCK`, `ERR_GOODS_NOT_FOUND`, `ERR_IDEMPOTENCY_MISMATCH`,
   * `ERR_GATEWAY_UNAVAILABLE`, `ERR_GATEWAY_REFUSED`, `ERR_ORDER_MISMATCH`.
   */
  async checkout(idempotencyKey: string, cart: readonly CartItem[]): Promise<ShopPlaced> {
    const reserved = await openOrder(this.ports, idempotencyKey, cart);
    const order = reserved.state === 'placing' ? await placeOrder(this.ports, reserved) : reserved;
    const { orderId, orderNumber, state } = order;
    return { orderId, orderNumber, state, payUrl: payUrlOf(order) };
  }

  /**
   * The order as it truly stands: while it is open the gateway is asked, not too often.
   * @throws ShopError `ERR_ORDER_NOT_FOUND`.
   */
  async order(orderId: string): Promise<OrderWithItems> {
    const { store, clock, profile } = this.ports;
    const order = found(await store.findOrder(orderId));
    if (isFinal(order.state) || order.state === 'placing') return order;
    if (!(await store.claimCheck(orderId, clock.nowMs(), profile.lookGapMs))) return order;
    await checkOrder(this.ports, order);
    return found(await store.findOrder(orderId));
  }

  /**
   * Asks the gateway to close an order that is open; what it answers counts.
   * @throws ShopError `ERR_ORDER_NOT_FOUND`, `ERR_GATEWAY_UNAVAILABLE`.
   */
  async cancel(orderId: string): Promise<OrderWithItems> {
    const order = found(await this.ports.store.findOrder(orderId));
    if (isFinal(order.state)) return order;
    const placed = order.state === 'placing' ? await placeOrder(this.ports, order) : order;
    await cancelOrder(this.ports, placed);
    return found(await this.ports.store.findOrder(orderId));
  }

  /** Hop 14. @throws ShopError `ERR_SIGNATURE`, `ERR_TIMESTAMP`, `ERR_REQUEST`, `ERR_ORDER_...`. */
  async notification(message: WebhookMessage): Promise<void> {
    const { webhookSecret, toleranceMs } = this.ports.profile;
    const nowMs = this.ports.clock.nowMs();
    verifyWebhook(message, { secret: webhookSecret, toleranceMs, nowMs });
    await takeNotification(this.ports, message);
  }

  /** Asks about every order whose time has come; how many. */
  async tick(): Promise<number> {
    const { store, clock, profile } = this.ports;
    const claim = { nowMs: clock.nowMs(), leaseMs: profile.checkLeaseMs, limit: SWEEP_BATCH };
    const due = await store.claimChecks(claim);
    await Promise.all(due.map((order) => this.#sweep(order)));
    return due.length;
  }

  async #sweep(order: OrderWithItems): Promise<void> {
    try {
      if (order.state !== 'placing') return await checkOrder(this.ports, order);
      const placed = await placeOrder(this.ports, order);
      const ageMs = this.ports.clock.nowMs() - order.createdAtMs;
      // Nobody waits for the pay page any more: the gateway closes it, only then stock comes back.
      if (ageMs >= this.ports.profile.placingLifetimeMs) await cancelOrder(this.ports, placed);
    } catch (fault) {
      if (!(fault instanceof ShopError)) throw fault;
      const { orderNumber, checks } = order;
      this.ports.log({ event: 'sweepFailed', orderNumber, checks, code: fault.code });
    }
  }
}

function found(order: OrderWithItems | null): OrderWithItems {
  if (order) return order;
  throw new ShopError('ERR_ORDER_NOT_FOUND', 'there is no such order');
}
