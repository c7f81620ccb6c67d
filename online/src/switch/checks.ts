/** Whether an incoming message is well formed; the first fault found is named. @see Q/CUP 006 */
import { Pan } from '@tapnpay/protocol/bytes';
import {
  bytesField,
  decodeOriginalDataElements,
  type Iso8583Message,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { Kind, KindRule } from './kinds.ts';
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
/** The rest of every request and advice. */
const COMMON_RULES: readonly Rule[] = [
  [3, /^[0-9]{6}$/, 'required'],
  [12, /^[0-9]{6}$/, 'required'],
  [13, /^[0-9]{4}$/, 'required'],
  [14, /^[0-9]{2}(0[1-9]|1[0-2])$/, 'optional'],
  [23, /^[0-9]{3}$/, 'optional'],
  [25, /^[0-9]{2}$/, 'required'],
  [37, REFERENCE, 'required'],
  [42, /^[\x20-\x7e]{15}$/, 'required'],
  [49, /^[0-9]{3}$/, 'required'],
];
const FOLLOW_UP_RULES: readonly Rule[] = [
  [38, /^[0-9A-Za-z ]{6}$/, 'optional'],
  [90, /^0[1-9][0-9]{40}$/, 'required'],
];
const REVERSAL_RULES: readonly Rule[] = [
  [4, AMOUNT, 'required'],
  [37, REFERENCE, 'required'],
  [90, /^0[12]00[0-9]{38}$/, 'required'],
];

/** The rules of a kind, from its row of the table. */
function rulesOf({ spec, rule }: Kind): readonly Rule[] {
  const isTold = rule.cardData === 'told';
  return [
    ...COMMON_RULES,
    [4, AMOUNT, rule.hasAmount ? 'required' : 'optional'],
    // A notice tells of a card that has left.
    [18, /^[0-9]{4}$/, isTold ? 'optional' : 'required'],
    [22, /^[0-9]{2}[0-2]$/, isTold ? 'optional' : 'required'],
    ...(spec.hasOriginal ? FOLLOW_UP_RULES : []),
  ];
}

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

/** What is wrong with any request or advice beside its key, or null. */
export function commonFault(message: Iso8583Message): string | null {
  return brokenRule(COMMON_RULES, message);
}

/** What is wrong with a request or an advice of a kind beside its key, or null. */
export function requestFault(message: Iso8583Message, kind: Kind): string | null {
  return (
    brokenRule(rulesOf(kind), message) ??
    cardFault(message) ??
    cardDataFault(message, kind.rule.cardData)
  );
}

/** Fields 35, 52 and 55 as the kind has them. */
function cardDataFault(message: Iso8583Message, cardData: KindRule['cardData']): string | null {
  const hasChip = (bytesField(message, 55)?.length ?? 0) > 0;
  const pinBlock = message.fields.get(52);
  switch (cardData) {
    case 'bare': {
      // A follow-up speaks of a card that was read before: it repeats no secret of it.
      const secret = [35, 52, 55].find((number) => message.fields.has(number));
      return secret === undefined ? null : `field${secret}`;
    }
    case 'told':
      if (!hasChip) return 'field55';
      return pinBlock === undefined ? null : 'field52';
    case 'card': {
      const entryMode = textField(message, 22) ?? '';
      const isChip = entryMode.startsWith('05') || entryMode.startsWith('07');
      if (isChip && !hasChip) return 'field55';
      // The last digit of field 22 says whether a PIN was entered.
      const isPinBlock = pinBlock instanceof Uint8Array && pinBlock.length === 8;
      const isAsSaid = entryMode.endsWith('1') ? isPinBlock : pinBlock === undefined;
      return isAsSaid ? null : 'field52';
    }
  }
}

/** The key of a reversal's original, or what is wrong with the reversal. */
export function reversedKeyOf(
  memberId: string,
  message: Iso8583Message,
): { readonly key: TransactionKey } | { readonly fault: string } {
  const identity = identityOf(memberId, message);
  if ('fault' in identity) return identity;
  const fault = brokenRule(REVERSAL_RULES, message) ?? panFault(message);
  return fault === null ? originalKeyOf(identity.key, message) : { fault };
}

/** The key of the transaction that field 90 names: of the same member, acquirer and terminal. */
export function originalKeyOf(
  own: TransactionKey,
  message: Iso8583Message,
): { readonly key: TransactionKey } | { readonly fault: string } {
  const original = decodeOriginalDataElements(message);
  const isOwn = original.acquirer === own.acquirerId && original.forwarder === padded(own.memberId);
  const isDated = TRANSMISSION.test(original.transmission) && STAN.test(original.stan);
  if (!isOwn || !isDated) return { fault: 'field90' };
  const { stan, transmission } = original;
  return { key: { ...own, stan, transmission } };
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
