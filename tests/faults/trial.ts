/**
 * One system of real processes with a faulty way between every two parties, payers with elements of
 * their own, and a shop that listens. Work is done on it while something strikes; then everything
 * must come to rest, and the checker of the simulator reads the three books.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { type LoadSystem, startLoadSystem } from '../../cli/src/bench/payments/system.ts';
import { GatewayClient } from '../../cli/src/payment/gateway-client.ts';
import { type SystemConfig, urlOf, type Way } from '../../cli/src/system/layout.ts';
import { PostgresAuditLog } from '../../online/src/gateway/audit/log.ts';
import type { Payment } from '../../online/src/gateway/model.ts';
import {
  openGatewayDatabase,
  PostgresGatewayStore,
} from '../../online/src/gateway/store-postgres.ts';
import { openIssuerStore } from '../../online/src/issuer/store-postgres.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../online/src/runtime/index.ts';
import { openSwitchStore } from '../../online/src/switch/store-postgres.ts';
import { readBooks, type ThreeBooks } from '../sim/books.ts';
import { checkBooks, type Finding, unfinished } from '../sim/check.ts';
import { checkDays } from '../sim/check-days.ts';
import { checkEvents, untold } from '../sim/check-events.ts';
import { LeakDetector } from '../sim/leaks.ts';
import { nothingTold, type Told } from '../sim/merchant.ts';
import { filesBelow } from '../system.test-kit.ts';
import { TrialClient } from './client.ts';
import { FaultProxy, type WayKind } from './proxy.ts';

/** Every way of a trial, beside the ones that a system knows: what is outside of it. */
export type TrialWay = Way | 'element-gateway' | 'gateway-shop';

/** Longer than the largest skew and the longest lease: what was put off by a fast clock comes then. */
const REST_TIMEOUT_MS = 150_000;
const READY_TIMEOUT_MS = 60_000;
const REST_PAUSE_MS = 500;
const REST_ROUNDS = 2;
const DATABASE_TRIES = 50;
const DATABASE_PAUSE_MS = 200;
/** Fields 32 and 41 of the lab gateway. */
const ACQUIRER = { acquirer: '49990000001', terminal: '62990001' };

type Stores = {
  readonly books: (orderIds: Iterable<string>) => Promise<ThreeBooks>;
  readonly close: () => Promise<void>;
};

/** A running trial. */
export class Trial {
  readonly load: LoadSystem;
  readonly client: TrialClient;
  readonly told: Told = nothingTold();
  readonly ways: ReadonlyMap<TrialWay, FaultProxy>;
  /** Payments as the last check saw them. */
  seen: readonly Payment[] = [];
  readonly #leaks: LeakDetector;
  readonly #shop: Server;
  #database: EmbeddedPostgres | null = null;

  private constructor(facts: {
    readonly load: LoadSystem;
    readonly ways: ReadonlyMap<TrialWay, FaultProxy>;
    readonly shop: Shop;
  }) {
    const { load, ways, shop } = facts;
    this.load = load;
    this.ways = ways;
    this.#shop = shop.server;
    const { ports, dataDir } = this.config;
    this.client = new TrialClient({ port: ports.gatewayHttp, dataDir });
    const pans = load.payers.flatMap(({ cards }) => cards.map((card) => card.pan));
    this.#leaks = new LeakDetector(pans);
    shop.onBody = (body) => {
      this.#leaks.look('a notification', body);
      this.told.receiver.take(body);
    };
  }

  /** Starts everything; `payers` may pay at the same time. */
  static async start(payers: number, onProgress: (text: string) => void): Promise<Trial> {
    const ways = new Map<TrialWay, FaultProxy>();
    const shop: Shop = await startShop();
    const add = async (way: TrialWay, target: number, kind: WayKind): Promise<number> => {
      const proxy = await FaultProxy.open(target, kind);
      ways.set(way, proxy);
      return proxy.port;
    };
    await add('gateway-shop', shop.port, 'bytes');
    const openWays = async ({ ports, databaseUrl }: SystemConfig): Promise<Record<Way, number>> => {
      const database = Number(new URL(databaseUrl).port);
      return {
        'gateway-switch': await add('gateway-switch', ports.switch, 'frames'),
        'issuer-switch': await add('issuer-switch', ports.switch, 'frames'),
        'gateway-hsm': await add('gateway-hsm', ports.hsmGateway, 'bytes'),
        'switch-hsm': await add('switch-hsm', ports.hsmSwitch, 'bytes'),
        'issuer-hsm': await add('issuer-hsm', ports.hsmIssuer, 'bytes'),
        'gateway-database': await add('gateway-database', database, 'bytes'),
        'switch-database': await add('switch-database', database, 'bytes'),
        'issuer-database': await add('issuer-database', database, 'bytes'),
      };
    };
    const load = await startLoadSystem({
      ...{ elements: payers, onProgress, launch: { kind: 'trial', openWays } },
      elementPort: ({ ports }) => add('element-gateway', ports.gatewayTls, 'bytes'),
    });
    return new Trial({ load, ways, shop });
  }

