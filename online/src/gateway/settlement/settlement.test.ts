/**
 * Shows the settlement of merchants' days: the cut-off to the millisecond, each transaction in
 * exactly one batch, fees, debts carried on, statements that are the same bytes however often and
 * from wherever they are made, a real kill at every step, and what the database refuses.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { reply } from '../gateway.test-kit.ts';
import { heldOrder, paidOrder, wish } from '../operations/operations.test-kit.ts';
import { cutOffAtMs, daysAfter, settlementDayAt, settlementDayOf } from '../settlement-date.ts';
import { closeDueDays, closeSettlementDay, statementPath } from './close.ts';
import { type OfficeWorld, officeWorld, TEST_MERCHANT } from './settlement.test-kit.ts';
import { readStatement } from './statement.ts';

let server: TestDatabase | null = null;
const worlds: OfficeWorld[] = [];
let count = 0;

before(async () => {
  server = await startTestDatabase();
});
after(async () => {
  for (const world of worlds) await world.close();
  await server?.close();
});

/** A test with a world of its own. */
function rule(title: string, check: (world: OfficeWorld, schema: string) => Promise<void>): void {
  test(title, async (context) => {
    if (!server) return context.skip('no database here');
    const schema = `settlement_${++count}`;
    const world = await officeWorld(server.url, schema);
    worlds.push(world);
    await check(world, schema);
  });
}

const DAY = '20260314';
const CUT_OFF_MS = cutOffAtMs(DAY);
const owner = (settlementDate: string) =>
  ({ settlementDate, merchantId: TEST_MERCHANT, mode: 'test' }) as const;

test('complaint 24: the day turns at 23:00 in Shanghai, whatever calendar the machine has', () => {
  assert.equal(CUT_OFF_MS, Date.UTC(2026, 2, 14, 15));
  for (const [atMs, day] of [
    [CUT_OFF_MS - 1, '20260314'],
    [CUT_OFF_MS, '20260315'],
    [Date.UTC(2026, 11, 31, 14, 59, 59, 999), '20261231'],
    [Date.UTC(2026, 11, 31, 15), '20270101'],
    [Date.UTC(2028, 1, 28, 15), '20280229'],
  ] as const) {
    assert.equal(settlementDayAt(atMs), day);
  }
  const newYear = Date.UTC(2027, 0, 1, 2);
  assert.equal(settlementDayOf('1231', newYear), '20261231', 'field 15 of last year');
  assert.equal(settlementDayOf('0102', newYear), '20270102');
  for (const far of ['0105', '0701', '0230', '9999', null]) {
    assert.equal(settlementDayOf(far, newYear), '20270101', `${far} is no day near`);
  }
});

rule('a sale 1 ms before the cut-off and one at it are of two days, by field 15', async (world) => {
  const { turnTo, closing } = world;
  turnTo(CUT_OFF_MS - 1);
  const early = await paidOrder(world, { amount: '1.00', interface: 'contactless' });
  turnTo(CUT_OFF_MS);
  const late = await paidOrder(world, { amount: '2.00', interface: 'contactless' });
  await assert.rejects(closeSettlementDay(closing, daysAfter(DAY, 1)), {
    code: 'ERR_SETTLEMENT_DAY',
  });
  const first = await closeSettlementDay(closing, DAY);
  assert.deepEqual(
    first.batches.map(({ saleCount, saleMinor }) => [saleCount, saleMinor]),
    [[1, 100n]],
  );
  turnTo(CUT_OFF_MS + 86_400_000);
  const second = await closeSettlementDay(closing, daysAfter(DAY, 1));
  const ids = [first, second].flatMap(({ statements }) =>
    statements.map(({ path }) => readStatement(readFileSync(path, 'utf8')).lines[0]?.paymentId),
  );
  assert.deepEqual(ids, [early.paymentId, late.paymentId]);
});

