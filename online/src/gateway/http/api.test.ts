/** Shows the HTTP interface: who may ask, which amounts and bodies it takes, what it tells. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toHex } from '@tapnpay/protocol/bytes';
import { enrolmentInput, readParameterSet } from '@tapnpay/protocol/wire';
import type { FastifyInstance } from 'fastify';
import {
  completionOf,
  elementSignature,
  payOrder,
  TEST_PAN,
  type TestGateway,
  testElement,
  testGateway,
  testPeer,
  testRandom,
} from '../gateway.test-kit.ts';
import { type MerchantKeys, openMerchantKeys } from '../merchant-keys.ts';
import { buildHttp } from './api.ts';
import { testHttpPorts } from './http.test-kit.ts';
import { assertDocumented } from './openapi/conformance.test-kit.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-http-'));
const KEY = {
  rid: 'A000000333',
  index: 'F0',
  modulus: 'AB'.repeat(128),
  exponent: '03',
  sha1: 'CD'.repeat(20),
  expiryYymmdd: '351231',
};
let gateway: TestGateway;
let keys: MerchantKeys;
let app: FastifyInstance;
let count = 0;

before(async () => {
  gateway = await testGateway();
  keys = openMerchantKeys(dataDir, 'M1', testRandom());
  writeFileSync(join(dataDir, 'ca-public-keys.json'), JSON.stringify([KEY]));
  app = buildHttp(testHttpPorts(gateway, { keys, dataDir }));
});
after(async () => {
  await app.close();
  rmSync(dataDir, { recursive: true });
});

const body = (changes: object = {}): Record<string, unknown> => ({
  merchantOrderNumber: 'N1',
  amount: '12.34',
  currency: '156',
  origin: 'https://shop.example',
  ...changes,
});

async function ask(
  method: 'GET' | 'POST',
  url: string,
  options: { body?: unknown; key?: string; idempotencyKey?: string } = {},
): Promise<{ status: number; json: Record<string, unknown>; headers: Record<string, unknown> }> {
  const response = await app.inject({
    method,
    url,
    headers: {
      authorization: `Bearer ${options.key ?? keys.apiKey}`,
      ...(options.idempotencyKey === '' ? {} : idempotency(options.idempotencyKey)),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(options.body === undefined
      ? {}
      : {
          payload: typeof options.body === 'string' ? options.body : JSON.stringify(options.body),
        }),
  });
  const { statusCode: status, headers } = response;
  const json: Record<string, unknown> = response.json();
  const contentType = String(headers['content-type']);
  assertDocumented({ method, url, status, contentType, json });
  return { status, json, headers };
}

function idempotency(key = `key-${++count}`): Record<string, string> {
  return { 'idempotency-key': key };
}

test('an order is made once per Idempotency-Key, 50 at once; another body is 422', async () => {
  const options = { body: body(), idempotencyKey: 'same' };
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => ask('POST', '/v1/orders', options)),
  );
  assert.ok(answers.every(({ status }) => status === 201));
  assert.equal(new Set(answers.map(({ json }) => JSON.stringify(json))).size, 1);
  const replays = answers.filter(({ headers }) => headers['idempotent-replayed'] === 'true');
  assert.equal(replays.length, 49);
  assert.equal(answers[0]?.json['amountMinor'], '1234');
  const other = await ask('POST', '/v1/orders', { ...options, body: body({ amount: '12.35' }) });
  assert.deepEqual([other.status, other.json['code']], [422, 'ERR_IDEMPOTENCY_MISMATCH']);

  const { core } = gateway;
  const orderId = String(answers[0]?.json['orderId']);
  const peer = testPeer();
  const { paymentId } = await payOrder(core, peer, orderId);
  await core.complete(peer, completionOf(paymentId, 'TC'));
  const replayed = await ask('POST', '/v1/orders', options);
  assert.deepEqual(replayed.json, answers[0]?.json, 'the same answer for ever');
  const now = await ask('GET', `/v1/orders/${orderId}`);
  assert.deepEqual([now.json['status'], now.json['paymentId']], ['paid', paymentId]);
});

test('amounts are positive decimal text of the currency, at most 12 digits, never rounded', async () => {
  for (const [amount, currency] of [
    ['0', '156'],
    ['0.00', '156'],
    ['-1', '156'],
    ['1.234', '156'],
    ['1e3', '156'],
    ['10000000000.00', '156'],
    ['1234567890123', '392'],
    ['1.5', '392'],
    ['1.2345', '414'],
    ['', '156'],
    [' 1', '156'],
    ['1,00', '156'],
    ['0x10', '156'],
    ['.5', '156'],
    ['1.', '156'],
    ['NaN', '156'],
    ['١', '156'],
    [12.34, '156'],
    [null, '156'],
  ] as const) {
    const { status, json } = await ask('POST', '/v1/orders', { body: body({ amount, currency }) });
    assert.deepEqual([status, json['code']], [400, 'ERR_AMOUNT'], JSON.stringify(amount));
  }
  for (const [amount, currency, amountMinor] of [
    ['9999999999.99', '156', '999999999999'],
    ['999999999999', '392', '999999999999'],
    ['0.01', '156', '1'],
    ['1.5', '414', '1500'],
    ['7', '156', '700'],
  ] as const) {
    const { json } = await ask('POST', '/v1/orders', { body: body({ amount, currency }) });
    assert.equal(json['amountMinor'], amountMinor);
  }
});

test('wrong requests get a code, a status and no echo of what they sent', async () => {
  const post = (options: Parameters<typeof ask>[2]) => ask('POST', '/v1/orders', options);
  for (const [answer, status, code] of [
    [await post({ body: body(), key: 'wrong' }), 401, 'ERR_UNAUTHORIZED'],
    [await post({ body: body(), key: keys.operatorKey }), 403, 'ERR_ROLE'],
    [await post({ body: body(), idempotencyKey: '' }), 400, 'ERR_IDEMPOTENCY_KEY'],
    [await post({ body: body(), idempotencyKey: 'x'.repeat(256) }), 400, 'ERR_IDEMPOTENCY_KEY'],
    [await post({ body: body({ currency: '999' }) }), 400, 'ERR_CURRENCY'],
    [await post({ body: body({ currency: 'constructor' }) }), 400, 'ERR_REQUEST'],
    [await post({ body: body({ currency: '__proto' }) }), 400, 'ERR_CURRENCY'],
    [await post({ body: body({ pan: TEST_PAN }) }), 400, 'ERR_REQUEST'],
    [await post({ body: body({ origin: 'a\nb' }) }), 400, 'ERR_REQUEST'],
    [await post({ body: body({ notifyUrl: 'file:///etc/passwd' }) }), 400, 'ERR_NOTIFY_URL'],
    [await post({ body: body({ notifyUrl: 'http://u:p@x/' }) }), 400, 'ERR_NOTIFY_URL'],
    [await post({ body: body({ returnUrl: 'javascript:alert(1)' }) }), 400, 'ERR_RETURN_URL'],
    [await post({ body: body({ returnUrl: 'https://u:p@x/' }) }), 400, 'ERR_RETURN_URL'],
    [await post({ body: body({ lab: { fault: 'flip-mac' } }) }), 400, 'ERR_LAB_ONLY'],
    [await post({ body: body({ lab: { fault: 'free-money' } }) }), 400, 'ERR_REQUEST'],
    [await post({ body: '{"amount":' }), 400, 'ERR_REQUEST'],
    [await post({ body: '[]' }), 400, 'ERR_REQUEST'],
    [await post({ body: body({ origin: 'x'.repeat(20_000) }) }), 413, 'ERR_BODY_TOO_LARGE'],
    [await ask('GET', '/v1/orders/none'), 404, 'ERR_ORDER_NOT_FOUND'],
    [await ask('GET', '/v1/payments/none'), 404, 'ERR_PAYMENT_NOT_FOUND'],
    [await ask('GET', '/v1/nothing'), 404, 'ERR_NOT_FOUND'],
    [await ask('GET', '/v1/orders/%00'), 400, 'ERR_REQUEST'],
  ] as const) {
    assert.deepEqual([answer.status, answer.json['code']], [status, code]);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
    assert.equal(answer.json['status'], status);
    assert.ok(!JSON.stringify(answer.json).includes(TEST_PAN));
  }
});

test('a payment shows outcome, issuer facts, hops and reversal, and no card data', async () => {
  const { json: order } = await ask('POST', '/v1/orders', { body: body() });
  const peer = testPeer();
  const { paymentId } = await payOrder(gateway.core, peer, String(order['orderId']));
  await gateway.core.complete(peer, completionOf(paymentId, 'AAC'));
  await gateway.core.tick();
  const { status, json } = await ask('GET', `/v1/payments/${paymentId}`);
  assert.equal(status, 200);
  assert.equal(json['status'], 'reversed');
  assert.equal(json['outcome'], 'reversed');
  assert.equal(json['panMasked'], '629999******0017');
  assert.deepEqual(json['reversal'], {
    reason: 'card:AAC',
    attempts: 1,
    acknowledged: true,
    responseCode: '00',
  });
  assert.equal((json['issuer'] as { arqcVerified: boolean }).arqcVerified, true);
  assert.ok((json['hops'] as unknown[]).length >= 6);
  const text = JSON.stringify(json);
  assert.ok(!text.includes(TEST_PAN) && !text.includes('sealedOriginal'));
});

test('an order is cancelled once; health tells the line; parameters hold the CA keys', async () => {
  const { json: order } = await ask('POST', '/v1/orders', { body: body() });
  const cancelled = await ask('POST', `/v1/orders/${String(order['orderId'])}/cancel`);
  assert.equal(cancelled.json['status'], 'cancelled');
  assert.equal((await ask('GET', '/v1/health')).status, 200);
  gateway.line.up = false;
  const down = await ask('GET', '/v1/health');
  gateway.line.up = true;
  assert.deepEqual([down.status, down.json['switchLine']], [503, 'down']);
  const parameters = await ask('GET', '/v1/parameters');
  const { caPublicKeys } = readParameterSet(String(parameters.json['body']));
  assert.deepEqual(caPublicKeys, [{ ...KEY, fromYymmdd: '200101' }]);
});

test('the key file is for its owner only and stays the same', () => {
  const path = join(dataDir, 'merchant-key.json');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(openMerchantKeys(dataDir, 'M1', testRandom(9)), keys);
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).apiKey, keys.apiKey);
});

function enrolment(code: string, changes: Record<string, string> = {}): Record<string, string> {
  const facts = {
    elementId: `EL-${++count}`,
    publicKeySpki: testElement.publicKeySpki,
    transportKeySpki: 'AB'.repeat(294),
  };
  const input = enrolmentInput(facts);
  const pairingProof = createHmac('sha256', code).update(input).digest('hex').toUpperCase();
  return { ...facts, pairingProof, signature: elementSignature(input), ...changes };
}

test('enrolment: a code of the operator, both proofs, once', async () => {
  const codes = await ask('POST', '/v1/pairing-codes', { key: keys.operatorKey });
  const code = String(codes.json['code']);
  assert.match(code, /^[0-9A-HJKMNP-TV-Z]{10}$/);
  assert.equal((await ask('POST', '/v1/pairing-codes')).status, 403);

  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const foreign = enrolment(code);
  const unproven = {
    ...foreign,
    signature: elementSignature(enrolmentInput(foreign as never), stranger),
  };
  const swapped = { ...enrolment(code), publicKeySpki: toHex(new Uint8Array(91)) };
  for (const [wrong, expected] of [
    [enrolment('WRONGCODE1'), 'ERR_PAIRING_CODE'],
    [swapped, 'ERR_PAIRING_CODE'],
    [unproven, 'ERR_PROOF_OF_POSSESSION'],
    [{ ...enrolment(code), pairingProof: 'xyz' }, 'ERR_REQUEST'],
    [{ elementId: 'x' }, 'ERR_REQUEST'],
  ] as const) {
    const { json } = await ask('POST', '/v1/enrolments', { body: wrong });
    assert.equal(json['code'], expected);
  }

  const right = enrolment(code);
  const { status, json } = await ask('POST', '/v1/enrolments', { body: right });
  assert.equal(status, 201);
  assert.equal(json['certificatePem'], `certificate of ${right['elementId']}`);
  assert.match(String(json['initialKeyId']), /^54415001[0-9A-F]{8}$/);
  const again = await ask('POST', '/v1/enrolments', { body: right });
  assert.equal(again.json['code'], 'ERR_PAIRING_CODE');
  const exported = gateway.hsm.requests.find(({ command }) => command === 'exportInitialKey');
  assert.ok(exported?.command === 'exportInitialKey');
  assert.equal(exported.publicKeySpki, right['transportKeySpki']);
});

test('a pairing code expires, dies of five wrong proofs, and names an element once', async () => {
  const newCode = async (): Promise<string> =>
    String((await ask('POST', '/v1/pairing-codes', { key: keys.operatorKey })).json['code']);
  const codeOf = async (request: unknown): Promise<unknown> =>
    (await ask('POST', '/v1/enrolments', { body: request })).json['code'];
  const stale = await newCode();
  gateway.clock.advance(10 * 60_000);
  assert.equal(await codeOf(enrolment(stale)), 'ERR_PAIRING_CODE');

  const first = enrolment(await newCode());
  assert.equal(await codeOf(first), undefined);
  const code = await newCode();
  const facts = { ...first } as never;
  const proof = createHmac('sha256', code).update(enrolmentInput(facts)).digest('hex');
  const twin = { ...first, pairingProof: proof.toUpperCase() };
  assert.equal(await codeOf(twin), 'ERR_ELEMENT_EXISTS');
  for (let wrong = 0; wrong < 5; wrong++) await codeOf(enrolment('WRONGCODE2'));
  assert.equal(await codeOf(enrolment(code)), 'ERR_PAIRING_CODE');
});

test('thirty wrong keys in a minute: all are refused for its rest', async () => {
  const limited = await testGateway();
  const own = buildHttp(testHttpPorts(limited, { keys, dataDir }));
  const codeOf = async (key: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${key}` };
    return (await own.inject({ url: '/v1/orders/x', headers })).json()['code'];
  };
  for (let wrong = 0; wrong < 30; wrong++) assert.equal(await codeOf('no'), 'ERR_UNAUTHORIZED');
  assert.equal(await codeOf('no'), 'ERR_RATE');
  assert.equal(await codeOf(keys.apiKey), 'ERR_ORDER_NOT_FOUND', 'a right key still works');
  limited.clock.advance(60_000);
  assert.equal(await codeOf('no'), 'ERR_UNAUTHORIZED');
  await own.close();
});
