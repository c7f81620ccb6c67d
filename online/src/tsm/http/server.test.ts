/**
 * Shows the interface: keys and roles, what each route refuses, that nothing leaves that a view does
 * not name, a whole certification and enrolment over it, and that the document is the table.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { addApiKey, keyIdOf, newKeyText } from '../api-keys.ts';
import { Contacts } from '../contacts.ts';
import { sha256 } from '../jobs/commands.ts';
import type { TsmRole } from '../model.ts';
import {
  APPLICATION,
  contact,
  ISSUER,
  SAMPLE_PROVIDER,
  samplePackage,
  TestElement,
  type TestTsm,
  testTsm,
} from '../tsm.test-kit.ts';
import { openApiDocument } from './openapi.ts';
import { ROUTES } from './routes.ts';
import { buildTsmHttp, HTTP_BODY_BYTES_MAX, OPENAPI_PATH } from './server.ts';

let tsm: TestTsm;
let app: FastifyInstance;
const keys = {} as Record<TsmRole | 'reviewer', string>;

before(async () => {
  tsm = await testTsm();
  app = buildTsmHttp({ ports: tsm.ports, contacts: new Contacts(tsm.ports) });
  const roles = {
    ...{ issuer: 'issuer', reviewer: 'issuer', auditor: 'auditor', provider: 'provider' },
  } as const;
  for (const [name, role] of Object.entries(roles) as [keyof typeof keys, TsmRole][]) {
    const text = newKeyText(tsm.ports.random);
    const providerId = role === 'provider' ? SAMPLE_PROVIDER.id : '';
    await addApiKey(tsm.ports, ISSUER, { text, role, name, providerId });
    keys[name] = text;
  }
});

type Answer = { readonly status: number; readonly body: Record<string, unknown> };

async function call(
  method: 'GET' | 'POST',
  url: string,
  options: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { key, body, headers = {} } = options;
  const response = await app.inject({
    ...{ method, url },
    headers: { ...headers, ...(key ? { authorization: `Bearer ${key}` } : {}) },
    ...(body === undefined ? {} : { payload: body as object }),
  });
  return { status: response.statusCode, body: response.json() };
}

function newElement(serial: string): TestElement {
  return new TestElement(tsm.hsmContext, tsm.masterBlocks['factoryOpen'] ?? '', { serial });
}

describe('the door', () => {
  test('every route that needs a key refuses without one, with a wrong one, and by role', async () => {
    let refused = 0;
    for (const { method, path, roles } of ROUTES) {
      if (roles.length === 0) continue;
      const url = path.replace(/\{[a-zA-Z]+\}/g, 'x');
      for (const key of [undefined, 'tsmkey_0123456789012345678901234567']) {
        const { status, body } = await call(method, url, key ? { key } : {});
        assert.deepEqual([status, body['code']], [401, 'ERR_UNAUTHORIZED'], path);
      }
      for (const role of ['issuer', 'provider', 'auditor'] as const) {
        if (roles.includes(role)) continue;
        const { status, body } = await call(method, url, { key: keys[role], body: {} });
        if (body['code'] === 'ERR_REQUEST') continue;
        assert.deepEqual([status, body['code']], [403, 'ERR_ROLE'], `${role} ${path}`);
        refused++;
      }
    }
    assert.ok(refused >= 15, `${refused} refusals by role`);
  });

  test('a key that was revoked opens nothing, and an auditor changes nothing', async () => {
    const made = await call('POST', '/v1/keys', {
      key: keys.issuer,
      body: { role: 'auditor', name: 'short' },
    });
    assert.equal(made.status, 201);
    const key = String(made.body['key']);
    assert.equal((await call('GET', '/v1/jobs', { key })).status, 200);
    const id = keyIdOf(key);
    await call('POST', `/v1/keys/${id}/revoke`, { key: keys.issuer });
    assert.equal((await call('GET', '/v1/jobs', { key })).status, 401);
    const changing = ROUTES.filter(
      ({ method, id: name }) => method === 'POST' && name !== 'previewJob',
    );
    assert.ok(changing.every(({ roles }) => !roles.includes('auditor')));
  });

  test('a page of a browser, junk, long bodies and unknown members are refused', async () => {
    const key = keys.issuer;
    const headers = { origin: 'http://evil.example' };
    const page = await call('POST', '/v1/users', { key, headers, body: { id: 'a', name: 'b' } });
    assert.equal(page.body['code'], 'ERR_ROLE');
    const more = await call('POST', '/v1/users', { key, body: { id: 'a', name: 'b', x: 1 } });
    assert.equal(more.body['code'], 'ERR_REQUEST');
    assert.ok(!JSON.stringify(more.body).includes('"x"'), 'it quotes nothing');
    const junk = await app.inject({
      ...({ method: 'POST', url: '/v1/users', payload: '{"a":' } as const),
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    });
    assert.equal(junk.json().code, 'ERR_REQUEST');
    const long = { id: 'a', name: 'b'.repeat(HTTP_BODY_BYTES_MAX) };
    assert.equal((await call('POST', '/v1/users', { key, body: long })).status, 413);
    assert.equal((await call('GET', '/v1/nothing')).body['code'], 'ERR_NOT_FOUND');
    const contactOf = (body: unknown): Promise<Answer> =>
      call('POST', '/v1/elements/unknown/contact', { body });
    assert.equal((await contactOf({ type: 'hello' })).body['code'], 'ERR_TSM_ELEMENT_UNKNOWN');
    assert.equal((await contactOf({ type: 'shout' })).body['code'], 'ERR_REQUEST');
    assert.equal((await contactOf({ type: 'begin', contactId: '1' })).body['code'], 'ERR_REQUEST');
  });
});

test('certification, enrolment, lock and revocation over the interface', async () => {
  const element = newElement('00000000000000AA');
  const { serial } = element;
  const bytes = samplePackage();
  const body = {
    ...{ number: '1.0.0', hash: sha256(bytes) },
    packageBase64: Buffer.from(bytes).toString('base64'),
  };
  const versions = `/v1/applications/${APPLICATION.id}/versions`;
  const uploaded = await call('POST', versions, { key: keys.provider, body });
  assert.deepEqual([uploaded.status, uploaded.body['state']], [201, 'checked']);
  assert.deepEqual((await call('GET', '/v1/store/applications')).body['data'], []);
  const review = { isAccepted: true, note: 'read' };
  await call('POST', `${versions}/1.0.0/review`, { key: keys.reviewer, body: review });
  const released = await call('POST', `${versions}/1.0.0/release`, { key: keys.issuer });
  assert.equal(released.body['state'], 'released');
  const [offered] = (await call('GET', '/v1/store/applications')).body['data'] as object[];
  assert.deepEqual(offered, {
    ...{ applicationId: APPLICATION.id, provider: SAMPLE_PROVIDER.name },
    ...{ name: APPLICATION.name, summary: APPLICATION.summary },
    ...{ version: '1.0.0', loadFileHash: sha256(bytes), sizeBytes: bytes.length },
  });

  const { keyDiversificationData, attestationKeySpki } = element;
  const made = { serial, keyDiversificationData, attestationKeySpki };
  const registered = await call('POST', '/v1/elements', { key: keys.issuer, body: made });
  assert.equal(registered.status, 201, JSON.stringify(registered.body));
  assert.equal((await call('POST', '/v1/elements', { key: keys.issuer, body: made })).status, 409);
  const issue = { key: keys.issuer, body: { state: 'issued' } };
  assert.equal((await call('POST', `/v1/elements/${serial}/state`, issue)).status, 200);
  const enrol = { kind: 'enrol', applicationIds: [APPLICATION.id] };
  const preview = await call('POST', `/v1/elements/${serial}/preview`, {
    ...{ key: keys.auditor, body: enrol },
  });
  assert.equal((preview.body['steps'] as object[]).length, 11);
  const ask = { key: keys.issuer, body: enrol };
  const job = await call('POST', `/v1/elements/${serial}/jobs`, ask);
  assert.equal(job.status, 201);
  const overHttp = {
    take: async (name: string, request: object) => {
      const url = `/v1/elements/${name}/contact`;
      const { status, body: reply } = await call('POST', url, { body: request });
      assert.equal(status, 200, JSON.stringify(reply));
      return reply as never;
    },
  };
  const { jobs } = await contact(overHttp, element);
  assert.deepEqual(
    jobs.map(({ state }) => state),
    ['done'],
  );
  const detail = await call('GET', `/v1/elements/${serial}`, { key: keys.auditor });
  assert.equal(detail.body['state'], 'active');
  assert.equal(detail.body['cardState'], 'SECURED');
  const [placement] = detail.body['applications'] as Record<string, unknown>[];
  assert.deepEqual([placement?.['actual'], placement?.['drift']], ['operable', []]);
  const text = JSON.stringify(detail.body);
  for (const name of ['keyBlock', 'sentKeySets', 'factory', 'attestationKeySpki']) {
    assert.ok(!text.includes(name), name);
  }
  const done = await call('GET', `/v1/jobs/${job.body['id']}`, { key: keys.issuer });
  assert.equal((done.body['steps'] as object[]).length, 11);
  const cancel = await call('POST', `/v1/jobs/${job.body['id']}/cancel`, { key: keys.issuer });
  assert.equal(cancel.body['code'], 'ERR_TSM_JOB_STATE');

  const revoke = { key: keys.issuer, body: { reason: 'a fault' } };
  assert.equal((await call('POST', `${versions}/1.0.0/revoke`, revoke)).body['state'], 'revoked');
  const locked = await contact(overHttp, element);
  assert.deepEqual(
    locked.jobs.map(({ kind, state }) => [kind, state]),
    [['lock', 'done']],
  );
  const script = { key: keys.issuer, body: { kind: 'lock', applicationId: APPLICATION.id } };
  const nothing = await call('POST', `/v1/elements/${serial}/scripts`, script);
  assert.equal(nothing.body['code'], 'ERR_TSM_SCRIPT');
  const audit = await call('GET', '/v1/audit?limit=500', { key: keys.auditor });
  const actions = (audit.body['data'] as { action: string }[]).map(({ action }) => action);
  for (const action of ['version.release', 'job.create', 'job.done', 'version.revoke']) {
    assert.ok(actions.includes(action), action);
  }
});

test('only a laboratory takes an element by its own word', async () => {
  const { serial, keyDiversificationData, attestationKeySpki } = newElement('00000000000000CC');
  const body = { serial, keyDiversificationData, attestationKeySpki };
  const { status, body: said } = await call('POST', '/v1/announcements', { body });
  assert.deepEqual([status, said['code']], [403, 'ERR_ROLE']);
});

test('lists have pages', async () => {
  for (let index = 0; index < 5; index++) {
    const element = newElement(`00000000000001${index}0`);
    const { serial, keyDiversificationData, attestationKeySpki } = element;
    const body = { serial, keyDiversificationData, attestationKeySpki };
    assert.equal((await call('POST', '/v1/elements', { key: keys.issuer, body })).status, 201);
  }
  const seen: string[] = [];
  for (let url: string | null = '/v1/elements?limit=2'; url; ) {
    const page: Answer = await call('GET', url, { key: keys.auditor });
    seen.push(...(page.body['data'] as { serial: string }[]).map(({ serial }) => serial));
    const next = page.body['next'];
    url = next === null ? null : `/v1/elements?limit=2&after=${String(next)}`;
  }
  assert.ok(seen.length >= 5);
  assert.deepEqual(seen, seen.toSorted());
  const masters = await call('GET', '/v1/masters', { key: keys.auditor });
  assert.equal((masters.body['data'] as object[]).length, 5);
  assert.ok(!JSON.stringify(masters.body).includes('keyBlock'));
});

test('the committed document is the table of routes', async () => {
  const path = join(resolve(import.meta.dirname, '../../../..'), 'docs/openapi-tsm.json');
  const committed: unknown = JSON.parse(readFileSync(path, 'utf8'));
  assert.deepEqual(committed, JSON.parse(JSON.stringify(openApiDocument())));
  const { body } = await call('GET', OPENAPI_PATH);
  assert.deepEqual(body, committed);
  const ids = ROUTES.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});
