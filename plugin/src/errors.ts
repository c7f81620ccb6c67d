/**
 * What a page tells when a payment does not go through: one code of ours for each code of agent,
 * element, kernel and gateway, and for each of ours what it means for the payer.
 */

/** Whether money moved. `unknown` until the gateway's word. */
export type Charged = 'no' | 'unknown' | 'yes';
/** The part of the way that broke. */
export type Stage = 'page' | 'agent' | 'element' | 'channel' | 'card' | 'pin' | 'payment' | 'payer';
/** The payer's next step. */
export type Action =
  | 'retry'
  | 'wait'
  | 'startAgent'
  | 'update'
  | 'otherCard'
  | 'contactBank'
  | 'back'
  | 'none';

/** Fixed facts of a code. */
type Meaning = { readonly stage: Stage; readonly retriable: boolean; readonly action: Action };

const again = (stage: Stage): Meaning => ({ stage, retriable: true, action: 'retry' });
const otherCard = (stage: Stage): Meaning => ({ stage, retriable: true, action: 'otherCard' });
const never = (stage: Stage, action: Action): Meaning => ({ stage, retriable: false, action });

/** Every code that this library reports. */
export type PaymentCode =
  | 'TP_CONTEXT_INSECURE'
  | 'TP_FRAME_NOT_ALLOWED'
  | 'TP_ORIGIN_NOT_ALLOWED'
  | 'TP_HOST_MISSING'
  | 'TP_HOST_EXITED'
  | 'TP_HOST_PROTOCOL'
  | 'TP_HOST_TIMEOUT'
  | 'TP_HOST_OUTDATED'
  | 'TP_BUSY'
  | 'TP_APP_NOT_INSTALLED'
  | 'TP_APP_LOCKED'
  | 'TP_APP_TAMPERED'
  | 'TP_KEYS_EXPIRED'
  | 'TP_SE_UNAVAILABLE'
  | 'TP_CHANNEL_TIMEOUT'
  | 'TP_CHANNEL_LOST'
  | 'TP_CHANNEL_TAMPERED'
  | 'TP_SERVER_UNTRUSTED'
  | 'TP_CLIENT_REJECTED'
  | 'TP_NETWORK'
  | 'TP_NO_READER'
  | 'TP_CARD_TIMEOUT'
  | 'TP_CARD_REMOVED'
  | 'TP_CARD_COMM'
  | 'TP_CARD_UNSUPPORTED'
  | 'TP_CARD_BLOCKED'
  | 'TP_CARD_USE_CONTACT'
  | 'TP_PIN_CANCELLED'
  | 'TP_PIN_TIMEOUT'
  | 'TP_DECLINED_OFFLINE'
  | 'TP_DECLINED_ONLINE'
  | 'TP_ISSUER_UNAVAILABLE'
  | 'TP_REVERSED'
  | 'TP_RESULT_UNKNOWN'
  | 'TP_ORDER_EXPIRED'
  | 'TP_ORDER_CANCELLED'
  | 'TP_DUPLICATE'
  | 'TP_USER_CANCELLED'
  | 'TP_USER_TIMEOUT'
  | 'TP_BAD_ARGUMENT'
  | 'TP_INTERNAL';

