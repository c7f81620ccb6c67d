/**
 * Shows a day of real books: payments through the gateway and the real switch, both on PostgreSQL,
 * the switch's own file of the day, settlement and statements; reconciled clean, then with injected
 * differences, each found by its class as a work item, with audit, and closed when it is gone.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { DayFileWriter } from '../../switch/day-file.ts';
import { writeDayFiles } from '../../switch/day-folder.ts';
import { Calendar, closeDay } from '../../switch/days.ts';
import type { Booking } from '../../switch/model.ts';
import { openSwitchStore, type PostgresSwitchStore } from '../../switch/store-postgres.ts';
import {
  approving,
  GATEWAY,
  GATEWAY_KEYS,
  issuerReply,
  signed,
  type TestSwitch,
  testSwitch,
} from '../../switch/switch.test-kit.ts';
import { MemoryAuditLog } from '../audit/log.ts';
import { START_MS, TEST_LINE_KEYS, TestHsm, testRandom } from '../gateway.test-kit.ts';
import { heldOrder, paidOrder, pass, wish } from '../operations/operations.test-kit.ts';
import { withMac } from '../payment/messages.ts';
import { closeSettlementDay, statementPath } from '../settlement/close.ts';
import { trailerLine } from '../settlement/csv.ts';
import { type OfficeWorld, officeWorld, TEST_MERCHANT } from '../settlement/settlement.test-kit.ts';
import { cutOffAtMs, daysAfter } from '../settlement-date.ts';
import { type ReconciliationPorts, type ReconciliationReport, reconcile } from './run.ts';
import { ReconciliationStore } from './store.ts';

const DAY = '20260314';
const DAY_MS = 86_400_000;

let server: TestDatabase | null = null;
let world: OfficeWorld;
let cups: TestSwitch;
let cupsStore: PostgresSwitchStore;
let ports: ReconciliationPorts & { readonly audit: MemoryAuditLog };

before(async () => {
  server = await startTestDatabase();
  if (!server) return;
  world = await officeWorld(server.url, 'gateway');
  cupsStore = await openSwitchStore({ databaseUrl: server.url, schema: 'switch' });
  cups = testSwitch({ store: cupsStore });
  // The same messages as over the line, under the other kit's MAC keys.
  world.line.script = async (message) => {
    cups.clock.set(world.clock.nowMs());
    await calendar.turn();
    const answer = await cups.core.handle(GATEWAY, signed(GATEWAY_KEYS.mac, message));
    if (answer === null) return 'timeout';
    return withMac(new TestHsm(), TEST_LINE_KEYS.mac, answer);
  };
  const calendar = new Calendar(cups.ports);
  ports = {
    store: new ReconciliationStore(world.database),
    audit: new MemoryAuditLog(),
    clock: world.clock,
    random: testRandom(99),
    acquirerId: GATEWAY,
    switchFolder: join(dirname(world.closing.folder), 'switch-files'),
    statementFolder: world.closing.folder,
  };
});
after(async () => {
  await cupsStore?.close();
  await world?.close();
  await server?.close();
});

/** Tests that follow one another over the same day. */
function step(title: string, check: () => Promise<void>): void {
  test(title, (context) => (server ? check() : context.skip('no database here')));
}

const run = (settlementDate = DAY, statements?: readonly string[]) =>
  reconcile(ports, { settlementDate, actor: 'tests', statements });
const openItems = async () =>
  (await world.core.workItems()).filter(({ kind }) => kind === 'reconciliation');
const classes = ({ open }: ReconciliationReport): readonly string[] =>
  open.map(({ source, class: of }) => `${source} ${of}`);
const filePath = (settlementDate = DAY): string =>
  join(ports.switchFolder, settlementDate, `acquirer-${GATEWAY}.csv`);

/** The switch closes a day and writes its files with the program that does so in service. */
async function switchDay(settlementDate: string): Promise<void> {
  cups.clock.set(world.clock.nowMs());
  assert.equal(await closeDay(cups.ports, settlementDate), 'closed');
  const folder = { store: cupsStore, folder: ports.switchFolder, switchId: '00010000000' };
  await writeDayFiles(folder, settlementDate);
}

