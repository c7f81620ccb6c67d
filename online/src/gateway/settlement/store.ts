/** Settlement in the gateway's schema: days, batches, items, statements, fee plans. */
import type { Database, Transaction } from '../../runtime/index.ts';
import { insertEntries } from '../ledger/entries.ts';
import type { Mode } from '../merchants/model.ts';
import { merchantPayable } from '../model.ts';
import { daysAfter } from '../settlement-date.ts';
import {
  type BatchOwner,
  batchesOf,
  batchPostings,
  SETTLED_KINDS,
  type SettlementBatch,
  type SettlementItem,
  type TakenTransaction,
  withFees,
} from './batch.ts';
import { DEFAULT_FEE_PLAN, type FeePlan } from './fees.ts';
import { type BatchRow, batchOf, type ItemRow, itemOf, type LineRow, lineOf } from './rows.ts';
import { readStatement, type StatementLine, statementText } from './statement.ts';

/** A booking's day is at most so far from the moment of its booking; see settlementDayOf. */
const DAYS_OFF_MAX = 4;
/** Items written by one statement. */
const INSERT_ROWS = 5_000;

/** A day of settlement. */
export type SettlementDay = {
  readonly settlementDate: string;
  /** It takes what database transactions before this one have booked. */
  readonly bookedBefore: bigint;
  readonly closedAtMs: number | null;
};

/** A statement that was made, and its proof. */
export type StatementFact = BatchOwner & { readonly records: number; readonly sha256: string };

/** What merchants read. */
export interface SettlementBooks {
  /** Newest day first; `before` is the last day of the page before. */
  listBatches(query: {
    readonly merchantId: string;
    readonly mode: Mode;
    readonly before: string | null;
    readonly limit: number;
  }): Promise<readonly SettlementBatch[]>;
  /** Null when nothing was settled for the owner. */
  findStatement(owner: BatchOwner): Promise<StatementFact | null>;
  batchesOf(owner: BatchOwner): Promise<readonly SettlementBatch[]>;
}

/** What the close of a day needs beside; each method is one durable step. */
export class SettlementStore implements SettlementBooks {
  readonly #database: Pick<Database, 'pool' | 'transaction'>;

  constructor(database: Pick<Database, 'pool' | 'transaction'>) {
    this.#database = database;
  }

