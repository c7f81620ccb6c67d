/**
 * The way to the agent: the extension when it is there; else the agent's own loopback service when
 * it answers; else the page is told what is missing, and goes on by itself when it comes. Versions
 * that the gateway requires are asked for before a payment, never in one.
 */
import {
  AGENT_VERSION,
  type OfferedVersion,
  type PageMessage,
  type PluginVersions,
  type ToPage,
} from '@tapnpay/protocol/wire';
import { afterMs } from './browser.ts';
import { Extension, type PageBus } from './extension.ts';
import { askVersions } from './gateway.ts';
import type { LoopbackTransport } from './loopback.ts';
import { AGENT_ACK_MS, AGENT_HELLO_MS, LOOK_AGAIN_MS } from './states.ts';
import {
  NO_FACTS,
  needOf,
  type PluginFacts,
  readyOf,
  type Transport,
  type TransportEvent,
} from './transport.ts';
import { needOfVersion } from './versions.ts';

/** What it takes of its surroundings; tests give their own. */
export type ChoicePorts = {
  /** Loaded where no extension answers. @throws what a module's import does. */
  loopback(): Promise<LoopbackTransport>;
  readonly bus?: PageBus;
  /** The gateway's document; null where it has none. */
  versions(): Promise<PluginVersions | null>;
  readonly userAgent: string;
  after(ms: number, call: () => void): () => void;
};
/** Something that keeps a payment from being made; null: nothing does. */
type Need = { readonly code: string; readonly detail: string } | null;

/** The oldest browsers that the extension works in. */
const CHROMIUM_MIN = 116;
const FIREFOX_MIN = 128;
/** The transport of the pages of a gateway. */
export class ChosenTransport implements Transport {
  readonly #ports: ChoicePorts;
  readonly #extension: Extension;
  #loopback: LoopbackTransport | null = null;
  #listener: (event: TransportEvent) => void = () => {};
  #facts: PluginFacts | null = null;
  #versions: Promise<PluginVersions | null> | null = null;
  #agentUrl = '';
  /** Null: closed; `talk`: a payment has its agent. */
  #mode: 'look' | 'open' | 'talk' | null = null;
  /** A host of this page said hello, and its port is open. */
  #isHostOpen = false;
  #isUpdateAsked = false;
  #isSeeking = false;
  /** A later look makes an earlier one void. */
  #turn = 0;
  #stopTimer: () => void = () => {};

  constructor(gatewayUrl: string, ports: ChoicePorts = realPorts(gatewayUrl)) {
    this.#ports = ports;
    this.#extension = new Extension((message) => this.#onExtension(message), ports.bus);
  }

  get facts(): PluginFacts | null {
    return this.#facts;
  }

