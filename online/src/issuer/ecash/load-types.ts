/** The three loads of the electronic cash and the transaction type (9C) of each. @see PBOC3 P13 */
import { type TransactionKind, transactionSpec } from '@tapnpay/protocol/iso8583';

/** From the card's own account, in cash, from another account. */
export type LoadKind = Extract<
  TransactionKind,
  'designatedLoad' | 'cashLoad' | 'nonDesignatedLoad'
>;

/** All of them. */
export const LOAD_KINDS: readonly LoadKind[] = ['designatedLoad', 'cashLoad', 'nonDesignatedLoad'];

/** Whether a kind is a load. */
export function isLoadKind(kind: string): kind is LoadKind {
  return LOAD_KINDS.some((load) => load === kind);
}

/** 9C of a load, hex: the first two digits of its field 3; null for any other kind. */
export function loadTransactionType(kind: TransactionKind): string | null {
  return isLoadKind(kind) ? transactionSpec(kind).processingCode.slice(0, 2) : null;
}

/** Whether 9C (hex) is a load's. */
export function isLoadTransactionType(type: string): boolean {
  return LOAD_KINDS.some((kind) => loadTransactionType(kind) === type);
}
