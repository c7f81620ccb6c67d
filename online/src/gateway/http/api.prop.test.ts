/**
 * Fuzz: whatever comes over HTTP as body, query, path or header, the answer is the route's own or a
 * problem document with a code of the table, never a foreign word, and the server goes on.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import type { Database } from '../../runtime/index.ts';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { PostgresAuditLog } from '../audit/log.ts';
import { isErrorCode } from '../errors.ts';
import { testGateway, testRandom } from '../gateway.test-kit.ts';
import { installLabMerchant, openMerchantKeys } from '../merchant-keys.ts';
import { PostgresIdempotencyStore } from '../merchants/idempotency.ts';
import { PostgresMerchantLists } from '../merchants/lists.ts';
import { PostgresMerchantStore } from '../merchants/store-postgres.ts';
import { acceptanceParameters } from '../parameters.ts';
import { openGatewayDatabase, PostgresGatewayStore } from '../store-postgres.ts';
import { buildHttp } from './api.ts';
import { testHttpPorts } from './http.test-kit.ts';
import { assertDocumented } from './openapi/conformance.test-kit.ts';
import type { Route } from './route.ts';
import { ROUTES } from './routes.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-fuzz-'));
writeFileSync(join(dataDir, 'ca-public-keys.json'), '[]');
const keys = openMerchantKeys(dataDir, 'M1', testRandom(99));
let app: FastifyInstance;
let server: TestDatabase | null = null;
/** The same interface over the database, which minds other things than a map. */
let onDatabase: FastifyInstance | null = null;
let database: Database | null = null;
before(async () => {
  app = buildHttp(testHttpPorts(await testGateway(), { keys, dataDir }));
  server = await startTestDatabase();
  if (!server) return;
  database = await openGatewayDatabase({ databaseUrl: server.url, schema: 'gateway' });
  const gateway = await testGateway({ store: new PostgresGatewayStore(database) });
  const merchants = new PostgresMerchantStore(database);
  const profile = { ...gateway.ports.profile.merchant, merchantId: '898110000000001' };
  await installLabMerchant(merchants, { profile, nameZh: '测试', keys, nowMs: 1 });
  const ports = testHttpPorts(gateway, { keys, dataDir });
  await ports.parameters.ensure(acceptanceParameters([]));
  onDatabase = buildHttp({
    ...ports,
    merchants,
    lists: new PostgresMerchantLists(database),
    idempotency: new PostgresIdempotencyStore(database),
    audit: new PostgresAuditLog(database),
  });
});
after(async () => {
  await app.close();
  await onDatabase?.close();
  await database?.close();
  await server?.close();
  rmSync(dataDir, { recursive: true });
});

/** Words that a foreign exception would bring along. */
const FOREIGN =
  /at .*\.ts:|node:internal|Unexpected token|FST_|SyntaxError|TypeError|invalid input syntax/;

/** Answers by status, so that a fuzz that only meets one door does not pass for one of the house. */
const seen = new Map<number, number>();

async function ask(request: {
  readonly app?: FastifyInstance;
  readonly method: string;
  readonly url: string;
  readonly payload?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}): Promise<void> {
  const { method, url } = request;
  const { app: asked = app, ...rest } = request;
  const response = await asked.inject(rest as never);
  seen.set(response.statusCode, (seen.get(response.statusCode) ?? 0) + 1);
  const { statusCode: status, body } = response;
  const contentType = String(response.headers['content-type']);
  const json: unknown = JSON.parse(body);
  assertDocumented({ method, url, status, contentType, json });
  assert.ok(!FOREIGN.test(body), body);
  if (status < 400) return;
  const { code } = json as { code: string };
  assert.ok(isErrorCode(code), `${status} ${body}`);
  assert.notEqual(code, 'ERR_INTERNAL', `${method} ${url} ${String(request.payload)}`);
}

const keyOf = ({ roles }: Route): string =>
  roles.includes('operator') ? keys.operatorKey : keys.apiKey;
const isListed = ({ path }: Route): boolean => path.startsWith('/v1/');
const anyRoute = fc.constantFrom(...ROUTES.filter(isListed));
/** Ids as they come, hostile ones, and none of the characters that end a path. */
const segment = fc
  .oneof(fc.uuid(), fc.string({ maxLength: 70 }), fc.constantFrom('__proto__', '%00', '..', "'--"))
  .map((text) => encodeURIComponent(text).replace(/^\.+$/, 'x') || 'x');
const headersOf = (route: Route, idem: string): Record<string, string> => ({
  authorization: `Bearer ${keyOf(route)}`,
  'idempotency-key': idem,
});
const idem = fc.oneof(fc.uuid(), fc.string({ minLength: 1, maxLength: 300 })).map((text) => {
  // What a client library would let through.
  const clean = text.replace(/[^\x20-\x7e]/g, '').trim();
  return clean === '' ? 'x' : clean;
});

/** Nearly right bodies: the names of a route's members with values of any kind. */
const names = ['merchantOrderNumber', 'amount', 'currency', 'origin', 'notifyUrl', 'returnUrl'];
const more = [
  'captureMode',
  'lab',
  'note',
  'merchantId',
  'role',
  'mode',
  'url',
  'status',
  'dispute',
];
const value = fc.oneof(
  fc.constantFrom(
    '12.34',
    '156',
    '0',
    '-1',
    '1e400',
    '٣',
    'https://a.example',
    'http://[::1]/',
    '',
  ),
  fc.jsonValue({ maxDepth: 3 }),
);
/** Any character, the ones that no database takes among them. */
const words = fc.oneof(
  fc.string({ maxLength: 20, unit: 'binary' }),
  fc.constantFrom('\0', '\ud800', '茶'),
);
const order = { merchantOrderNumber: 'N', amount: '1', currency: '156', origin: 'o' };
const merchant = {
  ...{ merchantId: '629990000000009', name: 'n', nameZh: '茶', terminalId: '62990009' },
  ...{ categoryCode: '5812', location: 'L' },
};
/** A right body with one member made wrong, or not. */
const spoilt = (right: Readonly<Record<string, string>>): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.constant(right),
    fc.tuple(fc.constantFrom(...Object.keys(right)), words).map(([k, v]) => ({ ...right, [k]: v })),
  );
