/**
 * What a page tells when a payment does not go through: one code of ours for each code of agent,
 * element, kernel, gateway and browser, and for each of ours what it means for the payer.
 */
import type { StateName } from './states.ts';

/** Whether money moved. `unknown` until the gateway's word. */
export type Charged = 'no' | 'unknown' | 'yes';
/** The part of the way that broke. */
export type Stage =
  | 'page'
  | 'extension'
  | 'agent'
  | 'element'
  | 'channel'
  | 'card'
  | 'pin'
  | 'payment'
  | 'payer';
/** The payer's next step; `reload`: this page, its order is kept. */
export type Action =
  | 'retry'
  | 'wait'
  | 'install'
  | 'update'
  | 'reload'
  | 'otherBrowser'
  | 'otherCard'
  | 'contactBank'
  | 'back'
  | 'none';

/** Fixed facts of a code. */
export type Meaning = {
  readonly stage: Stage;
  readonly retriable: boolean;
  readonly action: Action;
  /** The state of a page whose payment ended with it, and charged nothing. */
  readonly state: StateName;
};

/** Every code that this library reports, by the part of the way that it is about. */
export type PaymentCode =
  | EnvironmentCode
  | PluginCode
  | ApplicationCode
  | ChannelCode
  | CardCode
  | OutcomeCode;
type EnvironmentCode =
  | 'TP_CONTEXT_INSECURE'
  | 'TP_ORIGIN_NOT_ALLOWED'
  | 'TP_FRAME_NOT_ALLOWED'
  | 'TP_BROWSER_UNSUPPORTED'
  | 'TP_BROWSER_SANDBOXED'
  | 'TP_BAD_ARGUMENT'
  | 'TP_ACTION_PENDING'
  /** No helper offers it yet: a token. */
  | 'TP_ACTION_UNSUPPORTED'
  | 'TP_INTERNAL';
type PluginCode =
  | 'TP_EXTENSION_MISSING'
  | 'TP_EXTENSION_OUTDATED'
  | 'TP_EXTENSION_RELOADED'
  | 'TP_HOST_MISSING'
  | 'TP_HOST_FORBIDDEN'
  | 'TP_HOST_EXITED'
  | 'TP_HOST_PROTOCOL'
  | 'TP_HOST_TIMEOUT'
  | 'TP_HOST_OUTDATED'
  | 'TP_VERSION_INVALID'
  | 'TP_MESSAGE_TOO_LARGE'
  | 'TP_BUSY';
type ApplicationCode =
  | 'TP_APP_NOT_INSTALLED'
  | 'TP_APP_LOCKED'
  | 'TP_APP_TAMPERED'
  | 'TP_KEYS_EXPIRED'
  | 'TP_PARAMS_OUTDATED'
  | 'TP_SE_UNAVAILABLE';
type ChannelCode =
  | 'TP_CHANNEL_TIMEOUT'
  | 'TP_CHANNEL_LOST'
  | 'TP_CHANNEL_TAMPERED'
  | 'TP_SERVER_UNTRUSTED'
  | 'TP_CLIENT_REJECTED'
  | 'TP_NETWORK';
type CardCode =
  | 'TP_PCSC_STOPPED'
  | 'TP_PCSC_DENIED'
  | 'TP_NO_READER'
  | 'TP_READER_LOST'
  | 'TP_READER_BUSY'
  | 'TP_CARD_TIMEOUT'
  | 'TP_CARD_REMOVED'
  | 'TP_CARD_MULTIPLE'
  | 'TP_CARD_MUTE'
  | 'TP_CARD_COMM'
  | 'TP_CARD_UNSUPPORTED'
  | 'TP_CARD_BLOCKED'
  | 'TP_CARD_EXPIRED'
  | 'TP_CARD_USE_CONTACT'
  | 'TP_PIN_CANCELLED'
  | 'TP_PIN_TIMEOUT'
  | 'TP_PIN_WRONG'
  | 'TP_PIN_BLOCKED'
  | 'TP_PIN_PAD_FAILED'
  | 'TP_PIN_LENGTH';
type OutcomeCode =
  | 'TP_DECLINED_OFFLINE'
  | 'TP_DECLINED_ONLINE'
  | 'TP_AMOUNT_LIMIT'
  | 'TP_BALANCE_LOW'
  | 'TP_ISSUER_UNAVAILABLE'
  | 'TP_REVERSED'
  | 'TP_RESULT_UNKNOWN'
  | 'TP_ORDER_EXPIRED'
  | 'TP_ORDER_CANCELLED'
  | 'TP_DUPLICATE'
  | 'TP_USER_CANCELLED'
  | 'TP_USER_TIMEOUT';

/**
 * A line for each stage, action and state of the page; INTERRUPTED where none stands. After each
 * bar a code of ours without `TP_`, which stands for the peers' code of that name too, and theirs
 * that mean it: without `ERR_`, without who refused (`card:`), response codes of field 39 as they
 * are. What ends in `_` or `:` takes its whole family, where nothing names the one.
 */
