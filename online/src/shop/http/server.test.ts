/**
 * Shows the shop's door: foreign hosts and pages get nothing, the merchant's part needs a login that
 * cannot be guessed, notifications need a signature, and every refusal has a code and two texts.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { Login } from '../admin/login.ts';
import { hashPassword } from '../admin/password.ts';
import { SHOP_ERRORS } from '../errors.ts';
import {
  aKey,
  newsBody,
  ordered,
  signed,
  TEST_ORIGIN,
  type TestShop,
  testShop,
} from '../shop.test-kit.ts';
import { buildHttp } from './server.ts';

const PASSWORD = 'ABCD-EFGH-JKMN-PQRS';
const HOST = new URL(TEST_ORIGIN).host;
let pagesDir: string;
let passwordHash: string;

before(async () => {
  passwordHash = await hashPassword(PASSWORD);
  pagesDir = mkdtempSync(join(tmpdir(), 'tapnpay-pages-'));
  mkdirSync(join(pagesDir, 'assets'));
  writeFileSync(join(pagesDir, 'index.html'), '<!doctype html><title>shop</title>');
  writeFileSync(join(pagesDir, 'assets/a-1.js'), 'export {};');
  writeFileSync(join(pagesDir, 'secret.txt'), 'no');
});
after(() => rmSync(pagesDir, { recursive: true, force: true }));

type Door = TestShop & { readonly app: FastifyInstance; readonly ask: Ask };
type Ask = (
  method: 'GET' | 'POST' | 'PUT',
  url: string,
  options?: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> },
) => Promise<{
  readonly status: number;
  readonly json: Record<string, unknown>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}>;

async function open(context: { after: (close: () => Promise<void>) => void }): Promise<Door> {
  const shop = await testShop();
  const { store, clock } = shop;
  const { random } = shop.core.ports;
  const login = new Login({ store, clock, random, passwordHash });
  const app = buildHttp({ core: shop.core, login, pagesDir });
  context.after(() => app.close());
  const ask: Ask = async (method, url, { body, headers = {} } = {}) => {
    const origin = method === 'GET' ? {} : { origin: TEST_ORIGIN };
    const response = await app.inject({
      method,
      url,
      headers: { host: HOST, ...origin, ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    const isJson = String(response.headers['content-type']).includes('json');
    const json = isJson ? response.json() : {};
    return { status: response.statusCode, json, headers: response.headers, text: response.body };
  };
  return { ...shop, app, ask };
}

/** The cookie of a merchant who is logged in. */
async function cookieOf(ask: Ask): Promise<{ cookie: string }> {
  const { status, headers } = await ask('POST', '/api/admin/login', {
    body: { password: PASSWORD },
  });
  assert.equal(status, 204);
  return { cookie: String(headers['set-cookie']).split(';')[0] ?? '' };
}

test('a foreign Host reaches nothing, not even a page', async (context) => {
  const { ask } = await open(context);
  for (const host of ['evil.example', 'localhost:8426', '127.0.0.1', '127.0.0.1:8427', '']) {
    for (const url of ['/', '/api/goods', '/assets/a-1.js', '/notifications']) {
      const { status, json } = await ask('GET', url, { headers: { host } });
      assert.deepEqual([status, json['code']], [421, 'ERR_HOST'], `${host} ${url}`);
    }
  }
  assert.equal((await ask('GET', '/api/goods')).status, 200);
});

