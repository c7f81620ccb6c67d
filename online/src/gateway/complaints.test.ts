/**
 * Shows that what users of other payment systems complain of does not happen here: one test per row
 * of the table, named by its number. Rows 2, 4 and 20 are in operations/store.contract.test.ts, 16
 * and 18 in operations/routes.test.ts and http/api.test.ts, 30 in webhooks/courier.test.ts; rows of
 * the shop, the card and the ledger stand beside those.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import {
  approving,
  completionOf,
  fieldText,
  newOrder,
  payOrder,
  reply,
  TestLine,
  testGateway,
  testPeer,
} from './gateway.test-kit.ts';
import { LEDGER_PAYER_CLEARING, type Payment } from './model.ts';
import {
  bookOf,
  heldOrder,
  operationsWorld,
  paidOrder,
  pass,
  wish,
} from './operations/operations.test-kit.ts';
import { settlementDateAt } from './settlement-date.ts';
import type { BeginResult } from './store.ts';
import { MemoryGatewayStore } from './store-memory.ts';

const notifyUrl = 'https://shop.example/hook';
const isAdvice = ({ mti }: Iso8583Message): boolean => mti.startsWith('022');

test('complaint 1: the retry of a capture that timed out keeps STAN and RRN: one capture', async () => {
  for (const weather of ['answerLost', 'requestLost'] as const) {
    const world = await operationsWorld();
    const { core, strict, line } = world;
    const { paymentId } = await heldOrder(world);
    strict.weather = (message) => (isAdvice(message) ? weather : 'fair');
    const first = await core.operate(wish('capture', paymentId, { key: 'key-1' }));
    assert.equal(first.operation.state, 'pending');
    // The merchant retries under the same key, under a new one, and the gateway by itself.
    const same = await core.operate(wish('capture', paymentId, { key: 'key-1' }));
    const other = await core.operate(wish('capture', paymentId, { key: 'key-2' }));
    await pass(world, 60_000, 2);
    strict.weather = () => 'fair';
    await pass(world, 60_000, 3);
    const ids = [first, same, other].map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, 1);
    const sent = line.sent.filter(isAdvice);
    assert.ok(sent.length >= 3);
    for (const field of [4, 7, 11, 12, 13, 37, 90]) {
      assert.equal(new Set(sent.map((message) => fieldText(message, field))).size, 1, `F${field}`);
    }
    assert.equal(strict.done('completionAdvice').length, 1);
    assert.equal(strict.paidMinor(), 1234n);
    assert.equal((await bookOf(world, paymentId))[LEDGER_PAYER_CLEARING], 1234n);
  }
});

test('complaint 6: each answer to a lost payment or void ends it; no order hangs for ever', async () => {
  for (const [first, then, payment] of [
    ['answerLost', '00', 'reversed'],
    ['requestLost', '25', 'reversed'],
  ] as const) {
    const world = await operationsWorld();
    const { core, strict, line } = world;
    strict.weather = () => first;
    const order = await newOrder(core);
    const { paymentId } = await payOrder(core, testPeer(), order.orderId);
    await pass(world, 3_600_000, 3);
    strict.weather = () => 'fair';
    await pass(world, 60_000);
    const { reversal, payment: ended } = await core.payment(paymentId);
    assert.deepEqual([ended.state, reversal?.responseCode], [payment, then]);
    assert.equal(
      (await core.order(order.orderId)).status,
      'expired',
      'freed, and its time is over',
    );
    assert.ok(line.sent.length > 3);
  }
});

test('complaint 7: an unknown payment is never simply failed, however long nobody answers', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  strict.weather = () => 'answerLost';
  const order = await newOrder(core);
  const { paymentId } = await payOrder(core, testPeer(), order.orderId);
  await pass(world, 86_400_000, 30);
  assert.equal((await core.payment(paymentId)).payment.state, 'unknown');
  assert.equal((await core.order(order.orderId)).status, 'unknown');
  await assert.rejects(payOrder(core, testPeer(), order.orderId), { code: 'ERR_ORDER_UNKNOWN' });
  assert.equal((await core.workItems())[0]?.kind, 'reversalUnanswered');
});

test('complaint 8: a switch that hangs gets the configured time and not more', async () => {
  const line = new TestLine(() => 'timeout');
  const gateway = await testGateway({ line });
  const { core, ports } = gateway;
  Object.assign(ports, { profile: { ...ports.profile, switchTimeoutMs: 40 } });
  const waited: number[] = [];
  const hanging = async (_message: Iso8583Message, timeoutMs: number) => {
    waited.push(timeoutMs);
    return new Promise<'timeout'>((resolve) => setTimeout(() => resolve('timeout'), timeoutMs));
  };
  line.script = approving;
  const { paymentId } = await paidOrder(gateway);
  Object.assign(line, { send: hanging });
  const startMs = performance.now();
  const order = await newOrder(core);
  const { result } = await payOrder(core, testPeer(), order.orderId);
  const voided = await core.operate(wish('void', paymentId));
  assert.ok(performance.now() - startMs < 2_000);
  assert.deepEqual([result, voided.operation.state], ['unknown', 'unknown']);
  assert.deepEqual(waited, [40, 40]);
});

test('complaint 9: a notification says what its own change left behind, never an older state', async () => {
  const world = await operationsWorld();
  const { core, posts } = world;
  const { paymentId } = await paidOrder(world, { notifyUrl });
  await Promise.all(
    Array.from({ length: 12 }, () => core.operate(wish('refund', paymentId, { amount: '1' }))),
  );
  await core.tick();
  const events = posts.map(({ body }) => JSON.parse(body));
  events.sort((a, b) => a.data.sequence - b.data.sequence);
  assert.deepEqual(
    events.map(({ data }) => [data.sequence, data.refundedMinor ?? '0']),
    Array.from({ length: 13 }, (_, n) => [n + 1, String(n * 100)]),
  );
});

test('complaint 11: whatever order the events arrive in, the highest number is the last state', async () => {
  const world = await operationsWorld();
  const { core, posts, strict } = world;
  const { paymentId } = await heldOrder(world, { notifyUrl });
  strict.weather = (message) => (isAdvice(message) ? 'answerLost' : 'fair');
  await core.operate(wish('capture', paymentId));
  strict.weather = () => 'fair';
  await pass(world, 60_000);
  await core.operate(wish('void', paymentId));
  await core.tick();
  const events = posts.map(({ body }) => JSON.parse(body));
  const numbers = events.map(({ data }) => data.sequence).sort();
  assert.deepEqual(numbers, [1, 2, 3, 4]);
  for (const order of permutations(events)) {
    const last = order.reduce((seen, event) =>
      event.data.sequence > seen.data.sequence ? event : seen,
    );
    assert.deepEqual([last.type, last.data.operation.kind], ['payment.voided', 'void']);
  }
});

/** A store that has lost its guard: two sessions of one order pass the commit point. */
class TwoSessions extends MemoryGatewayStore {
  override async beginPayment(
    payment: Payment,
    guard: Parameters<MemoryGatewayStore['beginPayment']>[1],
  ): Promise<BeginResult> {
    const begun = await super.beginPayment(payment, guard);
    if (begun.refused === 'order') this.payments.set(payment.paymentId, payment);
    return { refused: null };
  }
}

