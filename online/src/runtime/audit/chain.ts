/**
 * The audit log's chain: each record's hash covers the record and the hash before it, so that a
 * record which was changed, taken out or put in later shows, and whose successors all would have
 * to be written anew. Who holds an earlier head (`SEQ:HASH`) also sees a tail that was cut off.
 */
import { createHash } from 'node:crypto';

/** What happened. `facts` are masked. */
export type AuditEntry = {
  readonly atMs: number;
  /** Key id, `operator` or `gateway`: never a key. */
  readonly actor: string;
  readonly action: string;
  /** What it was done to: a merchant, an order, a payment, a key id; may be empty. */
  readonly subject: string;
  readonly facts: Readonly<Record<string, unknown>>;
};

/** A record as it stands in the log. `facts` is the JSON text that was hashed. */
export type AuditRecord = Omit<AuditEntry, 'facts'> & {
  readonly seq: number;
  readonly facts: string;
  readonly previousHash: string;
  readonly hash: string;
};

/** Where a log stands. */
export type AuditHead = { readonly seq: number; readonly hash: string };

/** What the first record has as the hash before it. */
export const AUDIT_GENESIS: AuditHead = { seq: 0, hash: '0'.repeat(64) };

/** Why a chain is broken, and at which record. */
export type AuditFault = {
  readonly seq: number;
  readonly why: 'hash' | 'previousHash' | 'missing' | 'head';
};

/** The record that follows `head`. */
export function nextRecord(head: AuditHead, entry: AuditEntry): AuditRecord {
  const { atMs, actor, action, subject } = entry;
  const facts = canonicalJson(entry.facts);
  const record = { seq: head.seq + 1, atMs, actor, action, subject, facts };
  return { ...record, previousHash: head.hash, hash: hashOf(record, head.hash) };
}

function hashOf(record: Omit<AuditRecord, 'previousHash' | 'hash'>, previousHash: string): string {
  const { seq, atMs, actor, action, subject, facts } = record;
  const text = JSON.stringify([seq, atMs, actor, action, subject, facts, previousHash]);
  return createHash('sha256').update(text).digest('hex');
}

/** JSON with sorted names: the same text for the same value. Undefined members are left out. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, item: unknown) => {
    if (typeof item === 'bigint') return item.toString();
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(
      Object.entries(item).toSorted(([one], [other]) => (one < other ? -1 : 1)),
    );
  });
}

/** Follows a chain record by record. */
export class ChainCheck {
  #head: AuditHead = AUDIT_GENESIS;
  readonly #expected: AuditHead | null;
  #sawExpected: boolean;

  /** `expected`: a head that was noted earlier and must lie on this chain. */
  constructor(expected: AuditHead | null = null) {
    this.#expected = expected;
    this.#sawExpected = expected === null || expected.seq === 0;
  }

  get head(): AuditHead {
    return this.#head;
  }

  /** The first fault, or null while the chain holds. */
  follow(record: AuditRecord): AuditFault | null {
    const { seq, previousHash, hash } = record;
    if (seq !== this.#head.seq + 1) return { seq: this.#head.seq + 1, why: 'missing' };
    if (previousHash !== this.#head.hash) return { seq, why: 'previousHash' };
    if (hash !== hashOf(record, previousHash)) return { seq, why: 'hash' };
    if (this.#expected?.seq === seq) {
      if (this.#expected.hash !== hash) return { seq, why: 'head' };
      this.#sawExpected = true;
    }
    this.#head = { seq, hash };
    return null;
  }

  /** After the last record: the tail that an earlier head knew must be there. */
  end(): AuditFault | null {
    if (this.#sawExpected) return null;
    return { seq: this.#head.seq + 1, why: 'missing' };
  }
}
