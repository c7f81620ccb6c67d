/**
 * The contract of `ShopStore`, shown in memory and on a real PostgreSQL: no overselling, one order a
 * key, reservations given back once, legal moves only, leases. What only a database can refuse by
 * itself follows.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import type { Goods, OrderWithItems } from './model.ts';
import type { Reservation, Settlement, ShopStore } from './store.ts';
import { MemoryShopStore } from './store-memory.ts';
import { openShopStore } from './store-postgres.ts';

const NOW = 1_800_000_000_000;
let count = 0;

function someGoods(changes: Partial<Goods> = {}): Goods {
  return {
    goodsId: `goods-${++count}`,
    name: { zh: '杯', en: 'cup' },
    description: { zh: '青瓷', en: 'celadon' },
    priceMinor: 6_800n,
    stock: 10,
    picture: 'cup',
    isOnSale: true,
    position: count,
    version: 1,
    createdAtMs: NOW,
    updatedAtMs: NOW,
    ...changes,
  };
}

function reservation(items: Reservation['items'], changes: Partial<Reservation> = {}): Reservation {
  const number = ++count;
  return {
    orderId: `order-${number}`,
    orderNumber: `260314-${String(number).padStart(8, '0')}`,
    currency: '156',
    origin: 'http://127.0.0.1:1',
    createdAtMs: NOW + number,
    nextCheckAtMs: NOW + 1_000_000,
    idempotencyKey: `key-${number}`,
    fingerprint: 'f',
    items,
    ...changes,
  };
}

async function stocked(store: ShopStore, changes: Partial<Goods> = {}): Promise<Goods> {
  const goods = someGoods(changes);
  assert.equal(await store.createGoods(goods), 'created');
  return goods;
}

async function stockOf(store: ShopStore, { goodsId }: Goods): Promise<number> {
  return (await store.findGoods(goodsId))?.stock ?? -1;
}

/** The stock is what its movements sum up to, and the last one says so. */
async function assertBooks(store: ShopStore, goods: Goods): Promise<void> {
  const movements = await store.listMovements(goods.goodsId, 1_000);
  const sum = movements.reduce((total, { delta }) => total + delta, 0);
  assert.equal(sum, await stockOf(store, goods));
  assert.equal(movements[0]?.stockAfter, sum);
}

async function placedOrder(store: ShopStore, goods: Goods, quantity = 2): Promise<OrderWithItems> {
  const wish = reservation([{ goodsId: goods.goodsId, quantity }]);
  assert.equal((await store.reserve(wish)).kind, 'reserved');
  const placed = await store.placed({
    orderId: wish.orderId,
    gatewayOrderId: `g-${wish.orderId}`,
    payUrl: 'http://127.0.0.1:2/pay/x',
    expiresAtMs: NOW + 900_000,
    nextCheckAtMs: NOW + 5_000_000,
    atMs: NOW + 1,
  });
  assert.ok(placed?.moved);
  return placed.order;
}

function settlement(order: OrderWithItems, changes: Partial<Settlement>): Settlement {
  return {
    orderId: order.orderId,
    version: null,
    to: null,
    gatewayStatus: null,
    attempt: null,
    notification: null,
    nextCheckAtMs: NOW + 9_000_000,
    atMs: NOW + 2,
    ...changes,
  };
}

function notification(paymentId: string, sequence: number, webhookId = `msg-${++count}`) {
  return { webhookId, paymentId, sequence, outcome: 'approved', atMs: NOW + 2 };
}

type Rule = (title: string, check: (store: ShopStore) => Promise<void>) => void;

function suite(name: string, open: () => Promise<ShopStore | null>): void {
  describe(name, () => {
    let opened: ShopStore | null = null;
    before(async () => {
      opened = await open();
    });
    after(() => opened?.close());
    const rule: Rule = (title, check) => {
      test(title, async (context) => {
        if (opened) return check(opened);
        context.skip('no database here');
      });
    };
    goodsRules(rule);
    reserveRules(rule);
    settleRules(rule);
    queueRules(rule);
    merchantRules(rule);
  });
}

