/**
 * The chart of accounts. Debits are positive, credits negative; a balance is their sum.
 *
 * | account | what it says | debited by | credited by |
 * |---|---|---|---|
 * | `payer-clearing` | what issuers owe for approved payments | sale, capture, hold (pending) | void, refund, release (pending) |
 * | `merchant-payable:<merchant>` | what the gateway owes a merchant | void, refund, fee, payout, release (pending) | sale, capture, hold (pending) |
 * | `fee-income:<share>` | fees, by who gets them | fees given back with refunds and voids | fee |
 * | `payout-clearing` | payouts on their way to the merchants' banks | - | payout |
 *
 * `pending` and `posted` are two columns of one account: a hold is pending, its capture posts the
 * captured amount and releases the whole hold, a void of a hold releases it.
 */

/** Payouts that were ordered; the bank's statement empties it. */
export const LEDGER_PAYOUT_CLEARING = 'payout-clearing';

const MERCHANT_PAYABLE_PREFIX = 'merchant-payable:';

/** Income from fees of one who gets a share. */
export function feeIncome(share: string): string {
  return `fee-income:${share}`;
}

/** The merchant of a payable account; null for any other account. */
export function merchantOfAccount(account: string): string | null {
  if (!account.startsWith(MERCHANT_PAYABLE_PREFIX)) return null;
  return account.slice(MERCHANT_PAYABLE_PREFIX.length);
}
