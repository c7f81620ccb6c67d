/** Carries TLS records between the element and the gateway's listener, unread. */
import { connect, type Socket } from 'node:net';

/** Most bytes of one relayed message; a frame to the element holds it in base64. */
export const RELAY_BYTES_MAX = 65_536;
/** Longest wait for the connection. */
const CONNECT_TIMEOUT_MS = 10_000;

/** What a relay tells the element. */
export type RelayListener = {
  readonly onOpened: () => void;
  /** At most `RELAY_BYTES_MAX` bytes at once. */
  readonly onRecords: (records: Uint8Array) => void;
  readonly onClosed: () => void;
};

/** A way to the gateway for one payment; silent after `end` or `destroy`. */
export type Relay = {
  /** Records from the element. */
  readonly send: (records: Uint8Array) => void;
  /** The element is done: what was sent still goes out. */
  readonly end: () => void;
  /** The payment is over. */
  readonly destroy: () => void;
};

/** A relay over TCP, for programs that reach the gateway's listener themselves. */
export function tcpRelay(target: {
  readonly host: string;
  readonly port: number;
}): (listener: RelayListener) => Relay {
  return (listener) => new TcpRelay(target, listener);
}

class TcpRelay implements Relay {
  readonly #socket: Socket;
  #listener: RelayListener | null;

  constructor(target: { readonly host: string; readonly port: number }, listener: RelayListener) {
    this.#listener = listener;
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    this.#socket = socket;
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      if (socket.connecting) socket.destroy();
    });
    socket.on('connect', () => this.#listener?.onOpened());
    socket.on('data', (data: Buffer) => {
      for (let offset = 0; offset < data.length; offset += RELAY_BYTES_MAX) {
        this.#listener?.onRecords(data.subarray(offset, offset + RELAY_BYTES_MAX));
      }
    });
    // The reason of a lost connection matters to nobody: `close` follows every `error`.
    socket.on('error', () => {});
    socket.on('close', () => this.#listener?.onClosed());
  }

  send(records: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(records);
  }

  end(): void {
    this.#listener = null;
    this.#socket.end();
  }

  destroy(): void {
    this.#listener = null;
    this.#socket.destroySoon();
  }
}
