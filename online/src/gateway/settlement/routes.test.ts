/**
 * Shows what merchants read of their settlement and operators of the back office over HTTP, each
 * answer as the committed document has it; strangers and wrong roles see nothing.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { START_MS, TEST_PAN, testRandom } from '../gateway.test-kit.ts';
import { buildHttp } from '../http/api.ts';
import { testHttpPorts } from '../http/http.test-kit.ts';
import { assertDocumented } from '../http/openapi/conformance.test-kit.ts';
import { type MerchantKeys, openMerchantKeys } from '../merchant-keys.ts';
import { paidOrder, wish } from '../operations/operations.test-kit.ts';
import { cutOffAtMs, daysAfter } from '../settlement-date.ts';
import { BackOffice, rulesPath, settlementFolder } from './back-office.ts';
import { CLOSE_AFTER_MS, statementPath } from './close.ts';
import { type OfficeWorld, officeWorld, TEST_MERCHANT } from './settlement.test-kit.ts';

const DAY = '20260314';
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-office-routes-'));
let server: TestDatabase | null = null;
let world: OfficeWorld;
let office: BackOffice;
let app: FastifyInstance;
let keys: MerchantKeys;
let log: Record<string, unknown>[] = [];

before(async () => {
  server = await startTestDatabase();
  if (!server) return;
  world = await officeWorld(server.url, 'gateway');
  keys = openMerchantKeys(join(dataDir, 'gateway'), TEST_MERCHANT, testRandom(4));
  const note = (record: Record<string, unknown>): void => void log.push(record);
  const partyLog = { info: note, error: note, debug: note, warn: note } as never;
  const { database, clock } = world;
  office = new BackOffice({ database, clock, random: testRandom(6), dataDir, log: partyLog });
  await office.start();
  app = buildHttp({ ...testHttpPorts(world, { keys, dataDir }), office });
});
after(async () => {
  await app?.close();
  await world?.close();
  await server?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

function step(title: string, check: () => Promise<void>): void {
  test(title, (context) => (server ? check() : context.skip('no database here')));
}

async function call(
  method: 'GET' | 'POST',
  url: string,
  given: { readonly key?: string; readonly body?: object; readonly once?: string } = {},
) {
  const { key = keys.apiKey, body, once = `key-${Math.random()}` } = given;
  const answer = await app.inject({
    method,
    url,
    headers: { authorization: `Bearer ${key}`, 'idempotency-key': once },
    ...(body && { payload: body }),
  });
  const json = answer.json();
  const contentType = String(answer.headers['content-type']);
  assertDocumented({ method, url, status: answer.statusCode, contentType, json });
  return { status: answer.statusCode, json };
}

step(
  'a closed day is read by its merchant: sums, paging by day, the hash of the file',
  async () => {
    const { core, turnTo } = world;
    const sale = await paidOrder(world, { amount: '100.00' });
    await paidOrder(world, { amount: '500', currency: '392' });
    assert.deepEqual((await call('GET', '/v1/settlements')).json, { data: [], nextCursor: null });
    const early = await call('GET', `/v1/settlements/${DAY}`);
    assert.deepEqual([early.status, early.json.code], [404, 'ERR_SETTLEMENT_NOT_FOUND']);
    turnTo(cutOffAtMs(DAY));
    await core.operate(wish('refund', sale.paymentId, { amount: '50.00' }));
    turnTo(cutOffAtMs(DAY) + CLOSE_AFTER_MS);
    await office.tick();
    turnTo(cutOffAtMs(daysAfter(DAY, 1)) + CLOSE_AFTER_MS);
    await office.tick();
    const all = await call('GET', '/v1/settlements');
    assert.deepEqual(
      all.json.data.map((row: Record<string, unknown>) => [row['settlementDate'], row['currency']]),
      [
        ['20260315', '156'],
        ['20260314', '156'],
        ['20260314', '392'],
      ],
    );
    assert.deepEqual(all.json.data[0], {
      ...{ settlementDate: '20260315', currency: '156', saleCount: 0, saleMinor: '0' },
      ...{ returnCount: 1, returnMinor: '5000', feeMinor: '-30', broughtMinor: '0' },
      ...{ paidOutMinor: '0', carriedMinor: '-4970' },
    });
    const first = await call('GET', '/v1/settlements?limit=1');
    assert.deepEqual([first.json.data.length, first.json.nextCursor], [1, '20260315']);
    const second = await call('GET', '/v1/settlements?limit=1&cursor=20260315');
    assert.deepEqual([second.json.data.length, second.json.nextCursor], [2, '20260314']);
    const last = await call('GET', '/v1/settlements?limit=1&cursor=20260314');
    assert.deepEqual(last.json, { data: [], nextCursor: null });
    const day = await call('GET', `/v1/settlements/${DAY}`);
    const owner = { settlementDate: DAY, merchantId: TEST_MERCHANT, mode: 'test' } as const;
    const fact = await world.settlement.findStatement(owner);
    assert.deepEqual(day.json.statement, { records: 2, sha256: fact?.sha256 });
    assert.equal(
      dirname(dirname(statementPath(settlementFolder(dataDir), owner))),
      settlementFolder(dataDir),
    );
  },
);

step('wrong cursors, days and keys are refused by code', async () => {
  for (const [url, status, code] of [
    ['/v1/settlements?cursor=abc', 400, 'ERR_CURSOR'],
    ['/v1/settlements?limit=0', 400, 'ERR_REQUEST'],
    ['/v1/settlements/2026-03-14', 400, 'ERR_REQUEST'],
    ['/v1/settlements/20260101', 404, 'ERR_SETTLEMENT_NOT_FOUND'],
  ] as const) {
    const refused = await call('GET', url);
    assert.deepEqual([refused.status, refused.json.code], [status, code], url);
  }
  const operator = await call('GET', '/v1/settlements', { key: keys.operatorKey });
  assert.deepEqual([operator.status, operator.json.code], [403, 'ERR_ROLE']);
  const merchant = await call('GET', '/v1/risk-refusals');
  assert.deepEqual([merchant.status, merchant.json.code], [403, 'ERR_ROLE']);
  const stranger = await call('GET', '/v1/settlements', { key: 'tap_test_nobody' });
  assert.equal(stranger.status, 401);
});

step('an operator closes a work item once, with a note that is in the audit log', async () => {
  const key = keys.operatorKey;
  await world.store.openWorkItem({
    ...{ itemId: 'item-1', kind: 'reconciliation', subjectId: 'a/b' },
    ...{ facts: { class: 'duplicate' }, openedAtMs: START_MS },
  });
  const url = '/v1/work-items/item-1/close';
  const silent = await call('POST', url, { key, body: { note: '' } });
  assert.deepEqual([silent.status, silent.json.code], [400, 'ERR_REQUEST']);
  const asMerchant = await call('POST', url, { body: { note: 'mine' } });
  assert.equal(asMerchant.status, 403);
  const body = { note: 'double confirmed by the switch' };
  const closed = await call('POST', url, { key, body, once: 'close-1' });
  assert.deepEqual([closed.status, closed.json.note], [200, body.note]);
  assert.match(closed.json.closedBy, /^[0-9a-f]{12}$/);
  const repeated = await call('POST', url, { key, body, once: 'close-1' });
  assert.deepEqual(repeated.json, closed.json);
  const again = await call('POST', url, { key, body });
  assert.deepEqual([again.status, again.json.code], [404, 'ERR_WORK_ITEM_NOT_FOUND']);
  assert.deepEqual((await call('GET', '/v1/work-items', { key })).json, { data: [] });
});

step('rules are read again when their file changes; a wrong file leaves the old ones', async () => {
  const write = (rules: string): void => writeFileSync(rulesPath(dataDir), rules);
  const assess = () =>
    office.engine.assess({
      ...{ orderId: 'O1', merchantId: TEST_MERCHANT, mode: 'test', elementId: 'E1' },
      ...{ cardDigest: 'AB'.repeat(32), bin: TEST_PAN.slice(0, 8) },
      ...{ panMasked: '629999******0017', amountMinor: 100n, currency: '156' },
    });
  assert.equal((await assess()).decision, 'allowed');
  write(JSON.stringify({ hot: { bins: ['629999'] } }));
  await office.tick();
  assert.equal((await assess()).rule, 'hot-bin');
  log = [];
  write('{"hot": 5}');
  await office.tick();
  await office.tick();
  const told = log.filter(({ event }) => event === 'backOfficeFailed');
  assert.deepEqual(
    told.map(({ part, code }) => [part, code]),
    [['rules', 'ERR_RISK_RULES']],
  );
  assert.equal((await assess()).rule, 'hot-bin');
  await office.stop();
  const refused = await call('GET', '/v1/risk-refusals', { key: keys.operatorKey });
  assert.equal(refused.json.data.length, 2);
  assert.deepEqual(refused.json.data[0].facts, { bin: '629999' });
  assert.ok(!JSON.stringify(refused.json).includes(TEST_PAN));
});
