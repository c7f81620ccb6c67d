/**
 * Shows the bridge of the payer's page over real sockets: who may open it, what passes, what ends
 * it. The listener's part is played by a plain TCP server, and once by the real TLS listener.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import {
  CHANNEL_FRAME_BYTES_MAX,
  CHANNEL_VERSION,
  encodeJsonFrame,
  GATEWAY_SERVER_NAME,
  JsonFrameDecoder,
  PAY_CHANNEL_BYTES_MAX,
  PAY_CHANNEL_PATH,
} from '@tapnpay/protocol/wire';
import type { FastifyInstance } from 'fastify';
import { systemClock, systemRandom } from '../../runtime/index.ts';
import {
  type TestGateway,
  testElement,
  testGateway,
  testRandom,
  testSite,
} from '../gateway.test-kit.ts';
import { buildHttp } from '../http/api.ts';
import { testHttpPorts } from '../http/http.test-kit.ts';
import { openMerchantKeys } from '../merchant-keys.ts';
import { type Authority, openAuthority } from '../pki/authority.ts';
import { type BridgeLimits, ChannelBridge } from './bridge.ts';
import { listenForApplications } from './tls-listener.ts';

const directory = mkdtempSync(join(tmpdir(), 'tapnpay-bridge-'));
const keys = openMerchantKeys(directory, 'M1', testRandom());
let gateway: TestGateway;
let authority: Authority;

before(async () => {
  gateway = await testGateway();
  authority = await openAuthority(directory, { clock: systemClock, random: systemRandom });
});
/** Also of a test that failed. */
const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(directory, { recursive: true });
});