  get config(): SystemConfig {
    return this.load.system.config;
  }

  /** Where the shop is told; the way there may be faulty. */
  get notifyUrl(): string {
    return `http://127.0.0.1:${this.ways.get('gateway-shop')?.port}/paid`;
  }

  /** Waits until the gateway can take payments. */
  async ready(): Promise<void> {
    const gateway = new GatewayClient({
      url: urlOf(this.config, 'gatewayHttp'),
      dataDir: this.config.dataDir,
    });
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!(await gateway.isReady())) {
      if (performance.now() > deadline) throw new Error('the gateway does not get ready');
      await pause(100);
    }
  }

  /** How often a member's line has been established so far, by its log. */
  signOns(member: 'gateway' | 'issuer'): number {
    const log = readFileSync(join(this.config.dataDir, 'logs', `${member}.log`), 'utf8');
    return log.split('"state":"established"').length - 1;
  }

  /** SIGKILL for a role; its supervisor starts it again. */
  kill(role: string): void {
    const pid = this.load.system.pids().get(role);
    if (pid === undefined) throw new Error(`no process of ${role}`);
    process.kill(pid, 'SIGKILL');
  }

  /** SIGKILL for the database; after a while it is there again, on its old port. */
  async killDatabase(downMs: number): Promise<void> {
    const { dataDir } = this.config;
    const { pid, port } = await startEmbeddedPostgres({ dataDir });
    process.kill(pid, 'SIGKILL');
    await pause(downMs);
    for (let tries = 1; this.#database?.pid !== pid; tries++) {
      try {
        this.#database = await startEmbeddedPostgres({ dataDir, port });
        return;
      } catch (fault) {
        // Processes of the killed one may take a moment to notice.
        if (tries >= DATABASE_TRIES) throw fault;
        await pause(DATABASE_PAUSE_MS);
      }
    }
  }

  /** Waits until nothing is under way; what is wrong then. */
  async check(): Promise<{ readonly books: ThreeBooks; readonly findings: readonly Finding[] }> {
    const deadline = performance.now() + REST_TIMEOUT_MS;
    for (let restful = 0; ; ) {
      try {
        const books = await this.#read();
        const left = [...unfinished(books), ...untold(books, this.told.receiver)];
        restful = left.length === 0 ? restful + 1 : 0;
        const isOver = performance.now() > deadline;
        if (restful >= REST_ROUNDS || isOver) return { books, findings: this.#findings(books) };
      } catch (fault) {
        if (performance.now() > deadline) throw fault;
      }
      await pause(REST_PAUSE_MS);
    }
  }

  #findings(books: ThreeBooks): readonly Finding[] {
    this.#leaks.lookAtBooks(books);
    for (const { path, bytes } of filesBelow(join(this.config.dataDir, 'logs'))) {
      this.#leaks.look(path, bytes.toString('latin1'));
    }
    return [
      ...checkBooks(books, this.told),
      ...checkEvents(books, this.told.receiver),
      ...checkDays(books),
      ...this.#leaks.findings,
    ];
  }

  async #read(): Promise<ThreeBooks> {
    const stores = await this.#openStores();
    try {
      return await stores.books([...this.told.ordersOfKey.values()].flatMap((ids) => [...ids]));
    } finally {
      await stores.close();
    }
  }

  async #openStores(): Promise<Stores> {
    const { databaseUrl } = this.config;
    const database = await openGatewayDatabase({ databaseUrl, schema: 'gateway' });
    const gatewayStore = new PostgresGatewayStore(database);
    const switchStore = await openSwitchStore({ databaseUrl, schema: 'switch' });
    const issuerStore = await openIssuerStore({ databaseUrl, schema: 'issuer' });
    const audit = new PostgresAuditLog(database);
    const stores = { gatewayStore, switchStore, issuerStore, audit };
    return {
      books: (orderIds) => readBooks(stores, orderIds, ACQUIRER),
      close: async () => {
        await Promise.all([database.close(), switchStore.close(), issuerStore.close()]);
      },
    };
  }

  async close(): Promise<void> {
    await this.load.close();
    await this.#database?.stop();
    for (const proxy of this.ways.values()) await proxy.close();
    this.#shop.closeAllConnections();
    await new Promise((done) => this.#shop.close(done));
  }
}

type Shop = { readonly server: Server; readonly port: number; onBody: (body: string) => void };

async function startShop(): Promise<Shop> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('error', () => undefined);
    request.on('end', () => {
      shop.onBody(body);
      response.end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const shop: Shop = { server, port, onBody: () => undefined };
  return shop;
}

/** Real milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}
