/** A browser that does what a test says: ports with two ends, windows, tabs, and a clock. */
import { gatewayOriginsOf, type NativeWorkerFrame } from '@tapnpay/protocol/wire';
import type { After, Browser, BrowserEvent, Port, Sender } from './api.ts';

/** An event that a test fires. */
export class FakeEvent<Arguments extends unknown[]> {
  readonly #listeners: ((...facts: Arguments) => void)[] = [];
  readonly event: BrowserEvent<(...facts: Arguments) => void> = {
    addListener: (listener) => void this.#listeners.push(listener),
  };
  fire(...facts: Arguments): void {
    for (const listener of [...this.#listeners]) listener(...facts);
  }
}

/** One end of a port as the extension holds it; the test is the other end. */
export class FakePort implements Port {
  readonly name: string;
  readonly sender: Sender | undefined;
  readonly sent: unknown[] = [];
  readonly #message = new FakeEvent<[unknown]>();
  readonly #disconnect = new FakeEvent<[Port]>();
  readonly onMessage: Port['onMessage'] = this.#message.event;
  readonly onDisconnect: Port['onDisconnect'] = this.#disconnect.event;
  error: { readonly message: string } | null = null;
  isOpen = true;
  /** The extension of this end is gone: whatever it does throws. */
  isInvalid = false;
  /** Thrown by the next message. */
  fault: Error | null = null;

  constructor(name: string, sender?: Sender) {
    this.name = name;
    this.sender = sender;
  }

  postMessage(message: unknown): void {
    if (this.isInvalid) throw new Error('Extension context invalidated.');
    if (this.fault) throw this.fault;
    if (!this.isOpen) throw new Error('Attempting to use a disconnected port object');
    this.sent.push(JSON.parse(JSON.stringify(message)));
  }

  /** Our own end: the listeners of this end hear nothing of it. */
  disconnect(): void {
    if (this.isInvalid) throw new Error('Extension context invalidated.');
    this.isOpen = false;
  }

  // The other end

  say(message: unknown): void {
    this.#message.fire(message);
  }

  close(): void {
    this.isOpen = false;
    this.#disconnect.fire(this);
  }
}

export const GATEWAY = 'https://pay.example';
export const EXTENSION = 'chrome-extension://abcdefghijklmnopabcdefghijklmnop';
export const WINDOW_URL: string = `${EXTENSION}/window.html`;
export const MANIFEST: { readonly version: string; readonly [field: string]: unknown } = {
  version: '0.1.0',
  host_permissions: [`${GATEWAY}:443/*`],
  content_scripts: [{ include_globs: [`${GATEWAY}/*`] }],
};
export const PAGE_SENDER: Sender = { origin: GATEWAY, frameId: 0, tab: { id: 7 } };

export const HOST_HELLO = {
  type: 'hello',
  version: '0.1.0',
  protocol: { min: 1, max: 1 },
  element: { id: 'SE-0001', state: 'operable' },
  readers: [{ name: 'Virtual reader', kind: 'virtual' }],
} as const;

type OpenedWindow = { readonly id: number; readonly url: string; isThere: boolean };

/** Keeps what was asked of it. */
export class FakeBrowser {
  readonly connected: FakeEvent<[Port]> = new FakeEvent();
  readonly messaged: FakeEvent<[unknown, Sender]> = new FakeEvent();
  readonly installed: FakeEvent<[]> = new FakeEvent();
  readonly started: FakeEvent<[]> = new FakeEvent();
  readonly updateCame: FakeEvent<[]> = new FakeEvent();
  readonly windowRemoved: FakeEvent<[number]> = new FakeEvent();
  readonly clicked: FakeEvent<[]> = new FakeEvent();
  readonly hosts: FakePort[] = [];
  readonly windows: OpenedWindow[] = [];
  readonly focused: number[] = [];
  readonly injected: number[] = [];
  readonly queried: string[][] = [];
  tabs: readonly { readonly id?: number }[] = [];
  reloads = 0;
  updateChecks = 0;
  optionsOpened = 0;
  lastError: { readonly message: string } | undefined;
  connectFault: Error | null = null;
  windowFault: Error | null = null;
  /** Resolves `windows.create` when a test says so; null: at once. */
  windowGate: Promise<void> | null = null;
  readonly api: Browser;

  constructor() {
    this.api = {
      runtime: this.#runtime(),
      windows: {
        create: ({ url }) => this.#createWindow(url),
        update: (id) => this.#focus(id),
        remove: async (id) => this.closeWindow(id),
        onRemoved: this.windowRemoved.event,
      },
      tabs: {
        query: async ({ url }) => {
          this.queried.push(url);
          return this.tabs;
        },
      },
      scripting: {
        executeScript: async ({ target }) => {
          this.injected.push(target.tabId);
          if (target.tabId === 404) throw new Error('Frame with ID 0 is showing error page');
        },
      },
      action: { onClicked: this.clicked.event },
    };
  }

  #runtime(): Browser['runtime'] {
    const browser = this;
    return {
      id: EXTENSION.slice(-32),
      get lastError() {
        return browser.lastError;
      },
      getManifest: () => MANIFEST,
      getURL: (path) => `${EXTENSION}/${path}`,
      connect: () => new FakePort('unused'),
      sendMessage: async () => undefined,
      connectNative: (name) => {
        if (browser.connectFault) throw browser.connectFault;
        const port = new FakePort(name);
        browser.hosts.push(port);
        return port;
      },
      reload: () => void browser.reloads++,
      openOptionsPage: async () => void browser.optionsOpened++,
      requestUpdateCheck: async () => void browser.updateChecks++,
      onConnect: browser.connected.event,
      onMessage: browser.messaged.event,
      onInstalled: browser.installed.event,
      onStartup: browser.started.event,
      onUpdateAvailable: browser.updateCame.event,
    };
  }

  async #createWindow(url: string): Promise<{ id: number }> {
    if (this.windowFault) throw this.windowFault;
    const opened = { id: 100 + this.windows.length, url, isThere: true };
    this.windows.push(opened);
    if (this.windowGate) await this.windowGate;
    return { id: opened.id };
  }

