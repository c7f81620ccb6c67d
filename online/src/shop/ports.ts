/** What the shop's core asks of the outside; drivers and tests answer. */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { HopRecord } from '@tapnpay/protocol/wire';
import type { GatewayStatus } from './model.ts';
import type { ShopStore } from './store.ts';

/** What the gateway is asked for. */
export type GatewayOrderRequest = {
  readonly merchantOrderNumber: string;
  /** Decimal text, `12.34`. */
  readonly amount: string;
  readonly currency: string;
  readonly origin: string;
  readonly notifyUrl: string;
  readonly returnUrl: string;
};
/** An order as the gateway knows it. */
export type GatewayOrder = {
  readonly orderId: string;
  readonly merchantOrderNumber: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly status: GatewayStatus;
  readonly paymentId: string | null;
  readonly expiresAtMs: number;
};
/** `unavailable`: nobody knows what happened; ask again with the same key. */
export type GatewayAnswer<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'unavailable'; readonly why: string }
  | { readonly kind: 'refused'; readonly status: number; readonly code: string };

/** The gateway's interface for merchants. */
export interface Gateway {
  createOrder(
    idempotencyKey: string,
    request: GatewayOrderRequest,
  ): Promise<GatewayAnswer<GatewayOrder & { readonly payUrl: string }>>;
  order(orderId: string): Promise<GatewayAnswer<GatewayOrder>>;
  cancel(orderId: string): Promise<GatewayAnswer<GatewayOrder>>;
}

/** A record for the log: no secrets, masked data only. */
export type ShopLog = (record: {
  readonly event: string;
  readonly [fact: string]: string | number | boolean | null;
}) => void;

/** Fixed facts of an installation. */
export type ShopProfile = {
  /** Where browsers reach the shop. */
  readonly origin: string;
  /** Key of the notifications' signature. */
  readonly webhookSecret: Uint8Array;
  /** Pauses between questions about an open order; the last one repeats. */
  readonly checkPausesMs: readonly number[];
  /** How long a check may take before another worker takes it. */
  readonly checkLeaseMs: number;
  /** A buyer who looks makes the shop ask the gateway at most this often for one order. */
  readonly lookGapMs: number;
  /** An order that never reached its buyer's pay page is closed after this time. */
  readonly placingLifetimeMs: number;
  /** How far a notification's time may be off. */
  readonly toleranceMs: number;
};

/** Everything the core stands on. */
export type ShopPorts = {
  readonly store: ShopStore;
  readonly gateway: Gateway;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly profile: ShopProfile;
  readonly log: ShopLog;
  /** Sees each hop at the moment it is reached. */
  readonly onHop: (record: HopRecord) => void;
  /** Work for `tick` has come up. */
  readonly wake: () => void;
};

/** Times of an installation that asks for nothing else. */
export const SHOP_DEFAULTS: Omit<ShopProfile, 'origin' | 'webhookSecret'> = {
  checkPausesMs: [5_000, 10_000, 20_000, 40_000, 60_000],
  checkLeaseMs: 15_000,
  lookGapMs: 1_000,
  placingLifetimeMs: 30 * 60_000,
  toleranceMs: 5 * 60_000,
};
