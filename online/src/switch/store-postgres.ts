/** `SwitchStore` in PostgreSQL 15 or later: each method is one statement, or one transaction. */
import { join } from 'node:path';
import { type Database, GroupCommit, type Log, openDatabase } from '../runtime/index.ts';
import { SwitchError } from './errors.ts';
import type { Advice, AdviceKind, Booking, Day, Transaction, TransactionKey } from './model.ts';
import type {
  AdviceClaim,
  AdviceTry,
  BookingPlace,
  ClaimedAdvice,
  DayClose,
  FinalAnswer,
  NewAdvice,
  NewCutOff,
  Reversing,
  SwitchStore,
} from './store.ts';
import {
  type AdviceRow,
  adviceOf,
  BIGINT_COLUMNS,
  type BookingRow,
  bookingOf,
  type DayRow,
  dayOf,
  TRANSACTION_COLUMNS,
  type TransactionRow,
  transactionCells,
  transactionOf,
  transactionValues,
} from './store-rows.ts';

/** A connection inside a transaction. */
type Client = Parameters<Parameters<Database['transaction']>[0]>[0];

/** Trace numbers a process takes at once. */
const STAN_BLOCK = 1_000;
const STAN_COUNT = 999_999;

/** Opens the switch's schema and brings it up to date. */
export async function openSwitchStore(options: {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly log?: Log;
}): Promise<PostgresSwitchStore> {
  const migrationsDir = join(import.meta.dirname, 'migrations');
  return new PostgresSwitchStore(await openDatabase({ ...options, migrationsDir }));
}

/** The switch's books in its own schema. */
export class PostgresSwitchStore implements SwitchStore {
  readonly #database: Database;
  readonly #finds: GroupCommit<TransactionKey, { readonly found: Transaction | null }>;
  /** Whether the row is new. */
  readonly #begins: GroupCommit<Transaction, boolean>;
  readonly #answers: GroupCommit<FinalAnswer, Transaction | null>;
  #stans: string[] = [];
  #stanBlock: Promise<void> | null = null;

