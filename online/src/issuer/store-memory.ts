/** `IssuerStore` in maps, for simulation and tests; keeps the same rules as the database. */
import {
  type Act,
  type AdminChange,
  type AuditLine,
  type CardSummary,
  type HotEntry,
  type IssuerAdmin,
  resolvedLoad,
  subjectOf,
  summaryOf,
} from './admin.ts';
import { IssuerError } from './errors.ts';
import {
  type Account,
  type AtcUse,
  type Books,
  type CardView,
  cardAccountId,
  clearingAccountId,
  type DayUsage,
  differenceAccountId,
  electronicCashAccountId,
  type Hold,
  type LedgerTransaction,
  type NewCard,
  openingAccountId,
  openingTransaction,
  owedAccountId,
  type RequestRecord,
  type WorkItem,
} from './model.ts';
import {
  type CardSettings,
  OPEN_SCRIPT_STATES,
  type Script,
  type ScriptChange,
} from './scripts/model.ts';
import type { SettlementLine } from './settlement.ts';
import type {
  CardChange,
  CardQuery,
  CommitResult,
  HoldChange,
  IssuerChange,
  IssuerStore,
  RequestMark,
  UsageChange,
} from './store.ts';

type StoredCard = Omit<NewCard, 'opening' | 'balanceMinor' | 'electronicCashMinor'> & {
  readonly atcHighest: number;
  readonly version: bigint;
  readonly electronicCashLimitMinor: bigint | null;
  readonly atcs: ReadonlyMap<number, AtcUse>;
};

const NO_USAGE: DayUsage = { amountMinor: 0n, count: 0, noPinMinor: 0n };

/** The books of an issuer without a disk. */
export class MemoryIssuerStore implements IssuerStore, IssuerAdmin {
  readonly #cards = new Map<string, StoredCard>();
  readonly #cardIds = new Map<string, string>();
  readonly #accounts = new Map<string, Account>();
  readonly #requests = new Map<string, RequestRecord>();
  readonly #holds = new Map<string, Hold>();
  readonly #usage = new Map<string, DayUsage>();
  readonly #hot = new Map<string, HotEntry>();
  readonly #workItems = new Map<string, WorkItem>();
  readonly #closedItems = new Set<string>();
  readonly #audit: AuditLine[] = [];
  readonly #transactions: LedgerTransaction[] = [];
  readonly #scripts = new Map<string, Script>();
  readonly #payers = new Set<string>();

  async importCards(cards: readonly NewCard[], atMs: number): Promise<number> {
    let imported = 0;
    for (const card of cards) {
      const key = `${card.panLookup}/${card.panSequenceNumber}`;
      if (this.#cardIds.has(key)) continue;
      this.#cardIds.set(key, card.cardId);
      this.#openAccounts(card, atMs);
      imported += 1;
    }
    return imported;
  }

  #openAccounts(card: NewCard, atMs: number): void {
    const { opening: _, balanceMinor: _balance, electronicCashMinor: _purse, ...rest } = card;
    const { cardId, currency, creditLineMinor } = card;
    const fresh = { atcHighest: 0, version: 0n, atcs: new Map<number, AtcUse>() };
    this.#cards.set(cardId, { ...rest, ...fresh, electronicCashLimitMinor: null });
    const none = { currency, heldMinor: 0n, creditLineMinor: 0n };
    const own = [clearingAccountId, openingAccountId, differenceAccountId];
    for (const accountId of own.map((name) => name(currency))) {
      this.#accounts.set(accountId, { ...none, accountId, balanceMinor: null });
    }
    for (const accountId of [electronicCashAccountId(cardId), owedAccountId(cardId)]) {
      this.#accounts.set(accountId, { ...none, accountId, balanceMinor: 0n });
    }
    const accountId = cardAccountId(cardId);
    this.#accounts.set(accountId, { ...none, accountId, creditLineMinor, balanceMinor: 0n });
    const transaction = openingTransaction(card, atMs);
    if (!transaction) return;
    this.#transactions.push(transaction);
    for (const posting of transaction.postings) this.#post(this.#accounts, posting);
  }