  async lastDay(): Promise<SettlementDay | null> {
    const [row] = await this.#rows<DayRow>(
      'SELECT * FROM settlement_days ORDER BY settlement_date DESC LIMIT 1',
    );
    return row ? dayOf(row) : null;
  }

  async findDay(settlementDate: string): Promise<SettlementDay | null> {
    const [row] = await this.#rows<DayRow>(
      'SELECT * FROM settlement_days WHERE settlement_date = $1',
      [settlementDate],
    );
    return row ? dayOf(row) : null;
  }

  /** The first day in the book; null for an empty one. */
  async firstBookedDay(): Promise<string | null> {
    const [row] = await this.#rows<{ readonly first: string | null }>(
      'SELECT min(settlement_date) AS first FROM ledger_entries',
    );
    return row?.first ?? null;
  }

  /** Begins the close, once: from here on it is certain what the day takes. */
  async beginDay(settlementDate: string, nowMs: number): Promise<SettlementDay | null> {
    await this.#rows(
      `INSERT INTO settlement_days (settlement_date, booked_before, begun_at_ms)
       SELECT $1, pg_current_xact_id()::text::bigint, $2
       WHERE NOT EXISTS (SELECT FROM settlement_days WHERE settlement_date >= $1)
       ON CONFLICT DO NOTHING`,
      [settlementDate, nowMs],
    );
    return this.findDay(settlementDate);
  }

  /** Whether every database transaction before `bookedBefore` has ended. */
  async isCertain(bookedBefore: bigint): Promise<boolean> {
    const [row] = await this.#rows<{ readonly certain: boolean }>(
      'SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= $1 AS certain',
      [bookedBefore],
    );
    return row?.certain ?? false;
  }

  /** Whose transactions the day takes that no batch has yet. */
  async openOwners(day: SettlementDay): Promise<readonly BatchOwner[]> {
    const rows = await this.#rows<{ readonly mode: Mode; readonly account: string }>(
      `SELECT DISTINCT mode, account FROM (${TAKEN}) AS taken ORDER BY mode, account`,
      [...takenValues(day, await this.#firstTaken(day.settlementDate)), null, null],
    );
    const { settlementDate } = day;
    return rows.map(({ mode, account }) => {
      return { settlementDate, mode, merchantId: account.slice(merchantPayable('').length) };
    });
  }

  /**
   * Settles one owner: items, batches, fee, payout and the statement's proof in one transaction; a
   * second caller finds nothing left and does nothing.
   */
  async settle(day: SettlementDay, owner: BatchOwner): Promise<void> {
    const first = await this.#firstTaken(day.settlementDate);
    await this.#database.transaction(async (client) => {
      await client.query('SELECT FROM settlement_days WHERE settlement_date = $1 FOR UPDATE', [
        day.settlementDate,
      ]);
      const taken = await takenBy(client, [...takenValues(day, first), owner]);
      if (taken.length === 0) return;
      const plan = await planOf(client, owner.merchantId);
      const items = withFees(taken, await settledOf(client, taken), plan);
      const brought = await broughtOf(client, owner);
      const batches = batchesOf(owner, items, (currency) => brought.get(currency) ?? 0n);
      await writeItems(client, owner, items);
      for (const batch of batches) await writeBatch(client, batch, plan);
      const text = statementText(owner, await linesOf(client, owner), batches);
      const { sha256, lines } = readStatement(text);
      await client.query(
        `INSERT INTO settlement_statements (settlement_date, merchant_id, mode, records, sha256)
         VALUES ($1, $2, $3, $4, $5)`,
        [owner.settlementDate, owner.merchantId, owner.mode, lines.length, sha256],
      );
    });
  }

  /** The text of a statement, made anew from the books. */
  statement(owner: BatchOwner): Promise<string> {
    return this.#database.transaction(async (client) => {
      const batches = await batchesOfOwner(client, owner);
      return statementText(owner, await linesOf(client, owner), batches);
    });
  }

  async statements(settlementDate: string): Promise<readonly StatementFact[]> {
    const rows = await this.#rows<StatementRow>(
      `SELECT * FROM settlement_statements WHERE settlement_date = $1
       ORDER BY merchant_id, mode`,
      [settlementDate],
    );
    return rows.map(statementFactOf);
  }

  /** After its statements are on the disk. */
  async endDay(settlementDate: string, nowMs: number): Promise<void> {
    await this.#rows(
      `UPDATE settlement_days SET closed_at_ms = $2
       WHERE settlement_date = $1 AND closed_at_ms IS NULL`,
      [settlementDate, nowMs],
    );
  }

  async listBatches(
    query: Parameters<SettlementBooks['listBatches']>[0],
  ): Promise<readonly SettlementBatch[]> {
    const rows = await this.#rows<BatchRow>(
      `SELECT * FROM settlement_batches WHERE merchant_id = $1 AND mode = $2
         AND settlement_date IN (SELECT DISTINCT settlement_date FROM settlement_batches
           WHERE merchant_id = $1 AND mode = $2 AND ($3::text IS NULL OR settlement_date < $3)
           ORDER BY settlement_date DESC LIMIT $4)
       ORDER BY settlement_date DESC, currency`,
      [query.merchantId, query.mode, query.before, query.limit],
    );
    return rows.map(batchOf);
  }

  async findStatement(owner: BatchOwner): Promise<StatementFact | null> {
    const [row] = await this.#rows<StatementRow>(
      `SELECT * FROM settlement_statements
       WHERE settlement_date = $1 AND merchant_id = $2 AND mode = $3`,
      [owner.settlementDate, owner.merchantId, owner.mode],
    );
    return row ? statementFactOf(row) : null;
  }

  batchesOf(owner: BatchOwner): Promise<readonly SettlementBatch[]> {
    return batchesOfOwner(this.#database.pool, owner);
  }

  async batchesOfDay(settlementDate: string): Promise<readonly SettlementBatch[]> {
    const rows = await this.#rows<BatchRow>(
      'SELECT * FROM settlement_batches WHERE settlement_date = $1 ORDER BY batch_id',
      [settlementDate],
    );
    return rows.map(batchOf);
  }

  feePlan(merchantId: string): Promise<FeePlan> {
    return planOf(this.#database.pool, merchantId);
  }

  /** For days that are closed from now on. */
  async setFeePlan(merchantId: string, plan: FeePlan): Promise<void> {
    await this.#rows(
      `INSERT INTO fee_plans (merchant_id, basis_points, fixed_minor, refund_returns_fee, shares)
       VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (merchant_id) DO UPDATE SET basis_points = EXCLUDED.basis_points,
         fixed_minor = EXCLUDED.fixed_minor, shares = EXCLUDED.shares,
         refund_returns_fee = EXCLUDED.refund_returns_fee`,
      [
        merchantId,
        plan.basisPoints,
        plan.fixedMinor,
        plan.refundReturnsFee,
        JSON.stringify(plan.shares),
      ],
    );
  }

  /** The earliest day of which something may be left: what was booked since the last close. */
  async #firstTaken(settlementDate: string): Promise<string> {
    const [row] = await this.#rows<{ readonly last: string | null }>(
      'SELECT max(settlement_date) AS last FROM settlement_days WHERE settlement_date < $1',
      [settlementDate],
    );
    return row?.last ? daysAfter(row.last, -DAYS_OFF_MAX) : '00000000';
  }

  async #rows<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    const { rows } = await this.#database.pool.query<Row>(text, [...values]);
    return rows;
  }
}

