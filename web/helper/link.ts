/**
 * The page's WebSocket to its agent: it comes back by itself with growing pauses, and tells an
 * agent that is away from a browser that is not paired. The agent sends everything on each change,
 * so nothing is kept here.
 */
import type { ErrorBody } from '@tapnpay/protocol/bytes';
import type { WindowError, WindowMessage, WindowView } from '@tapnpay/protocol/wire';

/** Pauses before each new try, in milliseconds; the last one repeats. */
export const RETRY_PAUSES_MS: readonly number[] = [200, 400, 800, 1600, 3200, 5000];
const NOT_PAIRED = 'ERR_NOT_PAIRED';

/**
 * `lost` tries again by itself; `notPaired` waits for `start`. Nothing comes after `ended`, when
 * the page that wanted this window is gone, nor after `broken`, when its agent is.
 */
export type LinkStatus = 'connecting' | 'open' | 'lost' | 'notPaired' | 'ended' | 'broken';

/** How a page reaches whoever holds reader and element. */
export type Link = {
  /** Connects now; also after pairing and when the person asks. */
  start(): void;
  /** False when there is nobody to hear it. */
  send(message: WindowMessage): boolean;
};

/** What a link tells. */
export type LinkListener = {
  readonly onStatus: (status: LinkStatus) => void;
  readonly onView: (view: WindowView) => void;
  readonly onError: (error: ErrorBody) => void;
};

/** The part of a WebSocket that is used. */
export type Socket = {
  send(text: string): void;
  close(): void;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
};

/** What the link needs from the browser. */
export type LinkPorts = LinkListener & {
  readonly openSocket: () => Socket;
  /** Whether the agent knows this browser; a refused WebSocket does not say why. */
  readonly askPaired: () => Promise<'paired' | 'notPaired' | 'away'>;
  readonly later: (action: () => void, pauseMs: number) => () => void;
};

/** One page's link. */
export class AgentLink implements Link {
  readonly #ports: LinkPorts;
  #socket: Socket | null = null;
  #stopTimer: (() => void) | null = null;
  #tries = 0;
  /** False until the agent sent a view on this socket: only then is it really open. */
  #isOpen = false;

  constructor(ports: LinkPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#stopTimer?.();
    this.#stopTimer = null;
    this.#drop();
    this.#isOpen = false;
    const socket = this.#ports.openSocket();
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(socket, data);
    socket.onclose = () => void this.#closed(socket);
  }

  send(message: WindowMessage): boolean {
    if (this.#socket === null || !this.#isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #take(socket: Socket, data: unknown): void {
    if (socket !== this.#socket) return;
    const message = parseAgentMessage(data);
    if (message === null) return;
    if (message.type === 'view') {
      this.#tries = 0;
      if (!this.#isOpen) {
        this.#isOpen = true;
        this.#ports.onStatus('open');
      }
      this.#ports.onView(message);
    } else if (message.error.code === NOT_PAIRED) this.#stopUnpaired();
    else this.#ports.onError(message.error);
  }

  async #closed(socket: Socket): Promise<void> {
    if (socket !== this.#socket) return;
    this.#socket = null;
    const wasOpen = this.#isOpen;
    this.#isOpen = false;
    if (wasOpen) this.#ports.onStatus('lost');
    const known = wasOpen ? 'away' : await this.#ports.askPaired();
    if (this.#socket !== null || this.#stopTimer !== null) return;
    if (known === 'notPaired') return this.#ports.onStatus('notPaired');
    this.#ports.onStatus('lost');
    const pauseMs = RETRY_PAUSES_MS[Math.min(this.#tries, RETRY_PAUSES_MS.length - 1)] ?? 0;
    this.#tries += 1;
    this.#stopTimer = this.#ports.later(() => this.start(), pauseMs);
  }

  #stopUnpaired(): void {
    this.#drop();
    this.#isOpen = false;
    this.#ports.onStatus('notPaired');
  }

  /** A socket that is given up says nothing more. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}

/** A message of the agent, or null for what is none. */
export function parseAgentMessage(data: unknown): WindowView | WindowError | null {
  if (typeof data !== 'string') return null;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  const message = value as WindowView | WindowError | null;
  if (message?.type === 'view' && Array.isArray(message.cards) && message.reader) return message;
  const isError = message?.type === 'error' && typeof message.error?.code === 'string';
  return isError ? message : null;
}
