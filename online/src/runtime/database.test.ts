/** Transactions, migrations and lost connections, against a real PostgreSQL. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { isRefusal, openDatabase } from './database.ts';
import { startTestDatabase, type TestDatabase } from './test-database.ts';

let server: TestDatabase | null = null;
const migrationsDir = mkdtempSync(join(tmpdir(), 'tapnpay-migrations-'));
before(async () => {
  server = await startTestDatabase();
});
after(async () => {
  await server?.close();
  rmSync(migrationsDir, { recursive: true, force: true });
});

function write(name: string, sql: string): void {
  writeFileSync(join(migrationsDir, name), sql);
}
const FIRST = `CREATE TABLE coins (id integer PRIMARY KEY, value bigint NOT NULL,
  twin integer UNIQUE DEFERRABLE INITIALLY DEFERRED);`;

test('bigint columns are bigint, the schema is the search path, two openers migrate once', async (t) => {
  if (!server) return t.skip('no database');
  write('001-coins.sql', FIRST);
  const options = { databaseUrl: server.url, schema: 'bank', migrationsDir };
  const [one, two] = await Promise.all([openDatabase(options), openDatabase(options)]);
  await one.transaction((client) =>
    client.query('INSERT INTO coins (id, value) VALUES (1, 9007199254740993)'),
  );
  const { rows } = await two.pool.query('SELECT value FROM bank.coins');
  assert.deepEqual(rows, [{ value: 9007199254740993n }]);
  assert.deepEqual(await pg.types.getTypeParser(20)('1'), '1', 'other pools are left alone');
  await Promise.all([one.close(), two.close()]);
});

test('what a transaction threw is undone, also a constraint that speaks at COMMIT', async (t) => {
  if (!server) return t.skip('no database');
  const options = { databaseUrl: server.url, schema: 'bank', migrationsDir };
  const { pool, transaction, close } = await openDatabase(options);
  await assert.rejects(
    transaction(async (client) => {
      await client.query('INSERT INTO coins (id, value) VALUES (2, 1)');
      throw new Error('changed my mind');
    }),
    /changed my mind/,
  );
  await assert.rejects(
    transaction((client) => client.query('INSERT INTO coins VALUES (3, 1, 5), (4, 1, 5)')),
    { code: '23505' },
  );
  await assert.rejects(
    transaction(async (client) => {
      await client.query('SELECT nothing').catch(() => undefined);
    }),
    /COMMIT was answered with ROLLBACK/,
  );
  const { rows } = await pool.query('SELECT id FROM coins WHERE id > 1');
  assert.deepEqual(rows, []);
  await close();
});

test('a deadlock runs a transaction again', async (t) => {
  if (!server) return t.skip('no database');
  const { pool, transaction, close } = await openDatabase({
    ...{ databaseUrl: server.url, schema: 'bank', migrationsDir },
  });
  await pool.query('INSERT INTO coins (id, value) VALUES (10, 0), (11, 0)');
  let runs = 0;
  let held = 0;
  let bothHold: () => void = () => undefined;
  const holding = new Promise<void>((resolve) => {
    bothHold = resolve;
  });
  const add = (first: number, second: number): Promise<void> =>
    transaction(async (client) => {
      runs += 1;
      await client.query('UPDATE coins SET value = value + 1 WHERE id = $1', [first]);
      held += 1;
      if (held >= 2) bothHold();
      await holding;
      await client.query('UPDATE coins SET value = value + 1 WHERE id = $1', [second]);
    });
  await Promise.all([add(10, 11), add(11, 10)]);
  const { rows } = await pool.query('SELECT value FROM coins WHERE id IN (10, 11)');
  assert.deepEqual(rows, [{ value: 2n }, { value: 2n }]);
  assert.ok(runs >= 3, `ran ${runs} times`);
  await close();
});

test('a connection lost at COMMIT is unknown, lost before it is an ordinary failure', async (t) => {
  if (!server) return t.skip('no database');
  const target = new URL(server.url);
  const serverPort = Number(target.port || 5432);
  const serverHost = target.hostname;
  let cutAt = '';
  const sockets: Socket[] = [];
  const proxy = createServer((near) => {
    const far = connect(serverPort, serverHost);
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('data', (chunk) => {
      far.write(chunk);
      if (cutAt !== '' && chunk.includes(cutAt)) near.destroy();
    });
    far.on('data', (chunk) => near.write(chunk));
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  t.after(() => {
    proxy.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  const address = proxy.address();
  target.hostname = '127.0.0.1';
  target.port = String(typeof address === 'object' && address ? address.port : 0);
  const { transaction, close } = await openDatabase({
    ...{ databaseUrl: target.href, schema: 'bank', migrationsDir },
  });
  cutAt = 'COMMIT';
  await assert.rejects(
    transaction((client) => client.query('INSERT INTO coins (id, value) VALUES (20, 1)')),
    { code: 'ERR_DATABASE_COMMIT_UNKNOWN' },
  );
  cutAt = 'INSERT';
  await assert.rejects(
    transaction((client) => client.query('INSERT INTO coins (id, value) VALUES (21, 1)')),
    (error: Error & { code?: string }) => error.code !== 'ERR_DATABASE_COMMIT_UNKNOWN',
  );
  await close();
});

test('a server that falls silent is a lost connection, for a step and for a COMMIT', async (t) => {
  if (!server) return t.skip('no database');
  const target = new URL(server.url);
  const serverPort = Number(target.port);
  let silentAt = '';
  const sockets: Socket[] = [];
  const proxy = createServer((near) => {
    const far = connect(serverPort, '127.0.0.1');
    sockets.push(near, far);
    let isSilent = false;
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('data', (chunk) => {
      isSilent ||= silentAt !== '' && chunk.includes(silentAt);
      far.write(chunk);
    });
    far.on('data', (chunk) => isSilent || near.write(chunk));
    near.on('close', () => far.destroy());
  });
  t.after(() => {
    proxy.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  const address = proxy.address();
  target.port = String(typeof address === 'object' && address ? address.port : 0);
  const { steps, pool, transaction, close } = await openDatabase({
    ...{ databaseUrl: target.href, schema: 'bank', migrationsDir, answerTimeoutMs: 1_500 },
  });
  const insert = 'INSERT INTO coins (id, value) VALUES ($1, 1)';
  silentAt = 'INSERT';
  await assert.rejects(steps.query(insert, [30]), (fault) => !isRefusal(fault));
  silentAt = 'COMMIT';
  await assert.rejects(
    transaction((client) => client.query(insert, [31])),
    { code: 'ERR_DATABASE_COMMIT_UNKNOWN' },
  );
  // Both had happened, and the next ones go by other connections.
  silentAt = '';
  const { rows } = await pool.query('SELECT id FROM coins WHERE id >= $1 ORDER BY id', [30]);
  assert.deepEqual(rows, [{ id: 30 }, { id: 31 }]);
  await steps.query(insert, [32]);
  await close();
});

test('migrations: an altered, a missing and a failing file are refused by name', async (t) => {
  if (!server) return t.skip('no database');
  const options = { databaseUrl: server.url, schema: 'bank', migrationsDir };
  const refused = (message: RegExp): Promise<void> =>
    assert.rejects(openDatabase(options), { code: 'ERR_DATABASE_MIGRATION', message });
  write('001-coins.sql', FIRST.replaceAll('\n', '\r\n'));
  await (await openDatabase(options)).close();
  write('001-coins.sql', `${FIRST} `);
  await refused(/001-coins.sql was changed/);
  write('001-coins.sql', FIRST);
  write('003-gap.sql', 'SELECT 1;');
  await refused(/003-gap.sql is not number 2/);
  rmSync(join(migrationsDir, '003-gap.sql'));
  write('002-bad.sql', 'CREATE TABLE half (id integer); CREATE TABEL oops ();');
  await refused(/002-bad.sql failed: syntax error/);
  write('002-bad.sql', 'CREATE TABLE half (id integer);');
  await (await openDatabase(options)).close();
  rmSync(join(migrationsDir, '002-bad.sql'));
  await refused(/002-bad.sql was applied by a newer version/);
});

test('a wrong URL is refused without its password', async () => {
  const databaseUrl = 'postgres://someone:sesame@127.0.0.1:1/nothing';
  await assert.rejects(
    openDatabase({ databaseUrl, schema: 'bank', migrationsDir }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ERR_DATABASE_CONNECT');
      assert.match(error.message, /127\.0\.0\.1:1\/nothing/);
      assert.doesNotMatch(error.message, /sesame/);
      return true;
    },
  );
});
