/** `IssuerStore` in maps, for simulation and tests; keeps the same rules as the database. */
import { IssuerError } from './errors.ts';
import {
  type Account,
  type Books,
  type CardView,
  cardAccountId,
  clearingAccountId,
  type LedgerTransaction,
  type NewCard,
  openingAccountId,
  openingTransaction,
  type RequestRecord,
} from './model.ts';
import type { CommitResult, IssuerChange, IssuerStore } from './store.ts';

type StoredCard = Omit<CardView, 'isAtcUsed' | 'balanceMinor'> & {
  readonly atcs: ReadonlySet<number>;
};

/** The books of an issuer without a disk. */
export class MemoryIssuerStore implements IssuerStore {
  readonly #cards = new Map<string, StoredCard>();
  readonly #cardIds = new Map<string, string>();
  readonly #accounts = new Map<string, Account>();
  readonly #requests = new Map<string, RequestRecord>();
  readonly #transactions: LedgerTransaction[] = [];

  async importCards(cards: readonly NewCard[], atMs: number): Promise<number> {
    let imported = 0;
    for (const card of cards) {
      const key = `${card.panLookup}/${card.panSequenceNumber}`;
      if (this.#cardIds.has(key)) continue;
      this.#cardIds.set(key, card.cardId);
      this.#openAccount(card, atMs);
      imported += 1;
    }
    return imported;
  }

  #openAccount(card: NewCard, atMs: number): void {
    const { opening: _, balanceMinor, ...rest } = card;
    const { currency } = card;
    const accountId = cardAccountId(card.cardId);
    this.#cards.set(card.cardId, {
      ...rest,
      accountId,
      atcHighest: 0,
      version: 0n,
      atcs: new Set(),
    });
    this.#accounts.set(accountId, { accountId, currency, balanceMinor: 0n });
    for (const own of [clearingAccountId(currency), openingAccountId(currency)]) {
      this.#accounts.set(own, { accountId: own, currency, balanceMinor: null });
    }
    if (balanceMinor === 0n) return;
    this.#post(openingTransaction(card, atMs));
  }

  async findCard(query: {
    readonly panLookup: string;
    readonly panSequenceNumber: string;
    readonly atc: number | null;
  }): Promise<CardView | null> {
    const cardId = this.#cardIds.get(`${query.panLookup}/${query.panSequenceNumber}`);
    const card = cardId === undefined ? undefined : this.#cards.get(cardId);
    if (!card) return null;
    const { atcs, ...view } = card;
    const balanceMinor = this.#accounts.get(card.accountId)?.balanceMinor ?? 0n;
    return { ...view, balanceMinor, isAtcUsed: query.atc !== null && atcs.has(query.atc) };
  }

  async findRequest(traceKey: string): Promise<RequestRecord | null> {
    return this.#requests.get(traceKey) ?? null;
  }

  async commit(change: IssuerChange): Promise<CommitResult> {
    const { record, refusedAhead, card, reverses, transaction } = change;
    if (this.#requests.has(record.traceKey)) return 'duplicate';
    if (refusedAhead && this.#requests.has(refusedAhead.traceKey)) return 'stale';
    const known = card && this.#cards.get(card.cardId);
    if (card && (known?.version !== card.version || usesAgain(known, card.usedAtc))) return 'stale';
    const original = reverses === undefined ? undefined : this.#requests.get(reverses);
    if (reverses !== undefined && original?.state !== 'approved') return 'stale';
    if (transaction && !this.#canPost(transaction)) return 'stale';
    this.#requests.set(record.traceKey, record);
    if (refusedAhead) this.#requests.set(refusedAhead.traceKey, refusedAhead);
    if (original) this.#requests.set(original.traceKey, { ...original, state: 'reversed' });
    if (card && known) {
      const { usedAtc, pinFailures } = card;
      this.#cards.set(card.cardId, {
        ...known,
        pinFailures,
        version: known.version + 1n,
        atcHighest: Math.max(known.atcHighest, usedAtc ?? 0),
        atcs: usedAtc === null ? known.atcs : new Set([...known.atcs, usedAtc]),
      });
    }
    if (transaction) this.#post(transaction);
    return 'committed';
  }

  /** Whether no balance falls below zero. @throws IssuerError `ERR_ISSUER_LEDGER`. */
  #canPost(transaction: LedgerTransaction): boolean {
    const sums = new Map<string, bigint>();
    for (const { currency, amountMinor } of transaction.postings) {
      sums.set(currency, (sums.get(currency) ?? 0n) + amountMinor);
    }
    if ([...sums.values()].some((sum) => sum !== 0n)) {
      throw new IssuerError('ERR_ISSUER_LEDGER', 'a ledger transaction does not balance');
    }
    return transaction.postings.every(({ accountId, amountMinor }) => {
      const account = this.#accounts.get(accountId);
      if (!account) throw new IssuerError('ERR_ISSUER_LEDGER', 'no such account', { accountId });
      return account.balanceMinor === null || account.balanceMinor + amountMinor >= 0n;
    });
  }

  #post(transaction: LedgerTransaction): void {
    this.#transactions.push(transaction);
    for (const { accountId, amountMinor } of transaction.postings) {
      const account = this.#accounts.get(accountId);
      if (!account || account.balanceMinor === null) continue;
      const balanceMinor = account.balanceMinor + amountMinor;
      this.#accounts.set(accountId, { ...account, balanceMinor });
    }
  }

  async readBooks(): Promise<Books> {
    return {
      accounts: [...this.#accounts.values()],
      transactions: [...this.#transactions],
      requests: [...this.#requests.values()],
    };
  }

  async close(): Promise<void> {}
}

function usesAgain(card: StoredCard, atc: number | null): boolean {
  return atc !== null && card.atcs.has(atc);
}