test('complaint 12: a late failure of the first attempt never touches the order that the second paid', async () => {
  for (const code of ['51', '96', '00']) {
    const store = new TwoSessions();
    const world = await operationsWorld(store);
    const { core, line, strict } = world;
    const order = await newOrder(core);
    let answer: (message: Iso8583Message | 'timeout') => void = () => undefined;
    let asked: Iso8583Message | undefined;
    line.script = (message) => {
      asked = message;
      return new Promise((resolve) => {
        answer = resolve;
      });
    };
    const first = payOrder(core, testPeer(), order.orderId, { interface: 'contactless' });
    while (!asked) await new Promise((resolve) => setImmediate(resolve));
    line.script = strict.script;
    // The order is free again, as after a sweep of another process; the second attempt pays it.
    const stored = await store.findOrder(order.orderId);
    await retake(store, { ...order, paymentId: stored?.paymentId ?? null });
    const peer = testPeer();
    const second = await payOrder(core, peer, order.orderId, { interface: 'contactless' });
    assert.equal((await core.order(order.orderId)).status, 'paid');
    answer(await reply(asked, code));
    const { paymentId, result } = await first;
    assert.notEqual(result === 'answered' && code === '00', true, 'no second approval is told');
    await pass(world, 60_000);
    const now = await core.order(order.orderId);
    assert.deepEqual([now.status, now.paymentId], ['paid', second.paymentId], code);
    const ended = code === '51' ? 'declined' : 'reversed';
    assert.equal((await core.payment(paymentId)).payment.state, ended);
    assert.deepEqual(
      (await store.ledgerEntries()).map(({ amountMinor }) => amountMinor),
      [1234n, -1234n],
    );
  }
});

async function retake(store: TwoSessions, order: Parameters<TwoSessions['createOrder']>[0]) {
  const { orders } = store as unknown as { orders: Map<string, typeof order> };
  orders.set(order.orderId, { ...order, status: 'open' });
}

test('complaint 13: two sessions pay one order: the second success is given back, and nobody loops', async () => {
  for (const wire of ['contact', 'contactless'] as const) {
    const store = new TwoSessions();
    const world = await operationsWorld(store);
    const { core, strict } = world;
    const order = await newOrder(core, { notifyUrl });
    const [one, two] = [testPeer(), testPeer()];
    const [first, second] = await Promise.all(
      [one, two].map((peer) => payOrder(core, peer, order.orderId, { interface: wire })),
    );
    assert.ok(first && second);
    if (wire === 'contact') {
      await core.complete(one, completionOf(first.paymentId, 'TC'));
      const late = await core.complete(two, completionOf(second.paymentId, 'TC'));
      assert.equal(late.type === 'result' && late.outcome, 'unknown');
    }
    await pass(world, 60_000, 2);
    const states = [];
    for (const { paymentId } of [first, second]) {
      states.push((await core.payment(paymentId)).payment.state);
    }
    assert.deepEqual(states.sort(), ['captured', 'reversed']);
    const { status, paymentId } = await core.order(order.orderId);
    assert.equal(status, 'paid');
    assert.equal((await core.payment(paymentId ?? '')).payment.state, 'captured');
    assert.equal(strict.paidMinor(), 1234n);
    assert.equal((await store.ledgerEntries()).length, 2);
  }
});