function goodsRules(rule: Rule): void {
  rule('goods are kept as given; the same number is refused', async (store) => {
    const goods = await stocked(store);
    assert.deepEqual(await store.findGoods(goods.goodsId), goods);
    assert.equal(await store.createGoods({ ...goods, stock: 99 }), 'exists');
    assert.equal(await stockOf(store, goods), 10);
    assert.equal(await store.findGoods('none'), null);
    assert.equal(await store.seedGoods([someGoods()]), false, 'a shop with goods is not seeded');
    await assertBooks(store, goods);
  });

  rule('of two edits of one version the second is refused', async (store) => {
    const goods = await stocked(store);
    const edit = (priceMinor: bigint) =>
      store.editGoods({ ...goods, priceMinor, isOnSale: false, version: 1, atMs: NOW + 5 });
    const results = await Promise.all([edit(1n), edit(2n)]);
    assert.equal(results.filter((result) => result === 'changed').length, 1);
    const kept = await store.findGoods(goods.goodsId);
    assert.deepEqual([kept?.version, kept?.isOnSale, kept?.updatedAtMs], [2, false, NOW + 5]);
    assert.equal(await store.editGoods({ ...goods, goodsId: 'none', atMs: NOW }), null);
  });

  rule('a stock is corrected, never below zero or above its limit', async (store) => {
    const goods = await stocked(store);
    const change = (delta: number) =>
      store.changeStock({ goodsId: goods.goodsId, delta, note: 'count', atMs: NOW + 7 });
    assert.equal((await change(-4))?.goods.stock, 6);
    assert.equal((await change(-7))?.kind, 'short');
    assert.equal((await change(999_999))?.kind, 'short');
    assert.equal(await store.changeStock({ goodsId: 'none', delta: 1, note: null, atMs: 1 }), null);
    const [last] = await store.listMovements(goods.goodsId, 1);
    assert.deepEqual([last?.kind, last?.delta, last?.note], ['adjusted', -4, 'count']);
    await assertBooks(store, goods);
  });
}

function reserveRules(rule: Rule): void {
  rule('50 buyers at once of 20 pieces: 20 orders, 30 refusals, stock zero', async (store) => {
    const goods = await stocked(store, { stock: 20 });
    const results = await Promise.all(
      Array.from({ length: 50 }, () =>
        store.reserve(reservation([{ goodsId: goods.goodsId, quantity: 1 }])),
      ),
    );
    assert.equal(results.filter(({ kind }) => kind === 'reserved').length, 20);
    const short = results.filter(({ kind }) => kind === 'short');
    assert.equal(short.length, 30);
    assert.deepEqual(short[0], { kind: 'short', goodsId: goods.goodsId, left: 0 });
    assert.equal(await stockOf(store, goods), 0);
    await assertBooks(store, goods);
  });

  rule('buyers of the same goods in opposite order do not block each other', async (store) => {
    const [one, two] = [await stocked(store, { stock: 40 }), await stocked(store, { stock: 40 })];
    const line = ({ goodsId }: Goods) => ({ goodsId, quantity: 1 });
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        store.reserve(reservation(index % 2 ? [line(one), line(two)] : [line(two), line(one)])),
      ),
    );
    assert.ok(results.every(({ kind }) => kind === 'reserved'));
    assert.deepEqual([await stockOf(store, one), await stockOf(store, two)], [0, 0]);
  });

  rule('50 repeats of one key at once make one order and reserve once', async (store) => {
    const goods = await stocked(store, { stock: 3 });
    const items = [{ goodsId: goods.goodsId, quantity: 3 }];
    const idempotencyKey = `same-${++count}`;
    const results = await Promise.all(
      Array.from({ length: 50 }, () => store.reserve(reservation(items, { idempotencyKey }))),
    );
    assert.equal(results.filter(({ kind }) => kind === 'reserved').length, 1);
    assert.equal(results.filter(({ kind }) => kind === 'replayed').length, 49);
    const ids = new Set(results.map((result) => ('order' in result ? result.order.orderId : '')));
    assert.equal(ids.size, 1);
    assert.equal(await stockOf(store, goods), 0);
    const other = reservation(items, { idempotencyKey, fingerprint: 'other' });
    assert.deepEqual(await store.reserve(other), { kind: 'conflict' });
  });

  rule('one key for different goods at once: one order, the rest refused', async (store) => {
    const all = await Promise.all(Array.from({ length: 6 }, () => stocked(store)));
    const idempotencyKey = `torn-${++count}`;
    const results = await Promise.all(
      all.map(({ goodsId }) =>
        store.reserve(
          reservation([{ goodsId, quantity: 1 }], { idempotencyKey, fingerprint: goodsId }),
        ),
      ),
    );
    assert.equal(results.filter(({ kind }) => kind === 'reserved').length, 1);
    assert.equal(results.filter(({ kind }) => kind === 'conflict').length, 5);
    const stocks = await Promise.all(all.map((goods) => stockOf(store, goods)));
    assert.equal(
      stocks.reduce((sum, stock) => sum + stock, 0),
      59,
    );
  });

  rule('prices and names are those of the goods; one bad line reserves nothing', async (store) => {
    const good = await stocked(store, { priceMinor: 12_345n });
    const dear = await stocked(store, { priceMinor: 99_999_999n, stock: 99 });
    const hidden = await stocked(store, { isOnSale: false });
    const wish = reservation([
      { goodsId: good.goodsId, quantity: 3 },
      { goodsId: dear.goodsId, quantity: 99 },
    ]);
    const result = await store.reserve(wish);
    assert.ok(result.kind === 'reserved');
    assert.equal(result.order.amountMinor, 3n * 12_345n + 99n * 99_999_999n);
    assert.deepEqual(await store.findOrder(wish.orderId), result.order);
    assert.deepEqual(await store.findOrderByNumber(wish.orderNumber), result.order);
    assert.equal(await store.findOrder('none'), null);
    for (const [goodsId, kind] of [
      [hidden.goodsId, 'notOnSale'],
      ['none', 'notOnSale'],
      [dear.goodsId, 'short'],
    ] as const) {
      const bad = reservation([
        { goodsId: good.goodsId, quantity: 1 },
        { goodsId, quantity: 1 },
      ]);
      assert.equal((await store.reserve(bad)).kind, kind);
      assert.equal(await store.findOrder(bad.orderId), null);
    }
    assert.equal(await stockOf(store, good), 7);
  });
}

