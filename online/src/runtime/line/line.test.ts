/**
 * Shows frames, matching, sign-on with key exchange, echo, reconnection and closing of a line,
 * with both ends in this process on a clock in the test's hand.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asciiToBytes, concatBytes, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  CUPS_DIALECT,
  type DecodedMessage,
  encodeMessage,
  type Iso8583Message,
  makeMessage,
  responseMti,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { nodeCiphers } from '@tapnpay/protocol/node';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import fc from 'fast-check';
import { createHsmContext, formSystemKeys, inProcessHsm } from '../../hsm/index.ts';
import {
  encodeFrame,
  FrameDecoder,
  HostLine,
  HostLines,
  LineError,
  type LineState,
  MemberLine,
  Multiplexer,
  memoryLink,
  type Transport,
} from './index.ts';
import { breakableHsm, countingRandom, ManualClock, settled } from './line.test-kit.ts';

const SWITCH_ID = '00010000000';
const MEMBER_ID = '49990000001';
const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof LineError && thrown.code === wanted;

function request(stan: string, terminal = '00000001'): Iso8583Message {
  return makeMessage('0200', [
    [7, '1125120000'],
    [11, stan],
    [32, MEMBER_ID],
    [41, terminal],
  ]);
}
function answer(message: Iso8583Message): Iso8583Message {
  return { ...withFields(message, [[39, '00']]), mti: responseMti(message.mti) };
}
const HEADER = {
  destination: MEMBER_ID,
  source: SWITCH_ID,
  batchNumber: 0,
  transactionInfo: '00000000',
  userInfo: 0,
  rejectCode: '00000',
};
const received = (message: Iso8583Message): DecodedMessage => ({ ...message, header: HEADER });

// --- Frames ---

test('frames: every cut of a stream gives the same messages (fast-check)', () => {
  const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 5 });
  fc.assert(
    fc.property(bodies, fc.integer({ min: 1, max: 70 }), (messages, step) => {
      const stream = concatBytes(...messages.map(encodeFrame));
      const decoder = new FrameDecoder();
      const got: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += step) {
        got.push(...decoder.push(stream.subarray(at, at + step)));
      }
      assert.deepEqual(
        got.map((body) => [...body]),
        messages.map((body) => [...body]),
      );
      assert.equal(decoder.heldBytes, 0);
    }),
  );
});

test('frames: length 0, over-long and non-numeric are refused, at the first wrong digit', () => {
  for (const wrong of ['0000', '9999', '4097', '00-1', '+100', ' 100', '1E02', 'x']) {
    const push = () => [...new FrameDecoder().push(asciiToBytes(wrong))];
    assert.throws(push, code('ERR_LINE_FRAME'), wrong);
  }
  assert.throws(() => encodeFrame(new Uint8Array(0)), code('ERR_LINE_FRAME'));
  assert.throws(() => encodeFrame(new Uint8Array(4097)), code('ERR_LINE_FRAME'));
});

test('frames: messages before a broken one are delivered', () => {
  const seen: Uint8Array[] = [];
  const chunk = concatBytes(encodeFrame(Uint8Array.of(7)), asciiToBytes('zzzz'));
  assert.throws(() => {
    for (const body of new FrameDecoder().push(chunk)) seen.push(body);
  }, code('ERR_LINE_FRAME'));
  assert.equal(seen.length, 1);
});

// --- Matching ---

test('matching: shuffled answers find their requests, also with equal trace numbers', async () => {
  const multiplexer = new Multiplexer(new ManualClock());
  const requests = ['000001', '000002', '000003'].flatMap((stan) => [
    request(stan, '00000001'),
    request(stan, '00000002'),
  ]);
  const waiting = requests.map((message) => multiplexer.expect(message, 1_000));
  for (const message of requests.toReversed()) {
    assert.equal(multiplexer.settle(received(answer(message))), true);
  }
  const replies = await Promise.all(waiting);
  for (const [index, reply] of replies.entries()) {
    assert.notEqual(reply, 'timeout');
    if (reply === 'timeout') continue;
    assert.equal(reply.fields.get(11), requests[index]?.fields.get(11));
    assert.equal(reply.fields.get(41), requests[index]?.fields.get(41));
  }
  assert.equal(multiplexer.inFlight, 0);
});

test('matching: an answer without F41 is taken when one can be meant, never guessed', async () => {
  const multiplexer = new Multiplexer(new ManualClock());
  const bare = received(withFields(answer(request('000001')), [[41, undefined]]));
  const first = multiplexer.expect(request('000001', '00000001'), 1_000);
  const second = multiplexer.expect(request('000001', '00000002'), 1_000);
  assert.equal(multiplexer.settle(bare), false);
  assert.equal(multiplexer.settle(received(answer(request('000001', '00000002')))), true);
  assert.equal(multiplexer.settle(bare), true);
  await Promise.all([first, second]);
});

test('matching: a duplicate key in flight is refused; another class or time is not it', () => {
  const multiplexer = new Multiplexer(new ManualClock());
  void multiplexer.expect(request('000001'), 1_000);
  assert.throws(() => multiplexer.expect(request('000001'), 1_000), code('ERR_LINE_DUPLICATE'));
  void multiplexer.expect({ ...request('000001'), mti: '0420' }, 1_000);
  void multiplexer.expect(withFields(request('000001'), [[7, '1125120001']]), 1_000);
  assert.equal(multiplexer.inFlight, 3);
  assert.equal(multiplexer.settle(received(answer(request('000009')))), false);
});

test('matching: time-out, then the answer is late; a lost line fails all', async () => {
  const clock = new ManualClock();
  const multiplexer = new Multiplexer(clock);
  const waiting = multiplexer.expect(request('000001'), 1_000);
  await clock.advance(1_000);
  assert.equal(await waiting, 'timeout');
  assert.equal(multiplexer.settle(received(answer(request('000001')))), false);
  const lost = multiplexer.expect(request('000002'), 1_000);
  multiplexer.failAll(new LineError('ERR_LINE_CLOSED', 'lost'));
  await assert.rejects(lost, code('ERR_LINE_CLOSED'));
});

// --- Lines ---

type World = Awaited<ReturnType<typeof openWorld>>;

/** A member and the switch, each with its own HSM; `links` are the connections made so far. */
async function openWorld(facts: { readonly wrongZoneKey?: boolean } = {}) {
  const clock = new ManualClock();
  const { hsms, keys } = await systemHsms();
  const hostHsm = breakableHsm(hsms.switch);
  const memberHsm = breakableHsm(hsms.gateway);
  const logged: string[] = [];
  const links: (readonly [Transport, Transport])[] = [];
  const hosts: HostLine[] = [];
  const states: LineState[] = [];
  const late: DecodedMessage[] = [];
  const sentByHost: Uint8Array[] = [];
  const world = {
    ...{ clock, hostHsm, memberHsm, logged, links, hosts, states, late, sentByHost },
    refuse: false,
    onRequest: async (message: Iso8583Message): Promise<Iso8583Message | null> => answer(message),
  };
  const host = {
    localId: SWITCH_ID,
    zoneKeys: new Map<string, KeyBlock>([
      [MEMBER_ID, facts.wrongZoneKey ? keys.zmkIssuer : keys.zmkGateway],
    ]),
    ...{ hsm: hostHsm, clock, random: countingRandom(7) },
    log: (record: { event: string }) => logged.push(record.event),
    onRequest: (_line: HostLine, message: DecodedMessage) => world.onRequest(message),
    onLateReply: () => undefined,
  };
  const member = new MemberLine({
    localId: MEMBER_ID,
    remoteId: SWITCH_ID,
    zoneKey: keys.zmk,
    ...{ hsm: memberHsm, clock, random: countingRandom(9) },
    log: (record) => logged.push(record.event),
    connect: async () => {
      if (world.refuse) throw new LineError('ERR_LINE_CONNECT', 'refused');
      const link = memoryLink();
      links.push(link);
      const send = link[1].send.bind(link[1]);
      link[1].send = (bytes) => {
        sentByHost.push(bytes.slice());
        send(bytes);
      };
      hosts.push(new HostLine(link[1], host));
      return link[0];
    },
    onLateReply: (message) => late.push(message),
    onRequest: (message) => world.onRequest(message),
    onState: (state) => states.push(state),
  });
  return Object.assign(world, { member });
}

