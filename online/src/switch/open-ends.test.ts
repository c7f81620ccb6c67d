/**
 * Shows what the switch says while something has no end yet: a message that went out once is never
 * "surely not sent", keys change under an advice, and what a void had ended is not refused for good
 * while the void is being reversed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Iso8583Message, textField } from '@tapnpay/protocol/iso8583';
import type { LineKeys } from './ports.ts';
import {
  approving,
  books,
  codeOf,
  followUpOf,
  GATEWAY,
  GATEWAY_KEYS,
  ISSUER,
  isSigned,
  issuerReply,
  requestOf,
  reversalOf,
  saleRequest,
  type TestSwitch,
  testSwitch,
} from './switch.test-kit.ts';

const DAY_MS = 24 * 3_600_000;
const NEW_KEYS: LineKeys = {
  pin: '3323456789ABCDEFFEDCBA9876543232',
  mac: '5523456789ABCDEFFEDCBA9876543254',
};

test('A0 under old keys, then a line that is down: it went out once, so it is reversed', async () => {
  const world = testSwitch();
  const { core, lines, store } = world;
  lines.script = (message) => {
    // A damaged copy came first; the true one is read and approved, and its answer is lost.
    lines.established.set(ISSUER, NEW_KEYS);
    lines.script = () => 'down';
    return issuerReply(message, 'A0');
  };
  assert.equal(codeOf(await core.handle(GATEWAY, saleRequest())), '98');
  const { transaction, advice } = await books(store);
  assert.deepEqual([transaction?.state, transaction?.destination], ['unknown', ISSUER]);
  assert.equal(advice?.kind, 'reversal');
});

test('an advice is answered under the keys of its request', async () => {
  const world = testSwitch();
  const { core, lines, ports } = world;
  const sale = saleRequest();
  await core.handle(GATEWAY, sale);
  const refund = followUpOf('refund', sale);
  const { takeAdvice } = ports.store;
  ports.store.takeAdvice = async (...given) => {
    lines.previous.set(GATEWAY, GATEWAY_KEYS);
    lines.established.set(GATEWAY, NEW_KEYS);
    return takeAdvice.apply(ports.store, given);
  };
  const answer = await core.handle(GATEWAY, refund);
  assert.equal(codeOf(answer), '00');
  assert.ok(isSigned(GATEWAY_KEYS.mac, answer));
});

/** Ends a first transaction, reverses that end, and lets the issuer not hear of it yet. */
async function endReversedUnheard(
  world: TestSwitch,
  first: Iso8583Message,
  end: Iso8583Message,
): Promise<void> {
  const { core, lines } = world;
  assert.equal(codeOf(await core.handle(GATEWAY, first)), '00');
  assert.equal(codeOf(await core.handle(GATEWAY, end)), '00');
  lines.script = () => 'timeout';
  assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(end))), '00');
}

test('a refund while the void of its sale is being reversed: not now (91), then taken', async () => {
  const world = testSwitch();
  const { core, lines, clock } = world;
  const sale = saleRequest();
  await endReversedUnheard(world, sale, followUpOf('saleVoid', sale));
  const refund = followUpOf('refund', sale);
  assert.equal(codeOf(await core.handle(GATEWAY, refund)), '91');
  lines.script = approving;
  clock.advance(60_000);
  await core.tick();
  assert.equal(codeOf(await core.handle(GATEWAY, refund)), '00');
});

test('a completion while the cancellation of its hold is being reversed: not now, then taken', async () => {
  const world = testSwitch();
  const { core, lines, clock } = world;
  const hold = requestOf('preAuthorisation');
  await endReversedUnheard(world, hold, followUpOf('preAuthorisationCancel', hold));
  const completion = followUpOf('completionAdvice', hold);
  assert.equal(codeOf(await core.handle(GATEWAY, completion)), '91');
  lines.script = approving;
  clock.advance(60_000);
  await core.tick();
  const taken = await core.handle(GATEWAY, completion);
  assert.deepEqual([codeOf(taken), taken && textField(taken, 121)], ['00', undefined]);
});

test('what a void or a cancellation has ended for good is refused for good: 12', async () => {
  for (const [first, kind, next] of [
    ['sale', 'saleVoid', 'refund'],
    ['preAuthorisation', 'preAuthorisationCancel', 'completionAdvice'],
  ] as const) {
    const world = testSwitch();
    const message = requestOf(first);
    await world.core.handle(GATEWAY, message);
    assert.equal(codeOf(await world.core.handle(GATEWAY, followUpOf(kind, message))), '00');
    assert.equal(codeOf(await world.core.handle(GATEWAY, followUpOf(next, message))), '12', next);
  }
});

for (const step of ['turnDay', 'listSent', 'closeDay'] as const) {
  test(`${step} fails: reversals leave all the same, and the fault is told`, async () => {
    const world = testSwitch();
    const { core, lines, clock, store } = world;
    await core.tick();
    const sale = saleRequest();
    await core.handle(GATEWAY, sale);
    await core.handle(GATEWAY, reversalOf(sale));
    store[step] = async () => {
      throw new Error('the database refuses this');
    };
    clock.advance(DAY_MS);
    await assert.rejects(core.tick(), /the database refuses this/);
    assert.ok(lines.types().includes('0420'), lines.types());
  });
}

test('the route of a card changes: what follows a transaction goes to the issuer that has it', async () => {
  for (const kind of ['saleVoid', 'refund'] as const) {
    const world = testSwitch();
    const { core, store, ports } = world;
    const sale = saleRequest();
    await core.handle(GATEWAY, sale);
    const routes = [{ prefix: '6', institutionId: '77770000' }];
    Object.assign(ports.profile, { routes });
    assert.equal(codeOf(await core.handle(GATEWAY, followUpOf(kind, sale))), '00', kind);
    const destinations = (await store.transactions()).map(({ destination }) => destination);
    assert.deepEqual(destinations, [ISSUER, ISSUER], kind);
  }
});

test('a reversal across the cut-off: an approval that is booked is undone in its day, one that is not in that of its original', async () => {
  for (const [isAnswered, date] of [
    [true, '0315'],
    [false, '0314'],
  ] as const) {
    const world = testSwitch();
    const { core, lines, clock } = world;
    if (!isAnswered) lines.script = () => new Promise(() => undefined);
    const sale = saleRequest();
    const answer = core.handle(GATEWAY, sale);
    if (isAnswered) await answer;
    else await new Promise(setImmediate);
    lines.script = approving;
    clock.advance(DAY_MS);
    assert.equal(codeOf(await core.handle(GATEWAY, reversalOf(sale))), '00');
    await core.tick();
    const reversal = lines.sent.find(({ mti }) => mti === '0420');
    assert.equal(reversal && textField(reversal, 15), date);
  }
});