  async #focus(id: number): Promise<void> {
    if (!this.windows.some((opened) => opened.id === id && opened.isThere)) {
      throw new Error(`No window with id: ${id}.`);
    }
    this.focused.push(id);
  }

  /** The person closes a window. */
  closeWindow(id: number): void {
    const opened = this.windows.find((candidate) => candidate.id === id);
    if (!opened) return;
    opened.isThere = false;
    this.windowRemoved.fire(id);
  }

  /** The host that was started last. */
  get host(): FakePort {
    const port = this.hosts.at(-1);
    if (!port) throw new Error('no host was started');
    return port;
  }

  /** A host ends with the browser's text of Chromium. */
  hostEnds(port: FakePort, text: string): void {
    this.lastError = { message: text };
    port.close();
    this.lastError = undefined;
  }
}

/** What the extension sent to a host, without its hello. */
export function framesTo(host: FakePort): readonly NativeWorkerFrame[] {
  return (host.sent as NativeWorkerFrame[]).slice(1);
}

/** A clock that a test moves. */
export class FakeClock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly call: () => void }[] = [];
  readonly after: After = (ms, call) => {
    const timer = { atMs: this.#nowMs + ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };
  get waiting(): number {
    return this.#timers.length;
  }
  pass(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { call } of due) call();
  }
}

/** Lets promises go on. */
export function settle(): Promise<void> {
  return new Promise((done) => setImmediate(done));
}

/** The fake manifest names the gateway as a real one does. */
if (gatewayOriginsOf(MANIFEST)[0] !== GATEWAY) throw new Error('the fake manifest is none');
