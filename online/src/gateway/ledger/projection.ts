/**
 * Balances as a projection of the book. Payments only ever add entries; one worker brings the sums
 * forward by a cursor over database transactions, and a reader adds the tail behind the cursor, so
 * a balance is always that of the entries (migrations/004-ledger.sql).
 */
import type { Database, Transaction } from '../../runtime/index.ts';
import type { Mode } from '../merchants/model.ts';
import type { LedgerPhase } from '../model.ts';

/** Database transactions that one step looks at, so that its sums fit in memory. */
const STEP_TRANSACTIONS = 20_000;
/** Steps of one run; the next run goes on. */
const STEPS_MAX = 50;
/** Without entries the cursor moves only now and then: an idle system writes nothing. */
const IDLE_TRANSACTIONS = 1_000;
/** For the sums of the whole book: hundreds of millions of entries. */
const REBUILD_TIMEOUT_MS = 3_600_000;
/** Findings that a check lists. */
const FINDINGS_MAX = 100;

/** What stands on one account. Amounts are minor units; the balance is debits less credits. */
export type LedgerBalance = {
  readonly mode: Mode;
  readonly account: string;
  readonly currency: string;
  readonly phase: LedgerPhase;
  readonly debitsMinor: bigint;
  readonly creditsMinor: bigint;
  readonly balanceMinor: bigint;
  readonly entries: number;
};

/** Something that must never be. */
export type LedgerFinding = {
  readonly what: 'unbalanced' | 'projection' | 'total';
  /** A transaction, or mode, account, currency and phase. */
  readonly subject: string;
  /** What the entries give. */
  readonly entriesMinor: bigint;
  /** What the projection says; 0 where the rule is a sum of zero. */
  readonly saidMinor: bigint;
};

/** What a check of the whole book found. */
export type LedgerReport = {
  readonly entries: number;
  /** Entries behind the cursor. */
  readonly tail: number;
  readonly findings: readonly LedgerFinding[];
};

type BalanceRow = {
  readonly mode: Mode;
  readonly account: string;
  readonly currency: string;
  readonly phase: LedgerPhase;
  readonly debits: string;
  readonly credits: string;
  readonly entries: string;
};

/** Sums of entries by account; `where` is a condition on them. */
function sumsWhere(where: string): string {
  return `SELECT mode, account, currency, phase,
    coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0) AS debits,
    coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0) AS credits,
    count(*) AS entries
  FROM ledger_entries WHERE ${where} GROUP BY mode, account, currency, phase`;
}

const TAIL = sumsWhere('booked_in >= (SELECT booked_before FROM ledger_cursor)');

/** One statement: cursor, balances and tail are seen at one moment. */
const BALANCES = `
SELECT mode, account, currency, phase, sum(debits)::text AS debits, sum(credits)::text AS credits,
  sum(entries)::text AS entries
FROM (SELECT mode, account, currency, phase, debits_minor AS debits, credits_minor AS credits,
    entries FROM ledger_balances
  UNION ALL ${TAIL}) AS parts
GROUP BY mode, account, currency, phase ORDER BY mode, account, currency, phase`;

const ADD_SUMS = `
INSERT INTO ledger_balances AS old (mode, account, currency, phase, debits_minor, credits_minor,
  entries)
${sumsWhere('booked_in >= $1 AND booked_in < $2')}
ON CONFLICT (mode, account, currency, phase) DO UPDATE SET
  debits_minor = old.debits_minor + EXCLUDED.debits_minor,
  credits_minor = old.credits_minor + EXCLUDED.credits_minor,
  entries = old.entries + EXCLUDED.entries`;

const UNBALANCED = `
SELECT transaction_id || ' ' || currency || ' ' || phase AS subject, sum(amount_minor)::text AS sum
FROM ledger_entries GROUP BY transaction_id, currency, phase HAVING sum(amount_minor) <> 0
ORDER BY 1 LIMIT ${FINDINGS_MAX}`;

const DIFFERING = `
SELECT concat_ws(' ', mode, account, currency, phase) AS subject,
  coalesce(book.debits - book.credits, 0)::text AS sum,
  coalesce(said.debits_minor - said.credits_minor, 0)::text AS said
FROM (${sumsWhere('booked_in < (SELECT booked_before FROM ledger_cursor)')}) AS book
FULL JOIN ledger_balances AS said USING (mode, account, currency, phase)
WHERE (book.debits, book.credits, book.entries)
  IS DISTINCT FROM (said.debits_minor, said.credits_minor, said.entries)
ORDER BY 1 LIMIT ${FINDINGS_MAX}`;

/** The book's balances in the gateway's schema. */
export class LedgerProjection {
  readonly #database: Pick<Database, 'pool' | 'transaction'>;

  constructor(database: Pick<Database, 'pool' | 'transaction'>) {
    this.#database = database;
  }