async function systemHsms() {
  const random = countingRandom(3);
  const make = (party: 'gateway' | 'switch' | 'issuer') =>
    createHsmContext({ lmk: random.bytes(32), ciphers: nodeCiphers, random, party });
  const contexts = { gateway: make('gateway'), switch: make('switch'), issuer: make('issuer') };
  const files = await formSystemKeys((party) => inProcessHsm(contexts[party], 'ceremony'), random);
  const hsms: Readonly<Record<'gateway' | 'switch', Hsm>> = {
    gateway: inProcessHsm(contexts.gateway, 'gateway'),
    switch: inProcessHsm(contexts.switch, 'switch'),
  };
  const keys = {
    zmk: files.gateway.keys.zmk.keyBlock,
    zmkGateway: files.switch.keys.zmkGateway.keyBlock,
    zmkIssuer: files.switch.keys.zmkIssuer.keyBlock,
  };
  return { hsms, keys };
}

async function established(world: World): Promise<World> {
  world.member.start();
  await settled();
  assert.equal(world.member.state, 'established');
  return world;
}

test('sign-on 0820/001, then PIN and MAC key 0800/101; both sides hold the same keys', async () => {
  const world = await established(await openWorld());
  const memberKeys = world.member.keys();
  const hostKeys = world.hosts[0]?.keys();
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
  const told = world.hosts[0]?.request(request('000001'), { timeoutMs: 1_000 });
  for (const reply of await Promise.all([asked, told])) {
    assert.ok(reply && reply !== 'timeout');
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
  assert.equal(world.hosts[0]?.keys(), null);
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
  const logged: string[] = [];
  let answered = '';
  left.listen({
    onBytes: (chunk) => {
      answered += String.fromCharCode(...chunk);
    },
    onClose: () => {
      answered += 'closed';
    },
  });
  new HostLine(right, {
    localId: SWITCH_ID,
    zoneKeys: new Map(),
    ...{ hsm: hsms.switch, clock, random: countingRandom() },
    log: (record) => logged.push(record.event),
    onRequest: async () => null,
    onLateReply: () => undefined,
  });
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
  const { hsms } = await systemHsms();
  new HostLine(right, {
    localId: SWITCH_ID,
    zoneKeys: new Map(),
    ...{ hsm: hsms.switch, clock: world.clock, random: countingRandom() },
    log: (record) => world.logged.push(record.event),
    onRequest: (_line, message) => world.onRequest(message),
    onLateReply: () => undefined,
  });
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
  assert.equal(world.member.state, 'established');
});

test('a broken frame closes the line; a frame that does not end does so in time', async () => {
  const world = await established(await openWorld());
  world.links[0]?.[0].send(asciiToBytes('zzzz'));
  await settled();
  assert.ok(world.logged.includes('lineFault'));
  assert.equal(world.hosts[0]?.keys(), null);
  await world.clock.advance(1_000);
  assert.equal(world.member.state, 'established');
  world.links[1]?.[0].send(asciiToBytes('00'));
  await world.clock.advance(10_000);
  assert.equal(world.hosts[1]?.keys(), null);
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

test('lines of a switch: a member that connects anew replaces its line', async () => {
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
  const reply = await lines.request(MEMBER_ID, request('000001'), { timeoutMs: 1_000 });
  assert.ok(reply !== 'timeout' && reply.fields.get(38) === '000002');
  await first.close();
  assert.ok(lines.keys(MEMBER_ID), 'the end of the older line does not touch the newer one');
  await second.request(request('000002'), { timeoutMs: 1_000 });
  assert.deepEqual(seen, [`up ${MEMBER_ID}`, `up ${MEMBER_ID}`, MEMBER_ID]);
  await lines.close();
  await settled();
  assert.equal(lines.keys(MEMBER_ID), null);
  await second.close();
});