  constructor(database: Database) {
    this.#database = database;
    this.#finds = new GroupCommit({ run: (keys) => this.#findAll(keys) });
    this.#begins = new GroupCommit({
      run: (transactions) => this.#beginAll(transactions),
      find: async ({ transactionId }) => ((await this.#row(transactionId)) ? true : null),
    });
    this.#answers = new GroupCommit({
      run: (answers) => this.#answerAll(answers),
      // One row is answered once in a statement.
      keysOf: ({ transactionId }) => [transactionId],
      find: async ({ transactionId }) => {
        const row = await this.#row(transactionId);
        return row && row.state !== 'sent' ? transactionOf(row) : null;
      },
    });
  }

  async nextStan(): Promise<string> {
    for (;;) {
      const stan = this.#stans.shift();
      if (stan !== undefined) return stan;
      this.#stanBlock ??= this.#takeStanBlock().finally(() => {
        this.#stanBlock = null;
      });
      await this.#stanBlock;
    }
  }

  async #takeStanBlock(): Promise<void> {
    const [row] = await this.#rows<{ block: bigint }>(`SELECT nextval('stan_blocks') AS block`);
    const first = (Number(row?.block ?? 1n) - 1) * STAN_BLOCK;
    this.#stans = Array.from({ length: STAN_BLOCK }, (_, index) =>
      String(((first + index) % STAN_COUNT) + 1).padStart(6, '0'),
    );
  }

  async find(key: TransactionKey): Promise<Transaction | null> {
    return (await this.#finds.submit(key)).found;
  }

  async #findAll(
    keys: readonly TransactionKey[],
  ): Promise<readonly { readonly found: Transaction | null }[]> {
    const asked = keys.map((key, place) => [place, ...keyValues(key)]);
    const { rows } = await this.#database.steps.query<TransactionRow & { readonly place: number }>(
      FIND_ALL,
      [JSON.stringify(asked)],
    );
    const found = new Map(rows.map((row) => [row.place, transactionOf(row)]));
    return keys.map((_, place) => ({ found: found.get(place) ?? null }));
  }

  async begin(transaction: Transaction): Promise<Transaction | null> {
    for (;;) {
      if (await this.#begins.submit(transaction)) return null;
      const earlier = await this.find(transaction);
      if (earlier) return earlier;
    }
  }

  async #beginAll(transactions: readonly Transaction[]): Promise<readonly boolean[]> {
    const { rows } = await this.#database.steps.query<{ readonly transaction_id: string }>(
      BEGIN_ALL,
      [JSON.stringify(transactions.map(transactionCells))],
    );
    const begun = new Set(rows.map(({ transaction_id }) => transaction_id));
    return transactions.map(({ transactionId }) => begun.has(transactionId));
  }

  async answer(answer: FinalAnswer): Promise<Transaction> {
    const answered = await this.#answers.submit(answer);
    if (answered) return answered;
    return required(undefined, answer.transactionId);
  }

  async #answerAll(answers: readonly FinalAnswer[]): Promise<readonly (Transaction | null)[]> {
    const { rows } = await this.#database.steps.query<TransactionRow>(ANSWER_ALL, [
      JSON.stringify(answers.map(answerCells)),
    ]);
    const answered = new Map(rows.map((row) => [row.transaction_id, transactionOf(row)]));
    return answers.map(({ transactionId }) => answered.get(transactionId) ?? null);
  }

  async abandon(lost: Reversing): Promise<Transaction> {
    const [row] = await this.#rows<TransactionRow>(ABANDON, reversingValues(lost));
    return row ? transactionOf(row) : this.#get(lost.transactionId);
  }

  async reverse(
    reversing: Reversing,
  ): Promise<{ readonly transaction: Transaction; readonly moved: boolean }> {
    const [row] = await this.#rows<TransactionRow>(REVERSE, reversingValues(reversing));
    if (row) return { transaction: transactionOf(row), moved: true };
    return { transaction: await this.#get(reversing.transactionId), moved: false };
  }

  async noteLate(key: TransactionKey, responseCode: string): Promise<Transaction | null> {
    const [row] = await this.#rows<TransactionRow>(
      `UPDATE transactions SET late_response_code = $6 WHERE ${KEY_MATCHES} RETURNING *`,
      [...keyValues(key), responseCode],
    );
    return row ? transactionOf(row) : null;
  }

  async listSent(query: {
    readonly beforeMs: number;
    readonly limit: number;
  }): Promise<readonly Transaction[]> {
    const rows = await this.#rows<TransactionRow>(
      `SELECT * FROM transactions WHERE state = 'sent' AND created_at_ms < $1
       ORDER BY created_at_ms, transaction_id LIMIT $2`,
      [query.beforeMs, query.limit],
    );
    return rows.map(transactionOf);
  }

  async takeAdvice(transaction: Transaction, advice: NewAdvice): Promise<Transaction | null> {
    const values = [...transactionValues(transaction), ...adviceValues(advice)];
    for (;;) {
      const taken = await this.#rows(TAKE_ADVICE, values);
      if (taken.length > 0) return null;
      const earlier = await this.find(transaction);
      if (earlier) return earlier;
    }
  }

  async dueDestinations(nowMs: number): Promise<readonly string[]> {
    const rows = await this.#rows<{ readonly destination: string }>(DUE_DESTINATIONS, [nowMs]);
    return rows.map(({ destination }) => destination);
  }

  // A subquery, not an anti-join: it is asked in the order of the due ones until there are enough.
  async claimAdvices(claim: AdviceClaim): Promise<readonly ClaimedAdvice[]> {
    const { destination, nowMs, leaseMs, limit, oldestDate } = claim;
    const rows = await this.#rows<AdviceRow & { readonly of: TransactionRow | null }>(
      `WITH claimed AS (
         UPDATE advices SET attempts = attempts + 1, next_at_ms = $3 WHERE advice_id IN (
           SELECT advice_id FROM advices
           WHERE destination = $1 AND state = 'open' AND next_at_ms BETWEEN 0 AND $2
             AND settlement_date >= $5 AND sequence = (
               SELECT min(sequence) FROM advices older
               WHERE older.order_key = advices.order_key AND older.destination = $1
                 AND older.state = 'open')
           ORDER BY next_at_ms LIMIT $4 FOR UPDATE SKIP LOCKED)
         RETURNING *)
       SELECT claimed.*, to_jsonb(transactions) AS of
       FROM claimed LEFT JOIN transactions USING (transaction_id) ORDER BY claimed.sequence`,
      [destination, nowMs, nowMs + leaseMs, limit, oldestDate],
    );
    return rows.map((row) => ({ ...adviceOf(row), of: row.of && transactionOf(row.of) }));
  }

  async noteTry(attempt: AdviceTry): Promise<void> {
    await this.#rows(
      `UPDATE advices SET next_at_ms = $2, refusals = refusals + $3::boolean::int,
         response_code = coalesce($4, response_code),
         state = CASE WHEN $5::boolean THEN 'stuck' ELSE state END
       WHERE advice_id = $1 AND state = 'open'`,
      [attempt.adviceId, attempt.nextAtMs, attempt.refused, attempt.responseCode, attempt.stuck],
    );
  }

  async settleAdvice(adviceId: string, responseCode: string, atMs: number): Promise<void> {
    // Locks the transaction's row first, as `reverse` does: they cannot deadlock.
    await this.#rows(
      `WITH advice AS (SELECT * FROM advices WHERE advice_id = $1 AND state <> 'settled'),
       moved AS (
         UPDATE transactions SET state = 'reversed', updated_at_ms = $3
         WHERE state IN ('unknown', 'reversing') AND transaction_id =
           (SELECT transaction_id FROM advice WHERE kind = 'reversal') RETURNING transaction_id)
       UPDATE advices SET state = 'settled', settled_at_ms = $3, response_code = $2 FROM advice
       WHERE advices.advice_id = advice.advice_id AND advices.state <> 'settled'
         AND (advice.kind <> 'reversal' OR EXISTS (SELECT 1 FROM moved))`,
      [adviceId, responseCode, atMs],
    );
  }

  async expireAdvices(oldestDate: string): Promise<number> {
    const rows = await this.#rows(
      `UPDATE advices SET state = 'stuck' WHERE state = 'open' AND settlement_date < $1
       RETURNING advice_id`,
      [oldestDate],
    );
    return rows.length;
  }

  async retryAdvice(retry: {
    readonly adviceId: string;
    readonly settlementDate: string;
    readonly nowMs: number;
  }): Promise<Advice | null> {
    const [row] = await this.#rows<AdviceRow>(
      `UPDATE advices SET state = 'open', refusals = 0, settlement_date = $2, next_at_ms = $3
       WHERE advice_id = $1 AND state = 'stuck' RETURNING *`,
      [retry.adviceId, retry.settlementDate, retry.nowMs],
    );
    return row ? adviceOf(row) : null;
  }

  async releaseAdvices(nowMs: number): Promise<void> {
    await this.#rows(
      `UPDATE advices SET next_at_ms = $1 WHERE state = 'open' AND next_at_ms > $1`,
      [nowMs],
    );
  }

  async owedKind(transactionId: string): Promise<AdviceKind | null> {
    const [row] = await this.#rows<{ readonly kind: AdviceKind }>(
      `SELECT kind FROM advices WHERE transaction_id = $1 AND state = 'open'`,
      [transactionId],
    );
    return row?.kind ?? null;
  }

  async turnDay(turn: {
    readonly settlementDate: string;
    readonly atMs: number;
    readonly cutOffs: readonly NewCutOff[];
  }): Promise<boolean> {
    const { settlementDate, atMs } = turn;
    return this.#database.transaction(async (client) => {
      const { rows } = await client.query<{ readonly is_first: boolean }>(
        `INSERT INTO days (settlement_date, begun_at_ms) VALUES ($1, $2)
         ON CONFLICT DO NOTHING RETURNING
           NOT EXISTS (SELECT 1 FROM days earlier WHERE earlier.settlement_date < $1) AS is_first`,
        [settlementDate, atMs],
      );
      const [turned] = rows;
      if (turned?.is_first === false) await announce(client, turn.cutOffs);
      return turned !== undefined;
    });
  }

  async closeDay(
    close: DayClose,
  ): Promise<'closed' | 'closedBefore' | 'unknownDay' | { open: number }> {
    const { settlementDate, oldestDate, atMs } = close;
    return this.#database.transaction(async (client) => {
      const { rows } = await client.query<DayRow>(
        'SELECT * FROM days WHERE settlement_date = $1 FOR UPDATE',
        [settlementDate],
      );
      const [day] = rows;
      if (!day) return 'unknownDay';
      if (day.closed_at_ms !== null) return 'closedBefore';
      const span = [oldestDate, settlementDate];
      const left = await client.query<{ readonly open: number }>(OPEN_OF_DAY, span);
      const open = left.rows[0]?.open ?? 0;
      if (open > 0) return { open };
      await client.query(BOOK_DAY, span);
      await client.query('UPDATE days SET closed_at_ms = $2 WHERE settlement_date = $1', [
        settlementDate,
        atMs,
      ]);
      await announce(client, close.cutOffs);
      return 'closed';
    });
  }

  async days(limit: number): Promise<readonly Day[]> {
    const rows = await this.#rows<DayRow>(
      'SELECT * FROM days ORDER BY settlement_date DESC LIMIT $1',
      [limit],
    );
    return rows.map(dayOf);
  }

  async listBookings(query: {
    readonly settlementDate: string;
    readonly after: BookingPlace | null;
    readonly limit: number;
  }): Promise<readonly Booking[]> {
    const { settlementDate, after, limit } = query;
    const rows = await this.#rows<BookingRow>(
      `SELECT transactions.*, leg FROM bookings JOIN transactions USING (transaction_id)
       WHERE bookings.settlement_date = $1 AND (transaction_id, leg) > ($2, $3)
       ORDER BY transaction_id, leg LIMIT $4`,
      [settlementDate, after?.transactionId ?? '', after?.leg ?? '', limit],
    );
    return rows.map(bookingOf);
  }

  async stuckAdvices(limit: number): Promise<readonly Advice[]> {
    const rows = await this.#rows<AdviceRow>(
      `SELECT * FROM advices WHERE state = 'stuck' ORDER BY sequence LIMIT $1`,
      [limit],
    );
    return rows.map(adviceOf);
  }

  async transactions(): Promise<readonly Transaction[]> {
    const rows = await this.#rows<TransactionRow>(
      'SELECT * FROM transactions ORDER BY created_at_ms, transaction_id',
    );
    return rows.map(transactionOf);
  }

  async advices(): Promise<readonly Advice[]> {
    const rows = await this.#rows<AdviceRow>('SELECT * FROM advices ORDER BY sequence');
    return rows.map(adviceOf);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #get(transactionId: string): Promise<Transaction> {
    return required(await this.#row(transactionId), transactionId);
  }

  async #row(transactionId: string): Promise<TransactionRow | undefined> {
    const [row] = await this.#rows<TransactionRow>(
      'SELECT * FROM transactions WHERE transaction_id = $1',
      [transactionId],
    );
    return row;
  }

  async #rows<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.#database.pool.query<Row>(text, [...values]);
    return result.rows;
  }
}

