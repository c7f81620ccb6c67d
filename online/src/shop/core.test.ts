/**
 * Shows the shop's part of a payment: an order made once whatever gets lost, stock that comes back
 * only when nothing can be charged any more, notifications in any order, and the sweep.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hop } from '@tapnpay/protocol/wire';
import {
  aKey,
  codeOf,
  newsBody,
  ordered,
  signed,
  TEST_ORIGIN,
  type TestShop,
  testShop,
} from './shop.test-kit.ts';

const stock = async ({ store }: TestShop, goodsId = 'cup'): Promise<number> =>
  (await store.findGoods(goodsId))?.stock ?? -1;
const stateOf = async ({ store }: TestShop, orderId: string): Promise<string | undefined> =>
  (await store.findOrder(orderId))?.state;

test('checkout: own prices, stock reserved, gateway asked with our order id as key', async () => {
  const shop = await testShop();
  const placed = await shop.core.checkout(aKey(), [
    { goodsId: 'cup', quantity: 2 },
    { goodsId: 'postcards', quantity: 3 },
  ]);
  const [asked] = shop.gateway.requests;
  assert.equal(asked?.key, placed.orderId);
  assert.deepEqual(asked?.request, {
    merchantOrderNumber: placed.orderNumber,
    amount: '165.70',
    currency: '156',
    origin: TEST_ORIGIN,
    notifyUrl: `${TEST_ORIGIN}/notifications`,
    returnUrl: `${TEST_ORIGIN}/orders/${placed.orderId}`,
  });
  assert.match(placed.orderNumber, /^260314-[0-9A-Z]{8}$/);
  assert.equal(placed.state, 'awaitingPayment');
  assert.equal(placed.payUrl, `http://127.0.0.1:8420/pay/gateway-${placed.orderId}`);
  assert.deepEqual([await stock(shop), await stock(shop, 'postcards')], [58, 197]);
  const [hop] = shop.hops;
  assert.deepEqual([hop?.n, hop?.name, hop?.party], [Hop.order, 'order', 'shop']);
  assert.equal(hop?.facts['orderId'], `gateway-${placed.orderId}`);
});

test('a cart that is none is refused before anything is reserved', async () => {
  const shop = await testShop();
  const line = { goodsId: 'cup', quantity: 1 };
  const many = Array.from({ length: 21 }, (_, index) => ({ goodsId: `g${index}`, quantity: 1 }));
  const bad = [
    [],
    [line, line],
    many,
    [{ ...line, quantity: 0 }],
    [{ ...line, quantity: -1 }],
    [{ ...line, quantity: 100 }],
    [{ ...line, quantity: 1.5 }],
    [{ ...line, quantity: Number.NaN }],
  ];
  for (const cart of bad) assert.equal(await codeOf(shop.core.checkout(aKey(), cart)), 'ERR_CART');
  assert.equal(await codeOf(shop.core.checkout('short', [line])), 'ERR_REQUEST');
  const unknown = [{ goodsId: 'none', quantity: 1 }];
  assert.equal(await codeOf(shop.core.checkout(aKey(), unknown)), 'ERR_GOODS_NOT_FOUND');
  const short = shop.core.checkout(aKey(), [{ goodsId: 'umbrella', quantity: 4 }]);
  assert.equal(await codeOf(short), 'ERR_STOCK');
  assert.equal(shop.gateway.requests.length, 0);
  assert.deepEqual([await stock(shop), await stock(shop, 'umbrella')], [60, 3]);
});

test('gateway down: the order waits, a repeat with the same key goes on with it', async () => {
  const shop = await testShop();
  const [key, cart] = [aKey(), [{ goodsId: 'cup', quantity: 2 }]];
  shop.gateway.mode = 'down';
  assert.equal(await codeOf(shop.core.checkout(key, cart)), 'ERR_GATEWAY_UNAVAILABLE');
  const [waiting] = await shop.store.listOrders({
    state: 'placing',
    search: '',
    beforeMs: null,
    limit: 9,
  });
  assert.ok(waiting);
  assert.equal(await stock(shop), 58);
  assert.equal(shop.hops.length, 0);
  shop.gateway.mode = 'up';
  const placed = await shop.core.checkout(key, cart);
  assert.equal(placed.orderId, waiting.orderId);
  assert.ok(placed.payUrl);
  assert.equal(await stock(shop), 58);
  assert.deepEqual(new Set(shop.gateway.requests.map((request) => request.key)).size, 1);
  const other = shop.core.checkout(key, [{ goodsId: 'cup', quantity: 1 }]);
  assert.equal(await codeOf(other), 'ERR_IDEMPOTENCY_MISMATCH');
});

test('the answer got lost: the sweep places the order again and the gateway has one', async () => {
  const shop = await testShop();
  shop.gateway.mode = 'lost';
  const lost = shop.core.checkout(aKey(), [{ goodsId: 'cup', quantity: 2 }]);
  assert.equal(await codeOf(lost), 'ERR_GATEWAY_UNAVAILABLE');
  shop.gateway.mode = 'up';
  assert.equal(await shop.core.tick(), 0, 'not due yet: the buyer may still be waiting');
  shop.clock.advance(15_000);
  assert.equal(await shop.core.tick(), 1);
  assert.equal(shop.gateway.orders.size, 1);
  const [order] = await shop.store.listOrders({
    state: null,
    search: '',
    beforeMs: null,
    limit: 9,
  });
  assert.equal(order?.state, 'awaitingPayment');
  assert.equal(shop.hops.length, 1);
});

test('20 double clicks make one order at both sides and pass hop 1 once', async () => {
  const shop = await testShop();
  const [key, cart] = [aKey(), [{ goodsId: 'cup', quantity: 2 }]];
  const placed = await Promise.all(Array.from({ length: 20 }, () => shop.core.checkout(key, cart)));
  assert.equal(new Set(placed.map(({ orderId }) => orderId)).size, 1);
  assert.equal(shop.gateway.orders.size, 1);
  assert.equal(shop.hops.length, 1);
  assert.equal(await stock(shop), 58);
});

test('an order that never reached its pay page is closed at the gateway, then released', async () => {
  const shop = await testShop();
  shop.gateway.mode = 'down';
  await codeOf(shop.core.checkout(aKey(), [{ goodsId: 'cup', quantity: 2 }]));
  for (let minute = 0; minute < 45; minute++) {
    shop.clock.advance(60_000);
    await shop.core.tick();
  }
  assert.equal(await stock(shop), 58, 'as long as the gateway is silent the pieces are kept');
  shop.gateway.mode = 'up';
  shop.clock.advance(60_000);
  await shop.core.tick();
  assert.equal([...shop.gateway.orders.values()][0]?.status, 'cancelled');
  assert.equal(await stock(shop), 60);
});

test('a gateway that refuses leaves an incident, one for all repeats', async () => {
  const shop = await testShop();
  shop.gateway.mode = 'refuses';
  const refused = shop.core.checkout(aKey(), [{ goodsId: 'cup', quantity: 2 }]);
  assert.equal(await codeOf(refused), 'ERR_GATEWAY_REFUSED');
  for (let round = 0; round < 3; round++) {
    shop.clock.advance(60_000);
    await shop.core.tick();
  }
  const incidents = await shop.store.listIncidents(9);
  assert.deepEqual(
    incidents.map(({ code }) => code),
    ['ERR_GATEWAY_REFUSED'],
  );
});

test('a gateway that answers with another amount is not believed', async () => {
  const shop = await testShop();
  shop.gateway.lie = { amountMinor: 1n };
  const lied = shop.core.checkout(aKey(), [{ goodsId: 'cup', quantity: 2 }]);
  assert.equal(await codeOf(lied), 'ERR_ORDER_MISMATCH');
  shop.gateway.lie = {};
  const { orderId, gatewayId } = await ordered(shop);
  shop.gateway.set(gatewayId, 'paid', 'payment-1');
  for (const lie of [{ amountMinor: 13_601n }, { currency: '840' }, { orderId: 'another' }]) {
    shop.gateway.lie = lie;
    shop.clock.advance(60_000);
    await shop.core.order(orderId);
    assert.equal(await stateOf(shop, orderId), 'awaitingPayment');
  }
  shop.gateway.lie = {};
  shop.clock.advance(60_000);
  assert.equal((await shop.core.order(orderId)).state, 'paid', 'the true one is');
});

test('an approval ends the order: hop 14, goods sold, no more questions', async () => {
  const shop = await testShop();
  const { orderId, orderNumber, gatewayId } = await ordered(shop);
  const news = { gatewayId, orderNumber, outcome: 'approved' } as const;
  await shop.core.notification(signed(newsBody(news)));
  const order = await shop.core.order(orderId);
  assert.deepEqual(
    [order.state, order.paymentId, order.panMasked],
    ['paid', 'payment-1', '629999******0017'],
  );
  const tell = shop.hops.at(-1);
  assert.deepEqual([tell?.n, tell?.name, tell?.party], [Hop.tell, 'tell', 'shop']);
  assert.equal(tell?.facts['orderId'], gatewayId);
  shop.clock.advance(3_600_000);
  assert.equal(await shop.core.tick(), 0);
  assert.equal(shop.gateway.questions, 0);
  assert.equal(await stock(shop), 58);
});

test('20 copies of one notification at once have one effect', async () => {
  const shop = await testShop();
  const { orderId, gatewayId, orderNumber } = await ordered(shop);
  const body = newsBody({ gatewayId, orderNumber, outcome: 'approved' });
  const message = signed(body, { id: 'msg_same' });
  await Promise.all(Array.from({ length: 20 }, () => shop.core.notification(message)));
  assert.equal((await shop.core.order(orderId)).state, 'paid');
  assert.equal(shop.hops.filter(({ name }) => name === 'tell').length, 1);
  const trail = await shop.store.orderTrail(orderId);
  assert.deepEqual(
    trail.notifications.map(({ effect }) => effect),
    ['applied'],
  );
});

test('events about holds, captures and refunds are taken and change nothing', async () => {
  const shop = await testShop();
  const { orderId, gatewayId, orderNumber } = await ordered(shop);
  const approved = newsBody({ gatewayId, orderNumber, outcome: 'approved' });
  for (const [type, outcome] of [
    ['payment.authorised', 'authorised'],
    ['payment.voided', 'voided'],
    ['refund.succeeded', 'approved'],
    ['void.unknown', 'approved'],
  ]) {
    const { data, ...rest } = JSON.parse(approved);
    const body = JSON.stringify({ ...rest, type, data: { ...data, outcome } });
    await shop.core.notification(signed(body));
  }
  assert.equal((await shop.core.order(orderId)).state, 'awaitingPayment');
  const untyped = JSON.stringify({ ...JSON.parse(approved), type: undefined, data: {} });
  assert.equal(await codeOf(shop.core.notification(signed(untyped))), 'ERR_REQUEST');
});

test('every order of the same notifications, each twice, ends the same', async () => {
  const outcomes = ['unknown', 'reversed', 'approved'] as const;
  for (const order of permutations([0, 1, 2])) {
    const shop = await testShop();
    const { orderId, orderNumber, gatewayId } = await ordered(shop);
    shop.gateway.set(gatewayId, 'paid', 'payment-2');
    for (const index of [...order, ...order]) {
      const outcome = outcomes[index] ?? 'unknown';
      const first = { paymentId: 'payment-1', sequence: index + 2 };
      const facts = outcome === 'approved' ? { paymentId: 'payment-2', sequence: 3 } : first;
      const body = newsBody({ gatewayId, orderNumber, outcome, ...facts });
      await shop.core.notification(signed(body, { id: `msg_${index}` }));
    }
    await shop.core.tick();
    assert.equal(await stateOf(shop, orderId), 'paid', order.join());
    assert.equal(await stock(shop), 58);
    assert.deepEqual(await shop.store.listIncidents(9), []);
    assert.equal(shop.hops.filter(({ name }) => name === 'tell').length, 3);
  }
});

test('unknown: nobody may pay again and the pieces stay; the gateway has the last word', async () => {
  for (const [status, state, left] of [
    ['open', 'awaitingPayment', 58],
    ['paid', 'paid', 58],
    ['unknown', 'unknownPayment', 58],
    ['cancelled', 'cancelled', 60],
    ['expired', 'expired', 60],
  ] as const) {
    const shop = await testShop();
    const { orderId, orderNumber, gatewayId } = await ordered(shop);
    shop.gateway.mode = 'down';
    await shop.core.notification(
      signed(newsBody({ gatewayId, orderNumber, outcome: 'unknown', sequence: 2 })),
    );
    await shop.core.tick();
    assert.equal(await stateOf(shop, orderId), 'unknownPayment');
    assert.equal(await stock(shop), 58);
    shop.gateway.mode = 'up';
    shop.gateway.set(gatewayId, status, 'payment-1');
    shop.clock.advance(10_000);
    await shop.core.tick();
    assert.equal(await stateOf(shop, orderId), state);
    assert.equal(await stock(shop), left);
  }
});

test('a decline changes no state by itself, is told to the buyer, and makes the shop ask', async () => {
  const shop = await testShop();
  const { orderId, orderNumber, gatewayId } = await ordered(shop);
  const wakes = shop.wakes.count;
  await shop.core.notification(signed(newsBody({ gatewayId, orderNumber, outcome: 'declined' })));
  assert.equal(shop.wakes.count, wakes + 1);
  assert.equal(await shop.core.tick(), 1);
  const order = await shop.core.order(orderId);
  assert.deepEqual([order.state, order.outcome], ['awaitingPayment', 'declined']);
});

test('a notification that is not about this order is an incident and changes nothing', async () => {
  const shop = await testShop();
  const { orderId, orderNumber, gatewayId } = await ordered(shop);
  const right = { gatewayId, orderNumber, outcome: 'approved' } as const;
  for (const wrong of [
    { amountMinor: '13599' },
    { amountMinor: '1360000' },
    { currency: '840' },
    { gatewayId: 'gateway-other' },
  ]) {
    const message = signed(newsBody({ ...right, ...wrong }));
    assert.equal(await codeOf(shop.core.notification(message)), 'ERR_ORDER_MISMATCH');
    assert.equal(await codeOf(shop.core.notification(message)), 'ERR_ORDER_MISMATCH');
  }
  const foreign = signed(newsBody({ ...right, orderNumber: '260314-AAAAAAAA' }));
  assert.equal(await codeOf(shop.core.notification(foreign)), 'ERR_ORDER_NOT_FOUND');
  assert.equal(await stateOf(shop, orderId), 'awaitingPayment');
  assert.equal((await shop.store.listIncidents(99)).length, 5, 'repeats are told once');
  assert.ok(!shop.hops.some(({ name }) => name === 'tell'));
  await shop.core.notification(signed(newsBody(right)));
  assert.equal(await stateOf(shop, orderId), 'paid', 'the right one still counts');
});

test('money for a closed order, or a second time, is an incident', async () => {
  const shop = await testShop();
  const closed = await ordered(shop);
  await shop.core.cancel(closed.orderId);
  await shop.core.notification(signed(newsBody({ ...closed, outcome: 'approved' })));
  assert.equal(await stateOf(shop, closed.orderId), 'cancelled');
  const twice = await ordered(shop);
  for (const paymentId of ['payment-1', 'payment-2']) {
    await shop.core.notification(signed(newsBody({ ...twice, outcome: 'approved', paymentId })));
  }
  const codes = (await shop.store.listIncidents(9)).map(({ code }) => code).sort();
  assert.deepEqual(codes, ['ERR_PAID_AFTER_RELEASE', 'ERR_PAID_TWICE']);
});

test('a notification that overtakes the answer of its order is asked for again', async () => {
  const shop = await testShop();
  shop.gateway.mode = 'lost';
  await codeOf(shop.core.checkout(aKey(), [{ goodsId: 'cup', quantity: 2 }]));
  const [made] = [...shop.gateway.orders.values()];
  const news = { gatewayId: made?.orderId ?? '', orderNumber: made?.merchantOrderNumber ?? '' };
  const message = signed(newsBody({ ...news, outcome: 'approved' }));
  assert.equal(await codeOf(shop.core.notification(message)), 'ERR_ORDER_PLACING');
  shop.gateway.mode = 'up';
  shop.clock.advance(15_000);
  await shop.core.tick();
  await shop.core.notification(message);
  assert.equal((await shop.store.findOrderByNumber(news.orderNumber))?.state, 'paid');
});

test('no notification ever came: the sweep finds the payment; a late copy adds the card', async () => {
  const shop = await testShop();
  const { orderId, orderNumber, gatewayId } = await ordered(shop);
  shop.gateway.set(gatewayId, 'paid', 'payment-1');
  shop.clock.advance(4_999);
  assert.equal(await shop.core.tick(), 0);
  shop.clock.advance(1);
  assert.equal(await shop.core.tick(), 1);
  assert.equal(await stateOf(shop, orderId), 'paid');
  await shop.core.notification(signed(newsBody({ gatewayId, orderNumber, outcome: 'approved' })));
  assert.equal((await shop.core.order(orderId)).panMasked, '629999******0017');
  assert.deepEqual(await shop.store.listIncidents(9), []);
});

test('an open order is asked about with growing pauses, an expired one gives its pieces back', async () => {
  const shop = await testShop();
  const { orderId, gatewayId } = await ordered(shop);
  const asked: number[] = [];
  for (let second = 1; second <= 200; second++) {
    shop.clock.advance(1_000);
    if ((await shop.core.tick()) > 0) asked.push(second);
  }
  assert.deepEqual(asked, [5, 15, 35, 75, 135, 195]);
  shop.gateway.set(gatewayId, 'expired');
  shop.clock.advance(60_000);
  await shop.core.tick();
  assert.equal(await stateOf(shop, orderId), 'expired');
  assert.equal(await stock(shop), 60);
});

test('a buyer who looks sees the truth, and asks the gateway once a second at most', async () => {
  const shop = await testShop();
  const { orderId, gatewayId } = await ordered(shop);
  shop.gateway.set(gatewayId, 'processing', 'payment-1');
  await Promise.all(Array.from({ length: 20 }, () => shop.core.order(orderId)));
  assert.equal(shop.gateway.questions, 1);
  assert.equal((await shop.core.order(orderId)).gatewayStatus, 'processing');
  shop.gateway.set(gatewayId, 'paid', 'payment-1');
  shop.clock.advance(1_000);
  assert.equal((await shop.core.order(orderId)).state, 'paid');
  assert.equal(await codeOf(shop.core.order('none')), 'ERR_ORDER_NOT_FOUND');
});

test('cancel: an open order closes; one under way stays; a silent gateway decides nothing', async () => {
  const shop = await testShop();
  const { orderId, gatewayId } = await ordered(shop);
  shop.gateway.mode = 'down';
  assert.equal(await codeOf(shop.core.cancel(orderId)), 'ERR_GATEWAY_UNAVAILABLE');
  assert.equal(await stock(shop), 58);
  shop.gateway.mode = 'up';
  shop.gateway.set(gatewayId, 'processing');
  assert.equal((await shop.core.cancel(orderId)).state, 'awaitingPayment');
  shop.gateway.set(gatewayId, 'open');
  assert.equal((await shop.core.cancel(orderId)).state, 'cancelled');
  assert.equal((await shop.core.cancel(orderId)).state, 'cancelled');
  assert.equal(await stock(shop), 60);
});

function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length < 2) return [items];
  return items.flatMap((item) =>
    permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}