  /**
   * Brings the balances forward over everything that is certain by now; how many entries. Safe to
   * kill and to run anywhere at once: a step is one transaction, and who finds the cursor taken
   * leaves it.
   */
  async rollUp(): Promise<number> {
    let entries = 0;
    for (let step = 0; step < STEPS_MAX; step++) {
      const done = await this.#database.transaction(rollUpStep);
      entries += done.entries;
      if (done.isLast) break;
    }
    return entries;
  }

  /** Every account as it stands, in the order of mode, account, currency, phase. */
  async balances(): Promise<readonly LedgerBalance[]> {
    const { rows } = await this.#database.pool.query<BalanceRow>(BALANCES);
    return rows.map(balanceOf);
  }

  /** Reads the whole book: each transaction, each account and the total. */
  verify(): Promise<LedgerReport> {
    return this.#database.transaction(async (client) => {
      await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      // The one reader that really wants to see all of it.
      await client.query('SET LOCAL enable_seqscan = on');
      return reportOf(client);
    });
  }

  /** Makes the balances anew from the first entry on; `rollUp` then goes on from there. */
  async rebuild(): Promise<void> {
    await this.#database.transaction(async (client) => {
      await client.query('SELECT FROM ledger_cursor FOR UPDATE');
      const { rows } = await client.query<{ readonly safe: bigint }>(SAFE);
      const safe = rows[0]?.safe ?? 0n;
      await client.query('DELETE FROM ledger_balances');
      await client.query('SET LOCAL enable_seqscan = on');
      const sums = { text: ADD_SUMS, values: [0n, safe], query_timeout: REBUILD_TIMEOUT_MS };
      await client.query(sums);
      await client.query('UPDATE ledger_cursor SET booked_before = $1', [safe]);
    });
  }
}

/** Every database transaction below it has ended. */
const SAFE = 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS safe';

async function rollUpStep(
  client: Transaction,
): Promise<{ readonly entries: number; readonly isLast: boolean }> {
  const cursor = await client.query<{ readonly booked_before: bigint }>(
    'SELECT booked_before FROM ledger_cursor FOR UPDATE SKIP LOCKED',
  );
  const from = cursor.rows[0]?.booked_before;
  if (from === undefined) return { entries: 0, isLast: true };
  const { rows } = await client.query<{ readonly safe: bigint }>(SAFE);
  const safe = rows[0]?.safe ?? from;
  if (safe <= from) return { entries: 0, isLast: true };
  const step = from + BigInt(STEP_TRANSACTIONS);
  const to = safe < step ? safe : step;
  const entries = await addSums(client, from, to);
  if (entries > 0 || to - from > IDLE_TRANSACTIONS) {
    await client.query('UPDATE ledger_cursor SET booked_before = $1', [to]);
  }
  return { entries, isLast: to === safe };
}

async function addSums(client: Transaction, from: bigint, to: bigint): Promise<number> {
  const { rows } = await client.query<{ readonly count: bigint }>(
    'SELECT count(*) AS count FROM ledger_entries WHERE booked_in >= $1 AND booked_in < $2',
    [from, to],
  );
  const count = Number(rows[0]?.count ?? 0n);
  if (count > 0) await client.query(ADD_SUMS, [from, to]);
  return count;
}

async function reportOf(client: Transaction): Promise<LedgerReport> {
  type Row = { readonly subject: string; readonly sum: string; readonly said?: string };
  const counts = await client.query<{ readonly entries: bigint; readonly tail: bigint }>(
    `SELECT count(*) AS entries,
       count(*) FILTER (WHERE booked_in >= (SELECT booked_before FROM ledger_cursor)) AS tail
     FROM ledger_entries`,
  );
  const unbalanced = await client.query<Row>(UNBALANCED);
  const differing = await client.query<Row>(DIFFERING);
  const totals = await client.query<Row>(
    `SELECT concat_ws(' ', mode, currency, phase) AS subject, sum(debits - credits)::text AS sum
     FROM (${BALANCES.replaceAll('::text', '')}) AS all_accounts
     GROUP BY mode, currency, phase HAVING sum(debits - credits) <> 0`,
  );
  const findings = (what: LedgerFinding['what'], rows: readonly Row[]): LedgerFinding[] =>
    rows.map(({ subject, sum, said }) => {
      return { what, subject, entriesMinor: BigInt(sum), saidMinor: BigInt(said ?? '0') };
    });
  return {
    entries: Number(counts.rows[0]?.entries ?? 0n),
    tail: Number(counts.rows[0]?.tail ?? 0n),
    findings: [
      ...findings('unbalanced', unbalanced.rows),
      ...findings('projection', differing.rows),
      ...findings('total', totals.rows),
    ],
  };
}

function balanceOf(row: BalanceRow): LedgerBalance {
  const { mode, account, currency, phase } = row;
  const [debitsMinor, creditsMinor] = [BigInt(row.debits), BigInt(row.credits)];
  const sums = { debitsMinor, creditsMinor, balanceMinor: debitsMinor - creditsMinor };
  return { mode, account, currency, phase, ...sums, entries: Number(row.entries) };
}
