/** Shows that the committed document and SDK are what the route table says, and are whole. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GATEWAY_ERRORS } from '../../errors.ts';
import { ROUTES, TAGS } from '../routes.ts';
import { assertDocumented } from './conformance.test-kit.ts';
import { errorsOf, type Json, type JsonObject, openApiDocument } from './document.ts';
import { generatedFiles, projectRoot } from './files.ts';

const document = openApiDocument();
const at = (...names: readonly string[]): JsonObject =>
  names.reduce<JsonObject>((value, name) => value[name] as JsonObject, document);

for (const { path, text } of generatedFiles()) {
  test(`${path} is fresh: else run node online/src/gateway/http/openapi/main.ts`, () => {
    const file = join(projectRoot, path);
    assert.ok(existsSync(file), `${path} is missing`);
    assert.equal(readFileSync(file, 'utf8'), text);
  });
}

test('every route is in the document, with a schema for each answer, errors too', () => {
  for (const route of ROUTES) {
    const operation = at('paths', route.path, route.method.toLowerCase());
    assert.equal(operation['operationId'], route.id);
    assert.ok(route.tag in TAGS, route.id);
    const responses = operation['responses'] as Readonly<Record<string, JsonObject>>;
    for (const [status, response] of Object.entries(responses)) {
      const content = response['content'] as Readonly<Record<string, JsonObject>>;
      const type = Number(status) < 400 ? 'application/json' : 'application/problem+json';
      assert.deepEqual(Object.keys(content), [type], `${route.id} ${status}`);
      assert.ok(content[type]?.['schema'], `${route.id} ${status}`);
    }
    for (const code of errorsOf(route)) {
      assert.ok(responses[String(GATEWAY_ERRORS[code].status)], `${route.id} ${code}`);
    }
  }
  const ids = ROUTES.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, 'operation ids are unique');
});

test('path parameters of the document are those of the path; every reference leads somewhere', () => {
  for (const { path, method, id } of ROUTES) {
    const rows = at('paths', path, method.toLowerCase())['parameters'] as readonly JsonObject[];
    const named = rows.filter((row) => row['in'] === 'path').map((row) => row['name']);
    assert.deepEqual(
      named,
      [...path.matchAll(/\{([A-Za-z]+)\}/g)].map(([, name]) => name),
      id,
    );
  }
  const references: string[] = [];
  const visit = (value: Json): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, item] of Object.entries(value)) {
      if (name === '$ref') references.push(String(item));
      else visit(item as Json);
    }
  };
  visit(document);
  assert.ok(references.length > 50);
  for (const reference of new Set(references)) {
    const [root, ...names] = reference.split('/');
    assert.equal(root, '#');
    assert.ok(at(...names), reference);
  }
});

test('the conformance check itself refuses another form, status, type and code', () => {
  const order = {
    ...{ orderId: 'a', mode: 'test', merchantOrderNumber: 'n', amountMinor: '1', currency: '156' },
    ...{
      origin: 'o',
      kind: 'purchase',
      captureMode: 'automatic',
      status: 'open',
      paymentId: null,
      createdAtMs: 1,
    },
    ...{ expiresAtMs: 2, payUrl: 'http://127.0.0.1/pay/a', inquiry: 'inProgress' },
  };
  const right = {
    ...{ method: 'GET', url: '/v1/orders/a', status: 200, contentType: 'application/json' },
    json: order,
  };
  assertDocumented(right);
  for (const wrong of [
    { ...right, json: { ...order, amountMinor: 1 } },
    { ...right, json: { ...order, status: 'odd' } },
    { ...right, json: {} },
    { ...right, status: 201 },
    { ...right, contentType: 'text/html' },
    { ...right, status: 404, contentType: 'application/problem+json', json: { code: 'ERR_X' } },
  ]) {
    assert.throws(() => assertDocumented(wrong), assert.AssertionError);
  }
});
