/**
 * Shows captures, voids and refunds from the merchant's wish to the switch's book and back: each
 * answer, each loss, each refusal, before a switch that checks every field and does a thing once.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import { completionOf, newOrder, payOrder, reply, testPeer } from '../gateway.test-kit.ts';
import { LEDGER_PAYER_CLEARING } from '../model.ts';
import {
  bookOf,
  heldOrder,
  operationsWorld,
  paidOrder,
  pass,
  wish,
} from './operations.test-kit.ts';

const DAY_MS = 86_400_000;
const isAdvice = ({ mti }: Iso8583Message): boolean => mti.startsWith('022');
const refused = (code: string) => ({ code });

test('a manual order is held by 0100, captured in part by 0220, booked once (Q/CUP 006)', async () => {
  for (const wire of ['contact', 'contactless'] as const) {
    const world = await operationsWorld();
    const { core, strict } = world;
    const { order, paymentId } = await heldOrder(world, { interface: wire });
    assert.equal((await core.order(order.orderId)).status, 'authorised');
    assert.equal((await core.payment(paymentId)).payment.state, 'held');
    const pending = `pending ${LEDGER_PAYER_CLEARING}`;
    const held = await bookOf(world, paymentId);
    assert.deepEqual([held[pending], held[LEDGER_PAYER_CLEARING]], [1234n, undefined]);
    assert.equal(strict.done('preAuthorisation').length, 1);

    const { operation } = await core.operate(wish('capture', paymentId, { amount: '10.00' }));
    assert.equal(operation.state, 'succeeded');
    const whole = await core.paymentWhole(paymentId);
    assert.deepEqual([whole.payment.state, whole.order.status], ['captured', 'paid']);
    assert.deepEqual([whole.balance.heldMinor, whole.balance.capturedMinor], [1234n, 1000n]);
    assert.equal(strict.paidMinor(), 1000n);
    const book = await bookOf(world, paymentId);
    assert.deepEqual([book[pending], book[LEDGER_PAYER_CLEARING]], [0n, 1000n]);
    const paid = await payOrder(core, testPeer(), order.orderId).catch((fault) => fault.code);
    assert.equal(paid, 'ERR_ORDER_PAID');
  }
});

test('a held amount whose card ends with AAC is reversed by 0420 that names the 0100', async () => {
  const world = await operationsWorld();
  const { core, strict, line } = world;
  const order = await newOrder(core, { captureMode: 'manual' });
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId);
  await core.complete(peer, completionOf(paymentId, 'AAC'));
  await core.tick();
  assert.equal(line.types(), '0100 0420');
  assert.equal(strict.done('preAuthorisation').length, 0);
  assert.equal((await core.payment(paymentId)).payment.state, 'reversed');
  assert.equal((await core.order(order.orderId)).status, 'open');
});

test('a void on the day of the sale takes everything back, in every book', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { order, paymentId } = await paidOrder(world);
  const { operation } = await core.operate(wish('void', paymentId));
  assert.deepEqual([operation.state, operation.transactionKind], ['succeeded', 'saleVoid']);
  assert.equal(operation.amountMinor, 1234n);
  assert.equal((await core.order(order.orderId)).status, 'voided');
  assert.equal((await core.payment(paymentId)).payment.state, 'voided');
  assert.equal(strict.paidMinor(), 0n);
  assert.deepEqual(Object.values(await bookOf(world, paymentId)), [0n, 0n]);
  for (const kind of ['refund', 'capture'] as const) {
    await assert.rejects(core.operate(wish(kind, paymentId)), refused('ERR_PAYMENT_STATE'));
  }
  const again = await core.operate(wish('void', paymentId));
  assert.deepEqual([again.replayed, again.operation.operationId], [true, operation.operationId]);
});

test('a hold is cancelled by 0100, a captured hold by a void that names its 0220', async () => {
  const world = await operationsWorld();
  const { core, strict, line, store } = world;
  const held = await heldOrder(world);
  await core.operate(wish('void', held.paymentId));
  assert.equal(line.types(), '0100 0100');
  assert.equal((await core.order(held.order.orderId)).status, 'voided');
  assert.deepEqual(Object.values(await bookOf(world, held.paymentId)), [0n, 0n]);
  assert.ok((await store.ledgerEntries()).every(({ phase }) => phase === 'pending'));
  const captured = await heldOrder(world);
  await core.operate(wish('capture', captured.paymentId, { amount: '2' }));
  const { operation } = await core.operate(wish('void', captured.paymentId));
  assert.deepEqual([operation.transactionKind, operation.amountMinor], ['completionVoid', 200n]);
  assert.equal(strict.paidMinor(), 0n);
});

test('refunds in parts, until nothing is left; the whole rest without an amount', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { order, paymentId } = await paidOrder(world);
  for (const amount of ['0.34', '2', '10']) {
    const { operation } = await core.operate(wish('refund', paymentId, { amount }));
    assert.equal(operation.state, 'succeeded');
  }
  const { balance } = await core.paymentWhole(paymentId);
  assert.deepEqual([balance.refundedMinor, balance.pendingRefundMinor], [1234n, 0n]);
  assert.equal(strict.paidMinor(), 0n);
  const more = core.operate(wish('refund', paymentId, { amount: '0.01' }));
  await assert.rejects(more, refused('ERR_REFUND_EXCEEDS'));
  await assert.rejects(core.operate(wish('refund', paymentId)), refused('ERR_REFUND_EXCEEDS'));
  assert.equal((await core.order(order.orderId)).status, 'paid', 'a refund unmakes no payment');
  const other = await paidOrder(world);
  await core.operate(wish('refund', other.paymentId, { amount: '12' }));
  const rest = await core.operate(wish('refund', other.paymentId));
  assert.equal(rest.operation.amountMinor, 34n);
});

test('what must not be refunded, captured or voided is refused with a code, and nothing is sent', async () => {
  const world = await operationsWorld();
  const { core, line, strict } = world;
  const sale = await paidOrder(world);
  const held = await heldOrder(world);
  strict.weather = () => 'requestLost';
  const lost = await newOrder(core);
  const unknown = await payOrder(core, testPeer(), lost.orderId);
  strict.weather = () => 'fair';
  const sent = line.sent.length;
  for (const [request, code] of [
    [wish('refund', sale.paymentId, { amount: '12.35' }), 'ERR_REFUND_EXCEEDS'],
    [wish('refund', sale.paymentId, { amount: '0' }), 'ERR_AMOUNT'],
    [wish('refund', sale.paymentId, { amount: '-1' }), 'ERR_AMOUNT'],
    [wish('refund', sale.paymentId, { amount: '1.234' }), 'ERR_AMOUNT'],
    [wish('refund', sale.paymentId, { amount: '1', currency: '392' }), 'ERR_CURRENCY_MISMATCH'],
    [wish('refund', held.paymentId), 'ERR_PAYMENT_STATE'],
    [wish('refund', unknown.paymentId), 'ERR_PAYMENT_STATE'],
    [wish('void', unknown.paymentId), 'ERR_PAYMENT_STATE'],
    [wish('capture', sale.paymentId), 'ERR_PAYMENT_STATE'],
    [wish('capture', held.paymentId, { amount: '12.35' }), 'ERR_CAPTURE_EXCEEDS'],
    [wish('capture', held.paymentId, { amount: '0.00' }), 'ERR_AMOUNT'],
    [wish('refund', 'none'), 'ERR_PAYMENT_NOT_FOUND'],
    [wish('refund', 'none', { amount: '1' }), 'ERR_PAYMENT_NOT_FOUND'],
    [wish('refund', sale.paymentId, { merchantId: '629990000000002' }), 'ERR_PAYMENT_NOT_FOUND'],
  ] as const) {
    await assert.rejects(core.operate(request), refused(code), `${request.kind} ${request.amount}`);
  }
  assert.equal(line.sent.length, sent);
});

test('a void after the settlement day (23:00 in Shanghai) is told to refund instead', async () => {
  const world = await operationsWorld();
  const { core, clock } = world;
  const { paymentId } = await paidOrder(world);
  const cutOffMs = Date.UTC(2026, 2, 14, 15);
  clock.advance(cutOffMs - 1 - clock.nowMs());
  const other = await paidOrder(world);
  clock.advance(1);
  for (const late of [paymentId, other.paymentId]) {
    await assert.rejects(core.operate(wish('void', late)), refused('ERR_VOID_TOO_LATE'));
    assert.equal((await core.operate(wish('refund', late))).operation.state, 'succeeded');
  }
});

test('a void after a refund, and anything during a dispute, is refused', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { paymentId } = await paidOrder(world);
  await core.operate(wish('refund', paymentId, { amount: '1' }));
  await assert.rejects(core.operate(wish('void', paymentId)), refused('ERR_VOID_REFUNDED'));
  const balance = await core.markDispute(paymentId, 'open');
  assert.deepEqual([balance.disputed, balance.refundedMinor], [true, 100n]);
  const during = core.operate(wish('refund', paymentId, { amount: '1' }));
  await assert.rejects(during, refused('ERR_DISPUTE_OPEN'));
  await core.markDispute(paymentId, 'closed');
  assert.equal((await core.operate(wish('refund', paymentId))).operation.state, 'succeeded');
  assert.equal(strict.paidMinor(), 0n);
  const held = await heldOrder(world);
  await assert.rejects(core.markDispute(held.paymentId, 'open'), refused('ERR_PAYMENT_STATE'));
  await assert.rejects(core.markDispute('none', 'open'), refused('ERR_PAYMENT_STATE'));
});

test('an advice without an answer is pending, repeated with growing pauses, never reversed', async () => {
  for (const weather of ['answerLost', 'requestLost'] as const) {
    const world = await operationsWorld();
    const { core, strict, line } = world;
    const { paymentId } = await paidOrder(world);
    strict.weather = (message) => (isAdvice(message) ? weather : 'fair');
    const { operation } = await core.operate(wish('refund', paymentId, { amount: '5' }));
    assert.deepEqual([operation.state, operation.reason], ['pending', 'timeout']);
    const blocked = core.operate(wish('refund', paymentId, { amount: '7.35' }));
    await assert.rejects(blocked, refused('ERR_REFUND_EXCEEDS'), 'what is pending is taken');
    await pass(world, 999);
    assert.equal(line.types(), '0200 0220');
    await pass(world, 1);
    await pass(world, 1_999);
    assert.equal(line.types(), '0200 0220 0221');
    await pass(world, 1);
    assert.equal(line.types(), '0200 0220 0221 0221');
    strict.weather = () => 'fair';
    await pass(world, 60_000, 2);
    assert.equal((await core.operation(operation.operationId)).state, 'succeeded');
    assert.equal(strict.done('refund').length, 1);
    assert.equal(strict.paidMinor(), 734n);
    await pass(world, 3_600_000, 2);
    assert.equal(line.types(), '0200 0220 0221 0221 0221', 'acknowledged, it is not repeated');
    const { balance } = await core.paymentWhole(paymentId);
    assert.deepEqual([balance.refundedMinor, balance.pendingRefundMinor], [500n, 0n]);
  }
});

test('an advice waits for a line that is down, and costs no try meanwhile', async () => {
  const world = await operationsWorld();
  const { core, line } = world;
  const { paymentId } = await heldOrder(world);
  line.up = false;
  const { operation } = await core.operate(wish('capture', paymentId));
  assert.deepEqual([operation.state, operation.reason], ['pending', 'lineDown']);
  await pass(world, 60_000, 5);
  assert.equal((await core.operation(operation.operationId)).attempts, 1);
  await assert.rejects(core.operate(wish('void', paymentId)), refused('ERR_OPERATION_PENDING'));
  line.up = true;
  await pass(world, 1);
  assert.equal((await core.operation(operation.operationId)).state, 'succeeded');
  line.up = false;
  await assert.rejects(core.operate(wish('void', paymentId)), refused('ERR_SWITCH_UNAVAILABLE'));
});

test('a refused advice gives the amount free; codes that mean "not now" do not refuse it', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { paymentId } = await paidOrder(world);
  strict.verdict = (_, kind) => (kind === 'refund' ? '25' : '00');
  const failed = await core.operate(wish('refund', paymentId));
  assert.deepEqual([failed.operation.state, failed.operation.responseCode], ['failed', '25']);
  assert.equal((await core.paymentWhole(paymentId)).balance.pendingRefundMinor, 0n);
  for (const code of ['30', '91', '96', '98', '68', 'A0', '94', '90']) {
    const other = await paidOrder(world);
    strict.verdict = (_, kind) => (kind === 'refund' ? code : '00');
    const { operation } = await core.operate(wish('refund', other.paymentId));
    assert.deepEqual([operation.state, operation.reason], ['pending', `code:${code}`]);
  }
  strict.verdict = () => '00';
  const { operation } = await core.operate(wish('refund', paymentId));
  assert.equal(operation.state, 'succeeded');
});

test('a lost void is reversed until acknowledged; then the payment stands and can be voided', async () => {
  for (const weather of ['answerLost', 'requestLost'] as const) {
    for (const make of [paidOrder, heldOrder]) {
      const world = await operationsWorld();
      const { core, strict, line } = world;
      const { order, paymentId } = await make(world);
      const before = await core.paymentWhole(paymentId);
      strict.weather = () => weather;
      const { operation } = await core.operate(wish('void', paymentId));
      assert.equal(operation.state, 'unknown');
      const other = await core.operate(wish('void', paymentId));
      assert.equal(other.replayed, true, 'no second void while one is unknown');
      if (make === paidOrder) {
        const during = core.operate(wish('refund', paymentId));
        await assert.rejects(during, refused('ERR_OPERATION_PENDING'));
      }
      await pass(world, 1_000, 3);
      assert.equal((await core.operation(operation.operationId)).state, 'unknown');
      strict.weather = () => 'fair';
      await pass(world, 60_000);
      assert.equal((await core.operation(operation.operationId)).state, 'reversed');
      const after = await core.paymentWhole(paymentId);
      assert.deepEqual(after.balance, before.balance);
      assert.equal(after.payment.state, before.payment.state);
      assert.equal((await core.order(order.orderId)).status, before.order.status);
      const types = line.types();
      await core.lateReply(line.sent[1] as Iso8583Message);
      assert.equal((await core.operation(operation.operationId)).state, 'reversed');
      const second = await core.operate(wish('void', paymentId));
      assert.equal(second.operation.state, 'succeeded');
      assert.notEqual(second.operation.stan, operation.stan);
      assert.ok(/042[01]$/.test(types));
      assert.equal(strict.paidMinor(), 0n);
    }
  }
});

test('a refused void leaves the payment as it was', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { paymentId } = await paidOrder(world);
  strict.verdict = (_, kind) => (kind === 'saleVoid' ? '12' : '00');
  const { operation } = await core.operate(wish('void', paymentId));
  assert.deepEqual([operation.state, operation.responseCode], ['failed', '12']);
  assert.equal((await core.payment(paymentId)).payment.state, 'captured');
  assert.equal((await core.operate(wish('refund', paymentId))).operation.state, 'succeeded');
});

test('a process that died while it sent: the advice goes out again, the void is reversed', async () => {
  for (const kind of ['refund', 'void'] as const) {
    const world = await operationsWorld();
    const { core, strict, line } = world;
    const { paymentId } = await paidOrder(world);
    let sent = false;
    line.script = async (message) => {
      sent = true;
      await strict.script(message);
      return new Promise(() => undefined);
    };
    void core.operate(wish(kind, paymentId));
    while (!sent) await new Promise((resolve) => setImmediate(resolve));
    line.script = strict.script;
    await pass(world, 29_999);
    assert.equal((await core.paymentWhole(paymentId)).operations[0]?.state, 'sending');
    await pass(world, 1);
    await pass(world, 1_000);
    const [operation] = (await core.paymentWhole(paymentId)).operations;
    assert.equal(operation?.state, kind === 'refund' ? 'succeeded' : 'reversed');
    assert.equal(line.types(), kind === 'refund' ? '0200 0220 0221' : '0200 0200 0420');
    assert.equal(strict.paidMinor(), kind === 'refund' ? 0n : 1234n);
  }
});

test('a hold that nobody captures is released a day before its 30 days are over', async () => {
  const world = await operationsWorld();
  const { core, strict, line } = world;
  const { order, paymentId } = await heldOrder(world);
  await pass(world, 29 * DAY_MS - 1);
  assert.equal((await core.payment(paymentId)).payment.state, 'held');
  line.up = false;
  await pass(world, 1);
  assert.equal((await core.payment(paymentId)).payment.state, 'held', 'the line is down');
  line.up = true;
  await pass(world, 1);
  assert.equal((await core.payment(paymentId)).payment.state, 'voided');
  assert.equal((await core.order(order.orderId)).status, 'voided');
  assert.equal(strict.done('preAuthorisationCancel').length, 1);
});

test('a hold that cannot be released is a work item, and tried again on the next day', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { paymentId } = await heldOrder(world);
  strict.verdict = (_, kind) => (kind === 'preAuthorisationCancel' ? '12' : '00');
  await pass(world, 29 * DAY_MS);
  await pass(world, 1_000, 3);
  const items = await core.workItems();
  assert.deepEqual(
    items.map(({ kind, subjectId }) => [kind, subjectId]),
    [['holdNotReleased', paymentId]],
  );
  strict.verdict = () => '00';
  await pass(world, DAY_MS);
  assert.equal((await core.payment(paymentId)).payment.state, 'voided');
});

test('a reversal that is refused again and again is a work item, and still not given up', async () => {
  for (const code of ['12', '30']) {
    const world = await operationsWorld();
    const { core, strict, line } = world;
    strict.weather = (message) => (message.mti === '0200' ? 'answerLost' : 'fair');
    const order = await newOrder(core);
    const { paymentId } = await payOrder(core, testPeer(), order.orderId);
    const answering = line.script;
    line.script = (message) => reply(message, code);
    await pass(world, 60_000, 2);
    assert.deepEqual(await core.workItems(), []);
    await pass(world, 60_000, 5);
    const [item, ...more] = await core.workItems();
    assert.deepEqual([item?.kind, item?.subjectId, more], ['reversalRefused', paymentId, []]);
    assert.equal(item?.facts['responseCode'], code);
    assert.equal((await core.payment(paymentId)).payment.state, 'unknown');
    line.script = answering;
    await pass(world, 60_000);
    assert.equal((await core.payment(paymentId)).payment.state, 'reversed');
    assert.deepEqual(await core.workItems(), []);
  }
});

test('a reversal or an advice that nobody answers for long is a work item until it is answered', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { paymentId } = await paidOrder(world);
  const other = await paidOrder(world);
  strict.weather = () => 'answerLost';
  const refund = await core.operate(wish('refund', paymentId));
  const voided = await core.operate(wish('void', other.paymentId));
  await pass(world, 60_000, 25);
  const kinds = (await core.workItems()).map(({ kind, subjectId }) => `${kind} ${subjectId}`);
  assert.deepEqual(kinds.sort(), [
    `adviceUnanswered ${refund.operation.operationId}`,
    `reversalUnanswered ${voided.operation.operationId}`,
  ]);
  strict.weather = () => 'fair';
  await pass(world, 60_000);
  assert.deepEqual(await core.workItems(), []);
  assert.equal((await core.operation(refund.operation.operationId)).state, 'succeeded');
  assert.equal((await core.operation(voided.operation.operationId)).state, 'reversed');
});

test('I6: the same request is one operation, another one under its key is refused', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { paymentId } = await paidOrder(world);
  const request = wish('refund', paymentId, { amount: '3', key: 'same' });
  const answers = await Promise.all(Array.from({ length: 20 }, () => core.operate(request)));
  assert.equal(new Set(answers.map(({ operation }) => operation.operationId)).size, 1);
  assert.equal(answers.filter(({ replayed }) => !replayed).length, 1);
  assert.equal(strict.done('refund').length, 1);
  const misused = core.operate(wish('refund', paymentId, { amount: '4', key: 'same' }));
  await assert.rejects(misused, refused('ERR_IDEMPOTENCY_MISMATCH'));
  const other = await paidOrder(world);
  const elsewhere = core.operate(wish('refund', other.paymentId, { amount: '3', key: 'same' }));
  await assert.rejects(elsewhere, refused('ERR_IDEMPOTENCY_MISMATCH'));
});
