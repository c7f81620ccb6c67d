/** Writing the book: all legs of a transaction in one statement of the caller's transaction. */
import type { Transaction } from '../../runtime/index.ts';
import type { NewPosting } from '../model.ts';

/** Books; `paymentId` is null for fees and payouts. The database checks the sums. */
export async function insertEntries(
  client: Transaction,
  booked: { readonly paymentId: string | null; readonly postings: readonly NewPosting[] },
): Promise<void> {
  const postings = booked.postings.map((posting) => {
    return { ...posting, amountMinor: String(posting.amountMinor) };
  });
  await client.query(
    `INSERT INTO ledger_entries (transaction_id, leg, payment_id, kind, phase, mode, account,
       currency, amount_minor, settlement_date)
     SELECT "transactionId", leg, $1, kind, phase, mode, account, currency, "amountMinor",
       "settlementDate"
     FROM jsonb_to_recordset($2::jsonb) AS given("transactionId" text, leg smallint, kind text,
       phase text, mode text, account text, currency text, "amountMinor" bigint,
       "settlementDate" text)`,
    [booked.paymentId, JSON.stringify(postings)],
  );
}
