/**
 * Shows sign-on with key exchange, echo, reconnection and closing of a line, with both ends in this
 * process on a clock in the test's hand.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiToBytes, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  CUPS_DIALECT,
  decodeMessage,
  encodeMessage,
  makeMessage,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { encodeFrame, HostLines, MemberLine, memoryLink } from './index.ts';
import {
  answer,
  code,
  countingRandom,
  established,
  ManualClock,
  MEMBER_ID,
  openWorld,
  request,
  SWITCH_ID,
  settled,
  systemHsms,
} from './line.test-kit.ts';

test('sign-on 0820/001, then PIN and MAC key 0800/101; both sides hold the same keys', async () => {
  const world = await established(await openWorld());
  const memberKeys = world.member.keys();
  const hostKeys = world.lines.keys(MEMBER_ID);
  assert.ok(memberKeys && hostKeys);
  const data = '30323030';
  const call = { command: 'generateMac', data } as const;
  const { mac } = await world.memberHsm.call({ ...call, key: memberKeys.mac });
  const check = { command: 'verifyMac', key: hostKeys.mac, data, mac } as const;
  assert.equal((await world.hostHsm.call(check)).valid, true);
  assert.deepEqual(world.states, ['signing', 'established']);
});

test('a key reset that comes again is answered again and never taken again', async () => {
  const world = await established(await openWorld());
  const keys = world.member.keys();
  const taken = () => world.logged.filter((event) => event === 'lineKeyReset').length;
  const before = taken();
  const resets = world.sentByHost.filter((bytes) => toHex(bytes).includes('30383030'));
  assert.equal(resets.length, 2);
  for (const reset of resets) world.links[0]?.[1].send(reset);
  await settled();
  assert.equal(taken(), before);
  assert.deepEqual(world.member.keys(), keys);
  assert.equal(world.member.state, 'established');
});

test('requests go both ways at once, and the answers come back', async () => {
  const world = await established(await openWorld());
  const asked = world.member.request(request('000001'), { timeoutMs: 1_000 });
  const told = world.lines.request(MEMBER_ID, request('000001'), { timeoutMs: 1_000 });
  for (const reply of await Promise.all([asked, told])) {
    assert.ok(reply !== 'timeout');
    assert.equal(reply.mti, '0210');
  }
});

test('before it is established nothing is sent: ERR_LINE_NOT_ESTABLISHED', async () => {
  const world = await openWorld();
  const early = world.member.request(request('000001'), { timeoutMs: 1_000 });
  await assert.rejects(early, code('ERR_LINE_NOT_ESTABLISHED'));
});

test('another zone key: wrong KCV, A0, no keys, again with growing pauses', async () => {
  const world = await openWorld({ wrongZoneKey: true });
  world.member.start();
  await settled();
  assert.equal(world.member.keys(), null);
  assert.equal(world.lines.keys(MEMBER_ID), null);
  assert.ok(world.logged.includes('lineKeyFailed'));
  await world.clock.advance(2_000);
  const tries = world.links.length;
  assert.ok(tries >= 4 && tries <= 7, String(tries));
  await world.clock.advance(2_000);
  assert.ok(world.links.length - tries <= 2, 'pauses grow');
});

test('an institution that is no member is refused with 92 and the connection closed', async () => {
  const clock = new ManualClock();
  const [left, right] = memoryLink();
  const { hsms } = await systemHsms();
  let answered = '';
  left.listen({
    onBytes: (chunk) => {
      answered += String.fromCharCode(...chunk);
    },
    onClose: () => {
      answered += 'closed';
    },
  });
  const lines = new HostLines({
    localId: SWITCH_ID,
    zoneKeys: new Map(),
    ...{ hsm: hsms.switch, clock, random: countingRandom() },
    log: () => undefined,
    onRequest: async () => null,
    onLateReply: () => undefined,
  });
  lines.accept(right);
  const signOn = makeMessage('0820', [
    [7, '1125120000'],
    [11, '000001'],
    [33, '11110000001'],
    [70, '001'],
  ]);
  const header = { destination: SWITCH_ID, source: '11110000001' };
  left.send(encodeFrame(encodeMessage(CUPS_DIALECT, header, signOn)));
  await settled();
  assert.match(answered, /92001.*closed$/s);
});

test('a financial request before the sign-on is not answered', async () => {
  const world = await openWorld();
  let reached = false;
  world.onRequest = async () => {
    reached = true;
    return null;
  };
  const [left, right] = memoryLink();
  left.listen({ onBytes: () => undefined, onClose: () => undefined });
  world.lines.accept(right);
  const header = { destination: SWITCH_ID, source: MEMBER_ID };
  left.send(encodeFrame(encodeMessage(CUPS_DIALECT, header, request('000001'))));
  await settled();
  assert.equal(reached, false);
  assert.ok(world.logged.includes('lineNotEstablished'));
});

test('a lost line: what is in flight is unknown; it connects and signs on again', async () => {
  const world = await established(await openWorld());
  world.onRequest = () => new Promise(() => undefined);
  const asked = world.member.request(request('000001'), { timeoutMs: 60_000 });
  await settled();
  const lost = assert.rejects(asked, code('ERR_LINE_CLOSED'));
  world.links[0]?.[1].close();
  await lost;
  assert.equal(world.member.keys(), null);
  await world.clock.advance(1_000);
  assert.equal(world.member.state, 'established');
  assert.deepEqual(world.states, ['signing', 'established', 'down', 'signing', 'established']);
});

test('a switch that is away is tried up to the longest pause, and found again', async () => {
  const world = await openWorld();
  world.refuse = true;
  world.member.start();
  await world.clock.advance(60_000);
  const failures = world.logged.filter((event) => event === 'lineConnectFailed').length;
  assert.ok(failures >= 8 && failures <= 16, String(failures));
  world.refuse = false;
  await world.clock.advance(15_000);
  assert.equal(world.member.state, 'established');
});

test('an idle line is echoed, a line without echo is taken for lost', async () => {
  const world = await established(await openWorld());
  await world.clock.advance(200_000);
  assert.equal(world.links.length, 1, 'echoes keep both sides content');
  const [memberEnd] = world.links[0] ?? [];
  assert.ok(memberEnd);
  memberEnd.send = () => undefined;
  await world.clock.advance(36_000);
  assert.equal(world.links.length, 2);
  assert.equal(world.member.state, 'established');
});

test('an answer after its time-out goes to onLateReply and is not lost', async () => {
  const world = await established(await openWorld());
  world.onRequest = async (message) => {
    await new Promise<void>((resolve) => world.clock.startTimer(2_000, resolve));
    return answer(message);
  };
  const asked = world.member.request(request('000001'), { timeoutMs: 1_000 });
  await world.clock.advance(1_000);
  assert.equal(await asked, 'timeout');
  await world.clock.advance(1_500);
  assert.equal(world.late[0]?.fields.get(11), '000001');
});

test('a readable frame with an unreadable message is logged and the line stays', async () => {
  const world = await established(await openWorld());
  world.links[0]?.[0].send(encodeFrame(asciiToBytes('junk')));
  await settled();
  assert.ok(world.logged.includes('lineMessageRefused'));
  assert.deepEqual(world.unreadable, ['ERR_ISO8583_TRUNCATED']);
  assert.equal(world.lines.stats(MEMBER_ID).unreadable, 1);
  assert.equal(world.member.state, 'established');
});

test('a broken frame closes the line; a frame that does not end does so in time', async () => {
  const world = await established(await openWorld());
  world.links[0]?.[0].send(asciiToBytes('zzzz'));
  await settled();
  assert.ok(world.logged.includes('lineFault'));
  assert.equal(world.lines.keys(MEMBER_ID), null);
  await world.clock.advance(1_000);
  assert.equal(world.member.state, 'established');
  world.links[1]?.[0].send(asciiToBytes('00'));
  await world.clock.advance(10_000);
  assert.equal(world.lines.keys(MEMBER_ID), null);
});

test('closing waits for work under way, signs off, and does not connect again', async () => {
  const world = await established(await openWorld());
  world.onRequest = async (message) => {
    await new Promise<void>((resolve) => world.clock.startTimer(500, resolve));
    return answer(message);
  };
  const asked = world.member.request(request('000001'), { timeoutMs: 5_000 });
  const closed = world.member.close();
  await world.clock.advance(500);
  assert.notEqual(await asked, 'timeout');
  await closed;
  await world.clock.advance(60_000);
  assert.equal(world.links.length, 1);
  assert.equal(world.member.state, 'closed');
  const after = world.member.request(request('000002'), { timeoutMs: 1 });
  await assert.rejects(after, code('ERR_LINE_NOT_ESTABLISHED'));
});

test('an HSM that fails at the key exchange: no keys until it is back', async () => {
  const world = await openWorld();
  world.memberHsm.fault = new TapError('ERR_HSM_LOST', 'gone');
  world.member.start();
  await settled();
  assert.equal(world.member.keys(), null);
  world.memberHsm.fault = null;
  await world.clock.advance(1_000);
  assert.equal(world.member.state, 'established');
});

test('a member that connects anew replaces its line: new keys, new requests by the new one', async () => {
  const clock = new ManualClock();
  const { hsms, keys } = await systemHsms();
  const seen: string[] = [];
  const lines = new HostLines({
    localId: SWITCH_ID,
    zoneKeys: new Map([[MEMBER_ID, keys.zmkGateway]]),
    ...{ hsm: hsms.switch, clock, random: countingRandom(7), log: () => undefined },
    onRequest: async (memberId, message) => {
      seen.push(memberId);
      return answer(message);
    },
    onLateReply: () => undefined,
    onEstablished: (memberId) => seen.push(`up ${memberId}`),
  });
  const open = (seed: number): MemberLine => {
    const member = new MemberLine({
      ...{ localId: MEMBER_ID, remoteId: SWITCH_ID, zoneKey: keys.zmk, hsm: hsms.gateway, clock },
      random: countingRandom(seed),
      log: () => undefined,
      connect: async () => {
        const [left, right] = memoryLink();
        lines.accept(right);
        return left;
      },
      onRequest: async (message) => withFields(answer(message), [[38, `00000${seed}`]]),
    });
    member.start();
    return member;
  };
  const away = lines.request(MEMBER_ID, request('000001'), { timeoutMs: 1_000 });
  await assert.rejects(away, code('ERR_LINE_NOT_ESTABLISHED'));
  const first = open(1);
  await settled();
  const oldKeys = lines.keys(MEMBER_ID);
  assert.ok(oldKeys);
  const second = open(2);
  await settled();
  assert.notDeepEqual(lines.keys(MEMBER_ID), oldKeys);
  assert.deepEqual(lines.previousKeys(MEMBER_ID), oldKeys, 'for what is under way');
  for (const stan of ['000001', '000002', '000003']) {
    const reply = await lines.request(MEMBER_ID, request(stan), { timeoutMs: 1_000 });
    assert.ok(reply !== 'timeout' && reply.fields.get(38) === '000002');
  }
  await first.close();
  assert.ok(lines.keys(MEMBER_ID), 'the end of the older line does not touch the newer one');
  await second.request(request('000002'), { timeoutMs: 1_000 });
  assert.deepEqual(seen, [`up ${MEMBER_ID}`, `up ${MEMBER_ID}`, MEMBER_ID]);
  void lines.close();
  await clock.advance(2_000);
  assert.equal(lines.keys(MEMBER_ID), null);
  await second.close();
});

test('draining: the member takes no new request, those under way end, both ways, then it signs off', async () => {
  const world = await established(await openWorld());
  world.onRequest = async (message) => {
    const workMs = textField(message, 11) === '000002' ? 800 : 500;
    await new Promise<void>((resolve) => world.clock.startTimer(workMs, resolve));
    return answer(message);
  };
  const asked = world.member.request(request('000001'), { timeoutMs: 5_000 });
  const told = world.lines.request(MEMBER_ID, request('000002'), { timeoutMs: 5_000 });
  await settled();
  const closed = world.member.close({ drainMs: 2_000 });
  assert.equal(world.member.state, 'draining');
  assert.ok(world.member.keys(), 'what is under way still needs its keys');
  const late = world.member.request(request('000003'), { timeoutMs: 5_000 });
  await assert.rejects(late, code('ERR_LINE_NOT_ESTABLISHED'));
  const signOffs = () => world.sentByMember.filter((bytes) => networkCode(bytes) === '002').length;
  await world.clock.advance(499);
  assert.equal(signOffs(), 0, 'the member still waits for an answer');
  await world.clock.advance(1);
  assert.notEqual(await asked, 'timeout');
  assert.equal(signOffs(), 1);
  const more = world.lines.request(MEMBER_ID, request('000004'), { timeoutMs: 5_000 });
  await assert.rejects(more, code('ERR_LINE_NOT_ESTABLISHED'), 'signed off');
  await world.clock.advance(300);
  assert.notEqual(await told, 'timeout', 'what came before the sign-off is answered');
  await closed;
  assert.equal(world.lines.keys(MEMBER_ID), null);
});

test('draining ends when its time is over, whatever is still under way', async () => {
  const world = await established(await openWorld());
  world.onRequest = () => new Promise(() => undefined);
  const asked = world.member.request(request('000001'), { timeoutMs: 60_000 });
  const lost = assert.rejects(asked, code('ERR_LINE_CLOSED'));
  await settled();
  const closed = world.member.close({ drainMs: 2_000 });
  await world.clock.advance(4_100);
  await closed;
  await lost;
});

test('a switch that drains tells its members: nothing new is sent, what is under way ends', async () => {
  const world = await established(await openWorld());
  world.onRequest = async (message) => {
    await new Promise<void>((resolve) => world.clock.startTimer(500, resolve));
    return answer(message);
  };
  const asked = world.member.request(request('000001'), { timeoutMs: 5_000 });
  await settled();
  const closed = world.lines.close({ drainMs: 2_000 });
  await settled();
  assert.equal(world.member.state, 'draining');
  const refused = world.member.request(request('000002'), { timeoutMs: 5_000 });
  await assert.rejects(refused, code('ERR_LINE_NOT_ESTABLISHED'));
  const told = world.lines.request(MEMBER_ID, request('000003'), { timeoutMs: 5_000 });
  await assert.rejects(told, code('ERR_LINE_NOT_ESTABLISHED'));
  await world.clock.advance(500);
  assert.notEqual(await asked, 'timeout');
  await closed;
  await settled();
  assert.equal(world.member.state, 'down', 'and it looks for the switch again');
});

test('half-open: a request without answer and nothing else heard asks for an echo at once', async () => {
  const world = await established(await openWorld());
  const [memberEnd] = world.links[0] ?? [];
  assert.ok(memberEnd);
  memberEnd.send = (bytes) => void world.sentByMember.push(bytes);
  await world.clock.advance(1);
  const asked = world.member.request(request('000001'), { timeoutMs: 1_000 });
  await world.clock.advance(1_000);
  assert.equal(await asked, 'timeout');
  assert.equal(world.sentByMember.map(networkCode).at(-1), '301');
  await world.clock.advance(5_100);
  assert.equal(world.links.length, 2, 'found out after 6 s, not after the idle time');
});

test('half-open: the switch finds a member that has gone, too', async () => {
  const world = await established(await openWorld());
  world.refuse = true;
  const [memberEnd] = world.links[0] ?? [];
  assert.ok(memberEnd);
  memberEnd.send = () => undefined;
  await world.clock.advance(36_000);
  assert.equal(world.lines.keys(MEMBER_ID), null);
});

test('back-off: growing pauses with jitter out of the injected random, the same at every run', async () => {
  const pausesOf = async (): Promise<number[]> => {
    const world = await openWorld();
    const atMs: number[] = [];
    world.refuse = true;
    const member = new MemberLine({
      ...{ localId: MEMBER_ID, remoteId: SWITCH_ID, zoneKey: world.zmk, hsm: world.memberHsm },
      ...{ clock: world.clock, random: countingRandom(5), log: () => undefined },
      connect: () => {
        atMs.push(world.clock.nowMs());
        return world.connect();
      },
    });
    member.start();
    await world.clock.advance(120_000);
    await member.close();
    return atMs.slice(1).map((at, index) => at - (atMs[index] ?? 0));
  };
  const pauses = await pausesOf();
  assert.deepEqual(await pausesOf(), pauses);
  for (const [index, pauseMs] of pauses.entries()) {
    const fullMs = Math.min(15_000, 100 * 2 ** index);
    assert.ok(pauseMs >= fullMs / 2 && pauseMs <= fullMs, `pause ${index}: ${pauseMs}`);
  }
  assert.ok(new Set(pauses.slice(-4)).size > 1, 'jitter');
});

test('counters: what was sent, received, matched, expired and late', async () => {
  const world = await established(await openWorld());
  const before = world.member.stats();
  assert.ok(await world.member.request(request('000001'), { timeoutMs: 1_000 }));
  world.onRequest = async (message) => {
    await new Promise<void>((resolve) => world.clock.startTimer(2_000, resolve));
    return answer(message);
  };
  const asked = world.member.request(request('000002'), { timeoutMs: 1_000 });
  assert.equal(world.member.stats().inFlight, 1);
  await world.clock.advance(3_000);
  assert.equal(await asked, 'timeout');
  const { sent, received, matched, expired, late, unmatched, inFlight } = world.member.stats();
  const grown = { matched: matched - before.matched, received: received - before.received };
  // The expired request made the member echo, too.
  assert.deepEqual(grown, { matched: 2, received: 3 });
  assert.equal(sent - before.sent, 3);
  assert.deepEqual(
    { expired, late, unmatched, inFlight },
    { expired: 1, late: 1, unmatched: 0, inFlight: 0 },
  );
});

function networkCode(frame: Uint8Array): string | undefined {
  return textField(decodeMessage(CUPS_DIALECT, frame.subarray(4)), 70);
}
