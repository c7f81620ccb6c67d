/**
 * The contract of `SwitchStore`, shown on the memory store and on a real PostgreSQL: one row a key,
 * legal moves only, one advice a transaction, leases, and atomic steps under races.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import type { Transaction, TransactionKey } from './model.ts';
import type { NewAdvice, SwitchStore } from './store.ts';
import { MemorySwitchStore } from './store-memory.ts';
import { openSwitchStore } from './store-postgres.ts';

let count = 0;

function transactionOf(changes: Partial<Transaction> = {}): Transaction {
  const number = String(++count).padStart(6, '0');
  return {
    transactionId: `t${number}`,
    memberId: '49990000001',
    acquirerId: '49990000001',
    stan: number,
    transmission: '0314092653',
    terminalId: 'TAP00001',
    kind: 'sale',
    bodyDigest: 'AA',
    destination: 'issuer',
    retrievalReference: `607309${number}`,
    merchantId: '898110000000001',
    amountMinor: 999_999_999_999n,
    currency: '156',
    panMasked: '629999******0017',
    sealedOriginal: 'BB',
    originalId: null,
    endedBy: null,
    state: 'sent',
    responseCode: null,
    approvalCode: null,
    sealedAnswer: null,
    reason: null,
    lateResponseCode: null,
    settlementDate: '20260314',
    reversalDate: null,
    createdAtMs: 1_000,
    updatedAtMs: 1_000,
    ...changes,
  };
}

function keyOf(transaction: Transaction): TransactionKey {
  const { memberId, acquirerId, stan, transmission, terminalId } = transaction;
  return { memberId, acquirerId, stan, transmission, terminalId };
}

function adviceFor(changes: Partial<NewAdvice> = {}): NewAdvice {
  return {
    adviceId: `a${++count}`,
    kind: 'reversal',
    stan: '900001',
    transmission: '0314092655',
    reason: 'noAnswer',
    settlementDate: '20260314',
    nextAtMs: 2_000,
    ...changes,
  };
}
const approval = {
  responseCode: '00',
  approvalCode: 'A1B2C3',
  sealedAnswer: 'CC',
  reason: null,
  neverSent: false,
  atMs: 1_500,
};

/** A new transaction in `store`, to an issuer of its own. */
async function begun(store: SwitchStore, changes: Partial<Transaction> = {}): Promise<Transaction> {
  const transaction = transactionOf(changes);
  const own = { destination: `issuer ${transaction.transactionId}`, ...changes };
  assert.equal(await store.begin({ ...transaction, ...own }), null);
  return { ...transaction, ...own };
}

const claimOf = { leaseMs: 100, limit: 10, oldestDate: '20260313' };

function claim(store: SwitchStore, { destination }: Transaction, nowMs: number) {
  return store.claimAdvices({ ...claimOf, destination: destination ?? '', nowMs });
}

async function adviceOf(store: SwitchStore, { transactionId }: Transaction) {
  return (await store.advices()).find((row) => row.transactionId === transactionId);
}