/** What each means. */
export const MEANINGS: Readonly<Record<PaymentCode, Meaning>> = {
  TP_CONTEXT_INSECURE: never('page', 'none'),
  TP_FRAME_NOT_ALLOWED: never('page', 'none'),
  TP_ORIGIN_NOT_ALLOWED: never('page', 'none'),
  TP_HOST_MISSING: { stage: 'agent', retriable: true, action: 'startAgent' },
  TP_HOST_EXITED: again('agent'),
  TP_HOST_PROTOCOL: again('agent'),
  TP_HOST_TIMEOUT: again('agent'),
  TP_HOST_OUTDATED: { stage: 'agent', retriable: true, action: 'update' },
  TP_BUSY: again('agent'),
  TP_APP_NOT_INSTALLED: again('element'),
  TP_APP_LOCKED: never('element', 'contactBank'),
  TP_APP_TAMPERED: never('element', 'contactBank'),
  TP_KEYS_EXPIRED: never('element', 'contactBank'),
  TP_SE_UNAVAILABLE: again('element'),
  TP_CHANNEL_TIMEOUT: again('channel'),
  TP_CHANNEL_LOST: again('channel'),
  TP_CHANNEL_TAMPERED: again('channel'),
  TP_SERVER_UNTRUSTED: never('channel', 'contactBank'),
  TP_CLIENT_REJECTED: never('channel', 'contactBank'),
  TP_NETWORK: { stage: 'channel', retriable: true, action: 'wait' },
  TP_NO_READER: again('card'),
  TP_CARD_TIMEOUT: again('card'),
  TP_CARD_REMOVED: again('card'),
  TP_CARD_COMM: again('card'),
  TP_CARD_UNSUPPORTED: otherCard('card'),
  TP_CARD_BLOCKED: otherCard('card'),
  TP_CARD_USE_CONTACT: again('card'),
  TP_PIN_CANCELLED: again('pin'),
  TP_PIN_TIMEOUT: again('pin'),
  TP_DECLINED_OFFLINE: otherCard('payment'),
  TP_DECLINED_ONLINE: otherCard('payment'),
  TP_ISSUER_UNAVAILABLE: again('payment'),
  TP_REVERSED: again('payment'),
  TP_RESULT_UNKNOWN: never('payment', 'wait'),
  TP_ORDER_EXPIRED: never('payment', 'back'),
  TP_ORDER_CANCELLED: never('payer', 'back'),
  TP_DUPLICATE: never('payment', 'wait'),
  TP_USER_CANCELLED: again('payer'),
  TP_USER_TIMEOUT: again('payer'),
  TP_BAD_ARGUMENT: never('page', 'back'),
  TP_INTERNAL: again('page'),
};

/** An error as pages get it. `detail` is the raw code or text, for support; never a secret. */
export type PaymentError = Meaning & {
  readonly code: PaymentCode;
  readonly charged: Charged;
  readonly detail: string;
};

