/**
 * The chart of accounts. Debits are positive, credits negative; a balance is their sum.
 *
 * - `payer-clearing`: what issuers owe for approved payments. Debited by sale, capture and
 *   (pending) hold; credited by void, refund and (pending) the release of a hold.
 * - `merchant-payable:<merchant>`: what the gateway owes a merchant. Credited by sale, capture and
 *   (pending) hold; debited by void, refund, fee, payout and (pending) the release of a hold.
 * - `fee-income:<share>`: fees, by who gets them. Credited by fee, debited by fees given back.
 * - `payout-clearing`: payouts on their way to the merchants' banks. Credited by payout.
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
