/** `IssuerStore` in PostgreSQL 15 or later; a request's whole effect is one statement. */
import { join } from 'node:path';
import { type Database, GroupCommit, type Log, openDatabase } from '../runtime/index.ts';
import {
  type Act,
  type AdminChange,
  type AuditLine,
  type CardSummary,
  type HotEntry,
  type IssuerAdmin,
  subjectOf,
  summaryOf,
} from './admin.ts';
import {
  type Books,
  type CardView,
  cardAccountId,
  clearingAccountId,
  differenceAccountId,
  electronicCashAccountId,
  type Hold,
  type NewCard,
  openingAccountId,
  openingTransaction,
  owedAccountId,
  type RequestRecord,
  type WorkItem,
} from './model.ts';
import type { Script } from './scripts/model.ts';
import {
  rowOfScriptChange,
  rowOfSettings,
  type ScriptRow,
  scriptOf,
} from './scripts/store-rows.ts';
import type { SettlementLine } from './settlement.ts';
import type { CardQuery, CommitResult, IssuerChange, IssuerStore } from './store.ts';
import * as rows from './store-rows.ts';

/** SQLSTATEs after which nothing was written and the decision is made anew: ours, and conflicts. */
const SQLSTATES_STALE: ReadonlySet<unknown> = new Set(['TP001', '40001', '40P01']);
/** Constraints that a decision breaks when another one was faster. */
const CONSTRAINTS_STALE: ReadonlySet<unknown> = new Set([
  'accounts_available_not_negative',
  'accounts_owed_not_positive',
  'accounts_held_minor_check',
]);

/** What a decision needs of a card. */
const CARD_COLUMNS = `cards.*, own.balance_minor, own.held_minor, own.credit_line_minor,
    owed.balance_minor AS owed_balance_minor, ecash.balance_minor AS ecash_balance_minor,
    card_atcs.atc_use, hot_list.reason AS hot_reason, used.amount_minor AS used_amount_minor,
    used.count AS used_count, used.no_pin_minor AS used_no_pin_minor,
    EXISTS (SELECT FROM card_scripts AS open WHERE open.card_id = cards.card_id
      AND open.state IN ('queued', 'delivered', 'reversed')) AS has_scripts`;

/** Where it comes from, beside `cards`; counter and day are SQL. */
function cardJoins(atc: string, day: string): string {
  return `JOIN accounts AS own USING (account_id)
    JOIN accounts AS owed ON owed.account_id = 'owed-' || cards.card_id
    JOIN accounts AS ecash ON ecash.account_id = 'ecash-' || cards.card_id
    LEFT JOIN card_atcs ON card_atcs.card_id = cards.card_id AND card_atcs.atc = ${atc}
    LEFT JOIN card_days AS used ON used.card_id = cards.card_id AND used.day = ${day}
    LEFT JOIN hot_list ON hot_list.pan_lookup = cards.pan_lookup`;
}

/** A card; $1 and $2 are a counter and a day. */
const CARD_QUERY = `SELECT ${CARD_COLUMNS} FROM cards ${cardJoins('$1::integer', '$2')}`;

/** Cards of account numbers: place, counter, day, digest and sequence number each. */
const CARDS_QUERY = `
SELECT asked.place, ${CARD_COLUMNS}
FROM (SELECT (key ->> 0)::int AS place, (key ->> 1)::int AS atc, key ->> 2 AS day,
    key ->> 3 AS pan_lookup, key ->> 4 AS pan_sequence_number
  FROM jsonb_array_elements($1::jsonb) AS given(key)) AS asked
JOIN cards USING (pan_lookup, pan_sequence_number) ${cardJoins('asked.atc', 'asked.day')}`;

const REQUESTS_QUERY = 'SELECT * FROM requests WHERE trace_key = ANY ($1)';

const COMMIT_ALL = 'SELECT commit_changes($1, $2, $3, $4, $5, $6) AS places';

type PanQuery = Omit<CardQuery, 'card'> & {
  readonly card: Extract<CardQuery['card'], { readonly panLookup: string }>;
};
type Found<T> = { readonly found: T | null };

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
export class PostgresIssuerStore implements IssuerStore, IssuerAdmin {
  readonly #database: Database;
  readonly #cards: GroupCommit<PanQuery, Found<CardView>>;
  readonly #requests: GroupCommit<string, Found<RequestRecord>>;
  readonly #commits: GroupCommit<IssuerChange, CommitResult>;