rule('without field 15 the gateway’s own calendar decides, to the millisecond', async (world) => {
  const { turnTo, closing, line } = world;
  line.script = async (message) => reply(message, '00', [[15, '']]);
  for (const [atMs, amount] of [
    [CUT_OFF_MS - 1, '1.00'],
    [CUT_OFF_MS, '2.00'],
  ] as const) {
    turnTo(atMs);
    await paidOrder(world, { amount, interface: 'contactless' });
  }
  const { batches } = await closeSettlementDay(closing, DAY);
  assert.deepEqual(
    batches.map(({ saleMinor }) => saleMinor),
    [100n],
  );
});

rule(
  'sales, captures, voids and refunds in three currencies: sums, fees, payout',
  async (world) => {
    const { core, closing, turnTo, settlement, ledger } = world;
    const sale = await paidOrder(world, { amount: '100.00' });
    await paidOrder(world, { amount: '1.234', currency: '414' });
    await paidOrder(world, { amount: '5000', currency: '392' });
    const held = await heldOrder(world, { amount: '80.00' });
    await heldOrder(world, { amount: '9.00' });
    await core.operate(wish('capture', held.paymentId, { amount: '50.00' }));
    const voided = await paidOrder(world, { amount: '7.77' });
    await core.operate(wish('void', voided.paymentId));
    await core.operate(wish('refund', sale.paymentId, { amount: '33.33' }));
    turnTo(CUT_OFF_MS);
    const { batches, statements } = await closeSettlementDay(closing, DAY);
    assert.deepEqual(
      batches.map((row) => [
        ...[row.currency, row.saleCount, row.saleMinor, row.returnCount, row.returnMinor],
        ...[row.feeMinor, row.broughtMinor, row.paidOutMinor, row.carriedMinor],
      ]),
      [
        // 60 + 30 + 5 - 5 - 20 (of 60 for 33.33 of 100.00).
        ['156', 3, 15_777n, 2, 4_110n, 70n, 0n, 11_597n, 0n],
        ['392', 1, 5_000n, 0, 0n, 30n, 0n, 4_970n, 0n],
        ['414', 1, 1_234n, 0, 0n, 7n, 0n, 1_227n, 0n],
      ],
    );
    const [fact] = statements;
    const read = readStatement(readFileSync(fact?.path ?? '', 'utf8'));
    assert.deepEqual([read.lines.length, read.sha256], [7, fact?.sha256]);
    assert.deepEqual(await settlement.findStatement(owner(DAY)), {
      ...owner(DAY),
      records: 7,
      sha256: read.sha256,
    });
    const balances = new Map(
      (await ledger.balances())
        .filter(({ currency, phase }) => currency === '156' && phase === 'posted')
        .map(({ account, balanceMinor }) => [account, balanceMinor]),
    );
    assert.equal(balances.get(`merchant-payable:${TEST_MERCHANT}`), 0n, 'all of it is paid out');
    assert.equal(balances.get('payout-clearing'), -11_597n);
    assert.equal(balances.get('payer-clearing'), 11_667n);
    assert.deepEqual(
      ['issuer', 'acquirer', 'switch'].map((who) => balances.get(`fee-income:${who}`)),
      [-49n, -14n, -7n],
    );
    assert.deepEqual((await ledger.verify()).findings, []);
  },
);

