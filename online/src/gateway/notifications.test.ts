/** Shows notifications: signed, masked, one per change, retried and given up. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import {
  completionOf,
  newOrder,
  payOrder,
  reply,
  TEST_PAN,
  TestLine,
  testGateway,
  testPeer,
} from './gateway.test-kit.ts';
import { webhookHeaders } from './notifications.ts';

const notifyUrl = 'http://127.0.0.1/hook';

test('the signature is that of Standard Webhooks (its published example)', () => {
  const secret = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
  const message = { messageId: 'msg_p5jXN8AQM9LWM0D4loKWxJek', body: '{"test": 2432232314}' };
  const headers = webhookHeaders([new Uint8Array(secret)], message, 1_614_265_330_000);
  assert.equal(headers['webhook-timestamp'], '1614265330');
  assert.equal(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('paid: one notification of the committed state, signed, with masked data only', async () => {
  const { core, posts } = await testGateway();
  const order = await newOrder(core, { notifyUrl });
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId);
  await core.tick();
  assert.ok(posts.length < 1, 'an approval without completion is not told');
  await core.complete(peer, completionOf(paymentId, 'TC'));
  await core.tick();
  await core.tick();
  const [post] = posts;
  assert.ok(post && posts.length === 1);
  const { type, data } = JSON.parse(post.body);
  assert.equal(type, 'payment.approved');
  assert.deepEqual([data.orderId, data.paymentId, data.sequence], [order.orderId, paymentId, 1]);
  assert.equal(data.panMasked, '629999******0017');
  assert.ok(!post.body.includes(TEST_PAN));
  const id = post.headers['webhook-id'];
  const signed = `${id}.${post.headers['webhook-timestamp']}.${post.body}`;
  const mac = createHmac('sha256', 'webhook secret of the tests').update(signed).digest('base64');
  assert.equal(post.headers['webhook-signature'], `v1,${mac}`);
});

test('I7: each change a shop can see is told once, with growing sequence numbers', async () => {
  const line = new TestLine(() => 'timeout');
  const { core, posts } = await testGateway({ line });
  const order = await newOrder(core, { notifyUrl });
  await payOrder(core, testPeer(), order.orderId);
  line.script = (message) => reply(message, '00');
  await core.tick();
  await core.tick();
  const told = posts.map(({ body }) => JSON.parse(body));
  assert.deepEqual(
    told.map(({ type, data }) => [type, data.sequence]),
    [
      ['payment.unknown', 1],
      ['payment.reversed', 2],
    ],
  );
  assert.equal(new Set(posts.map(({ headers }) => headers['webhook-id'])).size, 2);
});

test('a shop that fails is asked again with growing pauses, then given up', async () => {
  const { core, posts, courier, clock, ports, log } = await testGateway();
  courier.status = 500;
  const order = await newOrder(core, { notifyUrl });
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId);
  await core.complete(peer, completionOf(paymentId, 'TC'));
  await core.tick();
  clock.advance(4_999);
  await core.tick();
  assert.equal(posts.length, 1);
  for (const pauseMs of ports.profile.notificationPausesMs) {
    clock.advance(pauseMs);
    await core.tick();
  }
  assert.equal(posts.length, 1 + ports.profile.notificationPausesMs.length);
  assert.equal(log.at(-1)?.['givenUp'], true);
  clock.advance(864e5);
  await core.tick();
  assert.equal(posts.length, 1 + ports.profile.notificationPausesMs.length);
  assert.equal((await core.order(order.orderId)).status, 'paid', 'money does not depend on it');
});

test('no URL, no notification; logs never hold the card number (with a positive control)', async () => {
  const { core, posts, log, hops, store } = await testGateway();
  const order = await newOrder(core);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId, { pinCounter: 1 });
  await core.complete(peer, completionOf(paymentId, 'TC'));
  await core.tick();
  assert.deepEqual(posts, []);
  const kept = JSON.stringify([
    log,
    hops,
    { ...(await store.findPayment(paymentId)), amountMinor: 0 },
  ]);
  for (const form of [TEST_PAN, Buffer.from(TEST_PAN).toString('hex'), '0F'.repeat(16)]) {
    assert.ok(!kept.includes(form));
  }
  assert.ok(JSON.stringify({ leak: TEST_PAN }).includes(TEST_PAN));
});
