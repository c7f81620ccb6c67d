/** `SwitchStore` in PostgreSQL 15 or later: each method is one statement, or one transaction. */
import { join } from 'node:path';
import { type Database, type Log, openDatabase } from '../runtime/index.ts';
import { SwitchError } from './errors.ts';
import type { Advice, Transaction, TransactionKey } from './model.ts';
import type { AdviceClaim, FinalAnswer, Reversing, SwitchStore } from './store.ts';
import {
  type AdviceRow,
  adviceOf,
  TRANSACTION_COLUMNS,
  type TransactionRow,
  transactionOf,
  transactionValues,
} from './store-rows.ts';

/** Trace numbers a process takes at once. */
const STAN_BLOCK = 100;
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
  #stans: string[] = [];
  #stanBlock: Promise<void> | null = null;

  constructor(database: Database) {
    this.#database = database;
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
    const [row] = await this.#rows<TransactionRow>(
      `SELECT * FROM transactions WHERE ${KEY_MATCHES}`,
      keyValues(key),
    );
    return row ? transactionOf(row) : null;
  }

  async begin(transaction: Transaction): Promise<Transaction | null> {
    for (;;) {
      const inserted = await this.#rows(INSERT_TRANSACTION, transactionValues(transaction));
      if (inserted.length > 0) return null;
      const earlier = await this.find(transaction);
      if (earlier) return earlier;
    }
  }

  async answer(answer: FinalAnswer): Promise<Transaction> {
    const [row] = await this.#rows<TransactionRow>(ANSWER, [
      answer.transactionId,
      answer.responseCode,
      answer.approvalCode,
      answer.sealedAnswer,
      answer.reason,
      answer.neverSent,
      answer.atMs,
    ]);
    return required(row, answer.transactionId);
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

  async claimAdvices(
    claim: AdviceClaim,
  ): Promise<readonly (Advice & { readonly of: Transaction })[]> {
    const rows = await this.#rows<AdviceRow & { readonly of: TransactionRow }>(
      `WITH claimed AS (
         UPDATE advices SET attempts = attempts + 1, next_at_ms = $3 WHERE transaction_id IN (
           SELECT transaction_id FROM advices
           WHERE destination = $1 AND settled_at_ms IS NULL AND next_at_ms <= $2
           ORDER BY next_at_ms LIMIT $4 FOR UPDATE SKIP LOCKED)
         RETURNING *)
       SELECT claimed.*, to_jsonb(transactions) AS of
       FROM claimed JOIN transactions USING (transaction_id)`,
      [claim.destination, claim.nowMs, claim.nowMs + claim.leaseMs, claim.limit],
    );
    return rows.map((row) => ({ ...adviceOf(row), of: transactionOf(row.of) }));
  }

  async postponeAdvice(transactionId: string, nextAtMs: number): Promise<void> {
    await this.#rows(
      'UPDATE advices SET next_at_ms = $2 WHERE transaction_id = $1 AND settled_at_ms IS NULL',
      [transactionId, nextAtMs],
    );
  }

  async settleAdvice(transactionId: string, responseCode: string, atMs: number): Promise<void> {
    // Locks the transaction's row first, as `reverse` does: they cannot deadlock.
    await this.#rows(
      `WITH moved AS (
         UPDATE transactions SET state = 'reversed', updated_at_ms = $3
         WHERE transaction_id = $1 AND state IN ('unknown', 'reversing') RETURNING transaction_id)
       UPDATE advices SET settled_at_ms = $3, response_code = $2 FROM moved
       WHERE advices.transaction_id = moved.transaction_id AND settled_at_ms IS NULL`,
      [transactionId, responseCode, atMs],
    );
  }

  async releaseAdvices(nowMs: number): Promise<void> {
    await this.#rows(
      'UPDATE advices SET next_at_ms = $1 WHERE settled_at_ms IS NULL AND next_at_ms > $1',
      [nowMs],
    );
  }

  async transactions(): Promise<readonly Transaction[]> {
    const rows = await this.#rows<TransactionRow>(
      'SELECT * FROM transactions ORDER BY created_at_ms, transaction_id',
    );
    return rows.map(transactionOf);
  }

  async advices(): Promise<readonly Advice[]> {
    const rows = await this.#rows<AdviceRow>('SELECT * FROM advices ORDER BY transaction_id');
    return rows.map(adviceOf);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #get(transactionId: string): Promise<Transaction> {
    const [row] = await this.#rows<TransactionRow>(
      'SELECT * FROM transactions WHERE transaction_id = $1',
      [transactionId],
    );
    return required(row, transactionId);
  }

  async #rows<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const result = await this.#database.pool.query<Row>(text, [...values]);
    return result.rows;
  }
}

