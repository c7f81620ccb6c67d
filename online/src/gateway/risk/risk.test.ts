/**
 * Shows the risk step: what each rule lets through and refuses, to the unit and the millisecond;
 * that a refusal happens before anything is sent and stands in the log without a card number; that
 * windows survive a restart; and that wrong rule files are refused by field.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestDatabase, type TestDatabase } from '../../runtime/test-database.ts';
import { createVault } from '../../runtime/vault.ts';
import { GatewayCore } from '../core.ts';
import {
  newOrder,
  payOrder,
  START_MS,
  TEST_PAN,
  TestClock,
  testGateway,
  testPeer,
  testRandom,
} from '../gateway.test-kit.ts';
import { openGatewayDatabase } from '../store-postgres.ts';
import { type RiskDecision, RiskEngine, type RiskLog, type RiskSubject } from './engine.ts';
import { riskGate } from './gate.ts';
import { PostgresRiskLog } from './log.ts';
import { NO_RULES, parseRules, readRules } from './rules.ts';
import { SlidingWindows } from './windows.ts';

const vault = createVault(testRandom(7).bytes(32), testRandom(8));

/** A log in memory. */
class MemoryLog implements RiskLog {
  readonly decisions: RiskDecision[] = [];
  isBroken = false;

  async note(decision: RiskDecision): Promise<void> {
    this.decisions.push(decision);
  }

  async keep(decision: RiskDecision): Promise<void> {
    if (this.isBroken) throw new Error('no database');
    this.decisions.push(decision);
  }

  async uses(): Promise<readonly never[]> {
    return [];
  }
}

let seed = 10;

async function engineOf(rules: object, clock = new TestClock(), log: RiskLog = new MemoryLog()) {
  const engine = new RiskEngine({ clock, random: testRandom(++seed), log });
  await engine.load(parseRules(JSON.stringify(rules)));
  return engine;
}

const subject = (changes: Partial<RiskSubject> = {}): RiskSubject => ({
  orderId: 'O1',
  merchantId: 'M1',
  mode: 'test',
  elementId: 'E1',
  cardDigest: 'AB'.repeat(32),
  bin: '62999900',
  panMasked: '629999******0017',
  amountMinor: 100n,
  currency: '156',
  ...changes,
});
const ruleOf = async (engine: RiskEngine, changes: Partial<RiskSubject> = {}) =>
  (await engine.assess(subject(changes))).rule;

test('amounts: at the limit is allowed, one unit above is not; other merchants, currencies', async () => {
  const engine = await engineOf({
    amounts: [
      { name: 'all-cny', currency: '156', maxMinor: '1000' },
      { name: 'small-shop', merchantId: 'M2', currency: '156', maxMinor: '10' },
    ],
  });
  assert.equal(await ruleOf(engine, { amountMinor: 1000n }), null);
  assert.equal(await ruleOf(engine, { amountMinor: 1001n }), 'all-cny');
  assert.equal(await ruleOf(engine, { amountMinor: 1001n, currency: '840' }), null);
  assert.equal(await ruleOf(engine, { merchantId: 'M2', amountMinor: 10n }), null);
  assert.equal(await ruleOf(engine, { merchantId: 'M2', amountMinor: 11n }), 'small-shop');
});

test('hot lists: merchants, elements, cards by digest, BINs by prefix; neighbours pass', async () => {
  const engine = await engineOf({
    hot: {
      merchants: ['M9'],
      elements: ['E9'],
      cards: ['CD'.repeat(32)],
      bins: ['6299', '12345678'],
    },
  });
  for (const [changes, rule] of [
    [{ merchantId: 'M9', bin: '00000000' }, 'hot-merchant'],
    [{ elementId: 'E9', bin: '00000000' }, 'hot-element'],
    [{ cardDigest: 'CD'.repeat(32), bin: '00000000' }, 'hot-card'],
    [{ bin: '62999900' }, 'hot-bin'],
    [{ bin: '12345678' }, 'hot-bin'],
    [{ bin: '12345679' }, null],
    [{ bin: '62980000' }, null],
    [{ merchantId: 'M99', elementId: 'E99', bin: '00000000' }, null],
  ] as const) {
    assert.equal(await ruleOf(engine, changes), rule, JSON.stringify(changes));
  }
});

