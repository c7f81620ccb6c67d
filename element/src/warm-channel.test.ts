/**
 * The element's process over real TLS: the second channel is a resumed one, also after the end or
 * a kill of the process; and everything that makes it a full one again, in the same connection.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Secret, toHex } from '@tapnpay/protocol/bytes';
import { checkShape, type ElementPayResult, elementPayResultShape } from '@tapnpay/protocol/wire';
import { TestAuthority } from '../../protocol/node/certificates.test-pki.ts';
import { WELCOME } from './greeting.test-application.ts';
import { enrol, Running } from './running.test-kit.ts';
import { ElementState, type SessionTicket } from './state.ts';
import { ElementStore, STORE_SLOT_BYTES } from './store.ts';
import { systemRandom } from './system.ts';

const GATEWAY = 'gateway.tapnpay.test';
const OTHER = 'other.tapnpay.test';
const EXPORTER = 'EXPORTER-tapandpay';
const FULL = { protocol: 'TLSv1.3', mutual: true, resumed: false };
const WARM = { ...FULL, resumed: true };
const directory = mkdtempSync(join(tmpdir(), 'tapnpay-warm-'));
const authority = new TestAuthority();
const certificate = authority.issue({ name: 'gateway', dnsName: '*.tapnpay.test' });

/** What the gateway saw of one channel. */
type Seen = { readonly subject: string; readonly exporter: string; readonly resumed: boolean };

let server: Server;
let element: Running;
let elementId: string;
let answer = WELCOME;
const seen: Seen[] = [];
const connections: Socket[] = [];

function startGateway(): Server {
  const gateway = createServer({
    ca: authority.certPem,
    cert: certificate.certPem,
    key: certificate.keyPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    sessionIdContext: 'test',
  });
  gateway.on('secureConnection', (socket: TLSSocket) => {
    const exporter = socket.exportKeyingMaterial(32, EXPORTER, Buffer.alloc(0));
    const subject = socket.getPeerX509Certificate()?.subject ?? '';
    seen.push({ subject, exporter: toHex(exporter), resumed: socket.isSessionReused() });
    socket.on('error', () => {});
    socket.on('data', () => socket.write(answer));
  });
  return gateway;
}

before(async () => {
  server = startGateway();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  element = await start();
  elementId = await enrol(element, authority);
});
after(async () => {
  await element.end();
  server.close();
  rmSync(directory, { recursive: true });
});

async function start(): Promise<Running> {
  const running = new Running(directory, { application: 'greeting.test-application.ts' });
  assert.equal((await running.event()).type, 'ready');
  return running;
}

async function restart(): Promise<void> {
  await element.end();
  element = await start();
}

/** The agent's part: records between the element and the gateway. `onSend` may change them. */
async function pay(
  options: { readonly serverName?: string; readonly onSend?: (records: Buffer) => void } = {},
): Promise<ElementPayResult> {
  const { serverName = GATEWAY, onSend = () => {} } = options;
  element.write({ type: 'pay', id: 100, orderId: 'order', serverName });
  let line: Socket | null = null;
  try {
    for (;;) {
      const event = await element.event();
      if (event.type === 'openChannel') line = openLine();
      if (event.type === 'channelEnd') line?.end();
      if (event.type === 'channelData') {
        const records = Buffer.from(event.base64, 'base64');
        onSend(records);
        line?.write(records);
      }
      if (event.type === 'answer') return checkShape(elementPayResultShape, event.result, 'result');
    }
  } finally {
    // A late word about this connection would be taken for one about the next.
    line?.removeAllListeners('close').destroy();
  }
}

function openLine(): Socket {
  const running = element;
  const line = connect((server.address() as AddressInfo).port, '127.0.0.1');
  connections.push(line);
  line.on('error', () => {});
  line.on('connect', () => running.write({ type: 'channelOpened' }));
  line.on('data', (records: Buffer) => {
    running.write({ type: 'channelData', base64: records.toString('base64') });
  });
  line.on('close', () => running.write({ type: 'channelClosed' }));
  return line;
}

/** Makes the next channel a warm one. */
async function warmUp(): Promise<void> {
  assert.ok((await pay()).channel);
  assert.deepEqual((await pay()).channel, WARM, 'positive control');
}

/** What the store holds once the element has come to rest. */
async function tickets(): Promise<readonly SessionTicket[]> {
  await element.ask({ type: 'status' });
  return new ElementState(new ElementStore(directory, systemRandom)).record.tickets;
}

test('the second channel is resumed: the same element, an exporter of its own', async () => {
  seen.length = 0;
  const results = [await pay(), await pay(), await pay()];
  assert.deepEqual(
    results.map(({ channel }) => channel),
    [FULL, WARM, WARM],
  );
  assert.deepEqual(
    seen.map(({ resumed }) => resumed),
    [false, true, true],
  );
  const exporters = results.map(({ reason }) => reason);
  assert.deepEqual(
    seen.map(({ exporter }) => exporter),
    exporters,
  );
  assert.equal(new Set(exporters).size, 3, 'what is signed belongs to one channel');
  for (const { subject } of seen) assert.equal(subject, `CN=${elementId}`);
});

