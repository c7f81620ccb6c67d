/**
 * A page of the gateway <-> the agent on the laptop, and the agent's own window <-> the agent: JSON
 * over WebSockets on loopback. The page passes an order id only and relays TLS records unread; the
 * window is where a person consents, presents a card and types a PIN.
 */
import type { ErrorBody } from '../bytes/index.ts';
import type {
  CardInterface,
  CardRequest,
  ElementPayResult,
  ElementState,
  ShownOrder,
} from './element.ts';
import type { ElementTokenResult, TokenWish } from './token.ts';

/** Version of these messages. */
export const AGENT_VERSION = 1;
/** Longest message of either WebSocket, in bytes. */
export const AGENT_MESSAGE_BYTES_MAX = 262_144;
/** WebSocket of pages: the Origin is a gateway's, the first message holds the pairing token. */
export const AGENT_SESSION_PATH = '/v1/session';
/** WebSocket of the agent's own pages: the Origin is the agent's, the cookie proves the pairing. */
export const AGENT_WINDOW_PATH = '/v1/window';
/** The agent's window; `?origin=` names the gateway that opened it. */
export const AGENT_WINDOW_PAGE = '/window';
/** The cards of the simulator. */
export const AGENT_WALLET_PAGE = '/wallet';
/** POST `PairingRequest` (without a code when the cookie is there), answers `PairingGrant`. */
export const AGENT_PAIRING_PATH = '/v1/pairing';
/** GET without any right: `AgentReport`. Only for doctor and tests; pages cannot read it. */
export const AGENT_HEALTH_PATH = '/v1/health';

/** The code that the agent's terminal shows, and the gateway origin that wants a token. */
export type PairingRequest = {
  /** Null when the browser holds the agent's cookie already. */
  readonly code: string | null;
  readonly origin: string | null;
};
/** The token is bound to the origin; the browser's cookie comes beside it. */
export type PairingGrant = { readonly token: string | null };
/** The agent's window hands the token to the page that opened it by `postMessage`. */
export type PairedMessage = { readonly type: 'tapnpay-paired'; readonly token: string };

export type AgentHealth = {
  readonly version: number;
  readonly element: { readonly id: string | null; readonly state: ElementState };
  readonly readers: readonly ReaderView[];
};
/** A reader as pages are told of it: a real one without its own name, which may hold a number. */
export type ReaderView = { readonly name: string; readonly kind: 'virtual' | 'pcsc' };
/** A real reader as this machine is told of it; never what its card answers to power or is. */
export type RealReaderView = ReaderView & {
  readonly kind: 'pcsc';
  readonly isCardThere: boolean;
  /** Why its card cannot pay now: `ERR_CARD_MUTE`, `ERR_READER_IN_USE`, `ERR_CARD_INTERFACE`, … */
  readonly fault: string | null;
};
/** Whether real readers take part; `lost` has a code: `ERR_READER_SERVICE`, `ERR_READER_DENIED`. */
export type ReaderService = {
  readonly state: 'off' | 'on' | 'lost';
  readonly code: string | null;
};
/** Health as programs of this machine are told it. */
export type AgentReport = Omit<AgentHealth, 'readers'> & {
  readonly readers: readonly (ReaderView | RealReaderView)[];
  readonly readerService: ReaderService;
};

/**
 * From a page. `session` is a UUID of the page's own, on every frame of one payment, look or token;
 * there is one session at a time, whatever it is for.
 */
export type PageMessage =
  | { readonly type: 'hello'; readonly version: number; readonly token: string | null }
  | { readonly type: 'pay'; readonly session: string; readonly orderId: string }
  /** The page wants to see a card's e-cash balance; answered by `balanceResult` or `failed`. */
  | { readonly type: 'balance'; readonly session: string }
  /** The page wants a dynamic token of a card; answered by `tokenResult` or `failed`. */
  | { readonly type: 'token'; readonly session: string; readonly wish: TokenWish }
  | { readonly type: 'channelOpened'; readonly session: string }
  | { readonly type: 'channelData'; readonly session: string; readonly base64: string }
  | { readonly type: 'channelClosed'; readonly session: string }
  | { readonly type: 'cancel'; readonly session: string };

