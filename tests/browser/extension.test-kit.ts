/**
 * The built extension in a real Chromium, pages of a gateway and of strangers from a small server,
 * and the fake host that the browser starts by a manifest in its own profile.
 */
import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  manifestOf,
  NATIVE_HOST_NAME,
  PLUGIN_GECKO_ID,
  type ToPage,
  type ToPluginBody,
} from '@tapnpay/protocol/wire';
import { type BrowserContext, chromium, type Frame, type Page } from 'playwright-core';
import { chromiumArguments } from './browser.test-kit.ts';
import type { HostEvent, HostMode } from './fake-host.test-kit.ts';

/** Built by the first step of the checks. */
const BUILT = join(import.meta.dirname, '../../web/dist/extension');
const HOST = join(import.meta.dirname, 'fake-host.test-kit.ts');
const WAIT_MS = 10_000;
const LOOK_MS = 10;

/** What a page keeps of what it heard; it listens as the page library does. */
const SCRIPT = `
  globalThis.heard = [];
  addEventListener('message', ({ data, source, origin }) => {
    if (source !== window || origin !== location.origin) return;
    if (data && data.tapnpay === 'toPage') heard.push({ ...data, atMs: Date.now() });
  });
  globalThis.say = (channel, body) =>
    window.postMessage({ tapnpay: 'toPlugin', channel, ...body }, location.origin);
`;

/**
 * A page that works by itself, where no debugger may look: `?idle=A,B` opens the way to a host as
 * soon as the extension is there, and says something after A and after B milliseconds of silence;
 * `?wake=A` opens it after A milliseconds only.
 */
const IDLE_SCRIPT = `
  const asked = new URL(location.href).searchParams;
  const channel = crypto.randomUUID();
  const session = crypto.randomUUID();
  const pause = (ms) => new Promise((done) => setTimeout(done, Number(ms)));
  const tell = (base64) =>
    say(channel, { kind: 'message', message: { type: 'channelData', session, base64 } });
  const begin = async () => {
    if (asked.has('wake')) await pause(asked.get('wake'));
    say(channel, { kind: 'open' });
    for (const ms of asked.get('idle')?.split(',') ?? []) {
      await pause(ms);
      tell(btoa(ms));
    }
  };
  if (asked.has('idle') || asked.has('wake')) {
    let begun = false;
    addEventListener('message', ({ data }) => {
      if (data?.kind !== 'here' || begun) return;
      begun = true;
      begin();
    });
  }
`;

/** Where a browser looks for host manifests, and by which field they name who may use them. */
export type HostPlace = { readonly folder: string; readonly kind: 'chromium' | 'firefox' };

/** The extension of one small gateway, its fake host, and pages; without a browser. */
export class ExtensionSystem {
  readonly folder: string;
  /** The extension as a browser loads it from disk. */
  readonly extension: string;
  /** Pages of this origin are a gateway's, pages of the other are not. */
  readonly gateway: string;
  readonly stranger: string;
  /** Chromium's id. */
  readonly extensionId: string;
  readonly #servers: readonly Server[];
  readonly #place: HostPlace;

  private constructor(folder: string, servers: readonly Server[], place: HostPlace) {
    this.folder = folder;
    this.extension = join(folder, 'extension');
    this.#servers = servers;
    this.#place = place;
    const [gateway = '', stranger = ''] = servers.map(originOf);
    this.gateway = gateway;
    this.stranger = stranger;
    this.extensionId = writeExtension(this.extension, gateway, place.kind);
  }

  /** `hosts` is the place below the system's folder where the browser looks for manifests. */
  static async make(kind: HostPlace['kind'], hosts: string): Promise<ExtensionSystem> {
    const folder = mkdtempSync(join(tmpdir(), 'tapnpay-extension-'));
    const servers = [await serve(), await serve()];
    const system = new ExtensionSystem(folder, servers, { kind, folder: join(folder, hosts) });
    system.setHost('payment');
    system.installHost();
    return system;
  }

  /** How hosts behave that start from now on. */
  setHost(mode: HostMode): void {
    writeFileSync(join(this.folder, 'mode'), mode);
  }

