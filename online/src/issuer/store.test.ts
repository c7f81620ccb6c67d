/** The contract of `IssuerStore`, one suite over the maps and over PostgreSQL. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import type { AdminChange, IssuerAdmin } from './admin.ts';
import { HOLD_MS } from './card-request.ts';
import { IssuerWorld, keyedDigest, NOW_MS, panOf, textOf } from './issuer.test-kit.ts';
import {
  clearingAccountId,
  type Hold,
  type LedgerTransaction,
  type NewCard,
  NO_CARD_LIMITS,
  type RequestRecord,
} from './model.ts';
import { settlementDay } from './settlement.ts';
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

/** A pair of entries that balances, on one account. */
function entriesOf(transactionId: string, accountId: string, currency: string): string[] {
  const rest = `'${transactionId}', '${accountId}', '${currency}'`;
  return [`INSERT INTO ledger_entries VALUES ('up', ${rest}, 5), ('down', ${rest}, -5)`];
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

/** A pre-authorisation and its hold. */
function holdOf(
  card: NewCard,
  amountMinor: bigint,
): IssuerChange & { readonly hold: { readonly from: null; readonly hold: Hold } } {
  const approved = { state: 'approved', responseCode: '00', reason: null } as const;
  const record = recordOf(card, { kind: 'preAuthorisation', ...approved, amountMinor });
  const hold: Hold = {
    holdId: record.traceKey,
    accountId: `card-${card.cardId}`,
    amountMinor,
    heldMinor: amountMinor,
    postedMinor: 0n,
    state: 'held',
    expiresAtMs: NOW_MS + HOLD_MS,
  };
  return { record, hold: { from: null, hold } };
}

type Store = IssuerStore & IssuerAdmin;
type Opened = { readonly store: Store; readonly url: string | null };

function contract(name: string, open: () => Promise<Opened | null>): void {
  describe(name, () => {
    let opened: Opened | null = null;
    before(async () => {
      opened = await open();
    });
    after(async () => {
      await opened?.store.close();
    });
    const rule = (text: string, run: (store: Store, url: string | null) => Promise<void>) =>
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

    rule(
      'a counter is burnt for a token once, upwards only, and pays nothing then',
      async (store) => {
        const card = newCard();
        await store.importCards([card], NOW_MS);
        const { cardId } = card;
        const burnt = await Promise.all(Array.from({ length: 8 }, () => store.burnAtc(cardId, 7)));
        assert.equal(burnt.filter(Boolean).length, 1);
        assert.equal(await store.burnAtc(cardId, 6), false);
        assert.equal(await store.burnAtc('nobody', 9), false);
        const { panLookup, panSequenceNumber } = card;
        const query = { card: { panLookup, panSequenceNumber }, atc: 7, day: '20261125' };
        const found = await store.findCard(query);
        assert.deepEqual([found?.atcHighest, found?.atcUse, found?.version], [7, 'token', 1n]);
      },
    );

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
      await store.commit(holdOf(card, 50n));
      const statements = [
        'UPDATE accounts SET held_minor = 0',
        'UPDATE holds SET held_minor = 60',
        'UPDATE holds SET posted_minor = 1',
        'DELETE FROM holds',
        `INSERT INTO admin_audit VALUES ('1', 1, '', 'why', 'pinTries', 's', '', '')`,
        'UPDATE requests SET returned_minor = amount_minor + 1',
        'UPDATE requests SET returned_minor = -1',
        'UPDATE ledger_entries SET amount_minor = 1',
        'DELETE FROM ledger_entries',
        'TRUNCATE ledger_entries, ledger_transactions CASCADE',
        'UPDATE accounts SET balance_minor = 5 WHERE balance_minor IS NOT NULL',
        `UPDATE requests SET response_code = '05'`,
        `UPDATE requests SET state = 'declined', ledger_entry_id = NULL`,
        'DELETE FROM requests',
        `INSERT INTO ledger_entries VALUES ('x', '${card.opening.transactionId}',
           'card-${card.cardId}', '156', 5)`,
        ...entriesOf('nothing', 'clearing-156', '156'),
        ...entriesOf(card.opening.transactionId, 'nobody', '156'),
        ...entriesOf(card.opening.transactionId, `card-${card.cardId}`, '840'),
        ...entriesOf(card.opening.transactionId, 'clearing-156', '840'),
        'DELETE FROM accounts',
        `UPDATE accounts SET account_id = account_id || '-'`,
        `UPDATE accounts SET currency = '840'`,
        'DELETE FROM card_atcs',
        'UPDATE card_atcs SET atc = 1',
        'DELETE FROM cards',
        `UPDATE cards SET card_id = 'other'`,
      ];
      for (const statement of statements) {
        await assert.rejects(client.query(statement), { code: '23514' }, statement);
      }
      const orphans = [
        `INSERT INTO card_atcs VALUES ('nobody', 1, 'request')`,
        `INSERT INTO ledger_transactions VALUES ('orphan', 'sale', 'nothing', 1)`,
        `INSERT INTO requests SELECT (jsonb_populate_record(requests,
           '{"trace_key": "orphan", "card_id": "nobody"}')).* FROM requests LIMIT 1`,
      ];
      for (const orphan of orphans) {
        await assert.rejects(client.query(orphan), { code: '23503' }, orphan);
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

    rule(
      'a hold takes from what is available, once; its change must start from its state',
      async (store) => {
        const card = newCard(100n);
        await store.importCards([card], NOW_MS);
        const open = holdOf(card, 80n);
        assert.equal(await store.commit(open), 'committed');
        const { hold } = open.hold;
        const money = async () => {
          const found = await view(store, card);
          return [found.balanceMinor, found.heldMinor, found.availableMinor];
        };
        assert.deepEqual(await store.findHold(hold.holdId), hold);
        assert.deepEqual(await money(), [100n, 80n, 20n]);
        assert.equal(await store.commit(holdOf(card, 21n)), 'stale', 'more than is available');
        const { card: _card, ...sale } = approvalOf(card, 21n);
        assert.equal(await store.commit(sale), 'stale');
        const posted = { ...hold, heldMinor: 0n, postedMinor: 60n, state: 'posted' } as const;
        const complete = (): IssuerChange => {
          const { transaction: _, ...rest } = approvalOf(card, 60n);
          const record = { ...rest.record, kind: 'completionAdvice' } as const;
          const transaction = { ...transactionOf(card, 60n), traceKey: record.traceKey };
          return { record, transaction, hold: { from: 'held', hold: posted } };
        };
        const results = await Promise.all([store.commit(complete()), store.commit(complete())]);
        assert.deepEqual(results.sort(), ['committed', 'stale']);
        assert.deepEqual(await money(), [40n, 0n, 40n]);
        const again = { ...hold, heldMinor: 30n, postedMinor: 0n, state: 'held' } as const;
        const record = recordOf(card);
        assert.equal(
          await store.commit({ record, hold: { from: 'released', hold: again } }),
          'stale',
        );
        assert.equal(
          await store.commit({ record, hold: { from: 'posted', hold: again } }),
          'committed',
        );
        assert.deepEqual(await money(), [40n, 30n, 10n]);
        assert.deepEqual(
          (await store.readBooks()).holds.find(({ holdId }) => holdId === hold.holdId),
          again,
        );
      },
    );

    rule('holds end when their time is over, however many jobs look', async (store) => {
      const card = newCard(100n);
      await store.importCards([card], NOW_MS);
      for (const amount of [10n, 20n, 30n]) await store.commit(holdOf(card, amount));
      const end = NOW_MS + HOLD_MS;
      assert.equal(await store.expireHolds(end - 1, 10), 0);
      const counts = await Promise.all([1, 2, 3, 4].map(() => store.expireHolds(end, 2)));
      const rest = await store.expireHolds(end, 10);
      const mine = (await store.readBooks()).holds.filter(
        ({ accountId }) => accountId === `card-${card.cardId}`,
      );
      assert.ok(counts.every((count) => count <= 2));
      assert.ok(counts.reduce((sum, count) => sum + count, rest) >= 3);
      assert.deepEqual(
        mine.map(({ state, heldMinor }) => [state, heldMinor]),
        [
          ['expired', 0n],
          ['expired', 0n],
          ['expired', 0n],
        ],
      );
      assert.equal((await view(store, card)).availableMinor, 100n);
      assert.equal(await store.expireHolds(end, 10), 0);
    });

    rule('a card’s day gains what is paid and loses what is undone', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const use = (count: number, amountMinor: bigint, noPinMinor: bigint, day = DAY) =>
        store.commit({
          record: recordOf(card),
          usage: { cardId: card.cardId, day, count, amountMinor, noPinMinor },
        });
      await use(1, 100n, 0n);
      await use(1, 50n, 50n);
      await use(1, 7n, 7n, '20261126');
      await use(-1, -100n, 0n);
      const { usage } = await view(store, card);
      assert.deepEqual(usage, { amountMinor: 50n, count: 1, noPinMinor: 50n });
      await use(-1, -50n, -50n);
      assert.deepEqual((await view(store, card)).usage, {
        amountMinor: 0n,
        count: 0,
        noPinMinor: 0n,
      });
    });

    rule('no more is given back than was captured, whoever asks', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const sale = approvalOf(card, 100n);
      await store.commit(sale);
      const refund = (from: bigint, to: bigint): IssuerChange => ({
        record: recordOf(card, { kind: 'refund', state: 'approved', responseCode: '00' }),
        marks: [
          {
            traceKey: sale.record.traceKey,
            ...{ from: 'approved', to: 'approved' },
            ...{ returnedBeforeMinor: from, returnedMinor: to },
          },
        ],
      });
      const results = await Promise.all([
        store.commit(refund(0n, 60n)),
        store.commit(refund(0n, 60n)),
      ]);
      assert.deepEqual(results.sort(), ['committed', 'stale']);
      await Promise.resolve(store.commit(refund(60n, 101n))).then(
        (result) => assert.equal(result, 'stale'),
        (error: { constraint?: string }) =>
          assert.equal(error.constraint, 'requests_returned_within'),
      );
      assert.equal(await store.commit(refund(60n, 100n)), 'committed');
      assert.equal((await store.findRequest(sale.record.traceKey))?.returnedMinor, 100n);
    });

    rule(
      'fifty parallel refunds of two cores: exactly as many as the sale has room for',
      async (store) => {
        const [one, two] = [await IssuerWorld.open(store), await IssuerWorld.open(store)];
        for (let skip = 0; skip < 2000; skip++) one.nextStan();
        for (let skip = 0; skip < 2500; skip++) two.nextStan();
        const start = await one.balance();
        const message = one.purchase({ amount: 1000n, atc: 2000 });
        const { code, approvalCode = null } = (await one.send(message)) ?? {};
        assert.equal(code, '00');
        const sent = Array.from({ length: 50 }, (_, index) => {
          const world = index % 2 === 0 ? one : two;
          return world.send(world.followUp('refund', { message, approvalCode }, { amount: 30n }));
        });
        const codes = (await Promise.all(sent)).map((reply) => reply?.code ?? 'none');
        const count = (wanted: string) => codes.filter((one) => one === wanted).length;
        assert.deepEqual([count('00'), count('64'), count('none')], [33, 17, 0]);
        assert.equal(await one.balance(), start - 1000n + 33n * 30n);
      },
    );

    rule(
      'fifty parallel sales, holds and cancellations of two cores: never below zero',
      async (store) => {
        const [one, two] = [await IssuerWorld.open(store), await IssuerWorld.open(store)];
        for (let skip = 0; skip < 4000; skip++) one.nextStan();
        for (let skip = 0; skip < 4500; skip++) two.nextStan();
        const account = 7;
        const before = await one.card(account);
        const sent = Array.from({ length: 50 }, async (_, index) => {
          const world = index % 2 === 0 ? one : two;
          const kind = index % 3 === 0 ? 'preAuthorisation' : 'sale';
          const message = world.purchase({ kind, account, amount: 300n, atc: 3000 + index });
          const reply = await world.send(message);
          if (kind === 'sale' || reply?.code !== '00' || index % 2 === 0)
            return [kind, reply?.code];
          const { approvalCode } = reply;
          await world.send(world.followUp('preAuthorisationCancel', { message, approvalCode }));
          return ['cancelled', '00'];
        });
        const ended = await Promise.all(sent);
        const count = (wanted: string) =>
          BigInt(ended.filter(([kind, code]) => kind === wanted && code === '00').length);
        const after = await one.card(account);
        assert.equal(before.balanceMinor - after.balanceMinor, 300n * count('sale'));
        assert.equal(after.heldMinor - before.heldMinor, 300n * count('preAuthorisation'));
        assert.ok(after.availableMinor >= 0n);
        assert.ok(count('sale') > 0n);
      },
    );

    rule('a day of settlement is what moved through the clearing on it', async (store) => {
      const world = await IssuerWorld.open(store);
      for (let skip = 0; skip < 6000; skip++) world.nextStan();
      const day = '20270115';
      const fields = [[15, '0115']] as const;
      world.clock.set(Date.UTC(2027, 0, 15, 4));
      const sale = async (amount: bigint, atc: number) => {
        const message = world.purchase({ amount, atc, fields });
        const reply = await world.send(message);
        return { message, approvalCode: reply?.approvalCode ?? null };
      };
      const [first, second] = [await sale(1000n, 4000), await sale(200n, 4001)];
      await world.send(world.followUp('refund', first, { amount: 300n, fields }));
      await world.send(world.reversal(second.message, fields));
      await world.send(world.followUp('refund', first, { amount: 50n, fields: [[15, '0116']] }));
      const settled = settlementDay(day, await store.settlementLines(day));
      assert.deepEqual(
        settled.totals.map(({ kind, count, amountMinor }) => [kind, count, amountMinor]).sort(),
        [
          ['refund', 1, -300n],
          ['reversal', 1, -200n],
          ['sale', 2, 1200n],
        ],
      );
      assert.deepEqual([...settled.netMinor], [['156', 700n]]);
      assert.equal(settled.lines[0]?.retrievalReference, textOf(first.message, 37));
      assert.equal((await store.settlementLines('20270116')).length, 1);
      assert.deepEqual(await store.settlementLines('20270117'), []);
    });

    rule('an operator’s act changes one thing and is written down, or neither', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const { cardId, panLookup, panMasked } = card;
      const done: string[] = [];
      const change = async (wanted: AdminChange): Promise<boolean> => {
        const auditId = id('audit');
        const atMs = NOW_MS + count;
        const isDone = await store.change(wanted, { auditId, actor: 'tester', note: 'why', atMs });
        if (isDone) done.unshift(auditId);
        return isDone;
      };
      await store.commit({
        record: recordOf(card),
        card: { cardId, version: 0n, pinFailures: 3, usedAtc: null, atcUse: 'request' },
      });
      assert.ok(await change({ action: 'cardState', cardId, state: 'lost' }));
      assert.ok(await change({ action: 'pinTries', cardId }));
      const limits = { dayCount: 3, noPinMinor: 5n };
      assert.ok(await change({ action: 'limits', cardId, limits }));
      assert.ok(await change({ action: 'hotListed', panLookup, panMasked, reason: '41' }));
      assert.ok(await change({ action: 'hotListed', panLookup, panMasked, reason: '43' }));
      const found = await view(store, card);
      assert.deepEqual(
        [found.state, found.pinFailures, found.hotReason, found.limits],
        ['lost', 0, '43', { ...NO_CARD_LIMITS, ...limits }],
      );
      assert.equal(found.version, 4n, 'a decision that is under way is made anew');
      assert.ok((await store.hotList()).some((entry) => entry.panLookup === panLookup));
      const listed = (await store.cards()).find((one) => one.cardId === cardId);
      assert.deepEqual([listed?.state, listed?.hotReason], ['lost', '43']);
      assert.ok(await change({ action: 'hotDelisted', panLookup }));
      assert.equal(await change({ action: 'hotDelisted', panLookup }), false);
      assert.equal(await change({ action: 'pinTries', cardId: 'nobody' }), false);
      assert.equal((await view(store, card)).hotReason, null);
      const lines = (await store.audit(1000)).filter(({ auditId }) => done.includes(auditId));
      assert.deepEqual(
        lines.map(({ auditId }) => auditId),
        done,
      );
      assert.deepEqual(
        lines
          .map(({ action, before, after }) => [action, before, after])
          .filter(([a]) => a !== 'limits'),
        [
          ['hotDelisted', '43', ''],
          ['hotListed', '41', '43'],
          ['hotListed', '', '41'],
          ['pinTries', '3', '0'],
          ['cardState', 'active', 'lost'],
        ],
      );
    });

    rule('a work item is closed once', async (store) => {
      const card = newCard();
      await store.importCards([card], NOW_MS);
      const record = recordOf(card);
      const item = {
        ...({ itemId: id('item'), kind: 'adviceRefused', traceKey: record.traceKey } as const),
        ...{ cardId: card.cardId, amountMinor: 5n, currency: '156', note: 'n', openedAtMs: NOW_MS },
      };
      await store.commit({ record, workItems: [item] });
      const open = async () =>
        (await store.workItems()).filter(({ itemId }) => itemId === item.itemId);
      assert.deepEqual(await open(), [item]);
      const act = () => ({ auditId: id('audit'), actor: 'tester', note: 'seen', atMs: NOW_MS });
      const close = () => store.change({ action: 'workItemClosed', itemId: item.itemId }, act());
      assert.deepEqual([await close(), await close()], [true, false]);
      assert.deepEqual(await open(), []);
    });

    rule(
      'of many at once, a stale one and a copy are told apart and spoil no other',
      async (store) => {
        const cards = Array.from({ length: 30 }, () => newCard(1000n));
        await store.importCards(cards, NOW_MS);
        const changes = cards.map((card, place) => {
          const change = approvalOf(card, place === 4 ? 1001n : 100n);
          if (place !== 8 || !change.card) return change;
          return { ...change, card: { ...change.card, version: 7n } };
        });
        const [first] = changes;
        assert.ok(first);
        const ends = await Promise.all([...changes, first].map((change) => store.commit(change)));
        const expected = new Map([
          [4, 'stale'],
          [8, 'stale'],
          [30, 'duplicate'],
        ]);
        assert.deepEqual(
          ends,
          ends.map((_, place) => expected.get(place) ?? 'committed'),
        );
        const views = await Promise.all(cards.map((card) => view(store, card, 1)));
        for (const [place, { balanceMinor, version }] of views.entries()) {
          const isUntouched = place === 4 || place === 8;
          assert.deepEqual([balanceMinor, version], isUntouched ? [1000n, 0n] : [900n, 1n]);
        }
      },
    );

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

let database: TestDatabase | null = null;
after(() => database?.close());
contract('PostgreSQL', async () => {
  database = await startTestDatabase();
  if (!database) return null;
  const { url } = database;
  return { store: await openIssuerStore({ databaseUrl: url, schema: SCRATCH }), url };
});