function settleRules(rule: Rule): void {
  rule('paid: the pieces are sold, and nothing changes that any more', async (store) => {
    const goods = await stocked(store);
    const order = await placedOrder(store, goods);
    const paid = await store.settle(settlement(order, { to: 'paid', gatewayStatus: 'paid' }));
    assert.equal(paid?.kind, 'applied');
    const { state, paidAtMs, nextCheckAtMs } = paid.order;
    assert.deepEqual([state, paidAtMs, nextCheckAtMs], ['paid', NOW + 2, null]);
    for (const to of ['cancelled', 'expired', 'unknownPayment', 'awaitingPayment'] as const) {
      assert.equal((await store.settle(settlement(order, { to })))?.kind, 'final');
    }
    assert.deepEqual(await store.findOrder(order.orderId), paid.order);
    assert.equal(await stockOf(store, goods), 8);
    assert.equal((await store.goodsFigures()).get(goods.goodsId)?.sold, 2);
    await assertBooks(store, goods);
  });

  rule('20 cancellations at once give the pieces back once', async (store) => {
    const goods = await stocked(store);
    const order = await placedOrder(store, goods, 4);
    assert.equal((await store.goodsFigures()).get(goods.goodsId)?.reserved, 4);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        store.settle(settlement(order, { to: index % 2 ? 'expired' : 'cancelled' })),
      ),
    );
    assert.equal(results.filter((result) => result?.kind === 'applied').length, 1);
    assert.equal(await stockOf(store, goods), 10);
    assert.equal((await store.goodsFigures()).get(goods.goodsId)?.reserved, 0);
    await assertBooks(store, goods);
  });

  rule('an unknown payment keeps the pieces; it may still become anything', async (store) => {
    const goods = await stocked(store);
    const order = await placedOrder(store, goods);
    const unknown = await store.settle(settlement(order, { to: 'unknownPayment' }));
    assert.equal(unknown?.order.state, 'unknownPayment');
    assert.equal(await stockOf(store, goods), 8);
    const open = await store.settle(settlement(order, { to: 'awaitingPayment' }));
    assert.equal(open?.order.state, 'awaitingPayment');
    assert.equal(
      (await store.settle(settlement(order, { to: 'placing' })))?.order.state,
      'awaitingPayment',
    );
    assert.equal(await stockOf(store, goods), 8);
  });

  rule('20 copies of one notification have one effect; an older one has none', async (store) => {
    const order = await placedOrder(store, await stocked(store));
    const same = notification('p1', 3);
    const copies = await Promise.all(
      Array.from({ length: 20 }, () =>
        store.settle(settlement(order, { to: 'unknownPayment', notification: same })),
      ),
    );
    assert.equal(copies.filter((result) => result?.kind === 'applied').length, 1);
    assert.equal(copies.filter((result) => result?.kind === 'duplicate').length, 19);
    for (const sequence of [2, 3]) {
      const old = notification('p1', sequence);
      const result = await store.settle(settlement(order, { to: 'paid', notification: old }));
      assert.equal(result?.kind, 'stale');
    }
    const other = settlement(order, { to: 'paid', notification: notification('p2', 1) });
    assert.equal((await store.settle(other))?.order.state, 'paid');
    const trail = await store.orderTrail(order.orderId);
    assert.deepEqual(trail.notifications.map(({ effect }) => effect).sort(), [
      'applied',
      'applied',
      'stale',
      'stale',
    ]);
  });

  rule('an answer about an older version of the order moves nothing', async (store) => {
    const order = await placedOrder(store, await stocked(store));
    await store.settle(settlement(order, { to: 'unknownPayment' }));
    const late = settlement(order, { version: order.version, to: 'cancelled' });
    assert.equal((await store.settle(late))?.kind, 'moved');
    assert.equal((await store.findOrder(order.orderId))?.state, 'unknownPayment');
    assert.equal(await store.settle({ ...late, orderId: 'none' }), null);
  });

  rule('an order is placed once', async (store) => {
    const order = await placedOrder(store, await stocked(store));
    const again = {
      orderId: order.orderId,
      gatewayOrderId: 'another',
      payUrl: 'http://x/',
      expiresAtMs: 1,
      nextCheckAtMs: 1,
      atMs: 1,
    };
    assert.deepEqual(await store.placed(again), { moved: false, order });
    assert.equal(await store.placed({ ...again, orderId: 'none' }), null);
  });
}