/** The day's file written anew from other bookings, whole and with a right hash. */
async function writtenAnew(
  change: (bookings: readonly Booking[]) => readonly Booking[],
): Promise<void> {
  const query = { settlementDate: DAY, after: null, limit: 1_000 };
  const bookings = change(await cupsStore.listBookings(query));
  const head = { settlementDate: DAY, role: 'acquirer', institutionId: GATEWAY } as const;
  const writer = new DayFileWriter({ ...head, switchId: '00010000000' });
  const text = writer.begin() + bookings.map((row) => writer.add(row)).join('');
  writeFileSync(filePath(), text + writer.end().text);
}

function changed(
  bookings: readonly Booking[],
  place: number,
  of: Partial<Booking['of']>,
): readonly Booking[] {
  const row = bookings[place];
  assert.ok(row);
  return bookings.with(place, { ...row, of: { ...row.of, ...of } });
}

step('a day with every kind of transaction, a storm included, reconciles clean', async () => {
  const { core, turnTo, closing } = world;
  for (const amount of ['10.00', '20.00', '30.00']) await paidOrder(world, { amount });
  await paidOrder(world, { amount: '0.01', interface: 'contactless' });
  await paidOrder(world, { amount: '5000', currency: '392' });
  const refunded = await paidOrder(world, { amount: '40.00' });
  await core.operate(wish('refund', refunded.paymentId, { amount: '1.50' }));
  await core.operate(wish('refund', refunded.paymentId, { amount: '2.50' }));
  const voided = await paidOrder(world, { amount: '50.00' });
  await core.operate(wish('void', voided.paymentId));
  const held = await heldOrder(world, { amount: '60.00' });
  await core.operate(wish('capture', held.paymentId, { amount: '55.55' }));
  const released = await heldOrder(world, { amount: '70.00' });
  await core.operate(wish('void', released.paymentId));
  // Declined at the issuer, and one whose answer is lost and that is reversed.
  cups.lines.script = (message) => issuerReply(message, '51');
  await paidOrder(world, { amount: '80.00', interface: 'contactless' });
  cups.lines.script = approving;
  const { script } = world.line;
  world.line.script = async (message) => {
    await script(message);
    return 'timeout' as const;
  };
  const lost = await paidOrder(world, { amount: '90.00', interface: 'contactless' });
  world.line.script = script;
  await pass(world, 60_000, 2);
  assert.equal((await core.payment(lost.paymentId)).payment.state, 'reversed');
  turnTo(cutOffAtMs(DAY));
  await paidOrder(world, { amount: '99.00' });
  await switchDay(DAY);
  await closeSettlementDay(closing, DAY);
  const report = await run();
  assert.deepEqual(classes(report), []);
  assert.deepEqual(report.counts, {
    ...{ matched: 11, missing_local: 0, missing_switch: 0, missing_merchant: 0 },
    ...{ amount_mismatch: 0, currency_mismatch: 0, status_mismatch: 0, duplicate: 0 },
  });
  assert.deepEqual(await openItems(), []);
});

step('I8: the sums of the batch are those of the switch’s file', async () => {
  const text = readFileSync(filePath(), 'utf8');
  const batches = await world.settlement.batchesOfDay(DAY);
  const sums = text.split('\n').filter((line) => line.startsWith('S,'));
  assert.deepEqual(
    sums.map((line) => line.split(',').slice(1)).map(([of, , , , , net]) => [of, net]),
    // The reversed sale stands on both sides of the file.
    batches.map((row) => [row.currency, String(row.saleMinor - row.returnMinor)]),
  );
});

