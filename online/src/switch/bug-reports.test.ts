/**
 * Users' reports about switches and store-and-forward queues, and the practices that answer them,
 * each shown on messages of our own: stuck transactions, reversals in a jam, old messages sent after
 * a restart, duplicates by state, late and early answers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import type { Advice } from './model.ts';
import { SWITCH_DEFAULTS } from './ports.ts';
import {
  approving,
  books,
  codeOf,
  followUpOf,
  GATEWAY,
  ISSUER,
  ISSUER_KEYS,
  issuerReply,
  requestOf,
  reversalOf,
  saleRequest,
  type TestSwitch,
  testSwitch,
} from './switch.test-kit.ts';

const DAY_MS = 24 * 3_600_000;

/** Ticks every second for a while. */
async function run({ core, clock }: TestSwitch, seconds: number): Promise<void> {
  for (let count = 0; count < seconds; count++) {
    clock.advance(1_000);
    await core.tick();
  }
}

const advice = async ({ store }: TestSwitch): Promise<Advice> => {
  const [first] = (await store.advices()).filter(({ kind }) => kind !== 'cutOff');
  assert.ok(first);
  return first;
};

const types = ({ lines }: TestSwitch): string =>
  lines.sent
    .filter(({ mti }) => !mti.startsWith('08'))
    .map(({ mti }) => mti)
    .join(' ');

test('row 18, jpos/jPOS#400: what was taken and never finished is found by the watchdog', async () => {
  const world = testSwitch({ script: () => new Promise(() => undefined) });
  void world.core.handle(GATEWAY, saleRequest());
  await new Promise(setImmediate);
  assert.equal((await books(world.store)).transaction?.state, 'sent');
  world.lines.script = approving;
  world.clock.advance(SWITCH_DEFAULTS.issuerTimeoutMs + 10_001);
  assert.equal((await world.core.tick()).overdue, 1);
  const { transaction } = await books(world.store);
  assert.deepEqual([transaction?.state, transaction?.reason], ['reversed', 'overdue']);
});

test('row 32, juks#25: three identical reversals in flight have one effect, and each an answer', async () => {
  const world = testSwitch();
  const sale = saleRequest();
  await world.core.handle(GATEWAY, sale);
  const reversals = [false, true, true].map((repeated) => reversalOf(sale, { repeated }));
  const answers = await Promise.all(reversals.map((each) => world.core.handle(GATEWAY, each)));
  assert.deepEqual(answers.map(codeOf), ['00', '00', '00']);
  await Promise.all([world.core.tick(), world.core.tick(), world.core.tick()]);
  assert.equal(types(world), '0200 0420');
  assert.equal((await books(world.store)).transaction?.state, 'reversed');
});

test('row 33, juks#29: months after a shutdown nothing old is sent, and nothing is lost', async () => {
  const before = testSwitch({ script: () => 'timeout' });
  const sale = saleRequest();
  await before.core.handle(GATEWAY, sale);
  await before.core.tick();
  before.clock.advance(60 * DAY_MS);
  const world = testSwitch({ store: before.store, clock: before.clock, seed: 5 });
  await world.core.recover();
  await run(world, 5);
  assert.equal(types(world), '');
  const [stuck] = await world.store.stuckAdvices(10);
  assert.deepEqual([stuck?.kind, stuck?.state], ['reversal', 'stuck']);
  // The money is still in doubt, and says so; a person lets it go out again.
  assert.equal((await books(world.store)).transaction?.state, 'unknown');
  const retried = await world.store.retryAdvice({
    adviceId: stuck?.adviceId ?? '',
    settlementDate: '20260513',
    nowMs: world.clock.nowMs(),
  });
  assert.equal(retried?.state, 'open');
  await world.core.tick();
  assert.equal(types(world), '0421');
  assert.equal((await books(world.store)).transaction?.state, 'reversed');
});

test('row 33: an advice is sent in its own day and the next, not across one more cut-off', async () => {
  const world = testSwitch({ script: () => 'timeout' });
  await world.core.tick();
  await world.core.handle(GATEWAY, saleRequest());
  world.clock.advance(DAY_MS);
  await world.core.tick();
  assert.equal(types(world), '0200 0420');
  world.clock.advance(DAY_MS);
  await world.core.tick();
  await run(world, 90);
  assert.equal(types(world), '0200 0420');
  assert.equal((await advice(world)).state, 'stuck');
  assert.ok(world.log.some(({ event }) => event === 'advicesExpired'));
});

