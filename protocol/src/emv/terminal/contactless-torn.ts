/** After a torn tap: whether the card that left at its last record has paid. */
import { bytesToUint } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import type { TransactionLogEntry } from './card-log.ts';
import { amountOf } from './electronic-cash.ts';
import type { ContactlessOutcome } from './types.ts';

/** What the card shows when it is tapped again, read without paying. */
export type TornTapEvidence = {
  /** Its transaction log, newest first; empty when it gives none. */
  readonly entries: readonly TransactionLogEntry[];
  /** Its purse; null when it gives none. */
  readonly balanceMinor: bigint | null;
};

/**
 * Judges a tap that ended `unknown` with `card:torn`. Log and balance each say paid, not paid or
 * nothing, and must not contradict each other: another card's would. `paid`: take no second payment
 * and hand the first to a person, for its signature was never seen; `notPaid`: tap again.
 * @see PBOC3 P12
 */
export function judgeTornTap(
  torn: ContactlessOutcome,
  evidence: TornTapEvidence,
): 'paid' | 'notPaid' | 'unknown' {
  const words = [judgeByLog(torn, evidence), judgeByBalance(torn, evidence)];
  const [first, ...others] = words.filter((word) => word !== null);
  return first !== undefined && others.every((word) => word === first) ? first : 'unknown';
}

/** The newest payment has the torn tap's counter and amount, or the card has not got that far. */
function judgeByLog(
  torn: ContactlessOutcome,
  { entries }: TornTapEvidence,
): 'paid' | 'notPaid' | 'unknown' | null {
  const counter = torn.values.get(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER);
  const newest = entries.find(({ isEmpty }) => !isEmpty);
  const logged = newest?.applicationTransactionCounter ?? null;
  if (counter?.length !== 2 || newest === undefined || logged === null) return null;
  if (logged < bytesToUint(counter)) return 'notPaid';
  const isSame = logged === bytesToUint(counter) && newest.amountMinor === amountOfTap(torn);
  return isSame ? 'paid' : 'unknown';
}

/** The purse is as before, or holds exactly the amount less. */
function judgeByBalance(
  torn: ContactlessOutcome,
  { balanceMinor }: TornTapEvidence,
): 'paid' | 'notPaid' | 'unknown' | null {
  const before = torn.electronicCash?.balanceMinor ?? null;
  const amount = amountOfTap(torn);
  if (before === null || balanceMinor === null || amount === null) return null;
  if (balanceMinor === before) return 'notPaid';
  return balanceMinor === before - amount ? 'paid' : 'unknown';
}

function amountOfTap(torn: ContactlessOutcome): bigint | null {
  return amountOf(torn.values.get(data.TAG_9F02_AMOUNT_AUTHORISED));
}