  constructor(database: Database) {
    this.#database = database;
    this.#cards = new GroupCommit({ run: (queries) => this.#findCards(queries) });
    this.#requests = new GroupCommit({ run: (traceKeys) => this.#findRequests(traceKeys) });
    this.#commits = new GroupCommit({
      run: (changes) => this.#commitAll(changes),
      // A decision stands on the card as it was: the second of a card would be stale.
      keysOf: ({ record }) => [record.panLookup],
      find: async ({ record }) =>
        isSame(record, await this.#findRequest(record.traceKey)) ? 'committed' : null,
    });
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

  async findCard({ card, atc, day }: CardQuery): Promise<CardView | null> {
    if ('panLookup' in card) return (await this.#cards.submit({ card, atc, day })).found;
    const { rows: cards } = await this.#database.pool.query<rows.CardRow>(
      `${CARD_QUERY} WHERE cards.card_id = $3`,
      [atc, day, card.cardId],
    );
    return cards[0] ? rows.cardOf(cards[0]) : null;
  }

  async #findCards(queries: readonly PanQuery[]): Promise<readonly Found<CardView>[]> {
    const asked = queries.map(({ card, atc, day }, place) => {
      return [place, atc, day, card.panLookup, card.panSequenceNumber];
    });
    const { rows: cards } = await this.#database.steps.query<
      rows.CardRow & { readonly place: number }
    >(CARDS_QUERY, [JSON.stringify(asked)]);
    const found = new Map(cards.map((row) => [row.place, rows.cardOf(row)]));
    return queries.map((_, place) => ({ found: found.get(place) ?? null }));
  }

  async findRequest(traceKey: string): Promise<RequestRecord | null> {
    return (await this.#requests.submit(traceKey)).found;
  }

  async #findRequests(traceKeys: readonly string[]): Promise<readonly Found<RequestRecord>[]> {
    const { rows: requests } = await this.#database.steps.query<rows.RequestRow>(REQUESTS_QUERY, [
      traceKeys,
    ]);
    const found = new Map(requests.map((row) => [row.trace_key, rows.requestOf(row)]));
    return traceKeys.map((traceKey) => ({ found: found.get(traceKey) ?? null }));
  }

  async #findRequest(traceKey: string): Promise<RequestRecord | null> {
    return (await this.#findRequests([traceKey]))[0]?.found ?? null;
  }

  async findHold(holdId: string): Promise<Hold | null> {
    const { rows: found } = await this.#database.pool.query<rows.HoldRow>(
      'SELECT * FROM holds WHERE hold_id = $1',
      [holdId],
    );
    return found[0] ? rows.holdOf(found[0]) : null;
  }

  findOpenScripts(cardId: string): Promise<readonly Script[]> {
    return this.#scripts(
      `card_id = $1 AND state IN ('queued', 'delivered', 'reversed')
       ORDER BY created_at_ms, script_id`,
      [cardId],
    );
  }

  findDelivered(traceKey: string): Promise<readonly Script[]> {
    return this.#scripts('delivered_trace_key = $1', [traceKey]);
  }

  async findLoad(loadTraceKey: string): Promise<Script | null> {
    return (await this.#scripts('load_trace_key = $1', [loadTraceKey]))[0] ?? null;
  }

  scripts(cardId: string | null, limit: number): Promise<readonly Script[]> {
    return this.#scripts(
      '($1::text IS NULL OR card_id = $1) ORDER BY created_at_ms DESC, script_id DESC LIMIT $2',
      [cardId, limit],
    );
  }

  async #scripts(where: string, values: readonly unknown[]): Promise<readonly Script[]> {
    const { rows: found } = await this.#database.pool.query<ScriptRow>(
      `SELECT * FROM card_scripts WHERE ${where}`,
      [...values],
    );
    return found.map(scriptOf);
  }

  async findLoadPayer(cardId: string, panLookup: string): Promise<string | null> {
    const { rows: found } = await this.#database.pool.query<{ readonly card_id: string }>(
      `SELECT payer.card_id FROM card_load_payers AS bound
         JOIN cards AS payer ON payer.card_id = bound.payer_card_id
       WHERE bound.card_id = $1 AND payer.pan_lookup = $2`,
      [cardId, panLookup],
    );
    return found[0]?.card_id ?? null;
  }

  async commit(change: IssuerChange): Promise<CommitResult> {
    try {
      return await this.#commits.submit(change);
    } catch (thrown) {
      if (isStale(thrown)) return 'stale';
      throw thrown;
    }
  }

  async burnAtc(cardId: string, atc: number): Promise<boolean> {
    const { rowCount } = await this.#database.pool.query(
      `WITH raised AS (
         UPDATE cards SET atc_highest = $2, version = version + 1
         WHERE card_id = $1 AND atc_highest < $2 RETURNING card_id
       )
       INSERT INTO card_atcs (card_id, atc, atc_use) SELECT card_id, $2, 'token' FROM raised`,
      [cardId, atc],
    );
    return rowCount === 1;
  }

  async #commitAll(changes: readonly IssuerChange[]): Promise<readonly CommitResult[]> {
    const { rows: answers } = await this.#database.steps.query<{
      readonly places: readonly number[] | null;
    }>(COMMIT_ALL, commitValues(changes));
    const places = answers[0]?.places ?? null;
    const isMade = (place: number): boolean => places === null || places.includes(place);
    return changes.map((_, place) => (isMade(place) ? 'committed' : 'duplicate'));
  }

  async expireHolds(nowMs: number, limit: number): Promise<number> {
    const { rowCount } = await this.#database.pool.query(
      `UPDATE holds SET state = 'expired', held_minor = 0 WHERE hold_id IN (
         SELECT hold_id FROM holds WHERE state = 'held' AND expires_at_ms <= $1
         ORDER BY expires_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED)`,
      [nowMs, limit],
    );
    return rowCount ?? 0;
  }

  async settlementLines(settlementDate: string): Promise<readonly SettlementLine[]> {
    const { rows: lines } = await this.#database.pool.query<rows.SettlementRow>(
      `SELECT trace_key, requests.kind, retrieval_reference, requests.currency,
         ledger_entries.amount_minor
       FROM requests JOIN ledger_transactions USING (trace_key) JOIN ledger_entries USING
         (transaction_id)
       WHERE settlement_date = $1 AND ledger_entry_id IS NOT NULL
         AND account_id = 'clearing-' || requests.currency
       ORDER BY answered_at_ms, trace_key`,
      [settlementDate],
    );
    return lines.map(rows.settlementLineOf);
  }

  async readBooks(): Promise<Books> {
    return this.#database.transaction(async (client) => {
      await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const accounts = await client.query<rows.AccountRow>('SELECT * FROM accounts');
      const requests = await client.query<rows.RequestRow>('SELECT * FROM requests');
      const holds = await client.query<rows.HoldRow>('SELECT * FROM holds');
      const items = await client.query<rows.WorkItemRow>('SELECT * FROM work_items');
      const scripts = await client.query<ScriptRow>('SELECT * FROM card_scripts');
      const entries = await client.query<rows.EntryRow>(
        `SELECT * FROM ledger_entries JOIN ledger_transactions USING (transaction_id)
         ORDER BY at_ms, transaction_id, entry_id`,
      );
      return {
        accounts: accounts.rows.map(rows.accountOf),
        requests: requests.rows.map(rows.requestOf),
        transactions: rows.transactionsOf(entries.rows),
        holds: holds.rows.map(rows.holdOf),
        workItems: items.rows.map(rows.workItemOf),
        scripts: scripts.rows.map(scriptOf),
      };
    });
  }

  async cards(): Promise<readonly CardSummary[]> {
    const { rows: cards } = await this.#database.pool.query<rows.CardRow>(
      `${CARD_QUERY} ORDER BY cards.name, cards.card_id`,
      [null, ''],
    );
    return cards.map((row) => summaryOf(rows.cardOf(row)));
  }

  async hotList(): Promise<readonly HotEntry[]> {
    const { rows: entries } = await this.#database.pool.query<rows.HotRow>(
      'SELECT * FROM hot_list ORDER BY listed_at_ms, pan_lookup',
    );
    return entries.map(rows.hotEntryOf);
  }

  async workItems(): Promise<readonly WorkItem[]> {
    const { rows: items } = await this.#database.pool.query<rows.WorkItemRow>(
      'SELECT * FROM work_items WHERE closed_at_ms IS NULL ORDER BY opened_at_ms, item_id',
    );
    return items.map(rows.workItemOf);
  }

  async audit(limit: number): Promise<readonly AuditLine[]> {
    const { rows: lines } = await this.#database.pool.query<rows.AuditRow>(
      'SELECT * FROM admin_audit ORDER BY at_ms DESC, audit_id DESC LIMIT $1',
      [limit],
    );
    return lines.map(rows.auditLineOf);
  }

  async change(change: AdminChange, act: Act): Promise<boolean> {
    const { rows: results } = await this.#database.pool.query<{ isDone: boolean }>(
      'SELECT admin_change($1, $2) AS "isDone"',
      [
        JSON.stringify(rows.rowOfAdminChange(change)),
        JSON.stringify({
          audit_id: act.auditId,
          actor: act.actor,
          note: act.note,
          at_ms: act.atMs,
          subject: subjectOf(change),
        }),
      ],
    );
    return results[0]?.isDone ?? false;
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