const KEY_MATCHES = `transmission = $1 AND stan = $2 AND acquirer_id = $3 AND terminal_id = $4
  AND member_id = $5`;

const FIND_ALL = `
SELECT (asked.key ->> 0)::int AS place, transactions.*
FROM jsonb_array_elements($1::jsonb) AS asked(key) JOIN transactions ON
  transmission = asked.key ->> 1 AND stan = asked.key ->> 2 AND acquirer_id = asked.key ->> 3
  AND terminal_id = asked.key ->> 4 AND member_id = asked.key ->> 5`;

/** A column of a row that came as an array: rows with names cost the server three times as much. */
function cellOf(name: keyof TransactionRow, index: number): string {
  const cell = `cells ->> ${index}`;
  return BIGINT_COLUMNS.has(name) ? `(${cell})::bigint` : cell;
}

/** Of two rows with one key the first is taken, be they in one statement or not. */
const BEGIN_ALL = `
INSERT INTO transactions (${TRANSACTION_COLUMNS.join(', ')})
SELECT ${TRANSACTION_COLUMNS.map(cellOf).join(', ')} FROM jsonb_array_elements($1::jsonb) AS cells
ON CONFLICT (transmission, stan, acquirer_id, terminal_id, member_id) DO NOTHING
RETURNING transaction_id`;

