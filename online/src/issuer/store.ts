/**
 * What the issuer keeps. Each method is one atomic durable step: when its promise resolves the
 * change survives a kill; when it rejects, what happened is unknown and no answer may be sent.
 */
import type { Books, CardView, LedgerTransaction, NewCard, RequestRecord } from './model.ts';

/** What a card's decision changes on the card. */
export type CardChange = {
  readonly cardId: string;
  /** The version the decision was made on. */
  readonly version: bigint;
  readonly pinFailures: number;
  /** Counter of a verified cryptogram; it is used up whatever the answer is. */
  readonly usedAtc: number | null;
};

/** Everything that one request does, all or nothing. */
export type IssuerChange = {
  /** The request's answer. */
  readonly record: RequestRecord;
  /** A request that must be refused when it arrives. */
  readonly refusedAhead?: RequestRecord;
  readonly card?: CardChange;
  /** Trace key of the approved request that is now reversed. */
  readonly reverses?: string;
  readonly transaction?: LedgerTransaction;
};

/**
 * `duplicate`: the request has been answered already. `stale`: the card, balance or original is
 * not what the decision was made on; read and decide again. Nothing was written in both cases.
 */
export type CommitResult = 'committed' | 'duplicate' | 'stale';

/** The issuer's durable memory: PostgreSQL in service, maps in simulation. */
export interface IssuerStore {
  /** Takes new cards with their opening balances; known ones stay as they are. How many are new. */
  importCards(cards: readonly NewCard[], atMs: number): Promise<number>;
  findCard(query: {
    readonly panLookup: string;
    readonly panSequenceNumber: string;
    /** Counter whose use is asked about. */
    readonly atc: number | null;
  }): Promise<CardView | null>;
  findRequest(traceKey: string): Promise<RequestRecord | null>;
  commit(change: IssuerChange): Promise<CommitResult>;
  readBooks(): Promise<Books>;
  close(): Promise<void>;
}
