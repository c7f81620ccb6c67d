/** `SwitchStore` in memory, for simulation and unit tests: each method is one synchronous step. */
import { SwitchError } from './errors.ts';
import {
  type Advice,
  TRANSACTION_MOVES,
  type Transaction,
  type TransactionKey,
  type TransactionState,
} from './model.ts';
import type { AdviceClaim, FinalAnswer, NewAdvice, Reversing, SwitchStore } from './store.ts';

/** The tables as maps; survives a simulated crash as long as the object is kept. */
export class MemorySwitchStore implements SwitchStore {
  readonly #transactions = new Map<string, Transaction>();
  readonly #keys = new Map<string, string>();
  readonly #advices = new Map<string, Advice>();
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
    this.#keys.set(keyText(transaction), transaction.transactionId);
    this.#transactions.set(transaction.transactionId, transaction);
    return null;
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
    return { transaction: this.#move(transaction, to, atMs), moved: true };
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

  async claimAdvices(
    claim: AdviceClaim,
  ): Promise<readonly (Advice & { readonly of: Transaction })[]> {
    const due = [...this.#advices.values()]
      .filter((row) => row.settledAtMs === null && row.destination === claim.destination)
      .filter((row) => row.nextAtMs <= claim.nowMs)
      .sort((left, right) => left.nextAtMs - right.nextAtMs)
      .slice(0, claim.limit);
    return due.map((row) => {
      const attempts = row.attempts + 1;
      const claimed = { ...row, attempts, nextAtMs: claim.nowMs + claim.leaseMs };
      this.#advices.set(row.transactionId, claimed);
      return { ...claimed, of: this.#require(row.transactionId) };
    });
  }

  async postponeAdvice(transactionId: string, nextAtMs: number): Promise<void> {
    const row = this.#advices.get(transactionId);
    if (row?.settledAtMs === null) this.#advices.set(transactionId, { ...row, nextAtMs });
  }

  async settleAdvice(transactionId: string, responseCode: string, atMs: number): Promise<void> {
    const row = this.#advices.get(transactionId);
    if (row?.settledAtMs !== null) return;
    this.#advices.set(transactionId, { ...row, responseCode, settledAtMs: atMs });
    this.#move(this.#require(transactionId), 'reversed', atMs);
  }

  async releaseAdvices(nowMs: number): Promise<void> {
    for (const row of this.#advices.values()) {
      if (row.settledAtMs !== null || row.nextAtMs <= nowMs) continue;
      this.#advices.set(row.transactionId, { ...row, nextAtMs: nowMs });
    }
  }

  async transactions(): Promise<readonly Transaction[]> {
    return [...this.#transactions.values()];
  }

  async advices(): Promise<readonly Advice[]> {
    return [...this.#advices.values()];
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

  #move(transaction: Transaction, to: TransactionState, atMs: number): Transaction {
    const { state, transactionId } = transaction;
    if (!TRANSACTION_MOVES[state].includes(to)) {
      const text = `a transaction cannot go from ${state} to ${to}`;
      throw new SwitchError('ERR_SWITCH_STORE', text, { transactionId });
    }
    return this.#put({ ...transaction, state: to, updatedAtMs: atMs });
  }

  #put(transaction: Transaction): Transaction {
    this.#transactions.set(transaction.transactionId, transaction);
    return transaction;
  }

  #queue(transaction: Transaction, advice: NewAdvice): void {
    const { transactionId, destination } = transaction;
    if (destination === null || this.#advices.has(transactionId)) return;
    this.#advices.set(transactionId, {
      ...advice,
      transactionId,
      destination,
      attempts: 0,
      settledAtMs: null,
      responseCode: null,
    });
  }
}

function keyText(key: TransactionKey): string {
  const { memberId, acquirerId, stan, transmission, terminalId } = key;
  return JSON.stringify([memberId, acquirerId, stan, transmission, terminalId]);
}
