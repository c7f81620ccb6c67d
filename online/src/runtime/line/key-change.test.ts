/**
 * Shows that working keys change under traffic without one refused message, that the old ones hold
 * for their window and not longer, and that a wrong MAC asks for new keys without storms.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TapError } from '@tapnpay/protocol/bytes';
import {
  CUPS_DIALECT,
  decodeMessage,
  type Iso8583Message,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { keysOfMessage, type LineKeys } from './keys.ts';
import {
  answer,
  code,
  established,
  MEMBER_ID,
  openWorld,
  request,
  settled,
  signed,
  type World,
} from './line.test-kit.ts';

const REFUSED = 'A0';
const CHANGES = 50;

/** What was sent with each field 70 so far. */
function sentWith(frames: readonly Uint8Array[], networkCode: string): number {
  const codes = frames.map((frame) =>
    textField(decodeMessage(CUPS_DIALECT, frame.subarray(4)), 70),
  );
  return codes.filter((sent) => sent === networkCode).length;
}

/** Lets both sides verify what comes, as switch and issuer do, and take a while to answer. */
function verifying(world: World, seen: Map<string, number>): void {
  let turn = 0;
  world.onRequest = async (message) => {
    const isMember = textField(message, 42) === 'from the switch';
    const side = isMember ? world.member : world.lines;
    const hsm = isMember ? world.memberHsm : world.hostHsm;
    const accepted = isMember ? world.member.acceptedKeys() : world.lines.acceptedKeys(MEMBER_ID);
    const keys = await keysOfMessage(hsm, accepted, message);
    if (!keys) return withFields(answer(message), [[39, REFUSED]]);
    const found = isMember
      ? await world.member.keysOf(message)
      : await world.lines.keysOf(MEMBER_ID, message);
    assert.deepEqual(found, keys, String(side));
    seen.set(keys.mac, (seen.get(keys.mac) ?? 0) + 1);
    turn += 1;
    const workMs = (turn * 7) % 40;
    await new Promise<void>((resolve) => world.clock.startTimer(workMs, resolve));
    return signed(hsm, keys.mac, answer(message));
  };
}

/** Asks in one direction, signed with the keys of this moment; the answer's field 39. */
async function ask(world: World, stan: number, from: 'member' | 'host'): Promise<string> {
  const isMember = from === 'member';
  const keys = isMember ? world.member.keys() : world.lines.keys(MEMBER_ID);
  assert.ok(keys);
  const hsm = isMember ? world.memberHsm : world.hostHsm;
  const unsigned = request(String(stan).padStart(6, '0'), [
    [42, isMember ? 'from the member' : 'from the switch'],
  ]);
  const message = await signed(hsm, keys.mac, unsigned);
  const reply = isMember
    ? await world.member.request(message, { timeoutMs: 5_000 })
    : await world.lines.request(MEMBER_ID, message, { timeoutMs: 5_000 });
  if (reply === 'timeout') return 'timeout';
  if (textField(reply, 39) === REFUSED) return REFUSED;
  // The answer is under the keys of its request: a change meanwhile makes no difference.
  return (await keysOfMessage(hsm, [keys], reply)) ? '00' : 'wrong MAC';
}

test(`${CHANGES} changes under traffic in both directions: 0 refused, every key proven`, async () => {
  const world = await established(await openWorld({ latencyMs: 3 }));
  const seen = new Map<string, number>();
  verifying(world, seen);
  const results: Promise<string>[] = [];
  for (let change = 0; change < CHANGES; change++) {
    const changed = world.lines.changeKeys(MEMBER_ID);
    for (let step = 0; step < 10; step++) {
      const stan = 20 * change + 2 * step + 1;
      results.push(ask(world, stan, 'member'), ask(world, stan + 1, 'host'));
      await world.clock.advance(2);
    }
    await changed;
  }
  await world.clock.advance(1_000);
  const counts: Record<string, number> = {};
  for (const result of await Promise.all(results)) counts[result] = (counts[result] ?? 0) + 1;
  assert.deepEqual(counts, { '00': 20 * CHANGES });
  // Two key blocks a generation: the member's and the switch's own.
  assert.ok(seen.size > 2 * CHANGES, `${seen.size} key blocks proven`);
  assert.equal(world.links.length, 1);
  assert.equal(sentWith(world.sentByHost, '101'), 2 * (CHANGES + 1));
});