test('the next process resumes too; the store shows neither ticket nor gateway', async () => {
  await warmUp();
  const [ticket] = await tickets();
  assert.ok(ticket);
  const session = Buffer.from(ticket.session.expose(), 'hex');
  const bytes = readFileSync(join(directory, 'element.store'));
  for (const secret of [session.subarray(-100), ticket.session.expose(), GATEWAY]) {
    assert.ok(!bytes.includes(secret));
  }
  await restart();
  assert.deepEqual((await pay()).channel, WARM);
});

test('another server name never gets a ticket', async () => {
  await warmUp();
  const [ticket] = await tickets();
  assert.ok(ticket);
  assert.equal(await isOffered(ticket, GATEWAY), true, 'positive control');
  assert.equal(await isOffered(ticket, OTHER), false);
  assert.deepEqual((await pay({ serverName: OTHER })).channel, WARM, 'it has its own');
  assert.deepEqual((await pay()).channel, WARM, 'and so has the first one');
});

/** Whether a part of the ticket leaves in a payment to this gateway. */
async function isOffered(ticket: SessionTicket, serverName: string): Promise<boolean> {
  const session = Buffer.from(ticket.session.expose(), 'hex');
  // The server's part of the session is its longest, and its middle is in it.
  const part = session.subarray(session.length / 2, session.length / 2 + 32);
  const sent: Buffer[] = [];
  await pay({ serverName, onSend: (records) => sent.push(Buffer.from(records)) });
  return Buffer.concat(sent).includes(part);
}

test('a gateway that does not know the ticket gets a full handshake, same connection', async () => {
  await warmUp();
  server.setTicketKeys(randomBytes(48));
  connections.length = 0;
  assert.deepEqual((await pay()).channel, FULL);
  assert.equal(connections.length, 1);
  assert.deepEqual((await pay()).channel, WARM, 'by the new ticket');
});

test('an element that the gateway does not welcome any more keeps no ticket', async () => {
  await warmUp();
  answer = 'locked';
  assert.equal((await pay()).channel, null);
  answer = WELCOME;
  assert.ok((await tickets()).every(({ serverName }) => serverName !== GATEWAY));
  assert.deepEqual((await pay()).channel, FULL);
});

test('a harmed record in a resumed handshake ends that channel; the next one is full', async () => {
  await warmUp();
  let count = 0;
  const harmed = await pay({
    onSend: (records) => {
      count += 1;
      // The last bytes of the first flight are the binder of the ticket.
      const last = records.length - 1;
      if (count === 1) records[last] = (records[last] ?? 0) ^ 1;
    },
  });
  assert.equal(harmed.channel, null);
  assert.match(harmed.reason ?? '', /^ERR_CHANNEL_(TAMPERED|CLOSED|TLS)$/);
  assert.deepEqual((await pay()).channel, FULL);
});

for (const [what, harm] of [
  ['junk', () => '00'],
  ['cut off', (session: string) => session.slice(0, 200)],
  ['of another gateway', (session: string) => bent(session, 400)],
  ['not of TLS', () => toHex(randomBytes(900))],
] as const) {
  test(`a ticket in the store that is ${what} costs a full handshake, no payment`, async () => {
    await warmUp();
    await element.end();
    const state = new ElementState(new ElementStore(directory, systemRandom));
    const harmed = state.record.tickets.map((ticket) => ({
      ...ticket,
      session: new Secret(harm(ticket.session.expose())),
    }));
    assert.ok(harmed.length > 0);
    state.update({ tickets: harmed });
    element = await start();
    assert.deepEqual((await pay()).channel, FULL);
    assert.deepEqual((await pay()).channel, WARM, 'the store took a new one');
  });
}

/** The ticket inside the session with one bit turned, so that no gateway can open it. */
function bent(session: string, fromEndBytes: number): string {
  const bytes = Buffer.from(session, 'hex');
  const index = bytes.length - fromEndBytes;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return toHex(bytes);
}

test('a harmed slot of the store is none: the one before pays', async () => {
  await warmUp();
  const path = join(directory, 'element.store');
  const whole = readFileSync(path);
  for (const offset of [60, STORE_SLOT_BYTES + 60]) {
    await element.end();
    const harmed = Buffer.from(whole);
    harmed[offset] = (harmed[offset] ?? 0) ^ 1;
    writeFileSync(path, harmed);
    element = await start();
    assert.ok((await pay()).channel);
  }
});

test('kill -9 at random points of payments: the next one is welcomed', async () => {
  for (let round = 0; round < 8; round++) {
    // Each round writes: the gateway has forgotten the ticket.
    server.setTicketKeys(randomBytes(48));
    const paying = pay().catch(() => null);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    element.child.kill('SIGKILL');
    await Promise.all([element.exitCode, paying]);
    element = await start();
    assert.ok((await pay()).channel, `round ${round}`);
    assert.deepEqual((await pay()).channel, WARM, `round ${round}`);
  }
});

test('an element killed right after its answer has the ticket, or pays without', async () => {
  await restart();
  server.setTicketKeys(randomBytes(48));
  assert.deepEqual((await pay()).channel, FULL);
  element.child.kill('SIGKILL');
  await element.exitCode;
  element = await start();
  assert.ok((await pay()).channel);
});

test('after a new enrolment the first channel is a full one', async () => {
  await warmUp();
  elementId = await enrol(element, authority);
  assert.deepEqual(await tickets(), []);
  seen.length = 0;
  assert.deepEqual((await pay()).channel, FULL);
  assert.deepEqual((await pay()).channel, WARM);
  for (const { subject } of seen) assert.equal(subject, `CN=${elementId}`);
});
