/** The TLS engine against a real TLS server over an in-memory relay: who is trusted and who not. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { Duplex } from 'node:stream';
import { afterEach, test } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Clock } from '@tapnpay/protocol/bytes';
import { toHex } from '@tapnpay/protocol/bytes';
import { TestAuthority } from '../../protocol/node/certificates.test-pki.ts';
import { CHANNEL_HELD_BYTES_MAX, SecureChannel } from './channel.ts';
import { systemClock } from './system.ts';

const SERVER_NAME = 'gateway.tapnpay.test';
const authority = new TestAuthority();
const stranger = new TestAuthority('Stranger CA');
const server = authority.issue({ name: 'gateway', dnsName: SERVER_NAME });
const client = authority.issue({ name: '0011223344556677' });
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function identity() {
  return {
    caPem: authority.certPem,
    certificatePem: client.certPem,
    clientKeyPem: client.keyPem,
    serverName: SERVER_NAME,
  };
}

/** The server's alert and the end of the relay race; either ends the channel. */
function isLostChannel(fault: { readonly code: string }): boolean {
  return /^ERR_CHANNEL_(TLS|CLOSED)$/.test(fault.code);
}

/** A channel whose relay ends in a real TLS server with these options. */
function channelTo(
  options: TlsOptions,
  onSecure: (socket: TLSSocket) => void = () => {},
  clock: Clock = systemClock,
): { readonly channel: SecureChannel; readonly sent: Uint8Array[] } {
  const gateway = createServer({
    ca: authority.certPem,
    cert: server.certPem,
    key: server.keyPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    ...options,
  });
  const sent: Uint8Array[] = [];
  gateway.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    onSecure(socket);
  });
  gateway.on('tlsClientError', () => wire.destroy());
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      setImmediate(() => channel.onRecords(new Uint8Array(chunk)));
      done();
    },
    final(done) {
      setImmediate(() => channel.onClosed());
      done();
    },
  });
  wire.on('error', () => {});
  wire.on('close', () => channel.onClosed());
  const channel: SecureChannel = new SecureChannel(
    {
      open: () => {
        gateway.emit('connection', wire);
        channel.onOpened();
      },
      send: (records) => {
        sent.push(records.slice());
        wire.push(Buffer.from(records));
      },
      end: () => wire.push(null),
    },
    clock,
  );
  closers.push(() => {
    channel.close();
    wire.destroy();
  });
  return { channel, sent };
}

test('TLS 1.3, certificates on both sides, one exporter (RFC 8446 §7.5)', async () => {
  let remote = '';
  let peerName = '';
  const { channel, sent } = channelTo({}, (socket) => {
    remote = toHex(socket.exportKeyingMaterial(32, 'EXPORTER-tapandpay', Buffer.alloc(0)));
    const peer = socket.getPeerX509Certificate();
    peerName = peer instanceof X509Certificate ? peer.subject : '';
    socket.on('data', (data) => socket.write(data));
  });
  const facts = await channel.open(identity());
  assert.deepEqual(facts, { protocol: 'TLSv1.3', mutual: true, resumed: false });
  await channel.send(Buffer.from('SECRET-TRACK-2'));
  assert.equal(Buffer.from(await channel.receive(2000)).toString(), 'SECRET-TRACK-2');
  assert.equal(toHex(channel.exporter('EXPORTER-tapandpay', 32)), remote);
  assert.equal(peerName, 'CN=0011223344556677');
  assert.ok(!Buffer.concat(sent).includes('SECRET'), 'the relay sees records only');
});

test('a server that asks for no certificate is told apart: the channel is not mutual', async () => {
  const { channel } = channelTo({ requestCert: false });
  assert.equal((await channel.open(identity())).mutual, false);
});

for (const [what, options] of [
  ['of another authority', stranger.issue({ name: 'gateway', dnsName: SERVER_NAME })],
  ['of another name', authority.issue({ name: 'gateway', dnsName: 'other.test' })],
  ['that has expired', authority.issue({ name: 'gateway', dnsName: SERVER_NAME, validDays: -1 })],
] as const) {
  test(`a server certificate ${what} is refused`, async () => {
    const { channel } = channelTo({ cert: options.certPem, key: options.keyPem });
    await assert.rejects(channel.open(identity()), { code: 'ERR_CHANNEL_TLS' });
  });
}

