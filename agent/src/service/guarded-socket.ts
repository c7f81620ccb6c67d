/** A WebSocket of JSON messages with limits: shape, size, rate, and what waits to be sent. */
import type { WebSocket } from '@fastify/websocket';
import { type Clock, TapError } from '@tapnpay/protocol/bytes';
import { checkShape, type Shape, WireError } from '@tapnpay/protocol/wire';
import { ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';
import { TokenBucket } from './rate.ts';

/** Messages and bytes that a peer may send at once, and for ever after. */
const MESSAGES = { burst: 400, perSecond: 100 } as const;
const BYTES = { burst: 4_194_304, perSecond: 1_048_576 } as const;
/** A peer that lets more wait than this reads no more. */
export const SEND_BYTES_MAX = 4_194_304;
/** Time for a peer to answer a close. */
const CLOSE_TIMEOUT_MS = 1_000;
/** Close codes of the protocol. @see RFC 6455 §7.4.1 */
const CLOSE_UNSUPPORTED_DATA = 1003;
const CLOSE_POLICY = 1008;

export type SocketPorts<T> = {
  readonly shape: Shape<T>;
  readonly clock: Clock;
  readonly log: AgentLog;
  /** A coded fault that it throws closes the socket. */
  readonly onMessage: (message: T) => void;
  readonly onClosed: () => void;
};

/** One peer. */
export class GuardedSocket<T> {
  readonly #socket: WebSocket;
  readonly #ports: SocketPorts<T>;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  #isClosed = false;

  constructor(socket: WebSocket, ports: SocketPorts<T>) {
    this.#socket = socket;
    this.#ports = ports;
    this.#messages = new TokenBucket(ports.clock, MESSAGES);
    this.#bytes = new TokenBucket(ports.clock, BYTES);
    // `ws` closes by itself after an error (1009 for a message that is too long).
    socket.on('error', () => {});
    socket.on('close', () => this.#close());
    socket.on('message', (data: unknown, isBinary: boolean) => this.#take(data, isBinary));
  }

  send(message: unknown): void {
    if (this.#isClosed) return;
    if (this.#socket.bufferedAmount > SEND_BYTES_MAX) {
      this.#ports.log({ event: 'socketClosed', code: 'ERR_RATE' });
      this.#socket.terminate();
      return;
    }
    this.#socket.send(JSON.stringify(message));
  }

  /** Closes with the code of a refusal; what comes after it is not read. */
  refuse(code: string, closeCode: number = CLOSE_POLICY): void {
    if (this.#isClosed) return;
    this.#ports.log({ event: 'socketClosed', code });
    this.#socket.close(closeCode, code);
    this.#close();
    const cancel = this.#ports.clock.startTimer(CLOSE_TIMEOUT_MS, () => this.#socket.terminate());
    this.#socket.once('close', cancel);
  }

  #take(data: unknown, isBinary: boolean): void {
    if (this.#isClosed) return;
    if (isBinary || !(data instanceof Buffer)) {
      this.refuse('ERR_FRAME_JSON', CLOSE_UNSUPPORTED_DATA);
      return;
    }
    try {
      if (!this.#messages.take(1) || !this.#bytes.take(data.length)) {
        throw new ServiceError('ERR_RATE', 'too many messages');
      }
      const message = checkShape(this.#ports.shape, parse(data), 'message');
      this.#ports.onMessage(message);
    } catch (fault) {
      if (!(fault instanceof TapError)) throw fault;
      this.refuse(fault.code);
    }
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ports.onClosed();
  }
}

function parse(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'));
  } catch (cause) {
    throw new WireError('ERR_FRAME_JSON', 'message is no JSON', {}, cause);
  }
}
