/** What a comparison reads of the gateway's books, and what it leaves there. */

import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import { type Database, type Transaction, uuidv7 } from '../../runtime/index.ts';
import type { Mode } from '../merchants/model.ts';
import { merchantPayable } from '../model.ts';
import { SETTLED_KINDS, type SettledKind } from '../settlement/batch.ts';
import type { Difference, LocalRecord, LocalTrace, Money } from './model.ts';

/** Kind of the work items that differences are. */
export const RECONCILIATION_ITEM = 'reconciliation';
/** Work items of one day; a day with more is not one for a person to read line by line. */
export const ITEMS_MAX = 10_000;
/** First key of the lock that keeps runs apart ("TnPr"); the second is the schema's hash. */
const ADVISORY_CLASS = 0x546e5072;

/** What a run changed. */
export type ItemChanges = {
  /** Subjects whose item was opened now. */
  readonly opened: readonly string[];
  /** Subjects that are no difference any more. */
  readonly closed: readonly string[];
  /** Differences that a person has closed with a note: they stay so. */
  readonly accepted: readonly string[];
};

/** Subject of a difference's work item: the same in each run. */
export function subjectOf(settlementDate: string, difference: Difference): string {
  const { source, class: of, key } = difference;
  return [settlementDate, source, of, key].join('/');
}

type LocalRow = {
  readonly transaction_id: string;
  readonly payment_id: string;
  readonly kind: SettledKind;
  readonly mode: Mode;
  readonly account: string;
  readonly currency: string;
  readonly amount_minor: bigint;
  readonly transmission: string;
  readonly stan: string;
  readonly retrieval_reference: string;
};

/** In the gateway's schema. */
export class ReconciliationStore {
  readonly #database: Pick<Database, 'pool' | 'transaction'>;

  constructor(database: Pick<Database, 'pool' | 'transaction'>) {
    this.#database = database;
  }