/** Changes as `commit_changes` takes them: a list for each table, of rows behind their places. */
function commitValues(changes: readonly IssuerChange[]): string[] {
  const records: unknown[] = [];
  const cards: unknown[] = [];
  const usages: unknown[] = [];
  const transactions: unknown[] = [];
  const entries: unknown[] = [];
  const rares: unknown[] = [];
  for (const [place, change] of changes.entries()) {
    const { record, card, usage, transaction } = change;
    records.push([place, ...rows.valuesOfRequest(record)]);
    if (card) cards.push([place, ...rows.valuesOfCardChange(card)]);
    if (usage) usages.push([place, ...rows.valuesOfUsage(usage)]);
    if (transaction) {
      transactions.push([place, ...rows.valuesOfTransaction(transaction)]);
      for (const entry of rows.valuesOfEntries(transaction)) entries.push([place, ...entry]);
    }
    const rare = rareOf(change);
    if (Object.keys(rare).length > 0) rares.push([place, rare]);
  }
  const lists = [records, cards, usages, transactions, entries, rares];
  return lists.map((list) => JSON.stringify(list));
}

/** What payments do not have, as far as it is there. */
function rareOf(change: IssuerChange): object {
  const { refusedAhead, marks, hold, workItems, scripts, settings } = change;
  return {
    ...(refusedAhead && { refused_ahead: [[0, ...rows.valuesOfRequest(refusedAhead)]] }),
    ...(marks?.length && { marks: marks.map(rows.rowOfMark) }),
    ...(hold && { hold: rows.rowOfHoldChange(hold) }),
    ...(workItems?.length && { work_items: workItems.map(rows.rowOfWorkItem) }),
    ...(scripts?.length && { scripts: scripts.map(rowOfScriptChange) }),
    ...(settings && { settings: rowOfSettings(settings) }),
  };
}