  get #isLoopback(): boolean {
    return this.#facts?.way === 'loopback';
  }

  look(agentUrl: string): void {
    this.#begin('look', agentUrl);
  }

  open(agentUrl: string): void {
    // Known from before the click: its window opens inside it.
    if (this.#isLoopback && !this.#isSeeking) {
      this.#mode = 'open';
      this.#loopback?.open(agentUrl);
    } else this.#begin('open', agentUrl);
  }

  send(message: PageMessage): void {
    if (this.#mode !== 'talk') return;
    if (this.#isLoopback) this.#loopback?.send(message);
    else this.#extension.post({ kind: 'message', message });
  }

  onMessage(listener: (event: TransportEvent) => void): void {
    this.#listener = listener;
  }

  show(): void {
    if (this.#isLoopback) this.#loopback?.show();
    else this.#extension.post({ kind: 'show' });
  }

  update(): void {
    this.#extension.post({ kind: 'update' });
  }

  close(): void {
    this.#mode = null;
    this.#isSeeking = false;
    this.#turn += 1;
    this.#stopTimer();
    this.#loopback?.close();
    this.#closeHost();
  }

  #begin(mode: 'look' | 'open', agentUrl: string): void {
    this.#mode = mode;
    this.#agentUrl = agentUrl;
    // A look that is under way serves the click too: its waits are not begun anew.
    if (this.#isSeeking) return;
    this.#versions = null;
    void this.#seek();
  }

  #closeHost(): void {
    this.#isHostOpen = false;
    if (this.#facts?.extension) this.#extension.post({ kind: 'close' });
  }

  #learn(change: Partial<PluginFacts>): void {
    this.#facts = { ...(this.#facts ?? NO_FACTS), ...change };
  }

  #again(ms: number): void {
    this.#stopTimer();
    this.#stopTimer = this.#ports.after(ms, () => void this.#seek());
  }

  /** Looks from the page towards the agent, and tells the first thing that is missing. */
  async #seek(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    const isOver = (): boolean => turn !== this.#turn;
    this.#isSeeking = true;
    this.#stopTimer();
    const here = await this.#extension.ask({ kind: 'ping' }, 'here', AGENT_ACK_MS);
    if (isOver()) return;
    const need = await (here ? this.#byExtension(here, isOver) : this.#byLoopback(isOver));
    if (isOver()) return;
    this.#isSeeking = false;
    if (need === null) {
      if (this.#mode === 'open') this.#mode = 'talk';
      this.#listener(readyOf(this.#facts?.element ?? null));
    } else {
      // Without the extension the second has passed in waiting for its answer.
      this.#again(here ? LOOK_AGAIN_MS : 0);
      this.#listener({ kind: 'missing', ...need });
    }
  }

  async #byExtension(here: ToPage, isOver: () => boolean): Promise<Need> {
    if (here.kind !== 'here') return this.#needOfAnswer(here);
    this.#learn({ way: 'extension', extension: here.version, update: 'ok' });
    const versions = await this.#offered();
    const outdated = this.#judge('EXTENSION', here.version, versions?.extension);
    if (outdated && !this.#isUpdateAsked) {
      this.#isUpdateAsked = true;
      this.update();
    }
    if (isOver()) return null;
    if (outdated) {
      // Nothing of it is to be used, and what is not used does not keep it from being replaced.
      this.#closeHost();
      return outdated;
    }
    if (!this.#isHostOpen) {
      const hello = await this.#extension.ask({ kind: 'open' }, 'hello', AGENT_HELLO_MS);
      if (isOver()) return null;
      if (hello?.kind !== 'hello') return this.#needOfAnswer(hello);
      const { version, protocol, element, readers } = hello;
      this.#isHostOpen = true;
      this.#learn({ host: { version, protocol }, element, readers });
    }
    const need = this.#needOfHost(versions);
    return need ?? (this.#mode === 'open' ? await this.#greet() : null);
  }

  /** What is wrong with the host that said hello, which is asked anew then. */
  #needOfHost(versions: PluginVersions | null): Need {
    const { host, element, readers } = this.#facts ?? NO_FACTS;
    const need =
      this.#judge('HOST', host?.version ?? '', versions?.host) ?? needOf({ element, readers });
    if (need) this.#closeHost();
    return need;
  }

  /** The page's hello to the agent; it is said once on a port. */
  async #greet(): Promise<Need> {
    const hello: PageMessage = { type: 'hello', version: AGENT_VERSION, token: null };
    const question = { kind: 'message', message: hello } as const;
    const answer = await this.#extension.ask(question, 'message', AGENT_HELLO_MS);
    const message = answer?.kind === 'message' ? answer.message : null;
    if (message?.type !== 'welcome') {
      const need = this.#needOfAnswer(answer);
      if (message?.type !== 'refused') return need;
      return { code: message.error.code, detail: message.error.message };
    }
    const { element, readers } = message;
    this.#learn({ element, readers });
    return this.#needOfHost(null);
  }

  async #byLoopback(isOver: () => boolean): Promise<Need> {
    const [versions, isFound] = await Promise.all([this.#offered(), this.#probe()]);
    if (isOver()) return null;
    this.#learn({ ...NO_FACTS, way: isFound ? 'loopback' : null, versions });
    if (!isFound) return { code: this.#missingCode(versions), detail: this.#agentUrl };
    if (this.#mode !== 'open') return null;
    // It tells its own way on.
    this.#turn += 1;
    this.#isSeeking = false;
    this.#loopback?.open(this.#agentUrl);
    return null;
  }

  async #probe(): Promise<boolean> {
    try {
      const loopback = this.#loopback ?? (await this.#ports.loopback());
      this.#loopback = loopback;
      loopback.onMessage((event) => this.#onLoopback(event));
      return await loopback.probe(this.#agentUrl);
    } catch {
      // Its module did not come: as good as nobody there.
      return false;
    }
  }

  async #offered(): Promise<PluginVersions | null> {
    this.#versions ??= this.#ports.versions();
    const versions = await this.#versions;
    this.#learn({ versions });
    return versions;
  }

  #judge(part: 'EXTENSION' | 'HOST', present: string, offered?: OfferedVersion): Need {
    if (!offered) return null;
    const update = needOfVersion(present, offered);
    // Who waits for another version also waits for another word of the gateway.
    if (update !== 'ok') this.#versions = null;
    if (update === null) return { code: 'ERR_VERSION_INVALID', detail: `${part} ${present}` };
    if (update === 'optional') this.#learn({ update });
    if (update !== 'forced') return null;
    return { code: `ERR_${part}_OUTDATED`, detail: `${present} < ${offered.required}` };
  }

  /** What stands in the way instead of the answer that was asked for. */
  #needOfAnswer(answer: ToPage | null): Need {
    this.#closeHost();
    if (answer === null) return { code: 'ERR_HOST_TIMEOUT', detail: '' };
    if (answer.kind !== 'lost') return { code: 'ERR_HOST_PROTOCOL', detail: answer.kind };
    const { code, detail } = answer;
    // Such a browser finds no host however well it is installed.
    const isShut =
      code === 'ERR_HOST_MISSING' && /snap|flatpak|Ubuntu/i.test(this.#ports.userAgent);
    return { code: isShut ? 'ERR_BROWSER_SANDBOXED' : code, detail };
  }

  /** What to install where nothing answers. */
  #missingCode(versions: PluginVersions | null): string {
    if (versions === null) return 'ERR_HOST_MISSING';
    const { userAgent } = this.#ports;
    const [, name, version] = /(Firefox|Chrom\w+)\/(\d+)/.exec(userAgent) ?? [];
    const isOld = Number(version) < (name === 'Firefox' ? FIREFOX_MIN : CHROMIUM_MIN);
    const isUnsupported = !name || isOld || /Mobi|Android/.test(userAgent);
    return isUnsupported ? 'ERR_BROWSER_UNSUPPORTED' : 'ERR_EXTENSION_MISSING';
  }

  /** What the extension says unasked. */
  #onExtension(message: ToPage): void {
    const mode = this.#mode;
    if (message.kind === 'message' && mode === 'talk') this.#listener(message);
    else if (message.kind === 'here' && (mode === 'look' || mode === 'open')) {
      // It has come, or another version of it, while nothing is paid.
      this.#loopback?.close();
      this.#isHostOpen = false;
      void this.#seek();
    } else if (message.kind === 'lost') {
      this.#isHostOpen = false;
      if (mode === 'talk' && !this.#isLoopback) {
        this.#mode = null;
        this.#listener(message);
      } else if (mode === 'look' || mode === 'open') this.#again(LOOK_AGAIN_MS);
    }
  }

  #onLoopback(event: TransportEvent): void {
    if (this.#mode === null || !this.#isLoopback) return;
    if (event.kind === 'ready') this.#mode = 'talk';
    this.#listener(event);
  }
}

function realPorts(gatewayUrl: string): ChoicePorts {
  return {
    loopback: () => import('./loopback.ts').then((part) => new part.Loopback()),
    versions: () => askVersions(gatewayUrl),
    userAgent: navigator.userAgent,
    after: afterMs,
  };
}
