/** The purse of a tapped card: whether it paid, and what it holds. */
import * as data from '../data/index.ts';
import { isTc } from './contactless-decision.ts';
import type { KernelContext } from './context.ts';
import {
  amountOf,
  type ElectronicCashState,
  getDataObject,
  purseOfCurrency,
} from './electronic-cash.ts';
import type { Kernel, PhaseFacts } from './types.ts';

const NOT_OFFERED: ElectronicCashState = {
  isOffered: false,
  isAccepted: false,
  balanceMinor: null,
  decision: 'none',
  why: 'notAsked',
};

/**
 * A TC with the purse's authorisation code (9F74) is a payment from the purse, whether the PDOL
 * asked for 9F7A or not. The balance is 9F5D of the answer; a card that paid and gives none is
 * asked for 9F79, which then holds the amount less. Answers facts for the trace, or null when
 * nothing speaks of a purse.
 *
 * 9F5D is taken as the balance before the payment, for it comes with GPO while the amount is
 * deducted at the last record: inferred. What the card says to a question that the payment does not
 * need changes nothing, not even when it has left the field. @see PBOC3 P12, P13
 */
export function* readPurseOfTap(context: KernelContext): Kernel<PhaseFacts | null> {
  const isPaid = isTc(context) && context.data.has(data.TAG_9F74_PBOC_EC_ISSUER_AUTHORISATION_CODE);
  const told = amountOf(context.data.get(data.TAG_9F5D_PBOC_AVAILABLE_OFFLINE_SPENDING_AMOUNT));
  if (context.electronicCash === null && !isPaid && told === null) return null;
  const before = told === null && isPaid ? yield* balanceBefore(context) : told;
  const state = context.electronicCash ?? NOT_OFFERED;
  context.electronicCash = {
    ...state,
    isAccepted: isPaid,
    balanceMinor: before,
    decision: isPaid ? 'offline' : 'none',
    why: isPaid ? 'card:TC' : state.why,
  };
  return { offered: state.isOffered, accepted: isPaid, decision: isPaid ? 'offline' : 'none' };
}

/** The balance that the answer to GPO told, of a card that left before more could be asked. */
export function noteBalance(context: KernelContext): void {
  const told = amountOf(context.data.get(data.TAG_9F5D_PBOC_AVAILABLE_OFFLINE_SPENDING_AMOUNT));
  const state = context.electronicCash;
  if (state === null && told === null) return;
  context.electronicCash = { ...(state ?? NOT_OFFERED), balanceMinor: told };
}

/** The balance that is left and the amount that is gone; null when the card does not tell. */
function* balanceBefore(context: KernelContext): Kernel<bigint | null> {
  try {
    const purse = yield* purseOfCurrency(context);
    const left = purse && amountOf(yield* getDataObject(context, purse.balanceTag));
    return left === null ? null : left + context.input.amountMinor;
  } catch {
    return null;
  }
}
