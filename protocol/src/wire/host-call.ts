/**
 * What an application inside the secure element asks of it. The application is a generator that
 * yields calls; the element answers, or throws a coded fault at the call. Keys are handles only.
 */
import type { Secret } from '../bytes/index.ts';
import type { PaymentAttestation, PaymentClaim } from './attestation.ts';
import type { CardInterface, CardRequest, ElementPayResult, ShownOrder } from './element.ts';
import type { HopName, HopRecord } from './hop.ts';
import type { SignedParameterSet } from './parameters.ts';
import type { ElementTokenResult, TokenWish } from './token.ts';

/** Keys an application may use without seeing them. */
export const KeyHandle = {
  /** The gateway's public key for orders. */
  order: 'order',
  /** The gateway's parameter-update key. */
  parameters: 'parameters',
} as const;
export type KeyHandle = (typeof KeyHandle)[keyof typeof KeyHandle];

/** One question of an application to the element. */
export type HostCall =
  /**
   * Asks for consent and a fresh card; answers how it was presented. Faults: `ERR_CARD_TIMEOUT`,
   * `ERR_USER_CANCELLED`, `ERR_CARD_REMOVED`.
   */
  | ({ readonly call: 'presentCard' } & CardRequest)
  /** Asks for consent to the token of the intent and a fresh inserted card; faults the same. */
  | {
      readonly call: 'presentTokenCard';
      readonly attempt: number;
      readonly reason: string | null;
    }
  /** Nothing more is asked of the card. */
  | { readonly call: 'releaseCard' }
  /** Faults: `ERR_CARD_REMOVED`, `ERR_CARD_TRANSPORT`. */
  | { readonly call: 'cardTransmit'; readonly command: Uint8Array }
  /** TLS 1.3 to the gateway of the enrolment. Faults: `ERR_CHANNEL_TLS`, `ERR_CHANNEL_CLOSED`. */
  | { readonly call: 'channelOpen'; readonly serverName: string }
  | { readonly call: 'channelSend'; readonly data: Uint8Array }
  /** The next bytes. Faults: `ERR_CHANNEL_CLOSED`, `ERR_CHANNEL_TIMEOUT`, `ERR_CHANNEL_TLS`. */
  | { readonly call: 'channelReceive'; readonly timeoutMs: number }
  | { readonly call: 'channelClose' }
  /** Keying material of the open channel. @see RFC 8446 §7.5 */
  | { readonly call: 'exporter'; readonly label: string; readonly lengthBytes: number }
  /**
   * The element's signed word on a payment over the open channel; its counter moves on durably
   * first. Faults: `APP_LOCKED`, `ERR_MESSAGE_FIELD`.
   */
  | ({ readonly call: 'attest' } & PaymentClaim)
  | {
      readonly call: 'verifySignature';
      readonly key: KeyHandle;
      readonly data: Uint8Array;
      readonly signature: Uint8Array;
    }
  /** Keeps a newer parameter set durably. Faults: `ERR_PARAMETERS`: not signed, or not newer. */
  | { readonly call: 'storeParameters'; readonly set: SignedParameterSet }
  /** Asks the person for the PIN; null when it is not given. Once in a payment. */
  | ({ readonly call: 'sealPin'; readonly pan: Secret<string> } & ShownOrder)
  | { readonly call: 'random'; readonly lengthBytes: number }
  | { readonly call: 'clock' }
  | { readonly call: 'hop'; readonly name: HopName; readonly facts: HopRecord['facts'] };

/** What is known of an open channel. */
export type ChannelFacts = {
  readonly protocol: string;
  readonly mutual: boolean;
  readonly resumed: boolean;
};

/** An enciphered PIN: ISO 9564-1 format 4 under AES DUKPT, and its key serial number. */
export type EncipheredPin = { readonly block: Uint8Array; readonly ksn: Uint8Array };

/** The element's answer to each call. */
export type HostAnswers = {
  presentCard: CardInterface;
  presentTokenCard: CardInterface;
  releaseCard: null;
  cardTransmit: Uint8Array;
  channelOpen: ChannelFacts;
  channelSend: null;
  channelReceive: Uint8Array;
  channelClose: null;
  exporter: Uint8Array;
  attest: PaymentAttestation;
  verifySignature: boolean;
  storeParameters: null;
  sealPin: EncipheredPin | null;
  random: Uint8Array;
  clock: number;
  hop: null;
};

/** A conversation of an application with the element that ends with `Result`. */
export type HostConversation<Result> = Generator<HostCall, Result, unknown>;

/** What the element gives an application when it is made; `Ciphers` is the CipherProvider. */
export type ApplicationContext<Ciphers> = {
  readonly elementId: string;
  /** The newest set that the element keeps. */
  readonly parameters: SignedParameterSet;
  readonly ciphers: Ciphers;
};

/** The intent of a payment; amount, merchant and origin come from the gateway's signed order. */
export type PayIntent = {
  readonly orderId: string;
  readonly serverName: string;
};

/** What the element gives the application's conversation: the intent and what it stands on. */
export type PaymentIntent = (
  | (PayIntent & { readonly kind: 'pay' })
  | (TokenIntent & { readonly kind: 'token' })
) & {
  readonly elementId: string;
  readonly parameters: SignedParameterSet;
};

/** The intent of a dynamic token. */
export type TokenIntent = { readonly wish: TokenWish };

/** The payment application. */
export interface PaymentApplication {
  pay(intent: PayIntent): HostConversation<ElementPayResult>;
  token(intent: TokenIntent): HostConversation<ElementTokenResult>;
}

/** What the payment application's entry file exports. */
export type PaymentApplicationModule<Ciphers> = {
  readonly createPaymentApplication: (context: ApplicationContext<Ciphers>) => PaymentApplication;
};
