/** The manager's process: books, HSM and interface around the core. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  booksAnswer,
  type CommonConfig,
  closeAll,
  commonConfigShape,
  connectHsm,
  observedLog,
  type PartyLog,
  parseConfig,
  portSchema,
  probeQueues,
  readPartyKeys,
  serveOps,
  systemClock,
  systemRandom,
} from '../runtime/index.ts';
import { MANAGER } from './actor.ts';
import { addApiKey, keyIdOf, newKeyText } from './api-keys.ts';
import { Contacts } from './contacts.ts';
import { buildTsmHttp } from './http/server.ts';
import { announceElement, labPersonalisation, releaseLabPackage, seedLab } from './lab.ts';
import { openMasters } from './masters.ts';
import { type PersonalisationSource, TSM_PROFILE, type TsmPorts } from './ports.ts';
import { openTsmStore } from './store-postgres.ts';

const HOST = '127.0.0.1';
const SECRET_BYTES = 32;

/** What the manager is told at its start. */
export type TsmConfig = CommonConfig & {
  /** Port on 127.0.0.1. */
  readonly httpPort: number;
  /** Present in a laboratory: packages that are released at the start. */
  readonly lab?:
    | {
        readonly packages: readonly { readonly applicationId: string; readonly path: string }[];
        /** Name of the gateway in its certificate, for which payment applications are made. */
        readonly gatewayName?: string | undefined;
      }
    | undefined;
};

const tsmConfigSchema: z.ZodType<TsmConfig> = z.object({
  ...commonConfigShape,
  httpPort: portSchema,
  lab: z
    .object({
      packages: z.array(z.object({ applicationId: z.string(), path: z.string() })),
      gatewayName: z.string().min(1).max(253).optional(),
    })
    .optional(),
});

/** A running manager. */
export type RunningTsm = {
  readonly close: () => Promise<void>;
  /** For the ready line. */
  readonly facts: { readonly port: number };
};

/**
 * Starts the manager; resolves when elements may call. `personalisation` gives the data of
 * applications that the laboratory has none for.
 * @throws TapError for configuration, database, HSM and key faults.
 */
export async function startTsm(
  input: TsmConfig,
  personalisation: PersonalisationSource | null = null,
): Promise<RunningTsm> {
  const config = parseConfig(tsmConfigSchema, input);
  const { log, metrics } = observedLog({ party: 'tsm', logFile: config.logFile });
  const closers: (() => Promise<void>)[] = [];
  try {
    const ports = await openPorts(config, { log, personalisation, closers });
    const http = buildTsmHttp({
      ...{ ports, contacts: new Contacts(ports) },
      announce: config.lab && ((made) => announceElement(ports, made)),
    });
    await http.listen({ host: HOST, port: config.httpPort });
    closers.push(() => http.close());
    probeQueues(metrics, config, { openJobs: "jobs WHERE state IN ('waiting', 'running')" });
    const checks = { database: () => booksAnswer(config) };
    closers.push(await serveOps(config.opsPort, { metrics, checks }));
    return { close: () => closeAll(closers), facts: { port: config.httpPort } };
  } catch (thrown) {
    await closeAll(closers);
    throw thrown;
  }
}

async function openPorts(
  config: TsmConfig,
  parts: {
    readonly log: PartyLog;
    readonly personalisation: PersonalisationSource | null;
    readonly closers: (() => Promise<void>)[];
  },
): Promise<TsmPorts> {
  const { dataDir, databaseUrl, schema, lab } = config;
  const { log, closers } = parts;
  const keys = readPartyKeys(dataDir, 'tsm').keys;
  const hsm = await connectHsm({ ...config.hsm, caller: 'tsm' });
  closers.push(() => hsm.close());
  const { store, audit } = await openTsmStore({ databaseUrl, schema, log: log.warn });
  closers.push(() => store.close());
  const folder = join(dataDir, 'tsm');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const secret = Buffer.from(secretFile(join(folder, 'personalisation.key')), 'hex');
  const ports: TsmPorts = {
    ...{ store, audit, hsm, clock: systemClock, random: systemRandom },
    personalisation: lab
      ? labPersonalisation(secret, {
          gatewayName: lab.gatewayName ?? null,
          next: parts.personalisation,
        })
      : (parts.personalisation ?? { groupings: async () => null }),
    profile: TSM_PROFILE,
    log: log.info,
  };
  await openMasters(ports, keys);
  if (lab) {
    await seedLab(ports);
    for (const source of lab.packages) await releaseLabPackage(ports, source);
  }
  await openApiKeys(ports, join(folder, TSM_KEYS_FILE));
  return ports;
}

/** `<dataDir>/tsm/api-keys.json`: the first keys, made at the first start. */
export const TSM_KEYS_FILE = 'api-keys.json';
/** What the file holds. */
export type TsmKeys = {
  readonly issuer: string;
  /** Of a second person, who reviews what the first one uploads. */
  readonly reviewer: string;
  readonly auditor: string;
};
const keysSchema: z.ZodType<TsmKeys> = z.object({
  ...{ issuer: z.string().min(32), reviewer: z.string().min(32), auditor: z.string().min(32) },
});

/** The first keys of an installation. @throws for a missing or broken file. */
export function readTsmKeys(dataDir: string): TsmKeys {
  const text = readFileSync(join(dataDir, 'tsm', TSM_KEYS_FILE), 'utf8');
  return parseConfig(keysSchema, JSON.parse(text));
}

/** The file first: a key in the books that nobody knows would be of no use. */
async function openApiKeys(ports: TsmPorts, path: string): Promise<void> {
  const text = readOrMake(path, () => {
    const make = (): string => newKeyText(ports.random);
    const made: TsmKeys = { issuer: make(), reviewer: make(), auditor: make() };
    return `${JSON.stringify(made, null, 2)}\n`;
  });
  const keys = parseConfig(keysSchema, JSON.parse(text));
  const roles = { issuer: 'issuer', reviewer: 'issuer', auditor: 'auditor' } as const;
  for (const name of ['issuer', 'reviewer', 'auditor'] as const) {
    if (await ports.store.find('apiKeys', keyIdOf(keys[name]))) continue;
    const role = roles[name];
    await addApiKey(ports, MANAGER, { text: keys[name], role, name, providerId: '' });
  }
}

function secretFile(path: string): string {
  return readOrMake(path, () => Buffer.from(systemRandom.bytes(SECRET_BYTES)).toString('hex'));
}

/** The text of a private file, which is made when it is missing. */
function readOrMake(path: string, make: () => string): string {
  try {
    writeFileSync(path, make(), { flag: 'wx', mode: 0o600 });
  } catch (thrown) {
    const isThere = thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST';
    if (!isThere) throw thrown;
  }
  return readFileSync(path, 'utf8');
}
