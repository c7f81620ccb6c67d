/**
 * Agent <-> element process, over standard input and output: 4-byte big-endian length + JSON.
 * The agent carries APDUs and TLS records; it decides nothing.
 */
import type { ErrorBody } from '../bytes/index.ts';
import type { CardCommand } from './element-card.ts';
import type { HopRecord } from './hop.ts';
import type { SignedParameterSet } from './parameters.ts';
import type { TokenWish } from './token.ts';

/** Longest frame accepted, in bytes. */
export const ELEMENT_FRAME_BYTES_MAX = 262_144;

/** Agent -> element. */
export type ElementCommand =
  | CardCommand
  | { readonly type: 'status'; readonly id: number }
  /** Makes the client key pair and the transport key; answers `enrolmentRequest`. */
  | { readonly type: 'beginEnrolment'; readonly id: number; readonly pairingCode: string }
  | { readonly type: 'finishEnrolment'; readonly id: number; readonly grant: EnrolmentGrant }
  | {
      readonly type: 'pay';
      readonly id: number;
      readonly orderId: string;
      readonly serverName: string;
    }
  /** Makes a dynamic token with a card. */
  | { readonly type: 'token'; readonly id: number; readonly wish: TokenWish }
  /** A card is there, freshly presented for this payment with the person's consent. */
  | { readonly type: 'cardAnswer'; readonly interface: CardInterface }
  /** No card will come: `ERR_CARD_TIMEOUT`, `ERR_USER_CANCELLED`, `ERR_CARD_REMOVED`. */
  | { readonly type: 'cardFault'; readonly error: ErrorBody }
  | { readonly type: 'channelOpened' }
  | { readonly type: 'channelData'; readonly base64: string }
  | { readonly type: 'channelClosed' }
  /** Answer of the card, or the fault that ended the tap (`ERR_CARD_REMOVED`). */
  | { readonly type: 'apduAnswer'; readonly response: string }
  | { readonly type: 'apduFault'; readonly error: ErrorBody }
  /** PIN sealed (RSA-OAEP SHA-256) to the per-payment key of `pinRequest`; null = cancelled. */
  | { readonly type: 'pinAnswer'; readonly sealedPin: string | null }
  /** No PIN will come: `ERR_CARD_REMOVED` (the card left meanwhile), `ERR_USER_CANCELLED`. */
  | { readonly type: 'pinFault'; readonly error: ErrorBody };

/** Element -> agent. */
export type ElementEvent =
  | { readonly type: 'ready'; readonly elementId: string | null; readonly state: ElementState }
  | {
      readonly type: 'answer';
      readonly id: number;
      readonly result?: unknown;
      readonly error?: ErrorBody;
    }
  | { readonly type: 'openChannel' }
  | { readonly type: 'channelData'; readonly base64: string }
  | { readonly type: 'channelEnd' }
  /** Asks for a person's consent and a fresh insertion or tap; answered by `cardAnswer`. */
  | ({ readonly type: 'cardRequest' } & CardRequest)
  /** The same for a token, by insertion only; answered by `cardAnswer`. */
  | { readonly type: 'tokenCardRequest'; readonly attempt: number; readonly reason: string | null }
  | { readonly type: 'apdu'; readonly command: string }
  /** Nothing more is asked of the card: it may be taken away. */
  | { readonly type: 'cardDone' }
  | ({ readonly type: 'pinRequest'; readonly publicKeySpki: string } & ShownOrder)
  | { readonly type: 'hop'; readonly record: HopRecord };

/** How card and reader meet. */
export type CardInterface = 'contact' | 'contactless';

/** What an order is for: goods, or a load (圈存) of the purse in the payer's own card. */
export type OrderKind = 'purchase' | 'ecashLoad';

/** What the payer is shown of the gateway-signed order. */
export type ShownOrder = {
  readonly kind: OrderKind;
  readonly amountMinor: string;
  readonly currency: string;
  readonly merchantName: string;
  readonly origin: string;
};

/** The application wants a card. */
export type CardRequest = ShownOrder & {
  /** Interfaces it takes now; only `contact` after a contactless card asked for insertion. */
  readonly interfaces: readonly CardInterface[];
  /** 1 for the first presentation of this payment. */
  readonly attempt: number;
  /** Why another one is needed: `ERR_CARD_REMOVED`, `card:useContact`; null for the first. */
  readonly reason: string | null;
};

