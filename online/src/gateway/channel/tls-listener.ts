/**
 * The listener for payment applications: TLS 1.3 with certificates on both sides, our CA alone.
 * The element's id is taken from the client certificate of the full handshake. A ticket holds that
 * certificate under a key of this process, so that a resumed channel is bound to the same element;
 * it lives for an hour and for one process, its key exchange is fresh, there is no early data, and
 * whether the element may still speak is asked anew by its hello. @see RFC 8446 §2.2
 */
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { toHex } from '@tapnpay/protocol/bytes';
import {
  CHANNEL_EXPORTER_LABEL,
  CHANNEL_FRAME_BYTES_MAX,
  encodeJsonFrame,
  type GatewayMessage,
  JsonFrameDecoder,
} from '@tapnpay/protocol/wire';
import type { GatewayCore } from '../core.ts';
import type { Authority } from '../pki/authority.ts';
import { certificateSha256 } from '../pki/authority.ts';
import { ChannelSession, publicFault } from './session.ts';

/** Length of the exporter value. @see RFC 8446 §7.5 */
export const EXPORTER_BYTES = 32;
/** Channels at once; further connections wait in the system's queue or are refused. */
export const CHANNELS_MAX = 1024;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How long after its full handshake an element may come back without another one. */
const TICKET_LIFETIME_SECONDS = 3_600;
/** Sessions of other listeners are none of ours. */
const SESSION_CONTEXT = 'tapnpay-channel';
/** A channel without a byte for so long is closed; a PIN entry takes less. */
const IDLE_TIMEOUT_MS = 300_000;
/** Messages one peer may have waiting; more means that it does not wait for answers. */
const QUEUED_MESSAGES_MAX = 16;

/** A running listener. */
export type TlsListener = { readonly port: number; readonly close: () => Promise<void> };

/** Listens on `host:port` (port 0 takes a free one). */
export async function listenForApplications(
  core: GatewayCore,
  authority: Authority,
  address: { readonly host: string; readonly port: number },
): Promise<TlsListener> {
  const sockets = new Set<Socket>();
  const server = createServer(
    {
      key: authority.serverKeyPem,
      cert: authority.serverCertificatePem,
      ca: authority.caPem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      sessionTimeout: TICKET_LIFETIME_SECONDS,
      sessionIdContext: SESSION_CONTEXT,
    },
    (socket) => serveChannel(core, socket),
  );
  server.maxConnections = CHANNELS_MAX;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // Faults before TLS takes over; the TLS socket reports its own.
    socket.on('error', () => undefined);
  });
  server.on('tlsClientError', (fault: NodeJS.ErrnoException, socket) => {
    core.ports.log({ event: 'channelRefused', code: fault.code ?? 'ERR_TLS' });
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** One channel from its handshake to its end. */
function serveChannel(core: GatewayCore, socket: TLSSocket): void {
  socket.setNoDelay(true);
  socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
  socket.on('error', (fault: NodeJS.ErrnoException) => {
    core.ports.log({ event: 'channelBroken', code: fault.code ?? 'ERR_TLS' });
    // A harmed record does not end the connection by itself.
    socket.destroy();
  });
  const certificate = socket.getPeerX509Certificate();
  const elementId = certificate ? commonName(certificate.subject) : null;
  // A ticket may outlive the certificate in it.
  const isExpired = certificate && certificate.validToDate.getTime() <= core.ports.clock.nowMs();
  if (!socket.authorized || !certificate || elementId === null || isExpired) {
    socket.destroy();
    return;
  }
  const exporter = socket.exportKeyingMaterial(
    EXPORTER_BYTES,
    CHANNEL_EXPORTER_LABEL,
    Buffer.alloc(0),
  );
  const session = new ChannelSession(core, {
    elementId,
    certificateSha256: certificateSha256(certificate.raw),
    exporter: toHex(exporter),
    protocol: socket.getProtocol() ?? 'unknown',
    isOpen: () => !socket.destroyed && socket.writable && !socket.readableEnded,
  });
  pump(core, socket, session);
}

/** Frames in, answers out, strictly one after another. */
function pump(core: GatewayCore, socket: TLSSocket, session: ChannelSession): void {
  const decoder = new JsonFrameDecoder(CHANNEL_FRAME_BYTES_MAX);
  let turn = Promise.resolve();
  let queued = 0;
  const refuse = (fault: unknown): void => {
    const { code, message, data } = publicFault(fault);
    core.ports.log({ event: 'channelFault', code });
    send(socket, { type: 'error', code, message, data });
    socket.end();
  };
  socket.on('data', (chunk: Buffer) => {
    if (socket.writableEnded) return;
    try {
      for (const message of decoder.push(chunk)) {
        if (++queued > QUEUED_MESSAGES_MAX) {
          socket.destroy();
          return;
        }
        turn = turn.then(async () => {
          const { replies, close } = await session.handle(message);
          queued--;
          // Several words leave as one record.
          socket.cork();
          for (const reply of replies) send(socket, reply);
          socket.uncork();
          if (close) socket.end();
        });
      }
    } catch (fault) {
      refuse(fault);
    }
  });
}

function send(socket: TLSSocket, message: GatewayMessage): void {
  if (!socket.writable) return;
  socket.write(encodeJsonFrame(message, CHANNEL_FRAME_BYTES_MAX));
}

/** The CN of a subject as node prints it, one attribute a line. */
function commonName(subject: string): string | null {
  const names = subject.split('\n').filter((line) => line.startsWith('CN='));
  return names.length === 1 ? (names[0]?.slice(3) ?? null) : null;
}
