/**
 * Shows who may speak to the gateway's TLS listener and what a peer that breaks the rules hears:
 * real sockets on loopback, real certificates of the gateway's own CA.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { concatBytes, toHex, uintToBytes } from '@tapnpay/protocol/bytes';
import {
  type ApplicationMessage,
  CHANNEL_EXPORTER_LABEL,
  CHANNEL_FRAME_BYTES_MAX,
  CHANNEL_VERSION,
  encodeJsonFrame,
  GATEWAY_SERVER_NAME,
  type GatewayMessage,
  JsonFrameDecoder,
} from '@tapnpay/protocol/wire';
import { systemClock, systemRandom } from '../../runtime/index.ts';
import {
  completionOf,
  newOrder,
  sealOrder,
  type TestGateway,
  testElement,
  testGateway,
} from '../gateway.test-kit.ts';
import { type Authority, openAuthority } from '../pki/authority.ts';
import { listenForApplications, type TlsListener } from './tls-listener.ts';

const directory = mkdtempSync(join(tmpdir(), 'tapnpay-tls-'));
const keyPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

let gateway: TestGateway;
let authority: Authority;
let listener: TlsListener;
let identity: { readonly cert: string; readonly key: string };

before(async () => {
  gateway = await testGateway();
  authority = await openAuthority(directory, { clock: systemClock, random: systemRandom });
  identity = await enrolled('TLS-1', testElement.publicKeySpki, keyPem(testElement.privateKey));
  listener = await listenForApplications(gateway.core, authority, { host: '127.0.0.1', port: 0 });
});
after(async () => {
  await listener.close();
  rmSync(directory, { recursive: true });
});

const LOCK = { reason: 'operator', note: 'test', atMs: 0 } as const;

/** Certifies a key and writes the element as enrolment does. */
async function enrolled(
  elementId: string,
  publicKeySpki: string,
  key: string,
): Promise<{ readonly cert: string; readonly key: string }> {
  const { pem, sha256 } = await authority.certify({ elementId, publicKeySpki });
  const nowMs = gateway.clock.nowMs();
  const code = { codeId: elementId, sealedCode: '', expiresAtMs: nowMs + 1, failures: 0 };
  await gateway.store.addPairingCode(code);
  const element = {
    elementId,
    publicKeySpki,
    certificateSha256: sha256,
    certificatePem: pem,
    initialKeyId: `key of ${elementId}`,
    enrolledAtMs: nowMs,
  };
  await gateway.store.enrolElement(elementId, element, nowMs);
  return { cert: pem, key };
}

/** A client of the listener: its messages in order, and the code of the fault that ended it. */
class Client {
  readonly socket: TLSSocket;
  readonly messages: GatewayMessage[] = [];
  readonly ended: Promise<string>;
  #wake: () => void = () => undefined;

  constructor(options: ConnectionOptions = {}) {
    const pinned = { ca: authority.caPem, servername: GATEWAY_SERVER_NAME };
    const to = { host: '127.0.0.1', port: listener.port };
    this.socket = connect({ ...to, ...pinned, ...identity, ...options });
    const decoder = new JsonFrameDecoder(CHANNEL_FRAME_BYTES_MAX);
    this.ended = new Promise((resolve) => {
      let code = 'closed';
      this.socket.on('error', (fault: NodeJS.ErrnoException) => {
        code = fault.code ?? fault.message;
      });
      this.socket.on('close', () => {
        resolve(code);
        this.#wake();
      });
    });
    this.socket.on('data', (chunk: Buffer) => {
      this.messages.push(...(decoder.push(chunk) as GatewayMessage[]));
      this.#wake();
    });
  }

  send(message: ApplicationMessage | object): void {
    this.socket.write(encodeJsonFrame(message, CHANNEL_FRAME_BYTES_MAX));
  }

