/** Shows what the client sends, what it repeats and what never, against a server that is scripted. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { type ClientOptions, createClient, rows } from './client.ts';
import { ApiError, NoAnswerError } from './errors.ts';

type Seen = {
  readonly method: string;
  readonly url: string;
  readonly key: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
};
type Script = (response: ServerResponse, seen: Seen) => void;

const seen: Seen[] = [];
const pauses: number[] = [];
let scripts: Script[] = [];
const server = createServer((request: IncomingMessage, response) => {
  let body = '';
  request.on('data', (chunk: Uint8Array) => {
    body += new TextDecoder().decode(chunk);
  });
  request.on('end', () => {
    const { method = '', url = '', headers } = request;
    const key = headers['idempotency-key'] as string | undefined;
    const one = { method, url, key, authorization: headers.authorization, body };
    seen.push(one);
    (scripts.shift() ?? ok)(response, one);
  });
});
let url = '';
before(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  seen.length = 0;
  pauses.length = 0;
  scripts = [];
});

const ok: Script = (response) => response.writeHead(201).end('{"orderId":"o1"}');
const problem =
  (status: number, code: string, headers: Record<string, string> = {}): Script =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
    response.end(JSON.stringify({ code, detail: `detail of ${code}`, status }));
  };
const dropped: Script = (response) => response.destroy();
const api = (changes: Partial<ClientOptions> = {}) =>
  createClient({
    ...{ url, apiKey: 'tap_test_x' },
    pause: async (pauseMs) => void pauses.push(pauseMs),
    ...changes,
  });
const body = { merchantOrderNumber: 'N1', amount: '12.34', currency: '156', origin: 'o' };

test('a call makes its own idempotency key and keeps it over every repeat', async () => {
  scripts = [
    dropped,
    problem(503, 'ERR_SWITCH_UNAVAILABLE'),
    problem(500, 'ERR_INTERNAL'),
    problem(409, 'ERR_IDEMPOTENCY_IN_FLIGHT', { 'retry-after': '1' }),
    ok,
  ];
  const order = await api().createOrder({ body });
  assert.equal(order.orderId, 'o1');
  assert.equal(seen.length, 5);
  assert.equal(new Set(seen.map(({ key }) => key)).size, 1);
  assert.match(seen[0]?.key ?? '', /^[0-9a-f-]{36}$/);
  assert.equal(new Set(seen.map((one) => one.body)).size, 1);
  assert.deepEqual(JSON.parse(seen[0]?.body ?? ''), body);
  assert.equal(seen[0]?.authorization, 'Bearer tap_test_x');
  assert.equal(pauses.length, 4);
  assert.ok((pauses[3] ?? 0) >= 1000, 'retry-after is kept');
  await api().createOrder({ body });
  assert.notEqual(seen.at(-1)?.key, seen[0]?.key, 'another call is another intent');
});

test("the caller's own key is used as it is", async () => {
  await api().createOrder({ body, idempotencyKey: 'mine' });
  assert.equal(seen[0]?.key, 'mine');
});

test('a refusal is thrown at once with code, problem and key', async () => {
  for (const [status, code] of [
    [400, 'ERR_AMOUNT'],
    [401, 'ERR_UNAUTHORIZED'],
    [409, 'ERR_ORDER_PAID'],
    [422, 'ERR_IDEMPOTENCY_MISMATCH'],
  ] as const) {
    scripts = [problem(status, code)];
    seen.length = 0;
    await assert.rejects(api().createOrder({ body }), (fault) => {
      assert.ok(fault instanceof ApiError);
      assert.deepEqual(
        [fault.code, fault.status, fault.message],
        [code, status, `detail of ${code}`],
      );
      assert.equal(fault.idempotencyKey, seen[0]?.key);
      return true;
    });
    assert.equal(seen.length, 1);
  }
});

test('what would be done twice is not repeated, but for 429, which came before', async () => {
  const call = () => api().createApiKey({ body: { merchantId: null, role: 'operator' } });
  scripts = [problem(503, 'ERR_INTERNAL')];
  await assert.rejects(call(), { code: 'ERR_INTERNAL' });
  scripts = [dropped];
  await assert.rejects(call(), (fault) => {
    return fault instanceof NoAnswerError && fault.idempotencyKey === null;
  });
  assert.equal(seen.length, 2);
  scripts = [problem(429, 'ERR_RATE', { 'retry-after': '2' }), ok];
  await call();
  assert.equal(seen.length, 4);
  assert.ok((pauses[0] ?? 0) >= 2000);
});

test('repeats end: the last fault is thrown, with the key for another time', async () => {
  scripts = Array.from({ length: 9 }, () => dropped);
  await assert.rejects(api({ repeats: 2 }).createOrder({ body }), (fault) => {
    assert.ok(fault instanceof NoAnswerError);
    assert.equal(fault.idempotencyKey, seen[0]?.key);
    return true;
  });
  assert.equal(seen.length, 3);
  scripts = Array.from({ length: 9 }, () => problem(503, 'ERR_HSM_UNAVAILABLE'));
  await assert.rejects(api({ repeats: 1 }).getOrder({ path: { orderId: 'a' } }), {
    code: 'ERR_HSM_UNAVAILABLE',
  });
});

test('an answer that is no JSON, no problem, late or led elsewhere is no answer of the gateway', async () => {
  const html: Script = (response) => response.writeHead(200).end('<html>portal</html>');
  scripts = Array.from({ length: 9 }, () => html);
  await assert.rejects(api().getOrder({ path: { orderId: 'a' } }), NoAnswerError);
  scripts = [(response) => response.writeHead(404).end('<html>')];
  await assert.rejects(api().getOrder({ path: { orderId: 'a' } }), (fault) => {
    return fault instanceof ApiError && fault.code === 'ERR_NO_PROBLEM' && fault.problem === null;
  });
  scripts = Array.from(
    { length: 9 },
    (): Script => (response) =>
      void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  );
  await assert.rejects(api({ repeats: 0 }).getOrder({ path: { orderId: 'a' } }), NoAnswerError);
  scripts = [() => undefined];
  const hasty = api({ repeats: 0, timeoutMs: 100 });
  await assert.rejects(hasty.getOrder({ path: { orderId: 'a' } }), NoAnswerError);
});

test('a call that is aborted stops, between repeats as well', async () => {
  const controller = new AbortController();
  scripts = Array.from({ length: 9 }, () => dropped);
  const stopping = api({ pause: async () => controller.abort(new Error('stop')) });
  await assert.rejects(stopping.createOrder({ body, signal: controller.signal }), /stop/);
  assert.equal(seen.length, 1);
});

test('path and query are encoded; a list is read to its end', async () => {
  await api().getOrder({ path: { orderId: 'a/../b?c' } });
  assert.equal(seen[0]?.url, '/v1/orders/a%2F..%2Fb%3Fc');
  scripts = [
    (response) => response.end('{"data":[{"n":1},{"n":2}],"nextCursor":"c 2"}'),
    (response) => response.end('{"data":[{"n":3}],"nextCursor":null}'),
  ];
  const all: unknown[] = [];
  const list = (query: { cursor?: string }) =>
    api().listOrders({ query: { ...query, status: 'open', limit: 2 } });
  for await (const row of rows(list)) all.push(row);
  assert.deepEqual(all, [{ n: 1 }, { n: 2 }, { n: 3 }]);
  assert.equal(seen[2]?.url, '/v1/orders?cursor=c+2&status=open&limit=2');
  assert.equal(seen[2]?.method, 'GET');
  assert.equal(seen[2]?.key, undefined);
});
