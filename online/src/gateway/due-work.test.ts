/**
 * Shows that due work stands apart: a stage or a row that fails does not keep the others from their
 * reversals, a merchant who does not answer holds up no money, and an answer that comes late while
 * the database is away ends nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SWITCH_DEFAULTS } from '../switch/ports.ts';
import { GatewayCore } from './core.ts';
import {
  newOrder,
  payOrder,
  reply,
  type TestGateway,
  testGateway,
  testPeer,
} from './gateway.test-kit.ts';
import type { OutboxMessage } from './model.ts';
import { MERCHANT_DELIVERIES_MAX, Outbox } from './notifications.ts';
import { heldOrder, operationsWorld } from './operations/operations.test-kit.ts';

const fail = async (): Promise<never> => {
  throw new Error('the database refuses this');
};

/** A payment whose answer was lost: its reversal is due. */
async function lostPayment({ core, line }: TestGateway): Promise<string> {
  line.script = (message) => (message.mti === '0200' ? 'timeout' : reply(message, '00'));
  const { orderId } = await newOrder(core, { notifyUrl: 'http://127.0.0.1:9/hook' });
  return (await payOrder(core, testPeer(), orderId)).paymentId;
}

for (const step of ['expireOrders', 'claimOperations', 'claimNotices', 'claimOutbox'] as const) {
  test(`${step} fails: reversals are sent all the same, and the fault is told`, async () => {
    const gateway = await testGateway();
    const { core, store } = gateway;
    const paymentId = await lostPayment(gateway);
    store[step] = fail;
    await assert.rejects(core.tick(), /the database refuses this/);
    assert.equal((await core.payment(paymentId)).payment.state, 'reversed');
  });
}

test('one overdue payment that cannot be reversed does not keep the next one waiting', async () => {
  const gateway = await testGateway();
  const { core, store, line, clock } = gateway;
  line.script = () => new Promise(() => undefined);
  for (const _ of [1, 2]) {
    const { orderId } = await newOrder(core);
    void payOrder(core, testPeer(), orderId);
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  }
  const sending = await store.listPayments({ states: ['sending'], limit: 10 });
  assert.equal(sending.length, 2);
  const { changePayment } = store;
  store.changePayment = (change) =>
    change.paymentId === sending[0]?.paymentId ? fail() : changePayment.call(store, change);
  line.script = (message) => reply(message, '00');
  clock.advance(SWITCH_DEFAULTS.issuerTimeoutMs + 60_000);
  await assert.rejects(core.tick(), /the database refuses this/);
  const states = sending.map(async ({ paymentId }) => (await store.findPayment(paymentId))?.state);
  assert.deepEqual(await Promise.all(states), ['sending', 'reversed']);
});

test('holds whose time is over are released side by side: one that waits delays no other', async () => {
  const world = await operationsWorld();
  const { core, line, clock } = world;
  for (const _ of [1, 2, 3]) await heldOrder(world);
  line.script = () => new Promise(() => undefined);
  clock.advance(29 * 86_400_000);
  void core.tickMoney();
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
  assert.equal(line.types(), '0100 0100 0100 0100 0100 0100');
});

test('a merchant that never answers holds up no reversal', async () => {
  const gateway = await testGateway();
  const { ports } = gateway;
  const hanging = { post: () => new Promise<number>(() => undefined) };
  const core = new GatewayCore({ ...ports, courier: hanging });
  const first = await lostPayment({ ...gateway, core });
  await core.startDeliveries();
  await core.tickMoney();
  assert.equal((await core.payment(first)).payment.state, 'reversed');
});

test('a merchant that never answers keeps its own share only; its end frees the next ones', async () => {
  const { ports, store } = await testGateway();
  const messages: OutboxMessage[] = ['slow', 'quick'].flatMap((merchantId) =>
    Array.from({ length: MERCHANT_DELIVERIES_MAX + 10 }, (_, index) => ({
      ...{ messageId: `${merchantId}-${index}`, paymentId: 'p', merchantId, mode: 'test' as const },
      ...{ endpointId: null, url: `http://127.0.0.1/${merchantId}`, body: '{}' },
      ...{ createdAtMs: 0, attempts: 1, nextAtMs: 0 },
    })),
  );
  store.claimOutbox = async ({ limit, exceptMerchants }) => {
    const due = messages.filter(({ merchantId }) => !exceptMerchants.includes(merchantId));
    const taken = due.slice(0, limit);
    for (const message of taken) messages.splice(messages.indexOf(message), 1);
    return taken;
  };
  const answers: (() => void)[] = [];
  const posted = { slow: 0, quick: 0 };
  let wakes = 0;
  const outbox = new Outbox({
    ...ports,
    wake: () => {
      wakes += 1;
    },
    courier: {
      check: async () => undefined,
      post: (url) => {
        const merchant = url.endsWith('slow') ? 'slow' : 'quick';
        posted[merchant] += 1;
        if (merchant === 'quick') return Promise.resolve(200);
        return new Promise((done) => answers.push(() => done(200)));
      },
    },
  });
  const ends = await outbox.start();
  await Promise.race(ends);
  await outbox.start();
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.deepEqual(posted, { slow: MERCHANT_DELIVERIES_MAX, quick: MERCHANT_DELIVERIES_MAX + 10 });
  const wakesBefore = wakes;
  answers[0]?.();
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.equal(wakes, wakesBefore + 1);
  await outbox.start();
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  assert.equal(posted.slow, MERCHANT_DELIVERIES_MAX + 10);
});

test('an answer that comes late while the database is away is logged, and ends nothing', async () => {
  const { core, store, log } = await operationsWorld();
  store.findPaymentByTrace = fail;
  const { line } = await testGateway();
  const peer = testPeer();
  const { orderId } = await newOrder(core);
  await payOrder(core, peer, orderId);
  void line;
  await core.lateReply({ mti: '0210', fields: new Map([[11, '000001']]) });
  assert.equal(log.at(-1)?.['event'], 'lateAnswerIgnored');
});