/** Codes and reasons of agent, element, kernel and gateway -> ours. */
const CODES: Readonly<Record<string, PaymentCode>> = {
  ERR_ORIGIN: 'TP_ORIGIN_NOT_ALLOWED',
  ERR_VERSION: 'TP_HOST_OUTDATED',
  ERR_NOT_PAIRED: 'TP_HOST_EXITED',
  ERR_AGENT_GONE: 'TP_HOST_EXITED',
  ERR_CLOSING: 'TP_HOST_EXITED',
  ERR_AGENT_PROTOCOL: 'TP_HOST_PROTOCOL',
  ERR_SEQUENCE: 'TP_HOST_PROTOCOL',
  ERR_MESSAGE_FIELD: 'TP_HOST_PROTOCOL',
  ERR_AGENT_TIMEOUT: 'TP_HOST_TIMEOUT',
  ERR_BUSY: 'TP_BUSY',
  ERR_CARD_IN_USE: 'TP_BUSY',
  ERR_ELEMENT_BUSY: 'TP_BUSY',
  ERR_ELEMENT_IN_USE: 'TP_BUSY',
  ERR_ORDER_BUSY: 'TP_BUSY',
  ERR_ELEMENT_NOT_ENROLLED: 'TP_APP_NOT_INSTALLED',
  ERR_ELEMENT_LOCKED: 'TP_APP_LOCKED',
  ERR_STORE_CORRUPT: 'TP_APP_TAMPERED',
  ERR_STORE_FORK: 'TP_APP_TAMPERED',
  ERR_PIN_KSN: 'TP_APP_TAMPERED',
  ERR_DUKPT_EXHAUSTED: 'TP_KEYS_EXPIRED',
  ERR_ELEMENT_GONE: 'TP_SE_UNAVAILABLE',
  ERR_ELEMENT_START: 'TP_SE_UNAVAILABLE',
  ERR_ELEMENT_APPLICATION: 'TP_SE_UNAVAILABLE',
  ERR_ELEMENT_SEQUENCE: 'TP_SE_UNAVAILABLE',
  ERR_CHANNEL_TIMEOUT: 'TP_CHANNEL_TIMEOUT',
  ERR_CHANNEL_CLOSED: 'TP_CHANNEL_LOST',
  ERR_CHANNEL_LOST: 'TP_CHANNEL_LOST',
  ERR_CHANNEL_TLS: 'TP_SERVER_UNTRUSTED',
  ERR_ORDER_SIGNATURE: 'TP_SERVER_UNTRUSTED',
  ERR_ORDER_MISMATCH: 'TP_SERVER_UNTRUSTED',
  ERR_CHANNEL_MESSAGE: 'TP_CHANNEL_TAMPERED',
  ERR_FRAME_LENGTH: 'TP_CHANNEL_TAMPERED',
  ERR_PAYMENT_SIGNATURE: 'TP_CLIENT_REJECTED',
  ERR_CHANNEL_NOT_MUTUAL: 'TP_CLIENT_REJECTED',
  ERR_ELEMENT_UNKNOWN: 'TP_CLIENT_REJECTED',
  ERR_CHANNEL_VERSION: 'TP_HOST_OUTDATED',
  ERR_CARD_TIMEOUT: 'TP_CARD_TIMEOUT',
  ERR_CARD_REMOVED: 'TP_CARD_REMOVED',
  ERR_CARD_TRANSPORT: 'TP_CARD_COMM',
  ERR_CARD_STATUS: 'TP_CARD_UNSUPPORTED',
  ERR_CARD_DATA: 'TP_CARD_UNSUPPORTED',
  ERR_CARD_MISSING_DATA: 'TP_CARD_UNSUPPORTED',
  ERR_CARD_REDUNDANT_DATA: 'TP_CARD_UNSUPPORTED',
  ERR_CARD_CRYPTOGRAM: 'TP_CARD_UNSUPPORTED',
  ERR_CARD_LIMIT: 'TP_CARD_UNSUPPORTED',
  'terminal:noApplication': 'TP_CARD_UNSUPPORTED',
  'card:blocked': 'TP_CARD_BLOCKED',
  'card:useContact': 'TP_CARD_USE_CONTACT',
  'cardholder:pin': 'TP_PIN_CANCELLED',
  'cardholder:application': 'TP_USER_CANCELLED',
  ERR_PIN_CANCELLED: 'TP_PIN_CANCELLED',
  ERR_PIN_FORMAT: 'TP_PIN_CANCELLED',
  ERR_PIN_TIMEOUT: 'TP_PIN_TIMEOUT',
  ERR_USER_CANCELLED: 'TP_USER_CANCELLED',
  ERR_USER_TIMEOUT: 'TP_USER_TIMEOUT',
  ERR_CONSENT_TIMEOUT: 'TP_USER_TIMEOUT',
  'gateway:unable': 'TP_ISSUER_UNAVAILABLE',
  ERR_SWITCH_UNAVAILABLE: 'TP_ISSUER_UNAVAILABLE',
  ERR_HSM_UNAVAILABLE: 'TP_ISSUER_UNAVAILABLE',
  ERR_ORDER_PAID: 'TP_DUPLICATE',
  ERR_ORDER_UNKNOWN: 'TP_RESULT_UNKNOWN',
  ERR_ORDER_STALE: 'TP_USER_TIMEOUT',
  ERR_ORDER_EXPIRED: 'TP_ORDER_EXPIRED',
  ERR_ORDER_CANCELLED: 'TP_ORDER_CANCELLED',
  ERR_ORDER_NOT_FOUND: 'TP_BAD_ARGUMENT',
  ERR_NOT_FOUND: 'TP_BAD_ARGUMENT',
  ERR_REQUEST: 'TP_BAD_ARGUMENT',
  ERR_NETWORK: 'TP_NETWORK',
  ERR_RATE: 'TP_NETWORK',
};

/** Our code for a code or a reason of a peer. Who refused stands before the colon of a reason. */
export function paymentCodeOf(raw: string): PaymentCode {
  if (Object.hasOwn(CODES, raw)) return CODES[raw] ?? 'TP_INTERNAL';
  if (/^(card|terminal):/.test(raw)) return 'TP_DECLINED_OFFLINE';
  if (/^(issuer|switch):/.test(raw)) return 'TP_DECLINED_ONLINE';
  return 'TP_INTERNAL';
}

/** An error of the table. */
export function paymentError(code: PaymentCode, charged: Charged, detail: string): PaymentError {
  return { ...MEANINGS[code], code, charged, detail };
}