test('row 34, juks#17: a reversal refused again and again ends at a person, the terminal goes on', async () => {
  const refusals = 4;
  const world = testSwitch({
    script: () => 'timeout',
    profile: { adviceRefusalsMax: refusals, advicePausesMs: [1_000] },
  });
  await world.core.handle(GATEWAY, saleRequest());
  for (const code of ['12', '30']) {
    world.lines.script = (message) => issuerReply(message, code);
    await run(world, 2);
  }
  assert.equal(types(world), `0200 0420${' 0421'.repeat(refusals - 1)}`);
  const { state, attempts, responseCode } = await advice(world);
  assert.deepEqual([state, attempts, responseCode], ['stuck', refusals, '30']);
  await run(world, 100);
  assert.equal((await advice(world)).attempts, refusals);
  world.lines.script = approving;
  assert.equal(codeOf(await world.core.handle(GATEWAY, saleRequest())), '00');
});

test('row 34: an answer that speaks of the moment, or none, is no refusal', async () => {
  const world = testSwitch({
    script: () => 'timeout',
    profile: { adviceRefusalsMax: 2, advicePausesMs: [1_000] },
  });
  await world.core.handle(GATEWAY, saleRequest());
  for (const code of ['91', '96', 'A0', '98', '68']) {
    world.lines.script = (message) => issuerReply(message, code);
    await run(world, 3);
  }
  world.lines.script = () => 'timeout';
  await run(world, 20);
  const open = await advice(world);
  assert.deepEqual([open.state, open.refusals], ['open', 0]);
  assert.equal(open.attempts, 35, 'a time-out counts as a try');
});

test('row 39, mojaloop/project#460: a copy while the first has no end is not answered', async () => {
  let release: (answer: 'timeout') => void = () => undefined;
  const world = testSwitch({ script: () => new Promise((resolve) => (release = resolve)) });
  const sale = saleRequest();
  const first = world.core.handle(GATEWAY, sale);
  await new Promise(setImmediate);
  assert.equal(await world.core.handle(GATEWAY, sale), null);
  release('timeout');
  assert.equal(codeOf(await first), '98');
  assert.equal(codeOf(await world.core.handle(GATEWAY, sale)), '98');
});

test('row 39, mojaloop/project#424: a copy of what has its end is not sent again', async () => {
  const world = testSwitch();
  const sale = saleRequest();
  const answer = await world.core.handle(GATEWAY, sale);
  const copies = await Promise.all([1, 2, 3].map(() => world.core.handle(GATEWAY, sale)));
  for (const copy of copies) assert.deepEqual(copy, answer);
  assert.equal(types(world), '0200');
  const refund = followUpOf('refund', sale);
  const taken = await world.core.handle(GATEWAY, refund);
  await world.core.tick();
  assert.deepEqual(await world.core.handle(GATEWAY, refund), taken);
  await world.core.tick();
  assert.equal(types(world), '0200 0220');
});

test('store and forward: a kill between send and acknowledgement repeats, and loses nothing', async () => {
  const before = testSwitch();
  const sale = saleRequest();
  await before.core.handle(GATEWAY, sale);
  const refunds = [1, 2, 3].map(() => followUpOf('refund', sale));
  for (const refund of refunds) await before.core.handle(GATEWAY, refund);
  before.lines.script = () => new Promise(() => undefined);
  void before.core.tick();
  await new Promise(setImmediate);
  const seen: string[] = [];
  const world = testSwitch({
    store: before.store,
    clock: before.clock,
    seed: 6,
    script: (message) => {
      seen.push(`${message.mti} ${textField(message, 11)}`);
      return issuerReply(message, '00');
    },
  });
  await world.core.recover();
  for (let count = 0; count < 4; count++) await world.core.tick();
  const stans = refunds.map((refund) => textField(refund, 11));
  // The order of one original is kept; the one that may have arrived is a repeat.
  assert.deepEqual(seen, [`0221 ${stans[0]}`, `0220 ${stans[1]}`, `0220 ${stans[2]}`]);
});

test('store and forward: poison messages hold up neither other cards nor other issuers', async () => {
  const poison = '000000006666';
  const world = testSwitch({ profile: { advicesInFlightMax: 4, advicePausesMs: [1_000, 60_000] } });
  const sales: Iso8583Message[] = [];
  for (let count = 0; count < 12; count++) {
    const sale = saleRequest();
    await world.core.handle(GATEWAY, sale);
    sales.push(sale);
  }
  world.lines.script = (message) =>
    textField(message, 4) === poison ? 'timeout' : issuerReply(message, '00');
  for (const [index, sale] of sales.entries()) {
    const amount = index < 6 ? poison : '000000000001';
    const refund = followUpOf('refund', sale, { changes: [[4, amount]] });
    assert.equal(codeOf(await world.core.handle(GATEWAY, refund)), '00');
  }
  await run(world, 20);
  const rows = await world.store.advices();
  assert.equal(rows.filter(({ state }) => state === 'settled').length, 6);
  assert.equal(rows.filter(({ state }) => state === 'open').length, 6);
});