test('the old key holds for its window and is refused after it', async () => {
  const world = await established(await openWorld({ times: { oldKeysMs: 30_000 } }));
  const oldKeys = world.member.keys();
  const oldHostKeys = world.lines.keys(MEMBER_ID);
  assert.ok(oldKeys && oldHostKeys);
  const message = await signed(world.memberHsm, oldKeys.mac, request('000001'));
  const underOldKey = async (): Promise<LineKeys | null> =>
    keysOfMessage(world.hostHsm, world.lines.acceptedKeys(MEMBER_ID), message);
  await world.lines.changeKeys(MEMBER_ID);
  assert.notDeepEqual(world.lines.keys(MEMBER_ID), oldHostKeys);
  assert.notDeepEqual(world.member.keys(), oldKeys);
  assert.deepEqual(world.lines.previousKeys(MEMBER_ID), oldHostKeys);
  assert.deepEqual(world.member.previousKeys(), oldKeys);
  await world.clock.advance(29_999);
  assert.deepEqual(await underOldKey(), oldHostKeys, 'PIN key and MAC key of one generation');
  await world.clock.advance(1);
  assert.equal(await underOldKey(), null);
  assert.equal(world.lines.previousKeys(MEMBER_ID), null);
  assert.equal(world.member.previousKeys(), null);
  assert.deepEqual(
    await world.lines.keysOf(MEMBER_ID, message),
    world.lines.keys(MEMBER_ID),
    'what fits no key is judged, and refused, under the current one',
  );
});

test('a message under the new key that overtakes the end of the change waits for it', async () => {
  const world = await established(await openWorld());
  const seen = new Map<string, number>();
  verifying(world, seen);
  const [memberEnd] = world.links[0] ?? [];
  assert.ok(memberEnd);
  const send = memberEnd.send.bind(memberEnd);
  const held: Uint8Array[] = [];
  let answers = 0;
  // The second 0810, which ends the exchange, is held back.
  memberEnd.send = (bytes) => {
    const { mti } = decodeMessage(CUPS_DIALECT, bytes.subarray(4));
    if (mti === '0810') answers += 1;
    if (mti === '0810' && answers === 2) held.push(bytes);
    else send(bytes);
  };
  const before = world.member.keys();
  const changed = world.lines.changeKeys(MEMBER_ID);
  await settled();
  assert.equal(held.length, 1);
  assert.notDeepEqual(world.member.keys(), before, 'the member has its new keys');
  const asked = ask(world, 1, 'member');
  await settled();
  assert.equal(seen.size, 0, 'not judged under the old key');
  for (const bytes of held) send(bytes);
  await changed;
  await world.clock.advance(100);
  assert.equal(await asked, '00');
});

test('an answer is not handed over before its key is in force', async () => {
  const world = await established(await openWorld());
  const [memberEnd] = world.links[0] ?? [];
  assert.ok(memberEnd);
  const send = memberEnd.send.bind(memberEnd);
  const held: Uint8Array[] = [];
  let answers = 0;
  memberEnd.send = (bytes) => {
    const { mti } = decodeMessage(CUPS_DIALECT, bytes.subarray(4));
    if (mti === '0810') answers += 1;
    if (mti === '0810' && answers === 2) held.push(bytes);
    else send(bytes);
  };
  world.onRequest = async (message) => {
    await new Promise<void>((resolve) => world.clock.startTimer(10, resolve));
    return signed(world.memberHsm, world.member.keys()?.mac ?? '', answer(message));
  };
  let isHandedOver = false;
  const asked = world.lines.request(MEMBER_ID, request('000001'), { timeoutMs: 5_000 }).then(() => {
    isHandedOver = true;
  });
  const changed = world.lines.changeKeys(MEMBER_ID);
  await world.clock.advance(100);
  assert.equal(isHandedOver, false);
  for (const bytes of held) send(bytes);
  await Promise.all([changed, asked]);
});

test('a member that cannot take new keys keeps the old ones, and so does the switch', async () => {
  const world = await established(await openWorld());
  const keys = world.lines.keys(MEMBER_ID);
  world.memberHsm.only = 'importKey';
  world.memberHsm.fault = new TapError('ERR_HSM_LOST', 'gone');
  await assert.rejects(world.lines.changeKeys(MEMBER_ID), code('ERR_LINE_KEY'));
  world.memberHsm.fault = null;
  assert.deepEqual(world.lines.keys(MEMBER_ID), keys);
  verifying(world, new Map());
  const asked = ask(world, 1, 'member');
  await world.clock.advance(100);
  assert.equal(await asked, '00');
  assert.equal(world.links.length, 1);
  await world.lines.changeKeys(MEMBER_ID);
  assert.notDeepEqual(world.lines.keys(MEMBER_ID), keys);
});

test('an HSM of the switch that fails: no change, the old keys go on', async () => {
  const world = await established(await openWorld());
  const keys = world.lines.keys(MEMBER_ID);
  world.hostHsm.fault = new TapError('ERR_HSM_LOST', 'gone');
  await assert.rejects(world.lines.changeKeys(MEMBER_ID), { code: 'ERR_HSM_LOST' });
  world.hostHsm.fault = null;
  assert.deepEqual(world.lines.keys(MEMBER_ID), keys);
  assert.equal(world.member.state, 'established');
});