const nearly = fc.dictionary(fc.constantFrom(...names, ...more), value, { maxKeys: 8 });
/** Bodies that some routes take. */
const ALMOST: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  createOrder: spoilt(order),
  createMerchant: spoilt(merchant),
  createApiKey: fc.record({ merchantId: words, role: fc.constantFrom('operator', 'merchant') }),
  capturePayment: fc.record({ note: words }),
  refundPayment: fc.record({ note: words, amount: fc.constant('1') }),
  createWebhookEndpoint: fc.record({ url: words }),
};
const call = anyRoute.chain((route) =>
  fc.tuple(fc.constant(route), fc.oneof(nearly, fc.jsonValue(), ALMOST[route.id] ?? nearly)),
);

async function fuzzBodies(asked: FastifyInstance, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(call, idem, segment, async ([route, body], key, id) => {
      const url = route.path.replace(/\{[A-Za-z]+\}/g, id);
      const json = { 'content-type': 'application/json' };
      await ask({
        app: asked,
        method: route.method,
        url,
        headers: { ...headersOf(route, key), ...(route.method === 'POST' ? json : {}) },
        ...(route.method === 'POST' ? { payload: JSON.stringify(body) } : {}),
      });
    }),
    { numRuns },
  );
}

test('any JSON body to any route ends in an answer of the document', async () => {
  await fuzzBodies(app, 2_000);
  for (const status of [200, 201, 400, 404]) {
    assert.ok((seen.get(status) ?? 0) > 5, `${status}: ${JSON.stringify([...seen])}`);
  }
});

test('so it does over PostgreSQL', async (t) => {
  if (!onDatabase) return t.skip();
  await fuzzBodies(onDatabase, 1_000);
});

test('characters that no database takes are refused at the door', async () => {
  for (const bad of ['\0', '茶\0', '\ud800', 'a\nb', '\u0085']) {
    for (const [url, key, body] of [
      ['/v1/merchants', keys.operatorKey, { ...merchant, nameZh: bad }],
      ['/v1/payments/x/refunds', keys.apiKey, { note: bad }],
    ] as const) {
      const headers = { authorization: `Bearer ${key}`, 'idempotency-key': 'k' };
      const response = await app.inject({ method: 'POST', url, headers, payload: body });
      assert.equal(response.json()['code'], 'ERR_REQUEST', JSON.stringify(bad));
    }
  }
});

test('any bytes under any content type end in a coded refusal', async () => {
  const posts = fc.constantFrom(...ROUTES.filter(({ method }) => method === 'POST'));
  const type = fc.constantFrom('application/json', 'text/plain', 'application/xml', 'x', '');
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ maxLength: 300 }).map((text) => new TextEncoder().encode(text)),
    fc
      .constantFrom('{"a":', '[[[[[[', '{"__proto__":{"x":1}}', '{"constructor":1}', 'null', '"')
      .map((text) => new TextEncoder().encode(text)),
  );
  await fc.assert(
    fc.asyncProperty(posts, type, bytes, async (route, contentType, payload) => {
      const url = route.path.replace(/\{[A-Za-z]+\}/g, 'x');
      const headers = { ...headersOf(route, 'k'), 'content-type': contentType };
      await ask({ method: 'POST', url, headers, payload: Buffer.from(payload) });
    }),
    { numRuns: 400 },
  );
});

test('any query of any list ends in a page or a coded refusal', async () => {
  const lists = fc.constantFrom(...ROUTES.filter(({ method }) => method === 'GET'));
  const name = fc.oneof(
    fc.constantFrom('limit', 'cursor', 'status', 'createdFromMs', 'createdToMs', 'orderId'),
    fc.constantFrom('merchantOrderNumber', 'afterSeq', 'merchantId', 'paymentId', '__proto__'),
    fc.string({ maxLength: 8 }),
  );
  const text = fc.oneof(fc.integer().map(String), fc.string({ maxLength: 40 }), fc.uuid());
  await fc.assert(
    fc.asyncProperty(
      lists,
      fc.array(fc.tuple(name, text), { maxLength: 4 }),
      async (route, query) => {
        const path = route.path.replace(/\{[A-Za-z]+\}/g, 'x');
        const pairs = query.map((pair) => pair.map(encodeURIComponent).join('='));
        const url = `${path}?${pairs.join('&')}`;
        await ask({ method: 'GET', url, headers: headersOf(route, 'k') });
      },
    ),
    { numRuns: 400 },
  );
});

test('any authorization header but a key of ours is refused and counted', async () => {
  const word = fc.oneof(
    fc.string({ maxLength: 300 }).map((text) => text.replace(/[^\x20-\x7e]/g, '')),
    fc.constantFrom(keys.apiKey.slice(0, -1), `${keys.apiKey}0`, keys.apiKey.toUpperCase()),
  );
  await fc.assert(
    fc.asyncProperty(word, async (text) => {
      const headers = { authorization: `Bearer ${text}` };
      const { statusCode, body } = await app.inject({ url: '/v1/orders', headers });
      const { code } = JSON.parse(body) as { code: string };
      assert.ok(['ERR_UNAUTHORIZED', 'ERR_RATE'].includes(code) && statusCode >= 400, body);
    }),
    { numRuns: 200 },
  );
});
