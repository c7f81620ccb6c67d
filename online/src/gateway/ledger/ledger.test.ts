/**
 * Shows that balances are exactly those of the entries at every moment, whatever commits when, that
 * a projection that differs is found and can be made anew, and what the database refuses to book.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Database } from '../../runtime/index.ts';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { LEDGER_PAYER_CLEARING, type NewPosting } from '../model.ts';
import {
  heldOrder,
  type OperationsWorld,
  operationsWorld,
  paidOrder,
  wish,
} from '../operations/operations.test-kit.ts';
import { openGatewayDatabase, PostgresGatewayStore } from '../store-postgres.ts';
import { insertEntries } from './entries.ts';
import { LedgerProjection } from './projection.ts';

/** How long the transactions of other databases may take. */
const OTHERS_TIMEOUT_MS = 10_000;
let server: TestDatabase | null = null;
let database: Database;
let world: OperationsWorld;
let ledger: LedgerProjection;

before(async () => {
  server = await startTestDatabase();
  if (!server) return;
  database = await openGatewayDatabase({ databaseUrl: server.url, schema: 'gateway' });
  world = await operationsWorld(new PostgresGatewayStore(database));
  ledger = new LedgerProjection(database);
});
after(async () => {
  await database?.close();
  await server?.close();
});

/** A test that needs the database. */
function rule(title: string, check: () => Promise<void>): void {
  test(title, (context) => (server ? check() : context.skip('no database here')));
}

async function balanceOf(account: string, phase = 'posted'): Promise<bigint> {
  const rows = await ledger.balances();
  const found = rows.find((row) => row.account === account && row.phase === phase);
  return found?.balanceMinor ?? 0n;
}

/**
 * The cursor stays below a transaction that has not ended, also below one of another database of
 * the server: this one lets it pass.
 */
async function rollUpAll(): Promise<void> {
  const deadline = performance.now() + OTHERS_TIMEOUT_MS;
  for (;;) {
    await ledger.rollUp();
    const { tail, findings } = await ledger.verify();
    if (tail > 0 && performance.now() < deadline) continue;
    assert.deepEqual([tail, findings], [0, []]);
    return;
  }
}

rule('I4: balances are projection plus tail, before, between and after roll-ups', async () => {
  const { core } = world;
  const sale = await paidOrder(world, { amount: '10.00' });
  const held = await heldOrder(world, { amount: '7.00' });
  assert.equal(await balanceOf(LEDGER_PAYER_CLEARING), 1000n);
  assert.equal(await balanceOf(LEDGER_PAYER_CLEARING, 'pending'), 700n);
  assert.equal((await ledger.verify()).tail, 4);
  await rollUpAll();
  assert.equal(await balanceOf(LEDGER_PAYER_CLEARING), 1000n);
  await core.operate(wish('capture', held.paymentId, { amount: '5.00' }));
  await core.operate(wish('refund', sale.paymentId, { amount: '0.01' }));
  assert.equal(await balanceOf(LEDGER_PAYER_CLEARING), 1499n);
  assert.equal(await balanceOf(LEDGER_PAYER_CLEARING, 'pending'), 0n);
  assert.equal((await ledger.verify()).tail, 6);
  await rollUpAll();
  assert.equal(await ledger.rollUp(), 0, 'nothing is counted twice');
  assert.equal(await balanceOf('merchant-payable:898110000000001'), -1499n);
  assert.equal((await ledger.verify()).findings.length, 0);
});

rule('a transaction that commits after later ones is not missed by the cursor', async () => {
  const slow = await database.pool.connect();
  await slow.query('BEGIN');
  await insertEntries(slow, { paymentId: null, postings: fee('fee:slow', 30n) });
  await paidOrder(world, { amount: '1.00' });
  const before_ = await balanceOf('fee-income:a');
  await ledger.rollUp();
  const { tail } = await ledger.verify();
  await slow.query('COMMIT');
  slow.release();
  assert.ok(tail >= 2, 'the sale waited behind the slow transaction');
  assert.equal(await balanceOf('fee-income:a'), before_ - 30n);
  await rollUpAll();
  assert.equal(await balanceOf('fee-income:a'), before_ - 30n);
});

