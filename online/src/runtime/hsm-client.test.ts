/** The HSM client against a scripted HSM: batching, loss, time-outs, impostors, junk. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { connectHsm, type HsmClient, type HsmClientOptions } from './hsm-client.ts';
import {
  callerProof,
  encodeHsmFrame,
  HSM_BATCH_MAX,
  HSM_FRAME_BYTES_MAX,
  HsmFrameDecoder,
  type HsmHello,
  hsmProof,
} from './hsm-wire.ts';

const TOKEN = 'AB'.repeat(32);
const NONCE = '07'.repeat(32);
const STATUS = { command: 'status' } as const;

type Frame = { readonly id: number; readonly batch: readonly unknown[] };
type Script = (frame: Frame, socket: Socket) => void;
const open: (Server | HsmClient)[] = [];
afterEach(async () => {
  for (const item of open.splice(0)) await item.close();
});

/** A listener that does the hello and then follows a script; `frames` is what it got. */
async function scriptedHsm(script: Script, options: { port?: number; token?: string } = {}) {
  const frames: Frame[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const decoder = new HsmFrameDecoder();
    let isOpen = false;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write(encodeHsmFrame(JSON.stringify({ nonce: NONCE })));
    socket.on('data', (chunk: Buffer) => {
      for (const value of decoder.push(chunk)) {
        if (isOpen) {
          frames.push(value as Frame);
          script(value as Frame, socket);
          continue;
        }
        const hello = value as HsmHello;
        assert.equal(hello.proof, callerProof(TOKEN, NONCE, hello.caller));
        const nonces = { caller: hello.nonce, hsm: NONCE };
        const proof = hsmProof(options.token ?? TOKEN, nonces);
        socket.write(encodeHsmFrame(JSON.stringify({ proof })));
        isOpen = true;
      }
    });
  });
  await new Promise<void>((done) => server.listen(options.port ?? 0, '127.0.0.1', done));
  open.push(server);
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const cut = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((done) => server.close(done));
  };
  return { port, frames, cut };
}

async function client(port: number, options: Partial<HsmClientOptions> = {}): Promise<HsmClient> {
  const made = await connectHsm({
    ...({ port, tokenHex: TOKEN, caller: 'switch' } as const),
    ...options,
  });
  open.push(made);
  return made;
}

function reply(socket: Socket, value: unknown): void {
  socket.write(encodeHsmFrame(JSON.stringify(value)));
}

/** Answers each request with what it was. */
const echo: Script = ({ id, batch }, socket) => {
  reply(socket, { id, replies: batch.map((request) => ({ ok: request })) });
};

test('calls of one turn share a frame, up to the limit of a batch', async () => {
  const { port, frames } = await scriptedHsm(echo);
  const hsm = await client(port);
  const calls = Array.from({ length: HSM_BATCH_MAX + 3 }, (_, index) =>
    hsm.call({ ...STATUS, index } as typeof STATUS),
  );
  const answers = await Promise.all(calls);
  assert.deepEqual(
    answers.map((answer) => (answer as unknown as { index: number }).index),
    Array.from({ length: HSM_BATCH_MAX + 3 }, (_, index) => index),
  );
  assert.deepEqual(
    frames.map(({ batch }) => batch.length),
    [HSM_BATCH_MAX, 3],
  );
});

test('a frame stays below its limit however long the requests are', async () => {
  const { port, frames } = await scriptedHsm(({ id, batch }, socket) => {
    reply(socket, { id, replies: batch.map(() => ({ ok: null })) });
  });
  const hsm = await client(port);
  const data = '0'.repeat(HSM_FRAME_BYTES_MAX / 3);
  const long = { command: 'generateMac', key: 'D', data } as const;
  await Promise.all([long, long, long, long].map((request) => hsm.call(request)));
  assert.deepEqual(
    frames.map(({ batch }) => batch.length),
    [2, 2],
  );
  await assert.rejects(hsm.call({ ...long, data: data.repeat(3) }), { code: 'ERR_HSM_REQUEST' });
});

test('a refused command has the code of the HSM, its neighbours are answered', async () => {
  const error = { code: 'ERR_HSM_PIN', message: 'no', data: {} };
  const { port } = await scriptedHsm(({ id, batch }, socket) => {
    reply(socket, { id, replies: batch.map((_, at) => (at === 1 ? { error } : { ok: at })) });
  });
  const hsm = await client(port);
  const results = await Promise.allSettled([STATUS, STATUS, STATUS].map((ask) => hsm.call(ask)));
  assert.deepEqual(
    results.map((result) => (result.status === 'rejected' ? result.reason.code : result.value)),
    [0, 'ERR_HSM_PIN', 2],
  );
});