  async findCard(query: CardQuery): Promise<CardView | null> {
    const { card: wanted, atc, day } = query;
    const cardId =
      'cardId' in wanted
        ? wanted.cardId
        : this.#cardIds.get(`${wanted.panLookup}/${wanted.panSequenceNumber}`);
    const card = cardId === undefined ? undefined : this.#cards.get(cardId);
    if (!card) return null;
    const { atcs, ...view } = card;
    const account = this.#account(cardAccountId(card.cardId));
    const balanceMinor = account.balanceMinor ?? 0n;
    return {
      ...view,
      accountId: account.accountId,
      balanceMinor,
      heldMinor: account.heldMinor,
      availableMinor: balanceMinor + card.creditLineMinor - account.heldMinor,
      owedMinor: -(this.#account(owedAccountId(card.cardId)).balanceMinor ?? 0n),
      electronicCashMinor: this.#account(electronicCashAccountId(card.cardId)).balanceMinor ?? 0n,
      atcUse: atc === null ? null : (atcs.get(atc) ?? null),
      hotReason: this.#hot.get(card.panLookup)?.reason ?? null,
      hasScripts: this.#openScripts(card.cardId).length > 0,
      usage: this.#usage.get(`${card.cardId}/${day}`) ?? NO_USAGE,
    };
  }

  async findRequest(traceKey: string): Promise<RequestRecord | null> {
    return this.#requests.get(traceKey) ?? null;
  }

  async findHold(holdId: string): Promise<Hold | null> {
    return this.#holds.get(holdId) ?? null;
  }

  async findOpenScripts(cardId: string): Promise<readonly Script[]> {
    return this.#openScripts(cardId);
  }

  #openScripts(cardId: string): readonly Script[] {
    return [...this.#scripts.values()].filter(
      (script) => script.cardId === cardId && OPEN_SCRIPT_STATES.includes(script.state),
    );
  }

  async findDelivered(traceKey: string): Promise<readonly Script[]> {
    return [...this.#scripts.values()].filter(({ delivery }) => delivery?.traceKey === traceKey);
  }

  async findLoad(loadTraceKey: string): Promise<Script | null> {
    return [...this.#scripts.values()].find((one) => one.loadTraceKey === loadTraceKey) ?? null;
  }

  async scripts(cardId: string | null, limit: number): Promise<readonly Script[]> {
    const found = [...this.#scripts.values()].filter(
      (script) => cardId === null || script.cardId === cardId,
    );
    return found.toReversed().slice(0, limit);
  }

  async findLoadPayer(cardId: string, panLookup: string): Promise<string | null> {
    const payers = [...this.#cards.values()].filter((card) => card.panLookup === panLookup);
    return payers.find((payer) => this.#payers.has(`${cardId}/${payer.cardId}`))?.cardId ?? null;
  }

  async commit(change: IssuerChange): Promise<CommitResult> {
    const { record, refusedAhead, card, usage, marks = [], hold, transaction } = change;
    if (this.#requests.has(record.traceKey)) return 'duplicate';
    if (refusedAhead && this.#requests.has(refusedAhead.traceKey)) return 'stale';
    if (card && !this.#isCurrent(card)) return 'stale';
    if (!marks.every((mark) => this.#isMarkable(mark))) return 'stale';
    const accounts = this.#moved(hold, transaction);
    if (accounts === null) return 'stale';
    if (!(change.scripts ?? []).every((one) => this.#isScriptAsBefore(one))) return 'stale';
    this.#requests.set(record.traceKey, record);
    if (refusedAhead) this.#requests.set(refusedAhead.traceKey, refusedAhead);
    if (card) this.#changeCard(card);
    if (usage) this.#use(usage);
    for (const mark of marks) this.#mark(mark);
    if (hold) this.#holds.set(hold.hold.holdId, hold.hold);
    for (const [accountId, account] of accounts) this.#accounts.set(accountId, account);
    if (transaction) this.#transactions.push(transaction);
    for (const item of change.workItems ?? []) this.#workItems.set(item.itemId, item);
    for (const { script } of change.scripts ?? []) this.#scripts.set(script.scriptId, script);
    if (change.settings) this.#set(change.settings);
    return 'committed';
  }

  #isScriptAsBefore({ from, deliveriesBefore, script }: ScriptChange): boolean {
    const before = this.#scripts.get(script.scriptId);
    if (from === null || !before) return from === null && !before;
    return before.state === from && before.deliveries === deliveriesBefore;
  }

  #set({ cardId, ...settings }: CardSettings): void {
    const card = this.#cards.get(cardId);
    if (card) this.#cards.set(cardId, { ...card, ...settings, version: card.version + 1n });
  }

  #isCurrent(change: CardChange): boolean {
    const card = this.#cards.get(change.cardId);
    if (card?.version !== change.version) return false;
    return change.usedAtc === null || !card.atcs.has(change.usedAtc);
  }

  #changeCard(change: CardChange): void {
    const card = this.#cards.get(change.cardId);
    if (!card) return;
    const { usedAtc, pinFailures, atcUse } = change;
    this.#cards.set(change.cardId, {
      ...card,
      pinFailures,
      version: card.version + 1n,
      atcHighest: Math.max(card.atcHighest, usedAtc ?? 0),
      atcs: usedAtc === null ? card.atcs : new Map([...card.atcs, [usedAtc, atcUse]]),
    });
  }

  async burnAtc(cardId: string, atc: number): Promise<boolean> {
    const card = this.#cards.get(cardId);
    if (!card || atc <= card.atcHighest) return false;
    const { pinFailures, version } = card;
    this.#changeCard({ cardId, version, pinFailures, usedAtc: atc, atcUse: 'token' });
    return true;
  }

  #use(change: UsageChange): void {
    const key = `${change.cardId}/${change.day}`;
    const used = this.#usage.get(key) ?? NO_USAGE;
    this.#usage.set(key, {
      amountMinor: used.amountMinor + change.amountMinor,
      count: used.count + change.count,
      noPinMinor: used.noPinMinor + change.noPinMinor,
    });
  }

  #isMarkable(mark: RequestMark): boolean {
    const record = this.#requests.get(mark.traceKey);
    if (!record || record.state !== mark.from) return false;
    if (record.returnedMinor !== mark.returnedBeforeMinor) return false;
    return mark.returnedMinor >= 0n && mark.returnedMinor <= record.amountMinor;
  }

  #mark({ traceKey, to, returnedMinor }: RequestMark): void {
    const record = this.#requests.get(traceKey);
    if (record) this.#requests.set(traceKey, { ...record, state: to, returnedMinor });
  }

