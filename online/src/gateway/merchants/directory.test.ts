/** Shows that a payment of a second merchant says so everywhere: signed order, 0200, 0420. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayCore } from '../core.ts';
import {
  approving,
  completionOf,
  fieldText,
  payOrder,
  TestClock,
  testGateway,
  testPeer,
} from '../gateway.test-kit.ts';
import { merchantOf, remembered } from './directory.ts';

const SECOND = {
  merchantId: '629990000000002',
  name: 'Corner Tea House',
  terminalId: '62990002',
  categoryCode: '5812',
  location: 'CORNER TEA HOUSE',
};
const request = { merchantOrderNumber: 'N', amount: '12.34', currency: '156', origin: 'o' };

test('order, request and reversal carry the merchant of the order, not of the installation', async () => {
  const gateway = await testGateway();
  const find = async (id: string) => (id === SECOND.merchantId ? SECOND : null);
  const core = new GatewayCore({ ...gateway.ports, merchants: { find } });
  const owner = { merchantId: SECOND.merchantId, mode: 'test' } as const;
  const { order } = await core.createOrder('k', request, owner);
  const peer = testPeer();
  const told = await core.requestOrder(peer, order.orderId);
  assert.ok(told.type === 'signedOrder');
  assert.deepEqual(
    [told.order.merchantId, told.order.merchantName, told.order.terminalId],
    [SECOND.merchantId, SECOND.name, SECOND.terminalId],
  );
  gateway.line.script = approving;
  const { paymentId } = await payOrder(core, peer, order.orderId);
  await core.complete(peer, completionOf(paymentId, 'AAC'));
  await core.tick();
  assert.equal(gateway.line.types(), '0200 0420');
  for (const message of gateway.line.sent) {
    assert.equal(fieldText(message, 41), SECOND.terminalId, message.mti);
    assert.equal(fieldText(message, 42), SECOND.merchantId, message.mti);
    assert.equal(fieldText(message, 18), SECOND.categoryCode, message.mti);
    assert.equal(fieldText(message, 43).trim(), SECOND.location, message.mti);
  }
});

test('a merchant nobody knows is a fault; a known one is looked up once a minute', async () => {
  const { ports } = await testGateway();
  await assert.rejects(merchantOf(ports, 'nobody'), { code: 'ERR_MERCHANT_NOT_FOUND' });
  const clock = new TestClock();
  let asked = 0;
  const row = { ...SECOND, nameZh: '茶', state: 'active', createdAtMs: 1 } as const;
  const table = remembered(
    {
      findMerchant: async (id) => {
        asked += 1;
        return id === SECOND.merchantId ? row : null;
      },
    },
    clock,
  );
  assert.equal((await table.find(SECOND.merchantId))?.name, SECOND.name);
  await table.find(SECOND.merchantId);
  assert.equal(asked, 1);
  clock.advance(60_000);
  await table.find(SECOND.merchantId);
  assert.equal(asked, 2);
  assert.equal(await table.find('nobody'), null);
});