  /** The next message; throws when the channel ends first. */
  async next(): Promise<GatewayMessage> {
    for (;;) {
      const message = this.messages.shift();
      if (message) return message;
      if (this.socket.destroyed) throw new Error('the channel has ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  hello(elementId = 'TLS-1'): void {
    this.send({ type: 'hello', version: CHANNEL_VERSION, elementId, applicationVersion: '1' });
  }
}

test('the authority: one CA for ever, keys for their owner only, leaves that cannot issue', async () => {
  const again = await openAuthority(directory, { clock: systemClock, random: systemRandom });
  assert.equal(again.caPem, authority.caPem);
  assert.equal(again.serverCertificatePem, authority.serverCertificatePem);
  assert.equal(again.orderPublicKeySpki, authority.orderPublicKeySpki);
  for (const name of ['ca-key.pem', 'server-key.pem', 'order-key.pem']) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  }
  const ca = new X509Certificate(authority.caPem);
  const leaf = new X509Certificate(identity.cert);
  assert.ok(ca.ca && leaf.verify(ca.publicKey) && leaf.checkIssued(ca));
  assert.equal(leaf.ca, false);
  assert.equal(leaf.subject, 'CN=TLS-1');
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const spki = toHex(rsa.export({ type: 'spki', format: 'der' }));
  await assert.rejects(authority.certify({ elementId: 'X', publicKeySpki: spki }), /P-256/);
  const injected = { elementId: 'X\nCN=TLS-1', publicKeySpki: testElement.publicKeySpki };
  await assert.rejects(authority.certify(injected), /elementId/);
});

test('a payment through the channel: TLS 1.3, both certificates, bound to its exporter', async () => {
  const client = new Client();
  client.hello();
  assert.equal((await client.next()).type, 'welcome');
  assert.equal(client.socket.getProtocol(), 'TLSv1.3');
  const order = await newOrder(gateway.core);
  client.send({ type: 'orderRequest', orderId: order.orderId });
  const signed = await client.next();
  assert.ok(signed.type === 'signedOrder');
  const exporter = toHex(
    client.socket.exportKeyingMaterial(32, CHANNEL_EXPORTER_LABEL, Buffer.alloc(0)),
  );
  const element = { elementId: 'TLS-1', counter: 1 };
  const payment = sealOrder(signed.order, exporter, { element });
  client.send({ type: 'payment', payment });
  const authorisation = await client.next();
  assert.ok(authorisation.type === 'authorisation' && authorisation.result === 'answered');
  client.send({ type: 'completion', completion: completionOf(authorisation.paymentId, 'TC') });
  const result = await client.next();
  assert.ok(result.type === 'result' && result.outcome === 'approved');

  const second = new Client();
  second.hello();
  await second.next();
  const other = await newOrder(gateway.core);
  second.send({ type: 'orderRequest', orderId: other.orderId });
  await second.next();
  second.send({ type: 'payment', payment: { ...payment, orderId: other.orderId } });
  const refused = await second.next();
  assert.ok(refused.type === 'error' && refused.code === 'ERR_PAYMENT_SIGNATURE');
  client.socket.destroy();
  second.socket.destroy();
});

test('no client certificate, a foreign one, one for servers, TLS 1.2: refused before any message', async () => {
  const foreignDirectory = mkdtempSync(join(tmpdir(), 'tapnpay-foreign-'));
  const ports = { clock: systemClock, random: systemRandom };
  const foreign = await openAuthority(foreignDirectory, ports);
  rmSync(foreignDirectory, { recursive: true });
  const { publicKeySpki } = testElement;
  const { pem } = await foreign.certify({ elementId: 'TLS-1', publicKeySpki });
  for (const [options, expected] of [
    [{ cert: undefined, key: undefined }, /^(closed|ECONNRESET|ERR_SSL_.*CERTIFICATE_REQUIRED)$/],
    [{ cert: pem }, /^(closed|ECONNRESET)$/],
    [
      { cert: authority.serverCertificatePem, key: authority.serverKeyPem },
      /^(closed|ECONNRESET)$/,
    ],
    [{ maxVersion: 'TLSv1.2' }, /^(EPROTO|ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION)$/],
  ] as const) {
    const served = gateway.hops.length;
    const client = new Client(options as ConnectionOptions);
    client.hello();
    assert.match(await client.ended, expected);
    assert.equal(client.messages.length, 0);
    assert.equal(gateway.hops.length, served, 'no hello was heard');
  }
});

test('plain text instead of TLS is dropped, and the listener lives on', async () => {
  const socket = connectPlain(listener.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
  const client = new Client();
  client.hello();
  assert.equal((await client.next()).type, 'welcome');
  client.socket.destroy();
});

/** Opens a channel, says hello, and takes a ticket. */
async function ticketOf(elementId: string, options: ConnectionOptions = {}): Promise<Buffer> {
  const client = new Client(options);
  const ticket = new Promise<Buffer>((resolve) => client.socket.once('session', resolve));
  client.send({ type: 'hello', version: CHANNEL_VERSION, elementId, applicationVersion: '1' });
  assert.equal((await client.next()).type, 'welcome');
  const got = await ticket;
  client.socket.end();
  await client.ended;
  return got;
}

/** The answer to a hello on a resumed channel. */
async function resumedHello(
  elementId: string,
  options: ConnectionOptions,
): Promise<GatewayMessage> {
  const client = new Client(options);
  await new Promise((resolve) => client.socket.once('secureConnect', resolve));
  assert.equal(client.socket.isSessionReused(), true);
  client.send({ type: 'hello', version: CHANNEL_VERSION, elementId, applicationVersion: '1' });
  const answer = await client.next();
  client.socket.destroy();
  return answer;
}

test('a resumed channel is the element of the full handshake, with an exporter of its own', async () => {
  const session = await ticketOf('TLS-1');
  const exporters: string[] = [];
  for (const options of [{}, { session }]) {
    const client = new Client(options);
    await new Promise((resolve) => client.socket.once('secureConnect', resolve));
    exporters.push(
      client.socket
        .exportKeyingMaterial(32, CHANNEL_EXPORTER_LABEL, Buffer.alloc(0))
        .toString('hex'),
    );
    client.socket.destroy();
  }
  assert.notEqual(exporters[0], exporters[1]);
  // Without certificate and key: the ticket is bound to whom it was given.
  const bare = { session, cert: undefined, key: undefined };
  assert.equal((await resumedHello('TLS-1', bare)).type, 'welcome');
});

test('a ticket of one element speaks for no other one', async () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = toHex(other.publicKey.export({ type: 'spki', format: 'der' }));
  const theirs = await enrolled('TLS-RESUMED', spki, keyPem(other.privateKey));
  const session = await ticketOf('TLS-RESUMED', theirs);
  const answer = await resumedHello('TLS-1', { session });
  assert.equal(answer.type === 'error' && answer.code, 'ERR_ELEMENT_UNKNOWN');
  assert.equal((await resumedHello('TLS-RESUMED', { session })).type, 'welcome');
});

test('an element that was locked meanwhile is refused in spite of its ticket', async () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = toHex(pair.publicKey.export({ type: 'spki', format: 'der' }));
  const own = await enrolled('TLS-LOCKED', spki, keyPem(pair.privateKey));
  const session = await ticketOf('TLS-LOCKED', own);
  await gateway.store.lockElement('TLS-LOCKED', LOCK);
  const answer = await resumedHello('TLS-LOCKED', { ...own, session });
  assert.equal(answer.type === 'error' && answer.code, 'ERR_ELEMENT_LOCKED');
});

