/**
 * The contract of `SwitchStore`, shown on the memory store and on a real PostgreSQL: one row a key,
 * legal moves only, one advice a transaction, leases and order of advices, ends of originals, days
 * booked once, and atomic steps under races.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import type { Booking, Transaction, TransactionKey } from './model.ts';
import type { BookingPlace, NewAdvice, NewCutOff, SwitchStore } from './store.ts';
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

  test('an advice and what its issuer is owed are one step; a copy finds the first', async () => {
    const store = open();
    const taken = transactionOf({ kind: 'refund', state: 'answered', responseCode: '00' });
    const destination = `issuer ${taken.transactionId}`;
    const copies = Array.from({ length: 6 }, (_, index) => ({
      ...taken,
      destination,
      transactionId: `${taken.transactionId}-${index}`,
    }));
    const results = await Promise.all(
      copies.map((copy) => store.takeAdvice(copy, adviceFor({ kind: 'advice' }))),
    );
    assert.equal(results.filter((result) => result === null).length, 1);
    const written = await store.find(keyOf(taken));
    const [owed, ...others] = await claim(store, { ...taken, destination }, 2_000);
    assert.deepEqual(others, []);
    assert.deepEqual(owed?.of, written);
    assert.deepEqual([owed?.kind, owed?.orderKey], ['advice', written?.transactionId]);
    assert.equal(await store.owedKind(written?.transactionId ?? ''), 'advice');
    await store.settleAdvice(owed?.adviceId ?? '', '00', 2_500);
    assert.equal(await store.owedKind(written?.transactionId ?? ''), null);
    // It is a fact: its acknowledgement changes nothing of it.
    assert.deepEqual(await store.find(keyOf(taken)), written);
  });

  test('order is kept inside one original only, and what is stuck holds up nothing', async () => {
    const store = open();
    const sale = await begun(store);
    await store.answer({ ...approval, transactionId: sale.transactionId });
    const destination = sale.destination ?? '';
    const refund = async (originalId: string | null): Promise<string> => {
      const row = transactionOf({ kind: 'refund', state: 'answered', responseCode: '00' });
      const advice = adviceFor({ kind: 'advice' });
      await store.takeAdvice({ ...row, originalId, destination }, advice);
      return advice.adviceId;
    };
    const [first, second, other] = [
      await refund(sale.transactionId),
      await refund(sale.transactionId),
      await refund(null),
    ];
    const ids = async (nowMs: number): Promise<readonly string[]> =>
      (await claim(store, sale, nowMs)).map(({ adviceId }) => adviceId).sort();
    assert.deepEqual(await ids(2_000), [first, other].sort());
    const poison = { adviceId: first, nextAtMs: 9_000, responseCode: '30', refused: true };
    await store.noteTry({ ...poison, refused: false, stuck: false });
    assert.deepEqual(await ids(2_200), [other]);
    await store.noteTry({ ...poison, stuck: true });
    assert.deepEqual(await ids(2_400), [other, second].sort());
    const stuck = (await store.advices()).find(({ adviceId }) => adviceId === first);
    assert.deepEqual(
      [stuck?.state, stuck?.refusals, stuck?.attempts, stuck?.responseCode],
      ['stuck', 1, 1, '30'],
    );
    assert.ok((await store.stuckAdvices(100)).some(({ adviceId }) => adviceId === first));
    // A person lets it go again, as one of another day.
    const retry = { adviceId: first, settlementDate: '20260316', nowMs: 3_000 };
    const again = await store.retryAdvice(retry);
    assert.deepEqual(
      [again?.state, again?.refusals, again?.settlementDate, again?.nextAtMs],
      ['open', 0, '20260316', 3_000],
    );
    assert.equal(await store.retryAdvice(retry), null);
    assert.ok((await ids(3_000)).includes(first));
  });

  test('the refund of a completion waits until the issuer has the completion', async () => {
    const store = open();
    const hold = await begun(store, { kind: 'preAuthorisation' });
    await store.answer({ ...approval, transactionId: hold.transactionId });
    const destination = hold.destination ?? '';
    const take = async (kind: 'completionAdvice' | 'refund', originalId: string) => {
      const row = transactionOf({ kind, state: 'answered', responseCode: '00', originalId });
      const advice = adviceFor({ kind: 'advice' });
      await store.takeAdvice({ ...row, destination }, advice);
      return { ...advice, transactionId: row.transactionId };
    };
    const completion = await take('completionAdvice', hold.transactionId);
    const refund = await take('refund', completion.transactionId);
    const ids = async (nowMs: number): Promise<readonly string[]> =>
      (await claim(store, hold, nowMs)).map(({ adviceId }) => adviceId);
    assert.deepEqual(await ids(2_000), [completion.adviceId]);
    await store.settleAdvice(completion.adviceId, '00', 2_050);
    assert.deepEqual(await ids(2_200), [refund.adviceId]);
  });

  test('an advice is not sent across its settlement days, and not dropped', async () => {
    const store = open();
    const old = await begun(store);
    const { adviceId, ...advice } = adviceFor({ settlementDate: '20250101' });
    const { transactionId } = old;
    await store.abandon({ transactionId, advice: { ...advice, adviceId }, atMs: 1 });
    assert.deepEqual(await claim(store, old, 5_000), []);
    assert.equal(await store.expireAdvices('20250101'), 0);
    assert.equal(await store.expireAdvices('20250102'), 1);
    assert.equal((await adviceOf(store, old))?.state, 'stuck');
    await store.noteTry({
      ...{ adviceId, nextAtMs: 0, responseCode: null, refused: false, stuck: false },
    });
    assert.equal((await adviceOf(store, old))?.state, 'stuck');
    // A late acknowledgement still settles it.
    await store.settleAdvice(adviceId, '00', 6_000);
    assert.equal((await store.find(keyOf(old)))?.state, 'reversed');
  });

  test('a transaction ends once, shows by what, and is free when that is reversed', async () => {
    const store = open();
    const sale = await begun(store);
    await store.answer({ ...approval, transactionId: sale.transactionId });
    const ending = { kind: 'saleVoid', originalId: sale.transactionId } as const;
    const endedBy = async (): Promise<string | null | undefined> =>
      (await store.find(keyOf(sale)))?.endedBy;
    const refused = await begun(store, ending);
    const refusal = { ...approval, transactionId: refused.transactionId, responseCode: '12' };
    await store.answer(refusal);
    assert.equal(await endedBy(), null);
    const [one, two] = [await begun(store, ending), await begun(store, ending)];
    await store.answer({ ...approval, transactionId: one.transactionId });
    assert.equal(await endedBy(), one.transactionId);
    await assert.rejects(store.answer({ ...approval, transactionId: two.transactionId }));
    assert.equal((await store.find(keyOf(two)))?.state, 'sent');
    const advice = adviceFor();
    await store.reverse({ transactionId: one.transactionId, advice, atMs: 2_000 });
    assert.equal(await endedBy(), one.transactionId);
    await store.settleAdvice(advice.adviceId, '00', 2_500);
    assert.equal(await endedBy(), null);
    await store.answer({ ...approval, transactionId: two.transactionId });
    assert.equal(await endedBy(), two.transactionId);
  });

  test('the void of a completion frees the pre-authorisation; its reversal binds it again', async () => {
    const store = open();
    const hold = await begun(store, { kind: 'preAuthorisation' });
    await store.answer({ ...approval, transactionId: hold.transactionId });
    const ends = async (): Promise<readonly (string | null | undefined)[]> => [
      (await store.find(keyOf(hold)))?.endedBy,
      (await store.find(keyOf(completion)))?.endedBy,
    ];
    const completion = transactionOf({
      ...{ kind: 'completionAdvice', originalId: hold.transactionId },
      ...{ state: 'answered', responseCode: '00' },
    });
    assert.equal(await store.takeAdvice(completion, adviceFor({ kind: 'advice' })), null);
    assert.deepEqual(await ends(), [completion.transactionId, null]);
    const undo = await begun(store, {
      ...{ kind: 'completionVoid', originalId: completion.transactionId },
    });
    await store.answer({ ...approval, transactionId: undo.transactionId });
    assert.deepEqual(await ends(), [null, undo.transactionId]);
    const advice = adviceFor();
    await store.reverse({ transactionId: undo.transactionId, advice, atMs: 2_000 });
    await store.settleAdvice(advice.adviceId, '00', 2_500);
    assert.deepEqual(await ends(), [completion.transactionId, null]);
  });

  const bookingsOf = async (store: SwitchStore, settlementDate: string) => {
    const pages = [];
    for (let after: BookingPlace | null = null; ; ) {
      const page: readonly Booking[] = await store.listBookings({
        ...{ settlementDate, after, limit: 2 },
      });
      pages.push(...page);
      const last = page.at(-1);
      if (page.length < 2 || !last) break;
      after = { transactionId: last.of.transactionId, leg: last.leg };
    }
    return pages.map(({ leg, of }) => `${of.transactionId} ${leg}`);
  };
  const turn = (store: SwitchStore, settlementDate: string) =>
    store.turnDay({ settlementDate, atMs: 1, cutOffs: [] });
  const close = (store: SwitchStore, settlementDate: string, cutOffs: NewCutOff[] = []) =>
    store.closeDay({ settlementDate, oldestDate: '20300101', atMs: 9, cutOffs });

  test('a day is booked once; each transaction and reversal is in exactly one day', async () => {
    const store = open();
    await turn(store, '20300105');
    await turn(store, '20300106');
    const ofDay = { settlementDate: '20300105' };
    const kept = await begun(store, ofDay);
    const undone = await begun(store, ofDay);
    const later = await begun(store, ofDay);
    const lost = await begun(store, ofDay);
    for (const { transactionId } of [kept, undone, later]) {
      await store.answer({ ...approval, transactionId });
    }
    assert.deepEqual(await close(store, '20300105'), { open: 1 });
    const { transactionId } = lost;
    await store.abandon({ transactionId, advice: adviceFor(ofDay), atMs: 1 });
    const reverse = (row: Transaction, settlementDate: string) =>
      store.reverse({
        transactionId: row.transactionId,
        advice: adviceFor({ settlementDate }),
        atMs: 2,
      });
    await reverse(undone, '20300105');
    await reverse(lost, '20300105');
    const outcomes = await Promise.all([1, 2, 3].map(() => close(store, '20300105')));
    assert.deepEqual(outcomes.sort(), ['closed', 'closedBefore', 'closedBefore']);
    const first = await bookingsOf(store, '20300105');
    const legs = (...rows: readonly (readonly [Transaction, string])[]): readonly string[] =>
      rows.map(([row, leg]) => `${row.transactionId} ${leg}`).sort();
    const ofLost = [lost, 'original'] as const;
    assert.deepEqual(
      first,
      legs(
        [kept, 'original'],
        [undone, 'original'],
        [undone, 'reversal'],
        [later, 'original'],
        ofLost,
      ),
    );
    // What raced with the close, and what is undone later, comes with the next day.
    await reverse(later, '20300106');
    const raced = await begun(store, ofDay);
    await store.answer({ ...approval, transactionId: raced.transactionId });
    assert.equal(await close(store, '20300106'), 'closed');
    assert.deepEqual(
      await bookingsOf(store, '20300106'),
      legs([later, 'reversal'], [raced, 'original']),
    );
    assert.deepEqual(await bookingsOf(store, '20300105'), first);
    assert.equal(await close(store, '20300104'), 'unknownDay');
    const [day] = (await store.days(100)).filter((row) => row.settlementDate === '20300105');
    assert.deepEqual(day, { settlementDate: '20300105', begunAtMs: 1, closedAtMs: 9 });
  });

  test('a barrier and a message of no kind are in no day', async () => {
    const store = open();
    await turn(store, '20300111');
    const ofDay = { settlementDate: '20300111', kind: null, state: 'reversed' } as const;
    await begun(store, { ...ofDay, reversalDate: '20300111' });
    assert.equal(await close(store, '20300111'), 'closed');
    assert.deepEqual(await bookingsOf(store, '20300111'), []);
  });

  test('a turn of the day is announced once to each member, the first of all to nobody', async () => {
    const store = open();
    const member = `member ${++count}`;
    const cutOff = (reason: string, settlementDate: string): NewCutOff => ({
      ...adviceFor({ kind: 'cutOff', reason, settlementDate }),
      destination: member,
    });
    await turn(store, '20300120');
    const next = { settlementDate: '20300121', atMs: 5, cutOffs: [cutOff('201', '20300121')] };
    const turns = await Promise.all([1, 2, 3].map(() => store.turnDay(next)));
    assert.deepEqual(turns.sort(), [false, false, true]);
    await close(store, '20300120', [cutOff('202', '20300121')]);
    await close(store, '20300120', [cutOff('202', '20300121')]);
    const own = (await store.advices()).filter(({ destination }) => destination === member);
    assert.deepEqual(
      own.map(({ reason }) => reason),
      ['201', '202'],
    );
    assert.ok(
      own.every(
        ({ transactionId, orderKey }) => transactionId === null && orderKey === `cutOff ${member}`,
      ),
    );
    const query = { ...claimOf, destination: member, oldestDate: '20300121' };
    // The end of a cut-off does not overtake its beginning.
    const [begins, ...others] = await store.claimAdvices({ ...query, nowMs: 2_000 });
    assert.deepEqual([begins?.reason, begins?.of, others], ['201', null, []]);
    await store.settleAdvice(begins?.adviceId ?? '', '00', 2_001);
    const [ends] = await store.claimAdvices({ ...query, nowMs: 2_000 });
    assert.equal(ends?.reason, '202');
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

  test('of many at once a bad row fails alone, and a copy finds the first', async () => {
    const many = Array.from({ length: 40 }, (_, place) =>
      transactionOf(place === 17 ? { settlementDate: 'no date' } : {}),
    );
    const [first] = many;
    assert.ok(first);
    many.push({ ...first, transactionId: 'copy' });
    const ends = await Promise.allSettled(many.map((transaction) => store.begin(transaction)));
    for (const [place, end] of ends.entries()) {
      if (place === 17) assert.equal(end.status, 'rejected');
      else assert.deepEqual(end, { status: 'fulfilled', value: place === 40 ? first : null });
    }
    const known = many.filter((_, place) => place !== 17 && place !== 40);
    const answers = known.map(({ transactionId }, place) => ({
      ...{ ...approval, transactionId },
      responseCode: place === 5 ? 'three' : '00',
      atMs: place === 9 ? Number.MAX_VALUE : 1_500,
    }));
    const answered = await Promise.allSettled(answers.map((answer) => store.answer(answer)));
    for (const [place, end] of answered.entries()) {
      assert.equal(end.status, place === 9 ? 'rejected' : 'fulfilled', String(place));
    }
    const rows = await Promise.all(known.map((transaction) => store.find(keyOf(transaction))));
    assert.deepEqual(
      rows.map((row) => row?.state),
      known.map((_, place) => (place === 9 ? 'sent' : 'answered')),
    );
  });

  test('a sudden queue is claimed at once, though the planner has not seen it yet', async () => {
    const transaction = await begun(store);
    const client = new pg.Client({ connectionString: options.databaseUrl });
    await client.connect();
    try {
      await client.query(
        `SET search_path = switch;
         INSERT INTO transactions SELECT (json_populate_record(t, json_build_object(
           'transaction_id', 'q' || n, 'stan', 'q' || n))).*
         FROM transactions t, generate_series(1, 20000) n
         WHERE t.transaction_id = '${transaction.transactionId}';
         INSERT INTO advices (advice_id, kind, transaction_id, order_key, destination, stan,
           transmission, reason, settlement_date, next_at_ms)
         SELECT 'q' || n, 'advice', 'q' || n, 'q' || n, 'queue', '1', '1', 'refund', '20260314', n
         FROM generate_series(1, 20000) n`,
      );
    } finally {
      await client.end();
    }
    const beganAt = performance.now();
    for (let round = 0; round < 5; round++) {
      assert.ok((await store.dueDestinations(30_000)).includes('queue'));
      const query = { ...claimOf, destination: 'queue', nowMs: 30_000, leaseMs: 60_000 };
      assert.equal((await store.claimAdvices(query)).length, 10);
    }
    // By the other index it takes minutes.
    assert.ok(performance.now() - beganAt < 5_000);
  });

  test('the database refuses a move that the table of moves does not have', async () => {
    const { transactionId } = await begun(store);
    await store.answer({ ...approval, transactionId });
    const client = new pg.Client({ connectionString: options.databaseUrl });
    await client.connect();
    try {
      const refused = { code: '23514' };
      await turnAndBook(client, transactionId);
      for (const change of [
        'UPDATE switch.bookings SET leg = leg',
        'DELETE FROM switch.bookings',
      ]) {
        await assert.rejects(client.query(change), refused);
      }
      const backwards = `UPDATE switch.transactions SET reversal_date = '20260101'`;
      await assert.rejects(client.query(backwards), refused);
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

/** A booking, whatever the store thinks of it. */
async function turnAndBook(client: pg.Client, transactionId: string): Promise<void> {
  await client.query(`INSERT INTO switch.days VALUES ('20310101', 1, NULL)`);
  await client.query(`INSERT INTO switch.bookings VALUES ($1, 'original', '20310101')`, [
    transactionId,
  ]);
}
