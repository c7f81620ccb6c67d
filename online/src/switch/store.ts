/**
 * What the switch keeps. Each method is one atomic durable step: when its promise resolves the
 * change survives a kill; when it rejects nothing of it happened or the caller must ask again.
 */
import type { Advice, AdviceKind, Booking, Day, Transaction, TransactionKey } from './model.ts';

/** An advice to be queued; the store adds its destination, transaction and life. */
export type NewAdvice = Pick<
  Advice,
  'adviceId' | 'kind' | 'stan' | 'transmission' | 'reason' | 'settlementDate' | 'nextAtMs'
>;
/** A cut-off to be announced to one member. */
export type NewCutOff = NewAdvice & Pick<Advice, 'destination'>;

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
  /** Older advices are not sent any more. */
  readonly oldestDate: string;
};
/** An advice with the transaction that it is about; null for a cut-off. */
export type ClaimedAdvice = Advice & { readonly of: Transaction | null };

/** How a try went that acknowledged nothing. */
export type AdviceTry = {
  readonly adviceId: string;
  readonly nextAtMs: number;
  /** Field 39, or null when no genuine answer came. */
  readonly responseCode: string | null;
  readonly refused: boolean;
  /** Not to be sent again before a person says so. */
  readonly stuck: boolean;
};

/** A day to be closed and what is announced with it. */
export type DayClose = {
  readonly settlementDate: string;
  /** Rows of older days that no close has booked yet, from this date on, are booked as well. */
  readonly oldestDate: string;
  readonly atMs: number;
  readonly cutOffs: readonly NewCutOff[];
};

/** The switch's durable memory: PostgreSQL in service, a map in simulation. */
export interface SwitchStore {
  /** The next systems trace audit number, 000001 to 999999, then round again. */
  nextStan(): Promise<string>;
  find(key: TransactionKey): Promise<Transaction | null>;
  /** Writes a new row; or leaves and returns the one that has its key. */
  begin(transaction: Transaction): Promise<Transaction | null>;
  /** The same for an advice of an acquirer, which is owed to its issuer from the same instant. */
  takeAdvice(transaction: Transaction, advice: NewAdvice): Promise<Transaction | null>;
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

  /** Members with an open advice that is due. */
  dueDestinations(nowMs: number): Promise<readonly string[]>;
  /**
   * Due advices of one member, none behind an older open one of its order key; each is counted as
   * tried and leased until `nowMs + leaseMs`.
   */
  claimAdvices(claim: AdviceClaim): Promise<readonly ClaimedAdvice[]>;
  /** After a try that acknowledged nothing; an advice that is not open stays as it is. */
  noteTry(attempt: AdviceTry): Promise<void>;
  /** The member acknowledged: the advice is settled, a reversed transaction is reversed. */
  settleAdvice(adviceId: string, responseCode: string, atMs: number): Promise<void>;
  /** Open advices taken over before a day become stuck; how many. */
  expireAdvices(oldestDate: string): Promise<number>;
  /** A person lets a stuck advice be sent again, as one of today; null when none is stuck. */
  retryAdvice(retry: {
    readonly adviceId: string;
    readonly settlementDate: string;
    readonly nowMs: number;
  }): Promise<Advice | null>;
  /** After a restart nobody holds a lease: everything open is due. */
  releaseAdvices(nowMs: number): Promise<void>;
  /** What message of a transaction waits for its acknowledgement; null: none. */
  owedKind(transactionId: string): Promise<AdviceKind | null>;

  /** The day has begun: true for the first call. Not the first day of all: it is announced. */
  turnDay(turn: {
    readonly settlementDate: string;
    readonly atMs: number;
    readonly cutOffs: readonly NewCutOff[];
  }): Promise<boolean>;
  /**
   * Books every transaction and reversal of the day, each once for ever. `open`: how many have no
   * final state yet, and nothing was done. `unknownDay`: it never began here.
   */
  closeDay(close: DayClose): Promise<'closed' | 'closedBefore' | 'unknownDay' | { open: number }>;
  /** Newest first. */
  days(limit: number): Promise<readonly Day[]>;
  /** Bookings of a day in the order of their transactions, after a given one. */
  listBookings(query: {
    readonly settlementDate: string;
    readonly after: BookingPlace | null;
    readonly limit: number;
  }): Promise<readonly Booking[]>;

  /** Everything, for audits and tests. */
  transactions(): Promise<readonly Transaction[]>;
  advices(): Promise<readonly Advice[]>;
  /** Advices that wait for a person, oldest first. */
  stuckAdvices(limit: number): Promise<readonly Advice[]>;
  close(): Promise<void>;
}

/** Where a page of bookings ended. */
export type BookingPlace = { readonly transactionId: string; readonly leg: Booking['leg'] };
