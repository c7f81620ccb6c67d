/**
 * Shows that what users reported of other programs' lines does not happen here, with bytes of our
 * own. @see docs/specs.md, ISO 8583; the numbers are the rows of the table of reports
 */
import assert from 'node:assert/strict';
import { connect as connectSocket, type Socket } from 'node:net';
import { test } from 'node:test';
import { concatBytes, fromHex } from '@tapnpay/protocol/bytes';
import {
  CUPS_DIALECT,
  type DecodedMessage,
  decodeMessage,
  encodeMessage,
  type Iso8583Message,
  makeMessage,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import {
  encodeFrame,
  FrameDecoder,
  HostLines,
  listenTcp,
  memoryLink,
  messagePair,
} from './index.ts';
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
  type World,
} from './line.test-kit.ts';

const TO_MEMBER = { destination: MEMBER_ID, source: SWITCH_ID };
const TO_SWITCH = { destination: SWITCH_ID, source: MEMBER_ID };

/** Bytes of one frame. */
function frameOf(message: Iso8583Message, header = TO_MEMBER): Uint8Array {
  return encodeFrame(encodeMessage(CUPS_DIALECT, header, message));
}

/** Brings bytes to the member as they are. */
function bring(world: World, bytes: Uint8Array): void {
  world.links.at(-1)?.[1].send(bytes);
}

test('row 14: messages that came before the line listened are read first, in order, and none is off by one', async () => {
  const [left, right] = memoryLink();
  const heard: string[] = [];
  const signOn = makeMessage('0820', [
    [7, '1125120000'],
    [11, '000001'],
    [33, MEMBER_ID],
    [70, '001'],
  ]);
  const echoes = ['000002', '000003', '000004'].map((stan) =>
    withFields(signOn, [
      [11, stan],
      [70, '301'],
    ]),
  );
  left.listen({
    onBytes: (chunk) => {
      const reply = decodeMessage(CUPS_DIALECT, chunk.subarray(4));
      if (reply.mti === '0830') heard.push(textField(reply, 11) ?? '');
    },
    onClose: () => undefined,
  });
  for (const message of [signOn, ...echoes]) left.send(frameOf(message, TO_SWITCH));
  await settled();
  const { hsms, keys } = await systemHsms();
  const lines = new HostLines({
    localId: SWITCH_ID,
    zoneKeys: new Map([[MEMBER_ID, keys.zmkGateway]]),
    ...{ hsm: hsms.switch, clock: new ManualClock(), random: countingRandom() },
    log: () => undefined,
    onRequest: async () => null,
    onLateReply: () => undefined,
  });
  lines.accept(right);
  await settled();
  assert.deepEqual(heard, ['000001', '000002', '000003', '000004']);
});

test('row 18: a request that was accepted and never answered ends by itself, and is counted', async () => {
  const world = await established(await openWorld());
  world.onRequest = () => new Promise(() => undefined);
  const asked = world.member.request(request('000001'), { timeoutMs: 12_000 });
  await world.clock.advance(12_000);
  assert.equal(await asked, 'timeout', 'the party reverses it');
  assert.equal(world.member.stats().expired, 1);
  assert.equal(world.member.stats().inFlight, 0);
});

test('row 28: a POS frame is length, TPDU and message; the length counts both', () => {
  // TPDU, 6-byte header, 0800, a bitmap with fields 3 and 11, processing code, trace number.
  const body = fromHex('6000030000 603100311312 0800 2020000000000000 000000 000123');
  const frame = encodeFrame(body, 'binary2');
  assert.deepEqual([...frame.subarray(0, 2)], [0, body.length]);
  const [got] = new FrameDecoder('binary2').push(frame);
  assert.deepEqual([...(got ?? [])], [...body]);
});

test('row 31: an answer without F41, or without F7, reaches its request and is no time-out', async () => {
  const world = await established(await openWorld());
  for (const [index, field] of [41, 7].entries()) {
    world.onRequest = async (message) => withFields(answer(message), [[field, undefined]]);
    const asked = world.member.request(request(`00000${index}`), { timeoutMs: 1_000 });
    await settled();
    const reply = await asked;
    assert.ok(reply !== 'timeout' && !reply.fields.has(field));
  }
  // Not even F11: nothing can be meant, and it is not lost.
  world.onRequest = () => new Promise(() => undefined);
  const asked = world.member.request(request('000009'), { timeoutMs: 1_000 });
  bring(world, frameOf(withFields(answer(request('000009')), [[11, undefined]])));
  await world.clock.advance(1_000);
  assert.equal(await asked, 'timeout');
  assert.equal(world.late.length, 1);
  assert.equal(world.member.stats().unmatched, 1);
});

