/**
 * The contract of `IssuerStore`, one suite over the maps and over PostgreSQL: the embedded one,
 * and the one of DATABASE_URL when it is set.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import { IssuerWorld, keyedDigest, NOW_MS, panOf } from './issuer.test-kit.ts';
import {
  clearingAccountId,
  type LedgerTransaction,
  type NewCard,
  NO_CARD_LIMITS,
  type RequestRecord,
} from './model.ts';
import type { IssuerChange, IssuerStore } from './store.ts';
import { MemoryIssuerStore } from './store-memory.ts';
import { openIssuerStore } from './store-postgres.ts';

const SCRATCH = 'issuer_test';
const DAY = '20261125';
let count = 0;
function id(prefix: string): string {
  count += 1;
  return `${prefix}-${count}`;
}

function newCard(balanceMinor = 1000n): NewCard {
  const cardId = id('id');
  return {
    cardId,
    name: 'test',
    panLookup: keyedDigest(cardId),
    panMasked: '629999******0001',
    panSequenceNumber: '01',
    expiryYymm: '3112',
    pvki: '1',
    pvv: '12345678',
    currency: '156',
    state: 'active',
    balanceMinor,
    creditLineMinor: 0n,
    electronicCashMinor: 0n,
    limits: NO_CARD_LIMITS,
    pinFailures: 0,
    opening: {
      transactionId: id('tx'),
      entryIds: [id('entry'), id('entry'), id('entry'), id('entry')],
    },
  };
}

function recordOf(card: NewCard, more: Partial<RequestRecord> = {}): RequestRecord {
  return {
    traceKey: id('trace'),
    kind: 'sale',
    fingerprint: 'F',
    panLookup: card.panLookup,
    cardId: card.cardId,
    amountMinor: 100n,
    currency: '156',
    state: 'declined',
    responseCode: '51',
    approvalCode: null,
    reason: 'funds',
    arqcVerified: true,
    ledgerEntryId: null,
    iccData: '9100',
    additionalAmounts: null,
    originalTraceKey: null,
    returnedMinor: 0n,
    settlementDate: '20261125',
    usageDay: null,
    isNoPin: false,
    retrievalReference: '112512000001',
    answeredAtMs: NOW_MS,
    ...more,
  };
}

function transactionOf(card: NewCard, amountMinor: bigint): LedgerTransaction {
  const currency = '156';
  const customer = { accountId: `card-${card.cardId}`, currency, amountMinor: -amountMinor };
  const clearing = { accountId: clearingAccountId(currency), currency, amountMinor };
  return {
    transactionId: id('tx'),
    kind: 'sale',
    traceKey: null,
    atMs: NOW_MS,
    postings: [
      { entryId: id('entry'), ...customer },
      { entryId: id('entry'), ...clearing },
    ],
  };
}

/** An approved purchase on version 0 of the card. */
function approvalOf(card: NewCard, amountMinor = 100n): IssuerChange {
  const transaction = transactionOf(card, amountMinor);
  const ledgerEntryId = transaction.postings[0]?.entryId ?? null;
  const approved = { state: 'approved', responseCode: '00', reason: null, ledgerEntryId } as const;
  const record = recordOf(card, { ...approved, amountMinor });
  return {
    record,
    card: { cardId: card.cardId, version: 0n, pinFailures: 0, usedAtc: 1, atcUse: 'request' },
    transaction: { ...transaction, traceKey: record.traceKey },
  };
}

type Opened = { readonly store: IssuerStore; readonly url: string | null };