rule('four workers at once and a worker that dies in a step count each entry once', async () => {
  for (let n = 0; n < 5; n++) await paidOrder(world, { amount: '1.00' });
  const expected = await ledger.balances();
  const dying = await database.pool.connect();
  await dying.query('BEGIN');
  await dying.query('SELECT FROM ledger_cursor FOR UPDATE');
  await dying.query('UPDATE ledger_balances SET entries = entries + 1000');
  await dying.query('UPDATE ledger_cursor SET booked_before = booked_before + 1000000');
  assert.equal(await ledger.rollUp(), 0, 'the cursor is taken');
  dying.release(new Error('killed'));
  const until = Date.now() + 10_000;
  let counted = 0;
  while (counted < 10 && Date.now() < until) {
    const all = await Promise.all([1, 2, 3, 4].map(() => ledger.rollUp()));
    counted += all.reduce((sum, entries) => sum + entries, 0);
  }
  assert.equal(counted, 10);
  assert.deepEqual(await ledger.balances(), expected);
  await rollUpAll();
});

rule('a projection that differs from its entries is found, and made anew', async () => {
  await rollUpAll();
  const expected = await ledger.balances();
  await database.pool.query(
    `UPDATE ledger_balances SET debits_minor = debits_minor + 1 WHERE account = 'payer-clearing'
     AND phase = 'posted'`,
  );
  const { findings } = await ledger.verify();
  assert.deepEqual(
    findings.map(({ what, subject }) => [what, subject]),
    [
      ['projection', 'test payer-clearing 156 posted'],
      ['total', 'test 156 posted'],
    ],
  );
  await ledger.rebuild();
  await rollUpAll();
  assert.deepEqual(await ledger.balances(), expected);
});

rule('one-sided, late, doubled, zero and misfiled legs are refused by the database', async () => {
  const refused = async (postings: readonly NewPosting[], why: RegExp): Promise<void> => {
    const booked = database.transaction((client) =>
      insertEntries(client, { paymentId: null, postings }),
    );
    await assert.rejects(booked, why);
  };
  const [debit, credit] = fee('fee:whole', 5n);
  assert.ok(debit && credit);
  await refused([debit], /does not balance/);
  await refused([debit, { ...credit, currency: '840' }], /does not balance/);
  await refused([debit, { ...credit, phase: 'pending' }], /does not balance/);
  await refused([debit, { ...credit, transactionId: 'fee:other' }], /does not balance/);
  await refused([debit, { ...credit, leg: 0 }], /ledger_entries_pkey/);
  await refused([debit, { ...credit, amountMinor: 0n }], /amount_minor/);
  await refused([debit, { ...credit, kind: 'sale' }], /check/);
  await refused([{ ...debit, settlementDate: '2026-3-14' }, credit], /settlement_date/);
  await database.transaction((client) =>
    insertEntries(client, { paymentId: null, postings: [debit, credit] }),
  );
  await refused([debit, credit], /ledger_entries_pkey/);
  const more = fee('fee:whole', 1n).map((posting) => ({ ...posting, leg: posting.leg + 2 }));
  await refused(more, /was complete before/);
});

/** Two legs of a fee. */
function fee(transactionId: string, amountMinor: bigint): readonly NewPosting[] {
  const facts = { kind: 'fee', phase: 'posted', mode: 'test', currency: '156' } as const;
  const base = { ...facts, transactionId, settlementDate: '20260314' };
  return [
    { ...base, leg: 0, account: 'merchant-payable:898110000000001', amountMinor },
    { ...base, leg: 1, account: 'fee-income:a', amountMinor: -amountMinor },
  ];
}