rule('a day of refunds alone leaves a debt that the next sales pay first', async (world) => {
  const { core, closing, turnTo, ledger } = world;
  const sale = await paidOrder(world, { amount: '100.00' });
  turnTo(CUT_OFF_MS);
  await core.operate(wish('refund', sale.paymentId));
  const [first] = (await closeSettlementDay(closing, DAY)).batches;
  assert.equal(first?.paidOutMinor, 9_940n);
  turnTo(CUT_OFF_MS + 86_400_000);
  await paidOrder(world, { amount: '30.00' });
  const [second] = (await closeSettlementDay(closing, daysAfter(DAY, 1))).batches;
  assert.deepEqual([second?.feeMinor, second?.paidOutMinor], [-60n, 0n]);
  assert.equal(second?.carriedMinor, -9_940n);
  turnTo(CUT_OFF_MS + 2 * 86_400_000);
  await paidOrder(world, { amount: '100.00' });
  const [third] = (await closeSettlementDay(closing, daysAfter(DAY, 2))).batches;
  assert.deepEqual([third?.broughtMinor, third?.paidOutMinor], [-9_940n, 0n]);
  assert.equal(third?.carriedMinor, -9_940n + 2_982n);
  turnTo(CUT_OFF_MS + 3 * 86_400_000);
  const [fourth] = (await closeSettlementDay(closing, daysAfter(DAY, 3))).batches;
  assert.deepEqual(
    [fourth?.broughtMinor, fourth?.paidOutMinor, fourth?.carriedMinor],
    [-6_958n, 2_982n, 0n],
  );
  const payable = (await ledger.balances()).find(({ account }) => account.startsWith('merchant'));
  assert.equal(payable?.balanceMinor, 0n);
});

rule('plans of merchants: a refund may keep the fee, a void never does', async (world) => {
  const { core, closing, turnTo, settlement } = world;
  const plan = { basisPoints: 100, fixedMinor: 10n, refundReturnsFee: false } as const;
  await settlement.setFeePlan(TEST_MERCHANT, { ...plan, shares: [['acquirer', 1]] });
  const refunded = await paidOrder(world, { amount: '10.00' });
  const voided = await paidOrder(world, { amount: '20.00' });
  await core.operate(wish('refund', refunded.paymentId));
  await core.operate(wish('void', voided.paymentId));
  turnTo(CUT_OFF_MS);
  const [batch] = (await closeSettlementDay(closing, DAY)).batches;
  assert.deepEqual([batch?.feeMinor, batch?.carriedMinor], [20n, -20n]);
});

rule(
  'what is booked after a day was begun is of a later one, in exactly one batch',
  async (world) => {
    const { closing, turnTo, database, settlement } = world;
    await paidOrder(world, { amount: '1.00' });
    turnTo(CUT_OFF_MS);
    const dying = (): never => {
      throw new Error('killed');
    };
    const killed = closeSettlementDay({ ...closing, reached: dying }, DAY);
    await assert.rejects(killed, /killed/);
    // An acknowledgement that names the day before, as a repeated advice gets it.
    world.line.script = async (message) => reply(message, '00', [[15, '0314']]);
    const late = await paidOrder(world, { amount: '5.00', interface: 'contactless' });
    const done = await closeSettlementDay(closing, DAY);
    assert.equal(done.batches[0]?.saleCount, 1);
    assert.deepEqual(await closeSettlementDay(closing, DAY), done, 'a closed day stays as it is');
    turnTo(CUT_OFF_MS + 86_400_000);
    const [next] = (await closeSettlementDay(closing, daysAfter(DAY, 1))).batches;
    assert.deepEqual([next?.saleCount, next?.saleMinor], [1, 500n]);
    const { rows } = await database.pool.query(
      'SELECT batch_id FROM settlement_items WHERE payment_id = $1',
      [late.paymentId],
    );
    assert.deepEqual(rows, [{ batch_id: `${daysAfter(DAY, 1)}/${TEST_MERCHANT}/test/156` }]);
    const listed = await settlement.listBatches({
      ...{ merchantId: TEST_MERCHANT, mode: 'test', before: null, limit: 10 },
    });
    assert.deepEqual(
      listed.map(({ settlementDate }) => settlementDate),
      [daysAfter(DAY, 1), DAY],
    );
  },
);