function contract(name: string, open: () => Promise<Opened | null>): void {
  describe(name, () => {
    let opened: Opened | null = null;
    before(async () => {
      opened = await open();
    });
    after(async () => {
      await opened?.store.close();
    });
    const rule = (text: string, run: (store: IssuerStore, url: string | null) => Promise<void>) =>
      test(text, async (t) => {
        if (!opened) return t.skip('no database');
        await run(opened.store, opened.url);
      });
    const view = async (store: IssuerStore, card: NewCard, atc: number | null = null) => {
      const { panLookup, panSequenceNumber } = card;
      const found = await store.findCard({ card: { panLookup, panSequenceNumber }, atc, day: DAY });
      assert.ok(found);
      return found;
    };

    rule('a card comes in once, with its opening balance in the ledger', async (store) => {
      const card = newCard(700n);
      assert.equal(await store.importCards([card], NOW_MS), 1);
      assert.equal(await store.importCards([{ ...newCard(), ...pick(card) }], NOW_MS), 0);
      const found = await view(store, card);
      assert.equal(found.balanceMinor, 700n);
      assert.equal(found.panMasked, '629999******0001');
      const { opening: _, ...facts } = card;
      assert.deepEqual({ ...found, ...facts }, found);
      const poor = { ...newCard(0n), state: 'refused', pinFailures: 3 } as const;
      assert.equal(await store.importCards([poor], NOW_MS), 1);
      const { opening: _poor, ...poorFacts } = poor;
      const seen = await view(store, poor);
      assert.deepEqual({ ...seen, ...poorFacts }, seen);
      const other = { panLookup: card.panLookup, panSequenceNumber: '02' };
      assert.equal(await store.findCard({ card: other, atc: null, day: DAY }), null);
    });

    rule('a commit is read back whole', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const change = approvalOf(card);
      assert.equal(await store.commit(change), 'committed');
      assert.deepEqual(await store.findRequest(change.record.traceKey), change.record);
      const found = await view(store, card, 1);
      assert.deepEqual(
        [found.balanceMinor, found.atcHighest, found.atcUse, found.version],
        [900n, 1, 'request', 1n],
      );
      assert.equal((await view(store, card, 2)).atcUse, null);
      const { transactions } = await store.readBooks();
      const booked = transactions.find(
        ({ transactionId }) => transactionId === change.transaction?.transactionId,
      );
      assert.deepEqual(booked, change.transaction);
    });

    rule('the second commit of one request is a duplicate and writes nothing', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const change = approvalOf(card);
      const second = approvalOf(card);
      const again = { ...second, record: { ...second.record, traceKey: change.record.traceKey } };
      const results = await Promise.all([store.commit(change), store.commit(again)]);
      assert.deepEqual(results.sort(), ['committed', 'duplicate']);
      assert.equal((await view(store, card)).balanceMinor, 900n);
    });

    rule('fifty commits on one version of a card: one wins, the rest are stale', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const changes = Array.from({ length: 50 }, () => approvalOf(card, 1n));
      const results = await Promise.all(changes.map((change) => store.commit(change)));
      assert.equal(results.filter((result) => result === 'committed').length, 1);
      assert.equal(results.filter((result) => result === 'stale').length, 49);
      const found = await view(store, card);
      assert.deepEqual([found.balanceMinor, found.version], [999n, 1n]);
      const { requests } = await store.readBooks();
      assert.equal(requests.filter(({ cardId }) => cardId === card.cardId).length, 1);
    });

    rule('a balance never falls below zero: stale, nothing written', async (store) => {
      const card = newCard(99n);
      await store.importCards([card], NOW_MS);
      const change = approvalOf(card, 100n);
      assert.equal(await store.commit(change), 'stale');
      assert.equal(await store.findRequest(change.record.traceKey), null);
      const found = await view(store, card, 1);
      assert.deepEqual([found.balanceMinor, found.atcUse, found.version], [99n, null, 0n]);
    });

    rule('a counter is used once', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      await store.commit(approvalOf(card));
      const change = approvalOf(card);
      const second = {
        cardId: card.cardId,
        version: 1n,
        pinFailures: 2,
        usedAtc: 1,
        atcUse: 'request',
      } as const;
      assert.equal(await store.commit({ ...change, card: second }), 'stale');
      const lower = { record: recordOf(card), card: { ...second, usedAtc: null } };
      assert.equal(await store.commit(lower), 'committed');
      const found = await view(store, card);
      assert.deepEqual([found.pinFailures, found.atcHighest], [2, 1]);
    });

    rule('an approval is reversed once; an unbooked or reversed one is stale', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const approval = approvalOf(card);
      const reversal = (): IssuerChange => ({
        record: recordOf(card, { kind: 'reversal', state: 'acknowledged', responseCode: '00' }),
        marks: [
          {
            traceKey: approval.record.traceKey,
            ...{ from: 'approved', to: 'reversed' },
            ...{ returnedBeforeMinor: 0n, returnedMinor: 100n },
          },
        ],
        transaction: { ...transactionOf(card, -100n), kind: 'reversal' },
      });
      assert.equal(await store.commit(reversal()), 'stale', 'nothing to reverse yet');
      await store.commit(approval);
      const results = await Promise.all([store.commit(reversal()), store.commit(reversal())]);
      assert.deepEqual(results.sort(), ['committed', 'stale']);
      assert.equal((await view(store, card)).balanceMinor, 1000n);
      const original = await store.findRequest(approval.record.traceKey);
      assert.equal(original?.state, 'reversed');
      assert.deepEqual({ ...original, state: 'approved', returnedMinor: 0n }, approval.record);
    });

    rule('a refused-ahead record keeps its original out', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const late = approvalOf(card);
      const { traceKey } = late.record;
      const refusedAhead = recordOf(card, { traceKey, state: 'refusedAhead', fingerprint: '' });
      const acknowledged = { kind: 'reversal', state: 'acknowledged' } as const;
      const ahead = { record: recordOf(card, acknowledged), refusedAhead };
      assert.equal(await store.commit(ahead), 'committed');
      assert.equal(await store.commit(late), 'duplicate');
      assert.equal((await view(store, card)).balanceMinor, 1000n);
      const tooLate = { record: recordOf(card, acknowledged), refusedAhead };
      assert.equal(await store.commit(tooLate), 'stale');
      assert.equal(await store.findRequest(tooLate.record.traceKey), null);
    });

    rule('entries that do not sum to zero are refused whole', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const change = approvalOf(card);
      const { transaction } = change;
      assert.ok(transaction);
      const postings = transaction.postings.slice(0, 1);
      await assert.rejects(store.commit({ ...change, transaction: { ...transaction, postings } }));
      assert.equal(await store.findRequest(change.record.traceKey), null);
      assert.equal((await view(store, card)).balanceMinor, 1000n);
    });

    rule('the database itself refuses to change books and answers', async (store, url) => {
      if (url === null) return;
      const card = newCard();
      await store.importCards([card], NOW_MS);
      await store.commit(approvalOf(card));
      const client = new pg.Client({ connectionString: url, options: `-c search_path=${SCRATCH}` });
      await client.connect();
      const statements = [
        'UPDATE ledger_entries SET amount_minor = 1',
        'DELETE FROM ledger_entries',
        'TRUNCATE ledger_entries, ledger_transactions CASCADE',
        'UPDATE accounts SET balance_minor = 5 WHERE balance_minor IS NOT NULL',
        `UPDATE requests SET response_code = '05'`,
        `UPDATE requests SET state = 'declined', ledger_entry_id = NULL`,
        'DELETE FROM requests',
        `INSERT INTO ledger_entries VALUES ('x', '${card.opening.transactionId}',
           'card-${card.cardId}', '156', 5)`,
      ];
      for (const statement of statements) {
        await assert.rejects(client.query(statement), { code: '23514' }, statement);
      }
      await client.end();
      assert.equal((await view(store, card)).balanceMinor, 900n);
    });

    rule(
      'the core on this store: approval, repeat, reversal, overtaken original',
      async (store) => {
        const world = await IssuerWorld.open(store);
        const before = await world.balance();
        const original = world.purchase();
        const replies = await Promise.all([1, 2, 3].map(() => world.send(original)));
        assert.deepEqual(
          replies.map((reply) => reply?.code),
          ['00', '00', '00'],
        );
        assert.equal(await world.balance(), before - 1234n);
        assert.equal((await world.send(world.reversal(original)))?.code, '00');
        assert.equal(await world.balance(), before);
        const overtaken = world.purchase();
        assert.equal((await world.send(world.reversal(overtaken)))?.code, '00');
        assert.equal((await world.send(overtaken))?.code, '12');
        assert.equal(await world.balance(), before);
      },
    );

    rule('two cores on one store: fifty purchases of 3 minor units on 100', async (store) => {
      const [one, two] = [await IssuerWorld.open(store), await IssuerWorld.open(store)];
      for (let skip = 0; skip < 500; skip++) two.nextStan();
      const start = await one.balance(2);
      const sent = Array.from({ length: 50 }, (_, index) => {
        const world = index % 2 === 0 ? one : two;
        const atc = 1000 + index;
        return world.send(world.purchase({ account: 2, amount: 3n, atc }));
      });
      const codes = (await Promise.all(sent)).map((reply) => reply?.code ?? 'none');
      const approved = codes.filter((code) => code === '00').length;
      assert.equal(await one.balance(2), start - 3n * BigInt(approved));
      assert.ok((await one.balance(2)) >= 0n);
      assert.ok(approved > 0);
    });

    rule('the keyed digest alone finds a card', async (store) => {
      const books = JSON.stringify(await store.readBooks(), (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      );
      assert.ok(!books.includes(panOf(1)));
    });
  });
}

function pick(card: NewCard): Pick<NewCard, 'panLookup' | 'panSequenceNumber'> {
  return { panLookup: card.panLookup, panSequenceNumber: card.panSequenceNumber };
}

contract('in memory', async () => ({ store: new MemoryIssuerStore(), url: null }));

let embedded: TestDatabase | null = null;
after(() => embedded?.close());
contract('embedded PostgreSQL', async () => {
  embedded = await startTestDatabase();
  if (!embedded) return null;
  const { url } = embedded;
  return { store: await openIssuerStore({ databaseUrl: url, schema: SCRATCH }), url };
});

/** A schema of its own, so that nothing of a database in use is touched. */
const outside = process.env['DATABASE_URL'];
if (outside !== undefined) {
  contract('DATABASE_URL', async () => {
    await dropScratchSchema(outside);
    return {
      store: await openIssuerStore({ databaseUrl: outside, schema: SCRATCH }),
      url: outside,
    };
  });
  after(() => dropScratchSchema(outside));
}

async function dropScratchSchema(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${SCRATCH} CASCADE`);
  await client.end();
}
