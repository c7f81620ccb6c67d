/** What the gateway tells a payer's page. The order id is the page's only right. */
import type { PaymentOutcome } from './channel.ts';
import type { CardInterface } from './element.ts';

/** GET `/v1/pay/:orderId` answers `PayOrderView`; POST `/v1/pay/:orderId/cancel` too. */
export const PAY_ORDER_PATH = '/v1/pay';
/** WebSocket that carries the channel's records to the TLS listener; only for our own origin. */
export const PAY_CHANNEL_PATH = '/v1/channel';
/** Longest binary message of the bridge, in bytes. */
export const PAY_CHANNEL_BYTES_MAX = 65_536;
/** The hosted pay page: `/pay/<orderId>`. */
export const PAY_PAGE = '/pay';

/** An order and its last payment, as the payer may see them. */
export type PayOrderView = {
  readonly orderId: string;
  readonly merchantId: string;
  readonly merchantName: string;
  readonly terminalId: string;
  readonly merchantOrderNumber: string;
  readonly amountMinor: string;
  readonly currency: string;
  /** Origin of the shop that ordered. */
  readonly origin: string;
  readonly status: 'open' | 'processing' | 'paid' | 'unknown' | 'cancelled' | 'expired';
  readonly nowMs: number;
  readonly expiresAtMs: number;
  /** Where the shop wants the payer back; `orderId` is added to its query. */
  readonly returnUrl: string | null;
  /** Where the helper on the payer's machine listens. */
  readonly agentUrl: string;
  /** Test money: the page says so and offers the look inside. */
  readonly sandbox: boolean;
  /** Page of the look inside, or null outside the sandbox. */
  readonly insideUrl: string | null;
  readonly payment: PayPaymentView | null;
};

/** The last payment of an order. */
export type PayPaymentView = {
  readonly paymentId: string;
  /** Null while it is under way. */
  readonly outcome: PaymentOutcome | null;
  readonly responseCode: string | null;
  /** Why it did not end approved: `issuer:funds`, `card:AAC`, `timeout`. */
  readonly reason: string | null;
  readonly receipt: Receipt;
};

/** The receipt's facts; no PAN, no track. Byte values are upper-case hex. */
export type Receipt = {
  readonly panMasked: string;
  readonly entryMode: CardInterface;
  readonly applicationLabel: string;
  /** 84. */
  readonly aid: string;
  /** 9F36 as a number. */
  readonly applicationTransactionCounter: number;
  /** The ARQC; and the second cryptogram of a contact card. */
  readonly arqc: string;
  readonly second: string | null;
  readonly secondType: 'TC' | 'AAC' | null;
  readonly tvr: string;
  readonly tsi: string | null;
  readonly cvmResults: string;
  /** Fields 38, 11, 37. */
  readonly approvalCode: string | null;
  readonly stan: string;
  readonly retrievalReference: string;
  readonly createdAtMs: number;
};
