/**
 * `tapnpay switch` on a system's folder and database, beside no running switch: the BIN table by
 * command, days closed and their files, and the messages that wait for a person.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  daysBefore,
  type NewAdvice,
  openSwitchStore,
  readRoutes,
  routesPath,
  settlementDateOf,
  type Transaction,
  writeRoutes,
} from '@tapnpay/online/switch';
import { startTestDatabase } from '../../../online/src/runtime/test-database.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
const ISSUER = '62990000001';
const database = await startTestDatabase();
const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-switch-command-'));
after(async () => {
  await database?.close();
  rmSync(dataDir, { recursive: true });
});
mkdirSync(join(dataDir, 'switch'));
const databaseUrl = database?.url ?? 'postgres://127.0.0.1:1/none';
writeFileSync(join(dataDir, 'system.json'), JSON.stringify({ dataDir, databaseUrl }));
writeRoutes(routesPath(dataDir), [{ prefix: '629999', institutionId: ISSUER }]);

type Ran = { readonly exit: number; readonly text: string; readonly error: string };
function run(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const all = [MAIN, 'switch', ...args, '--data', dataDir];
    execFile(process.execPath, all, (fault, text, error) => {
      resolve({ exit: fault === null ? 0 : Number(fault.code), text, error });
    });
  });
}

test('routes are listed, added, changed and removed, and no bad table is written', async () => {
  const path = routesPath(dataDir);
  assert.equal((await run('routes', 'add', '62999977', '62990000002')).exit, 0);
  const changed = await run('routes', 'add', '62999977', '62990000003', '--json');
  assert.deepEqual(JSON.parse(changed.text).routes, [
    { prefix: '629999', institutionId: ISSUER },
    { prefix: '62999977', institutionId: '62990000003' },
  ]);
  assert.match((await run('routes')).text, /^629999 +62990000001\n62999977 +62990000003\n$/);
  const before = readFileSync(path, 'utf8');
  const bad = await run('routes', 'add', '62999x', ISSUER);
  assert.deepEqual([bad.exit, /prefix is 1 to 12 digits/.test(bad.error)], [1, true]);
  assert.equal((await run('routes', 'add', '62999977')).exit, 2);
  assert.equal((await run('routes', 'remove', '4')).exit, 2);
  assert.equal((await run('routes', 'drop')).exit, 2);
  assert.equal((await run('nothing')).exit, 2);
  assert.equal(readFileSync(path, 'utf8'), before);
  assert.equal((await run('routes', 'remove', '62999977')).exit, 0);
  assert.equal(readRoutes(path).length, 1);
  const last = await run('routes', 'remove', '629999');
  assert.deepEqual([last.exit, /no route/.test(last.error)], [1, true]);
});

const nowMs = Date.now();
const today = settlementDateOf(nowMs, 23 * 60);
const yesterday = daysBefore(today, 1);

function saleOf(changes: Partial<Transaction>): Transaction {
  return {
    ...{ transactionId: 't1', memberId: '49990000001', acquirerId: '49990000001' },
    ...{ stan: '000001', transmission: '0314092653', terminalId: 'TAP00001', kind: 'sale' },
    ...{ bodyDigest: 'AA', destination: ISSUER, retrievalReference: '607309000001' },
    ...{ merchantId: '898110000000001', amountMinor: 1234n, currency: '156' },
    ...{ panMasked: '629999******0017', sealedOriginal: null, originalId: null, endedBy: null },
    ...{ state: 'answered', responseCode: '00', approvalCode: 'A1B2C3', sealedAnswer: null },
    ...{ reason: null, lateResponseCode: null, settlementDate: yesterday, reversalDate: null },
    ...{ createdAtMs: nowMs, updatedAtMs: nowMs },
    ...changes,
  };
}

test('days are closed and their files proved; stuck messages are sent again', {
  skip: database === null,
}, async () => {
  const store = await openSwitchStore({ databaseUrl, schema: 'switch' });
  try {
    for (const settlementDate of [yesterday, today]) {
      await store.turnDay({ settlementDate, atMs: nowMs, cutOffs: [] });
    }
    const lost = saleOf({
      ...{ transactionId: 't2', stan: '000002', state: 'sent', responseCode: null },
    });
    await store.begin(saleOf({}));
    await store.begin(lost);
    const open = await run('close-day');
    assert.deepEqual([open.exit, /without an end/.test(open.error)], [1, true]);
    const notOver = await run('close-day', today);
    assert.deepEqual([notOver.exit, /not over/.test(notOver.error)], [1, true]);
    assert.equal((await run('close-day', '20260230')).exit, 2);
    const advice: NewAdvice = {
      ...{ adviceId: 'a1', kind: 'reversal', stan: '900001', transmission: '0314092655' },
      ...{ reason: 'noAnswer', settlementDate: yesterday, nextAtMs: nowMs },
    };
    await store.abandon({ transactionId: 't2', advice, atMs: nowMs });

    const closed = await run('close-day', '--json');
    assert.deepEqual(JSON.parse(closed.text), { closed: [yesterday] });
    assert.match((await run('close-day')).text, /no day to close/);
    const first = await run('files', yesterday, '--json');
    const { files } = JSON.parse(first.text);
    assert.deepEqual(
      files.map(({ role, records }: { role: string; records: number }) => [role, records]),
      [
        ['acquirer', 2],
        ['issuer', 2],
      ],
    );
    assert.deepEqual(files[0].sums, [
      { currency: '156', debitCount: 1, debitMinor: '1234', creditCount: 0, creditMinor: '0' },
    ]);
    assert.equal((await run('files', yesterday, '--json')).text, first.text);
    assert.match((await run('totals', yesterday)).text, /156 sale +debits 1 1234 .* refused 1\n/);
    writeFileSync(files[0].path, 'H,changed\n');
    const changed = await run('files', yesterday);
    assert.deepEqual([changed.exit, /differs from the books/.test(changed.error)], [1, true]);

    assert.match((await run('stuck')).text, /nothing is stuck/);
    await store.expireAdvices(today);
    assert.match((await run('stuck')).text, /^a1 +reversal to 62990000001 +trace 900001/);
    assert.equal((await run('retry', 'a2')).exit, 2);
    assert.equal((await run('retry', 'a1')).exit, 0);
    assert.match((await run('stuck')).text, /nothing is stuck/);
    const [again] = await store.advices();
    assert.deepEqual([again?.state, again?.settlementDate], ['open', today]);
  } finally {
    await store.close();
  }
});

test('without a system it says how to start one', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'tapnpay-no-system-'));
  const ran = await new Promise<string>((resolve) => {
    const args = [MAIN, 'switch', 'routes', '--data', empty];
    execFile(process.execPath, args, (_fault, _text, error) => resolve(error));
  });
  rmSync(empty, { recursive: true });
  assert.match(ran, /ERR_NO_SYSTEM/);
});