type DayRow = {
  readonly settlement_date: string;
  readonly booked_before: bigint;
  readonly closed_at_ms: bigint | null;
};

function dayOf(row: DayRow): SettlementDay {
  return {
    settlementDate: row.settlement_date,
    bookedBefore: row.booked_before,
    closedAtMs: row.closed_at_ms === null ? null : Number(row.closed_at_ms),
  };
}

type StatementRow = {
  readonly settlement_date: string;
  readonly merchant_id: string;
  readonly mode: Mode;
  readonly records: number;
  readonly sha256: string;
};

function statementFactOf(row: StatementRow): StatementFact {
  const { settlement_date: settlementDate, merchant_id: merchantId, ...rest } = row;
  return { settlementDate, merchantId, ...rest };
}

/** Legs of what a day takes: $1 its date, $2 first date, $3 boundary, $4 account, $5 mode. */
const TAKEN = `
SELECT e.transaction_id, e.payment_id, e.kind, e.mode, e.account, e.currency,
  -e.amount_minor AS amount_minor
FROM ledger_entries e
WHERE e.settlement_date >= $2 AND e.settlement_date <= $1 AND e.booked_in < $3
  AND e.phase = 'posted' AND e.kind IN (${SETTLED_KINDS.map((kind) => `'${kind}'`).join(', ')})
  AND e.account LIKE 'merchant-payable:%'
  AND ($4::text IS NULL OR e.account = $4) AND ($5::text IS NULL OR e.mode = $5)
  AND NOT EXISTS (SELECT FROM settlement_items i WHERE i.transaction_id = e.transaction_id)`;

function takenValues(day: SettlementDay, first: string): readonly [string, string, bigint] {
  return [day.settlementDate, first, day.bookedBefore];
}

type TakenRow = Pick<ItemRow, 'transaction_id' | 'payment_id' | 'kind' | 'amount_minor'> & {
  readonly currency: string;
};

async function takenBy(
  client: Transaction,
  [date, first, bookedBefore, owner]: readonly [string, string, bigint, BatchOwner],
): Promise<readonly TakenTransaction[]> {
  const account = merchantPayable(owner.merchantId);
  const values = [date, first, bookedBefore, account, owner.mode];
  const { rows } = await client.query<TakenRow>(TAKEN, values);
  return rows.map((row) => ({
    transactionId: row.transaction_id,
    paymentId: row.payment_id,
    kind: row.kind,
    currency: row.currency,
    amountMinor: row.amount_minor,
  }));
}

/** Earlier items of the payments of which something is given back. */
async function settledOf(
  client: Transaction,
  taken: readonly TakenTransaction[],
): Promise<readonly SettlementItem[]> {
  const returned = taken.filter(({ amountMinor }) => amountMinor < 0n);
  const { rows } = await client.query<ItemRow>(
    `SELECT i.*, b.currency FROM settlement_items i JOIN settlement_batches b USING (batch_id)
     WHERE i.payment_id = ANY ($1)`,
    [returned.map(({ paymentId }) => paymentId)],
  );
  return rows.map(itemOf);
}

async function broughtOf(
  client: Transaction,
  owner: BatchOwner,
): Promise<ReadonlyMap<string, bigint>> {
  const { rows } = await client.query<Pick<BatchRow, 'currency' | 'carried_minor'>>(
    `SELECT DISTINCT ON (currency) currency, carried_minor FROM settlement_batches
     WHERE merchant_id = $1 AND mode = $2 ORDER BY currency, settlement_date DESC`,
    [owner.merchantId, owner.mode],
  );
  return new Map(rows.map(({ currency, carried_minor }) => [currency, carried_minor]));
}