rule('a close waits for payments that are still being written', async (world) => {
  const { closing, turnTo, database } = world;
  const { order, paymentId } = await paidOrder(world, { amount: '1.00' });
  turnTo(CUT_OFF_MS);
  const slow = await database.pool.connect();
  await slow.query('BEGIN');
  await slow.query(
    `INSERT INTO ledger_entries (transaction_id, leg, payment_id, kind, phase, mode, account,
       currency, amount_minor, settlement_date)
     VALUES ('sale:slow', 0, $1, 'sale', 'posted', 'test', 'payer-clearing', '156', 5, $2),
       ('sale:slow', 1, $1, 'sale', 'posted', 'test', $3, '156', -5, $2)`,
    [paymentId, DAY, `merchant-payable:${order.merchantId}`],
  );
  const closed = closeSettlementDay(closing, DAY);
  setTimeout(() => void slow.query('COMMIT').then(() => slow.release()), 300);
  const [batch] = (await closed).batches;
  assert.deepEqual([batch?.saleCount, batch?.saleMinor], [2, 105n]);
});

rule(
  'a kill at every step, then a rerun: the same batches and the same bytes',
  async (world, schema) => {
    const { closing, turnTo, database } = world;
    assert.ok(server);
    for (const amount of ['1.00', '2.50', '99.99']) await paidOrder(world, { amount });
    // A second owner, so that a kill falls between the two.
    await database.pool.query(
      `WITH p AS (SELECT payment_id FROM payments LIMIT 1)
     INSERT INTO ledger_entries (transaction_id, leg, payment_id, kind, phase, mode, account,
       currency, amount_minor, settlement_date)
     SELECT 'sale:other', leg, payment_id, 'sale', 'posted', 'test', account, '156', minor, $1
     FROM p, (VALUES (0, 'payer-clearing', 700), (1, 'merchant-payable:898110000000002', -700))
       AS legs(leg, account, minor)`,
      [DAY],
    );
    turnTo(CUT_OFF_MS);
    const program = join(import.meta.dirname, 'settlement.test-kit.ts');
    const nowMs = String(closing.clock.nowMs());
    const kills: readonly (readonly [string, number, number])[] = [
      ['begun', 1, 0],
      ['settled', 1, 0],
      ['settled', 1, 0],
      ['written', 1, 1],
      ['written', 2, 2],
      ['ended', 1, 2],
    ];
    for (const [point, times, files] of kills) {
      const args: readonly string[] = [
        server.url,
        schema,
        closing.folder,
        DAY,
        nowMs,
        point,
        String(times),
      ];
      const run = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
      assert.equal(run.signal, 'SIGKILL', `${point}: ${run.stderr}`);
      assert.equal(filesIn(closing.folder).length, files);
    }
    const done = await closeSettlementDay(closing, DAY);
    assert.deepEqual(
      done.batches.map(({ merchantId, saleMinor }) => [merchantId, saleMinor]),
      [
        [TEST_MERCHANT, 10_349n],
        ['898110000000002', 700n],
      ],
    );
    const bytes = filesIn(closing.folder);
    rmSync(closing.folder, { recursive: true });
    const again = await closeSettlementDay(closing, DAY);
    assert.deepEqual(filesIn(closing.folder), bytes);
    assert.deepEqual(again, done);
    const { rows } = await database.pool.query(
      `SELECT kind, count(*)::int AS count FROM ledger_entries WHERE kind IN ('fee', 'payout')
     AND leg = 0 GROUP BY kind ORDER BY kind`,
    );
    assert.deepEqual(rows, [
      { kind: 'fee', count: 2 },
      { kind: 'payout', count: 2 },
    ]);
  },
);

function filesIn(folder: string): readonly string[] {
  const place = join(folder, DAY);
  if (!existsSync(place)) return [];
  return readdirSync(place).map((name) => `${name}\n${readFileSync(join(place, name), 'utf8')}`);
}

