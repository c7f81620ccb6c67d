/**
 * The audit log of what merchants and operators do; no step of a payment writes it, so no payment
 * waits for its one writer.
 */
import type { Database } from '../database.ts';
import { redact } from '../redaction.ts';
import {
  AUDIT_GENESIS,
  type AuditEntry,
  type AuditFault,
  type AuditHead,
  type AuditRecord,
  ChainCheck,
  nextRecord,
} from './chain.ts';

/** Records read at once. */
const READ_ROWS = 500;
/** First key of the writer's lock ("TnPa"); the second is the schema's hash. */
const ADVISORY_CLASS = 0x546e5061;

/** Durable memory of the audit log: only ever added to. */
export interface AuditLog {
  append(entry: AuditEntry): Promise<AuditRecord>;
  /** Records after `afterSeq` in their order. */
  read(afterSeq: number, limit: number): Promise<readonly AuditRecord[]>;
}

/** What a check of the whole log found. */
export type AuditReport = { readonly head: AuditHead; readonly fault: AuditFault | null };

/** Masked by type, name and form: what is written here can never be taken out again. */
function masked(entry: AuditEntry): AuditEntry {
  return { ...entry, facts: redact(entry.facts) as AuditEntry['facts'] };
}

/** For unit tests. */
export class MemoryAuditLog implements AuditLog {
  readonly records: AuditRecord[] = [];

  async append(entry: AuditEntry): Promise<AuditRecord> {
    const record = nextRecord(this.records.at(-1) ?? AUDIT_GENESIS, masked(entry));
    this.records.push(record);
    return record;
  }

  async read(afterSeq: number, limit: number): Promise<readonly AuditRecord[]> {
    return this.records.filter(({ seq }) => seq > afterSeq).slice(0, limit);
  }
}

type Row = {
  readonly seq: bigint;
  readonly at_ms: bigint;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly facts: string;
  readonly previous_hash: string;
  readonly hash: string;
};

/** In a party's own schema: one writer at a time, whichever process it is in. */
export class PostgresAuditLog implements AuditLog {
  readonly #database: Pick<Database, 'pool' | 'transaction'>;

  constructor(database: Pick<Database, 'pool' | 'transaction'>) {
    this.#database = database;
  }

  append(entry: AuditEntry): Promise<AuditRecord> {
    return this.#database.transaction(async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))', [
        ADVISORY_CLASS,
      ]);
      const { rows } = await client.query<Row>('SELECT * FROM audit_log ORDER BY seq DESC LIMIT 1');
      const head = rows[0] ? recordOf(rows[0]) : AUDIT_GENESIS;
      const record = nextRecord(head, masked(entry));
      await client.query(
        `INSERT INTO audit_log (seq, at_ms, actor, action, subject, facts, previous_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
        [
          record.seq,
          record.atMs,
          record.actor,
          record.action,
          record.subject,
          record.facts,
          record.previousHash,
          record.hash,
        ],
      );
      return record;
    });
  }

  async read(afterSeq: number, limit: number): Promise<readonly AuditRecord[]> {
    const { rows } = await this.#database.pool.query<Row>(
      'SELECT * FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2',
      [afterSeq, limit],
    );
    return rows.map(recordOf);
  }
}

function recordOf(row: Row): AuditRecord {
  return {
    seq: Number(row.seq),
    atMs: Number(row.at_ms),
    actor: row.actor,
    action: row.action,
    subject: row.subject,
    facts: row.facts,
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}

/** Reads the whole log and recomputes every hash. */
export async function checkAuditLog(
  log: Pick<AuditLog, 'read'>,
  expected: AuditHead | null = null,
): Promise<AuditReport> {
  const check = new ChainCheck(expected);
  for (let after = 0; ; ) {
    const records = await log.read(after, READ_ROWS);
    for (const record of records) {
      const fault = check.follow(record);
      if (fault) return { head: check.head, fault };
    }
    const last = records.at(-1);
    if (!last) return { head: check.head, fault: check.end() };
    after = last.seq;
  }
}
