/**
 * Shows that the audit log is only added to, by one writer at a time, and that a record altered,
 * taken out or cut off by somebody who owns the database is found and named.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Database } from '../../runtime/index.ts';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { openGatewayDatabase } from '../store-postgres.ts';
import { AUDIT_GENESIS, type AuditRecord, ChainCheck, canonicalJson, nextRecord } from './chain.ts';
import { type AuditLog, checkAuditLog, MemoryAuditLog, PostgresAuditLog } from './log.ts';

const entry = (subject: string, facts: Readonly<Record<string, unknown>> = {}) => ({
  ...{ atMs: 1_800_000_000_000, actor: 'k1', action: 'key.new', subject, facts },
});

test('canonical JSON is one text for one value', () => {
  assert.equal(
    canonicalJson({ b: 1n, a: [{ d: null, c: 'ü' }] }),
    '{"a":[{"c":"ü","d":null}],"b":"1"}',
  );
  assert.equal(canonicalJson({ a: 1, b: 2 }), canonicalJson({ b: 2, a: 1 }));
});

test('each member of a record is under its hash', () => {
  const first = nextRecord(AUDIT_GENESIS, entry('m1', { a: 1 }));
  const second = nextRecord(first, entry('m2'));
  const changes: readonly Partial<AuditRecord>[] = [
    { atMs: 1 },
    { actor: 'k2' },
    { action: 'key.revoke' },
    { subject: 'm3' },
    { facts: '{"a":2}' },
    { hash: '0'.repeat(64) },
    { previousHash: '1'.repeat(64) },
    { seq: 2 },
  ];
  for (const change of changes) {
    const check = new ChainCheck();
    const fault = check.follow({ ...first, ...change }) ?? check.follow(second);
    assert.notEqual(fault, null, JSON.stringify(change));
  }
  const whole = new ChainCheck();
  assert.deepEqual([whole.follow(first), whole.follow(second), whole.end()], [null, null, null]);
});

test('a head that was noted earlier finds a tail cut off, or written anew', () => {
  const first = nextRecord(AUDIT_GENESIS, entry('m1'));
  const second = nextRecord(first, entry('m2'));
  const cut = new ChainCheck(second);
  assert.equal(cut.follow(first), null);
  assert.deepEqual(cut.end(), { seq: 2, why: 'missing' });
  const anew = new ChainCheck(second);
  assert.equal(anew.follow(first), null);
  assert.deepEqual(anew.follow(nextRecord(first, entry('other'))), { seq: 2, why: 'head' });
});

function contract(open: () => AuditLog | null): void {
  test('parallel writers make one chain; facts are masked; reading goes page by page', async (t) => {
    const log = open();
    if (!log) return t.skip();
    const pan = '6299990000000017';
    await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        log.append(entry(`m${n}`, { note: `card ${pan}`, pan })),
      ),
    );
    const report = await checkAuditLog(log);
    assert.deepEqual([report.fault, report.head.seq], [null, 30]);
    const page = await log.read(10, 5);
    assert.deepEqual(
      page.map(({ seq }) => seq),
      [11, 12, 13, 14, 15],
    );
    assert.ok(!JSON.stringify(await log.read(0, 100)).includes(pan));
    assert.equal(page[0]?.facts, '{"note":"card 629999******0017","pan":"[secret]"}');
  });
}

describe('memory', () => contract(() => new MemoryAuditLog()));

describe('embedded PostgreSQL', () => {
  let server: TestDatabase | null = null;
  let database: Database | null = null;
  before(async () => {
    server = await startTestDatabase();
    if (!server) return;
    database = await openGatewayDatabase({ databaseUrl: server.url, schema: 'gateway' });
  });
  after(async () => {
    await database?.close();
    await server?.close();
  });
  contract(() => database && new PostgresAuditLog(database));

  test('the database itself refuses to change, remove or empty records', async (t) => {
    if (!database) return t.skip();
    for (const sql of [
      `UPDATE audit_log SET actor = 'x' WHERE seq = 1`,
      'DELETE FROM audit_log WHERE seq = 1',
      'TRUNCATE audit_log',
    ]) {
      await assert.rejects(database.pool.query(sql), { code: '23514' }, sql);
    }
  });

  test('a superuser who alters a record is found at that record', async (t) => {
    if (!database) return t.skip();
    const log = new PostgresAuditLog(database);
    const noted = (await checkAuditLog(log)).head;
    const alter = async (sql: string): Promise<void> => {
      await database?.transaction(async (client) => {
        await client.query('SET LOCAL session_replication_role = replica');
        await client.query(sql);
      });
    };
    const faultOf = async (expected = noted) => (await checkAuditLog(log, expected)).fault;
    await alter(`UPDATE audit_log SET facts = '{"amount":"1"}' WHERE seq = 17`);
    assert.deepEqual(await faultOf(), { seq: 17, why: 'hash' });
    await alter('DELETE FROM audit_log WHERE seq = 17');
    assert.deepEqual(await faultOf(), { seq: 17, why: 'missing' });
    await alter('DELETE FROM audit_log WHERE seq >= 17');
    assert.deepEqual(await faultOf(AUDIT_GENESIS), null, 'a shorter chain alone looks whole');
    assert.deepEqual(await faultOf(), { seq: 17, why: 'missing' }, 'the noted head tells');
  });
});
