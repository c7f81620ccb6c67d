/**
 * E-cash acceptance (电子现金受理): a load (圈存) is an online transaction of its own type, by insertion,
 * that is done when the card has taken its new total. @see PBOC3 P13
 */
import { TSI_1_SCRIPT_PROCESSING_PERFORMED, tsiHas } from '@tapnpay/protocol/emv/data';
import type { KernelOutcome } from '@tapnpay/protocol/emv/terminal';
import type { CardInterface, ShownOrder, SignedOrder } from '@tapnpay/protocol/wire';

/** First digit of the result of a script that the card has done. @see EMV 4.3 B4 §A5 table 34 */
const SCRIPT_SUCCESSFUL = 2;

/** 9C of the order, as the card signs it. */
export function transactionTypeOf(order: SignedOrder): number {
  return Number.parseInt(order.transactionType, 16);
}

/** Whether the order fills the card's purse. */
export function isLoad(order: SignedOrder): boolean {
  return order.transactionType !== '00';
}

/** What the payer is shown of the order, and asked to say yes to. */
export function shownOrder(order: SignedOrder): ShownOrder {
  const { amountMinor, currency, merchantName, origin } = order;
  const kind = isLoad(order) ? 'ecashLoad' : 'purchase';
  return { kind, amountMinor, currency, merchantName, origin };
}

/** How a card may be presented: a tapped one is gone when its new total comes. */
export function interfacesFor(
  order: SignedOrder,
  taken: readonly CardInterface[],
): readonly CardInterface[] {
  return isLoad(order) ? taken.filter((one) => one === 'contact') : taken;
}

/**
 * Why a load is not confirmed: the account was debited, and the card has not taken the new total
 * or nobody heard that it did. Its next contact settles it. Null for what is no load.
 */
export function loadReason(order: SignedOrder, outcome: KernelOutcome | null): string | null {
  if (!isLoad(order)) return null;
  if (outcome === null || !tsiHas(outcome.tsi, TSI_1_SCRIPT_PROCESSING_PERFORMED)) {
    return 'load:notGiven';
  }
  const isDone = outcome.scriptResults.every(
    (result) => (result[0] ?? 0) >> 4 === SCRIPT_SUCCESSFUL,
  );
  return isDone ? 'load:notConfirmed' : 'load:refused';
}
