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
import { afterMs, keptTexts, onWindowMessage, type WindowMessageEvent } from './browser.ts';
import { AGENT_ACK_MS, AGENT_HELLO_MS, LOOK_AGAIN_MS } from './states.ts';
import { needOf, readyOf, type Transport, type TransportEvent } from './transport.ts';

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

/** A transport that can be asked for; it looks for nothing but its own agent. */
export type LoopbackTransport = Omit<Transport, 'look' | 'facts' | 'update'> & {
  /** Whether anybody answers, within a second; says nothing and asks for nothing. */
  probe(agentUrl: string): Promise<boolean>;
};

/** `WebSocket.CONNECTING`. */
const CONNECTING = 0;
const TOKEN_CHARACTERS_MAX = 512;

export class Loopback implements LoopbackTransport {
  readonly #browser: LoopbackBrowser;
  #listener: (event: TransportEvent) => void = () => {};
  #agentUrl = '';
  #window: LoopbackWindow | null = null;
  #socket: WebSocket | null = null;
  #isReady = false;
  #isPairing = false;
  #stopTimer: () => void = () => {};
  #stopMessages: () => void = () => {};

  constructor(browser: LoopbackBrowser = realBrowser()) {
    this.#browser = browser;
  }

  probe(agentUrl: string): Promise<boolean> {
    return new Promise((done) => {
      const socket = this.#connect(agentUrl);
      const finish = (found: boolean): void => {
        stop();
        done(found);
        socket?.close();
      };
      const stop = this.#browser.after(AGENT_ACK_MS, () => finish(false));
      if (socket === null) finish(false);
      else {
        socket.onopen = () => finish(true);
        socket.onclose = () => finish(false);
      }
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
    if (this.#isReady) this.#say(message);
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
    const url = `${this.#agentUrl}${AGENT_WINDOW_PAGE}?origin=${origin}`;
    this.#window = this.#browser.openWindow(url);
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

  #say(message: PageMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #after(ms: number, call: () => void): void {
    this.#stopTimer();
    this.#stopTimer = this.#browser.after(ms, call);
  }

  #dial(): void {
    this.#hangUp();
    const socket = this.#connect(this.#agentUrl);
    this.#socket = socket;
    let isOpen = false;
    this.#after(AGENT_ACK_MS, () => this.#miss());
    if (socket === null) return;
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      isOpen = true;
      this.#hello();
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (this.#socket === socket) this.#onFrame(data);
    };
    // Without an answer the ack's timer decides; it also paces the next try.
    socket.onclose = () => {
      if (this.#socket === socket && isOpen) this.#lose('ERR_AGENT_GONE', 'closed');
    };
  }

  /** Nobody acknowledged in time: says so, and tries again or waits on. */
  #miss(): void {
    if (this.#socket?.readyState === CONNECTING) this.#after(AGENT_ACK_MS, () => this.#miss());
    else this.#dial();
    this.#listener({ kind: 'missing', code: 'ERR_HOST_MISSING', detail: this.#agentUrl });
  }

  #hello(): void {
    this.#after(AGENT_HELLO_MS, () => this.#lose('ERR_AGENT_TIMEOUT', 'no welcome'));
    this.#say({
      type: 'hello',
      version: AGENT_VERSION,
      token: this.#browser.readToken(this.#agentOrigin),
    });
  }

  #lose(code: string, detail: string): void {
    this.#hangUp();
    this.#listener({ kind: 'lost', code, detail });
  }

  #onFrame(data: unknown): void {
    const message = parsed(data);
    if (message === null) this.#lose('ERR_AGENT_PROTOCOL', 'no message');
    else if (message.type === 'welcome') this.#onWelcome(message);
    else if (message.type === 'refused') this.#onRefused(message.error.code, message.error.message);
    else if (this.#isReady) this.#listener({ kind: 'message', message });
  }

  #onWelcome(health: Extract<AgentMessage, { type: 'welcome' }>): void {
    const need = needOf(health);
    this.#stopTimer();
    if (need === null) {
      this.#isReady = true;
      this.#listener(readyOf(health.element));
    } else {
      // A hello is said once: it is asked anew.
      this.#hangUp();
      this.#after(LOOK_AGAIN_MS, () => this.#dial());
      this.#listener({ kind: 'missing', ...need });
    }
  }

  #onRefused(code: string, detail: string): void {
    if (code !== 'ERR_NOT_PAIRED') {
      this.#lose(code, detail);
      return;
    }
    this.#hangUp();
    this.#browser.keepToken(this.#agentOrigin, null);
    this.#isPairing = true;
    this.#listener({ kind: 'pairing' });
  }

  /** Only the agent's own window may hand over a token. */
  #onWindowMessage({ data, origin, source }: WindowMessageEvent): void {
    if (origin !== this.#agentOrigin || source === null || source !== this.#window) return;
    const { type, token } = fieldsOf(data);
    const isToken = typeof token === 'string' && token.length <= TOKEN_CHARACTERS_MAX;
    if (type !== 'tapnpay-paired' || !isToken) return;
    this.#browser.keepToken(this.#agentOrigin, token);
    if (this.#isPairing) this.#dial();
  }

  get #agentOrigin(): string {
    return new URL(this.#agentUrl).origin;
  }
}

/** The fields of anything. */
function fieldsOf(data: unknown): { readonly type?: unknown; readonly token?: unknown } {
  return typeof data === 'object' && data !== null ? data : {};
}

function parsed(data: unknown): AgentMessage | null {
  try {
    const message: unknown = JSON.parse(data as string);
    return fieldsOf(message).type ? (message as AgentMessage) : null;
  } catch {
    return null;
  }
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
    onWindowMessage,
    readToken: tokens.read,
    keepToken: tokens.keep,
    after: afterMs,
  };
}
