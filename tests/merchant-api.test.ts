/**
 * Shows the merchant API of a real system: the operator's command makes a merchant and its keys, the
 * SDK works with them over the wire, and the audit chain is checked past the gateway.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PAY_ORDER_PATH } from '@tapnpay/protocol/wire';
import { ApiError, createClient, rows } from '@tapnpay/sdk';
import pg from 'pg';
import { TestSystem, tapnpay, temporaryDataDir } from './system.test-kit.ts';

const system = new TestSystem(temporaryDataDir());
before(() => system.up(), { timeout: 120_000 });
after(() => system.close());

const MERCHANT = '629990000000002';
const run = async (...args: readonly string[]) => {
  const result = await tapnpay([...args, '--data', system.dataDir, '--json']);
  const text = result.stdout.trim();
  return { code: result.code, stderr: result.stderr, json: text === '' ? null : JSON.parse(text) };
};
const clientOf = (apiKey: string) => createClient({ url: system.ready.gateway, apiKey });
const order = {
  merchantOrderNumber: 'N1',
  amount: '12.34',
  currency: '156',
  origin: 'https://a.b',
};

test('merchants add, key new, key revoke; wrong usage is exit 2, a refusal exit 1', async () => {
  const add = ['merchants', 'add', MERCHANT, '--name', 'Tea', '--name-zh', '茶馆'];
  const rest = ['--terminal', '62990002', '--category', '5812', '--location', 'TEA HOUSE'];
  assert.equal((await run(...add, ...rest)).json.merchantId, MERCHANT);
  const again = await run(...add.with(4, 'Coffee'), ...rest);
  assert.deepEqual([again.code, again.json.error.code], [1, 'ERR_MERCHANT_EXISTS']);
  assert.equal((await run(...add)).code, 2);
  assert.equal((await run('merchants', 'key', 'new', MERCHANT, '--role', 'king')).code, 2);
  const listed = await run('merchants');
  assert.equal(listed.json.length, 2, 'the lab’s own and this one');

  const made = await run('merchants', 'key', 'new', MERCHANT, '--role', 'merchant');
  const { apiKey, keyId } = made.json as { apiKey: string; keyId: string };
  const api = clientOf(apiKey);
  const first = await api.createOrder({ body: order, idempotencyKey: 'mine' });
  const repeated = await api.createOrder({ body: order, idempotencyKey: 'mine' });
  assert.deepEqual(repeated, first);
  await api.createOrder({ body: order });
  const seen: string[] = [];
  const list = (query: { cursor?: string }) => api.listOrders({ query: { ...query, limit: 1 } });
  for await (const row of rows(list)) seen.push(row.orderId);
  assert.equal(seen.length, 2);
  assert.ok(seen.includes(first.orderId));

  const page = await fetch(`${system.ready.gateway}${PAY_ORDER_PATH}/${first.orderId}`);
  const shown = (await page.json()) as { merchantName: string; terminalId: string };
  assert.deepEqual([shown.merchantName, shown.terminalId], ['Tea', '62990002']);
  const lab = JSON.parse(readFileSync(join(system.dataDir, 'gateway/merchant-key.json'), 'utf8'));
  await assert.rejects(
    clientOf(lab.apiKey).getOrder({ path: { orderId: first.orderId } }),
    (fault) => {
      return fault instanceof ApiError && fault.code === 'ERR_ORDER_NOT_FOUND';
    },
  );

  assert.equal((await run('merchants', 'key', 'revoke', keyId)).code, 0);
  await assert.rejects(api.listOrders(), { code: 'ERR_UNAUTHORIZED' });
  assert.equal((await run('merchants', 'key', 'revoke', '000000000000')).code, 1);
  const live = await run(
    'merchants',
    'key',
    'new',
    MERCHANT,
    '--role',
    'merchant',
    '--mode',
    'live',
  );
  assert.deepEqual([live.code, live.json.error.code], [1, 'ERR_LIVE_MODE']);
});

test('audit verify: whole, its head is kept; a record altered in the database is named', async () => {
  const whole = await run('audit', 'verify');
  assert.deepEqual([whole.code, whole.json.fault], [0, null]);
  const { seq, hash } = whole.json.head as { seq: number; hash: string };
  assert.ok(seq >= 10);
  const expect = ['--expect', `${seq}:${hash}`];
  assert.equal((await run('audit', 'verify', ...expect)).code, 0);
  assert.equal((await run('audit', 'verify', '--expect', 'x')).code, 2);
  const listed = await run('audit', 'list');
  assert.ok(JSON.stringify(listed.json).includes(MERCHANT));
  assert.ok(!JSON.stringify(listed.json).includes('tap_test_'));

  const client = new pg.Client({ connectionString: system.databaseUrl });
  await client.connect();
  await client.query('SET session_replication_role = replica');
  await client.query(`UPDATE gateway.audit_log SET actor = 'nobody' WHERE seq = 3`);
  const broken = await run('audit', 'verify', ...expect);
  assert.deepEqual([broken.code, broken.json.fault], [1, { seq: 3, why: 'hash' }]);
  await client.query(`UPDATE gateway.audit_log SET actor = $1 WHERE seq = 3`, [
    listed.json.find((record: { seq: number }) => record.seq === 3).actor,
  ]);
  await client.query('DELETE FROM gateway.audit_log WHERE seq = $1', [seq]);
  await client.end();
  assert.equal((await run('audit', 'verify')).code, 0, 'a shorter chain alone looks whole');
  const cut = await run('audit', 'verify', ...expect);
  assert.deepEqual([cut.code, cut.json.fault], [1, { seq, why: 'missing' }]);
});
