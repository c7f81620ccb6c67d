/** The e-cash balance of a card, as a look: the page learns what its purse holds. @see PBOC3 P13 */
import type { CardBalance } from '@tapnpay/protocol/wire';
import { type LookKind, type LookOptions, type LookPorts, look } from './look.ts';
import type { PaymentState } from './model.ts';

/** How a look ended: BALANCE_READ with what was read, or the state whose `error` says why not. */
export type BalanceEnd = PaymentState & { readonly balance: CardBalance | null };
/** What it takes of its surroundings; tests give their own. */
export type BalancePorts = LookPorts;

const BALANCE: LookKind<CardBalance> = {
  ask: (session) => ({ type: 'balance', session }),
  read: (message) =>
    message.type === 'balanceResult' ? { value: message.balance, reason: message.reason } : null,
  found: 'BALANCE_READ',
};

/** Looks once; never rejects. */
export async function readBalance(options: LookOptions, ports?: LookPorts): Promise<BalanceEnd> {
  const { state, value } = await look(BALANCE, options, ports);
  return { ...state, balance: value };
}