const INSERT_TRANSACTION = `
INSERT INTO transactions (${TRANSACTION_COLUMNS.join(', ')})
VALUES (${TRANSACTION_COLUMNS.map((_, index) => `$${index + 1}`).join(', ')})
ON CONFLICT (transmission, stan, acquirer_id, terminal_id, member_id) DO NOTHING
RETURNING transaction_id`;

const ADVICE_COLUMNS = 'advice_id, kind, stan, transmission, reason, settlement_date, next_at_ms';

/** Placeholders of `adviceValues`, from a number on. */
function adviceSlots(first: number): string {
  return Array.from({ length: 7 }, (_, index) => `$${first + index}`).join(', ');
}

/** A refund must not overtake the completion that it refunds: both wait for the same first one. */
const CHAIN = (row: string): string => `coalesce(
  (SELECT original_id FROM transactions WHERE transaction_id = ${row}.original_id),
  ${row}.original_id, ${row}.transaction_id)`;

const TAKE_ADVICE = `
WITH taken AS (${INSERT_TRANSACTION}, original_id, destination)
INSERT INTO advices (transaction_id, destination, order_key, ${ADVICE_COLUMNS})
SELECT transaction_id, destination, ${CHAIN('taken')},
  ${adviceSlots(TRANSACTION_COLUMNS.length + 1)} FROM taken
RETURNING advice_id`;

