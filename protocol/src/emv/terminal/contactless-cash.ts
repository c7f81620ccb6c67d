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
 * asked for 9F7A or not. What is left in the purse is 9F5D of the answer; a card that paid and
 * gives none is asked for 9F79. Answers facts for the trace, null when nothing speaks of a purse.
 *
 * That 9F5D, "remaining for offline spending", has the amount of a payment taken off already is
 * inferred from its name. What the card says to a question that the payment does not need changes
 * nothing, not even when it has left the field. @see PBOC3 P12, P13
 */
export function* readPurseOfTap(context: KernelContext): Kernel<PhaseFacts | null> {
  const isPaid = isTc(context) && context.data.has(data.TAG_9F74_PBOC_EC_ISSUER_AUTHORISATION_CODE);
  const told = toldBalance(context);
  if (context.electronicCash === null && !isPaid && told === null) return null;
  const left = told === null && isPaid ? yield* askBalance(context) : told;
  const state = context.electronicCash ?? NOT_OFFERED;
  context.electronicCash = {
    ...state,
    isAccepted: isPaid,
    balanceMinor: isPaid ? balanceBefore(context, left) : left,
    decision: isPaid ? 'offline' : 'none',
    why: isPaid ? 'card:TC' : state.why,
  };
  return { offered: state.isOffered, accepted: isPaid, decision: isPaid ? 'offline' : 'none' };
}

/** The balance of a card that gave a TC and left before it answered its last record. */
export function noteTornBalance(context: KernelContext): void {
  const told = toldBalance(context);
  const state = context.electronicCash;
  if (state === null && told === null) return;
  const balanceMinor = balanceBefore(context, told);
  context.electronicCash = { ...(state ?? NOT_OFFERED), balanceMinor };
}

function toldBalance(context: KernelContext): bigint | null {
  return amountOf(context.data.get(data.TAG_9F5D_PBOC_AVAILABLE_OFFLINE_SPENDING_AMOUNT));
}

function balanceBefore(context: KernelContext, left: bigint | null): bigint | null {
  return left === null ? null : left + context.input.amountMinor;
}

/** The balance in the transaction's currency; null when the card does not tell, or has left. */
function* askBalance(context: KernelContext): Kernel<bigint | null> {
  try {
    const purse = yield* purseOfCurrency(context);
    return purse && amountOf(yield* getDataObject(context, purse.balanceTag));
  } catch {
    return null;
  }
}