const TABLE = `page none|CONTEXT_INSECURE|FRAME_NOT_ALLOWED|ORIGIN_NOT_ALLOWED ORIGIN HOST
page back|BAD_ARGUMENT NOT_FOUND REQUEST ORDER_
page none|ACTION_UNSUPPORTED
page wait|ACTION_PENDING TOO_LATE
page retry|INTERNAL
page otherBrowser BROWSER_UNSUPPORTED|BROWSER_UNSUPPORTED|BROWSER_SANDBOXED
extension install NEED_EXTENSION|EXTENSION_MISSING
extension update NEED_UPDATE|EXTENSION_OUTDATED|VERSION_INVALID
extension reload NEED_EXTENSION|EXTENSION_RELOADED
agent install NEED_HOST|HOST_MISSING|HOST_FORBIDDEN
agent update NEED_UPDATE|HOST_OUTDATED VERSION CHANNEL_VERSION
agent retry|HOST_EXITED HOST_ AGENT_ NOT_PAIRED CLOSING WORKER_STOPPED|HOST_PROTOCOL AGENT_PROTOCOL\
 SEQUENCE SESSION MESSAGE_|HOST_TIMEOUT AGENT_TIMEOUT|MESSAGE_TOO_LARGE BODY_TOO_LARGE|BUSY\
 CARD_IN_USE ELEMENT_BUSY ELEMENT_IN_USE ORDER_BUSY
element retry APP_NOT_READY|APP_NOT_INSTALLED ELEMENT_NOT_ENROLLED ENROLMENT_
element contactBank APP_NOT_READY|APP_LOCKED ELEMENT_LOCKED|APP_TAMPERED STORE_ PIN_KSN\
 LOAD_ ELEMENT_CLONED|KEYS_EXPIRED DUKPT_|PARAMS_OUTDATED PARAMETERS_\
 KERNEL_PROFILE KERNEL_CA_KEY CA_
element retry|SE_UNAVAILABLE ELEMENT_ STORE_SIZE PIN_REPEATED
channel retry|CHANNEL_TIMEOUT|CHANNEL_LOST CHANNEL_|CHANNEL_TAMPERED CHANNEL_MESSAGE FRAME_
channel contactBank|SERVER_UNTRUSTED CHANNEL_TLS ORDER_SIGNATURE ORDER_MISMATCH ORDER_FIELD\
|CLIENT_REJECTED CHANNEL_REJECTED PAYMENT_SIGNATURE CHANNEL_NOT_MUTUAL ELEMENT_UNKNOWN
channel wait|NETWORK RATE BRIDGE_ GATEWAY_
card retry NO_READER|NO_READER
card retry|PCSC_STOPPED READER_SERVICE READER_LIBRARY|PCSC_DENIED READER_DENIED|READER_LOST READER_\
|READER_BUSY READER_IN_USE|CARD_TIMEOUT|CARD_REMOVED CARD_ABSENT|CARD_MULTIPLE CARD_COLLISION\
 READER_OCCUPIED presentOneCard|CARD_MUTE|CARD_COMM CARD_TRANSPORT CARD_RESET seeDevice\
|CARD_USE_CONTACT CARD_INTERFACE useContact
card otherCard DECLINED|CARD_UNSUPPORTED CARD_ APDU_ TLV_ EMV_ DOL noApplication noPurse\
 magneticStripe serviceNotAllowed noCommonCvm|CARD_BLOCKED blocked exceptionFile\
|CARD_EXPIRED expired 33 54
pin retry CANCELLED|PIN_CANCELLED pin pinNotEntered
pin retry|PIN_TIMEOUT|PIN_LENGTH PIN_FORMAT|PIN_PAD_FAILED READER_UNSUPPORTED
pin retry DECLINED|PIN_WRONG 55 99
pin otherCard DECLINED|PIN_BLOCKED 38 75
payment otherCard DECLINED|DECLINED_OFFLINE card: terminal:|DECLINED_ONLINE issuer: switch:\
 referral: RISK_|AMOUNT_LIMIT contactlessLimit contactlessFloorLimit singleTransactionLimit\
 amountBelowTerminalLimit 13 61 65|BALANCE_LOW balance balanceUnknown 51
payment retry|ISSUER_UNAVAILABLE SWITCH_ HSM_ unable unableOnline 68 90 91 92 98|REVERSED gateway:
payment wait|RESULT_UNKNOWN ORDER_UNKNOWN|DUPLICATE ORDER_PAID PAYMENT_REPEATED
payment back CANCELLED|ORDER_EXPIRED
payer back CANCELLED|ORDER_CANCELLED
payer retry CANCELLED|USER_CANCELLED application
payer retry|USER_TIMEOUT ORDER_STALE`;
/** After these the person may start another payment. */
const RETRY: readonly Action[] = ['retry', 'otherCard', 'install', 'update'];

/** By our codes without `TP_`, and by what the peers say. */
const MEANINGS: Map<string, Meaning & { readonly code: PaymentCode }> = new Map();

for (const line of TABLE.split('\n')) {
  const [head = '', ...entries] = line.split('|');
  const [stage, action, state = 'INTERRUPTED'] = head.split(' ') as [Stage, Action, StateName];
  for (const entry of entries) {
    const names = entry.split(' ');
    const code = `TP_${names[0]}` as PaymentCode;
    const meaning = { stage, action, retriable: RETRY.includes(action), state, code };
    for (const name of names) MEANINGS.set(name, meaning);
  }
}

/** What a code means. */
export function meaningOf(code: PaymentCode): Meaning & { readonly code: PaymentCode } {
  const found = MEANINGS.get(code.slice(3));
  if (!found) throw new Error(code);
  return found;
}

/** Our code for a code or a reason of a peer: itself, what is after its colons, or its family. */
export function paymentCodeOf(raw: string): PaymentCode {
  const name = raw.replace('ERR_', '');
  const last = name.split(':').at(-1) ?? '';
  for (const key of [name, last, familyOf(last), familyOf(name)]) {
    const found = MEANINGS.get(key);
    if (found) return found.code;
  }
  return 'TP_INTERNAL';
}

function familyOf(name: string): string {
  return /^[A-Za-z]+[_:]/.exec(`${name}_`)?.[0] ?? '';
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
  return [...new Set([...MEANINGS.values()].map(({ code }) => code))];
}