function queueRules(rule: Rule): void {
  rule('due orders are leased: two workers never ask about one', async (store) => {
    const goods = await stocked(store, { stock: 99 });
    const lines = [{ goodsId: goods.goodsId, quantity: 1 }];
    const dueAtMs = NOW - 500_000;
    const wishes = Array.from({ length: 12 }, () => reservation(lines, { nextCheckAtMs: dueAtMs }));
    for (const wish of wishes) await store.reserve(wish);
    const claim = { nowMs: dueAtMs, leaseMs: 1_000, limit: 5 };
    const claims = await Promise.all([1, 2, 3].map(() => store.claimChecks(claim)));
    const ids = claims.flat().map(({ orderId }) => orderId);
    assert.equal(new Set(ids).size, 12);
    assert.equal(ids.length, 12);
    assert.equal(claims.flat()[0]?.items.length, 1);
    assert.deepEqual(await store.claimChecks(claim), []);
    const later = await store.claimChecks({ ...claim, nowMs: dueAtMs + 1_000, limit: 50 });
    assert.equal(later.length, 12);
    assert.equal(later[0]?.checks, 2);
    for (const { orderId } of later) {
      await store.settle(settlement(later[0] as OrderWithItems, { orderId, to: 'cancelled' }));
    }
  });

  rule('a look asks at most once in its gap, and never about a final order', async (store) => {
    const order = await placedOrder(store, await stocked(store));
    const looks = await Promise.all(
      Array.from({ length: 10 }, () => store.claimCheck(order.orderId, NOW, 1_000)),
    );
    assert.equal(looks.filter(Boolean).length, 1);
    assert.equal(await store.claimCheck(order.orderId, NOW + 999, 1_000), false);
    assert.equal(await store.claimCheck(order.orderId, NOW + 1_000, 1_000), true);
    await store.scheduleCheck(order.orderId, NOW - 900_000);
    assert.equal((await store.findOrder(order.orderId))?.nextCheckAtMs, NOW - 900_000);
    await store.settle(settlement(order, { to: 'paid' }));
    assert.equal(await store.claimCheck(order.orderId, NOW + 99_000, 1_000), false);
    await store.scheduleCheck(order.orderId, NOW);
    assert.equal((await store.findOrder(order.orderId))?.nextCheckAtMs, null);
  });
}

