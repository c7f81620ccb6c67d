/**
 * Answers kept by Idempotency-Key: the row is there before the work begins, so that of many equal
 * requests one works. A row whose process died is taken over after its lease.
 */
import type { Database } from '../../runtime/index.ts';
import type { Mode } from './model.ts';

/** Whose key it is. */
export type IdempotencyScope = {
  readonly merchantId: string;
  readonly mode: Mode;
  readonly key: string;
};
/** An answer as it left: status and the exact body. */
export type StoredAnswer = { readonly status: number; readonly body: string };

/** The right to work and to store; `run` counts how often it was given. */
export type IdempotencyRun = {
  readonly kind: 'run';
  readonly run: number;
  /** When the key was first used: the same in each run. */
  readonly createdAtMs: number;
};
/** What a request with a key is to do. */
export type IdempotencyTurn =
  | IdempotencyRun
  | { readonly kind: 'running' }
  | { readonly kind: 'mismatch' }
  | ({ readonly kind: 'replay' } & StoredAnswer);

/** What a request says of itself. */
export type IdempotencyClaim = {
  readonly fingerprint: string;
  readonly nowMs: number;
  /** Longer than any handler runs. */
  readonly leaseMs: number;
  readonly lifetimeMs: number;
};

/** Durable memory of keys. */
export interface IdempotencyStore {
  begin(scope: IdempotencyScope, claim: IdempotencyClaim): Promise<IdempotencyTurn>;
  /** Stores the answer; one whose lease was taken over stores nothing. */
  finish(scope: IdempotencyScope, run: number, answer: StoredAnswer): Promise<void>;
  /** The run came to nothing final: the next repeat may run at once. */
  release(scope: IdempotencyScope, run: number): Promise<void>;
  /** Forgets expired keys, at most so many; how many. */
  sweep(nowMs: number, limit: number): Promise<number>;
}

type Entry = IdempotencyRun & {
  readonly fingerprint: string;
  readonly leaseUntilMs: number;
  readonly expiresAtMs: number;
  readonly answer: StoredAnswer | null;
};

/** For unit tests: each method is one synchronous step. */
export class MemoryIdempotencyStore implements IdempotencyStore {
  readonly #entries = new Map<string, Entry>();

  async begin(scope: IdempotencyScope, claim: IdempotencyClaim): Promise<IdempotencyTurn> {
    const id = idOf(scope);
    const earlier = this.#entries.get(id);
    const turn = earlier && turnOf(earlier, claim);
    if (turn) return turn;
    const isNew = !earlier || earlier.expiresAtMs <= claim.nowMs;
    const entry: Entry = {
      kind: 'run',
      run: (earlier?.run ?? 0) + 1,
      fingerprint: claim.fingerprint,
      leaseUntilMs: claim.nowMs + claim.leaseMs,
      createdAtMs: isNew ? claim.nowMs : earlier.createdAtMs,
      expiresAtMs: isNew ? claim.nowMs + claim.lifetimeMs : earlier.expiresAtMs,
      answer: null,
    };
    this.#entries.set(id, entry);
    return { kind: 'run', run: entry.run, createdAtMs: entry.createdAtMs };
  }

  async finish(scope: IdempotencyScope, run: number, answer: StoredAnswer): Promise<void> {
    this.#change(scope, run, { answer });
  }

  async release(scope: IdempotencyScope, run: number): Promise<void> {
    this.#change(scope, run, { leaseUntilMs: 0 });
  }

  #change(scope: IdempotencyScope, run: number, change: Partial<Entry>): void {
    const entry = this.#entries.get(idOf(scope));
    if (entry?.run !== run || entry.answer !== null) return;
    this.#entries.set(idOf(scope), { ...entry, ...change });
  }

  async sweep(nowMs: number, limit: number): Promise<number> {
    const expired = [...this.#entries].filter(([, entry]) => isExpired(entry, nowMs));
    for (const [id] of expired.slice(0, limit)) this.#entries.delete(id);
    return Math.min(expired.length, limit);
  }
}

function idOf({ merchantId, mode, key }: IdempotencyScope): string {
  return JSON.stringify([merchantId, mode, key]);
}

/** A run that may still be under way is never forgotten. */
function isExpired(entry: Entry, nowMs: number): boolean {
  return entry.expiresAtMs <= nowMs && entry.leaseUntilMs <= nowMs;
}

