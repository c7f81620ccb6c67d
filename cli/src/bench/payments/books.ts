/** The books of a system after a load: every approval in all three, and every sum zero. */
import type { DatabaseClient } from '@tapnpay/online/runtime';
import { UsageError } from '../../command.ts';

/**
 * Rows that a benchmark filled the books with have keys below this; those of a payment begin with
 * its time (RFC 9562 version 7) or month.
 */
export const PAID_KEYS_FROM = '01';

/** What one look at the books counts. */
export type Books = {
  readonly captured: number;
  readonly unfinished: number;
  /** Durable steps of the payments so far: what somebody was told only after it was on disk. */
  readonly durableSteps: number;
};

const COUNTS = `
SELECT
  (SELECT count(*) FROM gateway.orders WHERE order_id >= $1)
  -- A tap's payment takes two steps, an inserted one's three.
  + (SELECT coalesce(sum(CASE interface WHEN 'contact' THEN 3 ELSE 2 END), 0)
     FROM gateway.payments WHERE payment_id >= $1)
  + (SELECT count(*) FROM gateway.outbox
     WHERE message_id >= 'msg_' || $1 AND state = 'delivered')
  + (SELECT count(*) FROM switch.transactions WHERE transaction_id >= $1)
  + (SELECT count(*) FROM switch.transactions WHERE transaction_id >= $1 AND state <> 'sent')
  + (SELECT count(*) FROM issuer.requests WHERE trace_key >= 'purchase/' || $1)
    AS "durableSteps",
  (SELECT count(*) FROM gateway.payments WHERE payment_id >= $1 AND state = 'captured')
    AS captured,
  (SELECT count(*) FROM gateway.payments
   WHERE payment_id >= $1 AND state NOT IN ('captured', 'declined', 'reversed')) AS unfinished`;

/** Payments that one of the three parties does not have as the others do. */
const DIFFERENCES = `
SELECT count(*) AS differences
FROM (SELECT payment_id, stan, transmission, retrieval_reference, amount_minor
  FROM gateway.payments WHERE payment_id >= $1 AND state = 'captured') AS paid
FULL JOIN (SELECT stan, transmission, retrieval_reference, amount_minor
  FROM switch.transactions
  WHERE transaction_id >= $1 AND state = 'answered' AND response_code = '00') AS passed
  USING (stan, transmission, retrieval_reference, amount_minor)
FULL JOIN (SELECT split_part(trace_key, '/', 3) AS stan, split_part(trace_key, '/', 2)
    AS transmission, amount_minor
  FROM issuer.requests WHERE trace_key >= 'purchase/' || $1 AND state = 'approved') AS held
  USING (stan, transmission, amount_minor)
WHERE paid.payment_id IS NULL OR passed.retrieval_reference IS NULL`;

const UNBALANCED = `
SELECT
  (SELECT count(*) FROM (SELECT FROM gateway.ledger_entries WHERE payment_id >= $1
    GROUP BY payment_id, currency HAVING sum(amount_minor) <> 0) AS wrong)
  + (SELECT count(*) FROM (SELECT FROM issuer.ledger_entries WHERE transaction_id >= $1
    GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0) AS wrong) AS unbalanced`;

/** Counts. */
export async function readBooks(database: DatabaseClient): Promise<Books> {
  const { rows } = await database.query<Record<string, string>>(COUNTS, [PAID_KEYS_FROM]);
  const [row] = rows;
  const of = (name: string): number => Number(row?.[name] ?? 0);
  return {
    captured: of('captured'),
    unfinished: of('unfinished'),
    durableSteps: of('durableSteps'),
  };
}

/**
 * Checks that gateway, switch and issuer hold the same approvals, that those are what was counted,
 * and that each ledger sums to zero. @throws UsageError: the figures of a wrong run are worthless.
 */
export async function assertBooks(
  database: DatabaseClient,
  told: { readonly approved: number; readonly notified: ReadonlyMap<string, number> },
): Promise<void> {
  const { captured, unfinished } = await readBooks(database);
  const differences = await countOf(database, DIFFERENCES);
  const unbalanced = await countOf(database, UNBALANCED);
  const facts = { captured, unfinished, differences, unbalanced, ...told };
  const isRight =
    captured === told.approved &&
    unfinished === 0 &&
    differences === 0 &&
    unbalanced === 0 &&
    told.notified.size === told.approved;
  if (isRight) return;
  const text = JSON.stringify({ ...facts, notified: told.notified.size });
  throw new UsageError(`the books differ after the load: ${text}`);
}

async function countOf(database: DatabaseClient, text: string): Promise<number> {
  const { rows } = await database.query<Record<string, string>>(text, [PAID_KEYS_FROM]);
  return Number(Object.values(rows[0] ?? {})[0] ?? Number.NaN);
}