function suite(open: () => SwitchStore): void {
  test('a written row is found by its key as it was written', async () => {
    const store = open();
    const transaction = await begun(store);
    assert.deepEqual(await store.find(keyOf(transaction)), transaction);
    for (const part of Object.keys(keyOf(transaction))) {
      assert.equal(await store.find({ ...keyOf(transaction), [part]: '7' }), null, part);
    }
    const barrier = { destination: null, amountMinor: null, bodyDigest: null, currency: null };
    const sparse = await begun(store, { ...barrier, panMasked: null, sealedOriginal: null });
    assert.deepEqual(await store.find(keyOf(sparse)), sparse);
  });

  test('one row a key: the second writer gets the first row', async () => {
    const store = open();
    const transaction = transactionOf();
    const copies = Array.from({ length: 8 }, (_, index) => ({
      ...transaction,
      transactionId: `${transaction.transactionId}-${index}`,
    }));
    const results = await Promise.all(copies.map((copy) => store.begin(copy)));
    assert.equal(results.filter((result) => result === null).length, 1);
    const written = await store.find(keyOf(transaction));
    for (const result of results) {
      if (result) assert.equal(result.transactionId, written?.transactionId);
    }
  });

  test('the first final answer counts, a later one is only noted', async () => {
    const store = open();
    const { transactionId } = await begun(store);
    const answered = await store.answer({ ...approval, transactionId });
    assert.equal(answered.state, 'answered');
    assert.equal(answered.sealedAnswer, 'CC');
    const again = await store.answer({ ...approval, transactionId, responseCode: '51' });
    assert.deepEqual([again.responseCode, again.lateResponseCode], ['00', '51']);
    await assert.rejects(store.answer({ ...approval, transactionId: 'none' }), {
      code: 'ERR_SWITCH_STORE',
    });
  });

  test('an answer because nothing was sent takes the destination away', async () => {
    const store = open();
    const { transactionId } = await begun(store);
    const answered = await store.answer({ ...approval, transactionId, neverSent: true });
    assert.equal(answered.destination, null);
    const reversed = await store.reverse({ transactionId, advice: adviceFor(), atMs: 1_600 });
    assert.deepEqual([reversed.moved, reversed.transaction.state], [true, 'reversed']);
    assert.equal(await adviceOf(store, answered), undefined);
  });

  test('an abandoned transaction is unknown and has its advice; a late answer changes nothing', async () => {
    const store = open();
    const transaction = await begun(store);
    const { transactionId } = transaction;
    const advice = adviceFor();
    const unknown = await store.abandon({ transactionId, advice, atMs: 1_600 });
    assert.deepEqual([unknown.state, unknown.reason], ['unknown', 'noAnswer']);
    assert.equal((await adviceOf(store, transaction))?.attempts, 0);
    assert.equal((await store.answer({ ...approval, transactionId })).state, 'unknown');
    assert.equal((await store.noteLate(keyOf(transaction), '51'))?.lateResponseCode, '51');
    assert.equal(await store.noteLate({ ...keyOf(transaction), stan: '0' }, '51'), null);
    const { destination, ...rest } = (await adviceOf(store, transaction)) ?? { destination: '' };
    assert.equal(destination, transaction.destination);
    assert.deepEqual(rest, {
      ...{ transactionId, ...advice },
      ...{ orderKey: transactionId, state: 'open', attempts: 0, refusals: 0 },
      ...{ settledAtMs: null, responseCode: null },
    });
  });

  test('an answered transaction is not abandoned', async () => {
    const store = open();
    const transaction = await begun(store);
    const { transactionId } = transaction;
    await store.answer({ ...approval, transactionId });
    assert.equal(
      (await store.abandon({ transactionId, advice: adviceFor(), atMs: 1 })).state,
      'answered',
    );
    assert.equal(await adviceOf(store, transaction), undefined);
  });

  test('answer and time-out at the same moment: one of them wins, whole', async () => {
    const store = open();
    for (let round = 0; round < 10; round++) {
      const transaction = await begun(store);
      const { transactionId } = transaction;
      await Promise.all([
        store.answer({ ...approval, transactionId }),
        store.abandon({ transactionId, advice: adviceFor(), atMs: 1_600 }),
      ]);
      const state = (await store.find(keyOf(transaction)))?.state;
      const hasAdvice = (await adviceOf(store, transaction)) !== undefined;
      assert.ok(state === 'answered' ? !hasAdvice : state === 'unknown' && hasAdvice);
    }
  });

  test('a reversal moves once and queues one advice, also when several come together', async () => {
    const store = open();
    for (const first of ['sent', 'answered', 'unknown']) {
      const transaction = await begun(store);
      const { transactionId } = transaction;
      if (first === 'answered') await store.answer({ ...approval, transactionId });
      if (first === 'unknown') await store.abandon({ transactionId, advice: adviceFor(), atMs: 1 });
      const stans = ['900002', '900003', '900004'];
      const results = await Promise.all(
        stans.map((stan) =>
          store.reverse({ transactionId, advice: adviceFor({ stan }), atMs: 1_700 }),
        ),
      );
      assert.equal(results.filter(({ moved }) => moved).length, 1, first);
      assert.ok(results.every((result) => result.transaction.state === 'reversing'));
      const kept = await adviceOf(store, transaction);
      assert.equal(kept?.stan === '900001', first === 'unknown');
    }
  });

  test('due advices are claimed once, counted, leased, postponed, and settled', async () => {
    const store = open();
    const transaction = await begun(store);
    const { transactionId } = transaction;
    const advice = adviceFor();
    const { adviceId } = advice;
    await store.abandon({ transactionId, advice, atMs: 1_600 });
    assert.ok(!(await store.dueDestinations(1_999)).includes(transaction.destination ?? ''));
    assert.ok((await store.dueDestinations(2_000)).includes(transaction.destination ?? ''));
    assert.deepEqual(await claim(store, transaction, 1_999), []);
    const claims = await Promise.all([
      claim(store, transaction, 2_000),
      claim(store, transaction, 2_000),
    ]);
    const [claimed, ...others] = claims.flat();
    assert.deepEqual(others, []);
    assert.equal(claimed?.attempts, 1);
    assert.deepEqual(claimed?.of, await store.find(keyOf(transaction)));
    // The lease, then a pause.
    assert.deepEqual(await claim(store, transaction, 2_099), []);
    assert.equal((await claim(store, transaction, 2_100))[0]?.attempts, 2);
    const silence = { adviceId, responseCode: null, refused: false, stuck: false };
    await store.noteTry({ ...silence, nextAtMs: 5_000 });
    assert.deepEqual(await claim(store, transaction, 4_999), []);
    await store.releaseAdvices(3_000);
    assert.equal((await claim(store, transaction, 3_000))[0]?.attempts, 3);
    await store.settleAdvice(adviceId, '00', 3_100);
    assert.equal((await store.find(keyOf(transaction)))?.state, 'reversed');
    await store.settleAdvice(adviceId, '25', 3_200);
    await store.noteTry({ ...silence, nextAtMs: 0 });
    assert.deepEqual(await claim(store, transaction, 9_000), []);
    const settled = await adviceOf(store, transaction);
    assert.deepEqual([settled?.responseCode, settled?.settledAtMs], ['00', 3_100]);
    const again = await store.reverse({ transactionId, advice: adviceFor(), atMs: 3_300 });
    assert.deepEqual([again.moved, again.transaction.state], [false, 'reversed']);
  });

  test('claims are per issuer and bounded', async () => {
    const store = open();
    const destination = `issuer ${++count}`;
    for (let row = 0; row < 3; row++) {
      const { transactionId } = await begun(store, { destination });
      await store.abandon({ transactionId, advice: adviceFor(), atMs: 1 });
    }
    const options = { ...claimOf, destination, nowMs: 2_000, limit: 2 };
    assert.equal((await store.claimAdvices(options)).length, 2);
    assert.equal((await store.claimAdvices(options)).length, 1);
  });

  test('sent transactions are listed by age and number', async () => {
    const store = open();
    const old = await begun(store, { createdAtMs: 10 });
    const older = await begun(store, { createdAtMs: 5 });
    const { transactionId } = await begun(store, { createdAtMs: 1 });
    await store.answer({ ...approval, transactionId });
    const listed = await store.listSent({ beforeMs: 10, limit: 10 });
    assert.deepEqual(
      listed.map((row) => row.transactionId),
      [older.transactionId],
    );
    const both = await store.listSent({ beforeMs: 11, limit: 10 });
    assert.ok(both.some((row) => row.transactionId === old.transactionId));
    assert.equal((await store.listSent({ beforeMs: 11, limit: 1 })).length, 1);
    const all = await store.listSent({ beforeMs: Number.MAX_SAFE_INTEGER, limit: 1_000 });
    assert.ok(all.every(({ state }) => state === 'sent'));
  });

  test('trace numbers are six digits and differ', async () => {
    const store = open();
    const stans = await Promise.all(Array.from({ length: 250 }, () => store.nextStan()));
    assert.equal(new Set(stans).size, 250);
    assert.ok(stans.every((stan) => /^[0-9]{6}$/.test(stan) && stan !== '000000'));
  });
}