test('velocity: never more than the limit in any window, per card, element and merchant', async () => {
  const clock = new TestClock();
  const engine = await engineOf(
    {
      velocity: [
        { name: 'card-hour', per: 'card', windowSeconds: 3600, countMax: 3 },
        {
          name: 'element-sum',
          per: 'element',
          windowSeconds: 60,
          currency: '156',
          sumMaxMinor: '500',
        },
        { name: 'shop', per: 'merchant', windowSeconds: 60, countMax: 5 },
      ],
    },
    clock,
  );
  const other = (n: number) => ({ cardDigest: `${n}`.padStart(64, '0'), elementId: `E${n}` });
  for (let n = 0; n < 3; n++) assert.equal(await ruleOf(engine), null);
  assert.equal(await ruleOf(engine), 'card-hour');
  assert.equal(await ruleOf(engine, { ...other(1), elementId: 'E1', amountMinor: 200n }), null);
  assert.equal(
    await ruleOf(engine, { ...other(2), elementId: 'E1', amountMinor: 1n }),
    'element-sum',
  );
  const dollars = { ...other(3), elementId: 'E1', currency: '840', amountMinor: 999n };
  assert.equal(await ruleOf(engine, dollars), null, 'a sum is of one currency');
  assert.equal(await ruleOf(engine, other(4)), 'shop', 'refused ones did not count');
  clock.advance(60_000);
  assert.equal(await ruleOf(engine, other(4)), 'shop', 'the last part counts to its end');
  clock.advance(1_000);
  assert.equal(await ruleOf(engine, other(4)), null);
  assert.equal(await ruleOf(engine), 'card-hour');
  clock.advance(3_600_000);
  assert.equal(await ruleOf(engine), null);
  const none = await engineOf({
    velocity: [{ name: 'closed', per: 'merchant', windowSeconds: 1, countMax: 0 }],
  });
  assert.equal(await ruleOf(none), 'closed');
});

test('windows: whatever the moments, all stays within the limit; keys are bounded', () => {
  const random = testRandom(5);
  for (let run = 0; run < 50; run++) {
    const windows = new SlidingWindows(60_000);
    const allowed: number[] = [];
    let nowMs = START_MS;
    for (const byte of random.bytes(400)) {
      nowMs += byte * 20;
      if (windows.use('k', nowMs).count >= 7) continue;
      windows.add('k', nowMs, 1n);
      allowed.push(nowMs);
      const within = allowed.filter((atMs) => atMs > nowMs - 60_000).length;
      assert.ok(within <= 7);
    }
    assert.ok(allowed.length > 50, 'and it does let payments through');
  }
  const bounded = new SlidingWindows(60_000, 10);
  for (let n = 0; n < 100; n++) bounded.add(`k${n % 30}`, START_MS, 1n);
  assert.equal(bounded.size, 10);
  bounded.add('back', START_MS, 1n);
  bounded.add('back', START_MS - 30_000, 1n);
  assert.equal(bounded.use('back', START_MS).count, 2, 'a clock set back loses nothing');
});

test('a refusal comes before anything is sent, and a log that fails refuses as well', async () => {
  const log = new MemoryLog();
  const engine = await engineOf({ hot: { bins: [TEST_PAN.slice(0, 6)] } }, new TestClock(), log);
  const gateway = await testGateway();
  const core = new GatewayCore({ ...gateway.ports, risk: riskGate(engine, vault) });
  const order = await newOrder(core);
  const peer = testPeer();
  const refused = await payOrder(core, peer, order.orderId).catch((fault) => fault);
  const decisionId = log.decisions[0]?.decisionId;
  assert.deepEqual([refused.code, refused.data], ['ERR_RISK_REFUSED', { decisionId }]);
  assert.equal(gateway.line.sent.length, 0);
  assert.equal((await core.order(order.orderId)).status, 'open', 'another card may pay it');
  const [decision] = log.decisions;
  assert.deepEqual([decision?.rule, decision?.facts], ['hot-bin', { bin: '629999' }]);
  assert.equal(decision?.cardDigest, vault.digest(TEST_PAN));
  assert.ok(!JSON.stringify(log.decisions, (_, v) => String(v)).includes(TEST_PAN));
  log.isBroken = true;
  await assert.rejects(payOrder(core, peer, order.orderId), /no database/);
  assert.equal(gateway.line.sent.length, 0);
  await engine.load(NO_RULES);
  assert.equal((await payOrder(core, peer, order.orderId)).result, 'answered');
});