test('a ticket of another process leads to a full handshake', async () => {
  const session = await ticketOf('TLS-1');
  const elsewhere = await listenForApplications(gateway.core, authority, {
    host: '127.0.0.1',
    port: 0,
  });
  const client = new Client({ session, port: elsewhere.port });
  await new Promise((resolve) => client.socket.once('secureConnect', resolve));
  assert.equal(client.socket.isSessionReused(), false);
  client.socket.destroy();
  await elsewhere.close();
});

test('hello comes first and once, names the certificate’s element, speaks our version', async () => {
  const hello = {
    type: 'hello',
    version: CHANNEL_VERSION,
    elementId: 'TLS-1',
    applicationVersion: '1',
  };
  for (const [messages, code] of [
    [[{ type: 'orderRequest', orderId: 'o' }], 'ERR_CHANNEL_STATE'],
    [[hello, hello], 'ERR_CHANNEL_STATE'],
    [[{ ...hello, version: CHANNEL_VERSION + 1 }], 'ERR_CHANNEL_VERSION'],
    [[{ ...hello, elementId: 'E1' }], 'ERR_ELEMENT_UNKNOWN'],
  ] as const) {
    const client = new Client();
    for (const message of messages) client.send(message);
    await client.ended;
    const last = client.messages.at(-1);
    assert.ok(last?.type === 'error' && last.code === code, JSON.stringify(last));
  }
});

test('a locked or replaced element is refused although its certificate is ours', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = toHex(publicKey.export({ type: 'spki', format: 'der' }));
  const locked = await enrolled('TLS-2', spki, keyPem(privateKey));
  await gateway.store.lockElement('TLS-2', LOCK);
  const { pem } = await authority.certify({ elementId: 'TLS-1', publicKeySpki: spki });
  const replaced = { cert: pem, key: keyPem(privateKey) };
  for (const [options, elementId, code] of [
    [locked, 'TLS-2', 'ERR_ELEMENT_LOCKED'],
    [replaced, 'TLS-1', 'ERR_ELEMENT_UNKNOWN'],
  ] as const) {
    const client = new Client(options);
    client.hello(elementId);
    await client.ended;
    const [first] = client.messages;
    assert.ok(first?.type === 'error' && first.code === code, JSON.stringify(first));
  }
});

test('junk frames: a coded error and the end of the channel', async () => {
  const text = (body: string): Uint8Array =>
    concatBytes(uintToBytes(body.length, 4), Buffer.from(body));
  for (const [bytes, code] of [
    [Uint8Array.of(0xff, 0xff, 0xff, 0xff), 'ERR_FRAME_LENGTH'],
    [Uint8Array.of(0, 0, 0, 0), 'ERR_FRAME_LENGTH'],
    [uintToBytes(CHANNEL_FRAME_BYTES_MAX + 1, 4), 'ERR_FRAME_LENGTH'],
    [text('not json'), 'ERR_FRAME_JSON'],
    [concatBytes(uintToBytes(2, 4), Uint8Array.of(0xc3, 0x28)), 'ERR_FRAME_JSON'],
    [text('[]'), 'ERR_MESSAGE_FIELD'],
    [text('{"type":"hello"}'), 'ERR_MESSAGE_FIELD'],
    [text('{"type":"__proto__"}'), 'ERR_MESSAGE_FIELD'],
    [text('{"type":"transfer"}'), 'ERR_MESSAGE_FIELD'],
  ] as const) {
    const client = new Client();
    client.socket.write(bytes);
    assert.equal(await client.ended, 'closed');
    const [first] = client.messages;
    assert.ok(first?.type === 'error' && first.code === code, `${code}: ${JSON.stringify(first)}`);
    assert.equal(client.messages.length, 1);
  }
});

test('a peer that does not wait for answers loses its channel', async () => {
  const client = new Client();
  for (let sent = 0; sent < 200; sent++) client.hello();
  await client.ended;
  assert.ok(client.messages.length < 200);
});
