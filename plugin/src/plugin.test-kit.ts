/** An extension, its host and a loopback agent that say what they are told, on a clock of its own. */
import assert from 'node:assert/strict';
import {
  AGENT_VERSION,
  type AgentMessage,
  type HostHello,
  type NativeFaultCode,
  type PageMessage,
  PLUGIN_EVERY_CHANNEL,
  type PluginVersions,
  type ToPageBody,
  type ToPlugin,
  toPluginOf,
} from '@tapnpay/protocol/wire';
import type { WindowMessageEvent } from './browser.ts';
import { ChosenTransport } from './choose.ts';
import type { PageBus } from './extension.ts';
import type { LoopbackTransport } from './loopback.ts';
import type { TransportEvent } from './transport.ts';

export const AGENT_URL = 'http://127.0.0.1:7001';
export const PAGE_ORIGIN = 'http://127.0.0.1:7000';
export const CHROMIUM =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36';
export const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';

/** What a gateway offers; nothing newer than what the kit's parts are. */
export const VERSIONS: PluginVersions = {
  extension: {
    id: 'abcdefghijklmnopabcdefghijklmnop',
    geckoId: 'plugin@tapnpay.org',
    latest: '0.1.0',
    required: '0.1.0',
  },
  host: { latest: '0.1.0', required: '0.1.0' },
  protocol: { min: 1, max: 1 },
  install: {
    crx: `${PAGE_ORIGIN}/plugin/tapnpay.crx`,
    updateManifest: `${PAGE_ORIGIN}/plugin/update.xml`,
    xpi: `${PAGE_ORIGIN}/plugin/tapnpay.xpi`,
    xpiUpdates: `${PAGE_ORIGIN}/plugin/updates.json`,
  },
};

export const HELLO: HostHello = {
  version: '0.1.0',
  protocol: { min: 1, max: 1 },
  element: { id: 'E1', state: 'operable' },
  readers: [{ name: 'Virtual reader', kind: 'virtual' }],
};

type Timer = { readonly atMs: number; readonly call: () => void };

/** Time that passes when a test says so. */
export class TestClock {
  nowMs = 0;
  readonly timers: Set<Timer> = new Set();

  after(ms: number, call: () => void): () => void {
    const timer = { atMs: this.nowMs + ms, call };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Lets every answer arrive. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 3; turns++) await new Promise((done) => setImmediate(done));
  }

  /** Moves the clock and runs what is due, in order. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await this.settle();
    for (;;) {
      const due = [...this.timers]
        .filter(({ atMs }) => atMs <= endMs)
        .sort((left, right) => left.atMs - right.atMs)[0];
      if (!due) break;
      this.timers.delete(due);
      this.nowMs = due.atMs;
      due.call();
      await this.settle();
    }
    this.nowMs = endMs;
  }
}

/** The page's window and, in it, a content script with a host behind it. */
export class FakeExtension implements PageBus {
  readonly origin: string = PAGE_ORIGIN;
  readonly self: object = { window: 'of the page' };
  /** Null: not installed. */
  version: string | null = '0.1.0';
  /** The content script outlived its extension. */
  isReloaded = false;
  /** What a host says first, or why there is none; null: it says nothing. */
  host: HostHello | readonly [code: NativeFaultCode, detail: string] | null = HELLO;
  /** What the host answers the page's hello; null: nothing. */
  welcome: AgentMessage | null = welcomeOf(HELLO);
  readonly heard: ToPlugin[] = [];
  /** Channels whose host runs. */
  readonly #open: Set<string> = new Set();
  opened = 0;
  listeners: Set<(event: WindowMessageEvent) => void> = new Set();
  channel = '';
  readonly #clock: TestClock;
  #channels = 0;

  constructor(clock: TestClock) {
    this.#clock = clock;
  }

