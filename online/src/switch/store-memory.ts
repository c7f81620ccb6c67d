/** `SwitchStore` in memory, for simulation and unit tests: each method is one synchronous step. */
import { SwitchError } from './errors.ts';
import { ENDING_KINDS } from './kinds.ts';
import {
  type Advice,
  type AdviceKind,
  type Booking,
  type Day,
  TRANSACTION_MOVES,
  type Transaction,
  type TransactionKey,
  type TransactionState,
} from './model.ts';
import type {
  AdviceClaim,
  AdviceTry,
  BookingPlace,
  ClaimedAdvice,
  DayClose,
  FinalAnswer,
  NewAdvice,
  NewCutOff,
  Reversing,
  SwitchStore,
} from './store.ts';

/** The tables as maps; survives a simulated crash as long as the object is kept. */
export class MemorySwitchStore implements SwitchStore {
  readonly #transactions = new Map<string, Transaction>();
  readonly #keys = new Map<string, string>();
  /** In the order of their queueing. */
  readonly #advices = new Map<string, Advice>();
  readonly #days = new Map<string, Day>();
  /** `transactionId|leg` -> settlement date. */
  readonly #bookings = new Map<string, string>();
  #stan = 0;

  async nextStan(): Promise<string> {
    this.#stan = (this.#stan % 999_999) + 1;
    return String(this.#stan).padStart(6, '0');
  }

  async find(key: TransactionKey): Promise<Transaction | null> {
    return this.#find(key);
  }

  async begin(transaction: Transaction): Promise<Transaction | null> {
    const earlier = this.#find(transaction);
    if (earlier) return earlier;
    this.#assertEndsOnce(transaction);
    this.#keys.set(keyText(transaction), transaction.transactionId);
    this.#put(transaction);
    return null;
  }

  async takeAdvice(transaction: Transaction, advice: NewAdvice): Promise<Transaction | null> {
    const earlier = await this.begin(transaction);
    if (!earlier) this.#queue(transaction, advice);
    return earlier;
  }

  async answer(answer: FinalAnswer): Promise<Transaction> {
    const { transactionId, responseCode, atMs } = answer;
    const transaction = this.#require(transactionId);
    if (transaction.state !== 'sent') {
      return this.#put({ ...transaction, lateResponseCode: responseCode, updatedAtMs: atMs });
    }
    const { approvalCode, sealedAnswer, reason } = answer;
    const destination = answer.neverSent ? null : transaction.destination;
    const facts = { responseCode, approvalCode, sealedAnswer, reason, destination };
    return this.#move({ ...transaction, ...facts }, 'answered', atMs);
  }

  async abandon({ transactionId, advice, atMs }: Reversing): Promise<Transaction> {
    const transaction = this.#require(transactionId);
    if (transaction.state !== 'sent') return transaction;
    this.#queue(transaction, advice);
    return this.#move({ ...transaction, reason: advice.reason }, 'unknown', atMs);
  }

  async reverse({
    transactionId,
    advice,
    atMs,
  }: Reversing): Promise<{ readonly transaction: Transaction; readonly moved: boolean }> {
    const transaction = this.#require(transactionId);
    if (transaction.state === 'reversing' || transaction.state === 'reversed') {
      return { transaction, moved: false };
    }
    this.#queue(transaction, advice);
    const to = transaction.destination === null ? 'reversed' : 'reversing';
    const reversalDate = advice.settlementDate;
    return { transaction: this.#move({ ...transaction, reversalDate }, to, atMs), moved: true };
  }

  async noteLate(key: TransactionKey, responseCode: string): Promise<Transaction | null> {
    const transaction = this.#find(key);
    return transaction ? this.#put({ ...transaction, lateResponseCode: responseCode }) : null;
  }

  async listSent(query: {
    readonly beforeMs: number;
    readonly limit: number;
  }): Promise<readonly Transaction[]> {
    return [...this.#transactions.values()]
      .filter(({ state, createdAtMs }) => state === 'sent' && createdAtMs < query.beforeMs)
      .slice(0, query.limit);
  }

  async dueDestinations(nowMs: number): Promise<readonly string[]> {
    const due = this.#open().filter(({ nextAtMs }) => nextAtMs <= nowMs);
    return [...new Set(due.map(({ destination }) => destination))].sort();
  }

  async claimAdvices(claim: AdviceClaim): Promise<readonly ClaimedAdvice[]> {
    const open = this.#open().filter(({ destination }) => destination === claim.destination);
    const isFirst = (row: Advice): boolean =>
      open.find(({ orderKey }) => orderKey === row.orderKey) === row;
    const due = open
      .filter(({ settlementDate }) => settlementDate >= claim.oldestDate)
      .filter((row) => row.nextAtMs <= claim.nowMs && isFirst(row))
      .sort((left, right) => left.nextAtMs - right.nextAtMs)
      .slice(0, claim.limit);
    return due.map((row) => {
      const attempts = row.attempts + 1;
      const claimed = { ...row, attempts, nextAtMs: claim.nowMs + claim.leaseMs };
      this.#advices.set(row.adviceId, claimed);
      const of = row.transactionId === null ? null : this.#require(row.transactionId);
      return { ...claimed, of };
    });
  }

  async noteTry(attempt: AdviceTry): Promise<void> {
    const row = this.#advices.get(attempt.adviceId);
    if (row?.state !== 'open') return;
    this.#advices.set(row.adviceId, {
      ...row,
      nextAtMs: attempt.nextAtMs,
      refusals: row.refusals + (attempt.refused ? 1 : 0),
      responseCode: attempt.responseCode ?? row.responseCode,
      state: attempt.stuck ? 'stuck' : 'open',
    });
  }

  async settleAdvice(adviceId: string, responseCode: string, atMs: number): Promise<void> {
    const row = this.#advices.get(adviceId);
    if (!row || row.state === 'settled') return;
    this.#advices.set(adviceId, { ...row, responseCode, state: 'settled', settledAtMs: atMs });
    if (row.kind !== 'reversal' || row.transactionId === null) return;
    const transaction = this.#require(row.transactionId);
    if (transaction.state !== 'reversed') this.#move(transaction, 'reversed', atMs);
  }

  async expireAdvices(oldestDate: string): Promise<number> {
    const old = this.#open().filter(({ settlementDate }) => settlementDate < oldestDate);
    for (const row of old) this.#advices.set(row.adviceId, { ...row, state: 'stuck' });
    return old.length;
  }

  async retryAdvice(retry: {
    readonly adviceId: string;
    readonly settlementDate: string;
    readonly nowMs: number;
  }): Promise<Advice | null> {
    const row = this.#advices.get(retry.adviceId);
    if (row?.state !== 'stuck') return null;
    const { settlementDate, nowMs } = retry;
    const opened: Advice = { ...row, state: 'open', refusals: 0, settlementDate, nextAtMs: nowMs };
    this.#advices.set(row.adviceId, opened);
    return opened;
  }

  async releaseAdvices(nowMs: number): Promise<void> {
    for (const row of this.#open()) {
      if (row.nextAtMs > nowMs) this.#advices.set(row.adviceId, { ...row, nextAtMs: nowMs });
    }
  }

  async owedKind(transactionId: string): Promise<AdviceKind | null> {
    return this.#open().find((row) => row.transactionId === transactionId)?.kind ?? null;
  }

  async turnDay(turn: {
    readonly settlementDate: string;
    readonly atMs: number;
    readonly cutOffs: readonly NewCutOff[];
  }): Promise<boolean> {
    const { settlementDate, atMs } = turn;
    if (this.#days.has(settlementDate)) return false;
    const isFirst = ![...this.#days.keys()].some((date) => date < settlementDate);
    this.#days.set(settlementDate, { settlementDate, begunAtMs: atMs, closedAtMs: null });
    if (!isFirst) for (const cutOff of turn.cutOffs) this.#announce(cutOff);
    return true;
  }

  async closeDay(
    close: DayClose,
  ): Promise<'closed' | 'closedBefore' | 'unknownDay' | { open: number }> {
    const { settlementDate, oldestDate, atMs } = close;
    const day = this.#days.get(settlementDate);
    if (!day) return 'unknownDay';
    if (day.closedAtMs !== null) return 'closedBefore';
    const rows = [...this.#transactions.values()].filter(({ kind }) => kind !== null);
    const isDue = (date: string | null): boolean =>
      date !== null && date >= oldestDate && date <= settlementDate;
    const ofDay = rows.filter((row) => isDue(row.settlementDate));
    const open = ofDay.filter(({ state }) => state === 'sent').length;
    if (open > 0) return { open };
    const reversed = rows.filter((row) => row.responseCode === '00' && isDue(row.reversalDate));
    for (const { transactionId } of ofDay) this.#book(`${transactionId}|original`, settlementDate);
    for (const { transactionId } of reversed) {
      this.#book(`${transactionId}|reversal`, settlementDate);
    }
    this.#days.set(settlementDate, { ...day, closedAtMs: atMs });
    for (const cutOff of close.cutOffs) this.#announce(cutOff);
    return 'closed';
  }

  async days(limit: number): Promise<readonly Day[]> {
    const newestFirst = (left: Day, right: Day): number =>
      left.settlementDate < right.settlementDate ? 1 : -1;
    return [...this.#days.values()].sort(newestFirst).slice(0, limit);
  }

  async listBookings(query: {
    readonly settlementDate: string;
    readonly after: BookingPlace | null;
    readonly limit: number;
  }): Promise<readonly Booking[]> {
    const { after } = query;
    const place = after === null ? '' : `${after.transactionId}|${after.leg}`;
    return [...this.#bookings.entries()]
      .filter(([key, date]) => date === query.settlementDate && key > place)
      .map(([key]) => key)
      .sort()
      .slice(0, query.limit)
      .map((key) => {
        const [transactionId = '', leg] = key.split('|');
        return {
          leg: leg === 'reversal' ? 'reversal' : 'original',
          of: this.#require(transactionId),
        };
      });
  }

  async transactions(): Promise<readonly Transaction[]> {
    return [...this.#transactions.values()];
  }

  async advices(): Promise<readonly Advice[]> {
    return [...this.#advices.values()];
  }

  async stuckAdvices(limit: number): Promise<readonly Advice[]> {
    return [...this.#advices.values()].filter(({ state }) => state === 'stuck').slice(0, limit);
  }

  async close(): Promise<void> {}

  #find(key: TransactionKey): Transaction | null {
    return this.#transactions.get(this.#keys.get(keyText(key)) ?? '') ?? null;
  }

  #require(transactionId: string): Transaction {
    const transaction = this.#transactions.get(transactionId);
    if (transaction) return transaction;
    throw new SwitchError('ERR_SWITCH_STORE', 'there is no such transaction', { transactionId });
  }

  #open(): readonly Advice[] {
    return [...this.#advices.values()].filter(({ state }) => state === 'open');
  }

  #move(transaction: Transaction, to: TransactionState, atMs: number): Transaction {
    const { state, transactionId } = transaction;
    if (!TRANSACTION_MOVES[state].includes(to)) {
      const text = `a transaction cannot go from ${state} to ${to}`;
      throw new SwitchError('ERR_SWITCH_STORE', text, { transactionId });
    }
    const moved = { ...transaction, state: to, updatedAtMs: atMs };
    this.#assertEndsOnce(moved);
    return this.#put(moved);
  }

  #put(transaction: Transaction): Transaction {
    this.#transactions.set(transaction.transactionId, transaction);
    this.#markOriginal(transaction);
    return transaction;
  }

  /** The unique index `transactions_ended_once`. */
  #assertEndsOnce(transaction: Transaction): void {
    if (!endsOriginal(transaction)) return;
    const { transactionId, originalId } = transaction;
    for (const other of this.#transactions.values()) {
      if (other.originalId !== originalId || other.transactionId === transactionId) continue;
      if (!endsOriginal(other)) continue;
      throw new SwitchError('ERR_SWITCH_STORE', 'the original has ended already', { originalId });
    }
  }

  /** The trigger `mark_original`. */
  #markOriginal(transaction: Transaction): void {
    const { transactionId, originalId, kind, state } = transaction;
    if (originalId === null || kind === null || !ENDING_KINDS.has(kind)) return;
    const original = this.#require(originalId);
    const first = original.originalId === null ? null : this.#require(original.originalId);
    if (endsOriginal(transaction)) {
      this.#setEnd(original, transactionId);
      if (first?.endedBy === originalId) this.#setEnd(first, null);
    }
    const wasEnd = state === 'reversed' && original.endedBy === transactionId;
    if (wasEnd && (first === null || first.endedBy === null)) {
      this.#setEnd(original, null);
      if (first) this.#setEnd(first, originalId);
    }
  }

  #setEnd(transaction: Transaction, endedBy: string | null): void {
    this.#transactions.set(transaction.transactionId, { ...transaction, endedBy });
  }

  #queue(transaction: Transaction, advice: NewAdvice): void {
    const { transactionId, destination, originalId } = transaction;
    const isOwed = [...this.#advices.values()].some((row) => row.transactionId === transactionId);
    if (destination === null || isOwed) return;
    const original = originalId === null ? null : this.#require(originalId);
    // A refund must not overtake the completion that it refunds: both wait for the same first one.
    const orderKey = original?.originalId ?? originalId ?? transactionId;
    this.#advices.set(advice.adviceId, opened({ ...advice, transactionId, destination, orderKey }));
  }

  #announce(cutOff: NewCutOff): void {
    const orderKey = `cutOff ${cutOff.destination}`;
    this.#advices.set(cutOff.adviceId, opened({ ...cutOff, transactionId: null, orderKey }));
  }

  #book(key: string, settlementDate: string): void {
    if (!this.#bookings.has(key)) this.#bookings.set(key, settlementDate);
  }
}

function endsOriginal(transaction: Transaction): boolean {
  const { kind, state, responseCode, originalId, endedBy } = transaction;
  const isEnding = kind !== null && ENDING_KINDS.has(kind) && originalId !== null;
  return isEnding && state === 'answered' && responseCode === '00' && endedBy === null;
}

function opened(
  advice: NewAdvice & Pick<Advice, 'transactionId' | 'destination' | 'orderKey'>,
): Advice {
  const life = { attempts: 0, refusals: 0, settledAtMs: null, responseCode: null };
  return { ...advice, ...life, state: 'open' };
}

function keyText(key: TransactionKey): string {
  const { memberId, acquirerId, stan, transmission, terminalId } = key;
  return JSON.stringify([memberId, acquirerId, stan, transmission, terminalId]);
}
