/** What a tap leads to: the card's cryptogram, its qualifiers and the TVR, by table. */
import * as data from '../data/index.ts';
import { type KernelContext, tvrOf } from './context.ts';
import { TRANSACTION_TYPE_CASH, TRANSACTION_TYPE_CASHBACK } from './restrictions.ts';
import type { ContactlessOutcome } from './types.ts';

/** An end without the issuer. */
export type ContactlessEnding = Pick<ContactlessOutcome, 'outcome' | 'reason'>;

/** Reason of a card that wants to be inserted. */
export const REASON_USE_CONTACT = 'card:useContact';

/** Where a tap goes after the checks. */
export type ContactlessDecision =
  | { readonly way: 'online' | 'offline' }
  | { readonly way: 'ended'; readonly end: ContactlessEnding };

/** One rule: when it holds, the transaction ends so. */
type Rule = {
  readonly holds: (context: KernelContext) => boolean;
  readonly end: ContactlessEnding;
};

const declined = (reason: string): ContactlessEnding => ({ outcome: 'declined', reason });
const USE_CONTACT: ContactlessEnding = {
  outcome: 'tryAnotherInterface',
  reason: REASON_USE_CONTACT,
};

/**
 * In this order. When none holds, a TC is an approval and an ARQC goes to the issuer.
 * DEVIATION: where the card's qualifiers say "online if authentication fails" or "online if
 * expired", C-7 sends any cryptogram to the issuer. Here only an ARQC goes: a card that gave a TC
 * has taken the amount from its own funds, and an authorisation would charge it twice.
 * @see EMV C-7 §3.6, §3.8; PBOC3 P5
 */
const RULES: readonly Rule[] = [
  { holds: (context) => context.first?.type === 'AAC', end: declined('card:AAC') },
  {
    holds: (context) => hasTvr(context, data.TVR_1_CARD_ON_EXCEPTION_FILE),
    end: declined('terminal:exceptionFile'),
  },
  { holds: wantsContactForCash, end: USE_CONTACT },
  {
    holds: (context) =>
      isUnauthentic(context) &&
      !mayGoOnline(context, data.CTQ_1_ONLINE_IF_ODA_FAILS) &&
      cardSays(context, data.CTQ_1_SWITCH_INTERFACE_IF_ODA_FAILS) &&
      takesContact(context),
    end: USE_CONTACT,
  },
  {
    holds: (context) =>
      isUnauthentic(context) && !mayGoOnline(context, data.CTQ_1_ONLINE_IF_ODA_FAILS),
    end: declined('terminal:fDDA'),
  },
  {
    holds: (context) => hasTvr(context, data.TVR_2_SERVICE_NOT_ALLOWED),
    end: declined('terminal:serviceNotAllowed'),
  },
  {
    holds: (context) => hasTvr(context, data.TVR_2_APPLICATION_NOT_YET_EFFECTIVE),
    end: declined('terminal:notYetEffective'),
  },
  {
    holds: (context) =>
      hasTvr(context, data.TVR_2_EXPIRED_APPLICATION) &&
      !mayGoOnline(context, data.CTQ_1_ONLINE_IF_EXPIRED),
    end: declined('terminal:expired'),
  },
  {
    holds: (context) => isTc(context) && readerSays(context, data.TTQ_2_ONLINE_CRYPTOGRAM_REQUIRED),
    end: declined('terminal:offlineNotTaken'),
  },
  {
    holds: (context) => !isTc(context) && readerSays(context, data.TTQ_1_OFFLINE_ONLY),
    end: declined('terminal:offlineOnly'),
  },
];

/** The end that the rules say, or the way on. */
export function decideContactless(context: KernelContext): ContactlessDecision {
  const rule = RULES.find(({ holds }) => holds(context));
  if (rule) return { way: 'ended', end: rule.end };
  return { way: isTc(context) ? 'offline' : 'online' };
}

/** The card has approved by itself. */
export function isTc(context: KernelContext): boolean {
  return context.first?.type === 'TC';
}

/** Failed; or, of a card that approves by itself, not done: nobody else will look at it. */
function isUnauthentic(context: KernelContext): boolean {
  if (hasTvr(context, data.TVR_1_DDA_FAILED)) return true;
  return isTc(context) && context.dataAuthentication !== 'fDDA';
}

function mayGoOnline(context: KernelContext, bit: data.StatusBit): boolean {
  return !isTc(context) && cardSays(context, bit);
}

function hasTvr(context: KernelContext, bit: data.StatusBit): boolean {
  return data.tvrHas(tvrOf(context), bit);
}

/** Whether the card's qualifiers (9F6C) have the bit; a card without them says nothing. */
export function cardSays(context: KernelContext, bit: data.StatusBit): boolean {
  const ctq = context.data.get(data.TAG_9F6C_PBOC_CARD_TRANSACTION_QUALIFIERS);
  return ctq?.length === data.CTQ_BYTES && data.hasBit(ctq, bit);
}

/** Whether the qualifiers sent to the card (9F66) have the bit. */
export function readerSays(context: KernelContext, bit: data.StatusBit): boolean {
  const ttq = context.data.get(data.TAG_9F66_PBOC_TERMINAL_TRANSACTION_QUALIFIERS);
  return ttq?.length === data.TTQ_BYTES && data.hasBit(ttq, bit);
}

/** Whether the card could be inserted here instead. */
export function takesContact(context: KernelContext): boolean {
  return readerSays(context, data.TTQ_1_CONTACT_PBOC_SUPPORTED);
}

function wantsContactForCash(context: KernelContext): boolean {
  if (!takesContact(context)) return false;
  switch (context.input.transactionType) {
    case TRANSACTION_TYPE_CASH:
      return cardSays(context, data.CTQ_1_SWITCH_INTERFACE_FOR_CASH);
    case TRANSACTION_TYPE_CASHBACK:
      return cardSays(context, data.CTQ_1_SWITCH_INTERFACE_FOR_CASHBACK);
    default:
      return false;
  }
}
