/**
 * Shows that whatever is done to payments, in whatever order, on whatever day, with lost answers
 * and closes in between: every transaction sums to zero, balances are their entries (I4), each
 * transaction is in exactly one batch (I8), and in the end merchants were paid exactly what payers
 * paid, less fees.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { formatAmount } from '@tapnpay/protocol/bytes';
import fc from 'fast-check';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { heldOrder, paidOrder, pass, wish } from '../operations/operations.test-kit.ts';
import { cutOffAtMs, settlementDayAt } from '../settlement-date.ts';
import { CLOSE_AFTER_MS, closeDueDays } from './close.ts';
import { type OfficeWorld, officeWorld } from './settlement.test-kit.ts';

const currency = fc.constantFrom('156', '392', '414');
const amount = fc.oneof(
  fc.bigInt({ min: 1n, max: 200n }),
  fc.bigInt({ min: 1_000n, max: 99_999_999n }),
);
const permille = fc.integer({ min: 1, max: 1_000 });
const place = fc.nat({ max: 50 });
const rest = { place, permille, lost: fc.boolean() };
const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      ...{ do: fc.constant('sale' as const), amount, currency, lost: fc.boolean() },
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('hold' as const), amount, currency }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('capture' as const), ...rest }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('refund' as const), ...rest }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('void' as const), ...rest }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('dayEnds' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rollUp' as const) }) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
type Payments = {
  readonly paymentId: string;
  readonly amount: bigint;
  readonly currency: string;
}[];

let server: TestDatabase | null = null;
let world: OfficeWorld;
before(async () => {
  server = await startTestDatabase();
  if (server) world = await officeWorld(server.url, 'gateway');
});
after(async () => {
  await world?.close();
  await server?.close();
});

test('any sequence on any days: sums, projection, one batch each, paid out to the cent', async (context) => {
  if (!server) return context.skip('no database here');
  let done = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 8, maxLength: 24 }), async (actions) => {
      const payments: Payments = [];
      for (const one of actions) done += await act(one, payments);
      await checkBooks();
      await endDay();
      await endDay();
      await checkSettled();
    }),
    { numRuns: 20 },
  );
  const kinds = await query('SELECT DISTINCT kind FROM ledger_entries ORDER BY kind');
  assert.deepEqual(
    kinds.map(({ kind }) => kind),
    ['capture', 'fee', 'hold', 'payout', 'refund', 'sale', 'void'],
  );
  assert.ok(done > 60, `only ${done} actions had an effect`);
});

async function query(text: string): Promise<Record<string, string>[]> {
  return (await world.database.pool.query(text)).rows;
}

/** 1 when it did something. */
async function act(one: Action, payments: Payments): Promise<number> {
  const { core, strict, ledger } = world;
  if (one.do === 'dayEnds') return endDay();
  if (one.do === 'rollUp') return (await ledger.rollUp()) > 0 ? 1 : 0;
  if ('lost' in one && one.lost) strict.weather = () => 'answerLost';
  try {
    if (one.do === 'sale' || one.do === 'hold') {
      const make = one.do === 'sale' ? paidOrder : heldOrder;
      const request = { amount: formatAmount(one.amount, one.currency), currency: one.currency };
      const { paymentId } = await make(world, { ...request, interface: 'contactless' });
      payments.push({ ...one, paymentId });
      return 1;
    }
    const payment = payments[one.place % Math.max(payments.length, 1)];
    if (!payment) return 0;
    const partMinor = (payment.amount * BigInt(one.permille)) / 1_000n;
    if (partMinor < 1n) return 0;
    const changes = one.do === 'void' ? {} : { amount: formatAmount(partMinor, payment.currency) };
    await core.operate(wish(one.do, payment.paymentId, changes));
    return 1;
  } catch (fault) {
    // Refused by a rule: nothing happened.
    assert.match(String((fault as { code?: string }).code), /^ERR_[A-Z_]+$/);
    assert.notEqual((fault as { code?: string }).code, 'ERR_INTERNAL');
    return 0;
  } finally {
    strict.weather = () => 'fair';
    // Reversals and repeats come to their end.
    await pass(world, 20_000, 2);
  }
}

async function endDay(): Promise<number> {
  const { clock, turnTo, closing } = world;
  turnTo(cutOffAtMs(settlementDayAt(clock.nowMs())) + CLOSE_AFTER_MS);
  await closeDueDays(closing);
  return 1;
}

async function checkBooks(): Promise<void> {
  const { ledger } = world;
  const { findings } = await ledger.verify();
  assert.deepEqual(findings, []);
  const wrong = await query(
    `SELECT transaction_id FROM ledger_entries GROUP BY transaction_id, currency, phase
     HAVING sum(amount_minor) <> 0`,
  );
  assert.deepEqual(wrong, []);
}

async function checkSettled(): Promise<void> {
  await checkBooks();
  const unsettled = await query(
    `SELECT e.transaction_id FROM ledger_entries e
     WHERE e.kind IN ('sale', 'capture', 'void', 'refund') AND e.phase = 'posted' AND e.leg = 0
     AND (SELECT count(*) FROM settlement_items i WHERE i.transaction_id = e.transaction_id) <> 1`,
  );
  assert.deepEqual(unsettled, []);
  const misfiled = await query(
    `SELECT i.transaction_id FROM settlement_items i JOIN settlement_batches b USING (batch_id)
     JOIN ledger_entries e ON e.transaction_id = i.transaction_id AND e.leg = 0
     WHERE e.settlement_date <> b.settlement_date OR e.currency <> b.currency`,
  );
  assert.deepEqual(misfiled, [], 'every one is in the batch of its own day and currency');
  // What is still owed to the merchant is exactly the debt that its last batch carries.
  const owed = await query(
    `SELECT currency FROM ledger_entries WHERE account LIKE 'merchant-payable:%'
       AND phase = 'posted' GROUP BY currency
     HAVING sum(amount_minor) <> -(SELECT carried_minor FROM settlement_batches b
       WHERE b.currency = ledger_entries.currency ORDER BY settlement_date DESC LIMIT 1)`,
  );
  assert.deepEqual(owed, []);
  const { strict } = world;
  const [paid] = await query(
    `SELECT coalesce(sum(amount_minor), 0)::text AS sum FROM ledger_entries
     WHERE account = 'payer-clearing' AND phase = 'posted'`,
  );
  assert.equal(BigInt(paid?.['sum'] ?? ''), strict.paidMinor(), 'and the switch says the same');
}