step('MUST SHOW: a dropped line, one cent, another currency, a double, a stranger', async () => {
  const sales = (rows: readonly Booking[]): readonly number[] =>
    rows.flatMap(({ leg, of }, place) =>
      leg === 'original' &&
      of.kind === 'sale' &&
      of.state === 'answered' &&
      of.responseCode === '00'
        ? [place]
        : [],
    );
  for (const [change, expected] of [
    [(rows) => rows.toSpliced(sales(rows)[0] ?? 0, 1), ['switch missing_switch']],
    [
      (rows) => {
        const place = sales(rows)[1] ?? 0;
        return changed(rows, place, { amountMinor: (rows[place]?.of.amountMinor ?? 0n) + 1n });
      },
      ['switch amount_mismatch'],
    ],
    [
      (rows) => changed(rows, sales(rows)[2] ?? 0, { currency: '840' }),
      ['switch currency_mismatch'],
    ],
    [
      (rows) => {
        const place = sales(rows)[0] ?? 0;
        const row = rows[place];
        return row ? rows.toSpliced(place, 0, row) : rows;
      },
      ['switch duplicate'],
    ],
    [
      (rows) => {
        const row = rows[sales(rows)[0] ?? 0];
        return row ? [...rows, { ...row, of: { ...row.of, stan: '999999' } }] : rows;
      },
      ['switch missing_local'],
    ],
    [
      (rows) => changed(rows, sales(rows)[0] ?? 0, { responseCode: '96' }),
      ['switch status_mismatch'],
    ],
  ] satisfies readonly [(rows: readonly Booking[]) => readonly Booking[], readonly string[]][]) {
    await writtenAnew(change);
    const report = await run();
    assert.deepEqual(classes(report), expected);
    const items = await openItems();
    assert.equal(items.length, 1);
    assert.equal(`${items[0]?.facts['source']} ${items[0]?.facts['class']}`, expected[0]);
    assert.deepEqual((await run()).changes, { opened: [], closed: [], accepted: [] });
    assert.equal((await openItems())[0]?.itemId, items[0]?.itemId, 'a rerun changes nothing');
  }
  await writtenAnew((rows) => rows);
  const clean = await run();
  assert.equal(clean.changes.closed.length, 1);
  assert.deepEqual([classes(clean), await openItems()], [[], []]);
});

step('what happened is in the audit log, named by its subject', async () => {
  const actions = ports.audit.records.map(({ action }) => action);
  assert.equal(actions.filter((action) => action === 'workItem.open').length, 6);
  assert.equal(actions.filter((action) => action === 'workItem.settled').length, 6);
  const opened = ports.audit.records.find(({ action }) => action === 'workItem.open');
  assert.match(opened?.facts ?? '', /20260314\/switch\/missing_switch\/0314[0-9]{6}\/[0-9]{6}/);
  const { rows } = await world.database.pool.query(
    `SELECT counts ->> 'missing_local' AS strangers FROM reconciliations ORDER BY run_id`,
  );
  assert.equal(rows.filter(({ strangers }) => strangers === '1').length, 2);
});

step(
  'the merchants’ side: a line left out, one cent, a line too many, a foreign copy',
  async () => {
    const owner = { settlementDate: DAY, merchantId: TEST_MERCHANT, mode: 'test' } as const;
    const path = statementPath(ports.statementFolder, owner);
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -2);
    const copy = (changedLines: readonly string[]): string => {
      const body = changedLines.map((line) => `${line}\n`).join('');
      const records = changedLines.filter((line) => line.startsWith('D,')).length;
      const copied = join(ports.switchFolder, 'copy.csv');
      writeFileSync(copied, body + trailerLine(body, records));
      return copied;
    };
    const place = lines.findIndex(
      (line) => line.startsWith('D,sale') && line.includes(',156,1000,'),
    );
    const line = lines[place] ?? '';
    const stranger = line.replace(/,[0-9]{10},/, ',0314000000,');
    for (const [changedLines, expected] of [
      [lines, []],
      [lines.toSpliced(place, 1), ['merchant missing_merchant']],
      [lines.with(place, line.replace(',1000,', ',1001,')), ['merchant amount_mismatch']],
      [lines.with(place, line.replace(',156,', ',840,')), ['merchant currency_mismatch']],
      [lines.with(place, line.replace(',1000,', ',-1000,')), ['merchant status_mismatch']],
      [lines.toSpliced(place, 0, line), ['merchant duplicate']],
      [lines.toSpliced(place, 0, stranger), ['merchant missing_local']],
    ] as const) {
      assert.deepEqual(classes(await run(DAY, [copy(changedLines)])), expected);
    }
    await run();
    assert.deepEqual(await openItems(), []);
  },
);