  post(message: ToPlugin): void {
    assert.ok(toPluginOf(message), 'the content script would not take it');
    this.channel = message.channel;
    this.heard.push(message);
    if (this.version !== null) queueMicrotask(() => this.#take(message));
  }
  onWindowMessage(listener: (event: WindowMessageEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  after(ms: number, call: () => void): () => void {
    return this.#clock.after(ms, call);
  }
  newChannel(): string {
    this.#channels += 1;
    return `channel-${this.#channels}`;
  }

  /** To the page, as the content script does. */
  say(body: ToPageBody, channel: string = this.channel): void {
    this.event({
      data: { tapnpay: 'toPage', channel, ...body },
      origin: this.origin,
      source: this.self,
    });
  }
  event(event: WindowMessageEvent): void {
    for (const listener of this.listeners) listener(event);
  }
  /** It comes into the page that is open. */
  arrive(version: string): void {
    this.version = version;
    this.isReloaded = false;
    this.say({ kind: 'here', version }, PLUGIN_EVERY_CHANNEL);
  }
  lose(code: NativeFaultCode, detail = ''): void {
    this.#open.clear();
    this.say({ kind: 'lost', code, detail });
  }

  get hosts(): number {
    return this.#open.size;
  }

  /** Messages for the agent. */
  get told(): readonly PageMessage[] {
    return this.heard.flatMap((each) => (each.kind === 'message' ? [each.message] : []));
  }

  #take(message: ToPlugin): void {
    const { version } = this;
    if (version === null) return;
    if (message.kind === 'close') this.#open.delete(message.channel);
    if (this.isReloaded && (message.kind === 'ping' || message.kind === 'open')) {
      this.lose('ERR_EXTENSION_RELOADED', 'Extension context invalidated.');
    } else if (message.kind === 'ping') this.say({ kind: 'here', version });
    else if (message.kind === 'open') this.#start(message.channel);
    else if (message.kind === 'message' && message.message.type === 'hello') this.#welcome();
  }

  #start(channel: string): void {
    this.opened += 1;
    const { host } = this;
    if (host === null) this.#open.add(channel);
    else if ('version' in host) {
      this.#open.add(channel);
      this.say({ kind: 'hello', ...host });
    } else this.lose(host[0], host[1]);
  }

  #welcome(): void {
    const { welcome } = this;
    if (welcome === null || this.hosts === 0) return;
    this.say({ kind: 'message', message: welcome });
    if (welcome.type === 'refused') this.lose('ERR_HOST_EXITED');
  }
}

/** The host's answer to a page's hello. */
export function welcomeOf({ element, readers }: HostHello): AgentMessage {
  return { type: 'welcome', version: AGENT_VERSION, element, readers };
}

/** A loopback agent. */
export class FakeLoopback implements LoopbackTransport {
  isThere = false;
  probes = 0;
  opened = 0;
  closed = 0;
  shown = 0;
  readonly sent: PageMessage[] = [];
  listener: (event: TransportEvent) => void = () => {};

  probe(agentUrl: string): Promise<boolean> {
    assert.equal(agentUrl, AGENT_URL);
    this.probes += 1;
    return Promise.resolve(this.isThere);
  }
  open(agentUrl: string): void {
    assert.equal(agentUrl, AGENT_URL);
    this.opened += 1;
  }
  send(message: PageMessage): void {
    this.sent.push(message);
  }
  onMessage(listener: (event: TransportEvent) => void): void {
    this.listener = listener;
  }
  show(): void {
    this.shown += 1;
  }
  close(): void {
    this.closed += 1;
  }
}

/** One page's choice, and everything that it is told. */
export class TestWay {
  readonly clock: TestClock = new TestClock();
  readonly extension: FakeExtension = new FakeExtension(this.clock);
  readonly loopback: FakeLoopback = new FakeLoopback();
  readonly events: TransportEvent[] = [];
  versions: PluginVersions | null = VERSIONS;
  asked = 0;
  userAgent: string = CHROMIUM;
  #transport: ChosenTransport | null = null;

  get transport(): ChosenTransport {
    this.#transport ??= this.#made();
    return this.#transport;
  }

  #made(): ChosenTransport {
    const browser = (): string => this.userAgent;
    const transport = new ChosenTransport(PAGE_ORIGIN, {
      loopback: () => Promise.resolve(this.loopback),
      bus: this.extension,
      versions: () => {
        this.asked += 1;
        return Promise.resolve(this.versions);
      },
      get userAgent() {
        return browser();
      },
      after: (ms, call) => this.clock.after(ms, call),
    });
    transport.onMessage((event) => this.events.push(event));
    return transport;
  }

  async look(): Promise<this> {
    this.transport.look(AGENT_URL);
    await this.clock.settle();
    return this;
  }
  async open(): Promise<this> {
    this.transport.open(AGENT_URL);
    await this.clock.settle();
    return this;
  }
  pass(ms: number): Promise<void> {
    return this.clock.pass(ms);
  }

  /** The last thing told: `ready`, or the code of what is missing. */
  get last(): string {
    const event = this.events.at(-1);
    return event && 'code' in event ? event.code : (event?.kind ?? 'nothing');
  }
}