test('CSRF: whatever changes something needs our own Origin', async (context) => {
  const { ask, app, store } = await open(context);
  const { cookie } = await cookieOf(ask);
  const order = await ordered({ core: (await testShop()).core });
  const mutations = [
    ['POST', '/api/orders'],
    ['POST', `/api/orders/${order.orderId}/cancel`],
    ['POST', '/api/admin/login'],
    ['POST', '/api/admin/logout'],
    ['POST', '/api/admin/goods'],
    ['PUT', '/api/admin/goods/cup'],
    ['POST', '/api/admin/goods/cup/stock'],
  ] as const;
  for (const [method, url] of mutations) {
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:8427', '']) {
      const { status, json } = await ask(method, url, { headers: { origin, cookie }, body: {} });
      assert.deepEqual([status, json['code']], [403, 'ERR_ORIGIN'], `${origin} ${url}`);
    }
    const bare = await app.inject({ method, url, headers: { host: HOST, cookie }, payload: {} });
    assert.equal(bare.statusCode, 403, 'no Origin at all');
  }
  assert.equal((await store.findGoods('cup'))?.stock, 60);
});

test('a goods list, an order, its page: what a buyer needs, and no more', async (context) => {
  const { ask } = await open(context);
  const { json: list } = await ask('GET', '/api/goods');
  const [first] = list['goods'] as Record<string, unknown>[];
  assert.deepEqual(Object.keys(first ?? {}).sort(), [
    ...['currency', 'description', 'goodsId', 'name', 'picture', 'priceMinor', 'stock'],
  ]);
  const body = { idempotencyKey: aKey(), items: [{ goodsId: 'cup', quantity: 2 }] };
  const { status, json } = await ask('POST', '/api/orders', { body });
  assert.equal(status, 201);
  const seen = await ask('GET', `/api/orders/${json['orderId']}`);
  assert.equal(seen.json['amountMinor'], '13600');
  assert.equal(seen.json['state'], 'awaitingPayment');
  assert.equal(seen.json['payUrl'], json['payUrl']);
  assert.equal(seen.headers['cache-control'], 'no-store');
  const again = await ask('POST', '/api/orders', { body });
  assert.equal(again.json['orderId'], json['orderId']);
  const closed = await ask('POST', `/api/orders/${json['orderId']}/cancel`);
  assert.deepEqual([closed.json['state'], closed.json['payUrl']], ['cancelled', null]);
});

test('the pay link is there only while the gateway would take a payment', async (context) => {
  const { ask, core, clock, gateway } = await open(context);
  const { orderId, gatewayId } = await ordered({ core });
  const look = async (status: 'open' | 'processing' | 'unknown' | 'paid') => {
    gateway.set(gatewayId, status);
    clock.advance(1_000);
    const { json } = await ask('GET', `/api/orders/${orderId}`);
    return [
      json['state'],
      json['isProcessing'],
      json['payUrl'] !== null,
      json['receiptUrl'] !== null,
    ];
  };
  assert.deepEqual(await look('open'), ['awaitingPayment', false, true, false]);
  assert.deepEqual(await look('processing'), ['awaitingPayment', true, false, false]);
  assert.deepEqual(await look('unknown'), ['unknownPayment', false, false, false]);
  assert.deepEqual(await look('open'), ['awaitingPayment', false, true, false]);
  assert.deepEqual(await look('paid'), ['paid', false, false, true]);
});