step('a difference that a person accepted with a note stays accepted', async () => {
  await writtenAnew((rows) => rows.toSpliced(0, 1));
  await run();
  const [item] = await openItems();
  assert.ok(item);
  const by = { atMs: START_MS, by: 'operator-1', note: 'the switch confirmed it by letter' };
  const closed = await world.store.closeWorkItemByHand(item.itemId, by);
  assert.deepEqual([closed?.closedBy, closed?.note], ['operator-1', by.note]);
  assert.equal(await world.store.closeWorkItemByHand(item.itemId, by), null, 'once');
  assert.equal(await world.store.closeWorkItemByHand('none', by), null);
  const report = await run();
  assert.deepEqual([report.open.length, report.accepted.length], [0, 1]);
  assert.deepEqual(await openItems(), []);
  await writtenAnew((rows) => rows);
});

step('a reversal after the cut-off: a difference until the next day’s file is there', async () => {
  const { turnTo, closing, core } = world;
  const next = daysAfter(DAY, 1);
  turnTo(cutOffAtMs(next) - 30_000);
  const { script } = world.line;
  world.line.script = async (message) => {
    if (message.mti.startsWith('042')) return 'timeout' as const;
    await script(message);
    return 'timeout' as const;
  };
  const late = await paidOrder(world, { amount: '12.00', interface: 'contactless' });
  turnTo(cutOffAtMs(next) + 60_000);
  world.line.script = script;
  await pass(world, 60_000, 3);
  assert.equal((await core.payment(late.paymentId)).payment.state, 'reversed');
  await switchDay(next);
  await closeSettlementDay(closing, next);
  assert.deepEqual(classes(await run(next)), ['switch status_mismatch']);
  turnTo(cutOffAtMs(next) + DAY_MS);
  await switchDay(daysAfter(next, 1));
  await closeSettlementDay(closing, daysAfter(next, 1));
  const cleared = await run(next);
  assert.deepEqual([classes(cleared), cleared.changes.closed.length], [[], 1]);
  assert.deepEqual(classes(await run(daysAfter(next, 1))), []);
});

step('files that are damaged, of another day or missing are refused, not compared', async () => {
  const runs = async (): Promise<number> => {
    const { rows } = await world.database.pool.query(
      'SELECT count(*)::int AS count FROM reconciliations',
    );
    return rows[0].count;
  };
  const before_ = await runs();
  const whole = readFileSync(filePath(), 'utf8');
  for (const [text, why] of [
    [whole.replace(',debit,', ',credit,'), /another hash/],
    [whole.replace(/^D.*\n/m, ''), /another hash/],
    [whole.slice(0, whole.length / 2), /whole line|trailer/],
    [readFileSync(filePath(daysAfter(DAY, 1)), 'utf8'), /is of day 20260315/],
    ['', /trailer/],
  ] as const) {
    writeFileSync(filePath(), text);
    await assert.rejects(run(), { code: 'ERR_SETTLEMENT_FILE', message: why });
  }
  rmSync(filePath());
  await assert.rejects(run(), { code: 'ERR_SETTLEMENT_FILE', message: /missing/ });
  mkdirSync(dirname(filePath()), { recursive: true });
  writeFileSync(filePath(), whole);
  await assert.rejects(run(DAY, ['/nonexistent']), { code: 'ERR_SETTLEMENT_FILE' });
  const foreign = reconcile(
    { ...ports, acquirerId: '00000000001' },
    { settlementDate: DAY, actor: 'tests' },
  );
  await assert.rejects(foreign, { code: 'ERR_SETTLEMENT_FILE', message: /missing/ });
  appendFileSync(filePath(), 'x');
  await assert.rejects(run(), { code: 'ERR_SETTLEMENT_FILE' });
  assert.equal(await runs(), before_);
});