test('an answer to a key that never comes: the line starts anew, for nobody knows the key', async () => {
  const world = await established(await openWorld({ times: { signOnTimeoutMs: 2_000 } }));
  const [memberEnd] = world.links[0] ?? [];
  assert.ok(memberEnd);
  memberEnd.send = () => undefined;
  const failed = assert.rejects(world.lines.changeKeys(MEMBER_ID), code('ERR_LINE_KEY'));
  await world.clock.advance(2_000);
  await failed;
  await world.clock.advance(1_000);
  assert.equal(world.links.length, 2);
  assert.equal(world.member.state, 'established');
});

test('no member, no line: ERR_LINE_NOT_ESTABLISHED', async () => {
  const world = await openWorld();
  await assert.rejects(world.lines.changeKeys(MEMBER_ID), code('ERR_LINE_NOT_ESTABLISHED'));
  assert.throws(() => world.lines.changeKeys('11110000001'), code('ERR_LINE_NOT_ESTABLISHED'));
});

test('A0 for 200 requests at once: one sign-on, new keys; A0 without end: ever rarer', async () => {
  const world = await established(await openWorld());
  const keys = world.member.keys();
  world.onRequest = async (message: Iso8583Message) => withFields(answer(message), [[39, REFUSED]]);
  const requestAll = (first: number, count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        world.member.request(request(String(first + index).padStart(6, '0')), { timeoutMs: 900 }),
      ),
    );
  await world.clock.advance(6_000);
  await requestAll(1, 200);
  await settled();
  assert.equal(sentWith(world.sentByMember, '001'), 2, 'the first one and one more');
  assert.notDeepEqual(world.member.keys(), keys);
  for (let second = 0; second < 600; second++) {
    await requestAll(1_000 + second, 1);
    await world.clock.advance(1_000);
  }
  const signOns = sentWith(world.sentByMember, '001');
  assert.ok(signOns >= 6 && signOns <= 10, `${signOns} sign-ons in ten minutes of A0`);
  assert.equal(world.member.state, 'established');
});

test('A0 for a request from before a change asks for nothing: the keys are new already', async () => {
  const world = await established(await openWorld());
  world.onRequest = async (message) => {
    await new Promise<void>((resolve) => world.clock.startTimer(100, resolve));
    return withFields(answer(message), [[39, REFUSED]]);
  };
  await world.clock.advance(6_000);
  const asked = world.member.request(request('000001'), { timeoutMs: 900 });
  await settled();
  await world.lines.changeKeys(MEMBER_ID);
  await world.clock.advance(100);
  assert.notEqual(await asked, 'timeout');
  await settled();
  assert.equal(sentWith(world.sentByMember, '001'), 1);
});

test('A0 right after an exchange: the sign-on brings the same keys again', async () => {
  const world = await established(await openWorld());
  const keys = world.member.keys();
  world.onRequest = async (message) => withFields(answer(message), [[39, REFUSED]]);
  await world.member.request(request('000001'), { timeoutMs: 900 });
  await settled();
  assert.equal(sentWith(world.sentByMember, '001'), 2);
  assert.deepEqual(world.member.keys(), keys);
  assert.equal(world.member.previousKeys(), null);
});

test('A0 while the HSM of the switch is away: no new keys, and the line stays', async () => {
  const world = await established(await openWorld());
  const keys = world.member.keys();
  world.onRequest = async (message) => withFields(answer(message), [[39, REFUSED]]);
  await world.clock.advance(6_000);
  world.hostHsm.fault = new TapError('ERR_HSM_LOST', 'gone');
  await world.member.request(request('000001'), { timeoutMs: 900 });
  await settled();
  assert.ok(world.logged.includes('lineKeyFailed'));
  assert.deepEqual(world.member.keys(), keys);
  assert.equal(world.links.length, 1);
  assert.equal(world.member.state, 'established');
});

test('A0 from a member: the switch changes its keys, once', async () => {
  const world = await established(await openWorld());
  const keys = world.lines.keys(MEMBER_ID);
  world.onRequest = async (message) => withFields(answer(message), [[39, REFUSED]]);
  await Promise.all(
    ['000001', '000002', '000003'].map((stan) =>
      world.lines.request(MEMBER_ID, request(stan), { timeoutMs: 900 }),
    ),
  );
  await settled();
  assert.notDeepEqual(world.lines.keys(MEMBER_ID), keys);
  assert.equal(sentWith(world.sentByHost, '101'), 4);
});