const KEY_MATCHES = `transmission = $1 AND stan = $2 AND acquirer_id = $3 AND terminal_id = $4
  AND member_id = $5`;

const INSERT_TRANSACTION = `
INSERT INTO transactions (${TRANSACTION_COLUMNS.join(', ')})
VALUES (${TRANSACTION_COLUMNS.map((_, index) => `$${index + 1}`).join(', ')})
ON CONFLICT (transmission, stan, acquirer_id, terminal_id, member_id) DO NOTHING
RETURNING transaction_id`;

/** The first final answer counts; one to a row that is no longer `sent` is noted as late. */
const ANSWER = `
UPDATE transactions SET
  state = CASE WHEN state = 'sent' THEN 'answered' ELSE state END,
  response_code = CASE WHEN state = 'sent' THEN $2 ELSE response_code END,
  approval_code = CASE WHEN state = 'sent' THEN $3 ELSE approval_code END,
  sealed_answer = CASE WHEN state = 'sent' THEN $4 ELSE sealed_answer END,
  reason = CASE WHEN state = 'sent' THEN $5 ELSE reason END,
  destination = CASE WHEN state = 'sent' AND $6::boolean THEN NULL ELSE destination END,
  late_response_code = CASE WHEN state = 'sent' THEN late_response_code ELSE $2 END,
  updated_at_ms = $7
WHERE transaction_id = $1
RETURNING *`;

/** Queues the advice of the moved row unless there is one. */
const QUEUE_ADVICE = `
  INSERT INTO advices (transaction_id, destination, stan, transmission, reason, next_at_ms)
  SELECT transaction_id, destination, $3, $4, $5, $6 FROM moved WHERE destination IS NOT NULL
  ON CONFLICT (transaction_id) DO NOTHING`;

const ABANDON = `
WITH moved AS (
  UPDATE transactions SET state = 'unknown', reason = $5, updated_at_ms = $2
  WHERE transaction_id = $1 AND state = 'sent'
  RETURNING *
), queued AS (${QUEUE_ADVICE})
SELECT * FROM moved`;

const REVERSE = `
WITH moved AS (
  UPDATE transactions SET
    state = CASE WHEN destination IS NULL THEN 'reversed' ELSE 'reversing' END,
    updated_at_ms = $2
  WHERE transaction_id = $1 AND state IN ('sent', 'answered', 'unknown')
  RETURNING *
), queued AS (${QUEUE_ADVICE})
SELECT * FROM moved`;

function keyValues(key: TransactionKey): readonly string[] {
  return [key.transmission, key.stan, key.acquirerId, key.terminalId, key.memberId];
}

function reversingValues({ transactionId, advice, atMs }: Reversing): readonly unknown[] {
  const { stan, transmission, reason, nextAtMs } = advice;
  return [transactionId, atMs, stan, transmission, reason, nextAtMs];
}

function required(row: TransactionRow | undefined, transactionId: string): Transaction {
  if (row) return transactionOf(row);
  throw new SwitchError('ERR_SWITCH_STORE', 'there is no such transaction', { transactionId });
}
