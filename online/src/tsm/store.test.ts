/**
 * The contract of `TsmStore`, shown in memory and on a real PostgreSQL: rows once, changes from the
 * version they were made of, lists in order, packages under their hash. What only a database can
 * refuse by itself follows.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { checkAuditLog } from '../runtime/index.ts';
import { startTestDatabase, type TestDatabase } from '../runtime/test-database.ts';
import { sha256 } from './jobs/commands.ts';
import type { Job, User } from './model.ts';
import { allRows, changeRow, needRow } from './rows.ts';
import type { TsmStore } from './store.ts';
import { MemoryTsmStore } from './store-memory.ts';
import { openTsmStore } from './store-postgres.ts';

let count = 0;
function user(changes: Partial<User> = {}): User {
  const id = `user-${String(++count).padStart(6, '0')}`;
  return { id, parent: '', state: 'active', version: 1, name: 'Ann 安', ...changes };
}

function job(parent: string, state: Job['state']): Job {
  return {
    ...{ id: `job-${String(++count).padStart(6, '0')}`, parent, state, version: 1 },
    ...{
      kind: 'lock',
      applicationIds: ['a'],
      actor: 'key',
      wantedBefore: [],
      steps: [],
      attempts: 0,
    },
    ...{ fault: null, createdAtMs: 1, endedAtMs: null },
  };
}

function contract(name: string, open: () => TsmStore | null): void {
  describe(name, () => {
    const store = (): TsmStore => {
      const found = open();
      assert.ok(found);
      return found;
    };

    test('a row is there once, and comes back as it was', async (context) => {
      if (!open()) return context.skip();
      const row = user();
      assert.ok(await store().insert('users', row));
      assert.ok(!(await store().insert('users', { ...row, name: 'other' })));
      assert.deepEqual(await store().find('users', row.id), row);
      assert.equal(await store().find('users', 'nobody'), null);
      assert.equal(await store().find('providers', row.id), null, 'tables are apart');
    });

    test('a change that was made of an older version is refused', async (context) => {
      if (!open()) return context.skip();
      const row = user();
      await store().insert('users', row);
      const next = { ...row, version: 2, name: 'Ben' };
      assert.ok(await store().update('users', next));
      assert.ok(!(await store().update('users', { ...row, version: 2, name: 'Cat' })));
      assert.ok(!(await store().update('users', { ...row, version: 4 })));
      assert.ok(!(await store().update('users', user({ version: 2 }))));
      assert.deepEqual(await store().find('users', row.id), next);
    });

    test('of many changes at once none is lost', async (context) => {
      if (!open()) return context.skip();
      const row = job('serial', 'waiting');
      await store().insert('jobs', row);
      await Promise.all(
        Array.from({ length: 5 }, () =>
          changeRow(store(), 'jobs', row.id, ({ attempts }) => ({ attempts: attempts + 1 })),
        ),
      );
      const { attempts, version } = await needRow(store(), 'jobs', row.id);
      assert.deepEqual([attempts, version], [5, 6]);
      await assert.rejects(
        changeRow(store(), 'jobs', 'none', () => ({})),
        { code: 'ERR_NOT_FOUND' },
      );
    });

    test('lists by parent and state, in order, page by page', async (context) => {
      if (!open()) return context.skip();
      const parent = `serial-${++count}`;
      const rows = [job(parent, 'waiting'), job(parent, 'done'), job(parent, 'waiting')];
      for (const row of [...rows].reverse()) await store().insert('jobs', row);
      await store().insert('jobs', job(`${parent}-other`, 'waiting'));
      const ids = (list: readonly Job[]): readonly string[] => list.map(({ id }) => id);
      assert.deepEqual(ids(await store().list('jobs', { parent })), ids(rows));
      const waiting = { parent, state: 'waiting' };
      assert.deepEqual(ids(await store().list('jobs', waiting)), [rows[0]?.id, rows[2]?.id]);
      const first = await store().list('jobs', { parent, limit: 2 });
      assert.deepEqual(ids(first), ids(rows.slice(0, 2)));
      const after = { parent, after: first[1]?.id };
      assert.deepEqual(ids(await store().list('jobs', after)), ids(rows.slice(2)));
      assert.deepEqual(ids(await allRows(store(), 'jobs', { parent })), ids(rows));
    });

    test('packages are kept under their hash, and stay', async (context) => {
      if (!open()) return context.skip();
      const bytes = Uint8Array.of(1, 2, 3, ++count);
      const hash = sha256(bytes);
      assert.equal(await store().package(hash), null);
      await store().putPackage(hash, bytes);
      await store().putPackage(hash, bytes);
      assert.deepEqual(await store().package(hash), bytes);
    });
  });
}

const memory = new MemoryTsmStore();
contract('in memory', () => memory);

let database: TestDatabase | null = null;
let opened: Awaited<ReturnType<typeof openTsmStore>> | null = null;
before(async () => {
  database = await startTestDatabase();
  if (database) opened = await openTsmStore({ databaseUrl: database.url, schema: 'tsm' });
});
after(async () => {
  await opened?.store.close();
  await database?.close();
});
contract('in PostgreSQL', () => opened?.store ?? null);

test('the database itself refuses a wrong state, another package and a changed audit log', async (context) => {
  if (!database || !opened) return context.skip();
  const client = new pg.Client(database.url);
  await client.connect();
  try {
    const run = (sql: string): Promise<unknown> => client.query(`SET search_path = tsm; ${sql}`);
    const body = `'{"id":"x","state":"asleep"}'`;
    await assert.rejects(run(`INSERT INTO users VALUES ('x', '', 'asleep', 1, ${body})`));
    await assert.rejects(run(`INSERT INTO users VALUES ('x', '', 'active', 1, ${body})`));
    const hash = '00'.repeat(32);
    await assert.rejects(run(`INSERT INTO packages VALUES ('${hash}', '\\x01')`));
    const entry = { atMs: 1, actor: 'a', action: 'b', subject: 'c', facts: {} };
    await opened.audit.append(entry);
    await assert.rejects(run(`UPDATE audit_log SET actor = 'z'`));
    await assert.rejects(run('DELETE FROM audit_log'));
    assert.equal((await checkAuditLog(opened.audit)).fault, null);
  } finally {
    await client.end();
  }
});