/** What an earlier row means for this request; null: it may run. */
function turnOf(entry: Entry, claim: IdempotencyClaim): IdempotencyTurn | null {
  if (isExpired(entry, claim.nowMs)) return null;
  if (entry.fingerprint !== claim.fingerprint) return { kind: 'mismatch' };
  if (entry.answer) return { kind: 'replay', ...entry.answer };
  return entry.leaseUntilMs <= claim.nowMs ? null : { kind: 'running' };
}

type Row = {
  readonly fingerprint: string;
  readonly runs: number;
  readonly lease_until_ms: bigint;
  readonly created_at_ms: bigint;
  readonly expires_at_ms: bigint;
  readonly status: number | null;
  readonly body: string | null;
};

/** Times a key is asked for again that was swept between two statements. */
const BEGIN_TRIES_MAX = 3;

/** In the gateway's schema; each step is one statement. */
export class PostgresIdempotencyStore implements IdempotencyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async begin(scope: IdempotencyScope, claim: IdempotencyClaim): Promise<IdempotencyTurn> {
    const { merchantId, mode, key } = scope;
    const { fingerprint, nowMs, leaseMs, lifetimeMs } = claim;
    for (let tries = 1; tries <= BEGIN_TRIES_MAX; tries++) {
      const [taken] = await this.#rows<Row>(TAKE, [
        ...[merchantId, mode, key, fingerprint],
        ...[nowMs, nowMs + leaseMs, nowMs + lifetimeMs],
      ]);
      if (taken) {
        return { kind: 'run', run: taken.runs, createdAtMs: Number(taken.created_at_ms) };
      }
      const [row] = await this.#rows<Row>(
        'SELECT * FROM idempotency_keys WHERE merchant_id = $1 AND mode = $2 AND key = $3',
        [merchantId, mode, key],
      );
      const turn = row && turnOf(entryOf(row), claim);
      if (turn) return turn;
    }
    return { kind: 'running' };
  }

  async finish(scope: IdempotencyScope, run: number, answer: StoredAnswer): Promise<void> {
    await this.#rows(
      `UPDATE idempotency_keys SET status = $5, body = $6, lease_until_ms = 0
       WHERE merchant_id = $1 AND mode = $2 AND key = $3 AND runs = $4 AND status IS NULL`,
      [scope.merchantId, scope.mode, scope.key, run, answer.status, answer.body],
    );
  }

  async release(scope: IdempotencyScope, run: number): Promise<void> {
    await this.#rows(
      `UPDATE idempotency_keys SET lease_until_ms = 0
       WHERE merchant_id = $1 AND mode = $2 AND key = $3 AND runs = $4 AND status IS NULL`,
      [scope.merchantId, scope.mode, scope.key, run],
    );
  }

  async sweep(nowMs: number, limit: number): Promise<number> {
    const swept = await this.#rows(
      `DELETE FROM idempotency_keys WHERE (merchant_id, mode, key) IN (
         SELECT merchant_id, mode, key FROM idempotency_keys
         WHERE expires_at_ms <= $1 AND lease_until_ms <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
       RETURNING 1`,
      [nowMs, limit],
    );
    return swept.length;
  }

  async #rows<R extends object>(text: string, values: readonly unknown[]): Promise<R[]> {
    return (await this.#database.pool.query<R>(text, [...values])).rows;
  }
}

/** A new row, or an old one that is expired or whose run with the same request has died. */
const TAKE = `
INSERT INTO idempotency_keys AS k (merchant_id, mode, key, fingerprint, runs, lease_until_ms,
  created_at_ms, expires_at_ms)
VALUES ($1, $2, $3, $4, 1, $6, $5, $7)
ON CONFLICT (merchant_id, mode, key) DO UPDATE SET
  fingerprint = excluded.fingerprint,
  runs = k.runs + 1,
  lease_until_ms = excluded.lease_until_ms,
  created_at_ms = CASE WHEN k.expires_at_ms <= $5 THEN $5 ELSE k.created_at_ms END,
  expires_at_ms = CASE WHEN k.expires_at_ms <= $5 THEN $7 ELSE k.expires_at_ms END,
  status = NULL,
  body = NULL
WHERE k.lease_until_ms <= $5 AND (k.expires_at_ms <= $5
  OR k.status IS NULL AND k.fingerprint = excluded.fingerprint)
RETURNING *`;

function entryOf(row: Row): Entry {
  const { status, body } = row;
  return {
    kind: 'run',
    run: row.runs,
    fingerprint: row.fingerprint,
    leaseUntilMs: Number(row.lease_until_ms),
    createdAtMs: Number(row.created_at_ms),
    expiresAtMs: Number(row.expires_at_ms),
    answer: status === null || body === null ? null : { status, body },
  };
}
