/** Shows several lines of one member: even spreading, failover, one set of keys, adopted answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CUPS_DIALECT,
  type DecodedMessage,
  decodeMessage,
  encodeMessage,
} from '@tapnpay/protocol/iso8583';
import { encodeFrame, LineError, MemberLines } from './index.ts';
import {
  answer,
  code,
  countingRandom,
  MEMBER_ID,
  openWorld,
  request,
  SWITCH_ID,
  settled,
  type World,
  type WorldFacts,
} from './line.test-kit.ts';

const LINES = 3;

/** A set of lines in a world, established. */
async function openSet(facts: WorldFacts = {}): Promise<{
  readonly world: World;
  readonly set: MemberLines;
  readonly late: DecodedMessage[];
}> {
  const world = await openWorld(facts);
  const late: DecodedMessage[] = [];
  const set = new MemberLines({
    ...{ localId: MEMBER_ID, remoteId: SWITCH_ID, zoneKey: world.zmk, hsm: world.memberHsm },
    ...{ clock: world.clock, random: countingRandom(11), log: () => undefined },
    limits: facts.limits ?? {},
    connects: Array.from({ length: LINES }, () => world.connect),
    onRequest: (message) => world.onRequest(message),
    onLateReply: (message) => late.push(message),
    onState: (state) => world.states.push(state),
  });
  set.start();
  await settled();
  await world.clock.advance(50);
  assert.deepEqual(
    set.lines.map(({ state }) => state),
    Array.from({ length: LINES }, () => 'established'),
  );
  return { world, set, late };
}
const stanOf = (index: number): string => String(index + 1).padStart(6, '0');

test('requests are spread evenly, both ways, and all lines have one set of keys', async () => {
  const { world, set } = await openSet();
  world.onRequest = async (message) => {
    await new Promise<void>((resolve) => world.clock.startTimer(100, resolve));
    return answer(message);
  };
  const before = set.lines.map((line) => line.stats().sent);
  const asked = Array.from({ length: 300 }, (_, index) =>
    set.request(request(stanOf(index)), { timeoutMs: 1_000 }),
  );
  const told = Array.from({ length: 300 }, (_, index) =>
    world.lines.request(MEMBER_ID, request(stanOf(index)), { timeoutMs: 1_000 }),
  );
  assert.deepEqual(
    set.lines.map((line, index) => line.stats().sent - (before[index] ?? 0)),
    [100, 100, 100],
  );
  await world.clock.advance(100);
  for (const reply of await Promise.all([...asked, ...told])) assert.notEqual(reply, 'timeout');
  const keys = set.keys();
  assert.ok(keys);
  for (const line of set.lines) assert.deepEqual(line.keys(), keys);
  const { matched, inFlight } = world.lines.stats(MEMBER_ID);
  assert.ok(matched >= 300 && inFlight === 0);
});

test('one request after another takes the lines in turn', async () => {
  const { set } = await openSet();
  const before = set.lines.map((line) => line.stats().sent);
  for (let index = 0; index < 30; index++) {
    await set.request(request(stanOf(index)), { timeoutMs: 1_000 });
  }
  assert.deepEqual(
    set.lines.map((line, index) => line.stats().sent - (before[index] ?? 0)),
    [10, 10, 10],
  );
});

test('a line that is lost: the others carry on, it comes back, its requests end as unknown', async () => {
  const { world, set } = await openSet();
  world.onRequest = () => new Promise(() => undefined);
  const asked = Array.from({ length: 30 }, (_, index) =>
    set.request(request(stanOf(index)), { timeoutMs: 60_000 }).catch((fault: unknown) => fault),
  );
  await settled();
  world.links[1]?.[1].close();
  await settled();
  assert.equal(set.state, 'established');
  world.onRequest = async (message) => answer(message);
  for (let index = 0; index < 20; index++) {
    const reply = await set.request(request(stanOf(100 + index)), { timeoutMs: 1_000 });
    assert.notEqual(reply, 'timeout');
  }
  assert.ok(world.lines.keys(MEMBER_ID), 'the switch, too');
  await world.lines.request(MEMBER_ID, request('000500'), { timeoutMs: 1_000 });
  await world.clock.advance(200);
  assert.deepEqual(
    set.lines.map(({ state }) => state),
    ['established', 'established', 'established'],
  );
  assert.equal(world.lines.stats(MEMBER_ID).inFlight, 0);
  void set.close({ drainMs: 10 });
  await world.clock.advance(2_000);
  const ends = await Promise.all(asked);
  assert.ok(ends.every((end) => end instanceof LineError && end.code === 'ERR_LINE_CLOSED'));
});