async function writeItems(
  client: Transaction,
  owner: BatchOwner,
  items: readonly SettlementItem[],
): Promise<void> {
  const prefix = [owner.settlementDate, owner.merchantId, owner.mode].join('/');
  for (let from = 0; from < items.length; from += INSERT_ROWS) {
    const rows = items.slice(from, from + INSERT_ROWS).map((item) => ({
      ...{ transactionId: item.transactionId, paymentId: item.paymentId, kind: item.kind },
      ...{ amountMinor: String(item.amountMinor), feeMinor: String(item.feeMinor) },
      batchId: `${prefix}/${item.currency}`,
    }));
    await client.query(
      `INSERT INTO settlement_items (transaction_id, batch_id, payment_id, kind, amount_minor,
         fee_minor)
       SELECT "transactionId", "batchId", "paymentId", kind, "amountMinor", "feeMinor"
       FROM jsonb_to_recordset($1::jsonb) AS given("transactionId" text, "batchId" text,
         "paymentId" text, kind text, "amountMinor" bigint, "feeMinor" bigint)`,
      [JSON.stringify(rows)],
    );
  }
}

async function writeBatch(
  client: Transaction,
  batch: SettlementBatch,
  plan: FeePlan,
): Promise<void> {
  await client.query(
    `INSERT INTO settlement_batches (batch_id, settlement_date, merchant_id, mode, currency,
       sale_count, sale_minor, return_count, return_minor, fee_minor, brought_minor,
       paid_out_minor, carried_minor)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [
      ...[batch.batchId, batch.settlementDate, batch.merchantId, batch.mode, batch.currency],
      ...[batch.saleCount, batch.saleMinor, batch.returnCount, batch.returnMinor],
      ...[batch.feeMinor, batch.broughtMinor, batch.paidOutMinor, batch.carriedMinor],
    ],
  );
  const postings = batchPostings(batch, plan);
  if (postings.length > 0) await insertEntries(client, { paymentId: null, postings });
}

async function batchesOfOwner(
  client: Pick<Transaction, 'query'>,
  owner: BatchOwner,
): Promise<readonly SettlementBatch[]> {
  const { rows } = await client.query<BatchRow>(
    `SELECT * FROM settlement_batches
     WHERE merchant_id = $1 AND mode = $2 AND settlement_date = $3 ORDER BY currency`,
    [owner.merchantId, owner.mode, owner.settlementDate],
  );
  return rows.map(batchOf);
}

async function linesOf(client: Transaction, owner: BatchOwner): Promise<readonly StatementLine[]> {
  const { rows } = await client.query<LineRow>(
    `SELECT i.*, b.currency, o.merchant_order_number, e.settlement_date AS told,
       coalesce(op.operation_id, '') AS operation_id,
       coalesce(op.transmission, p.transmission) AS transmission, coalesce(op.stan, p.stan) AS stan,
       coalesce(op.retrieval_reference, p.retrieval_reference) AS retrieval_reference
     FROM settlement_batches b JOIN settlement_items i ON i.batch_id = b.batch_id
       JOIN ledger_entries e ON e.transaction_id = i.transaction_id AND e.leg = i.leg
       JOIN payments p ON p.payment_id = i.payment_id JOIN orders o ON o.order_id = p.order_id
       LEFT JOIN operations op ON i.kind <> 'sale'
         AND op.operation_id = split_part(i.transaction_id, ':', 2)
     WHERE b.merchant_id = $1 AND b.mode = $2 AND b.settlement_date = $3
     ORDER BY i.transaction_id COLLATE "C"`,
    [owner.merchantId, owner.mode, owner.settlementDate],
  );
  return rows.map(lineOf);
}

type PlanRow = {
  readonly basis_points: number;
  readonly fixed_minor: bigint;
  readonly refund_returns_fee: boolean;
  readonly shares: FeePlan['shares'];
};

async function planOf(client: Pick<Transaction, 'query'>, merchantId: string): Promise<FeePlan> {
  const { rows } = await client.query<PlanRow>('SELECT * FROM fee_plans WHERE merchant_id = $1', [
    merchantId,
  ]);
  const [row] = rows;
  if (!row) return DEFAULT_FEE_PLAN;
  return {
    basisPoints: row.basis_points,
    fixedMinor: row.fixed_minor,
    refundReturnsFee: row.refund_returns_fee,
    shares: row.shares,
  };
}
