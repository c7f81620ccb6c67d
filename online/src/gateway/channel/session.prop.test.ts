/** Shows that no message, whatever its form, makes the session throw, lie or move money. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import { CHANNEL_VERSION, checkShape, gatewayMessageShape } from '@tapnpay/protocol/wire';
import fc from 'fast-check';
import {
  approving,
  completionOf,
  newOrder,
  reply,
  sealOrder,
  testGateway,
} from '../gateway.test-kit.ts';
import { ChannelSession } from './session.ts';

const channel = {
  elementId: 'E1',
  certificateSha256: 'C1',
  exporter: 'E0'.repeat(32),
  protocol: 'TLSv1.3',
  isOpen: () => true,
};
const hello = { type: 'hello', version: CHANNEL_VERSION, elementId: 'E1', applicationVersion: '1' };

test('junk and half-right messages are answered by coded errors; nothing is charged', async () => {
  const { core, line, store } = await testGateway();
  const order = await newOrder(core);
  const kinds = fc.constantFrom('hello', 'orderRequest', 'payment', 'completion', 'abandon', 'x');
  const ids = fc.constantFrom(order.orderId, 'none', '', '../x');
  const shaped = fc.record(
    {
      type: kinds,
      orderId: ids,
      reason: fc.string(),
      version: fc.integer(),
      payment: fc.dictionary(fc.constantFrom('orderId', 'pan', 'pin', 'field55'), fc.jsonValue()),
      completion: fc.record({ paymentId: ids, secondType: fc.constantFrom('TC', 'AAC', null, 1) }),
    },
    { requiredKeys: ['type'] },
  );
  const messages = fc.array(fc.oneof(shaped, fc.jsonValue()), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(messages, fc.boolean(), async (values, greets) => {
      const session = new ChannelSession(core, channel);
      if (greets) await session.handle(hello);
      for (const value of values) {
        const { replies } = await session.handle(value);
        for (const reply of replies) checkShape(gatewayMessageShape, reply, 'reply');
      }
    }),
    { numRuns: 150 },
  );
  assert.equal(line.sent.length, 0);
  assert.deepEqual(await store.ledgerEntries(), []);
  assert.equal((await core.order(order.orderId)).status, 'open');
});

test('contactless: the answer of the issuer, and the final word at once', async () => {
  for (const [script, result, outcome, responseCode] of [
    [approving, 'answered', 'approved', '00'],
    [(message: Iso8583Message) => reply(message, '51'), 'answered', 'declined', '51'],
    [(message: Iso8583Message) => reply(message, '96'), 'unknown', 'unknown', '96'],
    [() => 'timeout' as const, 'unknown', 'unknown', null],
  ] as const) {
    const { core, line } = await testGateway();
    line.script = script;
    const order = await newOrder(core);
    const session = new ChannelSession(core, channel);
    await session.handle(hello);
    const asked = await session.handle({ type: 'orderRequest', orderId: order.orderId });
    const [signed] = asked.replies;
    assert.ok(signed?.type === 'signedOrder');
    const payment = sealOrder(signed.order, channel.exporter, { interface: 'contactless' });
    const { replies, close } = await session.handle({ type: 'payment', payment });
    const [first, second, ...more] = replies;
    assert.ok(first?.type === 'authorisation' && second?.type === 'result');
    assert.deepEqual([first.result, first.responseCode], [result, responseCode]);
    const { paymentId } = first;
    assert.deepEqual(second, { type: 'result', paymentId, outcome, responseCode });
    assert.deepEqual([more.length, close], [0, false]);
    const completion = { ...completionOf(paymentId, 'TC'), outcome: 'approved' };
    const [refused] = (await session.handle({ type: 'completion', completion })).replies;
    assert.ok(refused?.type === 'error' && refused.code === 'ERR_PAYMENT_STATE');
  }
});

test('a switch or HSM that is away: the card hears that nobody could be asked', async () => {
  const { core, line } = await testGateway();
  const order = await newOrder(core);
  line.up = false;
  const session = new ChannelSession(core, channel);
  await session.handle(hello);
  const asked = await session.handle({ type: 'orderRequest', orderId: order.orderId });
  const [signed] = asked.replies;
  assert.ok(signed?.type === 'signedOrder');
  for (const card of ['contact', 'contactless'] as const) {
    const payment = sealOrder(signed.order, channel.exporter, { interface: card });
    const { replies, close } = await session.handle({ type: 'payment', payment });
    const [answer, ...more] = replies;
    assert.ok(answer?.type === 'authorisation' && answer.result === 'unable', card);
    assert.deepEqual([more.length, close], [0, false]);
  }
  assert.equal((await core.order(order.orderId)).status, 'open');
});