test('calls in flight fail with the connection, the next one finds the HSM again', async () => {
  let isDown = true;
  const { port } = await scriptedHsm((frame, socket) => {
    if (isDown) socket.destroy();
    else echo(frame, socket);
  });
  const hsm = await client(port);
  await assert.rejects(hsm.call(STATUS), { code: 'ERR_HSM_LOST' });
  isDown = false;
  assert.deepEqual(await hsm.call(STATUS), STATUS);
});

test('calls wait for an HSM that is being started again', async () => {
  const first = await scriptedHsm(echo);
  const hsm = await client(first.port);
  assert.deepEqual(await hsm.call(STATUS), STATUS);
  await first.cut();
  // The client has to see the loss first: a call before that is in flight and fails.
  await new Promise((done) => setTimeout(done, 10));
  const waiting = hsm.call(STATUS);
  await new Promise((done) => setTimeout(done, 50));
  await scriptedHsm(echo, { port: first.port });
  assert.deepEqual(await waiting, STATUS);
});

test('an HSM that stays away is a coded error, for new clients and for old ones', async () => {
  const { port, cut } = await scriptedHsm(echo);
  const hsm = await client(port, { connectTimeoutMs: 60 });
  await cut();
  await assert.rejects(client(port, { connectTimeoutMs: 60 }), { code: 'ERR_HSM_UNAVAILABLE' });
  await new Promise((done) => setTimeout(done, 10));
  await assert.rejects(hsm.call(STATUS), { code: 'ERR_HSM_UNAVAILABLE' });
});

test('an answer that never comes ends with a code, and the connection is given up', async () => {
  let asked = 0;
  const { port } = await scriptedHsm((frame, socket) => {
    if (++asked > 1) echo(frame, socket);
  });
  const hsm = await client(port, { callTimeoutMs: 30 });
  await assert.rejects(hsm.call(STATUS), { code: 'ERR_HSM_TIMEOUT' });
  assert.deepEqual(await hsm.call(STATUS), STATUS);
});

test('a listener that does not hold the token is no HSM', async () => {
  const { port } = await scriptedHsm(echo, { token: 'CD'.repeat(32) });
  await assert.rejects(client(port), { code: 'ERR_HSM_REFUSED' });
});

test('answers that answer nothing end the connection with a code', async () => {
  const junk: readonly unknown[] = [
    null,
    7,
    [],
    {},
    { id: 99, replies: [{ ok: 1 }] },
    { id: 1, replies: [] },
    { id: 1, replies: [{ ok: 1 }, { ok: 2 }] },
    { id: 1, replies: [{}] },
    { id: 1, replies: [{ error: 'no' }] },
    { id: '1', replies: [{ ok: 1 }] },
  ];
  for (const value of junk) {
    const { port } = await scriptedHsm((_, socket) => reply(socket, value));
    const hsm = await client(port);
    await assert.rejects(hsm.call(STATUS), { code: 'ERR_HSM_ANSWER' }, JSON.stringify(value));
  }
  const bytes = [Uint8Array.of(0, 0, 0, 0), Uint8Array.of(0, 0, 0, 1, 0x7b)];
  for (const [index, junkBytes] of bytes.entries()) {
    const { port } = await scriptedHsm((_, socket) => {
      socket.write(junkBytes);
    });
    const hsm = await client(port);
    const code = index === 0 ? 'ERR_FRAME_LENGTH' : 'ERR_FRAME_JSON';
    await assert.rejects(hsm.call(STATUS), { code });
  }
});

test('a closed client refuses calls and drops those that wait', async () => {
  const { port } = await scriptedHsm(() => undefined);
  const hsm = await client(port);
  const waiting = hsm.call(STATUS);
  await hsm.close();
  await assert.rejects(waiting, { code: 'ERR_HSM_CLOSED' });
  await assert.rejects(hsm.call(STATUS), { code: 'ERR_HSM_CLOSED' });
});

test('a frame stream cut anywhere gives the same values', () => {
  const values = [{ a: '银行卡' }, [1, 2], 'x', {}];
  const stream = Buffer.concat(values.map((value) => encodeHsmFrame(JSON.stringify(value))));
  fc.assert(
    fc.property(fc.array(fc.nat({ max: stream.length }), { maxLength: 8 }), (cuts) => {
      const decoder = new HsmFrameDecoder();
      const edges = [0, ...cuts.sort((x, y) => x - y), stream.length];
      const got = edges.flatMap((end, i) => decoder.push(stream.subarray(edges[i - 1] ?? 0, end)));
      assert.deepEqual(got, values);
    }),
  );
  assert.throws(() => encodeHsmFrame('x'.repeat(HSM_FRAME_BYTES_MAX + 1)), {
    code: 'ERR_FRAME_LENGTH',
  });
});
