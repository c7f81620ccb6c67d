/**
 * Shows the settlement date around the cut-off to the millisecond, what members are told of it, the
 * close of a day, its totals, and its files: the same bytes however often they are written.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import { readDayFile } from './day-file.ts';
import { listDayFiles, writeDayFiles, writeMissingDayFiles } from './day-folder.ts';
import { closeDay, openDays } from './days.ts';
import { INSTITUTION_SWITCH } from './ports.ts';
import {
  cutOffAtMs,
  daysBefore,
  isSettlementDate,
  settlementDateOf,
  TotalsTable,
} from './settlement.ts';
import {
  approving,
  codeOf,
  followUpOf,
  GATEWAY,
  ISSUER,
  ISSUER_KEYS,
  isSigned,
  issuerReply,
  requestOf,
  reversalOf,
  saleRequest,
  type TestSwitch,
  testSwitch,
} from './switch.test-kit.ts';

/** 23:00 in Shanghai of 14 March 2026. */
const CUT_OFF_MS = Date.UTC(2026, 2, 14, 15);
const MINUTE = 23 * 60;
const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-days-'));
  folders.push(folder);
  return join(folder, 'files');
}

test('the settlement date turns at 15:00:00.000 UTC, to the millisecond and by any calendar', () => {
  assert.equal(settlementDateOf(CUT_OFF_MS - 1, MINUTE), '20260314');
  assert.equal(settlementDateOf(CUT_OFF_MS, MINUTE), '20260315');
  assert.equal(settlementDateOf(CUT_OFF_MS + 1, MINUTE), '20260315');
  assert.equal(cutOffAtMs('20260314', MINUTE), CUT_OFF_MS);
  for (const [date, before] of [
    ['20260301', '20260228'],
    ['20280301', '20280229'],
    ['20270101', '20261231'],
  ] as const) {
    assert.equal(daysBefore(date, 1), before);
    assert.equal(daysBefore(before, -1), date);
    const turnMs = cutOffAtMs(before, MINUTE);
    assert.equal(settlementDateOf(turnMs - 1, MINUTE), before);
    assert.equal(settlementDateOf(turnMs, MINUTE), date);
  }
  assert.ok(isSettlementDate('20280229'));
  for (const wrong of ['20260229', '20261301', '2026031', '2026-3-1', '']) {
    assert.equal(isSettlementDate(wrong), false, wrong);
  }
});

test('a sale a millisecond before the cut-off and one at it are of two days, as F15 says', async () => {
  const { core, clock, store, lines } = testSwitch();
  const dates: (string | undefined)[] = [];
  for (const nowMs of [CUT_OFF_MS - 1, CUT_OFF_MS]) {
    clock.set(nowMs);
    const answer = await core.handle(GATEWAY, saleRequest());
    dates.push(answer ? textField(answer, 15) : undefined);
  }
  assert.deepEqual(dates, ['0314', '0315']);
  assert.deepEqual(
    lines.sent.map((sent) => textField(sent, 15)),
    dates,
  );
  assert.deepEqual(
    (await store.transactions()).map(({ settlementDate }) => settlementDate),
    ['20260314', '20260315'],
  );
});

test('an answer after the cut-off keeps the date of its request', async () => {
  const { core, clock, lines } = testSwitch();
  clock.set(CUT_OFF_MS - 1);
  lines.script = (message) => {
    clock.set(CUT_OFF_MS + 5_000);
    return issuerReply(message, '00', [[15, '0315']]);
  };
  const sale = saleRequest();
  const answer = await core.handle(GATEWAY, sale);
  assert.equal(answer && textField(answer, 15), '0314');
  assert.deepEqual(await core.handle(GATEWAY, sale), answer);
});

const cutOffs = (lines: { sent: readonly Iso8583Message[] }): readonly string[] =>
  lines.sent
    .filter(({ mti }) => mti.startsWith('08'))
    .map((sent) => [sent.mti, ...[70, 15, 33, 100].map((n) => textField(sent, n))].join(' '));

test('each member is told of the cut-off once: 201 at it, 202 when the day is closed', async () => {
  const world = testSwitch();
  const { core, clock, lines } = world;
  assert.deepEqual((await core.tick()).closed, []);
  clock.set(CUT_OFF_MS - 1);
  await core.tick();
  assert.deepEqual(cutOffs(lines), []);
  clock.set(CUT_OFF_MS);
  let asks = 0;
  lines.script = (message) => (++asks === 1 ? 'timeout' : issuerReply(message, '00'));
  await core.tick();
  await core.tick();
  const told = [`0820 201 0315 ${INSTITUTION_SWITCH}`];
  assert.deepEqual(
    cutOffs(lines),
    [ISSUER, GATEWAY].sort().map((member) => `${told} ${member}`),
  );
  const toIssuer = lines.sent.find((sent) => textField(sent, 100) === ISSUER);
  assert.ok(isSigned(ISSUER_KEYS.mac, toIssuer ?? null));
  clock.advance(1_000);
  await core.tick();
  assert.match(cutOffs(lines)[2] ?? '', /^0821 201 0315/);
  clock.set(CUT_OFF_MS + 60_000);
  assert.deepEqual((await core.tick()).closed, ['20260314']);
  await core.tick();
  const ends = cutOffs(lines).slice(3);
  assert.deepEqual(
    ends,
    [ISSUER, GATEWAY].sort().map((member) => `0820 202 0315 ${INSTITUTION_SWITCH} ${member}`),
  );
  // A switch that starts again tells nobody anew.
  const second = testSwitch({ store: world.store, clock, seed: 3 });
  await second.core.recover();
  await second.core.tick();
  assert.deepEqual(cutOffs(second.lines), []);
});