test('wrong requests: a code, a status and a text in both languages', async (context) => {
  const { ask, gateway } = await open(context);
  const item = { goodsId: 'umbrella', quantity: 4 };
  const order = { idempotencyKey: aKey(), items: [item] };
  const cases = [
    [{ ...order }, 409, 'ERR_STOCK'],
    [{ ...order, items: [] }, 400, 'ERR_CART'],
    [{ ...order, items: [{ ...item, quantity: '4' }] }, 400, 'ERR_CART'],
    [{ ...order, items: [{ ...item, priceMinor: '1' }] }, 400, 'ERR_CART'],
    [{ ...order, amount: '1' }, 400, 'ERR_CART'],
    [{ items: [item] }, 400, 'ERR_CART'],
    [{ ...order, items: [{ ...item, goodsId: '../x' }] }, 400, 'ERR_CART'],
    ['{"', 400, 'ERR_REQUEST'],
    [{ ...order, pad: 'x'.repeat(20_000) }, 413, 'ERR_BODY_TOO_LARGE'],
  ] as const;
  for (const [body, status, code] of cases) {
    const headers = { 'content-type': 'application/json' };
    const answer = await ask('POST', '/api/orders', { body, headers });
    assert.deepEqual([answer.status, answer.json['code']], [status, code]);
  }
  const short = await ask('POST', '/api/orders', { body: order });
  assert.deepEqual(short.json['texts'], {
    zh: '库存不足，仅剩 3 件。',
    en: 'Not enough in stock: only 3 left.',
  });
  gateway.mode = 'down';
  const body = { idempotencyKey: aKey(), items: [{ goodsId: 'cup', quantity: 1 }] };
  const down = await ask('POST', '/api/orders', { body });
  assert.deepEqual([down.status, down.json['code']], [503, 'ERR_GATEWAY_UNAVAILABLE']);
  for (const url of ['/api/orders/none', '/api/orders/018f0000-0000-7000-8000-000000000000']) {
    assert.equal((await ask('GET', url)).json['code'], 'ERR_ORDER_NOT_FOUND');
  }
  assert.equal((await ask('GET', '/api/nothing')).json['code'], 'ERR_NOT_FOUND');
});

test('every code has its texts', () => {
  for (const [code, { zh, en, status }] of Object.entries(SHOP_ERRORS)) {
    assert.match(zh, /[一-鿿]/, code);
    assert.match(en, /^[\x20-\x7e]+$/, code);
    assert.ok(status >= 400 && status < 600);
  }
});

test('notifications: 204 for a signed one and for its copy, 401 with a code for others', async (context) => {
  const { ask, core, store } = await open(context);
  const { orderId, orderNumber, gatewayId } = await ordered({ core });
  const message = signed(newsBody({ gatewayId, orderNumber, outcome: 'approved' }));
  const post = (changes: Partial<typeof message> = {}) => {
    const { id, timestamp, signature, body } = { ...message, ...changes };
    const headers = {
      'content-type': 'application/json',
      'webhook-id': id ?? '',
      'webhook-timestamp': timestamp ?? '',
      'webhook-signature': signature ?? '',
      origin: 'http://127.0.0.1:8420',
    };
    return ask('POST', '/notifications', { headers, body });
  };
  const forged = await post({ body: message.body.replace('13600', '13601') });
  assert.deepEqual([forged.status, forged.json['code']], [401, 'ERR_SIGNATURE']);
  const old = signed(message.body, { atMs: Date.UTC(2026, 2, 13) });
  assert.deepEqual(
    [(await post(old)).status, (await post(old)).json['code']],
    [401, 'ERR_TIMESTAMP'],
  );
  assert.equal((await post({ signature: null })).status, 401);
  assert.equal((await post(signed('{"data":{}}'))).json['code'], 'ERR_REQUEST');
  assert.equal((await post(signed('no json'))).json['code'], 'ERR_REQUEST');
  assert.equal((await store.findOrder(orderId))?.state, 'awaitingPayment');
  assert.equal((await post()).status, 204);
  assert.equal((await post()).status, 204);
  assert.equal((await store.findOrder(orderId))?.state, 'paid');
  const wrong = signed(newsBody({ gatewayId, orderNumber, outcome: 'approved', amountMinor: '1' }));
  assert.deepEqual(
    [(await post(wrong)).status, (await post(wrong)).json['code']],
    [409, 'ERR_ORDER_MISMATCH'],
  );
});