/** To a page. After `refused` the agent closes. */
export type AgentMessage =
  | ({ readonly type: 'welcome' } & AgentHealth)
  /** `ERR_NOT_PAIRED`, `ERR_VERSION`, `ERR_ORIGIN`. */
  | { readonly type: 'refused'; readonly error: ErrorBody }
  | { readonly type: 'state'; readonly session: string; readonly state: AgentState }
  | { readonly type: 'openChannel'; readonly session: string }
  | { readonly type: 'channelData'; readonly session: string; readonly base64: string }
  | { readonly type: 'channelEnd'; readonly session: string }
  | { readonly type: 'result'; readonly session: string; readonly result: ElementPayResult }
  /** End of `balance`: nothing was charged, whatever came of it. */
  | {
      readonly type: 'balanceResult';
      readonly session: string;
      /** Null without the person's yes or a purse; `reason` says why. */
      readonly balance: CardBalance | null;
      /** `card:noPurse`, `card:blocked`, `terminal:noApplication`, `ERR_USER_CANCELLED`, ... */
      readonly reason: string | null;
    }
  /** End of `token`: digits for the page that asked, or why there are none. */
  | ({ readonly type: 'tokenResult'; readonly session: string } & ElementTokenResult)
  /** Nothing was tried or the element was lost: `ERR_BUSY`, `ERR_ELEMENT_...`. */
  | {
      readonly type: 'failed';
      readonly session: string;
      readonly error: ErrorBody;
      /** True once the cryptogram may have left the element. */
      readonly sent: boolean;
    };

/** What a page learns of a card's purse; of the first one, when there are two. @see PBOC3 P13 */
export type CardBalance = {
  /** ISO 4217 number; null for a card that does not tell. */
  readonly currency: string | null;
  readonly balanceMinor: string;
  /** Of a virtual card; a real one tells its number only when it pays: null. */
  readonly panMasked: string | null;
};

/** Where a payment stands, as the agent sees it; a look at a balance has no PIN and no bank. */
export type AgentState =
  | { readonly name: 'connecting' }
  /** The person has not yet said yes in the agent's window. */
  | { readonly name: 'consent' }
  | {
      readonly name: 'waitCard';
      readonly interfaces: readonly CardInterface[];
      readonly attempt: number;
      readonly reason: string | null;
      readonly deadlineMs: number;
      /** A card was in the reader before: it must be taken out first. */
      readonly takeOutFirst: boolean;
    }
  | { readonly name: 'reading'; readonly interface: CardInterface }
  | { readonly name: 'waitPin'; readonly deadlineMs: number }
  /** The cryptogram is on its way: no cancel any more. */
  | { readonly name: 'authorising'; readonly interface: CardInterface }
  | { readonly name: 'removeCard' };

/** From the agent's own window or wallet. */
export type WindowMessage =
  | { readonly type: 'consent'; readonly session: string; readonly given: boolean }
  | { readonly type: 'cancel'; readonly session: string }
  /** RSA-OAEP (SHA-256) of the ASCII digits under `pinKeySpki`, upper-case hex; null: cancelled. */
  | { readonly type: 'pin'; readonly session: string; readonly sealedPin: string | null }
  /** The person inserts or taps a virtual card; `liftAfter` lifts it before that APDU number. */
  | {
      readonly type: 'present';
      readonly card: string;
      readonly interface: CardInterface;
      readonly liftAfter: number | null;
    }
  | { readonly type: 'takeAway' };

/** To the agent's own window: everything, on every change. */
export type WindowView = {
  readonly type: 'view';
  readonly payment: WindowPayment | null;
  /** The last payment's end, until the next begins. */
  readonly last: {
    readonly session: string;
    /** `read` and `notRead` are a balance's, `made` and `notMade` a token's. */
    readonly outcome:
      | ElementPayResult['outcome']
      | ('failed' | 'read' | 'notRead' | 'made' | 'notMade');
    readonly reason: string | null;
  } | null;
  readonly reader: ReaderView & {
    readonly card: string | null;
    readonly interface: CardInterface | null;
  };
  readonly readerService: ReaderService;
  readonly realReaders: readonly RealReaderView[];
  readonly cards: readonly WalletCard[];
};
export type WindowPayment = {
  readonly session: string;
  /** What the page wants: a payment, or a balance or token, which charge nothing. */
  readonly intent: 'pay' | 'balance' | 'token';
  /** What a card is to sign for a token; null of anything else. */
  readonly wish: TokenWish | null;
  /** Null until the gateway's signed order is known; a look has none. */
  readonly order: ShownOrder | null;
  /** The page's origin, from its browser. */
  readonly gatewayOrigin: string;
  readonly state: AgentState;
  readonly request: CardRequest | null;
  /** SPKI hex of the element's key for this payment's PIN, while one is asked for. */
  readonly pinKeySpki: string | null;
};
/** What a command to the window's socket was refused for. */
export type WindowError = { readonly type: 'error'; readonly error: ErrorBody };

/** A virtual card as the wallet shows it. */
export type WalletCard = {
  readonly name: string;
  readonly label: string;
  readonly panMasked: string;
  readonly expiryYymm: string;
  readonly applicationTransactionCounter: number;
  readonly interfaces: readonly CardInterface[];
  /** What this card is there to show; the pages hold the texts. */
  readonly purpose: string;
};