describe('in memory', () => {
  const store = new MemorySwitchStore();
  suite(() => store);
});

const database: TestDatabase | null = await startTestDatabase();
after(() => database?.close());

describe('in PostgreSQL', { skip: database === null }, () => {
  const options = { databaseUrl: database?.url ?? '', schema: 'switch' };
  let store: SwitchStore;
  before(async () => {
    store = await openSwitchStore(options);
  });
  after(() => store.close());
  suite(() => store);

  test('what is written is there for another process, whose trace numbers differ', async () => {
    const transaction = await begun(store);
    const other = await openSwitchStore(options);
    try {
      assert.deepEqual(await other.find(keyOf(transaction)), transaction);
      assert.notEqual(await other.nextStan(), await store.nextStan());
    } finally {
      await other.close();
    }
  });

  test('the database refuses a move that the table of moves does not have', async () => {
    const { transactionId } = await begun(store);
    await store.answer({ ...approval, transactionId });
    const client = new pg.Client({ connectionString: options.databaseUrl });
    await client.connect();
    try {
      for (const state of ['sent', 'unknown', 'paid']) {
        await assert.rejects(
          client.query('UPDATE switch.transactions SET state = $2 WHERE transaction_id = $1', [
            transactionId,
            state,
          ]),
          { code: '23514' },
        );
      }
    } finally {
      await client.end();
    }
  });
});
