/** Shows how the gateway's answers are read: a "no" that stays apart from what nobody knows. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { createGateway } from './gateway-client.ts';

let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
const server = createServer((request, response) => answer(request, response));
let url = '';
before(async () => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const order = {
  orderId: 'o1',
  merchantOrderNumber: 'n1',
  amountMinor: '13600',
  currency: '156',
  origin: 'x',
  status: 'open',
  paymentId: null,
  createdAtMs: 1,
  expiresAtMs: 2,
  payUrl: 'http://127.0.0.1:1/pay/o1',
};
const request = {
  merchantOrderNumber: 'n1',
  amount: '136.00',
  currency: '156',
  origin: 'http://127.0.0.1:1',
  notifyUrl: 'http://127.0.0.1:1/n',
  returnUrl: 'http://127.0.0.1:1/r',
};
const gateway = () => createGateway({ gatewayUrl: url, apiKey: 'key', timeoutMs: 300 });

test('an order is asked for with key and idempotency key; money is read as an integer', async () => {
  const seen: IncomingMessage[] = [];
  answer = (incoming, response) => {
    seen.push(incoming);
    response.writeHead(201).end(JSON.stringify(order));
  };
  const created = await gateway().createOrder('order-1', request);
  assert.ok(created.kind === 'answer');
  assert.equal(created.value.amountMinor, 13_600n);
  assert.equal(seen[0]?.headers['idempotency-key'], 'order-1');
  assert.equal(seen[0]?.headers.authorization, 'Bearer key');
  assert.deepEqual([seen[0]?.method, seen[0]?.url], ['POST', '/v1/orders']);
  assert.equal((await gateway().order('o1')).kind, 'answer');
  assert.equal((await gateway().cancel('o1')).kind, 'answer');
  assert.deepEqual([seen[2]?.method, seen[2]?.url], ['POST', '/v1/orders/o1/cancel']);
});

test('what may be otherwise next time is "unavailable"', async () => {
  const whys: readonly ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(500).end('{}'),
    (response) => response.writeHead(503).end(),
    (response) => response.writeHead(429).end('{"code":"ERR_RATE"}'),
    (response) => response.writeHead(200).end('no json'),
    (response) => response.writeHead(200).end(JSON.stringify({ ...order, status: 'odd' })),
    (response) => response.writeHead(200).end(JSON.stringify({ ...order, amountMinor: '1.5' })),
    (response) => response.writeHead(200).end(JSON.stringify({ ...order, amountMinor: 13_600 })),
    (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    (response) => response.destroy(),
    () => {},
  ];
  for (const [index, why] of whys.entries()) {
    answer = (_, response) => why(response);
    assert.equal((await gateway().order('o1')).kind, 'unavailable', `case ${index}`);
  }
  const closed = createGateway({ gatewayUrl: 'http://127.0.0.1:1', apiKey: 'key' });
  assert.equal((await closed.order('o1')).kind, 'unavailable');
});

test('a pay page that is no web address is not taken', async () => {
  for (const payUrl of ['javascript:alert(1)', '/pay/o1', '']) {
    answer = (_, response) => response.writeHead(201).end(JSON.stringify({ ...order, payUrl }));
    assert.equal((await gateway().createOrder('o', request)).kind, 'unavailable', payUrl);
  }
});

test("a refusal is told with the gateway's code", async () => {
  answer = (_, response) => response.writeHead(404).end('{"code":"ERR_ORDER_NOT_FOUND"}');
  assert.deepEqual(await gateway().order('o1'), {
    kind: 'refused',
    status: 404,
    code: 'ERR_ORDER_NOT_FOUND',
  });
  answer = (_, response) => response.writeHead(400).end('<html>');
  assert.deepEqual(await gateway().order('o1'), {
    kind: 'refused',
    status: 400,
    code: 'ERR_UNKNOWN',
  });
});