test('a switch that was down over the cut-off tells of it when it is back', async () => {
  const { core, clock, store } = testSwitch();
  await core.tick();
  clock.set(CUT_OFF_MS + 8 * 3_600_000);
  const later = testSwitch({ store, clock, seed: 4 });
  await later.core.recover();
  assert.deepEqual((await later.core.tick()).closed, ['20260314']);
  assert.equal(cutOffs(later.lines).length, 2);
});

test('a day with a transaction under way waits for its end', async () => {
  const { core, clock, lines, ports } = testSwitch();
  clock.set(CUT_OFF_MS - 1);
  await core.tick();
  let release: (answer: 'timeout') => void = () => undefined;
  lines.script = () => new Promise((resolve) => (release = resolve));
  const pending = core.handle(GATEWAY, saleRequest());
  await new Promise(setImmediate);
  clock.set(CUT_OFF_MS + 1_000);
  lines.script = approving;
  await core.tick();
  await assert.rejects(closeDay(ports, '20260315'), {
    code: 'ERR_SWITCH_DAY',
    message: /not over/,
  });
  await assert.rejects(closeDay(ports, '20260101'), {
    code: 'ERR_SWITCH_DAY',
    message: /never began/,
  });
  assert.deepEqual(await openDays(ports), ['20260314']);
  assert.equal(await closeDay(ports, '20260314'), 'open');
  release('timeout');
  assert.equal(codeOf(await pending), '98');
  assert.equal(await closeDay(ports, '20260314'), 'closed');
  assert.equal(await closeDay(ports, '20260314'), 'closedBefore');
  assert.deepEqual(await openDays(ports), []);
});

/** A day of every kind of end, and what the next day undoes of it. */
async function twoDays(world: TestSwitch): Promise<void> {
  const { core, clock, lines } = world;
  await core.tick();
  const send = async (message: Iso8583Message, code = '00'): Promise<Iso8583Message> => {
    assert.equal(codeOf(await core.handle(GATEWAY, message)), code);
    await core.tick();
    return message;
  };
  const kept = await send(saleRequest([[4, '000000001000']]));
  const undone = await send(saleRequest([[4, '000000000200']]));
  await send(reversalOf(undone));
  const voided = await send(saleRequest([[4, '000000000030']]));
  await send(followUpOf('saleVoid', voided));
  const later = await send(saleRequest([[4, '000000000004']]));
  await send(followUpOf('refund', kept, { changes: [[4, '000000000500']] }));
  const hold = await send(requestOf('preAuthorisation', [[4, '000000009000']]));
  await send(followUpOf('completionAdvice', hold, { changes: [[4, '000000007000']] }));
  await send(requestOf('offlineSaleAdvice', [[4, '000000000050']]));
  await send(requestOf('cashLoad', [[4, '000000003000']]));
  await send(requestOf('balanceInquiry'));
  await send(
    saleRequest([
      [4, '000000000077'],
      [49, '840'],
    ]),
  );
  await send(
    saleRequest([
      [2, '4111111111111111'],
      [35, '4111111111111111D3012201'],
    ]),
    '14',
  );
  lines.script = (message) => issuerReply(message, '51');
  await send(saleRequest(), '51');
  lines.script = () => 'timeout';
  await send(saleRequest(), '98');
  lines.script = approving;
  clock.set(CUT_OFF_MS + 60_000);
  await send(reversalOf(later));
  await send(followUpOf('refund', kept, { changes: [[4, '000000000100']] }));
  clock.set(CUT_OFF_MS + 24 * 3_600_000 + 60_000);
  await core.tick();
}

test('totals by kind: what a day undoes itself nets out, an earlier day’s is booked in its own', async () => {
  const world = testSwitch();
  await twoDays(world);
  const sums = async (settlementDate: string): Promise<readonly string[]> => {
    const totals = new TotalsTable();
    const query = { settlementDate, after: null, limit: 1_000 };
    for (const booking of await world.store.listBookings(query)) totals.add(booking);
    return totals.rows().map((row) => {
      assert.equal(row.acquirer, GATEWAY);
      const { kind, currency, issuer } = row;
      const own = [row.debitCount, row.debitMinor, row.creditCount, row.creditMinor];
      const parts = [kind, currency, ...own, row.otherCount, row.otherMinor, row.refusedCount];
      return `${issuer === ISSUER ? '' : 'none '}${parts.join(' ')}`;
    });
  };
  assert.deepEqual([...(await sums('20260314'))].sort(), [
    'balanceInquiry 156 0 0 0 0 1 0 0',
    'cashLoad 156 0 0 1 3000 0 0 0',
    'completionAdvice 156 1 7000 0 0 0 0 0',
    'none sale 156 0 0 0 0 0 0 1',
    'offlineSaleAdvice 156 1 50 0 0 0 0 0',
    'preAuthorisation 156 0 0 0 0 1 9000 0',
    'refund 156 0 0 1 500 0 0 0',
    'sale 156 4 1234 1 200 0 0 2',
    'sale 840 1 77 0 0 0 0 0',
    'saleVoid 156 0 0 1 30 0 0 0',
  ]);
  assert.deepEqual(await sums('20260315'), [
    'refund 156 0 0 1 100 0 0 0',
    'sale 156 0 0 1 4 0 0 0',
  ]);
});