test('nothing of the merchant is open without a session', async (context) => {
  const { ask } = await open(context);
  const order = '018f0000-0000-7000-8000-000000000000';
  const routes = [
    ['GET', '/api/admin/goods'],
    ['POST', '/api/admin/goods'],
    ['PUT', '/api/admin/goods/cup'],
    ['POST', '/api/admin/goods/cup/stock'],
    ['GET', '/api/admin/goods/cup/movements'],
    ['GET', '/api/admin/summary'],
    ['GET', '/api/admin/orders'],
    ['GET', `/api/admin/orders/${order}`],
  ] as const;
  for (const [method, url] of routes) {
    for (const cookie of ['', 'tapnpay-shop-8426=', 'tapnpay-shop-8426=wrong', 'x=1']) {
      const { status, json } = await ask(method, url, { headers: { cookie } });
      assert.deepEqual([status, json['code']], [401, 'ERR_LOGIN_NEEDED'], `${method} ${url}`);
    }
  }
});

test('login: a strict cookie of this port; logout and eight hours end it', async (context) => {
  const { ask, clock } = await open(context);
  const typed = { password: 'abcd efgh jkmn pqrs' };
  const { headers } = await ask('POST', '/api/admin/login', { body: typed });
  const setCookie = String(headers['set-cookie']);
  assert.match(
    setCookie,
    /^tapnpay-shop-8426=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=28800$/,
  );
  const first = { cookie: setCookie.split(';')[0] ?? '' };
  const second = await cookieOf(ask);
  const status = async (own: { cookie: string }) =>
    (await ask('GET', '/api/admin/summary', { headers: own })).status;
  assert.deepEqual([await status(first), await status(second)], [200, 200]);
  assert.equal((await ask('POST', '/api/admin/logout', { headers: first })).status, 204);
  assert.deepEqual([await status(first), await status(second)], [401, 200]);
  clock.advance(8 * 3_600_000);
  assert.equal(await status(second), 401);
});

test('five wrong passwords, also at once: then not even the right one for a minute', async (context) => {
  const { ask, clock } = await open(context);
  const login = async (password: string) =>
    (await ask('POST', '/api/admin/login', { body: { password } })).json['code'];
  const codes = await Promise.all(Array.from({ length: 12 }, (_, n) => login(`wrong-${n}`)));
  assert.equal(codes.filter((code) => code === 'ERR_LOGIN').length, 5);
  assert.equal(codes.filter((code) => code === 'ERR_RATE').length, 7);
  const right = await ask('POST', '/api/admin/login', { body: { password: PASSWORD } });
  assert.deepEqual([right.status, right.json['data']], [429, { seconds: 60 }]);
  clock.advance(59_999);
  assert.equal(await login(PASSWORD), 'ERR_RATE');
  clock.advance(1);
  assert.equal(await login(PASSWORD), undefined);
  assert.equal(await login('x'.repeat(129)), 'ERR_LOGIN');
  assert.equal(await login(''), 'ERR_REQUEST');
});

