/**
 * Shows a settlement day of a real system by the operator's commands: taps of yesterday (the
 * parties' clocks are set back), the day closed at switch and gateway, the book verified, the files
 * reconciled clean, and an injected difference found, told, accepted with a note and kept in the
 * audit log; and that a risk rule stops a tap before anything is sent.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { DayFileWriter, openSwitchStore } from '../online/src/switch/index.ts';
import { TestSystem, tapnpay, temporaryDataDir } from './system.test-kit.ts';

const DAY_MS = 86_400_000;
const system = new TestSystem(temporaryDataDir());
before(
  async () => {
    await system.up();
    await setClocksBack();
  },
  { timeout: 180_000 },
);
after(() => system.close());

/** Roles are started again after a kill and read then how far their clocks are off. */
async function setClocksBack(): Promise<void> {
  const path = join(system.dataDir, 'system.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as object;
  const roles = ['issuer', 'switch', 'gateway'];
  const skewMs = Object.fromEntries(roles.map((role) => [role, -DAY_MS]));
  writeFileSync(path, JSON.stringify({ ...config, skewMs }));
  for (const role of roles) process.kill(system.processOf(role), 'SIGKILL');
  for (const until = Date.now() + 60_000; Date.now() < until; await pause(200)) {
    const health = await fetch(`${system.ready.gateway}/v1/health`).catch(() => null);
    if (health?.ok) return;
  }
  throw new Error(`the system did not come back:\n${system.logs()}`);
}

const run = async (...args: readonly string[]) => {
  const result = await tapnpay([...args, '--data', system.dataDir, '--json']);
  const text = result.stdout.trim();
  return { code: result.code, stderr: result.stderr, json: text === '' ? null : JSON.parse(text) };
};
const yesterday = new Date(Date.now() - DAY_MS + 9 * 3_600_000)
  .toISOString()
  .slice(0, 10)
  .replaceAll('-', '');

test('wrong usage is exit 2 with what to change, a day that is not over is exit 1', async () => {
  for (const args of [
    ['reconcile'],
    ['reconcile', '2026-03-14'],
    ['reconcile', 'close', 'x'],
    ['settle'],
    ['settle', 'close', '20260230'],
    ['settle', 'plan', 'short'],
    ['settle', 'plan', '629990000000001', '--basis-points', '10001'],
    ['ledger', 'burn'],
  ]) {
    assert.equal((await run(...args)).code, 2, args.join(' '));
  }
  const early = await run('settle', 'close', '29990101');
  assert.deepEqual([early.code, early.json.error.code], [1, 'ERR_SETTLEMENT_DAY']);
  const missing = await run('reconcile', yesterday);
  assert.deepEqual([missing.code, missing.json.error.code], [1, 'ERR_SETTLEMENT_FILE']);
});

test('taps of a day: closed at the switch and here, verified, reconciled clean', async () => {
  for (const args of [
    ['--amount', '12.34'],
    ['--amount', '20.00'],
    ['--amount', '1.00', '--interface', 'contactless'],
  ]) {
    const tap = await system.tap(...args);
    assert.equal(tap.outcome, 'approved', tap.reason ?? '');
  }
  const plan = await run('settle', 'plan', '629990000000001', '--basis-points', '38');
  assert.equal(plan.json.basisPoints, 38);
  const verified = await run('ledger', 'verify');
  assert.deepEqual([verified.code, verified.json.entries, verified.json.findings], [0, 6, []]);
  assert.equal((await run('switch', 'close-day', yesterday)).code, 0);
  const closed = await run('settle', 'close', yesterday);
  assert.equal(closed.code, 0, closed.stderr);
  const [batch] = closed.json.batches;
  assert.deepEqual(
    [batch.saleCount, batch.saleMinor, batch.feeMinor, batch.paidOutMinor],
    [3, '3334', '13', '3321'],
  );
  assert.deepEqual((await run('settle', 'close', yesterday)).json, closed.json);
  const report = await run('reconcile', yesterday);
  assert.deepEqual([report.code, report.json.open], [0, []], report.stderr);
  assert.equal(report.json.counts.matched, 3);
  const balances = await run('ledger', 'balances');
  const payable = balances.json.find((row: { account: string }) =>
    row.account.startsWith('merchant-payable'),
  );
  assert.equal(payable.balanceMinor, '0');
});

test('MUST SHOW: one cent more at the switch is found, accepted with a note, and audited', async () => {
  const store = await openSwitchStore({ databaseUrl: system.databaseUrl, schema: 'switch' });
  const query = { settlementDate: yesterday, after: null, limit: 100 };
  const [first, ...rest] = await store.listBookings(query);
  await store.close();
  assert.ok(first);
  const amountMinor = (first.of.amountMinor ?? 0n) + 1n;
  const role = 'acquirer' as const;
  const head = { settlementDate: yesterday, role, institutionId: first.of.memberId, switchId: '1' };
  const writer = new DayFileWriter(head);
  const bookings = [{ ...first, of: { ...first.of, amountMinor } }, ...rest];
  const text = writer.begin() + bookings.map((row) => writer.add(row)).join('') + writer.end().text;
  const folder = join(system.dataDir, 'switch', 'files', yesterday);
  writeFileSync(join(folder, `acquirer-${first.of.memberId}.csv`), text);

  const found = await run('reconcile', yesterday);
  assert.equal(found.code, 1);
  assert.deepEqual(
    found.json.open.map((row: { class: string; source: string }) => [row.class, row.source]),
    [['amount_mismatch', 'switch']],
  );
  assert.equal((await run('reconcile', yesterday)).json.changes.opened.length, 0);
  const items = await run('reconcile', 'items');
  assert.equal(items.json.length, 1);
  const [{ itemId }] = items.json;
  assert.equal((await run('reconcile', 'close', 'none', '--note', 'x')).code, 2);
  const closed = await run('reconcile', 'close', itemId, '--note', 'the switch will correct it');
  assert.equal(closed.code, 0, closed.stderr);
  const accepted = await run('reconcile', yesterday);
  assert.deepEqual([accepted.code, accepted.json.accepted.length], [0, 1]);
  const audit = await run('audit', 'verify');
  assert.deepEqual([audit.code, audit.json.fault], [0, null]);
  const records = JSON.stringify((await run('audit', 'list')).json);
  for (const word of [
    'workItem.open',
    'workItem.close',
    'the switch will correct it',
    'feePlan.set',
  ]) {
    assert.ok(records.includes(word), word);
  }
});

test('a risk rule stops a tap before anything is sent; without the rule it pays', async () => {
  const rules = join(system.dataDir, 'gateway', 'risk.json');
  writeFileSync(rules, JSON.stringify({ hot: { bins: ['629999'] } }));
  await pause(2_500);
  const refused = await system.tap('--amount', '5.00');
  assert.notEqual(refused.outcome, 'approved');
  assert.equal(refused.paymentId, null);
  assert.match(`${refused.reason}`, /ERR_RISK_REFUSED/);
  writeFileSync(rules, '{}');
  await pause(2_500);
  assert.equal((await system.tap('--amount', '5.00')).outcome, 'approved');
});
