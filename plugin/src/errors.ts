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
export type Meaning = {
  readonly stage: Stage;
  readonly retriable: boolean;
  readonly action: Action;
};

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

/**
 * Each code's stage and action, then the codes and reasons of agent, element, kernel and gateway
 * that it stands for; theirs without `ERR_`. Who refused stands before the colon of a reason.
 */
const TABLE: Readonly<Record<PaymentCode, string>> = {
  TP_CONTEXT_INSECURE: 'page none',
  TP_FRAME_NOT_ALLOWED: 'page none',
  TP_ORIGIN_NOT_ALLOWED: 'page none ORIGIN',
  TP_HOST_MISSING: 'agent startAgent',
  TP_HOST_EXITED: 'agent retry NOT_PAIRED AGENT_GONE CLOSING',
  TP_HOST_PROTOCOL: 'agent retry AGENT_PROTOCOL SEQUENCE MESSAGE_FIELD',
  TP_HOST_TIMEOUT: 'agent retry AGENT_TIMEOUT',
  TP_HOST_OUTDATED: 'agent update VERSION CHANNEL_VERSION',
  TP_BUSY: 'agent retry BUSY CARD_IN_USE ELEMENT_BUSY ELEMENT_IN_USE ORDER_BUSY',
  TP_APP_NOT_INSTALLED: 'element retry ELEMENT_NOT_ENROLLED',
  TP_APP_LOCKED: 'element contactBank ELEMENT_LOCKED',
  TP_APP_TAMPERED: 'element contactBank STORE_CORRUPT STORE_FORK PIN_KSN',
  TP_KEYS_EXPIRED: 'element contactBank DUKPT_EXHAUSTED',
  TP_SE_UNAVAILABLE:
    'element retry ELEMENT_GONE ELEMENT_START ELEMENT_APPLICATION ELEMENT_SEQUENCE',
  TP_CHANNEL_TIMEOUT: 'channel retry CHANNEL_TIMEOUT',
  TP_CHANNEL_LOST: 'channel retry CHANNEL_CLOSED CHANNEL_LOST',
  TP_CHANNEL_TAMPERED: 'channel retry CHANNEL_TAMPERED CHANNEL_MESSAGE FRAME_LENGTH',
  TP_SERVER_UNTRUSTED: 'channel contactBank CHANNEL_TLS ORDER_SIGNATURE ORDER_MISMATCH',
  TP_CLIENT_REJECTED:
    'channel contactBank CHANNEL_REJECTED PAYMENT_SIGNATURE CHANNEL_NOT_MUTUAL ELEMENT_UNKNOWN',
  TP_NETWORK: 'channel wait NETWORK RATE',
  TP_NO_READER: 'card retry',
  TP_CARD_TIMEOUT: 'card retry CARD_TIMEOUT',
  TP_CARD_REMOVED: 'card retry CARD_REMOVED',
  TP_CARD_COMM: 'card retry CARD_TRANSPORT',
  TP_CARD_UNSUPPORTED:
    'card otherCard CARD_STATUS CARD_DATA CARD_MISSING_DATA CARD_REDUNDANT_DATA ' +
    'CARD_CRYPTOGRAM CARD_LIMIT terminal:noApplication',
  TP_CARD_BLOCKED: 'card otherCard card:blocked',
  TP_CARD_USE_CONTACT: 'card retry card:useContact',
  TP_PIN_CANCELLED: 'pin retry cardholder:pin PIN_CANCELLED PIN_FORMAT',
  TP_PIN_TIMEOUT: 'pin retry PIN_TIMEOUT',
  TP_DECLINED_OFFLINE: 'payment otherCard',
  TP_DECLINED_ONLINE: 'payment otherCard',
  TP_ISSUER_UNAVAILABLE: 'payment retry gateway:unable SWITCH_UNAVAILABLE HSM_UNAVAILABLE',
  TP_REVERSED: 'payment retry',
  TP_RESULT_UNKNOWN: 'payment wait ORDER_UNKNOWN',
  TP_ORDER_EXPIRED: 'payment back ORDER_EXPIRED',
  TP_ORDER_CANCELLED: 'payer back ORDER_CANCELLED',
  TP_DUPLICATE: 'payment wait ORDER_PAID',
  TP_USER_CANCELLED: 'payer retry cardholder:application USER_CANCELLED',
  TP_USER_TIMEOUT: 'payer retry USER_TIMEOUT CONSENT_TIMEOUT ORDER_STALE',
  TP_BAD_ARGUMENT: 'page back ORDER_NOT_FOUND NOT_FOUND REQUEST',
  TP_INTERNAL: 'page retry',
};
/** After these the person may start another payment. */
const RETRY: readonly string[] = ['retry', 'otherCard', 'startAgent', 'update'];

const OURS: ReadonlyMap<string, PaymentCode> = new Map(
  (Object.keys(TABLE) as PaymentCode[]).flatMap((code) =>
    TABLE[code]
      .split(' ')
      .slice(2)
      .map((raw) => [raw, code] as const),
  ),
);

/** What a code means. */
export function meaningOf(code: PaymentCode): Meaning {
  const [stage, action] = TABLE[code].split(' ') as [Stage, Action];
  return { stage, retriable: RETRY.includes(action), action };
}

/** Our code for a code or a reason of a peer. */
export function paymentCodeOf(raw: string): PaymentCode {
  const known = OURS.get(raw.replace(/^ERR_/, ''));
  if (known) return known;
  if (/^(card|terminal):/.test(raw)) return 'TP_DECLINED_OFFLINE';
  return /^(issuer|switch):/.test(raw) ? 'TP_DECLINED_ONLINE' : 'TP_INTERNAL';
}

/** An error as pages get it. `detail` is the raw code or text, for support; never a secret. */
export type PaymentError = Meaning & {
  readonly code: PaymentCode;
  readonly charged: Charged;
  readonly detail: string;
};

/** An error of the table. */
export function paymentError(code: PaymentCode, charged: Charged, detail: string): PaymentError {
  return { ...meaningOf(code), code, charged, detail };
}

/** Every code, for those who make texts and tests. */
export function paymentCodes(): readonly PaymentCode[] {
  return Object.keys(TABLE) as PaymentCode[];
}