rule(
  'a statement that was altered on the disk is named; two closes at once are one',
  async (world) => {
    const { closing, turnTo } = world;
    await paidOrder(world, { amount: '1.00' });
    turnTo(CUT_OFF_MS);
    const both = await Promise.all([
      closeSettlementDay(closing, DAY),
      closeSettlementDay(closing, DAY),
    ]);
    assert.deepEqual(both[0], both[1]);
    const path = statementPath(closing.folder, owner(DAY));
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('100', '101'));
    await assert.rejects(closeSettlementDay(closing, DAY), {
      code: 'ERR_SETTLEMENT_FILE',
      message: /differs from the books/,
    });
    for (const [altered, why] of [
      [text.replace('100', '101'), /another hash/],
      [text.replace(/^D.*\n/m, ''), /another hash/],
      [text.slice(0, -1), /whole line/],
      [text.replace(/^Z.*\n/m, ''), /no trailer/],
      ['', /no trailer/],
    ] as const) {
      assert.throws(() => readStatement(altered), { code: 'ERR_SETTLEMENT_FILE', message: why });
    }
  },
);

rule(
  'days are closed in order, after their end, and by themselves when they are due',
  async (world) => {
    const { closing, turnTo, settlement } = world;
    await paidOrder(world, { amount: '1.00' });
    for (const [day, why] of [
      [DAY, /not over/],
      ['20260230', /no day/],
      ['2026-3-14', /no day/],
      ['', /no day/],
    ] as const) {
      const refused = { code: 'ERR_SETTLEMENT_DAY', message: why };
      await assert.rejects(closeSettlementDay(closing, day), refused);
    }
    turnTo(CUT_OFF_MS + 10 * 60_000 - 1);
    assert.deepEqual(await closeDueDays(closing), []);
    turnTo(CUT_OFF_MS + 10 * 60_000);
    assert.deepEqual(await closeDueDays(closing), [DAY]);
    assert.deepEqual(await closeDueDays(closing), []);
    turnTo(CUT_OFF_MS + 3 * 86_400_000 + 10 * 60_000);
    assert.deepEqual(await closeDueDays(closing), ['20260315', '20260316', '20260317']);
    const early = { code: 'ERR_SETTLEMENT_DAY', message: /later day 20260317 is closed/ };
    await assert.rejects(closeSettlementDay(closing, '20260312'), early);
    assert.equal((await settlement.lastDay())?.settlementDate, '20260317');
  },
);

rule(
  'the database refuses a second settlement, wrong sums, late items and changes',
  async (world) => {
    const { closing, turnTo, database } = world;
    await paidOrder(world, { amount: '1.00' });
    turnTo(CUT_OFF_MS);
    await closeSettlementDay(closing, DAY);
    const copy = (table: string, changes: object): Promise<unknown> =>
      database.pool.query(
        `INSERT INTO ${table} SELECT (jsonb_populate_record(row, $1::jsonb)).*
       FROM (SELECT row FROM ${table} AS row LIMIT 1) AS rows`,
        [JSON.stringify(changes)],
      );
    await assert.rejects(copy('settlement_items', { batch_id: 'x' }), /settlement_items_pkey/);
    await assert.rejects(copy('settlement_items', { transaction_id: 'sale:none' }), /is complete/);
    const ghost = { transaction_id: 'sale:none', batch_id: 'x' };
    await assert.rejects(copy('settlement_items', ghost), /foreign key/);
    const late = { batch_id: 'x', currency: '840' };
    await assert.rejects(copy('settlement_batches', late), /day 20260314 is closed/);
    await database.pool.query(`INSERT INTO settlement_days VALUES ('20260315', 0, 0)`);
    const open = { ...late, settlement_date: '20260315' };
    await assert.rejects(copy('settlement_batches', open), /not the sum of its items/);
    await assert.rejects(
      copy('settlement_batches', { ...open, paid_out_minor: 1 }),
      /settlement_batches_check/,
    );
    for (const table of ['settlement_items', 'settlement_batches', 'settlement_statements']) {
      await assert.rejects(database.pool.query(`DELETE FROM ${table}`), /immutable/);
      await assert.rejects(
        database.pool.query(`UPDATE ${table} SET sha256 = ''`),
        /immutable|sha256/,
      );
    }
  },
);
