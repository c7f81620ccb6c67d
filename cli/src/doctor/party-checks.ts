/** The parties of a system on this machine and what they stand on; nothing is changed. */
import { join } from 'node:path';
import {
  AGENT_HEALTH_PATH,
  AGENT_VERSION,
  type Found,
  foundFault,
  foundOk,
  foundWaiting,
} from '@tapnpay/protocol/wire';
import { pagesDir, type SystemConfig, urlOf } from '../system/layout.ts';
import type { Machine } from './machine.ts';

/** Oldest Node.js that runs this system. */
export const NODE_MAJOR_MIN = 26;
/** Less free space than this and a database soon stops. */
const FREE_BYTES_MIN = 300_000_000;
const HOST = '127.0.0.1';

/** A system that is known, on its machine. */
export type Housed = { readonly machine: Machine; readonly system: SystemConfig };

export function checkNode({ nodeVersion: version }: Machine): Found<'node'> {
  if (Number(version.split('.')[0]) >= NODE_MAJOR_MIN) return foundOk({ version });
  return foundFault('broken', 'ERR_NODE_OLD', { version, required: String(NODE_MAJOR_MIN) });
}

/** @param system null when the folder holds none. */
export function checkDataFolder(
  machine: Machine,
  path: string,
  system: SystemConfig | null,
): Found<'dataFolder'> {
  if (!machine.exists(path)) return foundFault('broken', 'ERR_DATA_FOLDER_MISSING', { path });
  if (!machine.isWritable(path)) return foundFault('broken', 'ERR_DATA_FOLDER_READ_ONLY', { path });
  if (system === null) return foundFault('broken', 'ERR_NO_SYSTEM', { path });
  const freeBytes = machine.freeBytes(path);
  if (freeBytes !== null && freeBytes < FREE_BYTES_MIN) {
    const free = `${Math.floor(freeBytes / 1_000_000)} MB`;
    return foundFault('warn', 'ERR_DISK_FULL', { path, free });
  }
  return foundOk({ path });
}

export function checkPages(machine: Machine): Found<'pages'> {
  const audiences = ['pay', 'helper', 'shop', 'inside', 'explain'] as const;
  const missing = audiences.filter((name) => !machine.exists(join(pagesDir(name), 'index.html')));
  if (missing.length === 0) return foundOk();
  return foundFault('broken', 'ERR_PAGES', { missing: missing.join(', ') });
}

/** Only host and port of the database's URL are looked at: the rest is a password. */
export async function checkDatabase({ machine, system }: Housed): Promise<Found<'database'>> {
  const url = URL.parse(system.databaseUrl);
  const host = url?.hostname || HOST;
  const port = Number(url?.port || 5432);
  const place = `${host}:${port}`;
  if (await machine.isPortOpen(host, port)) return foundOk({ place });
  const code = host === HOST ? 'ERR_DATABASE_DOWN' : 'ERR_OWN_DATABASE_DOWN';
  return foundFault('broken', code, { place });
}

export async function checkHsms({ machine, system }: Housed): Promise<Found<'hsms'>> {
  const { ports } = system;
  const hsms = [
    ['hsm-gateway', ports.hsmGateway],
    ['hsm-switch', ports.hsmSwitch],
    ['hsm-issuer', ports.hsmIssuer],
  ] as const;
  const states = await Promise.all(
    hsms.map(async ([name, port]) => ({ name, isOpen: await machine.isPortOpen(HOST, port) })),
  );
  const down = states.filter(({ isOpen }) => !isOpen).map(({ name }) => name);
  if (down.length === 0) return foundOk();
  return foundFault('broken', 'ERR_HSM_DOWN', { down: down.join(', '), ...logsOf(...down) });
}

/** The listener, and whether the gateway has signed on to it. */
export async function checkSwitch({ machine, system }: Housed): Promise<Found<'switch'>> {
  const port = system.ports.switch;
  if (!(await machine.isPortOpen(HOST, port))) {
    return foundFault('broken', 'ERR_SWITCH_DOWN', { port: String(port), ...logsOf('switch') });
  }
  const health = await machine.get(new URL('/v1/health', urlOf(system, 'gatewayHttp')).href);
  const line = memberOf(health?.body, 'switchLine');
  if (line === 'established') return foundOk();
  // It listens; a gateway that cannot be asked has a check of its own.
  if (line === undefined) return foundWaiting('gateway');
  return foundFault('broken', 'ERR_SWITCH_LINE', logsOf('switch', 'gateway'));
}

export async function checkShop({ machine, system }: Housed): Promise<Found<'shop'>> {
  const url = urlOf(system, 'shop');
  const status = await statusOf(machine, url);
  const facts = { url, ...logsOf('shop') };
  if (status === null) return foundFault('broken', 'ERR_SHOP_DOWN', facts);
  if (status < 500) return foundOk({ url });
  return foundFault('broken', 'ERR_SHOP_NOT_READY', { ...facts, status: String(status) });
}

/** A payment can be made unseen. */
export async function checkObserver({ machine, system }: Housed): Promise<Found<'observer'>> {
  const url = urlOf(system, 'observer');
  const status = await statusOf(machine, url);
  const facts = { url, ...logsOf('observer') };
  if (status === null) return foundFault('warn', 'ERR_OBSERVER_DOWN', facts);
  if (status < 500) return foundOk({ url });
  return foundFault('warn', 'ERR_OBSERVER_NOT_READY', { ...facts, status: String(status) });
}

/** A party that answers HTTP at all is up; 503 is its own word that it is not ready. */
async function statusOf(machine: Machine, url: string): Promise<number | null> {
  const answer = await machine.get(new URL('/v1/health', url).href);
  return answer?.status ?? null;
}

export async function checkAgent({ machine, system }: Housed): Promise<Found<'agent'>> {
  const url = urlOf(system, 'agent');
  const answer = await machine.get(new URL(AGENT_HEALTH_PATH, url).href);
  if (!answer) return foundFault('broken', 'ERR_AGENT_DOWN', { url, ...logsOf('agent') });
  const version = memberOf(answer.body, 'version');
  if (typeof version !== 'number') return foundFault('broken', 'ERR_AGENT_OTHER', { url });
  if (version === AGENT_VERSION) return foundOk({ url });
  const required = String(AGENT_VERSION);
  return foundFault('broken', 'ERR_VERSION', { url, version: String(version), required });
}

/** Roles are started again by `up`; one that stays down says why in its log. */
function logsOf(...roles: readonly string[]): { readonly logs: string } {
  return { logs: roles.map((role) => `logs/${role}.log`).join(', ') };
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
