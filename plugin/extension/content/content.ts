/**
 * The content script of a gateway's page: carries messages between the page's own window and the
 * worker's port, one port for each transport of the page, and reads none of them.
 */
import {
  type NativeFaultCode,
  PLUGIN_EVERY_CHANNEL,
  type ToPage,
  type ToPageBody,
  type ToPlugin,
  toPageOf,
  toPluginOf,
} from '@tapnpay/protocol/wire';
import type { After, ContentBrowser, Port } from '../api.ts';
import {
  isWindowLanguage,
  PAGE_PORT,
  type PagePortAnswer,
  type PagePortMessage,
  UPDATE_MESSAGE,
  type WindowLanguage,
} from '../ports.ts';
import { isTooLarge } from '../size.ts';
import { portFaultOf, textOf } from '../worker/fault-codes.ts';

/** Ports of one frame at most: each is a process on this machine. */
export const CHANNELS_MAX = 4;

/** An extension that is replaced closes its ports first, and leaves its scripts soon after. */
const REPLACED_BY_MS = 100;

const RELOADED = ['ERR_EXTENSION_RELOADED', 'Extension context invalidated.'] as const;

/** The page's window, as far as it is used. */
export type PageWindow = {
  readonly origin: string;
  postMessage(message: unknown, targetOrigin: string): void;
  addEventListener(type: 'message', listener: (event: PageEvent) => void): void;
  removeEventListener(type: 'message', listener: (event: PageEvent) => void): void;
};
export type PageEvent = Pick<MessageEvent<unknown>, 'data' | 'origin'> & {
  readonly source: unknown;
};

export type ContentPorts = {
  readonly window: PageWindow;
  readonly runtime: ContentBrowser['runtime'];
  readonly after: After;
  /** `lang` of the page's document now. */
  readonly documentLanguage: () => string;
};

export class ContentScript {
  readonly #ports: ContentPorts;
  readonly #version: string;
  readonly #channels = new Map<string, Port>();
  readonly #listener = (event: PageEvent): void => this.#onEvent(event);

  constructor(ports: ContentPorts) {
    this.#ports = ports;
    this.#version = ports.runtime.getManifest().version;
  }

  /** Whether this script's extension is still the one that is installed. */
  get isAlive(): boolean {
    return this.#ports.runtime.id !== undefined;
  }

  start(): void {
    this.#ports.window.addEventListener('message', this.#listener);
    this.announce();
  }

  /** Tells the page, asked or not, that the extension is there. */
  announce(channel: string = PLUGIN_EVERY_CHANNEL): void {
    this.#tell(channel, { kind: 'here', version: this.#version });
  }

  /** Leaves the page to the script of a newer extension, which knows none of these channels. */
  retire(): void {
    this.#ports.window.removeEventListener('message', this.#listener);
    for (const channel of [...this.#channels.keys()]) this.#lose(channel, ...RELOADED);
  }

  #onEvent({ data, source, origin }: PageEvent): void {
    const { window } = this.#ports;
    if (source !== window || origin !== window.origin) return;
    const message = toPluginOf(data);
    if (message !== null) this.#onMessage(message);
    // Another script has come into this page; one without an extension only stands in its way.
    else if (!this.isAlive && toPageOf(data)?.kind === 'here') this.retire();
  }

  #onMessage(message: ToPlugin): void {
    const { kind, channel } = message;
    if (kind === 'ping') this.#ping(channel);
    else if (kind === 'open') this.#open(channel);
    else if (kind === 'close') this.#close(channel);
    else if (kind === 'update') this.#askForUpdate();
    else if (kind === 'message') this.#pass(channel, message);
    else this.#post(channel, { kind });
  }

  #ping(channel: string): void {
    if (this.isAlive) this.announce(channel);
    else this.#lose(channel, ...RELOADED);
  }

  #open(channel: string): void {
    this.#close(channel);
    if (this.#channels.size >= CHANNELS_MAX) {
      this.#lose(channel, 'ERR_FRAME_NOT_ALLOWED', `${CHANNELS_MAX} ports are open already`);
      return;
    }
    let port: Port;
    try {
      port = this.#ports.runtime.connect({ name: PAGE_PORT });
    } catch (thrown) {
      this.#lose(channel, portFaultOf(textOf(thrown), this.isAlive), textOf(thrown));
      return;
    }
    this.#channels.set(channel, port);
    const ifCurrent = (act: () => void): void => {
      if (this.#channels.get(channel) === port) act();
    };
    port.onMessage.addListener((answer) =>
      ifCurrent(() => this.#onAnswer(channel, answer as PagePortAnswer)),
    );
    const lose = (): void =>
      this.#lose(channel, portFaultOf('', this.isAlive), 'the port was closed');
    port.onDisconnect.addListener(() => {
      this.#ports.after(REPLACED_BY_MS, () => ifCurrent(lose));
    });
  }

  #onAnswer(channel: string, answer: PagePortAnswer): void {
    if (answer.kind === 'lost') this.#close(channel);
    this.#tell(channel, answer);
  }

  #pass(channel: string, { message }: Extract<ToPlugin, { kind: 'message' }>): void {
    if (!isTooLarge(message)) {
      const language = windowLanguageOf(this.#ports.documentLanguage());
      this.#post(channel, { kind: 'message', message, language });
    } else if (this.#channels.has(channel)) {
      this.#lose(channel, 'ERR_MESSAGE_TOO_LARGE', 'over the limit of one message');
    }
  }

  #post(channel: string, message: PagePortMessage): void {
    try {
      this.#channels.get(channel)?.postMessage(message);
    } catch (thrown) {
      this.#lose(channel, portFaultOf(textOf(thrown), this.isAlive), textOf(thrown));
    }
  }

  #askForUpdate(): void {
    // A script that outlived its extension has nobody to ask, and the update has come already.
    if (this.isAlive) this.#ports.runtime.sendMessage(UPDATE_MESSAGE).catch(() => {});
  }

  #lose(channel: string, code: NativeFaultCode, detail: string): void {
    this.#close(channel);
    this.#tell(channel, { kind: 'lost', code, detail });
  }

  #close(channel: string): void {
    const port = this.#channels.get(channel);
    this.#channels.delete(channel);
    try {
      port?.disconnect();
    } catch {
      // The extension is gone, and its ports with it.
    }
  }

  #tell(channel: string, body: ToPageBody): void {
    const { window } = this.#ports;
    const message: ToPage = { tapnpay: 'toPage', channel, ...body };
    window.postMessage(message, window.origin);
  }
}

/** The window's language for a language tag (BCP 47), for example `zh-CN`. */
function windowLanguageOf(tag: string): WindowLanguage | null {
  const primary = tag.toLowerCase().split('-')[0];
  return isWindowLanguage(primary) ? primary : null;
}
