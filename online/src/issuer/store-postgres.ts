/** `IssuerStore` in PostgreSQL 15 or later; a request's whole effect is one statement. */
import { join } from 'node:path';
import { type Database, type Log, openDatabase } from '../runtime/index.ts';
import {
  type Books,
  type CardView,
  cardAccountId,
  clearingAccountId,
  type NewCard,
  openingAccountId,
  openingTransaction,
  type RequestRecord,
} from './model.ts';
import type { CommitResult, IssuerChange, IssuerStore } from './store.ts';
import * as rows from './store-rows.ts';

/** SQLSTATE of `raise_stale`. */
const SQLSTATE_STALE = 'TP001';
/** The constraint that refuses an overdraft. */
const NOT_NEGATIVE = 'accounts_balance_not_negative';

/** Opens the issuer's schema and brings it up to date. */
export async function openIssuerStore(options: {
  readonly databaseUrl: string;
  readonly schema: string;
  readonly log?: Log;
}): Promise<PostgresIssuerStore> {
  const migrationsDir = join(import.meta.dirname, 'migrations');
  return new PostgresIssuerStore(await openDatabase({ ...options, migrationsDir }));
}

/** The issuer's books in its own schema. */
export class PostgresIssuerStore implements IssuerStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async importCards(cards: readonly NewCard[], atMs: number): Promise<number> {
    let imported = 0;
    for (const card of cards) {
      const { rows: results } = await this.#database.pool.query<{ isNew: boolean }>(
        'SELECT import_card($1) AS "isNew"',
        [JSON.stringify(importOf(card, atMs))],
      );
      if (results[0]?.isNew) imported += 1;
    }
    return imported;
  }

  async findCard(query: {
    readonly panLookup: string;
    readonly panSequenceNumber: string;
    readonly atc: number | null;
  }): Promise<CardView | null> {
    const { rows: cards } = await this.#database.pool.query<rows.CardRow>(
      `SELECT cards.*, accounts.balance_minor, EXISTS (
         SELECT 1 FROM card_atcs WHERE card_atcs.card_id = cards.card_id AND atc = $3::integer
       ) AS is_atc_used
       FROM cards JOIN accounts USING (account_id)
       WHERE pan_lookup = $1 AND pan_sequence_number = $2`,
      [query.panLookup, query.panSequenceNumber, query.atc],
    );
    return cards[0] ? rows.cardOf(cards[0]) : null;
  }

  async findRequest(traceKey: string): Promise<RequestRecord | null> {
    const { rows: found } = await this.#database.pool.query<rows.RequestRow>(
      'SELECT * FROM requests WHERE trace_key = $1',
      [traceKey],
    );
    return found[0] ? rows.requestOf(found[0]) : null;
  }

  async commit(change: IssuerChange): Promise<CommitResult> {
    const { record, refusedAhead, card, reverses, transaction } = change;
    const body = {
      record: rows.rowOfRequest(record),
      refused_ahead: refusedAhead ? rows.rowOfRequest(refusedAhead) : null,
      card: card ? rows.rowOfCardChange(card) : null,
      reverses: reverses ?? null,
      transaction: transaction ? rows.rowOfTransaction(transaction) : null,
    };
    try {
      const { rows: results } = await this.#database.pool.query<{ result: CommitResult }>(
        'SELECT commit_change($1) AS result',
        [JSON.stringify(body)],
      );
      return results[0]?.result ?? 'stale';
    } catch (thrown) {
      if (isStale(thrown)) return 'stale';
      throw thrown;
    }
  }

  async readBooks(): Promise<Books> {
    return this.#database.transaction(async (client) => {
      await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const accounts = await client.query<rows.AccountRow>('SELECT * FROM accounts');
      const requests = await client.query<rows.RequestRow>('SELECT * FROM requests');
      const entries = await client.query<rows.EntryRow>(
        `SELECT * FROM ledger_entries JOIN ledger_transactions USING (transaction_id)
         ORDER BY at_ms, transaction_id, entry_id`,
      );
      return {
        accounts: accounts.rows.map(rows.accountOf),
        requests: requests.rows.map(rows.requestOf),
        transactions: rows.transactionsOf(entries.rows),
      };
    });
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

function isStale(thrown: unknown): boolean {
  if (!(thrown instanceof Error) || !('code' in thrown)) return false;
  if (thrown.code === SQLSTATE_STALE) return true;
  return 'constraint' in thrown && thrown.constraint === NOT_NEGATIVE;
}

function importOf(card: NewCard, atMs: number): unknown {
  const accountId = cardAccountId(card.cardId);
  const { currency, balanceMinor } = card;
  return {
    ...rows.rowOfCard(card),
    account_id: accountId,
    accounts: [
      { account_id: accountId, balance_minor: 0 },
      { account_id: clearingAccountId(currency), balance_minor: null },
      { account_id: openingAccountId(currency), balance_minor: null },
    ],
    opening: balanceMinor === 0n ? null : rows.rowOfTransaction(openingTransaction(card, atMs)),
  };
}