/** A TCP server in the listener's place. */
async function tcpServer(serve: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    closers.push(() => socket.destroy());
    serve(socket);
  });
  closers.push(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

type Site = {
  readonly app: FastifyInstance;
  readonly origin: string;
  readonly log: Record<string, unknown>[];
};

/** The gateway's HTTP with a bridge to `port`, listening on a free port. */
async function site(
  port: number,
  limits: Partial<BridgeLimits> = {},
  connect?: () => Socket,
): Promise<Site> {
  const probe = await tcpServer(() => undefined);
  const httpPort = portOf(probe);
  await new Promise((done) => probe.close(done));
  const origin = `http://127.0.0.1:${httpPort}`;
  const log: Record<string, unknown>[] = [];
  const target = { host: '127.0.0.1', port };
  const bridge = new ChannelBridge({
    target,
    limits,
    log: (record) => log.push(record),
    ...(connect && { connect }),
  });
  const site = testSite({ publicUrl: origin, bridge });
  const given = { certifier: authority, keys, dataDir: directory, site };
  const app = buildHttp(testHttpPorts(gateway, given));
  await app.listen({ host: '127.0.0.1', port: httpPort });
  closers.push(() => app.close());
  return { app, origin, log };
}

/** A page's WebSocket with the Origin that its browser would name. */
function open({ origin }: Site, from: string | null = origin): WebSocket {
  const headers = from === null ? {} : { origin: from };
  const url = origin.replace('http', 'ws') + PAY_CHANNEL_PATH;
  const socket = new WebSocket(url, { headers } as never);
  socket.binaryType = 'arraybuffer';
  return socket;
}

const opened = (socket: WebSocket): Promise<unknown> => once(socket, 'open');
async function closed(socket: WebSocket): Promise<number> {
  const [event] = (await once(socket, 'close')) as [CloseEvent];
  return event.code;
}
async function message(socket: WebSocket): Promise<Uint8Array> {
  const [event] = (await once(socket, 'message')) as [{ readonly data: ArrayBuffer }];
  return new Uint8Array(event.data);
}

/** A handshake with these headers: its HTTP status, and the raw socket of one that was taken. */
function upgrade(
  { origin }: Site,
  headers: Readonly<Record<string, string>>,
  path = PAY_CHANNEL_PATH,
): Promise<{ readonly status: number; readonly socket: Duplex | null }> {
  const { port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const asked = request({
      agent: false,
      host: '127.0.0.1',
      port,
      path,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        ...headers,
      },
    });
    asked.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, socket: null });
    });
    asked.on('upgrade', (_response, socket) => {
      socket.on('error', () => undefined);
      resolve({ status: 101, socket });
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** Only the status; a socket that was taken is dropped. */
async function handshake(...facts: Parameters<typeof upgrade>): Promise<number> {
  const { status, socket } = await upgrade(...facts);
  socket?.destroy();
  return status;
}

test('only a page of our own origin and under our own name opens it', async () => {
  const taken: Socket[] = [];
  const server = await tcpServer((socket) => taken.push(socket));
  const here = await site(portOf(server));
  const { host } = new URL(here.origin);
  for (const [headers, status] of [
    [{}, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: here.origin.replace('127.0.0.1', 'localhost') }, 403],
    [{ origin: `${here.origin}.evil.example` }, 403],
    [{ origin: here.origin, host: 'evil.example' }, 421],
    [{ origin: 'http://evil.example', host: 'evil.example' }, 421],
    [{ origin: here.origin, host: `localhost:${new URL(here.origin).port}` }, 421],
  ] as const) {
    assert.equal(await handshake(here, headers), status, JSON.stringify(headers));
  }
  assert.equal(taken.length, 0, 'nobody reached the listener');
  assert.equal(await handshake(here, { origin: here.origin }, '/v1/health'), 400);
  assert.equal(await handshake(here, { origin: here.origin, host }), 101);
  await here.app.close();
  for (const socket of taken) socket.destroy();
  server.close();
});

test('bytes pass both ways as they are; either end closes the other', async () => {
  const ends: string[] = [];
  const server = await tcpServer((socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.toString() === 'bye') socket.end('last words');
      else socket.write(chunk.reverse());
    });
    socket.on('close', () => ends.push('closed'));
  });
  const here = await site(portOf(server));
  const page = open(here);
  await opened(page);
  page.send(Uint8Array.of(1, 2, 3, 0, 255));
  assert.deepEqual([...(await message(page))], [255, 0, 3, 2, 1]);
  const last = message(page);
  const code = closed(page);
  page.send(new TextEncoder().encode('bye'));
  assert.equal(new TextDecoder().decode(await last), 'last words');
  assert.equal(await code, 1000, 'the listener closed');

  const second = open(here);
  await opened(second);
  second.send(Uint8Array.of(9));
  await message(second);
  second.close();
  await closed(second);
  while (ends.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await here.app.close();
  server.close();
  const carried = here.log.map(({ event, code: end, up, down }) => [event, end, up, down]);
  assert.deepEqual(carried[0], ['bridgeClosed', 1000, 8, 15]);
  assert.equal(carried.length, 2);
});

test('a text frame, and one byte more than a message may hold, end the bridge', async () => {
  const heard: number[] = [];
  const server = await tcpServer((socket) => socket.on('data', ({ length }) => heard.push(length)));
  const here = await site(portOf(server));
  for (const [data, expected] of [
    ['{"type":"hello"}', 1003],
    [new Uint8Array(PAY_CHANNEL_BYTES_MAX + 1), 1009],
  ] as const) {
    const page = open(here);
    await opened(page);
    const code = closed(page);
    page.send(data);
    assert.equal(await code, expected);
  }
  assert.deepEqual(heard, [], 'nothing of it reached the listener');
  const page = open(here);
  await opened(page);
  page.send(new Uint8Array(PAY_CHANNEL_BYTES_MAX));
  while (heard.reduce((sum, length) => sum + length, 0) < PAY_CHANNEL_BYTES_MAX) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  page.close();
  await closed(page);
  await here.app.close();
  server.close();
});