  /** The accounts after hold and entries, or null when that cannot be. */
  #moved(
    hold: HoldChange | undefined,
    transaction: LedgerTransaction | undefined,
  ): ReadonlyMap<string, Account> | null {
    const moved = new Map<string, Account>();
    if (hold) {
      const before = this.#holds.get(hold.hold.holdId);
      if ((before?.state ?? null) !== hold.from) return null;
      const account = this.#account(hold.hold.accountId);
      const heldMinor = account.heldMinor + hold.hold.heldMinor - (before?.heldMinor ?? 0n);
      moved.set(account.accountId, { ...account, heldMinor });
    }
    if (transaction) {
      assertBalanced(transaction);
      for (const posting of transaction.postings) this.#post(moved, posting);
    }
    return [...moved.values()].every(isWithinLimits) ? moved : null;
  }

  #post(accounts: Map<string, Account>, posting: LedgerTransaction['postings'][number]): void {
    const { accountId, amountMinor } = posting;
    const account = accounts.get(accountId) ?? this.#account(accountId);
    if (account.balanceMinor === null) return;
    accounts.set(accountId, { ...account, balanceMinor: account.balanceMinor + amountMinor });
  }

  #account(accountId: string): Account {
    const account = this.#accounts.get(accountId);
    if (!account) throw new IssuerError('ERR_ISSUER_LEDGER', 'no such account', { accountId });
    return account;
  }

  async expireHolds(nowMs: number, limit: number): Promise<number> {
    const over = [...this.#holds.values()]
      .filter(({ state, expiresAtMs }) => state === 'held' && expiresAtMs <= nowMs)
      .slice(0, limit);
    for (const hold of over) {
      const account = this.#account(hold.accountId);
      const heldMinor = account.heldMinor - hold.heldMinor;
      this.#accounts.set(account.accountId, { ...account, heldMinor });
      this.#holds.set(hold.holdId, { ...hold, heldMinor: 0n, state: 'expired' });
    }
    return over.length;
  }

  async settlementLines(settlementDate: string): Promise<readonly SettlementLine[]> {
    const lines: SettlementLine[] = [];
    for (const { traceKey, postings } of this.#transactions) {
      const record = traceKey === null ? undefined : this.#requests.get(traceKey);
      if (record?.settlementDate !== settlementDate) continue;
      const { kind, retrievalReference, currency } = record;
      const clearing = postings.find(({ accountId }) => accountId === clearingAccountId(currency));
      if (!clearing) continue;
      const { amountMinor } = clearing;
      const key = record.traceKey;
      lines.push({ traceKey: key, kind, retrievalReference, currency, amountMinor });
    }
    return lines;
  }

  async readBooks(): Promise<Books> {
    return {
      accounts: [...this.#accounts.values()],
      transactions: [...this.#transactions],
      requests: [...this.#requests.values()],
      holds: [...this.#holds.values()],
      workItems: [...this.#workItems.values()],
      scripts: [...this.#scripts.values()],
    };
  }

  async cards(): Promise<readonly CardSummary[]> {
    const views = [...this.#cards.keys()].map(async (cardId) => {
      const view = await this.findCard({ card: { cardId }, atc: null, day: '' });
      return view ? [summaryOf(view)] : [];
    });
    return (await Promise.all(views)).flat();
  }

  async hotList(): Promise<readonly HotEntry[]> {
    return [...this.#hot.values()];
  }

  async workItems(): Promise<readonly WorkItem[]> {
    return [...this.#workItems.values()].filter(({ itemId }) => !this.#closedItems.has(itemId));
  }

  async audit(limit: number): Promise<readonly AuditLine[]> {
    return this.#audit.toReversed().slice(0, limit);
  }

  async change(change: AdminChange, act: Act): Promise<boolean> {
    const done = this.#administer(change, act.atMs);
    if (done === null) return false;
    const { action } = change;
    this.#audit.push({ ...act, action, subject: subjectOf(change), ...done });
    return true;
  }

  #administer(
    change: AdminChange,
    atMs: number,
  ): { readonly before: string; readonly after: string } | null {
    switch (change.action) {
      case 'hotListed': {
        const { panLookup, panMasked, reason } = change;
        const before = this.#hot.get(panLookup)?.reason ?? '';
        this.#hot.set(panLookup, { panLookup, panMasked, reason, listedAtMs: atMs });
        return { before, after: reason };
      }
      case 'hotDelisted': {
        const before = this.#hot.get(change.panLookup)?.reason;
        this.#hot.delete(change.panLookup);
        return before === undefined ? null : { before, after: '' };
      }
      case 'workItemClosed': {
        const { itemId } = change;
        if (!this.#workItems.has(itemId) || this.#closedItems.has(itemId)) return null;
        this.#closedItems.add(itemId);
        return { before: 'open', after: 'closed' };
      }
      case 'scriptQueued': {
        const { cardId, script } = change;
        if (!this.#cards.has(cardId)) return null;
        this.#scripts.set(script.scriptId, script);
        const { scriptId, kind, target } = script;
        return { before: '', after: [scriptId, kind, target].join(' ') };
      }
      case 'scriptClosed': {
        const script = this.#scripts.get(change.scriptId);
        if (script?.state !== 'queued') return null;
        const closed = { ...script, state: 'closed', evidence: 'operator' } as const;
        this.#scripts.set(script.scriptId, { ...closed, changedAtMs: atMs });
        return { before: 'queued', after: 'closed' };
      }
      case 'loadResolved': {
        const load = this.#scripts.get(change.scriptId);
        const state = load ? resolvedLoad(load, change.verdict) : null;
        if (!load || state === null) return null;
        const resolved = { ...load, state, evidence: 'operator' } as const;
        this.#scripts.set(load.scriptId, { ...resolved, changedAtMs: atMs });
        return { before: load.state, after: `${state} ${change.verdict}` };
      }
      case 'loadPayerBound': {
        const { cardId, payerCardId } = change;
        const key = `${cardId}/${payerCardId}`;
        if (this.#payers.has(key) || !this.#cards.has(cardId)) return null;
        this.#payers.add(key);
        return { before: '', after: payerCardId };
      }
      default:
        return this.#administerCard(change);
    }
  }

  #administerCard(
    change: Extract<AdminChange, { readonly action: 'cardState' | 'pinTries' | 'limits' }>,
  ): { readonly before: string; readonly after: string } | null {
    const card = this.#cards.get(change.cardId);
    if (!card) return null;
    const changed = {
      ...card,
      ...(change.action === 'cardState' ? { state: change.state } : {}),
      ...(change.action === 'pinTries' ? { pinFailures: 0 } : {}),
      ...(change.action === 'limits' ? { limits: { ...card.limits, ...change.limits } } : {}),
      version: card.version + 1n,
    };
    this.#cards.set(card.cardId, changed);
    const told = (one: StoredCard): string =>
      change.action === 'cardState'
        ? one.state
        : change.action === 'pinTries'
          ? String(one.pinFailures)
          : limitsText(one.limits);
    return { before: told(card), after: told(changed) };
  }

  async close(): Promise<void> {}
}

/** @throws IssuerError `ERR_ISSUER_LEDGER`. */
function assertBalanced(transaction: LedgerTransaction): void {
  const sums = new Map<string, bigint>();
  for (const { currency, amountMinor } of transaction.postings) {
    sums.set(currency, (sums.get(currency) ?? 0n) + amountMinor);
  }
  if ([...sums.values()].some((sum) => sum !== 0n)) {
    throw new IssuerError('ERR_ISSUER_LEDGER', 'a ledger transaction does not balance');
  }
}

/** Owed accounts are never above zero, the others never below what is held and lent. */
function isWithinLimits({ accountId, balanceMinor, heldMinor, creditLineMinor }: Account): boolean {
  if (balanceMinor === null) return true;
  if (accountId.startsWith('owed-')) return balanceMinor <= 0n;
  return heldMinor >= 0n && balanceMinor + creditLineMinor - heldMinor >= 0n;
}

/** Limits as the audit table has them. */
function limitsText(limits: object): string {
  return JSON.stringify(limits, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
}
