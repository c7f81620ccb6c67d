/** Shows a shop's process over a real database: password file, sample goods, an order, a restart. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { startTestDatabase } from '../runtime/test-database.ts';
import { startShop } from './start.ts';

test('wrong configuration is refused by field, without its values', async () => {
  const config = {
    databaseUrl: 'mysql://x',
    schema: 'shop',
    dataDir: '/nowhere',
    port: 0,
    publicUrl: 'ftp://x',
    gatewayUrl: 'http://127.0.0.1:1',
    merchant: { apiKey: 'secret with spaces', webhookSecret: 'x' },
    pagesDir: 'x',
  };
  await assert.rejects(startShop(config), (fault: Error & { code?: string }) => {
    assert.equal(fault.code, 'ERR_CONFIG');
    for (const field of ['databaseUrl', 'port', 'publicUrl', 'merchant.apiKey']) {
      assert.ok(fault.message.includes(field), field);
    }
    assert.ok(!fault.message.includes('secret with spaces'));
    return true;
  });
});

test('a shop starts, sells, and is the same one after a restart', async (context) => {
  const database = await startTestDatabase();
  if (!database) return context.skip('no database here');
  const closers: (() => unknown)[] = [() => database.close()];
  context.after(async () => {
    for (const close of closers.reverse()) await close();
  });
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-shop-'));
  closers.push(() => rmSync(dataDir, { recursive: true, force: true }));
  mkdirSync(join(dataDir, 'pages/assets'), { recursive: true });
  writeFileSync(join(dataDir, 'pages/index.html'), '<!doctype html>');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const logFile = join(dataDir, 'shop.log');
  const start = () =>
    startShop({
      databaseUrl: database.url,
      schema: 'shop',
      dataDir,
      port,
      publicUrl: url,
      gatewayUrl: 'http://127.0.0.1:1',
      merchant: { apiKey: 'lab_merchant_0123456789', webhookSecret: `whsec_${'A'.repeat(32)}` },
      pagesDir: join(dataDir, 'pages'),
      logFile,
    });
  const first = await start();
  assert.deepEqual(first.facts, { port, url });
  const file = join(dataDir, 'shop/admin-password');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const password = readFileSync(file, 'utf8').trim();
  assert.match(password, /^([0-9A-Z]{4}-){3}[0-9A-Z]{4}$/);
  const login = async (text: string) =>
    fetch(`${url}/api/admin/login`, {
      method: 'POST',
      headers: { origin: url, 'content-type': 'application/json' },
      body: JSON.stringify({ password: text }),
    });
  assert.equal((await login(password)).status, 204);
  assert.equal((await login('AAAA-AAAA-AAAA-AAAA')).status, 401);
  const list = (await (await fetch(`${url}/api/goods`)).json()) as { goods: unknown[] };
  assert.ok(list.goods.length >= 8 && list.goods.length <= 12);
  const ordered = await fetch(`${url}/api/orders`, {
    method: 'POST',
    headers: { origin: url, 'content-type': 'application/json' },
    body: JSON.stringify({
      idempotencyKey: 'the-key-of-this-test',
      items: [{ goodsId: 'umbrella', quantity: 3 }],
    }),
  });
  assert.equal(ordered.status, 503, 'no gateway here');
  await first.close();
  const second = await start();
  closers.push(() => second.close());
  assert.equal((await login(password)).status, 204, 'the password is the same');
  const again = (await (await fetch(`${url}/api/goods`)).json()) as {
    goods: { goodsId: string; stock: number }[];
  };
  assert.equal(again.goods.find(({ goodsId }) => goodsId === 'umbrella')?.stock, 0);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  closers.push(() => client.end());
  const { rows } = await client.query('SELECT password_hash AS hash FROM shop.merchant');
  assert.match(rows[0].hash, /^scrypt\$/);
  const kept = rows[0].hash + readFileSync(logFile, 'utf8');
  assert.ok(!kept.includes(password) && !kept.includes(password.replaceAll('-', '')));
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
