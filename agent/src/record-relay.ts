/** Carries TLS records between the element and the gateway's listener, unread. */
import { connect, type Socket } from 'node:net';

/** Most bytes of one relayed message; a frame to the element holds it in base64. */
const RELAY_BYTES_MAX = 65_536;
/** Longest wait for the connection. */
const CONNECT_TIMEOUT_MS = 10_000;

/** What the relay tells the element. */
export type RelayListener = {
  readonly onOpened: () => void;
  readonly onRecords: (records: Uint8Array) => void;
  readonly onClosed: () => void;
};

/** One connection to the gateway; silent after `end` or `destroy`. */
export class RecordRelay {
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

  /** Records from the element. */
  send(records: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(records);
  }

  /** The element is done: what was sent still goes out. */
  end(): void {
    this.#listener = null;
    this.#socket.end();
  }

  /** The payment is over. */
  destroy(): void {
    this.#listener = null;
    this.#socket.destroySoon();
  }
}
