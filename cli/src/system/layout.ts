/** Where a system keeps its files and which ports its parties use. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';

/** The checkout that this file belongs to. */
export const projectRoot: string = resolve(import.meta.dirname, '../../..');

/** Folder of a system when the user names none: in the checkout, so that two never meet. */
export const defaultDataDir: string = join(projectRoot, '.tapnpay');

/** Lowest port of a system when the user names none. */
export const DEFAULT_PORT = 8420;

/** Ports of the parties, all on 127.0.0.1. */
export type Ports = {
  readonly gatewayHttp: number;
  readonly gatewayTls: number;
  readonly switch: number;
  readonly hsmGateway: number;
  readonly hsmSwitch: number;
  readonly hsmIssuer: number;
  readonly shop: number;
  readonly agent: number;
  readonly observer: number;
  /** Metrics and health of each party. */
  readonly opsGateway: number;
  readonly opsSwitch: number;
  readonly opsIssuer: number;
  /** Where the issuer verifies dynamic tokens. */
  readonly issuerTokens: number;
  /** The manager of secure elements, its HSM and its metrics. */
  readonly hsmTsm: number;
  readonly tsm: number;
  readonly opsTsm: number;
};
const PORT_NAMES = [
  'gatewayHttp',
  'gatewayTls',
  'switch',
  'hsmGateway',
  'hsmSwitch',
  'hsmIssuer',
  'shop',
  'agent',
  'observer',
  'opsGateway',
  'opsSwitch',
  'opsIssuer',
  'issuerTokens',
  'hsmTsm',
  'tsm',
  'opsTsm',
] as const satisfies readonly (keyof Ports)[];

/** Where a party's HTTP interface is. */
export function urlOf(system: Pick<SystemConfig, 'ports'>, party: HttpParty): string {
  return `http://127.0.0.1:${system.ports[party]}`;
}
/** Parties that speak HTTP. */
export type HttpParty = 'gatewayHttp' | 'shop' | 'agent' | 'observer' | 'tsm';

/** Folder of the built pages of one audience. */
export function pagesDir(
  audience: 'pay' | 'helper' | 'shop' | 'inside' | 'explain' | 'extension',
): string {
  return join(projectRoot, 'web/dist', audience);
}

/** Version of a part that is installed apart from the servers. */
export function versionOf(part: 'plugin' | 'agent'): string {
  const manifest = readFileSync(join(projectRoot, part, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

/** What every role of one system reads at its start. */
export type SystemConfig = {
  readonly dataDir: string;
  readonly ports: Ports;
  readonly databaseUrl: string;
  /** Lab mode: faults may be asked for, and each party tells what it sees of a payment. */
  readonly lab: boolean;
  /** Whether cards in the readers of this machine may pay; not when absent. */
  readonly readers?: boolean;
  /** False: elements go on with what their manager gave them before. */
  readonly manager?: boolean;
  /** Where notifications may go; by `lab` when absent. */
  readonly notifyPolicy?: 'loopback' | 'public';
  /** In a trial: ports of faulty ways between two parties, instead of the straight ones. */
  readonly ways?: Partial<Record<Way, number>>;
  /** In a trial: how far the clocks of roles are off, milliseconds. */
  readonly skewMs?: Readonly<Record<string, number>>;
};

/** Where elements of this system call their manager; null without one. */
export function managerUrlOf(system: SystemConfig): string | null {
  return system.lab && system.manager !== false ? urlOf(system, 'tsm') : null;
}

/** A way between two parties of a system. */
export type Way =
  | 'gateway-switch'
  | 'issuer-switch'
  | 'gateway-hsm'
  | 'switch-hsm'
  | 'issuer-hsm'
  | 'gateway-database'
  | 'switch-database'
  | 'issuer-database';

/** The database as a party reaches it. */
export function databaseUrlOf(
  system: SystemConfig,
  party: 'gateway' | 'switch' | 'issuer' | 'tsm',
): string {
  // The manager of secure elements is no party of a trial.
  const port = party === 'tsm' ? undefined : system.ways?.[`${party}-database`];
  if (port === undefined) return system.databaseUrl;
  const url = new URL(system.databaseUrl);
  url.port = String(port);
  return url.href;
}

/** Ports from `base` on, or free ones when it is 0. */
export async function choosePorts(base: number): Promise<Ports> {
  const numbers = base === 0 ? await freePorts(PORT_NAMES.length) : undefined;
  const pairs = PORT_NAMES.map((name, index) => [name, numbers?.[index] ?? base + index] as const);
  return Object.fromEntries(pairs) as Ports;
}

/** Ports that were free a moment ago, held together so that all differ. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((done, fail) => {
        server.once('error', fail);
        server.listen(0, '127.0.0.1', done);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/** Refuses at once, with a clear text, when a wanted port is taken. */
export async function assertPortsFree(ports: Ports): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    await new Promise<void>((done, fail) => {
      const server = createServer();
      server.once('error', () => {
        const text = `port ${port} (${name}) is in use; choose others with --port N`;
        fail(new TapError('ERR_PORT_IN_USE', text, { port }));
      });
      server.listen(port, '127.0.0.1', () => server.close(() => done()));
    });
  }
}

const CONFIG_FILE = 'system.json';

/** Writes the configuration that roles and commands find. */
export function writeSystemConfig(config: SystemConfig): void {
  mkdirSync(config.dataDir, { recursive: true });
  const path = join(config.dataDir, CONFIG_FILE);
  writeFileSync(`${path}.new`, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** The configuration of the system in `dataDir`. @throws TapError `ERR_NO_SYSTEM`. */
export function readSystemConfig(dataDir: string): SystemConfig {
  try {
    return JSON.parse(readFileSync(join(dataDir, CONFIG_FILE), 'utf8')) as SystemConfig;
  } catch (cause) {
    const text = `no system in ${dataDir}; start one with: npm start`;
    throw new TapError('ERR_NO_SYSTEM', text, { dataDir }, cause);
  }
}
