/**
 * Fills the books of all parties with finished payments: for each, the rows of one real payment
 * with keys of their own. Long texts are left out, so that ten million fit; the indexes are whole.
 */
import type { DatabaseClient } from '@tapnpay/online/runtime';

/** Payments of one statement. */
const CHUNK = 250_000;

/** Columns that get a value of payment number `i`, as SQL; `place` counts a payment's rows. */
type Fill = {
  readonly table: string;
  readonly columns: Readonly<Record<string, string>>;
  /** Which rows of the table are one payment's; one row when absent. */
  readonly of?: string;
};

/** Keys below PAID_KEYS_FROM of books.ts, in the order in which payments come. */
const ID = `'00' || lpad(i::text, 10, '0')`;
const TRACE = {
  stan: `lpad((i % 1000000)::text, 6, '0')`,
  transmission: `lpad((i / 1000000)::text, 10, '0')`,
  retrieval_reference: `lpad(i::text, 12, '0')`,
};
const TRACE_KEY = `'fill/' || lpad(i::text, 10, '0')`;
const PLACED_ID = `${ID} || '-' || place`;
const SHORT = `'00'`;

const FILLS: readonly Fill[] = [
  {
    table: 'gateway.orders',
    columns: { order_id: ID, payment_id: ID, idempotency_key: ID },
  },
  {
    table: 'gateway.payments',
    columns: {
      ...{ payment_id: ID, order_id: ID, ...TRACE },
      ...{ sealed_original: SHORT, hops: `'[]'`, card: `'{}'` },
    },
  },
  {
    table: 'gateway.ledger_entries',
    of: `payment_id = (SELECT payment_id FROM gateway.ledger_entries
      WHERE payment_id IS NOT NULL LIMIT 1)`,
    columns: { transaction_id: `'sale:' || ${ID}`, payment_id: ID },
  },
  { table: 'gateway.risk_decisions', columns: { decision_id: ID, order_id: ID } },
  { table: 'gateway.outbox', columns: { message_id: ID, payment_id: ID, body: SHORT } },
  {
    table: 'switch.transactions',
    columns: { transaction_id: ID, ...TRACE, sealed_original: SHORT, sealed_answer: SHORT },
  },
  { table: 'issuer.requests', columns: { trace_key: TRACE_KEY, retrieval_reference: TRACE.stan } },
  {
    table: 'issuer.ledger_transactions',
    of: 'trace_key = (SELECT max(trace_key) FROM issuer.ledger_transactions)',
    columns: { transaction_id: ID, trace_key: TRACE_KEY },
  },
  {
    table: 'issuer.ledger_entries',
    of: 'transaction_id = (SELECT max(transaction_id) FROM issuer.ledger_entries)',
    columns: { entry_id: PLACED_ID, transaction_id: ID },
  },
];

/** Counters of cards: from the highest down, all cards in turn. */
const FILL_COUNTERS = `
INSERT INTO issuer.card_atcs (card_id, atc, atc_use)
SELECT ids[1 + i % cardinality(ids)], 65535 - i / cardinality(ids), 'request'
FROM generate_series($1::int, $2::int) AS i,
  (SELECT array_agg(card_id) AS ids FROM issuer.cards WHERE name LIKE 'load-%') AS cards`;

/** Adds `count` finished payments to every table that a payment writes; tells how far it is. */
export async function fillBooks(
  database: DatabaseClient,
  count: number,
  onProgress: (done: number) => void,
): Promise<void> {
  // The rows are consistent as they are: what checks and projects each of them is not asked.
  await database.query('SET session_replication_role = replica');
  await database.query('SET synchronous_commit = off');
  for (let first = 0; first < count; first += CHUNK) {
    const span = [first, Math.min(first + CHUNK, count) - 1];
    for (const fill of FILLS) await database.query(await fillStatement(database, fill), span);
    await database.query(FILL_COUNTERS, span);
    onProgress(first + CHUNK);
  }
  await database.query('RESET session_replication_role');
  await database.query('RESET synchronous_commit');
  await database.query('VACUUM ANALYZE');
  await database.query('CHECKPOINT');
}

/** The columns are the table's own, so that a new one is copied from the sample. */
async function fillStatement(database: DatabaseClient, fill: Fill): Promise<string> {
  const { rows } = await database.query<{ readonly name: string }>(
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = ''
       AND attgenerated = '' ORDER BY attnum`,
    [fill.table],
  );
  const names = rows.map(({ name }) => name);
  const values = names.map((name) => fill.columns[name] ?? `sample."${name}"`);
  const where = fill.of === undefined ? 'LIMIT 1' : `WHERE ${fill.of}`;
  return `
    WITH sample AS MATERIALIZED (
      SELECT *, row_number() OVER () AS place FROM ${fill.table} ${where})
    INSERT INTO ${fill.table} (${names.map((name) => `"${name}"`).join(', ')})
    SELECT ${values.join(', ')} FROM generate_series($1::int, $2::int) AS i, sample`;
}
