/** A real service on a free port with a scripted element, a clock by hand, and pages and windows. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, TapError } from '@tapnpay/protocol/bytes';
import {
  AGENT_SESSION_PATH,
  AGENT_VERSION,
  AGENT_WINDOW_PATH,
  type AgentMessage,
  type CardRequest,
  type ElementPayResult,
  type ElementTokenResult,
  Hop,
  type HopName,
  type PageMessage,
  type PairingRequest,
  type WindowError,
  type WindowMessage,
  type WindowView,
} from '@tapnpay/protocol/wire';
import type { PresentedCard } from '../payment.ts';
import type { Relay } from '../record-relay.ts';
import type { ElementPayment, ElementToken, ElementUse, PayingElement } from './element-keeper.ts';
import type { AgentLogRecord } from './events.ts';
import type { ReaderSource } from './real-readers.ts';
import { type AgentService, startAgentService } from './start.ts';

/** Longest real wait for something that must come. */
const PATIENCE_MS = 5_000;
export const GATEWAY = 'http://127.0.0.1:4999';
export const OTHER_GATEWAY = 'http://127.0.0.1:4998';
export const SESSION = '11111111-2222-4333-8444-555555555555';
export const SESSION_2 = '11111111-2222-4333-8444-666666666666';
export const CARD_ASK: CardRequest = {
  kind: 'purchase',
  amountMinor: '1234',
  currency: '156',
  merchantName: '春风茶馆',
  origin: 'http://127.0.0.1:9000',
  interfaces: ['contact', 'contactless'],
  attempt: 1,
  reason: null,
};

export class HandClock implements Clock {
  #nowMs = 1_800_000_000_000;
  #timers: { readonly atMs: number; readonly action: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  startTimer(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { action } of due) action();
  }
}

/** What one payment of the scripted element has seen and does. */
export class ScriptedPayment {
  readonly ask: ElementPayment;
  readonly heard: string[] = [];
  relay: Relay | null = null;
  resolve: (result: ElementPayResult) => void = () => {};
  reject: (fault: unknown) => void = () => {};
  readonly ended: Promise<ElementPayResult>;

  constructor(ask: ElementPayment) {
    this.ask = ask;
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  openRelay(): Relay {
    this.relay = this.ask.openRelay({
      onOpened: () => this.heard.push('opened'),
      onRecords: (records) => this.heard.push(`records ${Buffer.from(records).toString('hex')}`),
      onClosed: () => this.heard.push('closed'),
    });
    return this.relay;
  }

  hop(name: HopName): void {
    this.ask.onHop?.({ n: Hop[name], name, party: 'element', atMs: 1, facts: {} });
  }

  /** Asks for a card; keeps how it was answered. */
  card(ask: Partial<CardRequest> = {}): Promise<PresentedCard | string> {
    return this.ask.presentCard({ ...CARD_ASK, ...ask }).catch(codeOf);
  }

  pin(): Promise<string | null> {
    return this.ask.enterPin({ ...CARD_ASK, publicKeySpki: 'AB12' }).catch(codeOf);
  }
}

export const codeOf = (fault: unknown): string =>
  fault instanceof TapError ? fault.code : `${fault}`;

export class ScriptedElement implements PayingElement {
  readonly payments: ScriptedPayment[] = [];
  /** Whoever kept it from others for something else than a payment. */
  readonly uses: ElementUse[] = [];
  /** Why nobody can keep it now. */
  refusal: TapError | null = null;
  isClosed = false;

  status() {
    return { id: 'element-1', state: 'operable' as const };
  }

  pay(ask: ElementPayment): Promise<ElementPayResult> {
    const payment = new ScriptedPayment(ask);
    this.payments.push(payment);
    return payment.ended;
  }

  /** Of each token: what was asked, and how the test ends it. */
  readonly tokens: {
    readonly ask: ElementToken;
    readonly end: (made: ElementTokenResult) => void;
  }[] = [];

  token(ask: ElementToken): Promise<ElementTokenResult> {
    return new Promise((end) => {
      this.tokens.push({ ask, end });
    });
  }

  async keepFor<T>(use: ElementUse, work: () => Promise<T>): Promise<T> {
    this.uses.push(use);
    if (this.refusal !== null) throw this.refusal;
    return await work();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const payment of this.payments) {
      payment.reject(new TapError('ERR_ELEMENT_GONE', 'the secure element ended'));
    }
  }
}

