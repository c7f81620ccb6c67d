/**
 * Shows what a payer's browser is served and under which name and origin: the order with its
 * receipt, the cancel, the page with its policy.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { PayOrderView } from '@tapnpay/protocol/wire';
import type { FastifyInstance } from 'fastify';
import type { ElementCertifier } from '../enrolment.ts';
import {
  completionOf,
  newOrder,
  payOrder,
  reply,
  START_MS,
  TEST_PAN,
  type TestGateway,
  testGateway,
  testPeer,
  testRandom,
  testSite,
} from '../gateway.test-kit.ts';
import { openMerchantKeys } from '../merchant-keys.ts';
import { MemoryGatewayStore } from '../store-memory.ts';
import { buildHttp } from './api.ts';
import { testHttpPorts } from './http.test-kit.ts';
import type { PayerSite } from './payer.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-payer-'));
const pagesDir = join(dataDir, 'pages');
mkdirSync(join(pagesDir, 'assets'), { recursive: true });
writeFileSync(join(pagesDir, 'index.html'), '<!doctype html><title>Pay</title>');
writeFileSync(join(pagesDir, 'assets', 'main-1a2b.js'), 'export {};');
writeFileSync(join(dataDir, 'secret.txt'), 'not a page');
after(() => rmSync(dataDir, { recursive: true }));

const keys = openMerchantKeys(dataDir, 'M1', testRandom());
const certifier: ElementCertifier = {
  caPem: '',
  parameterPublicKeySpki: '',
  orderPublicKeySpki: '',
  certify: async () => ({ pem: '', sha256: '' }),
};
const HOST = '127.0.0.1:8420';
const ORIGIN = `http://${HOST}`;

function build(gateway: TestGateway, changes: Partial<PayerSite> = {}): FastifyInstance {
  const site = testSite({ pagesDir, ...changes });
  return buildHttp(testHttpPorts(gateway, { certifier, keys, dataDir, site }));
}

type Answer = { status: number; json: PayOrderView & { code: string }; headers: object };
async function ask(
  app: FastifyInstance,
  url: string,
  options: { method?: 'POST'; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {} } = options;
  const response = await app.inject({ method, url, headers: { host: HOST, ...headers } });
  const isJson = /^application\/(problem\+)?json/.test(String(response.headers['content-type']));
  return {
    status: response.statusCode,
    json: isJson ? response.json() : ({} as Answer['json']),
    headers: response.headers,
  };
}

test('an open order: who sells what for how much until when, and where helper and shop are', async () => {
  const gateway = await testGateway({ lab: true });
  const order = await newOrder(gateway.core, {
    merchantOrderNumber: 'N 42',
    returnUrl: 'https://shop.example/back?lang=zh&orderId=x',
  });
  const app = build(gateway);
  const { status, json, headers } = await ask(app, `/v1/pay/${order.orderId}`);
  assert.equal(status, 200);
  assert.deepEqual(json, {
    orderId: order.orderId,
    merchantId: '898110000000001',
    merchantName: 'Test shop',
    terminalId: 'TAP00001',
    merchantOrderNumber: 'N 42',
    amountMinor: '1234',
    currency: '156',
    origin: 'https://shop.example',
    status: 'open',
    nowMs: START_MS,
    expiresAtMs: order.expiresAtMs,
    returnUrl: `https://shop.example/back?lang=zh&orderId=${order.orderId}`,
    agentUrl: 'http://127.0.0.1:8427',
    sandbox: true,
    insideUrl: `http://127.0.0.1:8428/inside/${order.orderId}`,
    payment: null,
  });
  assert.equal((headers as Record<string, unknown>)['cache-control'], 'no-store');
  gateway.clock.advance(order.expiresAtMs - START_MS);
  const late = await ask(app, `/v1/pay/${order.orderId}`);
  assert.equal(late.json.status, 'expired', 'before any sweep');
  await app.close();
});

test('a payer who was told "expired" is not charged by a payment that was slow to begin', async () => {
  const store = new MemoryGatewayStore();
  let begin: () => void = () => {};
  const begins = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const beginPayment: typeof store.beginPayment = store.beginPayment.bind(store);
  store.beginPayment = async (...given) => {
    await begins;
    return beginPayment(...given);
  };
  const gateway = await testGateway({ store });
  const { core, clock, line } = gateway;
  const app = build(gateway);
  const order = await newOrder(core);
  clock.advance(order.expiresAtMs - START_MS - 1);
  const payment = payOrder(core, testPeer(), order.orderId);
  await setImmediate();
  clock.advance(1);
  assert.equal((await ask(app, `/v1/pay/${order.orderId}`)).json.status, 'expired');
  begin();
  await assert.rejects(payment, { code: 'ERR_ORDER_EXPIRED' });
  assert.equal(line.sent.length, 0);
  await app.close();
});

test('the shop that ordered may follow its order on its own page, and no other page may', async () => {
  const gateway = await testGateway();
  const order = await newOrder(gateway.core);
  const app = build(gateway);
  const allowed = async (url: string, method?: 'POST'): Promise<unknown> => {
    const headers = { origin: 'https://other.example' };
    const answer = await ask(app, url, method ? { method, headers } : { headers });
    return (answer.headers as Record<string, unknown>)['access-control-allow-origin'];
  };
  assert.equal(await allowed(`/v1/pay/${order.orderId}`), 'https://shop.example');
  assert.equal(await allowed(`/v1/pay/${order.orderId}/cancel`, 'POST'), undefined);
  assert.equal(await allowed('/v1/pay/0193c0de-0000-7000-8000-000000000001'), undefined);
  await app.close();
});

test('outside the sandbox there is no look inside', async () => {
  const gateway = await testGateway();
  const order = await newOrder(gateway.core);
  const app = build(gateway);
  const { json } = await ask(app, `/v1/pay/${order.orderId}`);
  assert.deepEqual([json.sandbox, json.insideUrl, json.returnUrl], [false, null, null]);
  await app.close();
});

test('the receipt grows with the payment and never holds the card number', async () => {
  const gateway = await testGateway();
  const { core } = gateway;
  const order = await newOrder(core);
  const app = build(gateway);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, order.orderId);
  const waiting = await ask(app, `/v1/pay/${order.orderId}`);
  assert.equal(waiting.json.status, 'processing');
  assert.equal(waiting.json.payment?.outcome, null);
  assert.deepEqual(waiting.json.payment?.receipt, {
    panMasked: '629999******0017',
    entryMode: 'contact',
    aid: 'A000000333010101',
    applicationLabel: 'PBOC DEBIT',
    applicationTransactionCounter: 7,
    arqc: '1122334455667788',
    tvr: '0080008000',
    cvmResults: '020000',
    second: null,
    secondType: null,
    tsi: null,
    approvalCode: '123456',
    stan: '000001',
    retrievalReference: '607309000001',
    createdAtMs: START_MS,
  });
  await core.complete(peer, completionOf(paymentId, 'TC'));
  const { json } = await ask(app, `/v1/pay/${order.orderId}`);
  assert.deepEqual([json.status, json.payment?.outcome], ['paid', 'approved']);
  const { second, secondType, tsi } = json.payment?.receipt ?? {};
  assert.deepEqual([second, secondType, tsi], ['8877665544332211', 'TC', 'E800']);
  assert.ok(!JSON.stringify(json).includes(TEST_PAN));
  await app.close();
});

test('a refusal and an open end say what they are', async () => {
  const gateway = await testGateway();
  const { core, line } = gateway;
  const app = build(gateway);
  for (const [script, status, outcome, reason] of [
    [
      (message: Parameters<typeof reply>[0]) => reply(message, '51'),
      'open',
      'declined',
      'issuer:51',
    ],
    [() => 'timeout' as const, 'unknown', 'unknown', 'timeout'],
  ] as const) {
    line.script = script;
    const order = await newOrder(core);
    await payOrder(core, testPeer(), order.orderId);
    const { json } = await ask(app, `/v1/pay/${order.orderId}`);
    assert.deepEqual(
      [json.status, json.payment?.outcome, json.payment?.reason],
      [status, outcome, reason],
    );
  }
  await app.close();
});

test('the payer cancels an open order from our page only; others keep their status', async () => {
  const gateway = await testGateway();
  const { core, clock } = gateway;
  const app = build(gateway);
  const cancel = (orderId: string, headers: Record<string, string> = { origin: ORIGIN }) =>
    ask(app, `/v1/pay/${orderId}/cancel`, { method: 'POST', headers });
  const order = await newOrder(core);
  for (const headers of [
    {},
    { origin: 'https://shop.example' },
    { origin: 'null' },
    { origin: 'http://127.0.0.1:8421' },
    { origin: 'http://localhost:8420' },
    { origin: 'https://127.0.0.1:8420' },
    { origin: `${ORIGIN}/` },
  ]) {
    const { status, json } = await cancel(order.orderId, headers as Record<string, string>);
    assert.deepEqual([status, json.code], [403, 'ERR_ORIGIN'], JSON.stringify(headers));
  }
  assert.equal((await core.order(order.orderId)).status, 'open');
  const done = await cancel(order.orderId);
  assert.deepEqual([done.status, done.json.status], [200, 'cancelled']);
  assert.equal((await cancel(order.orderId)).json.code, 'ERR_ORDER_CANCELLED');

  const paid = await newOrder(core);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, paid.orderId);
  assert.equal((await cancel(paid.orderId)).json.code, 'ERR_ORDER_BUSY');
  await core.complete(peer, completionOf(paymentId, 'TC'));
  assert.equal((await cancel(paid.orderId)).json.code, 'ERR_ORDER_PAID');

  gateway.line.script = () => 'timeout';
  const unknown = await newOrder(core);
  await payOrder(core, testPeer(), unknown.orderId);
  assert.equal((await cancel(unknown.orderId)).json.code, 'ERR_ORDER_UNKNOWN');
  const late = await newOrder(core);
  clock.advance(late.expiresAtMs - clock.nowMs());
  assert.equal((await cancel(late.orderId)).json.code, 'ERR_ORDER_EXPIRED');
  await app.close();
});

test('another name for this address is refused on every payer route, not on the merchants’', async () => {
  const gateway = await testGateway();
  const order = await newOrder(gateway.core);
  const app = build(gateway);
  const urls = [`/v1/pay/${order.orderId}`, `/pay/${order.orderId}`, '/assets/main-1a2b.js'];
  for (const host of ['rebound.example:8420', 'localhost:8420', '127.0.0.1', '127.0.0.1:80', '']) {
    for (const url of [...urls, '/v1/channel']) {
      const { status, json } = await ask(app, url, { headers: { host } });
      assert.deepEqual([status, json.code], [421, 'ERR_HOST'], `${host} ${url}`);
    }
    const headers = { host, origin: ORIGIN };
    const url = `/v1/pay/${order.orderId}/cancel`;
    assert.equal((await ask(app, url, { method: 'POST', headers })).json.code, 'ERR_HOST');
  }
  for (const url of urls) assert.equal((await ask(app, url)).status, 200, url);
  assert.equal((await ask(app, '/v1/health', { headers: { host: 'x' } })).status, 200);
  await app.close();
});

test('unknown order ids: 404, and after thirty in a minute 429; a known one is still shown', async () => {
  const gateway = await testGateway();
  const order = await newOrder(gateway.core);
  const app = build(gateway);
  const other = order.orderId.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
  const ids = [other, 'none', '..%2F..%2Fetc', '%00', order.orderId.toUpperCase()];
  for (let count = 0; count < 30; count++) {
    const { status, json } = await ask(app, `/v1/pay/${ids[count % ids.length]}`);
    assert.deepEqual([status, json.code], [404, 'ERR_ORDER_NOT_FOUND']);
  }
  const limited = await ask(app, `/v1/pay/${other}`);
  assert.deepEqual([limited.status, limited.json.code], [429, 'ERR_RATE']);
  const headers = { origin: ORIGIN };
  const cancel = await ask(app, `/v1/pay/${other}/cancel`, { method: 'POST', headers });
  assert.equal(cancel.json.code, 'ERR_RATE');
  assert.equal((await ask(app, `/v1/pay/${order.orderId}`)).status, 200);
  gateway.clock.advance(60_000);
  assert.equal((await ask(app, `/v1/pay/${other}`)).status, 404);
  await app.close();
});

test('the page: its own files only, its own policy, nothing beside the folder', async () => {
  const gateway = await testGateway();
  const app = build(gateway);
  for (const [url, type] of [
    ['/pay/any-order', /^text\/html/],
    ['/assets/main-1a2b.js', /javascript/],
  ] as const) {
    const { status, headers } = await ask(app, url);
    const header = headers as Record<string, string>;
    assert.equal(status, 200);
    assert.match(header['content-type'] ?? '', type);
    const policy = header['content-security-policy'] ?? '';
    const connect = `connect-src 'self' ws://${HOST} http://127.0.0.1:8427 ws://127.0.0.1:8427;`;
    assert.ok(policy.includes(connect), policy);
    assert.ok(policy.includes("script-src 'self';"), policy);
    assert.equal(header['cross-origin-opener-policy'], 'same-origin-allow-popups');
    assert.equal(header['x-content-type-options'], 'nosniff');
    assert.equal(header['cache-control'], 'no-store');
  }
  for (const url of [
    '/assets/../index.html',
    '/assets/..%2f..%2fsecret.txt',
    '/assets/%2e%2e/%2e%2e/secret.txt',
    '/assets/none.js',

    '/pay/a/b',
  ]) {
    const { status } = await ask(app, url);
    assert.ok(status === 404 || status === 403, `${url}: ${status}`);
  }
  await app.close();
});

test('the page has its policy under every spelling of its address', async () => {
  const app = build(await testGateway());
  const plain = await ask(app, '/pay/x');
  for (const path of ['/%70ay/x', '/p%61y/x']) {
    const { status, headers } = await ask(app, path);
    const seen = headers as Record<string, unknown>;
    assert.equal(status, 200, path);
    for (const name of ['content-security-policy', 'x-frame-options', 'referrer-policy']) {
      assert.ok(seen[name], `${path} ${name}`);
      assert.equal(seen[name], (plain.headers as Record<string, unknown>)[name], path);
    }
  }
  await app.close();
});

test('a page that is not built says so', async () => {
  const gateway = await testGateway();
  for (const missing of [null, join(dataDir, 'nowhere')]) {
    const app = build(gateway, { pagesDir: missing });
    const { status, json } = await ask(app, '/pay/x');
    assert.deepEqual([status, json.code], [503, 'ERR_PAGES_MISSING']);
    await app.close();
  }
});
