/** The electronic cash purses of an application: one in its own currency, one in a second. */
import { equalBytes, numericToBcd } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { minorOf, type RuntimeProfile } from './runtime-profile.ts';
import { active, type PurseName, type Snapshot, withState } from './session.ts';

/** Tags of a purse. @see PBOC3 P13 */
type PurseTags = {
  readonly currency: string;
  readonly balance: string;
  readonly balanceLimit: string;
  readonly singleTransactionLimit: string;
};

const PURSES: Readonly<Record<PurseName, PurseTags>> = {
  first: {
    currency: data.TAG_9F51_PBOC_APPLICATION_CURRENCY_CODE,
    balance: data.TAG_9F79_PBOC_EC_BALANCE,
    balanceLimit: data.TAG_9F77_PBOC_EC_BALANCE_LIMIT,
    singleTransactionLimit: data.TAG_9F78_PBOC_EC_SINGLE_TRANSACTION_LIMIT,
  },
  second: {
    currency: data.TAG_DF71_PBOC_SECOND_EC_CURRENCY_CODE,
    balance: data.TAG_DF79_PBOC_SECOND_EC_BALANCE,
    balanceLimit: data.TAG_DF77_PBOC_SECOND_EC_BALANCE_LIMIT,
    singleTransactionLimit: data.TAG_DF78_PBOC_SECOND_EC_SINGLE_TRANSACTION_LIMIT,
  },
};
const PURSE_NAMES: readonly PurseName[] = ['first', 'second'];
/** Bytes of an n12 amount. */
const AMOUNT_BYTES = 6;
/** Most minor units of an n12 amount. */
export const AMOUNT_MINOR_MAX = 999_999_999_999n;

/** The purse in the transaction's currency; null when the card has none. @see PBOC3 P13 */
export function purseOfTransaction(card: Snapshot): PurseName | null {
  const currency = card.session.values.get(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE);
  const { profile, state } = active(card);
  if (state.electronicCash === null || !currency) return null;
  const found = PURSE_NAMES.find((name) => {
    const own = profile.objects.get(PURSES[name].currency);
    return own !== undefined && equalBytes(own, currency);
  });
  return found ?? null;
}

/** The purse whose balance has this tag; null for any other tag. */
export function purseOfBalanceTag(tag: string): PurseName | null {
  return PURSE_NAMES.find((name) => PURSES[name].balance === tag) ?? null;
}

/** Minor units in a purse; 0 in a card without e-cash. */
export function balanceOf(card: Snapshot, purse: PurseName): bigint {
  const cash = active(card).state.electronicCash;
  if (!cash) return 0n;
  return BigInt(purse === 'first' ? cash.balanceMinor : cash.secondBalanceMinor);
}

/** A balance as n12. */
export function balanceBytes(balanceMinor: bigint): Uint8Array {
  return numericToBcd(balanceMinor.toString(), AMOUNT_BYTES);
}

/** Highest balance that the issuer allows; none said: the highest that fits. */
export function balanceLimit(profile: RuntimeProfile, purse: PurseName): bigint {
  const limit = profile.objects.get(PURSES[purse].balanceLimit);
  return limit ? minorOf(limit) : AMOUNT_MINOR_MAX;
}

/** The card with another balance. */
export function withBalance(card: Snapshot, purse: PurseName, balanceMinor: bigint): Snapshot {
  const cash = active(card).state.electronicCash;
  if (!cash) return card;
  const field = purse === 'first' ? 'balanceMinor' : 'secondBalanceMinor';
  return withState(card, { electronicCash: { ...cash, [field]: balanceMinor.toString() } });
}

/** Minor units of this transaction (9F02); null when it is no number. */
export function transactionAmount(card: Snapshot): bigint | null {
  const amount = card.session.values.get(data.TAG_9F02_AMOUNT_AUTHORISED);
  const isNumber = amount?.every((value) => value >> 4 <= 9 && (value & 0x0f) <= 9) ?? false;
  return amount && isNumber ? minorOf(amount) : null;
}

/** Whether a purse pays this transaction: within its single limit and its balance. */
export function purseCovers(card: Snapshot, purse: PurseName): boolean {
  const amount = transactionAmount(card);
  if (amount === null || amount > balanceOf(card, purse)) return false;
  const limit = active(card).profile.objects.get(PURSES[purse].singleTransactionLimit);
  return limit === undefined || amount <= minorOf(limit);
}