  /** What the ledger has of a day. */
  async localRecords(settlementDate: string): Promise<readonly LocalRecord[]> {
    const { rows } = await this.#database.pool.query<LocalRow>(
      `SELECT e.transaction_id, e.payment_id, e.kind, e.mode, e.account, e.currency,
         -e.amount_minor AS amount_minor,
         coalesce(op.transmission, p.transmission) AS transmission,
         coalesce(op.stan, p.stan) AS stan,
         coalesce(op.retrieval_reference, p.retrieval_reference) AS retrieval_reference
       FROM ledger_entries e JOIN payments p USING (payment_id)
         LEFT JOIN operations op ON e.kind <> 'sale'
           AND op.operation_id = split_part(e.transaction_id, ':', 2)
       WHERE e.settlement_date = $1 AND e.phase = 'posted' AND e.kind = ANY ($2)
         AND e.account LIKE 'merchant-payable:%'
       ORDER BY e.transaction_id`,
      [settlementDate, SETTLED_KINDS],
    );
    return rows.map((row) => ({
      transactionId: row.transaction_id,
      paymentId: row.payment_id,
      kind: row.kind,
      mode: row.mode,
      merchantId: row.account.slice(merchantPayable('').length),
      transmission: row.transmission,
      stan: row.stan,
      retrievalReference: row.retrieval_reference,
      currency: row.currency,
      side: row.amount_minor > 0n ? 'debit' : 'credit',
      amountMinor: row.amount_minor > 0n ? row.amount_minor : -row.amount_minor,
    }));
  }

  /** Payments and operations by fields 7 and 11, whatever became of them. */
  async traces(
    keys: readonly Pick<Money, 'transmission' | 'stan'>[],
  ): Promise<readonly LocalTrace[]> {
    const { rows } = await this.#database.pool.query<{
      readonly transmission: string;
      readonly stan: string;
      readonly payment_id: string;
      readonly state: string;
      readonly booked_on: string | null;
    }>(
      `WITH wanted AS MATERIALIZED (
         SELECT * FROM jsonb_to_recordset($1::jsonb) AS wanted(stan text, transmission text))
       SELECT found.*, (SELECT settlement_date FROM ledger_entries e
           WHERE e.transaction_id = found.entry AND e.leg = 0 AND e.phase = 'posted') AS booked_on
       FROM (
         SELECT p.stan, p.transmission, p.payment_id, p.state, 'sale:' || p.payment_id AS entry
         FROM wanted JOIN payments p USING (stan, transmission)
         UNION ALL
         SELECT o.stan, o.transmission, o.payment_id, o.kind || ' ' || o.state,
           o.kind || ':' || o.operation_id
         FROM wanted JOIN operations o USING (stan, transmission)) AS found`,
      [JSON.stringify(keys.map(({ stan, transmission }) => ({ stan, transmission })))],
    );
    return rows.map((row) => ({
      transmission: row.transmission,
      stan: row.stan,
      paymentId: row.payment_id,
      state: row.state,
      bookedOn: row.booked_on,
    }));
  }

  /**
   * Brings the day's work items to the differences and keeps the run, in one transaction. `told`
   * is called with the changes before they are made; what it refuses is not done.
   */
  apply(
    ids: { readonly clock: Clock; readonly random: RandomSource },
    run: {
      readonly settlementDate: string;
      readonly differences: readonly Difference[];
      readonly counts: Readonly<Record<string, number>>;
      readonly sources: readonly object[];
    },
    told: (changes: ItemChanges) => Promise<void>,
  ): Promise<ItemChanges> {
    const { settlementDate, differences } = run;
    return this.#database.transaction(async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))', [
        ADVISORY_CLASS,
      ]);
      const items = await itemsOf(client, settlementDate);
      const wanted = new Map(
        differences.slice(0, ITEMS_MAX).map((row) => [subjectOf(settlementDate, row), row]),
      );
      const changes = changesOf(items, wanted);
      await told(changes);
      const atMs = ids.clock.nowMs();
      for (const subject of changes.opened) {
        const { facts, ...rest } = wanted.get(subject) as Difference;
        await client.query(
          `INSERT INTO work_items (item_id, kind, subject_id, facts, opened_at_ms)
           VALUES ($1, $2, $3, $4, $5)`,
          [
            ...[uuidv7(ids.clock, ids.random), RECONCILIATION_ITEM, subject],
            ...[JSON.stringify({ settlementDate, ...rest, ...facts }), atMs],
          ],
        );
      }
      await client.query(
        `UPDATE work_items SET closed_at_ms = $3
         WHERE kind = $1 AND subject_id = ANY ($2) AND closed_at_ms IS NULL`,
        [RECONCILIATION_ITEM, changes.closed, atMs],
      );
      await client.query(
        `INSERT INTO reconciliations (run_id, settlement_date, at_ms, counts, sources)
         VALUES ($1, $2, $3, $4, $5)`,
        [
          ...[uuidv7(ids.clock, ids.random), settlementDate, atMs],
          ...[JSON.stringify(run.counts), JSON.stringify(run.sources)],
        ],
      );
      return changes;
    });
  }
}

type ItemRow = { readonly subject_id: string; readonly open: boolean; readonly by_hand: boolean };

async function itemsOf(client: Transaction, settlementDate: string): Promise<readonly ItemRow[]> {
  const { rows } = await client.query<ItemRow>(
    `SELECT subject_id, closed_at_ms IS NULL AS open, closed_by IS NOT NULL AS by_hand
     FROM work_items WHERE kind = $1 AND subject_id LIKE $2`,
    [RECONCILIATION_ITEM, `${settlementDate}/%`],
  );
  return rows;
}

function changesOf(
  items: readonly ItemRow[],
  wanted: ReadonlyMap<string, Difference>,
): ItemChanges {
  const subjects = (rows: readonly ItemRow[]): ReadonlySet<string> =>
    new Set(rows.map(({ subject_id }) => subject_id));
  const open = subjects(items.filter((item) => item.open));
  const byHand = subjects(items.filter((item) => !item.open && item.by_hand));
  const all = [...wanted.keys()];
  return {
    opened: all.filter((subject) => !open.has(subject) && !byHand.has(subject)),
    closed: [...open].filter((subject) => !wanted.has(subject)),
    accepted: all.filter((subject) => !open.has(subject) && byHand.has(subject)),
  };
}