export function payResult(
  outcome: ElementPayResult['outcome'],
  reason: string | null = null,
): ElementPayResult {
  const charged = { approved: 'yes', declined: 'no', cancelled: 'no', unknown: 'unknown' } as const;
  return {
    outcome,
    reason,
    charged: charged[outcome],
    interface: null,
    paymentId: null,
    responseCode: null,
    card: null,
    cryptogram: { arqc: null, arpc: null, second: null, secondType: null },
    tvr: '',
    tsi: '',
    cvmResults: '',
    dataAuthentication: 'none',
    channel: null,
  };
}

type Client<Incoming, Outgoing> = {
  readonly received: Incoming[];
  readonly send: (message: Outgoing) => void;
  readonly sendRaw: (data: string | Uint8Array<ArrayBuffer>) => void;
  readonly close: () => void;
  /** The next message, from the first on, that fits. */
  readonly next: <T extends Incoming>(fits: (message: Incoming) => message is T) => Promise<T>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
};
export type PageClient = Client<AgentMessage, PageMessage>;
export type WindowClient = Client<WindowView | WindowError, WindowMessage>;

/** A WebSocket with the headers that a browser would send. Resolves when it is open. */
export function connect<Incoming, Outgoing>(
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<Client<Incoming, Outgoing>> {
  const socket = new WebSocket(url, { headers });
  const received: Incoming[] = [];
  const listeners = new Set<() => void>();
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }));
  });
  socket.addEventListener('message', ({ data }) => {
    received.push(JSON.parse(String(data)) as Incoming);
    for (const listener of listeners) listener();
  });
  const next = async <T extends Incoming>(fits: (message: Incoming) => message is T) => {
    const taken = () => received.findIndex((message) => fits(message));
    await until(() => taken() >= 0, listeners);
    const [found] = received.splice(0, taken() + 1).slice(-1);
    return found as T;
  };
  return new Promise((resolve, reject) => {
    socket.addEventListener('error', () => reject(new Error('the socket was refused')));
    socket.addEventListener('open', () =>
      resolve({
        received,
        send: (message) => socket.send(JSON.stringify(message)),
        sendRaw: (data) => socket.send(data),
        close: () => socket.close(),
        next,
        get closed() {
          return within(closed);
        },
      }),
    );
  });
}

/** Waits until it is so. @throws after five seconds. */
export async function until(
  isSo: () => boolean,
  listeners: Set<() => void> = new Set(),
): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > deadlineMs) throw new Error('it did not come');
    await new Promise<void>((resolve) => {
      const wake = () => {
        listeners.delete(wake);
        resolve();
      };
      listeners.add(wake);
      setTimeout(wake, 10);
    });
  }
}

/** What must come soon. @throws after five seconds. */
async function within<T>(wanted: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it did not come')), PATIENCE_MS);
  });
  return await Promise.race([wanted, late]).finally(() => clearTimeout(timer));
}

export type Answer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly code: string | null;
};

export class ServiceRig {
  readonly dataDir: string;
  readonly pagesDir: string;
  readonly element: ScriptedElement = new ScriptedElement();
  readonly clock: HandClock = new HandClock();
  readonly log: AgentLogRecord[] = [];
  #service: AgentService | null = null;
  #isOwnFolder: boolean;

  private constructor(dataDir: string | null) {
    this.#isOwnFolder = dataDir === null;
    this.dataDir = dataDir ?? mkdtempSync(join(tmpdir(), 'tapnpay-service-'));
    this.pagesDir = join(this.dataDir, 'pages');
    mkdirSync(join(this.pagesDir, 'assets'), { recursive: true });
    mkdirSync(join(this.dataDir, 'cards'), { recursive: true });
    writeFileSync(join(this.pagesDir, 'index.html'), '<!doctype html><title>Agent</title>');
    writeFileSync(join(this.pagesDir, 'assets', 'app.js'), 'export const x = 1;\n');
  }