test('as many bridges at once as the limit says; one that ends makes room', async () => {
  const server = await tcpServer((socket) => socket.resume());
  const here = await site(portOf(server), { bridgesMax: 2 });
  const pages = [open(here), open(here)];
  await Promise.all(pages.map(opened));
  assert.equal(await handshake(here, { origin: here.origin }), 503);
  pages[0]?.close();
  await closed(pages[0] as WebSocket);
  while (here.log.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const third = open(here);
  await opened(third);
  assert.equal(await handshake(here, { origin: here.origin }), 503);
  await here.app.close();
  server.close();
});

test('no listener, a silent one, an idle page: the bridge ends by itself', async () => {
  const server = await tcpServer((socket) => socket.resume());
  const port = portOf(server);
  const idle = await site(port, { idleTimeoutMs: 60 });
  const quiet = open(idle);
  assert.equal(await closed(quiet), 1000);
  await idle.app.close();
  await new Promise((done) => server.close(done));

  const nobody = await site(port);
  assert.equal(await closed(open(nobody)), 1011, 'connection refused');
  await nobody.app.close();

  const lines: Socket[] = [];
  const silent = await site(port, { connectTimeoutMs: 60 }, () => {
    const line = new Socket();
    lines.push(line);
    return line;
  });
  assert.equal(await closed(open(silent)), 1011, 'the connection never comes about');
  assert.deepEqual(
    lines.map(({ destroyed }) => destroyed),
    [true],
  );
  await silent.app.close();
});

test('a listener that does not read stops the page; a page that does not read stops the listener', async () => {
  const sockets: Socket[] = [];
  const server = await tcpServer((socket) => sockets.push(socket.pause()));
  const here = await site(portOf(server), { unsentBytesMax: 65_536 });
  const page = open(here);
  await opened(page);
  const piece = new Uint8Array(PAY_CHANNEL_BYTES_MAX);
  for (let count = 0; count < 1024; count++) page.send(piece);
  const waiting = (): number => page.bufferedAmount;
  let before = -1;
  while (waiting() !== before) {
    before = waiting();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(waiting() > 32 * 1_048_576, `${waiting()} of 64 MiB wait in the page`);
  let received = 0;
  sockets[0]?.on('data', ({ length }) => {
    received += length;
  });
  sockets[0]?.resume();
  while (received < 1024 * PAY_CHANNEL_BYTES_MAX) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(waiting(), 0, 'all of it arrived when the listener read on');

  page.close();
  await closed(page);

  const { socket } = await upgrade(here, { origin: here.origin });
  socket?.pause();
  while (sockets.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const line = sockets[1] as Socket;
  for (let count = 0; count < 1024; count++) line.write(piece);
  before = -1;
  while (line.writableLength !== before) {
    before = line.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(before > 32 * 1_048_576, `${before} of 64 MiB wait in the listener`);
  let arrived = 0;
  socket?.on('data', ({ length }: Buffer) => {
    arrived += length;
  });
  socket?.resume();
  // Each message has a header of 4 or 10 bytes before its data.
  while (arrived < 1024 * PAY_CHANNEL_BYTES_MAX) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  socket?.destroy();
  await here.app.close();
  server.close();
});

test('a gateway that stops ends its bridges, also of a page that answers nothing', async () => {
  const server = await tcpServer((socket) => socket.resume());
  const here = await site(portOf(server), { closeTimeoutMs: 50 });
  const page = open(here);
  await opened(page);
  const { socket } = await upgrade(here, { origin: here.origin });
  assert.ok(socket);
  const code = closed(page);
  await here.app.close();
  assert.equal(await code, 1001);
  socket.destroy();
  await new Promise((done) => server.close(done));
});

/** The page's WebSocket as the byte stream that TLS wants; `flip` harms one bit of the nth send. */
function relay(page: WebSocket, flip: number | null): { duplex: Duplex; sent: Uint8Array[] } {
  const sent: Uint8Array[] = [];
  const duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      const copy = Uint8Array.from(chunk);
      sent.push(copy);
      if (sent.length - 1 === flip) copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
      page.send(copy);
      done();
    },
    final: (done) => {
      page.close();
      done();
    },
  });
  page.addEventListener('message', ({ data }) => duplex.push(Buffer.from(data as ArrayBuffer)));
  page.addEventListener('close', () => duplex.push(null));
  return { duplex, sent };
}

async function enrolled(): Promise<{ cert: string; key: string }> {
  const { publicKeySpki, privateKey } = testElement;
  const { pem, sha256 } = await authority.certify({ elementId: 'BRIDGE-1', publicKeySpki });
  const nowMs = gateway.clock.nowMs();
  const code = { codeId: 'BRIDGE-1', sealedCode: '', expiresAtMs: nowMs + 1, failures: 0 };
  await gateway.store.addPairingCode(code);
  const facts = { elementId: 'BRIDGE-1', publicKeySpki, certificateSha256: sha256 };
  const more = { initialKeyId: 'key', certificatePem: pem, enrolledAtMs: nowMs };
  const element = { ...facts, ...more };
  await gateway.store.enrolElement('BRIDGE-1', element, nowMs);
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { cert: pem, key };
}

test('TLS passes unread: both ends talk, the bridge and its log hold no plaintext; a flipped bit ends it', async () => {
  const address = { host: '127.0.0.1', port: 0 };
  const listener = await listenForApplications(gateway.core, authority, address);
  closers.push(() => listener.close());
  const identity = await enrolled();
  const here = await site(listener.port);
  const MARK = 'PLAINTEXT-MARK';
  const secured = async (
    flip: number | null,
  ): Promise<{ tls: TLSSocket; sent: Uint8Array[]; ended: Promise<number> }> => {
    const page = open(here);
    await opened(page);
    const { duplex, sent } = relay(page, flip);
    const options = { ca: authority.caPem, servername: GATEWAY_SERVER_NAME, ...identity };
    const tls = connectTls({ socket: duplex, ...options });
    tls.on('error', () => undefined);
    return { tls, sent, ended: closed(page) };
  };
  const hello = (tls: TLSSocket): void => {
    const greeting = { type: 'hello', version: CHANNEL_VERSION, elementId: 'BRIDGE-1' };
    const frame = { ...greeting, applicationVersion: MARK };
    tls.write(encodeJsonFrame(frame, CHANNEL_FRAME_BYTES_MAX));
  };

  const { tls, sent, ended } = await secured(null);
  await once(tls, 'secureConnect');
  hello(tls);
  const decoder = new JsonFrameDecoder(CHANNEL_FRAME_BYTES_MAX);
  const [chunk] = (await once(tls, 'data')) as [Buffer];
  assert.equal((decoder.push(chunk)[0] as { type: string }).type, 'welcome');
  // What the application sent last is its hello; the same send is harmed below.
  const helloSend = sent.length - 1;
  const carried = Buffer.concat(sent);
  const holds = (bytes: Buffer): boolean =>
    bytes.includes(MARK) || bytes.includes(Buffer.from(MARK, 'utf16le')) || bytes.includes('hello');
  assert.ok(!holds(carried), 'records only');
  assert.ok(holds(Buffer.from(JSON.stringify({ type: 'hello', MARK }))), 'the detector detects');
  tls.end();
  await ended;

  const faults = (): number => gateway.log.filter(({ event }) => event === 'channelBroken').length;
  const before = faults();
  const harmed = await secured(helloSend);
  await once(harmed.tls, 'secureConnect');
  hello(harmed.tls);
  await harmed.ended;
  assert.equal(faults(), before + 1, 'the listener refused the record');
  await here.app.close();
  await listener.close();
  const text = JSON.stringify(here.log);
  assert.ok(!text.includes(MARK) && !text.includes(Buffer.from(MARK).toString('hex')));
  assert.ok(here.log.every((record) => Object.keys(record).join() === 'event,code,up,down'));
});
