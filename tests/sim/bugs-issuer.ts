/** Planted bugs of the issuer. */
import type { Books, RequestRecord } from '../../online/src/issuer/model.ts';
import type { IssuerChange, IssuerStore } from '../../online/src/issuer/store.ts';
import { type Bug, decorate, NO_BUG } from './bug.ts';

/** The issuer forgets what it answered: a repeated 0200 is decided, and debited, again. */
export function noIdempotency(): Bug {
  const issuerStore = (store: IssuerStore): IssuerStore => {
    let copies = 0;
    // Reversals still find their originals, or this would be another bug.
    const reversing = new Set<string>();
    return decorate<IssuerStore>(store, {
      async findRequest(traceKey) {
        const found = await store.findRequest(traceKey);
        const isPurchase = traceKey.startsWith('0200/');
        if (!isPurchase && !found) reversing.add(traceKey);
        return isPurchase && reversing.size === 0 ? null : found;
      },
      async findCard(query) {
        const card = await store.findCard(query);
        return card && { ...card, atcUse: null, atcHighest: 0 };
      },
      async commit(wanted: IssuerChange) {
        const { record, card } = wanted;
        reversing.delete(record.traceKey);
        if (record.kind !== 'sale') return store.commit(wanted);
        const known = await store.findRequest(record.traceKey);
        const traceKey = known ? `${record.traceKey}/${++copies}` : record.traceKey;
        return store.commit({
          ...wanted,
          record: { ...record, traceKey },
          ...(card && { card: { ...card, usedAtc: null } }),
        });
      },
    });
  };
  return { ...NO_BUG, issuerStore };
}

/** An advice that was answered before the last change of keys is not known again. */
export function forgetsAtKeyChange(): Bug {
  let epoch = 0;
  let copies = 0;
  const epochs = new Map<string, number>();
  const issuerStore = (store: IssuerStore): IssuerStore =>
    decorate<IssuerStore>(store, {
      async findRequest(traceKey) {
        const isOld = traceKey.startsWith('0220/') && (epochs.get(traceKey) ?? epoch) < epoch;
        return isOld ? null : store.findRequest(traceKey);
      },
      async commit(wanted) {
        const { record } = wanted;
        const known = await store.findRequest(record.traceKey);
        const isAgain = known !== null && record.traceKey.startsWith('0220/');
        epochs.set(record.traceKey, epoch);
        const traceKey = isAgain ? `${record.traceKey}/${++copies}` : record.traceKey;
        return store.commit({ ...wanted, record: { ...record, traceKey } });
      },
    });
  return {
    ...NO_BUG,
    issuerStore,
    onKeyChange: () => {
      epoch += 1;
    },
  };
}

/** Counters of cards are not remembered: a cryptogram pays again. */
export function replayAccepted(): Bug {
  const issuerStore = (store: IssuerStore): IssuerStore =>
    decorate<IssuerStore>(store, {
      async findCard(query) {
        const card = await store.findCard(query);
        return card && { ...card, atcUse: null, atcHighest: 0 };
      },
      commit: (wanted) =>
        store.commit({
          ...wanted,
          ...(wanted.card && { card: { ...wanted.card, usedAtc: null } }),
        }),
    });
  return { ...NO_BUG, issuerStore };
}

/** A reversal is acknowledged, and nothing is given back. */
export function reversalNotDone(): Bug {
  const issuerStore = (store: IssuerStore): IssuerStore =>
    decorate<IssuerStore>(store, {
      commit(wanted) {
        if (wanted.record.kind !== 'reversal') return store.commit(wanted);
        const { record, refusedAhead } = wanted;
        return store.commit({ record, ...(refusedAhead && { refusedAhead }) });
      },
    });
  return { ...NO_BUG, issuerStore };
}

/** A cancelled pre-authorisation stays held. */
export function holdNotReleased(): Bug {
  const issuerStore = (store: IssuerStore): IssuerStore =>
    decorate<IssuerStore>(store, {
      commit(wanted) {
        if (wanted.record.kind !== 'preAuthorisationCancel') return store.commit(wanted);
        const { hold: _kept, ...rest } = wanted;
        return store.commit(rest);
      },
    });
  return { ...NO_BUG, issuerStore };
}

/** The end of a hold frees its money twice. */
export function holdReleasedTwice(): Bug {
  const freed = new Map<string, bigint>();
  const issuerStore = (store: IssuerStore): IssuerStore =>
    decorate<IssuerStore>(store, {
      async findCard(query) {
        const card = await store.findCard(query);
        const more = freed.get(card?.accountId ?? '') ?? 0n;
        if (!card) return null;
        const { heldMinor, availableMinor } = card;
        return { ...card, heldMinor: heldMinor - more, availableMinor: availableMinor + more };
      },
      async commit(wanted) {
        const { hold } = wanted;
        const before = hold ? await store.findHold(hold.hold.holdId) : null;
        const result = await store.commit(wanted);
        if (result !== 'committed' || !hold || before?.state !== 'held') return result;
        const { accountId } = before;
        freed.set(accountId, (freed.get(accountId) ?? 0n) + before.heldMinor);
        return result;
      },
      async readBooks(): Promise<Books> {
        const books = await store.readBooks();
        const accounts = books.accounts.map((account) => {
          const heldMinor = account.heldMinor - (freed.get(account.accountId) ?? 0n);
          return { ...account, heldMinor };
        });
        return { ...books, accounts };
      },
    });
  return { ...NO_BUG, issuerStore };
}

/** Records as of the newest settlement date that was seen. */
export function datedNewest(): (record: RequestRecord | null) => RequestRecord | null {
  let newest = '';
  return (record) => {
    if (!record) return null;
    if (record.settlementDate > newest) newest = record.settlementDate;
    return { ...record, settlementDate: newest };
  };
}
