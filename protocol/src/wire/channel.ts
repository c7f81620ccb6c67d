/**
 * What the payment application and the gateway say to each other inside their TLS channel.
 * Each message is one frame: 4-byte big-endian length, then JSON. Bytes are upper-case hex.
 */
import type { PaymentAttestation } from './attestation.ts';
import type { CardInterface } from './element.ts';
import type { SignedParameterSet } from './parameters.ts';

/** Longest frame accepted, in bytes. */
export const CHANNEL_FRAME_BYTES_MAX = 32_768;
/** Version of these messages. */
export const CHANNEL_VERSION = 2;

/** What the gateway signs; the only source of amount, merchant and origin for the element. */
export type SignedOrder = {
  readonly orderId: string;
  readonly merchantId: string;
  readonly merchantName: string;
  readonly terminalId: string;
  readonly amountMinor: string;
  readonly currency: string;
  readonly origin: string;
  /** Local date and time of the transaction for 9A and 9F21, YYMMDD and hhmmss. */
  readonly dateYymmdd: string;
  readonly timeHhmmss: string;
  /** 9C: goods and services, or a load from the card's own account, in cash, from another one. */
  readonly transactionType: '00' | '60' | '62' | '63';
  /** Gateway's ECDSA P-256/SHA-256 signature (IEEE P1363) over `orderSignatureInput`. */
  readonly signature: string;
};

/** A payment ready for the switch, sealed by the channel and signed by the element. */
export type SealedPayment = {
  readonly orderId: string;
  readonly interface: CardInterface;
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly expiryYymm: string;
  /** Application label or preferred name, for the receipt; at most 32 characters. */
  readonly applicationLabel: string;
  /** Track 2 equivalent data (57), digits with D separator, without filler. */
  readonly track2: string;
  /** Field 55 as TLV. */
  readonly field55: string;
  /** ISO 9564 format 4 block under the element's DUKPT key, or null without online PIN. */
  readonly pin: { readonly block: string; readonly ksn: string } | null;
  /** The element's signed word on all of this, on itself and on the channel. */
  readonly attestation: PaymentAttestation;
};

/** How a contact card ended the transaction; a contactless one has no second cryptogram. */
export type SealedCompletion = {
  readonly paymentId: string;
  readonly secondType: 'TC' | 'AAC' | null;
  readonly second: string | null;
  readonly tvr: string;
  readonly tsi: string;
  readonly scriptResults: string;
  /** The kernel's final word. */
  readonly outcome: 'approved' | 'declined';
};

/** Which set of parameters there is, and the lowest version that is taken; 0 when there is none. */
export type ParameterVersions = { readonly newest: number; readonly minimum: number };

/** From the payment application. */
export type ApplicationMessage =
  | {
      readonly type: 'hello';
      readonly version: number;
      readonly elementId: string;
      readonly applicationVersion: string;
    }
  | { readonly type: 'orderRequest'; readonly orderId: string }
  /** Asks for the newest parameter set. */
  | { readonly type: 'parametersRequest' }
  | { readonly type: 'payment'; readonly payment: SealedPayment }
  | { readonly type: 'completion'; readonly completion: SealedCompletion }
  /** Ended before the cryptogram left the element: nothing was charged. */
  | { readonly type: 'abandon'; readonly orderId: string; readonly reason: string };

/** From the gateway. */
export type GatewayMessage =
  | {
      readonly type: 'welcome';
      readonly version: number;
      readonly timeMs: number;
      readonly parameters: ParameterVersions;
    }
  | { readonly type: 'parameters'; readonly set: SignedParameterSet }
  | { readonly type: 'signedOrder'; readonly order: SignedOrder }
  | {
      readonly type: 'authorisation';
      readonly paymentId: string;
      /** answered: the issuer spoke; unable: no 0200 was sent; unknown: sent, no final answer. */
      readonly result: 'answered' | 'unable' | 'unknown';
      readonly responseCode: string | null;
      readonly issuerAuthenticationData: string | null;
      readonly scripts: readonly string[];
    }
  /** Final word: after `completion`, and for a contactless payment right after `authorisation`. */
  | {
      readonly type: 'result';
      readonly paymentId: string;
      readonly outcome: PaymentOutcome;
      readonly responseCode: string | null;
    }
  | {
      readonly type: 'error';
      readonly code: string;
      readonly message: string;
      readonly data: Readonly<Record<string, string | number | boolean | null>>;
    };

/** What the payer and the merchant are told. */
export type PaymentOutcome = 'approved' | 'declined' | 'unknown' | 'reversed' | 'cancelled';

/** The bytes that the gateway signs for an order. */
export function orderSignatureInput(order: Omit<SignedOrder, 'signature'>): string {
  return JSON.stringify([
    'tapnpay-order-2',
    order.orderId,
    order.merchantId,
    order.merchantName,
    order.terminalId,
    order.amountMinor,
    order.currency,
    order.origin,
    order.dateYymmdd,
    order.timeHhmmss,
    order.transactionType,
  ]);
}

/** Label of the TLS exporter value (32 bytes, empty context). */
export const CHANNEL_EXPORTER_LABEL = 'EXPORTER-tapandpay';

/** The gateway's name in the certificate of its channel. */
export const GATEWAY_SERVER_NAME = 'gateway.tapnpay.internal';