test('the files of a day: one for each acquirer and issuer, proved by count, sums and hash', async () => {
  const world = testSwitch();
  await twoDays(world);
  const folder = newFolder();
  const ports = { store: world.store, folder, switchId: INSTITUTION_SWITCH };
  assert.deepEqual([...(await writeMissingDayFiles(ports))].sort(), ['20260314', '20260315']);
  assert.deepEqual(await writeMissingDayFiles(ports), []);
  const names = [`acquirer-${GATEWAY}.csv`, `issuer-${ISSUER}.csv`];
  assert.deepEqual(readdirSync(join(folder, '20260314')).sort(), names);
  const [acquirer, issuer] = listDayFiles(folder, '20260314');
  assert.deepEqual(acquirer?.sums, [
    { currency: '156', debitCount: 6, debitMinor: 8284n, creditCount: 4, creditMinor: 3730n },
    { currency: '840', debitCount: 1, debitMinor: 77n, creditCount: 0, creditMinor: 0n },
  ]);
  assert.deepEqual(issuer?.sums, acquirer?.sums);
  // What never reached the issuer is the acquirer's to see only.
  assert.equal((acquirer?.records ?? 0) - (issuer?.records ?? 0), 1);
  const rerun = await writeDayFiles(ports, '20260314');
  assert.deepEqual(
    rerun.map(({ sha256 }) => sha256),
    [acquirer?.sha256, issuer?.sha256],
  );
  const text = readFileSync(acquirer?.path ?? '', 'utf8');
  assert.match(text, /^H,TAPNPAY-DAY,1,20260314,acquirer,49990000001,00010000000\n/);
  assert.ok(text.includes('629999******0017') && !text.includes('6299990000000017'));
  await assert.rejects(writeDayFiles(ports, '20260316'), { code: 'ERR_SWITCH_DAY' });
  assert.equal(existsSync(join(folder, '20260316')), false);
  // Another folder, another process: the same bytes.
  const other = { ...ports, folder: newFolder() };
  await writeDayFiles(other, '20260314');
  for (const name of names) {
    const [here, there] = [folder, other.folder].map((at) => join(at, '20260314', name));
    assert.deepEqual(readFileSync(here ?? ''), readFileSync(there ?? ''));
  }
});

test('a changed file is found, by itself and against the books', async () => {
  const world = testSwitch();
  await twoDays(world);
  const ports = { store: world.store, folder: newFolder(), switchId: INSTITUTION_SWITCH };
  const [file] = await writeDayFiles(ports, '20260314');
  const path = file?.path ?? '';
  const text = readFileSync(path, 'utf8');
  const changes: readonly (readonly [string, RegExp])[] = [
    [text.replace(',1000,debit', ',1001,debit'), /another hash/],
    [text.slice(0, -1), /whole line/],
    [text.replace(/Z,.*\n/, ''), /no trailer/],
    [text.replace(/\nZ,[0-9]+/, '\nZ,99'), /another count/],
    ['', /whole line|no trailer/],
  ];
  for (const [changed, message] of changes) {
    assert.throws(() => readDayFile(changed), { code: 'ERR_SWITCH_FILE', message });
  }
  appendFileSync(path, 'D,extra\n');
  await assert.rejects(writeDayFiles(ports, '20260314'), {
    code: 'ERR_SWITCH_FILE',
    message: /differs from the books/,
  });
  writeFileSync(path, text);
  await writeDayFiles(ports, '20260314');
});

test('what a member wrote cannot break a record', async () => {
  const world = testSwitch();
  await world.core.tick();
  const odd = { 41: 'T,"A"\u002c,1', 42: '"quoted", MERCH' };
  const sale = saleRequest([
    [41, odd[41].padEnd(8)],
    [42, odd[42].padEnd(15)],
  ]);
  assert.equal(codeOf(await world.core.handle(GATEWAY, sale)), '00');
  world.clock.set(CUT_OFF_MS + 60_000);
  await world.core.tick();
  const ports = { store: world.store, folder: newFolder(), switchId: INSTITUTION_SWITCH };
  const [file] = await writeDayFiles(ports, '20260314');
  assert.equal(file?.records, 1);
  assert.equal(file?.sums[0]?.debitMinor, 1234n);
});