test('goods: made, edited by version, stocked, taken off sale; wrong ones refused', async (context) => {
  const { ask } = await open(context);
  const headers = await cookieOf(ask);
  const text = { zh: '新茶', en: 'New tea' };
  const draft = {
    name: text,
    description: text,
    priceMinor: '100',
    picture: 'tea',
    isOnSale: true,
  };
  const make = (changes: object) =>
    ask('POST', '/api/admin/goods', {
      headers,
      body: { goodsId: 'new-tea', stock: 5, ...draft, ...changes },
    });
  for (const wrong of [
    { goodsId: 'Big' },
    { goodsId: '' },
    { priceMinor: '0' },
    { priceMinor: '-1' },
    { priceMinor: '1.5' },
    { priceMinor: 100 },
    { priceMinor: '100000000' },
    { stock: -1 },
    { stock: 1.5 },
    { name: { zh: '茶' } },
    { name: { zh: '  ', en: 'tea' } },
    { picture: '../x' },
    { surprise: 1 },
  ]) {
    const { status, json } = await make(wrong);
    assert.deepEqual([status, json['code']], [400, 'ERR_REQUEST'], JSON.stringify(wrong));
  }
  assert.equal((await make({})).status, 201);
  assert.equal((await make({})).json['code'], 'ERR_GOODS_EXISTS');
  const edit = (version: number) =>
    ask('PUT', '/api/admin/goods/new-tea', {
      headers,
      body: { ...draft, priceMinor: '250', isOnSale: false, version },
    });
  assert.equal((await edit(1)).json['priceMinor'], '250');
  assert.equal((await edit(1)).json['code'], 'ERR_GOODS_CHANGED');
  const restock = (delta: number) =>
    ask('POST', '/api/admin/goods/new-tea/stock', { headers, body: { delta, note: '' } });
  assert.equal((await restock(7)).json['stock'], 12);
  assert.deepEqual([(await restock(-13)).status, (await restock(0)).status], [409, 400]);
  const { json } = await ask('GET', '/api/admin/goods/new-tea/movements', { headers });
  const movements = json['movements'] as Record<string, unknown>[];
  assert.deepEqual(
    movements.map(({ kind, delta }) => [kind, delta]),
    [
      ['adjusted', 7],
      ['opening', 5],
    ],
  );
  const shown = (await ask('GET', '/api/goods')).json['goods'] as Record<string, unknown>[];
  assert.ok(!shown.some(({ goodsId }) => goodsId === 'new-tea'), 'off sale, not in the window');
  const body = { idempotencyKey: aKey(), items: [{ goodsId: 'new-tea', quantity: 1 }] };
  assert.equal((await ask('POST', '/api/orders', { body })).json['code'], 'ERR_GOODS_NOT_FOUND');
  assert.equal(
    (await ask('PUT', '/api/admin/goods/none', { headers, body: { ...draft, version: 1 } })).status,
    404,
  );
});

test('orders: listed, filtered, with everything that happened to one', async (context) => {
  const { ask, core } = await open(context);
  const headers = await cookieOf(ask);
  const one = await ordered({ core });
  const two = await ordered({ core }, 'tea', 1);
  await core.notification(signed(newsBody({ ...one, outcome: 'approved' })));
  const list = async (query: string) => {
    const { json } = await ask('GET', `/api/admin/orders${query}`, { headers });
    return (json['orders'] as Record<string, unknown>[]).map(({ orderId }) => orderId);
  };
  assert.deepEqual(await list('?state=paid'), [one.orderId]);
  assert.deepEqual(await list(`?search=${two.orderNumber.toLowerCase()}`), [two.orderId]);
  assert.equal((await list('')).length, 2);
  assert.equal((await ask('GET', '/api/admin/orders?state=odd', { headers })).status, 400);
  const { json } = await ask('GET', `/api/admin/orders/${one.orderId}`, { headers });
  assert.deepEqual(
    (json['movements'] as Record<string, unknown>[]).map(({ kind }) => kind),
    ['reserved', 'sold'],
  );
  assert.equal((json['notifications'] as unknown[]).length, 1);
  const { json: summary } = await ask('GET', '/api/admin/summary', { headers });
  assert.equal(summary['paidMinor'], '13600');
});

test('pages: one document for every address, strict headers, files with a long life', async (context) => {
  const { ask } = await open(context);
  for (const url of ['/', '/goods/tea', '/orders', '/orders/x', '/admin', '/admin/goods']) {
    const { status, text, headers } = await ask('GET', url);
    assert.deepEqual([status, text.slice(0, 15)], [200, '<!doctype html>'], url);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'.*require-trusted-types-for 'script'/);
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['cache-control'], 'no-store');
  }
  const file = await ask('GET', '/assets/a-1.js');
  assert.deepEqual([file.status, file.headers['x-content-type-options']], [200, 'nosniff']);
  assert.match(String(file.headers['cache-control']), /immutable/);
  for (const url of [
    '/assets/none.js',
    '/assets/../secret.txt',
    '/assets/%2e%2e/secret.txt',
    '/secret.txt',
    '/assets/',
  ]) {
    const { status, text } = await ask('GET', url);
    assert.ok(status >= 400 && text !== 'no', url);
  }
});
