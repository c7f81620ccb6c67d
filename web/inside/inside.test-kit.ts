/** The document of a payment in which a person took eight seconds, and a server for the page. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import {
  Hop,
  type HopName,
  pageHeaders,
  type TraceDocument,
  type TraceField,
  type TraceItem,
} from '@tapnpay/protocol/wire';
import { build } from 'vite';

export const ORDER = '01a2136d-b8c6-7dce-a09b-19587c2ef2ae';

const TIMES: Readonly<Record<HopName, number | null>> = {
  order: 0,
  ask: 30,
  channel: 80,
  tap: 8_140,
  check: 8_150,
  cryptogram: 8_160,
  seal: 8_165,
  request: 8_180,
  route: 8_190,
  decide: 8_210,
  return: 8_225,
  finish: null,
  confirm: null,
  tell: 8_230,
};

function field(key: string, value: string | null, rest: Partial<TraceField> = {}): TraceField {
  return {
    key,
    name: { zh: `${key}的名称`, en: `Name of ${key}` },
    value,
    meanings: [],
    children: [],
    ...rest,
  };
}

const tvr = field('95', '0000048800', {
  meanings: [
    { zh: 'B3b3 输入联机密码', en: 'B3b3 Online PIN entered' },
    { zh: 'B4b8 交易超过最低限额', en: 'B4b8 Transaction exceeds floor limit' },
  ],
  span: [0, 5, 10],
});
const pan = field('5A', '629999*********0012F', { span: [1, 2, 14] });

function item(ms: number, more: Partial<TraceItem>): TraceItem {
  const name = { zh: '读记录', en: 'Reads a record' };
  const title = 'READ RECORD';
  return { kind: 'apdu', party: 'agent', ms, title, name, raw: [], fields: [], ...more };
}

const ITEMS: Partial<Readonly<Record<HopName, readonly TraceItem[]>>> = {
  channel: [item(80, { kind: 'channel', party: 'gateway', title: 'handshake' })],
  tap: [
    item(8_100, {
      raw: ['00B2011405000004880000', '700C5A0A629999*********0012F9000'],
      fields: [
        field('C-APDU', '00B20114', { children: [tvr], span: [0, 0, 11] }),
        field('R-APDU', null, { children: [field('70', null, { children: [pan] })] }),
      ],
    }),
    item(8_120, { title: 'SELECT', raw: ['00A4', '9000'] }),
  ],
  decide: [
    item(8_200, { kind: 'hsm', party: 'issuer', title: 'verifyArqc' }),
    item(8_205, { kind: 'ledger', party: 'issuer', title: 'posting' }),
  ],
};

/** A contactless payment, approved. */
export function traceFixture(): TraceDocument {
  const hops = (Object.entries(TIMES) as [HopName, number | null][]).map(([hop, ms]) => ({
    n: Hop[hop],
    hop,
    name: { zh: `第${Hop[hop]}步`, en: `Hop ${hop}` },
    status: ms === null ? ('notApplicable' as const) : ('passed' as const),
    party: ms === null ? null : 'gateway',
    ms,
    facts:
      hop === 'tell' ? { outcome: 'approved' } : hop === 'seal' ? { interface: 'contactless' } : {},
    items: ITEMS[hop] ?? [],
  }));
  return { orderId: ORDER, totalMs: 8_230, hops, apduText: '=> 00A4\n<= 9000\n' };
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.html': 'text/html; charset=utf-8',
};

/** Builds the page as it is and serves it under the real headers. */
export class FakeObserver {
  readonly #folder: string;
  readonly #server: Server;
  /** Null: the order is unknown. */
  document: TraceDocument | null = traceFixture();
  /** The observer is in trouble. */
  isBroken = false;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((request, response) => {
      const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
      const [status, type, body] = this.#answer(pathname, search);
      response.writeHead(status, { ...pageHeaders({}), 'content-type': type });
      response.end(body);
    });
  }

  static async open(): Promise<FakeObserver> {
    const folder = mkdtempSync(join(tmpdir(), 'tapnpay-inside-'));
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
    const observer = new FakeObserver(folder);
    await new Promise<void>((done) => observer.#server.listen(0, '127.0.0.1', done));
    return observer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #answer(path: string, search: string): readonly [number, string, string | Buffer] {
    if (path.startsWith('/v1/traces/')) {
      if (this.isBroken) return [500, 'application/json', '{"code":"ERR_INTERNAL"}'];
      if (!this.document) return [404, 'application/json', '{"code":"ERR_TRACE_NOT_FOUND"}'];
      if (search.includes('apdu')) return [200, 'text/plain', this.document.apduText];
      return [200, 'application/json', JSON.stringify(this.document)];
    }
    const file = path.startsWith('/assets/') ? path : '/index.html';
    return [200, TYPES[extname(file)] ?? 'text/plain', readFileSync(join(this.#folder, file))];
  }
}
