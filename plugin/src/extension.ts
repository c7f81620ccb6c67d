/**
 * The extension as a page meets it: messages of this window to its content script and back. What
 * another window, origin or channel says is not heard.
 */
import {
  AGENT_MESSAGE_BYTES_MAX,
  PLUGIN_EVERY_CHANNEL,
  type ToPage,
  type ToPlugin,
  type ToPluginBody,
} from '@tapnpay/protocol/wire';
import { afterMs, onWindowMessage, type WindowMessageEvent } from './browser.ts';

/** What of a browser the extension is met through; tests give their own. */
export type PageBus = {
  readonly origin: string;
  /** The page's own window, the source of every message that counts. */
  readonly self: unknown;
  /** To the page's own origin only. */
  post(message: ToPlugin): void;
  /** Tells every `message` event of this page; returns what stops it. */
  onWindowMessage(listener: (event: WindowMessageEvent) => void): () => void;
  /** Calls once after `ms`; returns what stops it. */
  after(ms: number, call: () => void): () => void;
  newChannel(): string;
};
type Kind = ToPage['kind'];
type Waiting = { readonly kind: Kind; done(answer: ToPage | null): void };

/** A page's way to the extension. */
export class Extension {
  readonly #bus: PageBus;
  readonly #channel: string;
  readonly #listener: (message: ToPage) => void;
  readonly #waiting: Set<Waiting> = new Set();
  readonly #stop: () => void;

  /** @param listener hears what nobody asked for: `here`, `message`, `lost`. */
  constructor(listener: (message: ToPage) => void, bus: PageBus = realBus()) {
    this.#listener = listener;
    this.#bus = bus;
    this.#channel = bus.newChannel();
    this.#stop = bus.onWindowMessage((event) => this.#take(event));
  }

  /** Says it and forgets it. A message over the limit is answered as the extension would. */
  post(body: ToPluginBody): void {
    if (isTooLarge(body)) this.#hear(tooLarge(this.#channel));
    else this.#bus.post({ tapnpay: 'toPlugin', channel: this.#channel, ...body });
  }

  /** The first answer of this kind, or that the way is lost; null when none came in time. */
  ask(body: ToPluginBody, kind: Kind, ms: number): Promise<ToPage | null> {
    return new Promise((resolve) => {
      const stop = this.#bus.after(ms, () => waiting.done(null));
      const waiting: Waiting = {
        kind,
        done: (answer) => {
          stop();
          this.#waiting.delete(waiting);
          resolve(answer);
        },
      };
      this.#waiting.add(waiting);
      this.post(body);
    });
  }

  /** Lets its host go, and hears nothing more. */
  end(): void {
    this.post({ kind: 'close' });
    this.#stop();
  }

  #take({ data, origin, source }: WindowMessageEvent): void {
    if (source !== this.#bus.self || origin !== this.#bus.origin) return;
    const message = data as Partial<ToPage> | null;
    // What is inside was checked by the worker; this only tells our messages from others.
    const isOurs = [this.#channel, PLUGIN_EVERY_CHANNEL].includes(message?.channel ?? '');
    if (message?.tapnpay !== 'toPage' || !isOurs) return;
    this.#hear(isTooLarge(message as ToPage) ? tooLarge(this.#channel) : (message as ToPage));
  }

  #hear(message: ToPage): void {
    const isLost = message.kind === 'lost';
    const asked = [...this.#waiting].filter(({ kind }) => isLost || kind === message.kind);
    for (const { done } of asked) done(message);
    // Who only waited for a doctor did not wait for the loss of a payment's host.
    if (isLost || asked.length === 0) this.#listener(message);
  }
}

/** Of the message inside alone, as the agent counts it. */
function isTooLarge(body: ToPluginBody | ToPage): boolean {
  return body.kind === 'message' && JSON.stringify(body.message).length > AGENT_MESSAGE_BYTES_MAX;
}

function tooLarge(channel: string): ToPage {
  const code = 'ERR_MESSAGE_TOO_LARGE';
  return { tapnpay: 'toPage', channel, kind: 'lost', code, detail: `${AGENT_MESSAGE_BYTES_MAX}` };
}

/** The window that this page runs in. */
function realBus(): PageBus {
  return {
    origin: location.origin,
    self: window,
    post: (message) => window.postMessage(message, location.origin),
    onWindowMessage,
    after: afterMs,
    newChannel: () => crypto.randomUUID(),
  };
}