test('no line left: not established; the last one that closes tells the state', async () => {
  const { world, set } = await openSet();
  world.refuse = true;
  for (const [, host] of world.links) host.close();
  await settled();
  assert.equal(set.state, 'down');
  assert.equal(set.keys(), null);
  assert.equal(world.lines.keys(MEMBER_ID), null);
  const asked = set.request(request('000001'), { timeoutMs: 1_000 });
  await assert.rejects(asked, code('ERR_LINE_NOT_ESTABLISHED'));
  assert.deepEqual(world.states, ['signing', 'established', 'down']);
});

test('a key in flight on one line is refused on all', async () => {
  const { world, set } = await openSet();
  world.onRequest = () => new Promise(() => undefined);
  void set.request(request('000001'), { timeoutMs: 60_000 }).catch(() => undefined);
  for (let copy = 0; copy < LINES; copy++) {
    const asked = set.request(request('000001'), { timeoutMs: 1_000 });
    await assert.rejects(asked, code('ERR_LINE_DUPLICATE'));
    const told = world.lines.request(MEMBER_ID, request('000009'), { timeoutMs: 60_000 });
    if (copy > 0) await assert.rejects(told, code('ERR_LINE_DUPLICATE'));
    else told.catch(() => undefined);
  }
});

test('an answer that comes by another line of the set finds its request', async () => {
  const { world, set, late } = await openSet();
  world.onRequest = () => new Promise(() => undefined);
  const asked = set.request(request('000001'), { timeoutMs: 1_000 });
  await settled();
  const header = { destination: MEMBER_ID, source: SWITCH_ID };
  const frame = encodeFrame(encodeMessage(CUPS_DIALECT, header, answer(request('000001'))));
  // By a line that did not carry the request.
  const carrier = world.sentByMember.at(-1);
  assert.ok(carrier);
  const other = set.lines.findIndex((line) => line.load === 0);
  world.links[other]?.[1].send(frame);
  await settled();
  const reply = await asked;
  assert.ok(reply !== 'timeout' && reply.mti === '0210');
  world.links[other]?.[1].send(frame);
  await settled();
  assert.equal(late.length, 1, 'a copy of it goes to the handler');
});

test('new keys reach every line in one change', async () => {
  const { world, set } = await openSet();
  const before = set.keys();
  await world.lines.changeKeys(MEMBER_ID);
  assert.notDeepEqual(set.keys(), before);
  assert.deepEqual(set.previousKeys(), before);
  assert.equal(set.acceptedKeys().length, 2, 'one generation, not one a line');
  assert.equal(world.lines.acceptedKeys(MEMBER_ID).length, 2);
});

test('one line that gives no answer to new keys is closed, the change succeeds', async () => {
  const { world, set } = await openSet();
  const [dead] = world.links[2] ?? [];
  assert.ok(dead);
  dead.send = () => undefined;
  const changed = world.lines.changeKeys(MEMBER_ID);
  await world.clock.advance(10_000);
  await changed;
  await world.clock.advance(1_000);
  assert.equal(world.links.length, LINES + 1);
  assert.deepEqual(
    set.lines.map(({ state }) => state),
    ['established', 'established', 'established'],
  );
});

test('a set takes 1 to 16 lines', async () => {
  const world = await openWorld();
  for (const count of [0, 17]) {
    const open = () =>
      new MemberLines({
        ...{ localId: MEMBER_ID, remoteId: SWITCH_ID, zoneKey: world.zmk, hsm: world.memberHsm },
        ...{ clock: world.clock, random: countingRandom(11), log: () => undefined },
        connects: Array.from({ length: count }, () => world.connect),
      });
    assert.throws(open, code('ERR_LINE_CONNECT'));
  }
});

test('a sign-on names its line in field 48; a number out of range is refused', async () => {
  const { world } = await openSet();
  const signOns = world.sentByMember
    .map((frame) => decodeMessage(CUPS_DIALECT, frame.subarray(4)))
    .filter(({ fields }) => fields.get(70) === '001')
    .map(({ fields }) => fields.get(48));
  assert.deepEqual(signOns, ['LN01', 'LN02', 'LN03']);
  const link = await world.connect();
  let heard = '';
  link.listen({
    onBytes: (bytes) => (heard += String.fromCharCode(...bytes)),
    onClose: () => undefined,
  });
  const signOn = {
    mti: '0820',
    fields: new Map([
      [7, '1125120000'],
      [11, '000001'],
      [33, MEMBER_ID],
      [48, 'LN17'],
      [70, '001'],
    ] as [number, string][]),
  };
  link.send(
    encodeFrame(encodeMessage(CUPS_DIALECT, { destination: SWITCH_ID, source: MEMBER_ID }, signOn)),
  );
  await settled();
  assert.match(heard, /0830.*92001$/s);
});