export type ElementState = 'notEnrolled' | 'operable' | 'locked';

/** What the element asks a gateway to certify. */
export type EnrolmentRequest = {
  readonly elementId: string;
  /** Client key, ECDSA P-256, SPKI hex. */
  readonly publicKeySpki: string;
  /** RSA-2048 key that the DUKPT initial key is sent under, SPKI hex. */
  readonly transportKeySpki: string;
  /** HMAC-SHA256(pairing code, elementId ‖ SPKI ‖ transport SPKI as UTF-8 JSON array), hex. */
  readonly pairingProof: string;
  /** Client key's signature over the same bytes: proof of possession. */
  readonly signature: string;
};

/** What the gateway answers. */
export type EnrolmentGrant = {
  readonly certificatePem: string;
  readonly caPem: string;
  readonly orderPublicKeySpki: string;
  readonly initialKeyId: string;
  readonly encipheredInitialKey: string;
  readonly initialKeyKcv: string;
  /** Key that parameter sets are signed by, ECDSA P-256, SPKI hex. */
  readonly parameterPublicKeySpki: string;
  readonly parameters: SignedParameterSet;
};

/** Acceptance parameters the gateway manages for the payment application; hex values. */
export type TerminalParametersJson = {
  /** Tag 9F66 before the transient bits of byte 2 are set. */
  readonly terminalTransactionQualifiers: string;
  readonly countryCode: string;
  readonly terminalType: string;
  readonly terminalCapabilities: string;
  readonly additionalTerminalCapabilities: string;
  readonly aids: readonly {
    readonly aid: string;
    readonly applicationVersion: string;
    readonly tacDefault: string;
    readonly tacDenial: string;
    readonly tacOnline: string;
    readonly floorLimitMinor: string;
    readonly defaultDdol: string;
    /** Limits of the contactless reader (DF19, DF20, DF21); null: contact only. */
    readonly contactless: ContactlessLimitsJson | null;
  }[];
  readonly caPublicKeys: readonly {
    readonly rid: string;
    readonly index: string;
    readonly modulus: string;
    readonly exponent: string;
    readonly sha1: string;
    readonly expiryYymmdd: string;
  }[];
};

/** Minor units. Above the transaction limit there is no tap, above the CVM limit a CVM. */
export type ContactlessLimitsJson = {
  readonly floorLimitMinor: string;
  readonly transactionLimitMinor: string;
  readonly cvmLimitMinor: string;
};

/** The document of `enrolment` proofs: what is MACed and signed. */
export function enrolmentInput(
  facts: Pick<EnrolmentRequest, 'elementId' | 'publicKeySpki' | 'transportKeySpki'>,
): string {
  return JSON.stringify([
    'tapnpay-enrol-1',
    facts.elementId,
    facts.publicKeySpki,
    facts.transportKeySpki,
  ]);
}

/** Outcome of `pay`, the element's `answer.result`. Hex values; no secrets. */
export type ElementPayResult = {
  readonly outcome: 'approved' | 'declined' | 'unknown' | 'cancelled';
  /** Who refused and why, e.g. `issuer:55`, `card:AAC`, `terminal:TAC`, `ERR_CARD_REMOVED`. */
  readonly reason: string | null;
  readonly charged: 'no' | 'unknown' | 'yes';
  /** How the card was read last; null when none was. */
  readonly interface: CardInterface | null;
  readonly paymentId: string | null;
  readonly responseCode: string | null;
  readonly card: {
    readonly label: string;
    readonly panMasked: string;
    readonly aid: string;
  } | null;
  readonly cryptogram: {
    readonly arqc: string | null;
    readonly arpc: string | null;
    readonly second: string | null;
    readonly secondType: 'TC' | 'AAC' | null;
  };
  readonly tvr: string;
  readonly tsi: string;
  readonly cvmResults: string;
  readonly dataAuthentication: 'none' | 'SDA' | 'DDA' | 'CDA' | 'fDDA' | 'failed';
  readonly channel: {
    readonly protocol: string;
    readonly mutual: boolean;
    readonly resumed: boolean;
  } | null;
};