test('store and forward: 2000 queued messages leave, a few at a time, each once', async () => {
  const world = testSwitch();
  world.lines.established.delete(ISSUER);
  const offline = Array.from({ length: 2_000 }, () => requestOf('offlineSaleAdvice'));
  for (const message of offline) {
    assert.equal(codeOf(await world.core.handle(GATEWAY, message)), '00');
  }
  assert.equal(types(world), '');
  world.lines.established.set(ISSUER, ISSUER_KEYS);
  let inFlight = 0;
  let most = 0;
  world.lines.script = async (message) => {
    most = Math.max(most, ++inFlight);
    await new Promise(setImmediate);
    inFlight -= 1;
    return issuerReply(message, '00');
  };
  for (let count = 0; count < 130; count++) await world.core.tick();
  assert.equal(most, SWITCH_DEFAULTS.advicesInFlightMax);
  const sent = world.lines.sent.map((message) => textField(message, 11));
  assert.equal(sent.length, 2_000);
  assert.equal(new Set(sent).size, 2_000);
});

test('repeat reversal: three of them before the original are remembered as one', async () => {
  const world = testSwitch();
  const sale = saleRequest();
  for (const repeated of [false, true, true]) {
    assert.equal(codeOf(await world.core.handle(GATEWAY, reversalOf(sale, { repeated }))), '00');
  }
  const late = await world.core.handle(GATEWAY, sale);
  assert.deepEqual([codeOf(late), late && textField(late, 121)], ['12', 'SW=reversedBefore']);
  assert.equal((await world.store.transactions()).length, 1);
  assert.equal(types(world), '');
  // Nothing follows what was barred.
  assert.equal(codeOf(await world.core.handle(GATEWAY, followUpOf('refund', sale))), '25');
});

test('late response: an answer right before the time-out counts, one right after it does not', async () => {
  for (const isInTime of [true, false]) {
    const world = testSwitch({
      script: (message) => (isInTime ? issuerReply(message, '00') : 'timeout'),
    });
    const sale = saleRequest();
    const answer = await world.core.handle(GATEWAY, sale);
    assert.equal(codeOf(answer), isInTime ? '00' : '98');
    const sent = world.lines.sent[0];
    assert.ok(sent);
    await world.core.lateReply(ISSUER, issuerReply(sent, '00'));
    world.lines.script = approving;
    await world.core.tick();
    const { transaction } = await books(world.store);
    assert.equal(transaction?.state, isInTime ? 'answered' : 'reversed');
    assert.equal(transaction?.lateResponseCode, '00');
    assert.equal(codeOf(await world.core.handle(GATEWAY, sale)), isInTime ? '00' : '12');
  }
});

test('duplicates: the trace number wraps from 999999 to 000001 and is another transaction', async () => {
  const world = testSwitch();
  const trace = (stan: string, transmission: string): Iso8583Message =>
    saleRequest([
      [11, stan],
      [7, transmission],
      [37, `607309${stan}`],
    ]);
  const messages = [
    trace('999999', '0314092653'),
    trace('000001', '0314092653'),
    trace('000001', '0314092654'),
  ];
  for (const message of messages) {
    assert.equal(codeOf(await world.core.handle(GATEWAY, message)), '00');
  }
  assert.equal(codeOf(await world.core.handle(GATEWAY, trace('000000', '0314092655'))), '30');
  assert.equal((await world.store.transactions()).length, 3);
});

test('accepted is not confirmed: what the issuer has not acknowledged shows so', async () => {
  const world = testSwitch();
  const sale = saleRequest();
  await world.core.handle(GATEWAY, sale);
  world.lines.script = (message) => issuerReply(message, '64');
  const refund = followUpOf('refund', sale, { changes: [[4, '000099999999']] });
  assert.equal(codeOf(await world.core.handle(GATEWAY, refund)), '00');
  await world.core.tick();
  const { state, refusals, responseCode } = await advice(world);
  assert.deepEqual([state, refusals, responseCode], ['open', 1, '64']);
});
