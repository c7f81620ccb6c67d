/**
 * What captures, voids and refunds write into the book: legs of one transaction, debits positive,
 * their sum zero. Amounts are minor units.
 */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import { uuidv7 } from '../../runtime/index.ts';
import { LEDGER_PAYER_CLEARING, merchantPayable, type Posting } from '../model.ts';

/** Legs with their ids. */
export type NewPostings = readonly (Posting & { readonly entryId: string })[];
/** Whose money, how much. */
export type BookedAmount = {
  readonly merchantId: string;
  readonly currency: string;
  readonly amountMinor: bigint;
};
type Ids = { readonly clock: Clock; readonly random: RandomSource };

/** Captured: the payer's side owes, the merchant gets. */
export function capturePostings(ids: Ids, amount: BookedAmount): NewPostings {
  const { merchantId, currency, amountMinor } = amount;
  const leg = (account: string, minor: bigint): NewPostings[number] => ({
    entryId: uuidv7(ids.clock, ids.random),
    account,
    currency,
    amountMinor: minor,
  });
  return [leg(LEDGER_PAYER_CLEARING, amountMinor), leg(merchantPayable(merchantId), -amountMinor)];
}

/** Given back, in part or as a whole: the opposite of a capture. */
export function returnPostings(ids: Ids, amount: BookedAmount): NewPostings {
  return capturePostings(ids, { ...amount, amountMinor: -amount.amountMinor });
}