  /** Puts the host's manifest where the browser looks at every connection anew. */
  installHost(facts: { readonly forOthers?: boolean } = {}): void {
    const program = join(this.folder, 'host.sh');
    const command = [process.execPath, HOST, this.folder].map((word) => `'${word}'`).join(' ');
    writeFileSync(program, `#!/bin/sh\nexec ${command} "$@"\n`);
    chmodSync(program, 0o755);
    const id = facts.forOthers ? 'a'.repeat(32) : this.extensionId;
    const geckoId = facts.forOthers ? 'other@tapnpay.org' : PLUGIN_GECKO_ID;
    const manifest = {
      name: NATIVE_HOST_NAME,
      description: 'test',
      path: program,
      type: 'stdio',
      ...(this.#place.kind === 'chromium'
        ? { allowed_origins: [`chrome-extension://${id}/`] }
        : { allowed_extensions: [geckoId] }),
    };
    mkdirSync(this.#place.folder, { recursive: true });
    writeFileSync(this.#hostManifest, JSON.stringify(manifest));
  }

  removeHost(): void {
    rmSync(this.#hostManifest, { force: true });
  }

  get #hostManifest(): string {
    return join(this.#place.folder, `${NATIVE_HOST_NAME}.json`);
  }

  /** What all hosts saw so far. */
  hostEvents(): readonly HostEvent[] {
    const path = join(this.folder, 'log');
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as HostEvent);
  }

  /** Processes of the host that were started and have not ended. */
  livingHosts(): readonly number[] {
    const started = this.hostEvents().flatMap((e) => (e.event === 'start' ? [e.pid] : []));
    return started.filter(isAlive);
  }

  /** The pid of the host that was started last. */
  lastHost(): number {
    const started = this.hostEvents().flatMap((e) => (e.event === 'start' ? [e.pid] : []));
    const pid = started.at(-1);
    if (pid === undefined) throw new Error('no host was started');
    return pid;
  }

  /** Waits for the end of a host's input, which is when its page went. */
  hostEnded(pid: number): Promise<{ readonly atMs: number }> {
    const look = () =>
      this.hostEvents().flatMap((e) => (e.event === 'end' && e.pid === pid ? [e] : []))[0];
    return until(look, `the end of host ${pid}`);
  }

  remove(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
    // Processes of a browser that is gone may still write into its profile.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20 });
  }
}

/** A Chromium, and the system that its extension will belong to. */
export class ExtensionLab {
  readonly context: BrowserContext;
  readonly system: ExtensionSystem;

  private constructor(context: BrowserContext, system: ExtensionSystem) {
    this.context = context;
    this.system = system;
  }

  /** A bare browser: the extension comes later, as an installation does. */
  static async open(): Promise<ExtensionLab> {
    const system = await ExtensionSystem.make('chromium', 'profile/NativeMessagingHosts');
    const context = await chromium.launchPersistentContext(join(system.folder, 'profile'), {
      executablePath: '/usr/bin/chromium',
      headless: true,
      locale: 'en-GB',
      reducedMotion: 'reduce',
      ignoreDefaultArgs: ['--disable-extensions'],
      args: [...chromiumArguments(), '--enable-unsafe-extension-debugging'],
    });
    context.setDefaultTimeout(WAIT_MS);
    return new ExtensionLab(context, system);
  }

  /** Adds the extension to the running browser. */
  async installExtension(): Promise<void> {
    const session = await this.context.browser()?.newBrowserCDPSession();
    if (!session) throw new Error('the browser has no debugger');
    // Not in the debugger's published list of commands.
    const send = session.send.bind(session) as (name: string, facts: object) => Promise<unknown>;
    await send('Extensions.loadUnpacked', { path: this.system.extension });
    await session.detach();
  }

  /** As the browser itself does when it wants the memory. */
  async stopWorker(): Promise<void> {
    const session = await this.context.browser()?.newBrowserCDPSession();
    if (!session) throw new Error('the browser has no debugger');
    const { targetInfos } = await session.send('Target.getTargets');
    const worker = targetInfos.find(({ type }) => type === 'service_worker');
    if (!worker) throw new Error('there is no worker');
    await session.send('Target.closeTarget', { targetId: worker.targetId });
    await session.detach();
  }

  /** As an update does, under open pages. */
  async reloadExtension(): Promise<void> {
    const page = await this.context.newPage();
    await page.goto('chrome://extensions/');
    await page.evaluate(async (id) => {
      const { developerPrivate } = (globalThis as unknown as DeveloperScope).chrome;
      // Without it, an extension from a folder comes back switched off.
      await developerPrivate.updateProfileConfiguration({ inDeveloperMode: true });
      await developerPrivate.reload(id, { failQuietly: true });
    }, this.system.extensionId);
    await page.close();
  }

  async openPage(address: string = `${this.system.gateway}/`): Promise<TestPage> {
    const page = await this.context.newPage();
    await page.goto(address);
    return new TestPage(page);
  }

  async close(): Promise<void> {
    await this.context.close();
    this.system.remove();
  }
}

type DeveloperScope = {
  readonly chrome: {
    readonly developerPrivate: {
      updateProfileConfiguration(facts: { readonly inDeveloperMode: boolean }): Promise<void>;
      reload(id: string, facts: { readonly failQuietly: boolean }): Promise<unknown>;
    };
  };
};
export type Heard = ToPage & { readonly atMs: number };
type PageScope = {
  heard: Heard[];
  say: (channel: string, body: ToPluginBody) => void;
};

/** A page that speaks with the extension. */
export class TestPage {
  readonly page: Page;
  readonly channel: string = crypto.randomUUID();

  constructor(page: Page) {
    this.page = page;
  }

  say(body: ToPluginBody, channel: string = this.channel): Promise<void> {
    return this.page.evaluate(([to, what]) => (globalThis as unknown as PageScope).say(to, what), [
      channel,
      body,
    ] as const);
  }

  async heard(frame: Page | Frame = this.page): Promise<readonly Heard[]> {
    return frame.evaluate(() => (globalThis as unknown as PageScope).heard);
  }

  /** The first message of a kind on this page's channel; an older one counts, too. */
  async hears<Kind extends ToPage['kind']>(
    kind: Kind,
    channel: string = this.channel,
  ): Promise<Extract<Heard, { kind: Kind }>> {
    const isIt = (message: Heard): message is Extract<Heard, { kind: Kind }> =>
      message.kind === kind && message.channel === channel;
    return until(async () => (await this.heard()).find(isIt), `${kind} on the page`);
  }

  /** The message of the agent of this type. */
  async hearsAgent(type: string): Promise<Heard> {
    const isIt = (heard: Heard): boolean => heard.kind === 'message' && heard.message.type === type;
    return until(async () => (await this.heard()).find(isIt), `${type} on the page`);
  }

  /** Opens the way to a host; answers its hello, or the loss. */
  async open(): Promise<Heard> {
    await this.say({ kind: 'open' });
    const isIt = ({ kind, channel }: Heard): boolean =>
      channel === this.channel && (kind === 'hello' || kind === 'lost');
    return until(async () => (await this.heard()).find(isIt), 'hello or lost');
  }

  async forget(): Promise<void> {
    await this.page.evaluate(() => {
      (globalThis as unknown as PageScope).heard = [];
    });
  }
}

/** Looks again and again until there is something. */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The built files with the manifest of this gateway; answers Chromium's id. */
function writeExtension(folder: string, gateway: string, browser: HostPlace['kind']): string {
  if (!existsSync(BUILT)) throw new Error('the extension is not built: node web/build.ts');
  cpSync(BUILT, folder, { recursive: true });
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const manifest = manifestOf({
    browser,
    version: '0.1.0',
    gatewayOrigins: [gateway],
    publicKeyBase64: spki.toString('base64'),
    updateUrl: null,
    geckoId: PLUGIN_GECKO_ID,
    geckoUpdateUrl: null,
  });
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
  const digest = createHash('sha256').update(spki).digest('hex').slice(0, 32);
  return [...digest].map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 16))).join('');
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A page that hears; `?frame=` puts another into it, `&sandbox` without an origin. */
async function serve(): Promise<Server> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const frame = url.searchParams.get('frame');
    const sandbox = url.searchParams.has('sandbox') ? ' sandbox="allow-scripts"' : '';
    const inner = frame === null ? '' : `<iframe${sandbox} src="${encodeURI(frame)}"></iframe>`;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>x</title><script>${SCRIPT}${IDLE_SCRIPT}</script>${inner}`);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}