function merchantRules(rule: Rule): void {
  rule('an incident is told once and stands at its order', async (store) => {
    const order = await placedOrder(store, await stocked(store));
    const incident = {
      incidentId: `i-${++count}`,
      dedupe: `d-${count}`,
      orderId: order.orderId,
      code: 'ERR_ORDER_MISMATCH',
      facts: { seen: '1' },
      atMs: NOW,
    };
    assert.equal(await store.addIncident(incident), true);
    assert.equal(await store.addIncident({ ...incident, incidentId: 'again' }), false);
    const [kept] = (await store.orderTrail(order.orderId)).incidents;
    assert.equal(kept?.orderNumber, order.orderNumber);
    assert.deepEqual(kept?.facts, { seen: '1' });
    const query = { state: null, search: order.orderNumber, beforeMs: null, limit: 5 };
    const [line] = await store.listOrders(query);
    assert.deepEqual([line?.hasIncident, line?.pieces], [true, 2]);
    assert.ok(
      (await store.listIncidents(500)).some(({ incidentId }) => incidentId === kept?.incidentId),
    );
  });

  rule('orders are found by state, number and time, newest first', async (store) => {
    const goods = await stocked(store);
    const first = await placedOrder(store, goods);
    const second = await placedOrder(store, goods);
    await store.settle(settlement(second, { to: 'paid' }));
    const all = { state: null, search: '', beforeMs: null, limit: 2 } as const;
    const [newest] = await store.listOrders(all);
    assert.equal(newest?.orderId, second.orderId);
    const paid = await store.listOrders({ ...all, state: 'paid', limit: 100 });
    assert.ok(paid.every(({ state }) => state === 'paid'));
    const [older] = await store.listOrders({ ...all, beforeMs: second.createdAtMs });
    assert.equal(older?.orderId, first.orderId);
    assert.deepEqual(await store.listOrders({ ...all, search: 'NOSUCH' }), []);
  });

  rule('totals sum the paid orders, in minor units', async (store) => {
    const before_ = await store.totals();
    const dear = await stocked(store, { priceMinor: 99_999_999n, stock: 99 });
    const order = await placedOrder(store, dear, 99);
    await store.settle(settlement(order, { to: 'paid' }));
    const after_ = await store.totals();
    assert.equal(after_.paidMinor - before_.paidMinor, 99n * 99_999_999n);
    assert.equal(after_.orders.paid - before_.orders.paid, 1);
  });

  rule('the first password stays; sessions end', async (store) => {
    assert.equal(await store.passwordHash(), null);
    assert.equal(await store.setPasswordHash('one'), 'one');
    assert.equal(await store.setPasswordHash('two'), 'one');
    await store.addSession({ tokenHash: 'a', expiresAtMs: NOW + 10 }, NOW);
    assert.equal(await store.hasSession('a', NOW + 9), true);
    assert.equal(await store.hasSession('a', NOW + 10), false);
    assert.equal(await store.hasSession('b', NOW), false);
    await store.removeSession('a');
    assert.equal(await store.hasSession('a', NOW), false);
  });
}

let database: TestDatabase | null = null;
before(async () => {
  database = await startTestDatabase();
});
after(() => database?.close());

suite('in memory', async () => new MemoryShopStore());
suite('in PostgreSQL', async () =>
  database && openShopStore({ databaseUrl: database.url, schema: 'shop' }));

describe('what the database refuses by itself', () => {
  const refusal = async (text: string, values: readonly unknown[]): Promise<string> => {
    const client = new pg.Client({
      connectionString: database?.url,
      options: '-c search_path=shop',
    });
    await client.connect();
    try {
      await client.query(text, [...values]);
      return 'done';
    } catch (fault) {
      return fault instanceof pg.DatabaseError ? (fault.code ?? '') : String(fault);
    } finally {
      await client.end();
    }
  };
  const CHECK_VIOLATION = '23514';

  test('a negative stock, a final order that moves, an amount that changes', async (context) => {
    if (!database) return context.skip('no database here');
    const store = await openShopStore({ databaseUrl: database.url, schema: 'shop' });
    context.after(() => store.close());
    const goods = await stocked(store);
    const order = await placedOrder(store, goods);
    const id = [order.orderId];
    const setStock = 'UPDATE goods SET stock = $2 WHERE goods_id = $1';
    assert.equal(await refusal(setStock, [goods.goodsId, -1]), CHECK_VIOLATION);
    assert.equal(await refusal(setStock, [goods.goodsId, 8]), 'done', 'it can succeed');
    const amount = 'UPDATE orders SET amount_minor = amount_minor + 1 WHERE order_id = $1';
    assert.equal(await refusal(amount, id), CHECK_VIOLATION);
    await store.settle(settlement(order, { to: 'cancelled' }));
    const revive = `UPDATE orders SET state = 'awaitingPayment' WHERE order_id = $1`;
    assert.equal(await refusal(revive, id), CHECK_VIOLATION);
  });
});
