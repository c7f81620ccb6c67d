/**
 * The transport without an extension: a WebSocket to the agent on this machine, and the agent's
 * own window, opened inside the person's click, for consent, card, PIN and pairing.
 */
import {
  AGENT_SESSION_PATH,
  AGENT_VERSION,
  AGENT_WINDOW_PAGE,
  type AgentMessage,
  type PageMessage,
} from '@tapnpay/protocol/wire';
import { afterMs, keptTexts } from './browser.ts';
import { AGENT_ACK_MS, AGENT_HELLO_MS } from './states.ts';
import type { Transport, TransportEvent } from './transport.ts';

/** What of a browser the transport uses; tests give their own. */
export type LoopbackBrowser = {
  readonly origin: string;
  /** Opens a window inside a click; null when the browser blocks it. */
  openWindow(url: string): LoopbackWindow | null;
  connect(url: string): WebSocket;
  /** Tells every `message` event of this page; returns what stops it. */
  onWindowMessage(listener: (event: WindowMessageEvent) => void): () => void;
  readToken(agentOrigin: string): string | null;
  keepToken(agentOrigin: string, token: string | null): void;
  /** Calls once after `ms`; returns what stops it. */
  after(ms: number, call: () => void): () => void;
};
export type LoopbackWindow = { readonly closed: boolean; focus(): void; close(): void };
export type WindowMessageEvent = Pick<MessageEvent<unknown>, 'data' | 'origin'> & {
  readonly source: unknown;
};

/** `WebSocket.CONNECTING`. */
const CONNECTING = 0;
const TOKEN_CHARACTERS_MAX = 512;

/** The transport of pages that have no extension. */
export function loopbackTransport(browser: LoopbackBrowser = realBrowser()): Transport {
  return new Loopback(browser);
}

class Loopback implements Transport {
  readonly #browser: LoopbackBrowser;
  #listener: (event: TransportEvent) => void = () => {};
  #agentUrl = '';
  #window: LoopbackWindow | null = null;
  #socket: WebSocket | null = null;
  #isReady = false;
  #isPairing = false;
  #stopTimer: () => void = () => {};
  #stopMessages: () => void = () => {};

  constructor(browser: LoopbackBrowser) {
    this.#browser = browser;
  }

  probe(agentUrl: string): Promise<boolean> {
    return new Promise((done) => {
      const socket = this.#connect(agentUrl);
      const stop = this.#browser.after(AGENT_ACK_MS, () => finish(false));
      const finish = (found: boolean): void => {
        stop();
        done(found);
        socket?.close();
      };
      if (socket === null) {
        finish(false);
        return;
      }
      socket.onopen = () => finish(true);
      socket.onclose = () => finish(false);
    });
  }

  open(agentUrl: string): void {
    this.close();
    this.#agentUrl = agentUrl;
    this.#window?.close();
    this.#window = null;
    this.#stopMessages = this.#browser.onWindowMessage((event) => this.#onWindowMessage(event));
    this.show();
    this.#dial();
  }

  send(message: PageMessage): void {
    if (this.#isReady) this.#socket?.send(JSON.stringify(message));
  }

  onMessage(listener: (event: TransportEvent) => void): void {
    this.#listener = listener;
  }

  show(): void {
    if (this.#window && !this.#window.closed) {
      this.#window.focus();
      return;
    }
    const origin = encodeURIComponent(this.#browser.origin);
    this.#window = this.#browser.openWindow(
      `${this.#agentUrl}${AGENT_WINDOW_PAGE}?origin=${origin}`,
    );
    if (this.#window === null) this.#listener({ kind: 'blocked' });
  }

  close(): void {
    this.#stopMessages();
    this.#hangUp();
  }

  #hangUp(): void {
    this.#stopTimer();
    const socket = this.#socket;
    this.#socket = null;
    this.#isReady = false;
    this.#isPairing = false;
    socket?.close();
  }

  #connect(agentUrl: string): WebSocket | null {
    try {
      return this.#browser.connect(`${agentUrl.replace(/^http/, 'ws')}${AGENT_SESSION_PATH}`);
    } catch {
      // A browser that forbids the address is a browser without an agent.
      return null;
    }
  }

