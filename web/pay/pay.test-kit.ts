/** A gateway and an agent that say what they are told, for the built pay page in a real browser. */
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import {
  type AgentMessage,
  type AgentState,
  type ElementPayResult,
  type PageMessage,
  type PayOrderView,
  type PayPaymentView,
  PLUGIN_VERSIONS_PATH,
  type PluginVersions,
  pageHeaders,
} from '@tapnpay/protocol/wire';
import { type WebSocket, WebSocketServer } from 'ws';

export const ORDER_ID = '0193c0de-0000-7000-8000-000000000001';
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};
const TOKEN = 'a-token-of-this-agent';
/** The agent's window of this kit: a page whose button pairs. */
const WINDOW_PAGE = '<title>Helper</title><button id="pair">Pair</button>';

export const RECEIPT: PayPaymentView['receipt'] = {
  panMasked: '629999*********0017',
  entryMode: 'contact',
  applicationLabel: 'UnionPay Debit',
  aid: 'A000000333010101',
  applicationTransactionCounter: 23,
  arqc: '8F31C0A2D94B77E5',
  second: '5D02BB61F3A8490C',
  secondType: 'TC',
  tvr: '0000008000',
  tsi: 'F800',
  cvmResults: '020300',
  approvalCode: '204817',
  stan: '000142',
  retrievalReference: '633115000142',
  createdAtMs: Date.UTC(2026, 10, 25, 8, 30, 12),
};

/** What the gateway offers: nothing newer than the parts of the tests. */
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
    crx: 'https://pay.example/plugin/tapnpay.crx',
    updateManifest: 'https://pay.example/plugin/update.xml',
    xpi: 'https://pay.example/plugin/tapnpay.xpi',
    xpiUpdates: 'https://pay.example/plugin/updates.json',
  },
};

/** A payment of the order. */
export function payment(change: Partial<PayPaymentView> = {}): PayPaymentView {
  const base = { paymentId: 'P1', outcome: 'approved', responseCode: '00', reason: null } as const;
  return { ...base, receipt: RECEIPT, ...change };
}

/** Gateway and agent on free ports. */
export class FakeSystem {
  readonly #pages: string;
  readonly #gateway: Server;
  readonly #agent: Server;
  readonly #sockets: WebSocketServer[] = [];
  #page: WebSocket | null = null;
  /** What a page said to the agent. */
  readonly heard: PageMessage[] = [];
  isPaired = true;
  /** Nobody answers on loopback. */
  isAgentAway = false;
  /** The gateway's document of versions; null: it has no update channel. */
  versions: PluginVersions | null = VERSIONS;
  session = '';
  #change: Partial<PayOrderView> = {};