/** The first final answer counts; one to a row that is no longer `sent` is noted as late. */
const ANSWER_ALL = `
UPDATE transactions SET
  state = CASE WHEN state = 'sent' THEN 'answered' ELSE state END,
  response_code = CASE WHEN state = 'sent' THEN "responseCode" ELSE response_code END,
  approval_code = CASE WHEN state = 'sent' THEN "approvalCode" ELSE approval_code END,
  sealed_answer = CASE WHEN state = 'sent' THEN "sealedAnswer" ELSE sealed_answer END,
  reason = CASE WHEN state = 'sent' THEN given.reason ELSE transactions.reason END,
  destination = CASE WHEN state = 'sent' AND "neverSent" THEN NULL ELSE destination END,
  late_response_code = CASE WHEN state = 'sent' THEN late_response_code ELSE "responseCode" END,
  updated_at_ms = "atMs"
FROM (SELECT one ->> 0 AS "transactionId", one ->> 1 AS "responseCode",
    one ->> 2 AS "approvalCode", one ->> 3 AS "sealedAnswer", one ->> 4 AS reason,
    (one ->> 5)::boolean AS "neverSent", (one ->> 6)::bigint AS "atMs"
  FROM jsonb_array_elements($1::jsonb) AS one) AS given
WHERE transaction_id = "transactionId"
RETURNING transactions.*`;

