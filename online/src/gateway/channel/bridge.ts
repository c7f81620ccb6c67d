/**
 * The bridge of the payer's page: a WebSocket whose binary messages are the records of the payment
 * application's TLS channel, carried to the TLS listener and back. It is a hostile place by design:
 * TLS ends in the listener, so that nothing here can read a byte, and nothing here looks.
 */
import { connect, type Socket } from 'node:net';
import type { WebSocket } from '@fastify/websocket';
import { GatewayError } from '../errors.ts';
import type { GatewayLog } from '../ports.ts';

/** Limits of the bridge. */
export type BridgeLimits = {
  /** Bridges at once. */
  readonly bridgesMax: number;
  readonly connectTimeoutMs: number;
  /** Without a byte either way for so long a bridge ends; a little more than the channel's. */
  readonly idleTimeoutMs: number;
  /** Bytes waiting for a slow page before the listener's side is not read any more. */
  readonly unsentBytesMax: number;
  /** How long a page may take to answer the close. */
  readonly closeTimeoutMs: number;
};
export const BRIDGE_LIMITS: BridgeLimits = {
  bridgesMax: 256,
  connectTimeoutMs: 5_000,
  idleTimeoutMs: 310_000,
  unsentBytesMax: 262_144,
  closeTimeoutMs: 2_000,
};

/** Close codes. @see RFC 6455 §7.4.1 */
const CLOSE_NORMAL = 1000;
const CLOSE_GOING_AWAY = 1001;
const CLOSE_UNSUPPORTED = 1003;
const CLOSE_INTERNAL = 1011;
const CLOSE_TRY_LATER = 1013;

/** All bridges of a gateway. */
export class ChannelBridge {
  readonly #connect: () => Socket;
  readonly #limits: BridgeLimits;
  readonly #log: GatewayLog;
  /** Each open page and what ends its bridge with a close code. */
  readonly #pages = new Map<WebSocket, (code: number) => void>();

  constructor(options: {
    readonly target: { readonly host: string; readonly port: number };
    readonly log: GatewayLog;
    readonly limits?: Partial<BridgeLimits>;
    /** How the listener is reached, for tests. */
    readonly connect?: () => Socket;
  }) {
    this.#connect = options.connect ?? (() => connect(options.target));
    this.#limits = { ...BRIDGE_LIMITS, ...options.limits };
    this.#log = options.log;
  }

  /** @throws GatewayError `ERR_BRIDGE_LIMIT`. */
  assertRoom(): void {
    if (this.#pages.size < this.#limits.bridgesMax) return;
    throw new GatewayError('ERR_BRIDGE_LIMIT', 'too many payments at once; try again');
  }

  /** Bridges one page until either side closes. */
  join(page: WebSocket): void {
    // Two that were let in together may be one too many.
    if (this.#pages.size >= this.#limits.bridgesMax) {
      page.close(CLOSE_TRY_LATER);
      return;
    }
    const carried: Carried = { up: 0, down: 0 };
    const line = this.#connect();
    this.#pages.set(page, bridge({ page, line, carried, limits: this.#limits }));
    page.once('close', (code) => {
      this.#pages.delete(page);
      this.#log({ event: 'bridgeClosed', code, ...carried });
    });
  }

  /** Ends every bridge: the gateway stops. */
  close(): void {
    for (const end of this.#pages.values()) end(CLOSE_GOING_AWAY);
  }
}

/** Bytes carried so far, for the log; the only thing that is known of them. */
type Carried = { up: number; down: number };

function bridge(sides: {
  readonly page: WebSocket;
  readonly line: Socket;
  readonly carried: Carried;
  readonly limits: BridgeLimits;
}): (code: number) => void {
  const { page, line, carried, limits } = sides;
  const end = (code: number): void => {
    line.destroySoon();
    if (page.readyState !== page.OPEN) return;
    page.close(code);
    // A paused page could not answer the close.
    page.resume();
    setTimeout(() => page.terminate(), limits.closeTimeoutMs).unref();
  };
  // Nothing is read before there is somewhere to put it.
  page.pause();
  line.setNoDelay(true);
  line.setTimeout(limits.connectTimeoutMs);
  let isConnected = false;
  line.once('connect', () => {
    isConnected = true;
    line.setTimeout(limits.idleTimeoutMs);
    page.resume();
  });
  line.on('timeout', () => {
    end(isConnected ? CLOSE_NORMAL : CLOSE_INTERNAL);
    line.destroy();
  });
  line.on('error', () => end(CLOSE_INTERNAL));
  line.on('end', () => end(CLOSE_NORMAL));
  page.on('close', () => line.destroySoon());
  // A frame that is too long or wrong: ws has sent the close by itself.
  page.on('error', () => {
    line.destroy();
    setTimeout(() => page.terminate(), limits.closeTimeoutMs).unref();
  });
  carryUp(page, line, { carried, refuse: () => end(CLOSE_UNSUPPORTED) });
  carryDown(page, line, { carried, unsentBytesMax: limits.unsentBytesMax });
  return end;
}

/** Page to listener. A listener that does not take the bytes stops the page's socket. */
function carryUp(
  page: WebSocket,
  line: Socket,
  { carried, refuse }: { readonly carried: Carried; readonly refuse: () => void },
): void {
  page.on('message', (data, isBinary) => {
    if (!isBinary || !Buffer.isBuffer(data)) return refuse();
    if (!line.writable) return;
    carried.up += data.length;
    if (!line.write(data)) page.pause();
  });
  line.on('drain', () => page.resume());
}

/** Listener to page, at most one read of the socket (65,536 bytes) a message. */
function carryDown(
  page: WebSocket,
  line: Socket,
  { carried, unsentBytesMax }: { readonly carried: Carried; readonly unsentBytesMax: number },
): void {
  line.on('data', (chunk: Buffer) => {
    carried.down += chunk.length;
    page.send(chunk, { binary: true }, () => {
      if (page.bufferedAmount < unsentBytesMax) line.resume();
    });
    if (page.bufferedAmount >= unsentBytesMax) line.pause();
  });
}