test('row 32: of three identical reversals in flight two are refused with a code, one is answered', async () => {
  const world = await established(await openWorld());
  world.onRequest = async (message) => {
    await new Promise<void>((resolve) => world.clock.startTimer(100, resolve));
    return answer(message);
  };
  const reversal = (mti: string): Iso8583Message => ({ ...request('000001'), mti });
  const first = world.member.request(reversal('0420'), { timeoutMs: 1_000 });
  for (const mti of ['0420', '0421']) {
    const again = world.member.request(reversal(mti), { timeoutMs: 1_000 });
    await assert.rejects(again, code('ERR_LINE_DUPLICATE'));
  }
  await world.clock.advance(100);
  const reply = await first;
  assert.ok(reply !== 'timeout' && reply.mti === '0430');
  assert.equal(world.member.stats().duplicates, 2);
  const repeat = world.member.request(reversal('0421'), { timeoutMs: 1_000 });
  await world.clock.advance(100);
  assert.notEqual(await repeat, 'timeout', 'after the answer the key is free again');
});

test('row 35: four-character length, in 1-byte reads and with two messages in one packet', async () => {
  const world = await established(await openWorld());
  world.onRequest = () => new Promise(() => undefined);
  const asked = ['000001', '000002', '000003'].map((stan) =>
    world.member.request(request(stan), { timeoutMs: 1_000 }),
  );
  await settled();
  const [one, two, three] = ['000001', '000002', '000003'].map((stan) =>
    frameOf(answer(request(stan))),
  );
  assert.ok(one && two && three);
  assert.equal(String.fromCharCode(...one.subarray(0, 4)), String(one.length - 4).padStart(4, '0'));
  for (const byte of one) bring(world, Uint8Array.of(byte));
  bring(world, concatBytes(two, three.subarray(0, 9)));
  bring(world, three.subarray(9));
  await settled();
  for (const reply of await Promise.all(asked)) assert.notEqual(reply, 'timeout');
});

test('row 38: one bad field closes no line: it is counted, handed over, and traffic goes on', async () => {
  const world = await established(await openWorld());
  const good = frameOf(answer(request('000001')));
  const bad = good.slice();
  // A letter in field 7, which is digits.
  bad[String.fromCharCode(...bad).indexOf('1125120000')] = 0x58;
  world.onRequest = () => new Promise(() => undefined);
  const asked = world.member.request(request('000001'), { timeoutMs: 1_000 });
  await settled();
  bring(world, concatBytes(bad, good));
  await settled();
  assert.notEqual(await asked, 'timeout');
  assert.equal(world.unreadable.length, 1);
  assert.equal(world.member.stats().unreadable, 1);
  assert.equal(world.links.length, 1);
});

test('row 38: a line that is lost is made again', async () => {
  const world = await established(await openWorld());
  world.links[0]?.[1].close();
  await world.clock.advance(1_000);
  assert.equal(world.links.length, 2);
  assert.equal(world.member.state, 'established');
});

test('row 38: a normal close is no error', async () => {
  const world = await established(await openWorld());
  const closed = world.member.close();
  await settled();
  await closed;
  const errors = world.logged.filter((event) => /Fault|Failed|Refused|lineLost/.test(event));
  assert.deepEqual(errors, []);
});

test('row 38: what else the header says makes no answer unmatched', async () => {
  const world = await established(await openWorld());
  world.onRequest = () => new Promise(() => undefined);
  const asked = world.member.request(request('000001'), { timeoutMs: 1_000 });
  await settled();
  const header = { ...TO_MEMBER, batchNumber: 17, transactionInfo: 'ABCD0001', userInfo: 9 };
  bring(world, frameOf(answer(request('000001')), header));
  await settled();
  assert.notEqual(await asked, 'timeout');
});

test('row 38: a message that comes back with a reject code fails its caller at once', async () => {
  const world = await established(await openWorld());
  world.onRequest = () => new Promise(() => undefined);
  const asked = world.member.request(request('000001'), { timeoutMs: 60_000 });
  await settled();
  bring(
    world,
    frameOf(request('000001'), { ...TO_MEMBER, rejectCode: '00431' } as typeof TO_MEMBER),
  );
  await assert.rejects(
    asked,
    (fault) => code('ERR_LINE_REJECTED')(fault) && /00431/.test(String(fault)),
  );
  assert.equal(world.member.stats().rejected, 1);
  // One that answers nothing of ours is not answered as a request, either.
  const before = world.sentByMember.length;
  bring(
    world,
    frameOf(request('000002'), { ...TO_MEMBER, rejectCode: '00431' } as typeof TO_MEMBER),
  );
  await settled();
  assert.equal(world.sentByMember.length, before);
  assert.equal(world.member.state, 'established');
});

test('match: 0110 answers 0100, never 0410; a repeat has the key of the first', () => {
  assert.equal(messagePair('0110'), messagePair('0100'));
  assert.notEqual(messagePair('0410'), messagePair('0100'));
  assert.equal(messagePair('0421'), messagePair('0430'));
});

test('match: lines share trace number, time and terminal; each has its own answers', async () => {
  const worlds = await Promise.all([0, 1, 2, 3].map(async () => established(await openWorld())));
  for (const [index, world] of worlds.entries()) {
    world.onRequest = async (message) => withFields(answer(message), [[38, `00000${index}`]]);
  }
  for (let stan = 0; stan < 250; stan++) {
    const message = request(String(stan).padStart(6, '0'));
    const asked = worlds.map(({ member }) => member.request(message, { timeoutMs: 1_000 }));
    for (const [index, reply] of (await Promise.all(asked)).entries()) {
      assert.ok(reply !== 'timeout');
      assert.equal(reply.fields.get(38), `00000${index}`);
    }
  }
});

