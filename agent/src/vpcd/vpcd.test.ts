/** The card behind vpcd's wire: frames cut anywhere, power, order, removal, both ways round. */
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import fc from 'fast-check';
import type { ChipCard } from '../readers/index.ts';
import { VpcdDecoder, vpcdFrame } from './frames.ts';
import { hasQuickRoute, insertIntoVpcd, listenForVpcd } from './index.ts';
import type { VpcdServer } from './offer.ts';

const ATR = fromHex('3B6700005441504E504159');
const POWER_OFF = fromHex('000100');
const POWER_ON = fromHex('000101');
const RESET = fromHex('000102');
const GET_ATR = fromHex('000104');
const frame = (hex: string) => vpcdFrame(fromHex(hex));

/** Answers each APDU with its second byte and the number since the last power. */
function testCard(events: string[] = []): ChipCard {
  let count = 0;
  return {
    interface: 'contact',
    reset: () => {
      events.push('reset');
      count = 0;
      return ATR;
    },
    transmit: async (command) => {
      if (command[1] === 0xee) throw new Error('lifted');
      if (command[1] === 0xff) return new Uint8Array(70_000);
      await new Promise((resolve) => setTimeout(resolve, command[1] === 1 ? 5 : 0));
      count += 1;
      return Uint8Array.of(command[1] ?? 0, count, 0x90, 0x00);
    },
  };
}

/** vpcd's side: what arrives, until `bytes` are there. */
async function exchange(socket: Socket, sent: Uint8Array, lengthBytes: number): Promise<string> {
  let got = new Uint8Array(0);
  const arrived = new Promise<void>((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      got = concatBytes(got, new Uint8Array(chunk)) as Uint8Array<ArrayBuffer>;
      if (got.length < lengthBytes) return;
      socket.off('data', onData);
      resolve();
    };
    socket.on('data', onData);
    socket.once('close', () => reject(new Error('closed')));
  });
  socket.write(sent);
  await arrived;
  return toHex(got);
}

async function calling(server: VpcdServer): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: server.port, noDelay: true });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}
const closing = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));

test('frames come apart the same however the stream is cut', () => {
  const body = fc.uint8Array({ minLength: 0, maxLength: 40 });
  fc.assert(
    fc.property(
      fc.array(body, { maxLength: 8 }),
      fc.integer({ min: 1, max: 9 }),
      (bodies, step) => {
        const stream = concatBytes(...bodies.map(vpcdFrame));
        const whole = new VpcdDecoder().push(stream);
        const decoder = new VpcdDecoder();
        const cut = [];
        for (let at = 0; at < stream.length; at += step) {
          cut.push(...decoder.push(stream.subarray(at, at + step)));
        }
        assert.deepEqual(cut, whole);
        assert.equal(whole.length, bodies.length);
      },
    ),
  );
});

test('words of power and APDUs; a word of no meaning, and an empty one, are no APDU', () => {
  const stream = concatBytes(
    POWER_OFF,
    POWER_ON,
    RESET,
    GET_ATR,
    fromHex('000103'),
    fromHex('0000'),
    frame('00A40000'),
  );
  assert.deepEqual(
    new VpcdDecoder().push(stream).map(({ type }) => type),
    ['powerOff', 'powerOn', 'reset', 'getAtr', 'unknown', 'unknown', 'apdu'],
  );
  assert.throws(() => vpcdFrame(new Uint8Array(65_536)), RangeError);
});

test('reverse: vpcd calls; ATR, APDUs in order, power starts the card anew', async () => {
  const events: string[] = [];
  const server = await listenForVpcd({ host: '127.0.0.1', port: 0 });
  server.insert(testCard(events), { onActivity: (activity) => events.push(activity) });
  const socket = await calling(server);
  assert.equal(await exchange(socket, GET_ATR, 13), toHex(vpcdFrame(ATR)));
  // The first takes longer than the second: the answers keep their order.
  const both = concatBytes(POWER_ON, frame('00010000'), frame('00020000'));
  assert.equal(await exchange(socket, both, 12), '00040101900000040202' + '9000');
  assert.equal(await exchange(socket, concatBytes(RESET, frame('00030000')), 6), '000403019000');
  assert.deepEqual(events, [
    ...['reset', 'powerOn', 'reset', 'apdu', 'apdu', 'reset', 'reset', 'apdu'],
  ]);
  const closed = closing(socket);
  server.remove();
  await closed;
  await server.close();
});

test('reverse: an empty slot and a second caller are turned away; a new card is taken', async () => {
  const server = await listenForVpcd({ host: '127.0.0.1', port: 0 });
  const early = await calling(server);
  await closing(early);
  server.insert(testCard());
  const first = await calling(server);
  await exchange(first, GET_ATR, 13);
  const second = await calling(server);
  await closing(second);
  const gone = closing(first);
  server.insert(testCard());
  await gone;
  const third = await calling(server);
  assert.equal(await exchange(third, GET_ATR, 13), toHex(vpcdFrame(ATR)));
  await assert.rejects(listenForVpcd({ host: '127.0.0.1', port: server.port }), {
    code: 'ERR_READER_IN_USE',
  });
  third.destroy();
  await server.close();
});

test('a card that cannot answer is out of the slot: nothing false is said for it', async () => {
  const server = await listenForVpcd({ host: '127.0.0.1', port: 0 });
  let ends = 0;
  server.insert(testCard(), { onClosed: () => ends++ });
  const socket = await calling(server);
  const closed = closing(socket);
  socket.write(concatBytes(POWER_ON, frame('00EE0000')));
  await closed;
  await server.close();
  assert.equal(ends, 1);
});

test('an answer that the wire cannot carry is 6F00', async () => {
  const server = await listenForVpcd({ host: '127.0.0.1', port: 0 });
  server.insert(testCard());
  const socket = await calling(server);
  assert.equal(await exchange(socket, frame('00FF0000'), 4), '00026F00');
  socket.destroy();
  await server.close();
});

test('inserting into a vpcd that listens; our end takes the card out', async () => {
  let accept = (_: Socket) => {};
  const accepted = new Promise<Socket>((resolve) => {
    accept = resolve;
  });
  const vpcd = createServer((socket) => accept(socket));
  await new Promise<void>((resolve) => vpcd.listen(0, '127.0.0.1', resolve));
  const { port } = vpcd.address() as { port: number };
  const offered = await insertIntoVpcd(testCard(), { host: '127.0.0.1', port });
  const socket = await accepted;
  socket.on('error', () => {});
  assert.equal(await exchange(socket, GET_ATR, 13), toHex(vpcdFrame(ATR)));
  const closed = closing(socket);
  await offered.close();
  await closed;
  vpcd.close();
  await assert.rejects(insertIntoVpcd(testCard(), { host: '127.0.0.1', port }), {
    code: 'ERR_READER_GONE',
  });
});

test('the route without delay is told from the one with', () => {
  const plain = 'local 127.0.0.0/8 dev lo proto kernel scope host src 127.0.0.1\n';
  assert.equal(hasQuickRoute(plain), false);
  assert.equal(hasQuickRoute(`${plain}local 127.77.0.0/16 dev lo scope host\n`), false);
  assert.equal(hasQuickRoute(`${plain}local 127.77.0.0/16 dev lo scope host quickack 1\n`), true);
});