  #dial(): void {
    this.#hangUp();
    const socket = this.#connect(this.#agentUrl);
    this.#socket = socket;
    let isOpen = false;
    this.#stopTimer = this.#browser.after(AGENT_ACK_MS, () => this.#miss());
    if (socket === null) return;
    const ifCurrent = (act: () => void) => () => {
      if (this.#socket === socket) act();
    };
    socket.onopen = ifCurrent(() => {
      isOpen = true;
      this.#hello();
    });
    socket.onmessage = (event: MessageEvent<unknown>) =>
      ifCurrent(() => this.#onFrame(event.data))();
    // Without an answer the ack's timer decides; it also paces the next try.
    socket.onclose = ifCurrent(() => {
      if (isOpen) this.#lose('ERR_AGENT_GONE', 'closed');
    });
  }

  /** Nobody acknowledged in time: says so, and tries again or waits on. */
  #miss(): void {
    if (this.#socket?.readyState === CONNECTING) {
      this.#stopTimer = this.#browser.after(AGENT_ACK_MS, () => this.#miss());
    } else this.#dial();
    this.#listener({ kind: 'missing' });
  }

  #hello(): void {
    this.#stopTimer();
    this.#stopTimer = this.#browser.after(AGENT_HELLO_MS, () => {
      this.#hangUp();
      this.#listener({ kind: 'refused', code: 'ERR_AGENT_TIMEOUT', detail: 'no welcome' });
    });
    const token = this.#browser.readToken(this.#agentOrigin);
    const hello: PageMessage = { type: 'hello', version: AGENT_VERSION, token };
    this.#socket?.send(JSON.stringify(hello));
  }

  #lose(code: string, detail: string): void {
    this.#hangUp();
    this.#listener({ kind: 'lost', code, detail });
  }

  #onFrame(data: unknown): void {
    const message = parseMessage(data);
    if (message === null) {
      this.#lose('ERR_AGENT_PROTOCOL', 'no message');
    } else if (message.type === 'welcome') {
      this.#stopTimer();
      this.#isReady = true;
      this.#listener({ kind: 'ready', health: message });
    } else if (message.type === 'refused') {
      this.#onRefused(message.error.code, message.error.message);
    } else if (this.#isReady) {
      this.#listener({ kind: 'message', message });
    }
  }

  #onRefused(code: string, detail: string): void {
    this.#hangUp();
    if (code !== 'ERR_NOT_PAIRED') {
      this.#listener({ kind: 'refused', code, detail });
      return;
    }
    this.#browser.keepToken(this.#agentOrigin, null);
    this.#isPairing = true;
    this.#listener({ kind: 'pairing' });
  }

  /** Only the agent's own window may hand over a token. */
  #onWindowMessage({ data, origin, source }: WindowMessageEvent): void {
    if (origin !== this.#agentOrigin || source === null || source !== this.#window) return;
    const token = pairedToken(data);
    if (token === null) return;
    this.#browser.keepToken(this.#agentOrigin, token);
    if (this.#isPairing) this.#dial();
  }

  get #agentOrigin(): string {
    return new URL(this.#agentUrl).origin;
  }
}

function parseMessage(data: unknown): AgentMessage | null {
  if (typeof data !== 'string') return null;
  try {
    const value: unknown = JSON.parse(data);
    const isMessage = typeof value === 'object' && value !== null && 'type' in value;
    return isMessage ? (value as AgentMessage) : null;
  } catch {
    return null;
  }
}

function pairedToken(data: unknown): string | null {
  if (typeof data !== 'object' || data === null) return null;
  if (!('type' in data) || data.type !== 'tapnpay-paired' || !('token' in data)) return null;
  const { token } = data;
  return typeof token === 'string' && token.length <= TOKEN_CHARACTERS_MAX ? token : null;
}

const WINDOW_FEATURES = 'popup,width=460,height=760';
const TOKEN_KEY = 'tapnpay-token:';

/** The browser that this page runs in. */
function realBrowser(): LoopbackBrowser {
  const tokens = keptTexts('localStorage', TOKEN_KEY);
  return {
    origin: location.origin,
    openWindow: (url) => window.open(url, '_blank', WINDOW_FEATURES),
    connect: (url) => new WebSocket(url),
    onWindowMessage: (listener) => {
      addEventListener('message', listener);
      return () => removeEventListener('message', listener);
    },
    readToken: tokens.read,
    keepToken: tokens.keep,
    after: afterMs,
  };
}