/** Queues the advice of the moved row unless there is one. */
const QUEUE_ADVICE = `
  INSERT INTO advices (transaction_id, destination, order_key, ${ADVICE_COLUMNS})
  SELECT transaction_id, destination, ${CHAIN('moved')}, ${adviceSlots(3)}
  FROM moved WHERE destination IS NOT NULL
  ON CONFLICT (transaction_id) DO NOTHING`;

const ABANDON = `
WITH moved AS (
  UPDATE transactions SET state = 'unknown', reason = $7, updated_at_ms = $2
  WHERE transaction_id = $1 AND state = 'sent'
  RETURNING *
), queued AS (${QUEUE_ADVICE})
SELECT * FROM moved`;

const REVERSE = `
WITH moved AS (
  UPDATE transactions SET
    state = CASE WHEN destination IS NULL THEN 'reversed' ELSE 'reversing' END,
    reversal_date = $8,
    updated_at_ms = $2
  WHERE transaction_id = $1 AND state IN ('sent', 'answered', 'unknown')
  RETURNING *
), queued AS (${QUEUE_ADVICE})
SELECT * FROM moved`;

/** From one member to the next by the index, however long the queue of each is. */
const DUE_DESTINATIONS = `
WITH RECURSIVE members AS (
  (SELECT min(destination) AS destination FROM advices WHERE state = 'open' AND next_at_ms >= 0)
  UNION ALL
  SELECT (SELECT min(destination) FROM advices
          WHERE state = 'open' AND next_at_ms >= 0 AND destination > members.destination)
  FROM members WHERE destination IS NOT NULL)
SELECT destination FROM members WHERE $1 >= (
  SELECT min(next_at_ms) FROM advices
  WHERE advices.destination = members.destination AND state = 'open' AND next_at_ms >= 0)
ORDER BY destination`;

const OPEN_OF_DAY = `
SELECT count(*)::int AS open FROM transactions
WHERE state = 'sent' AND kind IS NOT NULL AND settlement_date BETWEEN $1 AND $2`;

/** A booking is made once: what raced with the close of its day comes with the next one. */
const BOOK_DAY = `
INSERT INTO bookings (transaction_id, leg, settlement_date)
SELECT transaction_id, 'original', $2 FROM transactions
WHERE kind IS NOT NULL AND state <> 'sent' AND settlement_date BETWEEN $1 AND $2
UNION ALL
SELECT transaction_id, 'reversal', $2 FROM transactions
WHERE kind IS NOT NULL AND response_code = '00' AND reversal_date BETWEEN $1 AND $2
ON CONFLICT DO NOTHING`;

async function announce(client: Client, cutOffs: readonly NewCutOff[]): Promise<void> {
  for (const cutOff of cutOffs) {
    await client.query(
      `INSERT INTO advices (destination, order_key, ${ADVICE_COLUMNS})
       VALUES ($1, 'cutOff ' || $1, ${adviceSlots(2)}) ON CONFLICT DO NOTHING`,
      [cutOff.destination, ...adviceValues(cutOff)],
    );
  }
}

function keyValues(key: TransactionKey): readonly string[] {
  return [key.transmission, key.stan, key.acquirerId, key.terminalId, key.memberId];
}

function answerCells(answer: FinalAnswer): readonly unknown[] {
  const { transactionId, responseCode, approvalCode, sealedAnswer, reason } = answer;
  const { neverSent, atMs } = answer;
  return [transactionId, responseCode, approvalCode, sealedAnswer, reason, neverSent, atMs];
}

function adviceValues(advice: NewAdvice): readonly unknown[] {
  const { adviceId, kind, stan, transmission, reason, settlementDate, nextAtMs } = advice;
  return [adviceId, kind, stan, transmission, reason, settlementDate, nextAtMs];
}

function reversingValues({ transactionId, advice, atMs }: Reversing): readonly unknown[] {
  return [transactionId, atMs, ...adviceValues(advice)];
}

function required(row: TransactionRow | undefined, transactionId: string): Transaction {
  if (row) return transactionOf(row);
  throw new SwitchError('ERR_SWITCH_STORE', 'there is no such transaction', { transactionId });
}