test('rule files: what is wrong is named by its field; without a file there are no rules', () => {
  assert.deepEqual(readRules('/nonexistent/risk.json'), NO_RULES);
  const amount = { name: 'a', currency: '156', maxMinor: '1' };
  const speed = { name: 'v', per: 'card', windowSeconds: 60 };
  for (const [rules, why] of [
    ['{', /no JSON/],
    ['[]', /the file/],
    [{ amount: [] }, /amount/],
    [{ amounts: [{ ...amount, maxMinor: 5 }] }, /amounts\.0\.maxMinor/],
    [{ amounts: [{ ...amount, maxMinor: '-1' }] }, /amounts\.0\.maxMinor: is minor units/],
    [{ amounts: [{ ...amount, currency: 'CNY' }] }, /amounts\.0\.currency: is an ISO 4217/],
    [{ amounts: [{ ...amount, name: 'A b' }] }, /amounts\.0\.name/],
    [{ amounts: [amount, amount] }, /name a is used twice/],
    [{ amounts: [amount], velocity: [{ ...speed, name: 'a', countMax: 1 }] }, /used twice/],
    [{ velocity: [speed] }, /velocity\.0: needs countMax or sumMaxMinor/],
    [{ velocity: [{ ...speed, sumMaxMinor: '1' }] }, /velocity\.0: needs a currency/],
    [{ velocity: [{ ...speed, per: 'ip', countMax: 1 }] }, /velocity\.0\.per/],
    [{ velocity: [{ ...speed, windowSeconds: 0, countMax: 1 }] }, /windowSeconds/],
    [{ velocity: [{ ...speed, windowSeconds: 2_592_001, countMax: 1 }] }, /windowSeconds/],
    [{ hot: { cards: [TEST_PAN] } }, /hot\.cards\.0: is a card digest/],
    [{ hot: { bins: ['629'] } }, /hot\.bins\.0/],
    [{ hot: { cards: ['ab'.repeat(32)] } }, /hot\.cards\.0/],
    [{ hot: { pans: [] } }, /hot/],
  ] as const) {
    const text = typeof rules === 'string' ? rules : JSON.stringify(rules);
    assert.throws(() => parseRules(text), { code: 'ERR_RISK_RULES', message: why });
  }
});

let server: TestDatabase | null = null;
before(async () => {
  server = await startTestDatabase();
});
after(() => server?.close());

test('the decision log: batches, refusals at once, windows rebuilt after a restart', async (context) => {
  if (!server) return context.skip('no database here');
  const database = await openGatewayDatabase({ databaseUrl: server.url, schema: 'gateway' });
  const clock = new TestClock();
  const rules = {
    velocity: [
      { name: 'card', per: 'card', windowSeconds: 600, countMax: 4 },
      { name: 'sum', per: 'merchant', windowSeconds: 600, currency: '156', sumMaxMinor: '450' },
    ],
  };
  const log = new PostgresRiskLog(database);
  const engine = await engineOf(rules, clock, log);
  const count = async (decision: string): Promise<number> => {
    const { rows } = await database.pool.query(
      'SELECT count(*)::int AS count FROM risk_decisions WHERE decision = $1',
      [decision],
    );
    return rows[0].count;
  };
  for (let n = 0; n < 4; n++) assert.equal(await ruleOf(engine), null);
  assert.equal(await count('allowed'), 0, 'no payment waited for the log');
  assert.equal(await ruleOf(engine), 'card');
  assert.equal(await count('refused'), 1);
  await Promise.all([log.flush(), log.flush()]);
  assert.equal(await count('allowed'), 4);

  const restarted = new PostgresRiskLog(database);
  const again = await engineOf(rules, clock, restarted);
  assert.equal(await ruleOf(again), 'card');
  assert.equal(await ruleOf(again, { cardDigest: '00'.repeat(32), amountMinor: 51n }), 'sum');
  assert.equal(await ruleOf(again, { cardDigest: '00'.repeat(32), amountMinor: 50n }), null);
  clock.advance(611_000);
  const later = await engineOf(rules, clock, restarted);
  assert.equal(await ruleOf(later), null);
  const refusals = await restarted.refusals(10);
  assert.deepEqual(
    refusals.map(({ rule }) => rule),
    ['sum', 'card', 'card'],
  );
  assert.deepEqual(refusals[0]?.facts, { sumMinor: '400', sumMaxMinor: '450' });
  await assert.rejects(database.pool.query('DELETE FROM risk_decisions'), /immutable/);
  await database.close();
  const [refusal] = refusals;
  assert.ok(refusal);
  await assert.rejects(log.keep(refusal));
});

test('decisions that could not be written wait, and are written once', async (context) => {
  if (!server) return context.skip('no database here');
  const database = await openGatewayDatabase({ databaseUrl: server.url, schema: 'waiting' });
  let failures = 2;
  const query = async (...args: unknown[]): Promise<unknown> => {
    const result = await Reflect.apply(database.pool.query, database.pool, args);
    // The answer is lost, the rows are there.
    if (failures-- > 0) throw new Error('connection lost');
    return result;
  };
  const log = new PostgresRiskLog({ pool: { query } } as never);
  const engine = await engineOf({}, new TestClock(), log);
  for (let n = 0; n < 3; n++) await ruleOf(engine);
  await assert.rejects(log.flush(), /connection lost/);
  await assert.rejects(log.flush(), /connection lost/);
  await ruleOf(engine);
  await log.flush();
  const { rows } = await database.pool.query('SELECT count(*)::int AS count FROM risk_decisions');
  assert.equal(rows[0].count, 4);
  await database.close();
});
