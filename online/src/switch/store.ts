/**
 * What the switch keeps. Each method is one atomic durable step: when its promise resolves the
 * change survives a kill; when it rejects nothing of it happened or the caller must ask again.
 */
import type { Advice, Transaction, TransactionKey } from './model.ts';

/** A reversal to be queued; the store adds its transaction, destination and life. */
export type NewAdvice = Pick<Advice, 'stan' | 'transmission' | 'reason' | 'nextAtMs'>;

/** The final answer of a transaction. */
export type FinalAnswer = {
  readonly transactionId: string;
  readonly responseCode: string;
  readonly approvalCode: string | null;
  readonly sealedAnswer: string | null;
  readonly reason: string | null;
  /** The line was down: nothing left the switch. */
  readonly neverSent: boolean;
  readonly atMs: number;
};

/** A transaction whose answer will not come, or that its acquirer reverses. */
export type Reversing = {
  readonly transactionId: string;
  readonly advice: NewAdvice;
  readonly atMs: number;
};

/** What is due; the claimed rows are leased, so that a killed process loses none. */
export type AdviceClaim = {
  readonly destination: string;
  readonly nowMs: number;
  readonly leaseMs: number;
  readonly limit: number;
};

/** The switch's durable memory: PostgreSQL in service, a map in simulation. */
export interface SwitchStore {
  /** The next systems trace audit number, 000001 to 999999, then round again. */
  nextStan(): Promise<string>;
  find(key: TransactionKey): Promise<Transaction | null>;
  /** Writes a new row; or leaves and returns the one that has its key. */
  begin(transaction: Transaction): Promise<Transaction | null>;
  /** sent -> answered; in any other state the answer is only noted as late. The row afterwards. */
  answer(answer: FinalAnswer): Promise<Transaction>;
  /** sent -> unknown with its advice; other states stay. The row afterwards. */
  abandon(lost: Reversing): Promise<Transaction>;
  /**
   * sent, answered or unknown -> reversing with an advice, unless there is one; -> reversed when
   * nothing was sent; other states stay. The row afterwards, and whether it moved.
   */
  reverse(
    reversing: Reversing,
  ): Promise<{ readonly transaction: Transaction; readonly moved: boolean }>;
  /** Notes an answer that nobody waited for; null when no such transaction is known. */
  noteLate(key: TransactionKey, responseCode: string): Promise<Transaction | null>;
  /** Transactions still `sent` that were written before an instant, oldest first. */
  listSent(query: {
    readonly beforeMs: number;
    readonly limit: number;
  }): Promise<readonly Transaction[]>;

  /** Due advices of one issuer; each is counted as tried and leased until `nowMs + leaseMs`. */
  claimAdvices(claim: AdviceClaim): Promise<readonly (Advice & { readonly of: Transaction })[]>;
  postponeAdvice(transactionId: string, nextAtMs: number): Promise<void>;
  /** The issuer acknowledged: the advice is settled and its transaction reversed. */
  settleAdvice(transactionId: string, responseCode: string, atMs: number): Promise<void>;
  /** After a restart nobody holds a lease: everything open is due. */
  releaseAdvices(nowMs: number): Promise<void>;

  /** Everything, for audits and tests. */
  transactions(): Promise<readonly Transaction[]>;
  advices(): Promise<readonly Advice[]>;
  close(): Promise<void>;
}
