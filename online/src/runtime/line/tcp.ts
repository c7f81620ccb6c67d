/** Lines over TCP: the driver below the transport. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { LineError } from './errors.ts';
import type { Transport } from './transport.ts';

/** Bytes that may wait for a peer that does not read. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;
/** Connections of one listener; a member needs one. */
const CONNECTIONS_MAX = 64;

/** A connected socket as a transport. What is sent in one turn of the loop leaves in one write. */
export function tcpTransport(socket: Socket): Transport {
  let fault: Error | undefined;
  let isClosed = false;
  const unsent: Uint8Array[] = [];
  const flush = (): void => {
    if (unsent.length === 0 || !socket.writable) return;
    const [first = new Uint8Array(0)] = unsent;
    const bytes = unsent.length === 1 ? first : Buffer.concat(unsent);
    unsent.length = 0;
    socket.write(bytes);
    if (socket.writableLength > UNSENT_BYTES_MAX) {
      socket.destroy(new LineError('ERR_LINE_BUSY', 'the peer does not read'));
    }
  };
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  socket.pause();
  socket.on('error', (error) => {
    fault = error;
  });
  socket.once('close', () => {
    isClosed = true;
  });
  return {
    listen(events) {
      // A plain array, whose `slice` copies as everywhere else.
      socket.on('data', ({ buffer, byteOffset, length }: Buffer) => {
        events.onBytes(new Uint8Array(buffer, byteOffset, length));
      });
      if (isClosed) events.onClose(fault);
      else socket.once('close', () => events.onClose(fault));
      socket.resume();
    },
    send(bytes) {
      if (!socket.writable) return;
      if (unsent.length === 0) setImmediate(flush);
      unsent.push(bytes);
    },
    close() {
      flush();
      socket.destroySoon();
    },
  };
}

/** Connects to a listener. @throws LineError `ERR_LINE_CONNECT`. */
export function connectTcp(address: {
  readonly host?: string;
  readonly port: number;
}): Promise<Transport> {
  const { host = '127.0.0.1', port } = address;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const fail = (cause?: Error): void => {
      socket.destroy();
      const text = `nobody answers at ${host}:${port}`;
      reject(new LineError('ERR_LINE_CONNECT', text, { host, port }, cause));
    };
    const onTimeout = (): void => fail();
    socket.setTimeout(CONNECT_TIMEOUT_MS, onTimeout);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('timeout', onTimeout);
      socket.off('error', fail);
      resolve(tcpTransport(socket));
    });
  });
}

/** A listening socket. */
export type TcpListener = { readonly port: number; readonly close: () => Promise<void> };

/** Listens on loopback unless told otherwise; port 0 takes a free one. */
export function listenTcp(options: {
  readonly host?: string;
  readonly port: number;
  readonly onTransport: (transport: Transport) => void;
}): Promise<TcpListener> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    options.onTransport(tcpTransport(socket));
  });
  server.maxConnections = CONNECTIONS_MAX;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host ?? '127.0.0.1', () => {
      server.off('error', reject);
      resolve({ port: portOf(server), close: () => closeServer(server, sockets) });
    });
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function closeServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroySoon();
  });
}
