/** A traced gateway moves money as a plain one, and its events name order, payment and hop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceEvent } from '@tapnpay/protocol/wire';
import { type LogRecord, Tracer } from '../runtime/index.ts';
import type { GatewayCore } from './core.ts';
import {
  approving,
  completionOf,
  newOrder,
  payOrder,
  reply,
  TEST_PAN,
  type TestGateway,
  TestLine,
  testGateway,
  testPeer,
} from './gateway.test-kit.ts';
import { gatewayCore } from './tracing.ts';

type Traced = TestGateway & { readonly traced: GatewayCore; readonly events: TraceEvent[] };

async function tracedGateway(line = new TestLine(approving)): Promise<Traced> {
  const gateway = await testGateway({ line });
  const events: TraceEvent[] = [];
  const log = (record: LogRecord): void => void events.push(record as unknown as TraceEvent);
  const tracer = new Tracer({ party: 'gateway', clock: gateway.clock, log });
  return { ...gateway, traced: gatewayCore(gateway.ports, tracer), events };
}

const told = (events: readonly TraceEvent[]): string[] =>
  events.map(({ hop, kind, title }) => `${hop} ${kind} ${title}`);

test('without a tracer the core is the plain one', async () => {
  const { ports } = await testGateway();
  assert.equal(gatewayCore(ports, undefined).ports, ports);
});

test('a contact payment: channel, HSM, messages and ledger in their hops, tied to the order', async () => {
  const { traced, events, store } = await tracedGateway();
  const order = await newOrder(traced);
  const peer = testPeer();
  const answer = await payOrder(traced, peer, order.orderId, { pinCounter: 1 });
  await traced.complete(peer, completionOf(answer.paymentId, 'TC'));
  assert.equal((await traced.order(order.orderId)).status, 'paid');
  assert.equal((await store.ledgerEntries()).length, 2);
  assert.deepEqual(told(events), [
    'channel channel handshake',
    'channel channel signedOrder',
    'seal channel payment',
    'request hsm translatePin',
    'request hsm generateMac',
    'request iso8583 0200 sent',
    'return iso8583 0210 received',
    'return hsm verifyMac',
    'finish channel authorisation',
    'confirm channel completion',
    'confirm ledger posting',
    'confirm ledger posting',
    'tell channel result',
  ]);
  const { payment } = await traced.payment(answer.paymentId);
  const sent = events.find(({ title }) => title === '0200 sent');
  assert.deepEqual(sent?.references, [order.orderId, answer.paymentId, payment.retrievalReference]);
  assert.deepEqual(events.at(-1)?.references, [answer.paymentId]);
  assert.ok(!JSON.stringify(events).includes(TEST_PAN));
});

test('a contactless payment is booked at the answer: its rows stand in hop 11', async () => {
  const { traced, events } = await tracedGateway();
  const order = await newOrder(traced);
  await payOrder(traced, testPeer(), order.orderId, { interface: 'contactless' });
  assert.equal((await traced.order(order.orderId)).status, 'paid');
  assert.deepEqual(told(events).slice(-3), [
    'return ledger posting',
    'return ledger posting',
    'return channel authorisation',
  ]);
});

test('a refusal has no rows, a fault before the commit point leaves its trace', async () => {
  const declining = await tracedGateway(new TestLine((message) => reply(message, '51')));
  const order = await newOrder(declining.traced);
  await payOrder(declining.traced, testPeer(), order.orderId);
  assert.ok(!told(declining.events).some((text) => text.includes('ledger')));
  const broken = await tracedGateway();
  broken.line.up = false;
  const other = await newOrder(broken.traced);
  await assert.rejects(payOrder(broken.traced, testPeer(), other.orderId), {
    code: 'ERR_SWITCH_UNAVAILABLE',
  });
  assert.deepEqual(told(broken.events).at(-1), 'seal channel payment');
});

test('reversals belong to hop 13 of their own payments, however they were woken', async () => {
  const { traced, events } = await tracedGateway(
    new TestLine((message) => (message.mti === '0200' ? 'timeout' : reply(message, '00'))),
  );
  const orders = [await newOrder(traced), await newOrder(traced)];
  for (const { orderId } of orders) await payOrder(traced, testPeer(), orderId);
  events.length = 0;
  await traced.tick();
  for (const { orderId } of orders) {
    assert.equal((await traced.order(orderId)).status, 'open');
    const own = events.filter(({ references }) => references.includes(orderId));
    assert.deepEqual(told(own), [
      'confirm hsm generateMac',
      'confirm iso8583 0420 sent',
      'confirm iso8583 0430 received',
      'confirm hsm verifyMac',
    ]);
  }
  assert.equal(events.length, 8);
});