/** Whether a record that was found is the one that was to be written. */
function isSame(written: RequestRecord, found: RequestRecord | null): boolean {
  return (
    found !== null &&
    found.fingerprint === written.fingerprint &&
    found.responseCode === written.responseCode &&
    found.ledgerEntryId === written.ledgerEntryId &&
    found.answeredAtMs === written.answeredAtMs
  );
}

function isStale(thrown: unknown): boolean {
  if (!(thrown instanceof Error) || !('code' in thrown)) return false;
  if (SQLSTATES_STALE.has(thrown.code)) return true;
  return 'constraint' in thrown && CONSTRAINTS_STALE.has(thrown.constraint);
}

function importOf(card: NewCard, atMs: number): unknown {
  const { cardId, currency } = card;
  const opening = openingTransaction(card, atMs);
  const customer = (accountId: string, kind: string, creditLineMinor = 0n): unknown => ({
    account_id: accountId,
    kind,
    balance_minor: 0,
    credit_line_minor: String(creditLineMinor),
  });
  const bank = [clearingAccountId, openingAccountId, differenceAccountId].map((name) => ({
    account_id: name(currency),
    kind: 'bank',
    balance_minor: null,
    credit_line_minor: 0,
  }));
  return {
    ...rows.rowOfCard(card),
    account_id: cardAccountId(cardId),
    accounts: [
      customer(cardAccountId(cardId), 'customer', card.creditLineMinor),
      customer(electronicCashAccountId(cardId), 'electronicCash'),
      customer(owedAccountId(cardId), 'owed'),
      ...bank,
    ],
    ...(opening && {
      opening: {
        transactions: [[0, ...rows.valuesOfTransaction(opening)]],
        entries: rows.valuesOfEntries(opening).map((entry) => [0, ...entry]),
      },
    }),
  };
}