test('a server that speaks TLS 1.2 only is refused', async () => {
  const { channel } = channelTo({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
  await assert.rejects(channel.open(identity()), isLostChannel);
});

test('a gateway that refuses our certificate ends the channel at the first read', async () => {
  const foreign = stranger.issue({ name: '0011223344556677' });
  const { channel } = channelTo({});
  const mine = { certificatePem: foreign.certPem, clientKeyPem: foreign.keyPem };
  await assert.rejects(async () => {
    await channel.open({ ...identity(), ...mine });
    await channel.receive(2000);
  }, isLostChannel);
});

test('an own certificate that does not fit its key is said so, and the relay is let go', async () => {
  const events: string[] = [];
  const channel = new SecureChannel(
    { open: () => events.push('open'), send() {}, end: () => events.push('end') },
    systemClock,
  );
  const other = authority.issue({ name: '0011223344556677' });
  const mixed = { ...identity(), clientKeyPem: other.keyPem };
  await assert.rejects(channel.open(mixed), { code: 'ERR_CHANNEL_TLS' });
  await channel.close();
  assert.deepEqual(events, ['open', 'end']);
});

test('bytes received before the end are read before the fault', async () => {
  const { channel } = channelTo({}, (socket) => socket.end('last words'));
  await channel.open(identity());
  assert.equal(Buffer.from(await channel.receive(2000)).toString(), 'last words');
  await assert.rejects(channel.receive(2000), { code: 'ERR_CHANNEL_CLOSED' });
  await assert.rejects(channel.send(Uint8Array.of(1)), { code: 'ERR_CHANNEL_CLOSED' });
});

test('who waits for a person hears at once that the channel is lost, also afterwards', async () => {
  const { channel } = channelTo({}, (socket) => socket.once('data', () => socket.destroy()));
  await channel.open(identity());
  const lost = assert.rejects(channel.untilLost(), { code: 'ERR_CHANNEL_CLOSED' });
  await Promise.allSettled([channel.send(Uint8Array.of(1))]);
  await lost;
  await assert.rejects(channel.untilLost(), { code: 'ERR_CHANNEL_CLOSED' });
});

test('a record that the gateway did not make ends the channel', async () => {
  const { channel } = channelTo({}, (socket) => socket.write('hello'));
  await channel.open(identity());
  await channel.receive(2000);
  channel.onRecords(Buffer.concat([Buffer.of(0x17, 3, 3, 0, 32), Buffer.alloc(32, 0x5a)]));
  await assert.rejects(channel.receive(2000), { code: 'ERR_CHANNEL_TAMPERED' });
});

test('a gateway that floods loses the channel', async () => {
  const { channel } = channelTo({}, (socket) =>
    socket.write(Buffer.alloc(CHANNEL_HELD_BYTES_MAX * 2)),
  );
  await channel.open(identity());
  await assert.rejects(
    async () => {
      for (let count = 0; count < 1000; count++) {
        await new Promise((resolve) => setImmediate(resolve));
        if (count > 500) await channel.receive(2000);
      }
    },
    { code: 'ERR_CHANNEL_TLS' },
  );
});

test('an unreachable gateway and a silent one are told apart', async () => {
  const relay = { open: () => channel.onClosed(), send() {}, end() {} };
  const channel: SecureChannel = new SecureChannel(relay, systemClock);
  await assert.rejects(channel.open(identity()), { code: 'ERR_CHANNEL_CLOSED' });
  let fire: () => void = () => {};
  const clock: Clock = {
    nowMs: () => 0,
    startTimer: (_delayMs, action) => {
      fire = action;
      return () => {};
    },
  };
  const silent = new SecureChannel({ open() {}, send() {}, end() {} }, clock);
  const opening = silent.open(identity());
  fire();
  await assert.rejects(opening, { code: 'ERR_CHANNEL_TIMEOUT' });
});
