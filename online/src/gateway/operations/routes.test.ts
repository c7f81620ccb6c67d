/** Shows operations and webhooks over HTTP: who may, what comes back, what never does. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { newOrder, payOrder, reply, TEST_PAN, testPeer, testRandom } from '../gateway.test-kit.ts';
import { buildHttp } from '../http/api.ts';
import { testHttpPorts } from '../http/http.test-kit.ts';
import { type MerchantKeys, openMerchantKeys } from '../merchant-keys.ts';
import {
  heldOrder,
  type OperationsWorld,
  operationsWorld,
  paidOrder,
} from './operations.test-kit.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-operations-'));
let world: OperationsWorld;
let keys: MerchantKeys;
let app: FastifyInstance;
let count = 0;

before(async () => {
  world = await operationsWorld();
  const { merchantId } = world.ports.profile.merchant;
  keys = openMerchantKeys(dataDir, merchantId, testRandom());
  app = buildHttp(testHttpPorts(world, { keys, dataDir }));
});
after(async () => {
  await app.close();
  rmSync(dataDir, { recursive: true });
});

type Answer = { status: number; json: Record<string, unknown>; replayed: boolean; text: string };

async function ask(
  method: 'GET' | 'POST',
  url: string,
  given: { readonly body?: object; readonly key?: string; readonly idempotencyKey?: string } = {},
): Promise<Answer> {
  const response = await app.inject({
    method,
    url,
    headers: {
      authorization: `Bearer ${given.key ?? keys.apiKey}`,
      'idempotency-key': given.idempotencyKey ?? `key-${++count}`,
      ...(given.body && { 'content-type': 'application/json' }),
    },
    ...(given.body && { payload: JSON.stringify(given.body) }),
  });
  const replayed = response.headers['idempotent-replayed'] === 'true';
  return { status: response.statusCode, json: response.json(), replayed, text: response.body };
}

const post = (url: string, body: object, idempotencyKey?: string) =>
  ask('POST', url, { body, ...(idempotencyKey && { idempotencyKey }) });

test('capture, refund, void and their reading, with texts of the response code', async () => {
  const { paymentId, order } = await heldOrder(world);
  const held = await ask('GET', `/v1/orders/${order.orderId}`);
  assert.deepEqual([held.json['status'], held.json['inquiry']], ['authorised', 'processed']);
  const captured = await post(`/v1/payments/${paymentId}/captures`, { amount: '10.00' });
  assert.equal(captured.status, 201);
  assert.deepEqual(
    [captured.json['kind'], captured.json['status'], captured.json['amountMinor']],
    ['capture', 'succeeded', '1000'],
  );
  const response = captured.json['response'] as { code: string; merchant: { en: string } };
  assert.deepEqual([response.code, response.merchant.en], ['00', 'Approved.']);
  const refunded = await post(`/v1/payments/${paymentId}/refunds`, {
    amount: '4',
    note: 'one piece back',
  });
  assert.equal(refunded.json['note'], 'one piece back');
  const listed = await ask('GET', `/v1/payments/${paymentId}/operations`);
  assert.deepEqual(listed.json['balance'], {
    heldMinor: '1234',
    capturedMinor: '1000',
    refundedMinor: '400',
    pendingRefundMinor: '0',
    refundableMinor: '600',
    disputed: false,
  });
  const data = listed.json['data'] as { operationId: string }[];
  assert.equal(data.length, 2);
  const read = await ask('GET', `/v1/operations/${data[1]?.operationId}`);
  assert.deepEqual(read.json, refunded.json);
  for (const { text } of [captured, refunded, listed, read]) {
    assert.ok(!text.includes(TEST_PAN) && !text.includes('sealed') && !text.includes('identity'));
  }
  const sale = await paidOrder(world);
  const voided = await post(`/v1/payments/${sale.paymentId}/voids`, {});
  assert.deepEqual([voided.status, voided.json['status']], [201, 'succeeded']);
  const after_ = await ask('GET', `/v1/payments/${sale.paymentId}`);
  assert.deepEqual([after_.json['status'], after_.json['inquiry']], ['voided', 'processed']);
});

test('complaint 16, 18: 50 copies of a refund are one; another body under its key is 422', async () => {
  const { paymentId } = await paidOrder(world);
  const url = `/v1/payments/${paymentId}/refunds`;
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => post(url, { amount: '5' }, 'refund-1')),
  );
  assert.ok(answers.every(({ status }) => status === 201));
  assert.equal(new Set(answers.map(({ json }) => json['operationId'])).size, 1);
  assert.equal(answers.filter(({ replayed }) => !replayed).length, 1);
  const misused = await post(url, { amount: '6' }, 'refund-1');
  assert.deepEqual([misused.status, misused.json['code']], [422, 'ERR_IDEMPOTENCY_MISMATCH']);
});

test('refusals have a status, a code and both texts; who may not, may not', async () => {
  const { paymentId } = await paidOrder(world);
  const url = `/v1/payments/${paymentId}`;
  for (const [answer, status, code] of [
    [await post(`${url}/refunds`, { amount: '99' }), 422, 'ERR_REFUND_EXCEEDS'],
    [await post(`${url}/refunds`, { amount: '-1' }), 400, 'ERR_AMOUNT'],
    [await post(`${url}/refunds`, { amount: 1 }), 400, 'ERR_AMOUNT'],
    [await post(`${url}/refunds`, { amount: '1', currency: '840' }), 422, 'ERR_CURRENCY_MISMATCH'],
    [await post(`${url}/refunds`, { amount: '1', pan: TEST_PAN }), 400, 'ERR_REQUEST'],
    [await post(`${url}/captures`, {}), 409, 'ERR_PAYMENT_STATE'],
    [await post('/v1/payments/none/refunds', {}), 404, 'ERR_PAYMENT_NOT_FOUND'],
    [await ask('GET', '/v1/operations/none'), 404, 'ERR_OPERATION_NOT_FOUND'],
    [await ask('POST', `${url}/refunds`, { body: {}, key: 'wrong' }), 401, 'ERR_UNAUTHORIZED'],
    [await ask('POST', `${url}/refunds`, { body: {}, key: keys.operatorKey }), 403, 'ERR_ROLE'],
    [await ask('GET', '/v1/work-items'), 403, 'ERR_ROLE'],
    [await post(`${url}/dispute`, { dispute: 'open' }), 403, 'ERR_ROLE'],
  ] as const) {
    assert.deepEqual([answer.status, answer.json['code']], [status, code]);
    assert.ok(!answer.text.includes(TEST_PAN));
  }
});

test('three answers to an inquiry: processed, in progress, not found', async () => {
  const { core, strict } = world;
  const paid = await paidOrder(world);
  const open = await newOrder(core);
  strict.weather = () => 'requestLost';
  const lost = await newOrder(core);
  const { paymentId } = await payOrder(core, testPeer(), lost.orderId);
  const refund = await post(`/v1/payments/${paid.paymentId}/refunds`, {});
  for (const [subject, id, expected] of [
    ['orders', paid.order.orderId, 'processed'],
    ['orders', open.orderId, 'notFound'],
    ['orders', lost.orderId, 'inProgress'],
    ['orders', 'none', 'notFound'],
    ['payments', paid.paymentId, 'processed'],
    ['payments', paymentId, 'inProgress'],
    ['payments', 'none', 'notFound'],
    ['operations', String(refund.json['operationId']), 'inProgress'],
    ['operations', 'none', 'notFound'],
  ] as const) {
    const { status, json } = await ask('GET', `/v1/inquiries/${subject}/${id}`);
    assert.deepEqual([status, json], [200, { inquiry: expected }], `${subject} ${id}`);
  }
  strict.weather = () => 'fair';
  world.clock.advance(60_000);
  await core.tick();
  for (const [subject, id] of [
    ['payments', paymentId],
    ['operations', String(refund.json['operationId'])],
  ]) {
    const { json } = await ask('GET', `/v1/inquiries/${subject}/${id}`);
    assert.deepEqual(json, { inquiry: 'processed' });
  }
});

test('the operator opens a dispute and reads work items', async () => {
  const { paymentId } = await paidOrder(world);
  const key = keys.operatorKey;
  const url = `/v1/payments/${paymentId}/dispute`;
  const opened = await ask('POST', url, { body: { dispute: 'open' }, key });
  assert.deepEqual([opened.status, opened.json['disputed']], [200, true]);
  const refused = await post(`/v1/payments/${paymentId}/refunds`, {});
  assert.deepEqual([refused.status, refused.json['code']], [409, 'ERR_DISPUTE_OPEN']);
  await ask('POST', url, { body: { dispute: 'closed' }, key });
  const items = await ask('GET', '/v1/work-items', { key });
  assert.deepEqual([items.status, items.json], [200, { data: [] }]);
});

test('complaint 5: what an upstream answers reaches a merchant as a code of the table or not at all', async () => {
  const junk = '<html><body>502 Bad Gateway</body></html>';
  const { core, line, strict } = world;
  for (const [changes, state, code] of [
    [[[39, '51']], 'declined', '51'],
    [[[39, '<h']], 'unknown', null],
    [[[39, '']], 'unknown', null],
    [[[39, 'Q7']], 'declined', 'Q7'],
    [[[57, junk]], 'captured', '00'],
  ] as const) {
    const responseCode = code ?? '00';
    line.script = (message) => reply(message, responseCode, changes);
    const { paymentId } = await paidOrder(world, { interface: 'contactless' });
    line.script = strict.script;
    const { json, text } = await ask('GET', `/v1/payments/${paymentId}`);
    assert.deepEqual([json['status'], json['responseCode']], [state, code]);
    const response = json['response'] as { code: string; merchant: { en: string } } | null;
    assert.equal(response?.code ?? null, code);
    if (code !== null) assert.match(response?.merchant.en ?? '', /^[A-Z].*\.$/);
    assert.ok(!text.includes('html') && !text.includes('Bad Gateway') && !text.includes('<h'));
    await core.tick();
  }
});

test('endpoints, deliveries and replay over HTTP; the secret is shown once per key', async () => {
  const made = await post('/v1/webhook-endpoints', { url: 'https://hooks.example/' }, 'hook-1');
  assert.equal(made.status, 201);
  const again = await post('/v1/webhook-endpoints', { url: 'https://hooks.example/' }, 'hook-1');
  assert.deepEqual(again.json, made.json);
  const endpointId = String(made.json['endpointId']);
  const one = await ask('GET', `/v1/webhook-endpoints/${endpointId}`);
  assert.equal(one.json['secret'], undefined);
  const rotated = await post(`/v1/webhook-endpoints/${endpointId}/secret`, {});
  assert.notEqual(rotated.json['secret'], made.json['secret']);
  await paidOrder(world);
  await world.core.tick();
  const listed = await ask('GET', '/v1/deliveries?limit=1&status=delivered');
  const [row] = listed.json['data'] as { messageId: string; status: string }[];
  assert.equal(row?.status, 'delivered');
  const whole = await ask('GET', `/v1/deliveries/${row?.messageId}`);
  assert.equal(JSON.parse(String(whole.json['body'])).type, 'payment.approved');
  const replayed = await ask('POST', `/v1/deliveries/${row?.messageId}/replay`);
  assert.deepEqual([replayed.status, replayed.json['status']], [202, 'waiting']);
  const off = await post(`/v1/webhook-endpoints/${endpointId}/status`, { status: 'disabled' });
  assert.equal(off.json['status'], 'disabled');
  const bad = await ask('GET', '/v1/deliveries?cursor=abc');
  assert.deepEqual([bad.status, bad.json['code']], [400, 'ERR_CURSOR']);
  const none = await ask('GET', '/v1/webhook-endpoints/none');
  assert.deepEqual([none.status, none.json['code']], [404, 'ERR_ENDPOINT_NOT_FOUND']);
});
