/**
 * Shows the doors and promises of the merchant API: keys with roles, modes and limits, stored
 * answers through death of a process, problem documents without foreign words, lists, audit.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { checkAuditLog } from '../audit/log.ts';
import { GATEWAY_ERRORS, GatewayError } from '../errors.ts';
import { newOrder, type TestGateway, testGateway, testRandom } from '../gateway.test-kit.ts';
import { type MerchantKeys, openMerchantKeys } from '../merchant-keys.ts';
import { type IdempotencyStore, PostgresIdempotencyStore } from '../merchants/idempotency.ts';
import { openGatewayDatabase } from '../store-postgres.ts';
import { buildHttp, type HttpPorts } from './api.ts';
import { testHttpPorts } from './http.test-kit.ts';
import { assertDocumented } from './openapi/conformance.test-kit.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-merchant-api-'));
const keys: MerchantKeys = openMerchantKeys(dataDir, 'M1', testRandom(99));
writeFileSync(join(dataDir, 'ca-public-keys.json'), '[]');
const apps: FastifyInstance[] = [];
after(async () => {
  for (const app of apps) await app.close();
  rmSync(dataDir, { recursive: true });
});

type World = {
  readonly gateway: TestGateway;
  readonly ports: ReturnType<typeof testHttpPorts>;
  readonly app: FastifyInstance;
};
async function world(changes: Partial<HttpPorts> = {}): Promise<World> {
  const gateway = await testGateway();
  const ports = testHttpPorts(gateway, { keys, dataDir, ...changes });
  const app = buildHttp(ports);
  apps.push(app);
  return { gateway, ports, app };
}

type Answer = {
  readonly status: number;
  readonly json: Record<string, unknown>;
  readonly headers: LightMyRequestResponse['headers'];
};
async function ask(
  { app }: Pick<World, 'app'>,
  method: 'GET' | 'POST',
  url: string,
  options: { readonly key?: string; readonly body?: unknown; readonly idem?: string } = {},
): Promise<Answer> {
  const { key = keys.apiKey, body, idem } = options;
  const response = await app.inject({
    method,
    url,
    headers: {
      ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
      ...(idem === undefined ? {} : { 'idempotency-key': idem }),
    },
    ...(body === undefined ? {} : { payload: body as object }),
  });
  const { statusCode: status, headers } = response;
  const json: Record<string, unknown> = response.json();
  assertDocumented({ method, url, status, contentType: String(headers['content-type']), json });
  return { status, json, headers };
}

const ORDER = { merchantOrderNumber: 'N1', amount: '12.34', currency: '156', origin: 'o' };
const MERCHANT = {
  ...{ merchantId: '629990000000002', name: 'Tea', nameZh: '茶馆', terminalId: '62990002' },
  ...{ categoryCode: '5812', location: 'TEA HOUSE' },
};
const operator = keys.operatorKey;

async function newKey(
  at: World,
  wanted: { role: string; merchantId?: string | null; mode?: string; requestsPerSecond?: number },
): Promise<{ keyId: string; apiKey: string }> {
  const { merchantId } = at.gateway.ports.profile.merchant;
  const body = { merchantId, ...wanted };
  const { status, json } = await ask(at, 'POST', '/v1/api-keys', { key: operator, body });
  assert.equal(status, 201);
  return json as never;
}

test('a role does what it may and nothing else', async () => {
  const at = await world();
  const order = await newOrder(at.gateway.core);
  const url = `/v1/orders/${order.orderId}`;
  for (const [role, read, make, give, operate] of [
    ['merchant', 200, 201, 404, 403],
    ['readonly', 200, 403, 403, 403],
    ['refund', 200, 403, 404, 403],
  ] as const) {
    const { apiKey: key } = await newKey(at, { role });
    assert.equal((await ask(at, 'GET', url, { key })).status, read, role);
    const made = await ask(at, 'POST', '/v1/orders', { key, body: ORDER, idem: role });
    assert.equal(made.status, make, role);
    const refund = { key, body: {}, idem: `r-${role}` };
    assert.equal((await ask(at, 'POST', '/v1/payments/none/refunds', refund)).status, give, role);
    const pairing = await ask(at, 'POST', '/v1/pairing-codes', { key });
    assert.deepEqual([pairing.status, pairing.json['code']], [operate, 'ERR_ROLE']);
  }
  assert.equal((await ask(at, 'GET', url, { key: operator })).json['code'], 'ERR_ROLE');
});

test('an order of another merchant, or of the other mode, is not there', async () => {
  const at = await world({ liveMode: true });
  await ask(at, 'POST', '/v1/merchants', { key: operator, body: MERCHANT, idem: 'm' });
  const { apiKey: foreign } = await newKey(at, {
    role: 'merchant',
    merchantId: MERCHANT.merchantId,
  });
  const { apiKey: live } = await newKey(at, { role: 'merchant', mode: 'live' });
  assert.match(live, /^tap_live_/);
  const made = await ask(at, 'POST', '/v1/orders', { body: ORDER, idem: 'same' });
  assert.equal(made.json['mode'], 'test');
  const url = `/v1/orders/${String(made.json['orderId'])}`;
  for (const key of [foreign, live]) {
    for (const [method, path] of [
      ['GET', url],
      ['POST', `${url}/cancel`],
    ] as const) {
      const { status, json } = await ask(at, method, path, { key });
      assert.deepEqual([status, json['code']], [404, 'ERR_ORDER_NOT_FOUND']);
    }
    // #17: the same idempotency key of another merchant or mode is another intent.
    const own = await ask(at, 'POST', '/v1/orders', { key, body: ORDER, idem: 'same' });
    assert.equal(own.status, 201);
    assert.notEqual(own.json['orderId'], made.json['orderId']);
    const listed = await ask(at, 'GET', '/v1/orders', { key });
    assert.equal((listed.json['data'] as unknown[]).length, 1);
  }
});

test('live mode is closed while the installation has LAB keys only', async () => {
  const at = await world();
  const body = { merchantId: null, role: 'operator', mode: 'live' };
  const refused = await ask(at, 'POST', '/v1/api-keys', { key: operator, body });
  assert.deepEqual([refused.status, refused.json['code']], [403, 'ERR_LIVE_MODE']);
  // A key that was made when the installation was open.
  const open = await world({ liveMode: true, merchants: at.ports.merchants });
  const { apiKey: key } = await newKey(open, { role: 'merchant', mode: 'live' });
  for (const [method, url] of [
    ['POST', '/v1/orders'],
    ['GET', '/v1/orders'],
  ] as const) {
    const answer = await ask(at, method, url, {
      key,
      idem: 'x',
      ...(method === 'POST' && { body: ORDER }),
    });
    assert.deepEqual([answer.status, answer.json['code']], [403, 'ERR_LIVE_MODE']);
  }
});

test('a key is shown once; revoked it opens nothing, in another process within 2 s', async () => {
  const at = await world();
  const other = await world({ merchants: at.ports.merchants });
  const { apiKey: key, keyId } = await newKey(at, { role: 'readonly' });
  assert.equal((await ask(other, 'GET', '/v1/orders', { key })).status, 200);
  const { merchantId } = at.gateway.ports.profile.merchant;
  const listed = await ask(at, 'GET', `/v1/api-keys?merchantId=${merchantId}`, { key: operator });
  const text = JSON.stringify(listed.json);
  assert.ok(text.includes(keyId) && !text.includes(key.slice(-48)) && !text.includes('hash'));
  assert.ok(text.includes('"lastUsedDay":"2026-03-14"'), text);

  const revoked = await ask(at, 'POST', `/v1/api-keys/${keyId}/revoke`, { key: operator });
  assert.equal(revoked.status, 200);
  assert.equal((await ask(at, 'GET', '/v1/orders', { key })).json['code'], 'ERR_UNAUTHORIZED');
  other.gateway.clock.advance(2_000);
  assert.equal((await ask(other, 'GET', '/v1/orders', { key })).json['code'], 'ERR_UNAUTHORIZED');
  const none = await ask(at, 'POST', '/v1/api-keys/000000000000/revoke', { key: operator });
  assert.deepEqual([none.status, none.json['code']], [404, 'ERR_KEY_NOT_FOUND']);
});

test('a suspended merchant reads and does nothing new, until it is active again', async () => {
  const at = await world();
  const { merchantId } = at.gateway.ports.profile.merchant;
  const turn = (verb: string) =>
    ask(at, 'POST', `/v1/merchants/${merchantId}/${verb}`, { key: operator });
  const make = (idem: string) => ask(at, 'POST', '/v1/orders', { body: ORDER, idem });
  assert.equal((await make('a')).status, 201);
  assert.equal((await turn('suspend')).json['state'], 'suspended');
  assert.deepEqual((await make('b')).json['code'], 'ERR_MERCHANT_CLOSED');
  assert.equal((await ask(at, 'GET', '/v1/orders')).status, 200);
  assert.equal((await turn('activate')).json['state'], 'active');
  assert.equal((await make('b')).status, 201);
  const none = await ask(at, 'POST', '/v1/merchants/none/suspend', { key: operator });
  assert.deepEqual([none.status, none.json['code']], [404, 'ERR_MERCHANT_NOT_FOUND']);
});

test('a key has so many requests a second and says so; another key has its own', async () => {
  const at = await world();
  const { apiKey: key } = await newKey(at, { role: 'readonly', requestsPerSecond: 3 });
  const remaining: unknown[] = [];
  for (let n = 0; n < 3; n++) {
    const { status, headers } = await ask(at, 'GET', '/v1/orders', { key });
    assert.equal(status, 200);
    assert.equal(headers['ratelimit-limit'], '3');
    remaining.push(headers['ratelimit-remaining']);
  }
  assert.deepEqual(remaining, ['2', '1', '0']);
  const over = await ask(at, 'GET', '/v1/orders', { key });
  assert.deepEqual([over.status, over.json['code']], [429, 'ERR_RATE']);
  assert.deepEqual([over.headers['retry-after'], over.headers['ratelimit-remaining']], ['1', '0']);
  assert.equal((await ask(at, 'GET', '/v1/orders')).status, 200, 'the other key');
  at.gateway.clock.advance(334);
  assert.equal((await ask(at, 'GET', '/v1/orders', { key })).status, 200, 'a third of a second');
  assert.equal((await ask(at, 'GET', '/v1/orders', { key })).status, 429);
  at.gateway.clock.advance(-3_600_000);
  assert.equal((await ask(at, 'GET', '/v1/orders', { key })).status, 429, 'a clock set back');
});

test('lists: pages, filters, a cursor that is not ours, a limit above 100', async () => {
  const at = await world();
  for (let n = 0; n < 5; n++) {
    await ask(at, 'POST', '/v1/orders', {
      body: { ...ORDER, merchantOrderNumber: `L${n % 2}` },
      idem: `l${n}`,
    });
    at.gateway.clock.advance(10);
  }
  const seen: string[] = [];
  for (let cursor = ''; ; ) {
    const { json } = await ask(at, 'GET', `/v1/orders?limit=2${cursor}`);
    seen.push(...(json['data'] as { orderId: string }[]).map(({ orderId }) => orderId));
    if (json['nextCursor'] === null) break;
    cursor = `&cursor=${String(json['nextCursor'])}`;
    // A new row between two pages shifts nothing.
    await ask(at, 'POST', '/v1/orders', { body: ORDER, idem: `new${seen.length}` });
  }
  assert.equal(seen.length, 5);
  assert.deepEqual(seen, [...new Set(seen)].toSorted().toReversed());
  const odd = await ask(at, 'GET', '/v1/orders?merchantOrderNumber=L1&status=open');
  assert.equal((odd.json['data'] as unknown[]).length, 2);
  for (const [query, code] of [
    ['limit=101', 'ERR_REQUEST'],
    ['limit=0', 'ERR_REQUEST'],
    ['limit=x', 'ERR_REQUEST'],
    ['status=odd', 'ERR_REQUEST'],
    ['unknown=1', 'ERR_REQUEST'],
    ['limit=1&limit=2', 'ERR_REQUEST'],
    ['cursor=xyz', 'ERR_CURSOR'],
    [`cursor=${Buffer.from("' OR 1=1").toString('base64url')}`, 'ERR_CURSOR'],
    [`cursor=${Buffer.from(`${seen[0]}/${seen[1]}`).toString('base64url')}`, 'ERR_CURSOR'],
  ] as const) {
    const { status, json } = await ask(at, 'GET', `/v1/orders?${query}`);
    assert.deepEqual([status, json['code']], [400, code], query);
  }
  assert.deepEqual((await ask(at, 'GET', '/v1/payments')).json, { data: [], nextCursor: null });
});

test('a problem: link, both languages, what to do, field, instance that the log knows', async () => {
  const at = await world();
  const wrong = { ...ORDER, lab: { fault: 'x' } };
  const { json, headers } = await ask(at, 'POST', '/v1/orders', { body: wrong, idem: 'p' });
  assert.equal(json['type'], 'http://127.0.0.1:8420/docs#ERR_REQUEST');
  assert.deepEqual(json['text'], GATEWAY_ERRORS.ERR_REQUEST.text);
  assert.deepEqual(json['remedy'], GATEWAY_ERRORS.ERR_REQUEST.remedy);
  assert.equal(json['title'], GATEWAY_ERRORS.ERR_REQUEST.text.en);
  assert.equal(json['fieldPath'], 'lab.fault');
  assert.equal(json['instance'], `urn:uuid:${String(headers['x-request-id'])}`);
  assert.equal(json['message'], json['detail']);
  const none = await ask(at, 'GET', '/v1/orders', { key: '' });
  assert.equal(none.headers['www-authenticate'], 'Bearer');
  const page = await at.app.inject({ url: '/docs' });
  assert.ok(page.body.includes('id="ERR_REQUEST"'), 'the link leads to a row');
});

test('#5: what an upstream says never reaches a merchant', async () => {
  const junk = '<html><h1>502 Bad Gateway</h1>upstream db=10.0.0.7 secret</html>';
  for (const thrown of [
    new Error(junk),
    Object.assign(new Error(junk), { statusCode: 502, code: 'ECONNRESET' }),
    junk,
    new GatewayError('ERR_HSM_UNAVAILABLE', 'no HSM', {}, new Error(junk)),
  ]) {
    const at = await world();
    at.ports.merchants.listMerchants = async () => {
      throw thrown;
    };
    const { status, json } = await ask(at, 'GET', '/v1/merchants', { key: operator }).catch(
      (fault: Error) => ({ status: 0, json: { fault: fault.message } as Record<string, unknown> }),
    );
    const text = JSON.stringify(json);
    assert.ok(!text.includes('html') && !text.includes('10.0.0.7'), text);
    const isOwn = thrown instanceof GatewayError;
    if (!isOwn) assert.deepEqual([status, json['code']], [500, 'ERR_INTERNAL']);
    const logged = at.gateway.log.find(({ event }) => event === 'httpFault');
    assert.ok(!JSON.stringify(logged).includes('html'));
    if (!isOwn) assert.equal(json['instance'], `urn:uuid:${String(logged?.['requestId'])}`);
  }
});

test('what operators and merchants do is in the audit log before it is done, and how it ended', async () => {
  const at = await world();
  const { keyId } = await newKey(at, { role: 'readonly' });
  await ask(at, 'POST', `/v1/api-keys/${keyId}/revoke`, { key: operator });
  await ask(at, 'POST', '/v1/payments/none/refunds', { body: { amount: '1.00' }, idem: 'a' });
  await ask(at, 'POST', '/v1/orders', { body: ORDER, idem: 'quiet' });
  const told = at.ports.audit.records.map(({ action, subject, facts }) => {
    const { status, code } = JSON.parse(facts) as Record<string, unknown>;
    return [action, subject, status ?? code ?? 'asked'];
  });
  assert.deepEqual(told, [
    ['key.new', '', 'asked'],
    ['key.new', '', 201],
    ['key.revoke', keyId, 'asked'],
    ['key.revoke', keyId, 200],
    ['refund', 'none', 'asked'],
    ['refund', 'none', 'ERR_PAYMENT_NOT_FOUND'],
  ]);
  assert.equal((await checkAuditLog(at.ports.audit)).fault, null);
  const text = JSON.stringify(at.ports.audit.records);
  assert.ok(!text.includes('tap_test_'), 'no key is written down');
  const { json } = await ask(at, 'GET', '/v1/audit-records?limit=4', { key: operator });
  assert.deepEqual([(json['data'] as unknown[]).length, json['nextCursor']], [4, '4']);

  at.ports.audit.append = async () => {
    throw new Error('disk full');
  };
  const { status } = await ask(at, 'POST', '/v1/api-keys', {
    ...{ key: operator, body: { merchantId: null, role: 'operator' } },
  });
  assert.equal(status, 500);
  const keysNow = await ask(at, 'GET', '/v1/api-keys', { key: operator });
  assert.equal((keysNow.json['data'] as unknown[]).length, 1, 'what is not written is not done');
});

/** The promises of stored answers over one store. */
function storedAnswers(open: () => Promise<IdempotencyStore | undefined>): void {
  const start = async (): Promise<World> => {
    const idempotency = await open();
    return world(idempotency ? { idempotency } : {});
  };
  const add = (at: World, idem: string, changes: object = {}): Promise<Answer> =>
    ask(at, 'POST', '/v1/merchants', { key: operator, idem, body: { ...MERCHANT, ...changes } });

  test('50 parallel requests of one key make one; the rest are told 409, then replayed', async () => {
    const at = await start();
    let calls = 0;
    const { merchants } = at.ports;
    const addMerchant = merchants.addMerchant.bind(merchants);
    merchants.addMerchant = async (row) => {
      calls += 1;
      await new Promise((done) => setTimeout(done, 30));
      return addMerchant(row);
    };
    const key = `race ${process.pid}`.replace(' ', '-');
    const answers = await Promise.all(Array.from({ length: 50 }, () => add(at, key)));
    assert.equal(calls, 1);
    const made = answers.filter(({ status }) => status === 201);
    const busy = answers.filter(({ json }) => json['code'] === 'ERR_IDEMPOTENCY_IN_FLIGHT');
    assert.equal(made.length + busy.length, 50);
    assert.ok(made.length >= 1 && busy.every(({ headers }) => headers['retry-after'] === '1'));
    const again = await add(at, key);
    assert.deepEqual([again.status, again.json], [201, made[0]?.json]);
    assert.equal(again.headers['idempotent-replayed'], 'true');
    const other = await add(at, key, { name: 'Coffee' });
    assert.deepEqual([other.status, other.json['code']], [422, 'ERR_IDEMPOTENCY_MISMATCH']);
    assert.equal(calls, 1);
  });

  test('the order of members is no difference; a refusal is kept, a 5xx is not', async () => {
    const at = await start();
    await add(at, 'k1');
    const turned = Object.fromEntries(Object.entries(MERCHANT).toReversed());
    const replay = await ask(at, 'POST', '/v1/merchants', {
      key: operator,
      idem: 'k1',
      body: turned,
    });
    assert.equal(replay.headers['idempotent-replayed'], 'true');
    const refused = await add(at, 'k2', { name: 'Other' });
    assert.deepEqual([refused.status, refused.json['code']], [409, 'ERR_MERCHANT_EXISTS']);
    const kept = await add(at, 'k2', { name: 'Other' });
    assert.deepEqual(kept.json, refused.json);
    assert.equal(kept.headers['idempotent-replayed'], 'true');

    const { merchants } = at.ports;
    const addMerchant = merchants.addMerchant.bind(merchants);
    merchants.addMerchant = async () => {
      throw new Error('connection lost');
    };
    const next = { merchantId: '629990000000003', terminalId: '62990003' };
    assert.equal((await add(at, 'k3', next)).status, 500);
    merchants.addMerchant = addMerchant;
    const second = await add(at, 'k3', next);
    assert.deepEqual([second.status, second.headers['idempotent-replayed']], [201, undefined]);
  });

  test('death between effect and answer: after the lease the same request ends as one effect', async () => {
    const at = await start();
    const { idempotency } = at.ports;
    const finish = idempotency.finish.bind(idempotency);
    idempotency.finish = async () => {
      throw new Error('killed');
    };
    assert.equal((await add(at, 'died')).status, 500);
    idempotency.finish = finish;
    const busy = await add(at, 'died');
    assert.deepEqual([busy.status, busy.json['code']], [409, 'ERR_IDEMPOTENCY_IN_FLIGHT']);
    at.gateway.clock.advance(60_000);
    const again = await add(at, 'died');
    assert.equal(again.status, 201);
    const { json } = await ask(at, 'GET', '/v1/merchants', { key: operator });
    const rows = json['data'] as { merchantId: string }[];
    assert.equal(rows.filter(({ merchantId }) => merchantId === MERCHANT.merchantId).length, 1);
    assert.equal((await add(at, 'died')).headers['idempotent-replayed'], 'true');
  });

  test('an answer is kept for a day and more, by the clock that is given', async () => {
    const at = await start();
    const first = await add(at, 'day');
    at.gateway.clock.advance(24 * 3_600_000);
    const replay = await add(at, 'day');
    assert.deepEqual([replay.json, replay.headers['idempotent-replayed']], [first.json, 'true']);
    at.gateway.clock.advance(24 * 3_600_000);
    const late = await add(at, 'day');
    assert.deepEqual([late.status, late.headers['idempotent-replayed']], [201, undefined]);
  });
}

describe('stored answers in memory', () => storedAnswers(async () => undefined));

describe('stored answers in embedded PostgreSQL', () => {
  let server: TestDatabase | null = null;
  const closers: (() => Promise<void>)[] = [];
  let count = 0;
  before(async () => {
    server = await startTestDatabase();
  });
  after(async () => {
    for (const close of closers) await close();
    await server?.close();
  });
  storedAnswers(async () => {
    if (!server) return undefined;
    const schema = `gateway_${++count}`;
    const database = await openGatewayDatabase({ databaseUrl: server.url, schema });
    closers.push(() => database.close());
    return new PostgresIdempotencyStore(database);
  });
});
