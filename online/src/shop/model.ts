/**
 * The shop's durable facts: goods, stock movements, orders, notifications, incidents; and what may
 * become of an order. Amounts are minor units, times are milliseconds.
 */
import type {
  ShopIncidentView,
  ShopNotificationView,
  ShopOrderState,
  ShopStockMovement,
  ShopText,
} from '@tapnpay/protocol/wire';

/** ISO 4217 number of all prices: yuan. */
export const SHOP_CURRENCY = '156';

/** Something to buy; `stock` counts what is not reserved. */
export type Goods = {
  readonly goodsId: string;
  readonly name: ShopText;
  readonly description: ShopText;
  readonly priceMinor: bigint;
  readonly stock: number;
  readonly picture: string;
  readonly isOnSale: boolean;
  /** Place in the window, ascending. */
  readonly position: number;
  readonly version: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
};

/** A line of an order with name and price of its day. */
export type OrderItem = {
  readonly goodsId: string;
  readonly name: ShopText;
  readonly picture: string;
  readonly priceMinor: bigint;
  readonly quantity: number;
};

/** What the gateway says about its order. */
export type GatewayStatus = 'open' | 'processing' | 'paid' | 'unknown' | 'cancelled' | 'expired';

/** What is known of an order's last attempt. */
export type AttemptFacts = {
  readonly paymentId: string | null;
  readonly outcome: string | null;
  readonly responseCode: string | null;
  readonly panMasked: string | null;
};

/** An order of a customer. */
export type Order = AttemptFacts & {
  /** Also the Idempotency-Key at the gateway, and the buyer's only right to see it. */
  readonly orderId: string;
  /** What people read; the gateway's `merchantOrderNumber`. */
  readonly orderNumber: string;
  readonly state: ShopOrderState;
  readonly amountMinor: bigint;
  readonly currency: string;
  /** Our origin when it was made: repeats to the gateway must not differ after a move. */
  readonly origin: string;
  readonly gatewayOrderId: string | null;
  readonly gatewayStatus: GatewayStatus | null;
  readonly payUrl: string | null;
  readonly expiresAtMs: number | null;
  /** Number of changes so far. */
  readonly version: number;
  /** Times the sweep asked the gateway since the last change. */
  readonly checks: number;
  /** When the sweep asks next; null once final. */
  readonly nextCheckAtMs: number | null;
  readonly lastAskedAtMs: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly paidAtMs: number | null;
};
/** An order with its lines. */
export type OrderWithItems = Order & { readonly items: readonly OrderItem[] };

export type StockMovement = ShopStockMovement & { readonly orderId: string | null };
export type Incident = ShopIncidentView & { readonly orderId: string | null };
export type NotificationRecord = ShopNotificationView & {
  readonly orderId: string;
  readonly paymentId: string;
};

/** States that nothing leaves. */
export const FINAL_STATES: readonly ShopOrderState[] = ['paid', 'cancelled', 'expired'];

export function isFinal(state: ShopOrderState): boolean {
  return FINAL_STATES.includes(state);
}

/** Legal moves of an order; the database enforces the same table. */
export const ORDER_MOVES: Readonly<Record<ShopOrderState, readonly ShopOrderState[]>> = {
  placing: ['awaitingPayment', 'unknownPayment', 'paid', 'cancelled', 'expired'],
  awaitingPayment: ['unknownPayment', 'paid', 'cancelled', 'expired'],
  unknownPayment: ['awaitingPayment', 'paid', 'cancelled', 'expired'],
  paid: [],
  cancelled: [],
  expired: [],
};

/** What an order is when the gateway says `status`. */
export const STATE_OF_STATUS: Readonly<Record<GatewayStatus, ShopOrderState>> = {
  open: 'awaitingPayment',
  processing: 'awaitingPayment',
  unknown: 'unknownPayment',
  paid: 'paid',
  cancelled: 'cancelled',
  expired: 'expired',
};

/** What happens to the reserved pieces in a state: kept until nothing can be charged any more. */
export function reservationIn(state: ShopOrderState): 'kept' | 'sold' | 'released' {
  if (state === 'paid') return 'sold';
  return state === 'cancelled' || state === 'expired' ? 'released' : 'kept';
}

/** Sum of price times quantity, in minor units. */
export function amountOf(items: readonly Pick<OrderItem, 'priceMinor' | 'quantity'>[]): bigint {
  return items.reduce((sum, { priceMinor, quantity }) => sum + priceMinor * BigInt(quantity), 0n);
}
