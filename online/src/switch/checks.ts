/** Whether an incoming message is well formed; the first fault found is named. @see Q/CUP 006 */
import { Pan } from '@tapnpay/protocol/bytes';
import {
  bytesField,
  decodeOriginalDataElements,
  type Iso8583Message,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { TransactionKey } from './model.ts';

type Rule = readonly [field: number, pattern: RegExp, presence: 'required' | 'optional'];

const TRANSMISSION = /^(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])([0-5][0-9]){2}$/;
const STAN = /^(?!000000)[0-9]{6}$/;
const INSTITUTION = /^[0-9]{1,11}$/;
const TERMINAL = /^[\x20-\x7e]{8}$/;
const AMOUNT = /^(?!0{12})[0-9]{12}$/;
const REFERENCE = /^[0-9A-Za-z]{12}$/;

/** Fields that make up the key of a transaction. */
const IDENTITY_RULES: readonly Rule[] = [
  [7, TRANSMISSION, 'required'],
  [11, STAN, 'required'],
  [32, INSTITUTION, 'required'],
  [33, INSTITUTION, 'required'],
  [41, TERMINAL, 'required'],
];
/** The rest of a 0200. */
const REQUEST_RULES: readonly Rule[] = [
  [3, /^[0-9]{6}$/, 'required'],
  [4, AMOUNT, 'required'],
  [12, /^[0-9]{6}$/, 'required'],
  [13, /^[0-9]{4}$/, 'required'],
  [14, /^[0-9]{2}(0[1-9]|1[0-2])$/, 'optional'],
  [18, /^[0-9]{4}$/, 'required'],
  [22, /^[0-9]{2}[0-2]$/, 'required'],
  [23, /^[0-9]{3}$/, 'optional'],
  [25, /^[0-9]{2}$/, 'required'],
  [37, REFERENCE, 'required'],
  [42, /^[\x20-\x7e]{15}$/, 'required'],
  [49, /^[0-9]{3}$/, 'required'],
];
const REVERSAL_RULES: readonly Rule[] = [
  [4, AMOUNT, 'required'],
  [37, REFERENCE, 'required'],
  [90, /^0200[0-9]{38}$/, 'required'],
];

/** A message's key, or what is wrong with the fields that make it up. */
export function identityOf(
  memberId: string,
  message: Iso8583Message,
): { readonly key: TransactionKey } | { readonly fault: string } {
  const fault = brokenRule(IDENTITY_RULES, message);
  if (fault !== null) return { fault };
  const text = (number: number): string => textField(message, number) ?? '';
  // A member speaks for itself alone: nobody touches another member's transactions.
  if (padded(text(33)) !== padded(memberId)) return { fault: 'field33' };
  const key = {
    memberId,
    acquirerId: padded(text(32)),
    stan: text(11),
    transmission: text(7),
    terminalId: text(41),
  };
  return { key };
}

/** What is wrong with a 0200 beside its key, or null. */
export function requestFault(message: Iso8583Message): string | null {
  const fault = brokenRule(REQUEST_RULES, message) ?? cardFault(message);
  if (fault !== null) return fault;
  const entryMode = textField(message, 22) ?? '';
  const isChip = entryMode.startsWith('05') || entryMode.startsWith('07');
  if (isChip && !((bytesField(message, 55)?.length ?? 0) > 0)) return 'field55';
  // The last digit of field 22 says whether a PIN was entered.
  const pinBlock = message.fields.get(52);
  const isPinBlock = pinBlock instanceof Uint8Array && pinBlock.length === 8;
  if (entryMode.endsWith('1') ? !isPinBlock : pinBlock !== undefined) return 'field52';
  return null;
}

/** The key of a reversal's original, or what is wrong with the reversal. */
export function originalKeyOf(
  memberId: string,
  message: Iso8583Message,
): { readonly key: TransactionKey } | { readonly fault: string } {
  const identity = identityOf(memberId, message);
  if ('fault' in identity) return identity;
  const fault = brokenRule(REVERSAL_RULES, message) ?? panFault(message);
  if (fault !== null) return { fault };
  const original = decodeOriginalDataElements(message);
  const { acquirerId, terminalId } = identity.key;
  const isOwn = original.acquirer === acquirerId && original.forwarder === padded(memberId);
  const isDated = TRANSMISSION.test(original.transmission) && STAN.test(original.stan);
  if (!isOwn || !isDated) return { fault: 'field90' };
  const { stan, transmission } = original;
  return { key: { memberId, acquirerId, stan, transmission, terminalId } };
}

function brokenRule(rules: readonly Rule[], message: Iso8583Message): string | null {
  for (const [number, pattern, presence] of rules) {
    const value = message.fields.get(number);
    if (value === undefined && presence === 'optional') continue;
    if (typeof value !== 'string' || !pattern.test(value)) return `field${number}`;
  }
  return null;
}

function panFault(message: Iso8583Message): string | null {
  try {
    Pan(textField(message, 2) ?? '');
    return null;
  } catch {
    return 'field2';
  }
}

/** Field 2 is a card number and track 2, where present, is of the same card. */
function cardFault(message: Iso8583Message): string | null {
  const fault = panFault(message);
  if (fault !== null) return fault;
  const track2 = message.fields.get(35);
  if (track2 === undefined) return null;
  const pan = textField(message, 2) ?? '';
  const isSame = typeof track2 === 'string' && /^[D=]$/.test(track2.slice(pan.length).charAt(0));
  return isSame && track2.startsWith(pan) ? null : 'field35';
}

function padded(institution: string): string {
  return institution.padStart(11, '0');
}
