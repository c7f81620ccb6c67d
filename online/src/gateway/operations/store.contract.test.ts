/**
 * Shows that both stores keep the same promises about operations, and what the database refuses by
 * itself: one suite over the memory and over PostgreSQL, with the whole gateway in front.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Database, openDatabase } from '../../runtime/index.ts';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { LEDGER_PAYER_CLEARING } from '../model.ts';
import type { GatewayStore } from '../store.ts';
import { MemoryGatewayStore } from '../store-memory.ts';
import { openGatewayStore } from '../store-postgres.ts';
import {
  bookOf,
  heldOrder,
  type OperationsWorld,
  operationsWorld,
  paidOrder,
  pass,
  wish,
} from './operations.test-kit.ts';
import type { OperationChange } from './store.ts';

type Rule = (title: string, check: (world: OperationsWorld) => Promise<void>) => void;

function suite(name: string, open: () => Promise<GatewayStore | null>): void {
  describe(name, () => {
    // One gateway and one switch for all rules, so that what a rule leaves open comes to its end.
    let world: OperationsWorld | null = null;
    before(async () => {
      const store = await open();
      world = store && (await operationsWorld(store));
    });
    after(() => world?.store.close());
    const rule: Rule = (title, check) => {
      test(title, async (context) => {
        if (!world) return context.skip('no database here');
        world.strict.weather = () => 'fair';
        await check(world);
      });
    };
    raceRules(rule);
    moveRules(rule);
    queueRules(rule);
  });
}

function raceRules(rule: Rule): void {
  rule(
    'complaint 2: 50 parallel refunds of 60 on 100: exactly one succeeds, with exact sums',
    async (world) => {
      const { core, strict } = world;
      const { paymentId } = await paidOrder(world, { amount: '100.00' });
      const before_ = strict.paidMinor();
      const refunds = await Promise.allSettled(
        Array.from({ length: 50 }, () =>
          core.operate(wish('refund', paymentId, { amount: '60.00' })),
        ),
      );
      const done = refunds.filter(({ status }) => status === 'fulfilled');
      const codes = refunds.flatMap((row) => (row.status === 'rejected' ? [row.reason.code] : []));
      assert.equal(done.length, 1);
      assert.deepEqual(
        codes,
        Array.from({ length: 49 }, () => 'ERR_REFUND_EXCEEDS'),
      );
      const { balance, operations } = await core.paymentWhole(paymentId);
      assert.deepEqual(
        [balance.capturedMinor, balance.refundedMinor, balance.pendingRefundMinor],
        [10_000n, 6_000n, 0n],
      );
      assert.equal(operations.length, 1);
      assert.equal(before_ - strict.paidMinor(), 6_000n);
      assert.equal((await bookOf(world, paymentId))[LEDGER_PAYER_CLEARING], 4_000n);
    },
  );

  rule(
    'complaint 20: 50 parallel refunds of 3 on 100, half of the answers lost: 33 happen',
    async (world) => {
      const { core, strict } = world;
      const { paymentId } = await paidOrder(world, { amount: '100.00' });
      const before_ = strict.paidMinor();
      let turn = 0;
      strict.weather = () => (turn++ % 2 === 0 ? 'answerLost' : 'fair');
      const refunds = await Promise.allSettled(
        Array.from({ length: 50 }, () => core.operate(wish('refund', paymentId, { amount: '3' }))),
      );
      assert.equal(refunds.filter(({ status }) => status === 'fulfilled').length, 33);
      const during = (await core.paymentWhole(paymentId)).balance;
      assert.equal(during.refundedMinor + during.pendingRefundMinor, 9_900n);
      strict.weather = () => 'fair';
      await pass(world, 60_000, 4);
      const { balance } = await core.paymentWhole(paymentId);
      assert.deepEqual([balance.refundedMinor, balance.pendingRefundMinor], [9_900n, 0n]);
      assert.equal(before_ - strict.paidMinor(), 9_900n);
      assert.equal((await bookOf(world, paymentId))[LEDGER_PAYER_CLEARING], 100n);
    },
  );

  rule(
    'void against refund, capture against void, at the same moment: one of them',
    async (world) => {
      const { core } = world;
      for (let n = 0; n < 5; n++) {
        const sale = await paidOrder(world);
        const held = await heldOrder(world);
        for (const [paymentId, kinds] of [
          [sale.paymentId, ['void', 'refund']],
          [held.paymentId, ['capture', 'void']],
        ] as const) {
          const both = await Promise.allSettled(
            kinds.map((kind) => core.operate(wish(kind, paymentId))),
          );
          // A void after a complete capture is right as well.
          const { operations, balance, payment } = await core.paymentWhole(paymentId);
          assert.ok(both.some(({ status }) => status === 'fulfilled'));
          assert.ok(operations.every(({ state }) => state === 'succeeded'));
          const owed =
            payment.state === 'voided' ? 0n : balance.capturedMinor - balance.refundedMinor;
          assert.equal((await bookOf(world, paymentId))[LEDGER_PAYER_CLEARING] ?? 0n, owed);
        }
      }
    },
  );

  rule('20 parallel captures of one hold under 20 keys are one capture', async (world) => {
    const { core, strict } = world;
    const { paymentId } = await heldOrder(world);
    const captures = await Promise.all(
      Array.from({ length: 20 }, () => core.operate(wish('capture', paymentId))),
    );
    assert.equal(new Set(captures.map(({ operation }) => operation.operationId)).size, 1);
    const { stan } = captures[0]?.operation ?? {};
    assert.equal(
      strict.done('completionAdvice').filter(({ key }) => key.includes(`${stan} `)).length,
      1,
    );
    const other = core.operate(wish('capture', paymentId, { amount: '1' }));
    await assert.rejects(other, { code: 'ERR_CAPTURE_EXISTS' });
  });

  rule('I6: 50 parallel copies of one request make one operation', async (world) => {
    const { core } = world;
    const { paymentId } = await paidOrder(world);
    const request = wish('refund', paymentId, { amount: '1' });
    const answers = await Promise.all(Array.from({ length: 50 }, () => core.operate(request)));
    assert.equal(answers.filter(({ replayed }) => !replayed).length, 1);
    assert.equal((await core.paymentWhole(paymentId)).operations.length, 1);
    const other = await paidOrder(world);
    const key = `shared ${paymentId}`;
    const twins = await Promise.allSettled(
      [paymentId, other.paymentId].map((id) =>
        core.operate(wish('refund', id, { amount: '1', key })),
      ),
    );
    const refused = twins.flatMap((row) => (row.status === 'rejected' ? [row.reason.code] : []));
    assert.deepEqual(refused, ['ERR_IDEMPOTENCY_MISMATCH']);
  });
}

function moveRules(rule: Rule): void {
  rule('an operation is kept as it was made, found by id and trace', async (world) => {
    const { core, store } = world;
    const { paymentId, order } = await paidOrder(world);
    const { operation } = await core.operate(
      wish('refund', paymentId, { amount: '1.50', note: '退货' }),
    );
    assert.deepEqual(await store.findOperation(operation.operationId), operation);
    assert.deepEqual(await store.findOperationByTrace(operation), operation);
    assert.equal(await store.findOperation('none'), null);
    assert.equal(await store.findOperationByTrace({ stan: '0', transmission: '0' }), null);
    assert.equal(await store.findPaymentWhole('none'), null);
    const whole = await store.findPaymentWhole(paymentId);
    assert.deepEqual(whole?.operations, [operation]);
    assert.deepEqual(whole?.order, await store.findOrder(order.orderId));
    assert.deepEqual(whole?.payment, await store.findPayment(paymentId));
    assert.equal(operation.note, '退货');
    assert.equal(operation.amountMinor, 150n);
  });

  rule('final states are never left; a move from another state writes nothing', async (world) => {
    const { core, store } = world;
    const { paymentId } = await paidOrder(world);
    const { operation } = await core.operate(wish('refund', paymentId, { amount: '1' }));
    const before_ = await store.findPaymentWhole(paymentId);
    const change: OperationChange = {
      operationId: operation.operationId,
      from: ['sending', 'pending'],
      to: 'failed',
      atMs: 1,
    };
    assert.equal(await store.changeOperation(change), null);
    assert.equal(await store.changeOperation({ ...change, operationId: 'none' }), null);
    const forced = store.changeOperation({ ...change, from: ['succeeded'], to: 'failed' });
    await assert.rejects(forced, /cannot go from succeeded to failed/);
    assert.deepEqual(await store.findPaymentWhole(paymentId), before_);
  });

  rule('I4: postings that do not sum to zero refuse the whole change', async (world) => {
    const { core, store, strict } = world;
    const { paymentId } = await paidOrder(world);
    strict.weather = () => 'answerLost';
    const { operation } = await core.operate(wish('refund', paymentId));
    const before_ = await store.findPaymentWhole(paymentId);
    const place = { transactionId: `crooked:${paymentId}`, leg: 0, settlementDate: '20260314' };
    const facts = { kind: 'refund', phase: 'posted', mode: 'test', currency: '156' } as const;
    const crooked = store.changeOperation({
      operationId: operation.operationId,
      from: ['pending'],
      to: 'succeeded',
      atMs: 1,
      postings: () => [{ ...place, ...facts, account: 'a', amountMinor: 1n }],
    });
    await assert.rejects(crooked, /does not balance/);
    assert.deepEqual(await store.findPaymentWhole(paymentId), before_);
  });

  rule('events are numbered without gaps, in the order of the changes', async (world) => {
    const { core, store, strict } = world;
    const { order, paymentId } = await heldOrder(world, { notifyUrl: 'http://127.0.0.1/hook' });
    await core.operate(wish('capture', paymentId, { amount: '12' }));
    strict.weather = () => 'answerLost';
    await core.operate(wish('refund', paymentId, { amount: '2' }));
    strict.weather = () => 'fair';
    await pass(world, 60_000);
    await Promise.all(
      Array.from({ length: 5 }, () => core.operate(wish('refund', paymentId, { amount: '1' }))),
    );
    const { merchantId, mode } = order;
    const told = await store.listDeliveries({ merchantId, mode, paymentId, limit: 100 });
    const events = told.map(({ body }) => JSON.parse(body));
    events.sort((a, b) => a.data.sequence - b.data.sequence);
    assert.deepEqual(
      events.map(({ type, data }) => [data.sequence, type, data.refundedMinor]),
      [
        [1, 'payment.authorised', undefined],
        [2, 'payment.approved', '0'],
        [3, 'refund.pending', '0'],
        [4, 'refund.succeeded', '200'],
        ...[300, 400, 500, 600, 700].map((sum, n) => [5 + n, 'refund.succeeded', String(sum)]),
      ],
    );
    assert.equal((await store.findPayment(paymentId))?.sequence, 9);
  });

  rule('a dispute marks a captured payment only', async (world) => {
    const { store } = world;
    const { paymentId } = await paidOrder(world);
    assert.equal((await store.markDispute(paymentId, 'open'))?.disputed, true);
    assert.equal((await store.findPaymentWhole(paymentId))?.balance.disputed, true);
    assert.equal((await store.markDispute(paymentId, 'closed'))?.disputed, false);
    const held = await heldOrder(world);
    assert.equal(await store.markDispute(held.paymentId, 'open'), null);
    assert.equal(await store.markDispute('none', 'open'), null);
  });
}

function queueRules(rule: Rule): void {
  rule(
    'operations are claimed when due, leased and postponed; finished ones never',
    async (world) => {
      const { core, store, strict, clock } = world;
      const { paymentId } = await paidOrder(world);
      strict.weather = () => 'answerLost';
      const { operation } = await core.operate(wish('refund', paymentId));
      const { operationId } = operation;
      const claimAt = async (nowMs: number) =>
        (await store.claimOperations({ nowMs, leaseMs: 100, limit: 50 })).find(
          (row) => row.operationId === operationId,
        );
      const nowMs = clock.nowMs();
      assert.equal(await claimAt(nowMs + 999), undefined);
      const claimed = await claimAt(nowMs + 1_000);
      assert.deepEqual([claimed?.attempts, claimed?.nextAtMs], [2, nowMs + 1_100]);
      assert.equal(await claimAt(nowMs + 1_099), undefined);
      await store.postponeOperation(operationId, nowMs + 1_050);
      assert.equal((await claimAt(nowMs + 1_050))?.attempts, 3);
      strict.weather = () => 'fair';
      await pass(world, 60_000);
      assert.equal(await claimAt(nowMs + 1e9), undefined);
    },
  );

  rule('a reversal of an operation stands beside that of its payment', async (world) => {
    const { core, store, strict, clock } = world;
    const { paymentId } = await paidOrder(world);
    strict.weather = () => 'answerLost';
    const { operation } = await core.operate(wish('void', paymentId));
    assert.equal(await store.findReversal(paymentId), null);
    const claim = { nowMs: clock.nowMs(), leaseMs: 0, limit: 50 };
    const [reversal] = (await store.claimReversals(claim)).filter(
      (row) => row.paymentId === paymentId,
    );
    assert.equal(reversal?.operationId, operation.operationId);
    strict.weather = () => 'fair';
    await pass(world, 60_000);
    assert.equal((await store.findOperation(operation.operationId))?.state, 'reversed');
  });

  rule(
    'a work item is open once for its kind and subject, and opens again after its end',
    async ({ store }) => {
      const subjectId = `subject ${Math.random()}`;
      const item = { kind: 'reversalRefused', subjectId, facts: { attempts: 3 }, openedAtMs: 5 };
      const listed = async () =>
        (await store.listWorkItems(1_000)).filter((row) => row.subjectId === subjectId);
      await store.openWorkItem({ ...item, itemId: `${subjectId} 1` });
      await store.openWorkItem({ ...item, itemId: `${subjectId} 2` });
      await store.openWorkItem({ ...item, kind: 'other', itemId: `${subjectId} 3` });
      const open = { closedAtMs: null, closedBy: null, note: null };
      assert.deepEqual(await listed(), [
        { ...item, itemId: `${subjectId} 1`, ...open },
        { ...item, kind: 'other', itemId: `${subjectId} 3`, ...open },
      ]);
      await store.closeWorkItem({ kind: 'reversalRefused', subjectId }, 6);
      assert.equal((await listed()).length, 1);
      await store.openWorkItem({ ...item, itemId: `${subjectId} 4` });
      assert.equal((await listed()).length, 2);
      const hand = { atMs: 7, by: 'somebody', note: 'settled by letter' };
      const closed = { closedAtMs: 7, closedBy: 'somebody', note: 'settled by letter' };
      const itemId = `${subjectId} 3`;
      assert.deepEqual(await store.closeWorkItemByHand(itemId, hand), {
        ...{ ...item, kind: 'other', itemId, ...closed },
      });
      assert.equal(await store.closeWorkItemByHand(itemId, hand), null);
      assert.equal(await store.closeWorkItemByHand('nothing', hand), null);
      assert.equal((await listed()).length, 1);
    },
  );
}

suite('memory', async () => new MemoryGatewayStore());

let database: TestDatabase | null = null;
suite('PostgreSQL', async () => {
  database = await startTestDatabase();
  return database && openGatewayStore({ databaseUrl: database.url, schema: 'gateway' });
});

describe('what the database itself refuses', () => {
  let raw: Database | null = null;
  before(async () => {
    if (!database) return;
    const migrationsDir = `${import.meta.dirname}/../migrations`;
    raw = await openDatabase({ databaseUrl: database.url, schema: 'gateway', migrationsDir });
  });
  after(async () => {
    await raw?.close();
    await database?.close();
  });

  test('complaint 4, I5: more refunded than captured, more captured than held, sums below zero', async (context) => {
    if (!raw) return context.skip('no database here');
    for (const [change, constraint] of [
      ['refunded_minor = captured_minor + 1', /refunds_within_capture/],
      ['pending_refund_minor = captured_minor + 1', /refunds_within_capture/],
      ['refunded_minor = -1', /refunded_minor_check/],
      ['pending_refund_minor = -1', /pending_refund_minor_check/],
      ['captured_minor = held_minor + 1', /payment_balances_check/],
      ['captured_minor = -1', /payment_balances/],
    ] as const) {
      await assert.rejects(raw.pool.query(`UPDATE payment_balances SET ${change}`), constraint);
    }
  });

  test('a second capture, a second void, an operation that leaves its end', async (context) => {
    if (!raw) return context.skip('no database here');
    for (const kind of ['capture', 'void']) {
      const twin = `INSERT INTO operations SELECT (o).* FROM (
        SELECT jsonb_populate_record(operations, jsonb_build_object('operation_id', 'twin',
          'stan', '999998', 'identity', 'twin')) AS o
        FROM operations WHERE kind = '${kind}' AND state = 'succeeded' LIMIT 1) AS twin`;
      await assert.rejects(raw.pool.query(twin), new RegExp(`operations_one_${kind}`));
    }
    for (const [from, to] of [
      ['succeeded', 'failed'],
      ['succeeded', 'pending'],
      ['reversed', 'succeeded'],
    ]) {
      const move = `UPDATE operations SET state = '${to}' WHERE state = '${from}'`;
      await assert.rejects(raw.pool.query(move), /an operation cannot go from/);
    }
  });

  test('I5: money given back twice: a void beside a refund, anything beside a void', async (context) => {
    if (!raw) return context.skip('no database here');
    for (const [there, state, kind, transactionKind] of [
      ['refund', 'succeeded', 'void', 'saleVoid'],
      ['void', 'succeeded', 'refund', 'refund'],
      ['void', 'succeeded', 'capture', 'completionAdvice'],
    ]) {
      const second = `INSERT INTO operations SELECT (o).* FROM (
        SELECT jsonb_populate_record(operations, jsonb_build_object('operation_id', 'second',
          'kind', '${kind}', 'transaction_kind', '${transactionKind}', 'state', 'sending',
          'stan', '999998', 'identity', 'second')) AS o
        FROM operations WHERE kind = '${there}' AND state = '${state}' AND NOT EXISTS (
          SELECT FROM operations other WHERE other.payment_id = operations.payment_id
            AND other.kind = '${kind}') LIMIT 1) AS second`;
      await assert.rejects(raw.pool.query(second), /beside a/, `${kind} beside ${there}`);
    }
  });

  test('a captured payment becomes held, a voided one anything, a voided order paid', async (context) => {
    if (!raw) return context.skip('no database here');
    for (const [from, to] of [
      ['captured', 'held'],
      ['voided', 'captured'],
      ['voided', 'held'],
    ]) {
      const move = `UPDATE payments SET state = '${to}' WHERE state = '${from}'`;
      await assert.rejects(raw.pool.query(move), /a payment cannot go from/);
    }
    const unpay = `UPDATE orders SET status = 'paid' WHERE status = 'voided'`;
    await assert.rejects(raw.pool.query(unpay), /a voided order cannot become paid/);
  });
});