  private constructor(pages: string) {
    this.#pages = pages;
    this.#gateway = createServer((request, response) =>
      this.#answer(request.method ?? '', request.url ?? '', response),
    );
    this.#agent = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': TYPES['.html'] }).end(WINDOW_PAGE);
    });
  }

  /** `pages` is the folder of the built page. */
  static async start(pages: string): Promise<FakeSystem> {
    const system = new FakeSystem(pages);
    await listen(system.#gateway);
    await system.startAgent();
    const channel = new WebSocketServer({ server: system.#gateway, path: '/v1/channel' });
    system.#sockets.push(channel);
    return system;
  }

  get payUrl(): string {
    return `${originOf(this.#gateway)}/pay/${ORDER_ID}`;
  }

  get agentUrl(): string {
    return originOf(this.#agent);
  }

  /** As before the first test. */
  reset(): void {
    this.#change = {};
    this.isPaired = true;
    this.isAgentAway = false;
    this.versions = VERSIONS;
    this.heard.length = 0;
  }

  /** How the order stands from now on. */
  set order(change: Partial<PayOrderView>) {
    this.#change = change;
  }

  async startAgent(): Promise<void> {
    await listen(this.#agent);
    const sockets = new WebSocketServer({
      server: this.#agent,
      path: '/v1/session',
      verifyClient: () => !this.isAgentAway,
    });
    sockets.on('connection', (socket) => this.#onPage(socket));
    this.#sockets.push(sockets);
  }

  say(message: AgentMessage): void {
    this.#page?.send(JSON.stringify(message));
  }

  state(state: AgentState): void {
    this.say({ type: 'state', session: this.session, state });
  }

  result(change: Partial<ElementPayResult>): void {
    const result: ElementPayResult = {
      outcome: 'approved',
      reason: null,
      charged: 'yes',
      interface: 'contact',
      paymentId: 'P1',
      responseCode: '00',
      card: null,
      cryptogram: { arqc: null, arpc: null, second: null, secondType: null },
      tvr: '',
      tsi: '',
      cvmResults: '',
      dataAuthentication: 'none',
      channel: null,
      ...change,
    };
    this.say({ type: 'result', session: this.session, result });
  }

  /** Ends the page's connection to the agent. */
  dropPage(): void {
    this.#page?.terminate();
  }

  async close(): Promise<void> {
    for (const sockets of this.#sockets) {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
    }
    for (const server of [this.#gateway, this.#agent]) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }

  #onPage(socket: WebSocket): void {
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as PageMessage;
      this.heard.push(message);
      if (message.type === 'hello') this.#welcome(socket, message.token);
      if (message.type === 'pay') this.session = message.session;
    });
  }

  #welcome(socket: WebSocket, token: string | null): void {
    this.#page = socket;
    if (!this.isPaired && token !== TOKEN) {
      const error = { code: 'ERR_NOT_PAIRED', message: 'not paired', data: {} };
      this.say({ type: 'refused', error });
      return;
    }
    this.say({
      type: 'welcome',
      version: 1,
      element: { id: 'E1', state: 'operable' },
      readers: [{ name: 'Virtual reader', kind: 'virtual' }],
    });
  }

  #answer(method: string, url: string, response: ServerResponse): void {
    if (method === 'POST' && url === `/v1/pay/${ORDER_ID}/cancel`) {
      this.#change = { status: 'cancelled' };
      json(response, 200, this.#view());
    } else if (url === `/v1/pay/${ORDER_ID}`) json(response, 200, this.#view());
    else if (url === PLUGIN_VERSIONS_PATH && this.versions) json(response, 200, this.versions);
    else if (url.startsWith('/v1/')) json(response, 404, { code: 'ERR_ORDER_NOT_FOUND' });
    else this.#servePage(url, response);
  }

  #servePage(url: string, response: ServerResponse): void {
    const { agentUrl } = this;
    const connect = [agentUrl, agentUrl.replace('http', 'ws')];
    connect.push(originOf(this.#gateway).replace('http', 'ws'));
    const headers = pageHeaders({ connect, opensWindows: true });
    const file = join(this.#pages, url.startsWith('/pay/') ? 'index.html' : url);
    const isThere = existsSync(file);
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    response.writeHead(isThere ? 200 : 404, { ...headers, 'content-type': type });
    response.end(isThere ? readFileSync(file) : '');
  }

  #view(): PayOrderView {
    const nowMs = Date.now();
    return {
      orderId: ORDER_ID,
      merchantId: '898310000000001',
      merchantName: '青叶茶铺 Green Leaf Tea',
      terminalId: '10000001',
      merchantOrderNumber: 'GL-20261125-0042',
      amountMinor: '12850',
      currency: '156',
      origin: 'https://shop.greenleaf.example',
      status: 'open',
      nowMs,
      expiresAtMs: nowMs + 900_000,
      returnUrl: 'https://shop.greenleaf.example/orders/42?from=pay',
      agentUrl: this.agentUrl,
      sandbox: true,
      insideUrl: `https://inside.example/inside/${ORDER_ID}`,
      payment: null,
      ...this.#change,
    };
  }
}

/** Hands the token over as the agent's window does; run it inside that window. */
export const PAIR_SCRIPT = (targetOrigin: string): string =>
  `opener.postMessage({type: 'tapnpay-paired', token: '${TOKEN}'}, '${targetOrigin}')`;

function json(response: ServerResponse, status: number, body: object): void {
  // An order's own shop may read it, on its own page.
  const shop = 'origin' in body ? { 'access-control-allow-origin': String(body.origin) } : {};
  response.writeHead(status, { 'content-type': 'application/json', ...shop });
  response.end(JSON.stringify(body));
}

function listen(server: Server): Promise<void> {
  return new Promise((done) => server.listen(0, '127.0.0.1', done));
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