  /** `dataDir` of a service before, to start it again. */
  static async start(
    options: {
      dataDir?: string;
      cards?: Readonly<Record<string, string>>;
      readers?: ReaderSource;
    } = {},
  ): Promise<ServiceRig> {
    const rig = new ServiceRig(options.dataDir ?? null);
    for (const [name, image] of Object.entries(options.cards ?? {})) {
      writeFileSync(join(rig.dataDir, 'cards', `${name}.json`), image);
    }
    rig.#service = await startAgentService(
      {
        dataDir: rig.dataDir,
        port: 0,
        gatewayOrigins: [GATEWAY, OTHER_GATEWAY],
        gatewayUrl: GATEWAY,
        serverName: 'gateway.tapnpay.test',
        element: {
          nodePath: '',
          elementEntry: '',
          loadFile: '',
          storeDir: '',
          allowRead: [],
        },
        pagesDir: rig.pagesDir,
        readers: options.readers !== undefined,
        requestPairingCode: async () => '',
        log: (record) => rig.log.push(record),
      },
      {
        element: rig.element,
        clock: rig.clock,
        ...(options.readers ? { readers: options.readers } : {}),
      },
    );
    return rig;
  }

  get port(): number {
    return this.#service?.port ?? 0;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pairingCode(): string {
    return readFileSync(join(this.dataDir, 'agent', 'pairing-code'), 'utf8').trim();
  }

  /** Stops the service, keeps its folder. */
  async stop(): Promise<void> {
    await this.#service?.close();
  }

  async close(): Promise<void> {
    await this.stop();
    if (this.#isOwnFolder) rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** Any request with any header; the Host is ours unless another is given. */
  ask(
    path: string,
    options: {
      method?: string;
      headers?: Readonly<Record<string, string>>;
      body?: unknown;
    } = {},
  ): Promise<Answer> {
    const body = options.body === undefined ? null : JSON.stringify(options.body);
    const headers = {
      host: `127.0.0.1:${this.port}`,
      ...(body === null ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    };
    return new Promise((resolve, reject) => {
      const { method = body === null ? 'GET' : 'POST' } = options;
      const request = httpRequest({ host: '127.0.0.1', port: this.port, path, method, headers });
      request.on('error', reject);
      request.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve({ status: 101, headers: response.headers, text: '', code: null });
      });
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          const { statusCode: status = 0 } = response;
          resolve({ status, headers: response.headers, text, code: codeIn(text) });
        });
      });
      request.end(body);
    });
  }

  /** An upgrade that may be refused. */
  upgrade(path: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
    return this.ask(path, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        ...headers,
      },
    });
  }

  pair(body: PairingRequest, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.ask('/v1/pairing', { body, headers: { origin: this.origin, ...headers } });
  }

  async token(origin: string = GATEWAY): Promise<string> {
    const { text } = await this.pair({ code: this.pairingCode, origin });
    return (JSON.parse(text) as { token: string }).token;
  }

  /** The browser's cookie. */
  async cookie(): Promise<string> {
    const { headers } = await this.pair({ code: this.pairingCode, origin: null });
    return headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  }

  /** A page that nobody knows yet. */
  stranger(origin: string = GATEWAY): Promise<PageClient> {
    return connect(`ws://127.0.0.1:${this.port}${AGENT_SESSION_PATH}`, { origin });
  }

  /** A paired page that was welcomed. */
  async page(origin: string = GATEWAY): Promise<PageClient> {
    const token = await this.token(origin);
    const page = await this.stranger(origin);
    page.send({ type: 'hello', version: AGENT_VERSION, token });
    await page.next((message): message is AgentMessage => message.type === 'welcome');
    return page;
  }

  /** A paired window that was shown the first view. */
  async window(): Promise<WindowClient> {
    const cookie = await this.cookie();
    const url = `ws://127.0.0.1:${this.port}${AGENT_WINDOW_PATH}`;
    return await connect(url, { origin: this.origin, cookie });
  }

  /** A payment that the element has begun. */
  async begin(page: PageClient, session: string = SESSION): Promise<ScriptedPayment> {
    const before = this.element.payments.length;
    page.send({ type: 'pay', session, orderId: 'order-1' });
    await until(() => this.element.payments.length > before);
    const payment = this.element.payments[before];
    if (payment === undefined) throw new Error('no payment began');
    return payment;
  }
}

function codeIn(text: string): string | null {
  try {
    const body: unknown = JSON.parse(text);
    return (body as { code?: string } | null)?.code ?? null;
  } catch {
    return null;
  }
}

/** The page is told this state. */
export async function pageState(page: PageClient, name: string): Promise<PageState> {
  return await page.next(
    (message): message is PageState => message.type === 'state' && message.state.name === name,
  );
}
type PageState = Extract<AgentMessage, { type: 'state' }>;

export function ofType<T extends AgentMessage['type']>(type: T) {
  return (message: AgentMessage): message is Extract<AgentMessage, { type: T }> =>
    message.type === type;
}

/** The window is shown this state of the payment. */
export function shown(name: string) {
  return (message: WindowView | WindowError): message is WindowView =>
    message.type === 'view' && message.payment?.state.name === name;
}

export function isError(message: WindowView | WindowError): message is WindowError {
  return message.type === 'error';
}
