/** Shows that each fault of a way strikes as it says, and that a healed way is straight again. */
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { encodeFrame, FrameDecoder } from '../../online/src/runtime/index.ts';
import { FaultProxy, type WayFault, type WayKind } from './proxy.ts';

const HEADER = 'H'.repeat(46);

/** A peer that keeps what it gets, behind a way. */
async function behind(kind: WayKind) {
  const connections: { readonly socket: Socket; bytes: Buffer; ended: boolean }[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = { socket, bytes: Buffer.alloc(0), ended: false };
    connections.push(connection);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      connection.bytes = Buffer.concat([connection.bytes, chunk]);
    });
    socket.on('end', () => {
      connection.ended = true;
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const proxy = await FaultProxy.open(port, kind);
  const open = async (): Promise<Socket> => {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => undefined);
    await new Promise<void>((done) => socket.once('connect', done));
    return socket;
  };
  const close = async (): Promise<void> => {
    await proxy.close();
    for (const { socket } of connections) socket.destroy();
    await new Promise((done) => server.close(done));
  };
  return { proxy, connections, open, close };
}

const soon = (): Promise<void> => new Promise((done) => setTimeout(done, 60));

/** What arrives of six messages that go one after another. */
async function arriving(fault: WayFault | null, mti: string): Promise<string> {
  const { proxy, connections, open, close } = await behind('frames');
  try {
    if (fault) proxy.strike(fault);
    const socket = await open();
    for (const name of ['1', '2', '3', '4', '5', '6']) {
      socket.write(encodeFrame(Buffer.from(`${HEADER}${mti}${name}`)));
      await soon();
    }
    const decoder = new FrameDecoder();
    const bodies = [...decoder.push(Uint8Array.from(connections[0]?.bytes ?? []))];
    return bodies.map((body) => String.fromCharCode(...body.slice(-1))).join('');
  } finally {
    await close();
  }
}

test('on a line between institutions it strikes at messages', async () => {
  assert.equal(await arriving(null, '0200'), '123456');
  assert.equal(await arriving('drop', '0200'), '1245');
  assert.equal(await arriving('duplicate', '0210'), '12334566');
  assert.equal(await arriving('reorder', '0420'), '12435', 'the sixth still waits');
  assert.equal(await arriving('delay', '0220'), '1245', 'the others come seconds later');
  assert.equal(await arriving('drop', '0820'), '123456', 'network management passes');
});

test('a half-closed line: one side hears the end, the other does not, until it is healed', async () => {
  const { proxy, connections, open, close } = await behind('frames');
  try {
    proxy.strike('halfClose');
    const socket = await open();
    let isClosed = false;
    socket.on('close', () => {
      isClosed = true;
    });
    for (const name of ['1', '2', '3']) {
      socket.write(encodeFrame(Buffer.from(`${HEADER}0200${name}`)));
      await soon();
    }
    assert.deepEqual([connections[0]?.ended, isClosed], [true, false]);
    assert.equal(proxy.heal(), 1);
    await soon();
    assert.equal(isClosed, true);
  } finally {
    await close();
  }
});

test('elsewhere it strikes at connections: silent, replayed, late', async () => {
  for (const [fault, expected] of [
    ['drop', ['', 'a', 'a']],
    ['duplicate', ['a', 'a', 'a', 'a']],
  ] as const) {
    const { proxy, connections, open, close } = await behind('bytes');
    try {
      proxy.strike(fault);
      for (let count = 0; count < 3; count++) {
        (await open()).write('a');
        await soon();
      }
      const got = connections.map(({ bytes }) => bytes.toString());
      assert.deepEqual(got, expected, fault);
    } finally {
      await close();
    }
  }
  const { proxy, connections, open, close } = await behind('bytes');
  try {
    proxy.strike('delay');
    const socket = await open();
    socket.write('a');
    await soon();
    assert.equal(connections[0]?.bytes.toString(), '');
    await new Promise((done) => setTimeout(done, 200));
    assert.equal(connections[0]?.bytes.toString(), 'a');
    assert.equal(proxy.heal(), 1);
    proxy.strike('reorder');
    socket.write('b');
    await soon();
    assert.equal(connections[0]?.bytes.toString(), 'a', 'others may overtake it');
    await new Promise((done) => setTimeout(done, 1_000));
    proxy.heal();
    socket.write('c');
    await soon();
    assert.equal(connections[0]?.bytes.toString(), 'abc', 'a healed way is a fast one');
    proxy.strike('halfClose');
    socket.write('d');
    await soon();
    assert.equal(connections[0]?.ended, true, 'an old connection is struck by a new fault');
  } finally {
    await close();
  }
});
