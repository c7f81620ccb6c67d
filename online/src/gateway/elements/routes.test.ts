/**
 * Shows what operators decide of payment applications over HTTP, and that nobody else may: locks,
 * load files, parameter sets, and the evidence of a payment; each answer as the document has it.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { signP1363 } from '@tapnpay/protocol/node';
import { readAttestationStatement, readParameterSet } from '@tapnpay/protocol/wire';
import type { FastifyInstance } from 'fastify';
import {
  newOrder,
  payOrder,
  TEST_LOAD_FILE_HASH,
  type TestGateway,
  testElement,
  testGateway,
  testPeer,
  testRandom,
} from '../gateway.test-kit.ts';
import { buildHttp } from '../http/api.ts';
import { testHttpPorts } from '../http/http.test-kit.ts';
import { assertDocumented } from '../http/openapi/conformance.test-kit.ts';
import { type MerchantKeys, openMerchantKeys } from '../merchant-keys.ts';
import { acceptanceParameters } from '../parameters.ts';
import { ParameterBook } from './parameter-book.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-elements-'));
let gateway: TestGateway;
let app: FastifyInstance;
let keys: MerchantKeys;

before(async () => {
  gateway = await testGateway();
  keys = openMerchantKeys(dataDir, 'M1', testRandom());
  app = buildHttp(testHttpPorts(gateway, { keys, dataDir }));
});
after(async () => {
  await app.close();
  rmSync(dataDir, { recursive: true });
});

async function call(
  method: 'GET' | 'POST',
  url: string,
  given: { readonly key?: string | null; readonly body?: object } = {},
) {
  const { key = keys.operatorKey, body } = given;
  const response = await app.inject({
    ...{ method, url },
    headers: key === null ? {} : { authorization: `Bearer ${key}` },
    ...(body === undefined ? {} : { payload: body }),
  });
  const { statusCode: status } = response;
  const json = response.json();
  const contentType = String(response.headers['content-type']);
  assertDocumented({ method, url, status, contentType, json });
  return { status, body: json };
}

test('an operator sees, locks and unlocks elements; a merchant does none of it', async () => {
  const { body: list } = await call('GET', '/v1/elements');
  assert.deepEqual(
    list.data.map((element: { elementId: string; state: string }) => [
      element.elementId,
      element.state,
    ]),
    [['E1', 'operable']],
  );
  assert.equal(list.data[0].publicKeySpki, undefined, 'no keys are shown');
  const locked = await call('POST', '/v1/elements/E1/lock', { body: { note: 'stolen' } });
  assert.deepEqual([locked.body.state, locked.body.lock.reason], ['locked', 'operator']);
  assert.equal((await call('GET', '/v1/elements?state=operable')).body.data.length, 0);
  const order = await newOrder(gateway.core);
  await assert.rejects(payOrder(gateway.core, testPeer(), order.orderId), {
    code: 'ERR_ELEMENT_LOCKED',
  });
  const unlocked = await call('POST', '/v1/elements/E1/unlock', { body: { note: 'found' } });
  assert.deepEqual([unlocked.body.state, unlocked.body.lock], ['operable', null]);
  assert.equal((await call('GET', '/v1/elements/E1')).body.state, 'operable');
  assert.equal((await call('GET', '/v1/elements/none')).status, 404);
  const none = await call('POST', '/v1/elements/none/lock', { body: { note: 'x' } });
  assert.equal(none.body.code, 'ERR_ELEMENT_NOT_FOUND');
  for (const [method, url, body] of [
    ['GET', '/v1/elements', undefined],
    ['POST', '/v1/elements/E1/lock', { note: 'x' }],
    ['POST', '/v1/elements/E1/unlock', { note: 'x' }],
    ['POST', '/v1/load-files', { hash: 'AB'.repeat(32), name: 'mine' }],
  ] as const) {
    const asked = body === undefined ? {} : { body };
    assert.equal((await call(method, url, { key: keys.apiKey, ...asked })).status, 403);
    assert.equal((await call(method, url, { key: null, ...asked })).status, 401);
  }
});

test('load files are accepted and revoked; what was revoked stays so', async () => {
  const hash = 'CD'.repeat(32);
  const accepted = await call('POST', '/v1/load-files', { body: { hash, name: 'payment 2' } });
  assert.equal(accepted.body.state, 'accepted');
  const revoke = `/v1/load-files/${hash}/revoke`;
  const revoked = await call('POST', revoke, { body: { note: 'hole' } });
  assert.deepEqual([revoked.body.state, revoked.body.note], ['revoked', 'hole']);
  const again = await call('POST', '/v1/load-files', { body: { hash, name: 'payment 2' } });
  assert.equal(again.body.state, 'revoked');
  const { data } = (await call('GET', '/v1/load-files')).body;
  const states = data.map((file: { hash: string; state: string }) => [file.hash, file.state]);
  assert.deepEqual(states, [
    [TEST_LOAD_FILE_HASH, 'accepted'],
    [hash, 'revoked'],
  ]);
  const none = await call('POST', `/v1/load-files/${'EF'.repeat(32)}/revoke`, {
    body: { note: 'x' },
  });
  assert.equal(none.body.code, 'ERR_LOAD_FILE_NOT_FOUND');
  const short = await call('POST', '/v1/load-files', { body: { hash: 'AB', name: 'x' } });
  assert.equal(short.status, 400);
});

test('a set is published after the newest one only, signed, and never half understood', async () => {
  const { body: first } = await call('GET', '/v1/parameters', { key: null });
  assert.deepEqual([first.version, first.minimumVersion], [1, 0]);
  const content = acceptanceParameters([]);
  const wanted = { afterVersion: 1, minimum: 'thisVersion', termDays: 10, content };
  const second = await call('POST', '/v1/parameters', { body: wanted });
  assert.equal(second.status, 201);
  assert.deepEqual([second.body.version, second.body.minimumVersion], [2, 2]);
  const set = readParameterSet(second.body.body);
  assert.equal(set.validUntilMs - set.issuedAtMs, 10 * 86_400_000);
  assert.ok(set.validFromMs < set.issuedAtMs, 'clocks differ');
  const late = await call('POST', '/v1/parameters', { body: wanted });
  assert.equal(late.body.code, 'ERR_PARAMETERS_VERSION');
  const strange = { ...wanted, afterVersion: 2, content: { ...content, more: 1 } };
  assert.equal((await call('POST', '/v1/parameters', { body: strange })).status, 400);
  const wrong = { ...wanted, afterVersion: 2, content: { ...content, countryCode: '15' } };
  assert.equal((await call('POST', '/v1/parameters', { body: wrong })).status, 400);
  assert.equal((await call('GET', '/v1/parameters', { key: null })).body.version, 2);
  const refused = await call('POST', '/v1/parameters', { key: keys.apiKey, body: wanted });
  assert.equal(refused.status, 403);
});

test('the evidence of a payment has the signed text and the certificate', async () => {
  const other = await testGateway();
  const { core, store } = other;
  const order = await newOrder(core);
  const { paymentId } = await payOrder(core, testPeer(), order.orderId);
  const site = buildHttp(testHttpPorts(other, { keys, dataDir }));
  const headers = { authorization: `Bearer ${keys.operatorKey}` };
  const ask = async (id: string) =>
    (await site.inject({ method: 'GET', url: `/v1/payments/${id}/evidence`, headers })).json();
  assert.equal((await ask(paymentId)).code, 'ERR_ATTESTATION_NOT_FOUND', 'E1 has no certificate');
  assert.equal((await ask('none')).code, 'ERR_ATTESTATION_NOT_FOUND');
  const codeId = 'code-2';
  const nowMs = other.clock.nowMs();
  await store.addPairingCode({ codeId, sealedCode: '', expiresAtMs: nowMs + 1, failures: 0 });
  const facts = { elementId: 'E2', certificateSha256: 'C2', certificatePem: 'PEM of E2' };
  const { publicKeySpki } = testElement;
  const element = { ...facts, publicKeySpki, initialKeyId: 'key 2', enrolledAtMs: nowMs };
  await store.enrolElement(codeId, element, nowMs);
  const second = await newOrder(core);
  const peer = testPeer({ elementId: 'E2' });
  const paid = await payOrder(core, peer, second.orderId, { element: { elementId: 'E2' } });
  const evidence = await ask(paid.paymentId);
  assert.equal(evidence.certificatePem, 'PEM of E2');
  assert.equal(evidence.caPem, 'the CA');
  assert.equal(readAttestationStatement(evidence.statement).order.orderId, second.orderId);
  await site.close();
});

test('an installation publishes by itself: first set, changed keys, near its end, never over an operator', async () => {
  const { store, clock } = await testGateway();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const book = new ParameterBook({ store, clock, sign: (text) => signP1363(privateKey, text) });
  await assert.rejects(book.newest(), { code: 'ERR_INTERNAL' });
  const content = acceptanceParameters([]);
  await book.ensure(content);
  await book.ensure(content);
  assert.deepEqual(await book.versions(), { newest: 1, minimum: 0 });
  const changed = { ...content, countryCode: '0344' };
  await book.ensure(changed);
  assert.equal((await book.newest()).version, 2);
  assert.equal(await book.tapLimitMinor(), 500_000n);
  clock.advance(340 * 86_400_000);
  await book.ensure(changed);
  assert.equal((await book.newest()).version, 3);
  const publication = { content, minimum: 'unchanged', termDays: 1, by: 'key' } as const;
  await book.publish({ ...publication, afterVersion: 3 });
  await book.ensure(changed);
  assert.equal((await book.newest()).version, 4);
  const twins = await Promise.allSettled([
    book.publish({ ...publication, afterVersion: 4 }),
    book.publish({ ...publication, afterVersion: 4 }),
  ]);
  assert.deepEqual(twins.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
});
