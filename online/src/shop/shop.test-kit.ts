/** For the shop's tests: a clock to turn, a gateway to script, a store in memory, a signer. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { HopRecord } from '@tapnpay/protocol/wire';
import { ShopCore } from './core.ts';
import type { GatewayStatus } from './model.ts';
import {
  type Gateway,
  type GatewayAnswer,
  type GatewayOrder,
  type GatewayOrderRequest,
  SHOP_DEFAULTS,
  type ShopPorts,
} from './ports.ts';
import type { ShopStore } from './store.ts';
import { MemoryShopStore } from './store-memory.ts';
import type { WebhookMessage } from './webhook.ts';

/** 2026-03-14 09:26:53 in Shanghai. */
export const START_MS: number = Date.UTC(2026, 2, 14, 1, 26, 53);
export const TEST_ORIGIN = 'http://127.0.0.1:8426';
export const TEST_SECRET: Uint8Array = new TextEncoder().encode('webhook secret of the tests');

/** A clock that stands still until it is turned. */
export class TestClock implements Clock {
  #nowMs = START_MS;

  nowMs(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }

  startTimer(): () => void {
    throw new Error('the core starts no timer');
  }
}

const random: RandomSource = { bytes: (length) => new Uint8Array(randomBytes(length)) };

/** A gateway that keeps orders by idempotency key; faults are asked for. */
export class TestGateway implements Gateway {
  readonly orders: Map<string, GatewayOrder & { readonly payUrl: string }> = new Map();
  readonly requests: { readonly key: string; readonly request: GatewayOrderRequest }[] = [];
  /** `lost`: the order is made, the answer gets lost. */
  mode: 'up' | 'down' | 'lost' | 'refuses' = 'up';
  questions = 0;
  /** Changes what is told about every order. */
  lie: Partial<GatewayOrder> = {};
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async createOrder(
    key: string,
    request: GatewayOrderRequest,
  ): Promise<GatewayAnswer<GatewayOrder & { readonly payUrl: string }>> {
    this.requests.push({ key, request });
    if (this.mode === 'down') return { kind: 'unavailable', why: 'down' };
    if (this.mode === 'refuses') return { kind: 'refused', status: 401, code: 'ERR_UNAUTHORIZED' };
    const orderId = `gateway-${key}`;
    const made = {
      orderId,
      merchantOrderNumber: request.merchantOrderNumber,
      amountMinor: BigInt(request.amount.replace('.', '')),
      currency: request.currency,
      status: 'open',
      paymentId: null,
      expiresAtMs: this.#clock.nowMs() + 900_000,
      payUrl: `http://127.0.0.1:8420/pay/${orderId}`,
    } as const;
    const order = this.orders.get(orderId) ?? made;
    this.orders.set(orderId, order);
    if (this.mode === 'lost') return { kind: 'unavailable', why: 'lost' };
    return { kind: 'answer', value: { ...order, ...this.lie } };
  }

  async order(orderId: string): Promise<GatewayAnswer<GatewayOrder>> {
    this.questions++;
    if (this.mode !== 'up') return { kind: 'unavailable', why: this.mode };
    const order = this.orders.get(orderId);
    if (!order) return { kind: 'refused', status: 404, code: 'ERR_ORDER_NOT_FOUND' };
    return { kind: 'answer', value: { ...order, ...this.lie } };
  }

  async cancel(orderId: string): Promise<GatewayAnswer<GatewayOrder>> {
    if (this.mode === 'up' && this.orders.get(orderId)?.status === 'open') {
      this.set(orderId, 'cancelled');
    }
    return this.order(orderId);
  }

  set(orderId: string, status: GatewayStatus, paymentId: string | null = null): void {
    const order = this.orders.get(orderId);
    if (!order) throw new Error(`no order ${orderId}`);
    this.orders.set(orderId, { ...order, status, paymentId: paymentId ?? order.paymentId });
  }
}

/** A shop with its surroundings. */
export type TestShop = {
  readonly core: ShopCore;
  readonly store: ShopStore;
  readonly clock: TestClock;
  readonly gateway: TestGateway;
  readonly hops: HopRecord[];
  readonly log: Readonly<Record<string, unknown>>[];
  readonly wakes: { count: number };
};

/** With the sample goods. */
export async function testShop(store: ShopStore = new MemoryShopStore()): Promise<TestShop> {
  const clock = new TestClock();
  const gateway = new TestGateway(clock);
  const hops: HopRecord[] = [];
  const log: Readonly<Record<string, unknown>>[] = [];
  const wakes = { count: 0 };
  const ports: ShopPorts = {
    store,
    gateway,
    clock,
    random,
    profile: { ...SHOP_DEFAULTS, origin: TEST_ORIGIN, webhookSecret: TEST_SECRET },
    log: (record) => log.push(record),
    onHop: (record) => hops.push(record),
    wake: () => {
      wakes.count++;
    },
  };
  const core = new ShopCore(ports);
  await core.seed();
  return { core, store, clock, gateway, hops, log, wakes };
}

let count = 0;
/** A key that no other test uses. */
export function aKey(): string {
  return `idempotency-key-${String(++count).padStart(6, '0')}`;
}

/** Orders and returns the ids of both sides. */
export async function ordered(
  { core }: Pick<TestShop, 'core'>,
  goodsId = 'cup',
  quantity = 2,
): Promise<{ readonly orderId: string; readonly orderNumber: string; readonly gatewayId: string }> {
  const { orderId, orderNumber } = await core.checkout(aKey(), [{ goodsId, quantity }]);
  return { orderId, orderNumber, gatewayId: `gateway-${orderId}` };
}

/** Facts of a notification; what is not named is right for an order of two cups. */
export type NewsFacts = {
  readonly gatewayId: string;
  readonly orderNumber: string;
  readonly outcome: 'approved' | 'declined' | 'reversed' | 'unknown';
  readonly sequence?: number;
  readonly paymentId?: string;
  readonly amountMinor?: string;
  readonly currency?: string;
};

/** The gateway's notification of a payment. */
export function newsBody(news: NewsFacts): string {
  return JSON.stringify({
    type: `payment.${news.outcome}`,
    timestamp: new Date(START_MS).toISOString(),
    data: {
      orderId: news.gatewayId,
      merchantOrderNumber: news.orderNumber,
      paymentId: news.paymentId ?? 'payment-1',
      sequence: news.sequence ?? 3,
      outcome: news.outcome,
      responseCode: news.outcome === 'approved' ? '00' : null,
      amountMinor: news.amountMinor ?? '13600',
      currency: news.currency ?? '156',
      panMasked: '629999******0017',
    },
  });
}

/** Signs as the gateway does. */
export function signed(
  body: string,
  options: { readonly id?: string; readonly atMs?: number; readonly secret?: Uint8Array } = {},
): WebhookMessage {
  const id = options.id ?? `msg_${++count}`;
  const timestamp = String(Math.floor((options.atMs ?? START_MS) / 1000));
  const mac = createHmac('sha256', options.secret ?? TEST_SECRET)
    .update(`${id}.${timestamp}.${body}`)
    .digest('base64');
  return { id, timestamp, signature: `v1,${mac}`, body };
}

/** The code that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return 'no error';
  } catch (fault) {
    return fault instanceof Error && 'code' in fault ? fault.code : fault;
  }
}