test('complaint 17: a key belongs to one merchant and mode; equal amounts are different intents', async () => {
  const { core } = await testGateway();
  const request = {
    merchantOrderNumber: 'N1',
    amount: '1',
    currency: '156',
    origin: 'https://shop.example',
  };
  const merchantId = '898110000000001';
  const owners = [
    { merchantId, mode: 'test' },
    { merchantId, mode: 'live' },
    { merchantId: '629990000000002', mode: 'test' },
  ] as const;
  const orders = await Promise.all(
    owners.map((owner) => core.createOrder('same-key', request, owner)),
  );
  assert.equal(new Set(orders.map(({ order }) => order.orderId)).size, 3);
  const twin = await core.createOrder('other-key', request, owners[0]);
  assert.equal(twin.replayed, false);
  const world = await operationsWorld();
  const { paymentId } = await paidOrder(world);
  const twice = [
    await world.core.operate(wish('refund', paymentId, { amount: '1' })),
    await world.core.operate(wish('refund', paymentId, { amount: '1' })),
  ];
  assert.equal(new Set(twice.map(({ operation }) => operation.operationId)).size, 2);
});

test('complaint 24: the settlement day turns at 23:00 in Shanghai, to the millisecond, in any zone', () => {
  const zone = process.env['TZ'];
  try {
    for (const tz of ['UTC', 'Asia/Shanghai', 'America/New_York', 'Pacific/Kiritimati']) {
      process.env['TZ'] = tz;
      // New York changes its clocks on the first of these days, Shanghai never.
      for (const day of [8, 14, 31]) {
        const cutOffMs = Date.UTC(2026, 2, day, 15);
        const dayText = (d: Date): string => d.toISOString().slice(5, 10).replace('-', '');
        const today = dayText(new Date(Date.UTC(2026, 2, day)));
        const tomorrow = dayText(new Date(Date.UTC(2026, 2, day + 1)));
        assert.equal(settlementDateAt(cutOffMs - 1), today, `${tz} ${day}`);
        assert.equal(settlementDateAt(cutOffMs), tomorrow, `${tz} ${day}`);
        assert.equal(settlementDateAt(cutOffMs + 1), tomorrow, `${tz} ${day}`);
      }
    }
    assert.equal(settlementDateAt(Date.UTC(2026, 11, 31, 15)), '0101');
  } finally {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
});

test('complaint 28: the hold has expired: the order says so before the issuer releases it', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { order, paymentId } = await heldOrder(world, { notifyUrl });
  await pass(world, 29 * 86_400_000);
  assert.equal((await core.order(order.orderId)).status, 'voided');
  await assert.rejects(core.operate(wish('capture', paymentId)), { code: 'ERR_PAYMENT_STATE' });
  assert.equal(strict.done('preAuthorisationCancel').length, 1);
  await core.tick();
  const types = world.posts.map(({ body }) => JSON.parse(body).type);
  assert.deepEqual(types, ['payment.authorised', 'payment.voided']);
});

test('complaint 29: what a dispute may give back is not refunded as well', async () => {
  const world = await operationsWorld();
  const { core, strict } = world;
  const { paymentId } = await paidOrder(world);
  await core.markDispute(paymentId, 'open');
  for (const kind of ['refund', 'void'] as const) {
    await assert.rejects(core.operate(wish(kind, paymentId)), { code: 'ERR_DISPUTE_OPEN' });
  }
  assert.equal(strict.paidMinor(), 1234n);
});

test('complaint 31: what fails once is tried again: reversal, advice and notification', async () => {
  const world = await operationsWorld();
  const { core, strict, courier, posts } = world;
  const { paymentId } = await paidOrder(world, { notifyUrl });
  const other = await paidOrder(world);
  courier.status = 502;
  strict.weather = () => 'requestLost';
  await core.operate(wish('refund', paymentId));
  const voided = await core.operate(wish('void', other.paymentId));
  await core.tick();
  const failed = posts.length;
  courier.status = 200;
  strict.weather = () => 'fair';
  await pass(world, 60_000, 2);
  assert.ok(posts.length > failed);
  assert.equal((await core.operation(voided.operation.operationId)).state, 'reversed');
  assert.equal((await core.paymentWhole(paymentId)).balance.refundedMinor, 1234n);
  const types = new Set(posts.map(({ body }) => JSON.parse(body).type));
  assert.ok(types.has('refund.pending') && types.has('refund.succeeded'));
});

function permutations<T>(values: readonly T[]): readonly (readonly T[])[] {
  if (values.length <= 1) return [values];
  return values.flatMap((value, index) =>
    permutations(values.filter((_, other) => other !== index)).map((rest) => [value, ...rest]),
  );
}
