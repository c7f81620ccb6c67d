/**
 * The decision log in PostgreSQL. Allowed decisions are written in batches behind the payments: a
 * kill loses those of the last moment (`FLUSH_ROWS` or one tick of the back office), never a
 * payment; refused ones are written before anybody is told.
 */
import type { Database } from '../../runtime/index.ts';
import type { RiskDecision, RiskLog } from './engine.ts';
import type { VelocityRule } from './rules.ts';
import type { PartUse } from './windows.ts';

/** Rows of one write. */
const FLUSH_ROWS = 500;
/** Decisions that wait at most; then a payment waits for the log. */
const WAITING_MAX = 20_000;

type DecisionRow = {
  readonly decision_id: string;
  readonly at_ms: bigint;
  readonly order_id: string;
  readonly merchant_id: string;
  readonly mode: RiskDecision['mode'];
  readonly element_id: string;
  readonly card_digest: string;
  readonly pan_masked: string;
  readonly amount_minor: bigint;
  readonly currency: string;
  readonly decision: RiskDecision['decision'];
  readonly rule: string | null;
  readonly facts: RiskDecision['facts'];
};

/** Column of what a velocity rule counts by. */
const COLUMNS: Readonly<Record<VelocityRule['per'], string>> = {
  card: 'card_digest',
  element: 'element_id',
  merchant: 'merchant_id',
};

/** In the gateway's schema. */
export class PostgresRiskLog implements RiskLog {
  readonly #database: Pick<Database, 'pool'>;
  #waiting: RiskDecision[] = [];
  #flushing: Promise<void> = Promise.resolve();

  constructor(database: Pick<Database, 'pool'>) {
    this.#database = database;
  }

  async note(decision: RiskDecision): Promise<void> {
    this.#waiting.push(decision);
    if (this.#waiting.length >= WAITING_MAX) await this.flush();
  }

  async keep(decision: RiskDecision): Promise<void> {
    await this.#write([decision]);
  }

  /** Writes what waits; what could not be written waits on. */
  flush(): Promise<void> {
    const flushed = this.#flushing.then(() => this.#flushAll());
    this.#flushing = flushed.catch(() => undefined);
    return flushed;
  }

  async #flushAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const rows = this.#waiting.slice(0, FLUSH_ROWS);
      await this.#write(rows);
      this.#waiting = this.#waiting.slice(rows.length);
    }
  }

  /** Again and again comes to the same: a lost answer is written anew. */
  async #write(decisions: readonly RiskDecision[]): Promise<void> {
    const given = decisions.map((row) => ({ ...row, amountMinor: String(row.amountMinor) }));
    await this.#database.pool.query(
      `INSERT INTO risk_decisions (decision_id, at_ms, order_id, merchant_id, mode, element_id,
         card_digest, pan_masked, amount_minor, currency, decision, rule, facts)
       SELECT "decisionId", "atMs", "orderId", "merchantId", mode, "elementId", "cardDigest",
         "panMasked", "amountMinor", currency, decision, rule, facts
       FROM jsonb_to_recordset($1::jsonb) AS given("decisionId" text, "atMs" bigint,
         "orderId" text, "merchantId" text, mode text, "elementId" text, "cardDigest" text,
         "panMasked" text, "amountMinor" bigint, currency text, decision text, rule text,
         facts jsonb)
       ON CONFLICT (decision_id) DO NOTHING`,
      [JSON.stringify(given)],
    );
  }

  async uses(rule: VelocityRule, partMs: number, firstPart: number): Promise<readonly PartUse[]> {
    await this.flush();
    const { rows } = await this.#database.pool.query<{
      readonly key: string;
      readonly part: bigint;
      readonly count: bigint;
      readonly sum: string;
    }>(
      `SELECT ${COLUMNS[rule.per]} AS key, at_ms / $1 AS part, count(*) AS count,
         sum(amount_minor)::text AS sum
       FROM risk_decisions
       WHERE at_ms >= $2 AND decision = 'allowed' AND ($3::text IS NULL OR currency = $3)
       GROUP BY 1, 2 ORDER BY 2`,
      [partMs, firstPart * partMs, rule.currency ?? null],
    );
    return rows.map(({ key, part, count, sum }) => {
      return { key, part: Number(part), count: Number(count), sumMinor: BigInt(sum) };
    });
  }

  /** Refusals, newest first. */
  async refusals(limit: number): Promise<readonly RiskDecision[]> {
    await this.flush();
    const { rows } = await this.#database.pool.query<DecisionRow>(
      `SELECT * FROM risk_decisions WHERE decision = 'refused'
       ORDER BY decision_id DESC LIMIT $1`,
      [limit],
    );
    return rows.map(decisionOf);
  }
}

function decisionOf(row: DecisionRow): RiskDecision {
  return {
    decisionId: row.decision_id,
    atMs: Number(row.at_ms),
    orderId: row.order_id,
    merchantId: row.merchant_id,
    mode: row.mode,
    elementId: row.element_id,
    cardDigest: row.card_digest,
    panMasked: row.pan_masked,
    amountMinor: row.amount_minor,
    currency: row.currency,
    decision: row.decision,
    rule: row.rule,
    facts: row.facts,
  };
}
