/** The embedded database: starts, survives kill -9 of its starter, refuses with clear words. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { RuntimeError } from './errors.ts';
import { unreachableFolder } from './postgres/user.ts';
import { startEmbeddedTestDatabase, type TestDatabase } from './test-database.ts';

let probe: TestDatabase | null = null;
before(async () => {
  probe = await startEmbeddedTestDatabase();
});
after(() => probe?.close());

function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'tapnpay-embedded-'));
}

async function query(url: string, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

test('durable settings: fsync and synchronous_commit are on, loopback only, UTF8', async (t) => {
  if (!probe) return t.skip('no embedded database');
  assert.equal(await query(probe.url, 'SHOW fsync'), 'on');
  assert.equal(await query(probe.url, 'SHOW synchronous_commit'), 'on');
  assert.equal(await query(probe.url, 'SHOW listen_addresses'), '127.0.0.1');
  assert.equal(await query(probe.url, 'SHOW unix_socket_directories'), '');
  assert.equal(await query(probe.url, 'SHOW server_encoding'), 'UTF8');
  const method = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules";
  assert.equal(await query(probe.url, method), 'scram-sha-256');
});

test('a wrong password is refused', async (t) => {
  if (!probe) return t.skip('no embedded database');
  const url = probe.url.replace(/:[0-9A-F]+@/, ':00@');
  await assert.rejects(query(url, 'SELECT 1'), /password authentication failed/);
});

test('a second start after kill -9 of the starter adopts the server and its data', async (t) => {
  if (!probe) return t.skip('no embedded database');
  const dataDir = temporaryFolder();
  const module = new URL('./embedded-postgres.ts', import.meta.url).href;
  const script = `const { startEmbeddedPostgres } = await import('${module}');
    const { pid, url } = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} });
    process.stdout.write(JSON.stringify({ pid, url }) + '\\n', () => process.kill(process.pid, 9));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk: Uint8Array) => {
    printed += String(chunk);
  });
  await new Promise((done) => child.once('close', done));
  const left = JSON.parse(printed) as { pid: number; url: string };
  await query(left.url, 'CREATE TABLE kept AS SELECT 7 AS n');
  const adopted = await startEmbeddedPostgres({ dataDir });
  assert.equal(adopted.pid, left.pid);
  await adopted.stop();
  await assert.rejects(query(left.url, 'SELECT 1'), /ECONNREFUSED/);

  // A lock file whose number belongs to another program is not believed.
  const lock = join(dataDir, 'postgres', 'cluster', 'postmaster.pid');
  writeFileSync(lock, `${process.pid}\n${dataDir}\n0\n1\n\n127.0.0.1\n\nready\n`);
  const again = await startEmbeddedPostgres({ dataDir });
  assert.equal(await query(again.url, 'SELECT n FROM kept'), 7);

  // Another wanted port: the running server is ended and started there.
  const moved = await startEmbeddedPostgres({ dataDir, port: await portNobodyUses() });
  assert.notEqual(moved.pid, again.pid);
  assert.equal(await query(moved.url, 'SELECT n FROM kept'), 7);

  // The server itself was killed: its data recovers.
  process.kill(moved.pid, 'SIGKILL');
  const recovered = await startEmbeddedPostgres({ dataDir });
  assert.equal(await query(recovered.url, 'SELECT n FROM kept'), 7);
  await recovered.stop();

  const version = join(dataDir, 'postgres', 'cluster', 'PG_VERSION');
  writeFileSync(version, '15\n');
  await assert.rejects(startEmbeddedPostgres({ dataDir }), {
    code: 'ERR_DATABASE_VERSION',
    message: /is of PostgreSQL 15/,
  });
  rmSync(dataDir, { recursive: true, force: true });
});

test('the password file is readable by its owner alone, and so is the cluster', async (t) => {
  if (!probe) return t.skip('no embedded database');
  const dataDir = temporaryFolder();
  const database = await startEmbeddedPostgres({ dataDir });
  const path = join(dataDir, 'postgres-password');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.ok(database.url.includes(readFileSync(path, 'utf8')));
  assert.equal(statSync(join(dataDir, 'postgres')).mode & 0o777, 0o700);
  await database.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('a wanted port that is taken is named', async (t) => {
  if (!probe) return t.skip('no embedded database');
  const dataDir = temporaryFolder();
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  await assert.rejects(startEmbeddedPostgres({ dataDir, port }), (error: RuntimeError) => {
    assert.equal(error.code, 'ERR_DATABASE_PORT');
    assert.deepEqual(error.data, { port });
    return true;
  });
  server.close();
  rmSync(dataDir, { recursive: true, force: true });
});

test('the folder that is closed to the database user is found', () => {
  const outer = temporaryFolder();
  const inner = join(outer, 'a', 'b');
  mkdirSync(inner, { recursive: true });
  const user = { name: 'other', uid: 54_321, gid: 54_321 };
  chmodSync(outer, 0o700);
  assert.equal(unreachableFolder(inner, user), outer);
  chmodSync(outer, 0o711);
  assert.equal(unreachableFolder(inner, user), null);
  chmodSync(join(outer, 'a'), 0o700);
  assert.equal(unreachableFolder(inner, user), join(outer, 'a'));
  rmSync(outer, { recursive: true, force: true });
});

async function portNobodyUses(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (typeof address !== 'object' || !address) throw new RuntimeError('ERR_DATABASE_PORT', 'none');
  return address.port;
}
