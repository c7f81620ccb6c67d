/** The shop's server <-> its own pages, JSON over HTTP. Amounts are decimal text of minor units. */
import type { ErrorBody } from '../bytes/index.ts';

/** GET; `{goods: ShopGoods[]}`. */
export const SHOP_GOODS_PATH = '/api/goods';
/** POST `ShopCheckout`, answers `ShopPlaced`; GET `/:id` answers `ShopOrderView`. */
export const SHOP_ORDERS_PATH = '/api/orders';
/** The merchant's part, behind the login. */
export const SHOP_ADMIN_PATH = '/api/admin';
/** Different goods in one order, and pieces of one of them. */
export const SHOP_LINES_MAX = 20;
export const SHOP_QUANTITY_MAX = 99;
/** Highest price of one piece, in minor units: 999,999.99. */
export const SHOP_PRICE_MINOR_MAX = 99_999_999;
/** Most pieces in stock. */
export const SHOP_STOCK_MAX = 999_999;

/** A text for people in both languages. */
export type ShopText = { readonly zh: string; readonly en: string };
/** Goods as everybody may see them. */
export type ShopGoods = {
  readonly goodsId: string;
  readonly name: ShopText;
  readonly description: ShopText;
  readonly priceMinor: string;
  /** ISO 4217 number. */
  readonly currency: string;
  /** Pieces that can be ordered now. */
  readonly stock: number;
  /** Name of a picture of the pages. */
  readonly picture: string;
};
/** What a cart asks for; prices come from the server alone. */
export type ShopCheckout = {
  readonly items: readonly { readonly goodsId: string; readonly quantity: number }[];
  /** One for each try to buy, the same on each repeat of it. */
  readonly idempotencyKey: string;
};
/** Answer to a checkout. */
export type ShopPlaced = {
  readonly orderId: string;
  readonly orderNumber: string;
  readonly state: ShopOrderState;
  /** Hosted pay page; null when this order takes no payment (any more). */
  readonly payUrl: string | null;
};
/**
 * `placing`: stock is reserved, the gateway does not know the order yet. `unknownPayment`: money
 * may have moved; nobody may pay again. `paid`, `cancelled` and `expired` are final.
 */
export type ShopOrderState =
  | 'placing'
  | 'awaitingPayment'
  | 'unknownPayment'
  | 'paid'
  | 'cancelled'
  | 'expired';
/** A line of an order, with the price of its day. */
export type ShopOrderItem = {
  readonly goodsId: string;
  readonly name: ShopText;
  readonly priceMinor: string;
  readonly quantity: number;
  readonly picture: string;
};
/** An order as its buyer may see it; the order id is the only right. */
export type ShopOrderView = {
  readonly orderId: string;
  readonly orderNumber: string;
  readonly state: ShopOrderState;
  /** A payment is under way at the gateway at this moment. */
  readonly isProcessing: boolean;
  readonly amountMinor: string;
  readonly currency: string;
  readonly items: readonly ShopOrderItem[];
  /** Only while the gateway would take a payment. */
  readonly payUrl: string | null;
  /** Page of the receipt, once paid. */
  readonly receiptUrl: string | null;
  /** The last attempt as the gateway told it; null when it told nothing yet. */
  readonly lastAttempt: ShopAttempt | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly paidAtMs: number | null;
  readonly nowMs: number;
};
export type ShopAttempt = {
  readonly outcome: string;
  readonly responseCode: string | null;
  readonly panMasked: string | null;
};

/** Goods as the merchant sees them. */
export type ShopAdminGoods = ShopGoods & {
  readonly isOnSale: boolean;
  /** Pieces in open orders, and pieces in paid ones. */
  readonly reserved: number;
  readonly sold: number;
  /** Number of edits; an edit names the one it started from. */
  readonly version: number;
  readonly updatedAtMs: number;
};
/** What the merchant may write. */
export type ShopGoodsDraft = {
  readonly goodsId: string;
  readonly name: ShopText;
  readonly description: ShopText;
  readonly priceMinor: string;
  readonly picture: string;
  readonly isOnSale: boolean;
};
/** One change of a stock; their sum is the stock. */
export type ShopStockMovement = {
  readonly movementId: string;
  readonly goodsId: string;
  /** `sold` moves nothing: the pieces left the stock when they were reserved. */
  readonly kind: 'opening' | 'adjusted' | 'reserved' | 'released' | 'sold';
  readonly delta: number;
  readonly stockAfter: number;
  readonly orderNumber: string | null;
  readonly note: string | null;
  readonly atMs: number;
};
/** A line of the merchant's list of orders. */
export type ShopAdminOrder = {
  readonly orderId: string;
  readonly orderNumber: string;
  readonly state: ShopOrderState;
  readonly amountMinor: string;
  readonly currency: string;
  readonly pieces: number;
  readonly createdAtMs: number;
  readonly paidAtMs: number | null;
  readonly hasIncident: boolean;
};
/** One order with everything that happened to it. */
export type ShopAdminOrderDetail = ShopAdminOrder & {
  readonly items: readonly ShopOrderItem[];
  readonly gatewayOrderId: string | null;
  readonly gatewayStatus: string | null;
  readonly paymentId: string | null;
  readonly lastAttempt: ShopAttempt | null;
  readonly checks: number;
  readonly nextCheckAtMs: number | null;
  readonly movements: readonly ShopStockMovement[];
  readonly notifications: readonly ShopNotificationView[];
  readonly incidents: readonly ShopIncidentView[];
};
/** A notification that came, and what became of it. */
export type ShopNotificationView = {
  readonly webhookId: string;
  readonly outcome: string;
  readonly sequence: number;
  readonly effect: 'applied' | 'noted' | 'stale';
  readonly atMs: number;
};
/** Something that a person must look at. */
export type ShopIncidentView = {
  readonly incidentId: string;
  readonly code: string;
  readonly orderNumber: string | null;
  readonly facts: Readonly<Record<string, string>>;
  readonly atMs: number;
};
/** The merchant's first look. */
export type ShopSummary = {
  readonly orders: Readonly<Record<ShopOrderState, number>>;
  readonly paidMinor: string;
  readonly currency: string;
  readonly incidents: readonly ShopIncidentView[];
};
/** A refusal, with the text for people in both languages; `{name}` stands for `data.name`. */
export type ShopErrorBody = ErrorBody & { readonly texts: ShopText };