test('late: an answer 1 ms before the time-out is taken, 1 ms after it the handler hears it once', async () => {
  const world = await established(await openWorld());
  for (const [index, delayMs] of [999, 1_001].entries()) {
    world.onRequest = async (message) => {
      await new Promise<void>((resolve) => world.clock.startTimer(delayMs, resolve));
      return answer(message);
    };
    const asked = world.member.request(request(`00000${index}`), { timeoutMs: 1_000 });
    await world.clock.advance(2_000);
    assert.equal((await asked) === 'timeout', delayMs > 1_000);
  }
  assert.deepEqual(
    world.late.map((message: DecodedMessage) => textField(message, 11)),
    ['000001'],
  );
  const { late, unmatched, expired } = world.member.stats();
  assert.deepEqual({ late, unmatched, expired }, { late: 1, unmatched: 0, expired: 1 });
});

test('line care: one byte every few seconds does not hold a line beyond the time of a frame', async () => {
  const world = await established(await openWorld());
  const frame = frameOf(answer(request('000001')));
  for (const byte of frame.subarray(0, 4)) {
    bring(world, Uint8Array.of(byte));
    await world.clock.advance(3_000);
  }
  await world.clock.advance(200);
  assert.equal(world.links.length, 2, 'the line was closed 10 s after the first byte');
  assert.ok(world.logged.includes('lineLost'));
});

test('line care: slow frames that end in time hold the line, however many there are', async () => {
  const world = await established(await openWorld());
  for (let turn = 0; turn < 3; turn++) {
    const frame = frameOf(answer(request('000001')));
    bring(world, frame.subarray(0, 20));
    await world.clock.advance(9_000);
    bring(world, frame.subarray(20));
    await settled();
  }
  assert.equal(world.links.length, 1);
  assert.equal(world.late.length, 3);
});

test('line care: keep-alives of length 0 are no life: an echo is still asked for', async () => {
  const world = await established(await openWorld());
  for (let second = 0; second < 40; second++) {
    bring(world, Uint8Array.of(0x30, 0x30, 0x30, 0x30));
    await world.clock.advance(1_000);
  }
  const codes = world.sentByMember.map((bytes) =>
    textField(decodeMessage(CUPS_DIALECT, bytes.subarray(4)), 70),
  );
  assert.ok(codes.includes('301'));
  assert.equal(world.member.stats().keepAlives, 40);
  assert.equal(world.member.state, 'established');
});

test('line care: lengths 9999 and 65535 and letters close the line with ERR_LINE_FRAME', async () => {
  for (const wrong of ['39393939', 'FFFFFFFF', '41424344']) {
    const world = await established(await openWorld());
    bring(world, fromHex(wrong));
    await settled();
    assert.equal(world.member.state, 'down');
    assert.ok(world.logged.includes('lineFault'));
  }
});

test('line care: nothing but the sign-on is sent before the keys are there', async () => {
  const world = await openWorld();
  world.member.start();
  const early = world.member.request(request('000001'), { timeoutMs: 1_000 });
  await assert.rejects(early, code('ERR_LINE_NOT_ESTABLISHED'));
  await settled();
  const mtis = world.sentByMember.map(
    (bytes) => decodeMessage(CUPS_DIALECT, bytes.subarray(4)).mti,
  );
  assert.deepEqual(mtis, ['0820', '0810', '0810']);
});

test('line care over real sockets: 1-byte writes, half a frame and a reset leave other lines alone', async () => {
  const { hsms, keys } = await systemHsms();
  const clock = new ManualClock();
  const lines = new HostLines({
    localId: SWITCH_ID,
    zoneKeys: new Map([[MEMBER_ID, keys.zmkGateway]]),
    ...{ hsm: hsms.switch, clock, random: countingRandom() },
    log: () => undefined,
    onRequest: async () => null,
    onLateReply: () => undefined,
  });
  const listener = await listenTcp({
    port: 0,
    onTransport: (transport) => lines.accept(transport),
  });
  const echo = makeMessage('0820', [
    [7, '1125120000'],
    [11, '000001'],
    [33, MEMBER_ID],
    [70, '301'],
  ]);
  const frame = frameOf(echo, TO_SWITCH);
  const open = async (): Promise<Socket> => {
    const socket = connectSocket({ port: listener.port, host: '127.0.0.1', noDelay: true });
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.on('error', () => undefined);
    return socket;
  };
  const [slow, broken] = [await open(), await open()];
  broken.write(frame.subarray(0, 9));
  const answered = new Promise<Uint8Array>((resolve) => slow.once('data', resolve));
  for (const byte of frame) {
    slow.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  broken.resetAndDestroy();
  const reply = decodeMessage(CUPS_DIALECT, (await answered).subarray(4));
  assert.equal(textField(reply, 39), '00');
  slow.destroy();
  await lines.close();
  await listener.close();
});
