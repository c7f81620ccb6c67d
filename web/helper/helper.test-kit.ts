/**
 * An agent that says what a test wants: it serves the built pages under the real headers, pairs by
 * a code, shows a view to every window and keeps what the windows sent.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import {
  AGENT_PAIRING_PATH,
  AGENT_WINDOW_PATH,
  pageHeaders,
  type ShownOrder,
  type WalletCard,
  type WindowMessage,
  type WindowPayment,
  type WindowView,
} from '@tapnpay/protocol/wire';
import { build } from 'vite';
import { type WebSocket, WebSocketServer } from 'ws';

/** The code that the fake agent takes. */
export const CODE = 'K7QM-2D9X';
const COOKIE = 'fake-agent=paired';
const TRIES_MAX = 3;
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.html': 'text/html; charset=utf-8',
};

/** Builds the root into a folder of its own, so that tests see the sources as they are. */
export async function buildHelper(): Promise<{ folder: string; remove: () => void }> {
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-helper-'));
  await build({
    root: import.meta.dirname,
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    build: {
      outDir: folder,
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: false,
      target: 'es2023',
      reportCompressedSize: false,
    },
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export class FakeAgent {
  readonly #folder: string;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  #port = 0;
  /** Wrong codes so far; a test may forgive them. */
  wrongCodes = 0;
  /** Gateways that get a token. */
  gatewayOrigins: readonly string[] = [];
  /** Tokens given, by the origin that asked. */
  readonly tokens: (string | null)[] = [];
  readonly messages: WindowMessage[] = [];
  view: WindowView = viewOf();

  constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('upgrade', (request, socket, head) => {
      const isOwn = request.headers.origin === this.url;
      if (request.url !== AGENT_WINDOW_PATH || !isOwn || !isPaired(request)) {
        socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n');
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (peer) => this.#greet(peer));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A number frees the same port again after `stop`. */
  async start(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(this.#port, '127.0.0.1', done));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** As if the program were killed. */
  async stop(): Promise<void> {
    for (const peer of this.#sockets.clients) peer.terminate();
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  /** Tells every window. */
  show(view: Partial<WindowView>): void {
    this.view = { ...this.view, ...view };
    this.#tell(this.view);
  }

  refuse(code: string): void {
    this.#tell({ type: 'error', error: { code, message: 'no', data: {} } });
  }

  #tell(message: unknown): void {
    for (const peer of this.#sockets.clients) peer.send(JSON.stringify(message));
  }

  #greet(peer: WebSocket): void {
    peer.on('message', (data) => {
      this.messages.push(JSON.parse(String(data)) as WindowMessage);
    });
    peer.send(JSON.stringify(this.view));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', this.url);
    if (request.method === 'POST' && pathname === AGENT_PAIRING_PATH) {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      this.#pair(request, response, JSON.parse(Buffer.concat(chunks).toString('utf8')));
      return;
    }
    const isPage = pathname === '/window' || pathname === '/wallet';
    const isAsset = /^\/assets\/[\w.-]+$/.test(pathname);
    if (!isPage && !isAsset) return void response.writeHead(404).end();
    const file = join(this.#folder, isPage ? 'index.html' : pathname);
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { ...pageHeaders({}), 'content-type': type }).end(readFileSync(file));
  }

  #pair(
    request: IncomingMessage,
    response: ServerResponse,
    { code, origin }: { code: string | null; origin: string | null },
  ): ServerResponse {
    const refuse = (status: number, refusal: string): ServerResponse =>
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ code: refusal, message: 'no', data: {} }));
    if (code === null && !isPaired(request)) return refuse(401, 'ERR_NOT_PAIRED');
    if (code !== null && this.wrongCodes >= TRIES_MAX) return refuse(429, 'ERR_PAIRING_TRIES');
    if (code !== null && code !== CODE) {
      this.wrongCodes += 1;
      return refuse(403, 'ERR_PAIRING_CODE');
    }
    if (origin !== null && !this.gatewayOrigins.includes(origin)) return refuse(403, 'ERR_ORIGIN');
    const token = origin === null ? null : `token-${this.tokens.length}`;
    if (token) this.tokens.push(origin);
    const cookie = `${COOKIE}; Path=/; HttpOnly; SameSite=Strict`;
    return response
      .writeHead(200, { 'content-type': 'application/json', 'set-cookie': cookie })
      .end(JSON.stringify({ token }));
  }
}

function isPaired(request: IncomingMessage): boolean {
  return (request.headers.cookie ?? '').includes(COOKIE);
}

const FACTS: readonly (readonly [string, string, string, 'both' | 'contact'])[] = [
  ['debit', 'PBOC DEBIT', '0017', 'both'],
  ['travel', 'UNION TRAVEL', '0025', 'both'],
  ['low-balance', 'PBOC DEBIT', '0033', 'both'],
  ['expired', 'PBOC DEBIT', '0041', 'both'],
  ['blocked', 'PBOC DEBIT', '0058', 'both'],
  ['pin-blocked', 'PBOC DEBIT', '0066', 'both'],
  ['refused', 'PBOC DEBIT', '0074', 'both'],
  ['insert-only', 'PBOC DEBIT', '0082', 'both'],
  ['contact-only', 'PBOC DEBIT', '0090', 'contact'],
  ['foreign', 'OTHER SCHEME', '0108', 'both'],
  ['wrong-issuer-key', 'PBOC DEBIT', '0116', 'both'],
];

/** The virtual cards of a laboratory. */
export const CARDS: readonly WalletCard[] = FACTS.map(([name, label, end, kind], at) => ({
  name,
  label,
  panMasked: `629999*********${end}`,
  expiryYymm: name === 'expired' ? '2401' : '3012',
  applicationTransactionCounter: 3 * at,
  interfaces: kind === 'both' ? ['contact', 'contactless'] : ['contact'],
  purpose: name,
}));

/** A view; nothing happens in it unless told. */
export function viewOf(facts: Partial<WindowView> = {}): WindowView {
  return {
    type: 'view',
    payment: null,
    last: null,
    reader: { name: 'Virtual reader', kind: 'virtual', card: null, interface: null },
    readerService: { state: 'off', code: null },
    realReaders: [],
    cards: CARDS,
    ...facts,
  };
}

export const SESSION = '0192f4c0-0000-7000-8000-000000000001';
export const ORDER: ShownOrder = {
  kind: 'purchase',
  amountMinor: '128600',
  currency: '156',
  merchantName: '青山书店 Green Hill Books',
  origin: 'http://127.0.0.1:4700',
};

/** A payment in a state. */
export function paymentOf(
  state: WindowPayment['state'],
  facts: Partial<WindowPayment> = {},
): WindowPayment {
  return {
    session: SESSION,
    intent: 'pay',
    wish: null,
    order: ORDER,
    gatewayOrigin: 'http://127.0.0.1:4600',
    state,
    request: null,
    pinKeySpki: null,
    ...facts,
  };
}

/** A wait for a card; sixty seconds from now. */
export function waitCard(
  facts: Partial<Extract<WindowPayment['state'], { name: 'waitCard' }>> = {},
): WindowPayment['state'] {
  return {
    name: 'waitCard',
    interfaces: ['contact', 'contactless'],
    attempt: 1,
    reason: null,
    deadlineMs: Date.now() + 60_000,
    takeOutFirst: false,
    ...facts,
  };
}
