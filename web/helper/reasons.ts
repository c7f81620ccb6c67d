/** The reason of an end in plain words; codes without words of their own fall to their family's. */
import { NATIVE_FAULT_CODES } from '@tapnpay/protocol/wire';
import type { HelperKey } from './texts.ts';

/** Response codes of field 39. */
const RESPONSE_TEXTS: ReadonlyMap<string, HelperKey> = new Map(
  Object.entries({
    '01': 'reasonCallBank',
    '05': 'reasonCallBank',
    '14': 'reasonCardUnknown',
    '41': 'reasonCardBlocked',
    '43': 'reasonCardBlocked',
    '51': 'reasonFunds',
    '54': 'reasonExpired',
    '55': 'reasonPinWrong',
    '57': 'reasonCardBlocked',
    '61': 'reasonLimit',
    '62': 'reasonCardBlocked',
    '65': 'reasonLimit',
    '75': 'reasonPinTries',
    '91': 'reasonBankAway',
    '96': 'reasonBankAway',
    '98': 'reasonBankAway',
  } as const),
);

const REASON_TEXTS: ReadonlyMap<string, HelperKey> = new Map(
  Object.entries({
    ERR_USER_CANCELLED: 'reasonYouCancelled',
    ERR_USER_TIMEOUT: 'reasonUserTimeout',
    ERR_CARD_TIMEOUT: 'reasonCardTimeout',
    ERR_PIN_TIMEOUT: 'reasonPinTimeout',
    ERR_CARD_REMOVED: 'reasonCardRemoved',
    ERR_CARD_TRANSPORT: 'reasonCardRemoved',
    ERR_PIN_FORMAT: 'reasonPinMissing',
    ERR_BUSY: 'reasonBusy',
    'cardholder:pin': 'reasonPinMissing',
    'cardholder:application': 'reasonYouCancelled',
    'card:blocked': 'reasonCardBlocked',
    'card:noPurse': 'reasonNoPurse',
    'card:useContact': 'reasonUseContact',
    'terminal:noApplication': 'reasonNotAccepted',
    'gateway:unable': 'reasonBankAway',
  } as const),
);

const FAMILIES: readonly (readonly [RegExp, HelperKey])[] = [
  [/^ERR_CHANNEL_/, 'reasonChannel'],
  [/^ERR_ELEMENT_/, 'reasonElement'],
  [/^card:/, 'reasonCardRefused'],
  [/^terminal:/, 'reasonTerminal'],
  [/^(issuer|switch):/, 'reasonCallBank'],
];

/** Null when there is nothing to add to the title. */
export function reasonText(reason: string | null): HelperKey | null {
  if (reason === null) return null;
  const [, responseCode] = /^(?:issuer|switch):([0-9A-Z]{2})$/.exec(reason) ?? [];
  const known = responseCode ? RESPONSE_TEXTS.get(responseCode) : REASON_TEXTS.get(reason);
  const family = FAMILIES.find(([codes]) => codes.test(reason))?.[1];
  return known ?? READER_FAULT_TEXTS.get(reason) ?? family ?? null;
}

/** Refusals of a command to the agent. */
const ERROR_TEXTS: ReadonlyMap<string, HelperKey> = new Map(
  Object.entries({
    ERR_CARD_IN_USE: 'errorCardInUse',
    ERR_CARD_UNKNOWN: 'errorCardUnknown',
    ERR_CARD_INTERFACE: 'errorCardInterface',
    ERR_READER_OCCUPIED: 'gestureTakeOut',
    ERR_SESSION: 'errorNoPayment',
    ERR_TOO_LATE: 'errorTooLate',
  } as const),
);

/** Why the card in a real reader cannot pay now. */
const READER_FAULT_TEXTS: ReadonlyMap<string, HelperKey> = new Map(
  Object.entries({
    ERR_CARD_MUTE: 'faultCardMute',
    ERR_CARD_PROTOCOL: 'faultCardProtocol',
    ERR_CARD_INTERFACE: 'errorCardInterface',
    ERR_READER_IN_USE: 'faultReaderInUse',
    ERR_READER_SERVICE: 'serviceDown',
    ERR_READER_DENIED: 'serviceDenied',
    ERR_READER_LIBRARY: 'serviceNoLibrary',
    ERR_READER_GONE: 'realReadersNone',
  } as const),
);

/** In words; the code is shown beside it. */
export function readerFaultText(code: string): HelperKey {
  return READER_FAULT_TEXTS.get(code) ?? 'faultOther';
}

/** Why real readers cannot be used at all. */
export function serviceText(code: string | null): HelperKey {
  if (code === 'ERR_READER_LIBRARY') return 'serviceNoLibrary';
  if (code === 'ERR_READER_DENIED') return 'serviceDenied';
  return code === 'ERR_READER_SERVICE' ? 'serviceDown' : 'serviceOther';
}

const NATIVE_FAULTS: ReadonlySet<string> = new Set(NATIVE_FAULT_CODES);

/** A refused command, or a lost way to the agent, in words; the code is shown beside it. */
export function errorText(code: string): HelperKey {
  if (NATIVE_FAULTS.has(code)) return 'errorHelperGone';
  return ERROR_TEXTS.get(code) ?? 'errorOther';
}
