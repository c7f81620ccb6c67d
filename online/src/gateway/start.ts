/** The gateway's process: books, HSM, line, HTTP and the listener for payment applications. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { signP1363 } from '@tapnpay/protocol/node';
import { z } from 'zod';
import {
  booksAnswer,
  type CommonConfig,
  closeAll,
  commonConfigShape,
  connectHsm,
  connectTcp,
  MemberLine,
  type Metrics,
  observedLog,
  openCrashPoints,
  type PartyLog,
  parseConfig,
  portSchema,
  probeLines,
  probeQueues,
  readPartyKeys,
  serveOps,
  systemClock,
  systemRandom,
  Tracer,
  Worker,
} from '../runtime/index.ts';
import { createVault, readOrMakeVaultKey } from '../runtime/vault.ts';
import { PostgresAuditLog } from './audit/log.ts';
import { ChannelBridge } from './channel/bridge.ts';
import { listenForApplications } from './channel/tls-listener.ts';
import { acceptLoadFiles } from './elements/load-files.ts';
import { ParameterBook } from './elements/parameter-book.ts';
import { buildHttp } from './http/api.ts';
import type { PayerSite } from './http/payer.ts';
import { installLabMerchant, openMerchantKeys, webhookSecretBytes } from './merchant-keys.ts';
import { remembered } from './merchants/directory.ts';
import { PostgresIdempotencyStore } from './merchants/idempotency.ts';
import { PostgresMerchantLists } from './merchants/lists.ts';
import { PostgresMerchantStore } from './merchants/store-postgres.ts';
import { installationParameters } from './parameters.ts';
import { openAuthority } from './pki/authority.ts';
import { signaturesOf } from './pki/signatures.ts';
import { openPublisher, type PluginPublisher } from './plugin/publisher.ts';
import { GATEWAY_DEFAULTS, type GatewayPorts, type MerchantProfile } from './ports.ts';
import { riskGate } from './risk/gate.ts';
import { BackOffice, OFFICE_TICK_MS } from './settlement/back-office.ts';
import { openGatewayDatabase, PostgresGatewayStore } from './store-postgres.ts';
import { gatewayCore } from './tracing.ts';
import { createCourier, type NotifyPolicy } from './webhooks/courier.ts';

const HOST = '127.0.0.1';
/** Where the helper listens when the configuration does not say. */
const DEFAULT_AGENT_URL = 'http://127.0.0.1:8427';
const SWITCH_INSTITUTION = '00010000000';
/** How often due work is looked for when nothing wakes the gateway. */
const TICK_MS = 250;

/** The one merchant of an installation that names none. */
const LAB_MERCHANT: MerchantProfile = {
  merchantId: '629990000000001',
  name: 'Daylight Goods',
  terminalId: '62990001',
  categoryCode: '5732',
  location: 'DAYLIGHT GOODS',
};

const LAB_MERCHANT_ZH = '日光商店';

/** What the gateway is told at its start. */
export type GatewayConfig = CommonConfig & {
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly switchPort: number;
  readonly switchTimeoutMs?: number | undefined;
  readonly completionTimeoutMs?: number | undefined;
  /** Merchants may ask for faults. */
  readonly lab: boolean;
  /** Where notifications may go; by `lab` when absent. */
  readonly notifyPolicy?: NotifyPolicy | undefined;
  /** Origin of the gateway as browsers reach it; its own port on this machine when absent. */
  readonly publicUrl?: string | undefined;
  /** Origin of the helper on the payer's machine. */
  readonly agentUrl?: string | undefined;
  /** Origin of the look inside; null or absent: none is offered. */
  readonly observerUrl?: string | null | undefined;
  /** Folder of the built pay page; null or absent: none is served. */
  readonly pagesDir?: string | null | undefined;
  /** Load files of the payment application that this installation ships: accepted at the start. */
  readonly loadFiles?: readonly string[] | undefined;
  /** The built extension and the versions of both parts; null or absent: none is served. */
  readonly plugin?: PluginConfig | null | undefined;
};

/** What the update channel publishes. */
export type PluginConfig = {
  /** Folder of the built extension; it may come later. */
  readonly bundleDir: string;
  readonly extensionVersion: string;
  readonly hostVersion: string;
};

const originSchema = z
  .string()
  .refine((text) => /^https?:/.test(text) && URL.parse(text)?.origin === text, 'is a web origin');
const configSchema: z.ZodType<GatewayConfig> = z.object({
  ...commonConfigShape,
  httpPort: portSchema,
  tlsPort: portSchema,
  switchPort: portSchema,
  switchTimeoutMs: z.number().int().positive().optional(),
  completionTimeoutMs: z.number().int().positive().optional(),
  lab: z.boolean(),
  notifyPolicy: z.enum(['loopback', 'public']).optional(),
  publicUrl: originSchema.optional(),
  agentUrl: originSchema.optional(),
  observerUrl: originSchema.nullish(),
  pagesDir: z.string().min(1).nullish(),
  loadFiles: z.array(z.string().min(1)).optional(),
  plugin: z
    .object({
      bundleDir: z.string().min(1),
      extensionVersion: z.string(),
      hostVersion: z.string(),
    })
    .nullish(),
});

/** A running gateway. */
export type RunningGateway = { readonly close: () => Promise<void> };

/**
 * Starts the gateway: reversals of what a former process left open come before any traffic.
 * @throws TapError for configuration, database, HSM or key faults.
 */
export async function startGateway(input: GatewayConfig): Promise<RunningGateway> {
  const config = parseConfig(configSchema, input);
  const { log, metrics } = observedLog({
    party: 'gateway',
    logFile: config.logFile,
    isBuffered: !config.lab,
  });
  const closers: (() => Promise<void>)[] = [];
  try {
    await startParts(config, { log, metrics }, closers);
    return { close: () => closeAll(closers) };
  } catch (thrown) {
    await closeAll(closers);
    throw thrown;
  }
}

async function startParts(
  config: GatewayConfig,
  { log, metrics }: { readonly log: PartyLog; readonly metrics: Metrics },
  closers: (() => Promise<void>)[],
): Promise<void> {
  const directory = join(config.dataDir, 'gateway');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const system = { clock: systemClock, random: systemRandom };
  const { keys: partyKeys, label } = readPartyKeys(config.dataDir, 'gateway');
  const hsm = await connectHsm({ ...config.hsm, caller: 'gateway' });
  closers.push(() => hsm.close());
  const { databaseUrl, schema } = config;
  const database = await openGatewayDatabase({ databaseUrl, schema });
  closers.push(() => database.close());
  const crashing = openCrashPoints({ ...config, party: 'gateway' });
  const store = crashing('store', new PostgresGatewayStore(database));
  const authority = await openAuthority(directory, system);
  const keys = openMerchantKeys(directory, LAB_MERCHANT.merchantId, systemRandom);
  const merchants = new PostgresMerchantStore(database);
  const lab = { profile: LAB_MERCHANT, nameZh: LAB_MERCHANT_ZH, keys };
  await installLabMerchant(merchants, { ...lab, nowMs: systemClock.nowMs() });
  const vault = createVault(
    readOrMakeVaultKey(join(directory, 'vault-key'), systemRandom),
    systemRandom,
  );
  const audit = new PostgresAuditLog(database);
  await acceptLoadFiles(store, config.loadFiles ?? [], systemClock.nowMs());
  const parameters = new ParameterBook({
    ...{ store, clock: systemClock },
    sign: (text) => signP1363(authority.parameterKey, text),
  });
  await parameters.ensure(installationParameters(config.dataDir));
  const office = new BackOffice({ ...system, database, dataDir: config.dataDir, log });
  await office.start();
  closers.push(() => office.stop());
  const worker = new Worker(log, TICK_MS);
  const notifier = new Worker(log, TICK_MS);
  const officeWorker = new Worker(log, OFFICE_TICK_MS);
  const line: MemberLine = new MemberLine({
    ...system,
    localId: GATEWAY_DEFAULTS.acquirerId,
    remoteId: SWITCH_INSTITUTION,
    zoneKey: partyKeys.zmk.keyBlock,
    hsm,
    log: log.info,
    connect: () => connectTcp({ port: config.switchPort }),
    onRequest: async () => null,
    onLateReply: (message) => void core.lateReply(message),
    onState: (state) => log.info({ event: 'lineState', state }),
  });
  const ports: GatewayPorts = {
    ...system,
    store,
    hsm,
    line: crashing('line', {
      keys: () => line.keys(),
      send: async (message, timeoutMs) => {
        const reply = await line.request(message, { timeoutMs });
        return typeof reply === 'string' ? 'timeout' : reply;
      },
    }),
    vault,
    risk: riskGate(office.engine, vault),
    audit,
    parameters,
    signatures: signaturesOf(authority.orderKey),
    courier: crashing(
      'courier',
      createCourier(config.notifyPolicy ?? (config.lab ? 'loopback' : 'public')),
    ),
    profile: {
      ...GATEWAY_DEFAULTS,
      merchant: LAB_MERCHANT,
      baseKey: partyKeys.bdk.keyBlock,
      webhookSecret: webhookSecretBytes(keys.webhookSecret),
      lab: config.lab,
      ...(config.switchTimeoutMs ? { switchTimeoutMs: config.switchTimeoutMs } : {}),
      ...(config.completionTimeoutMs ? { completionTimeoutMs: config.completionTimeoutMs } : {}),
    },
    merchants: remembered(merchants, systemClock),
    log: log.info,
    onHop: (record) => log.info({ event: 'hop', ...record }),
    crash: () => process.kill(process.pid, 'SIGKILL'),
    wake: () => {
      worker.wake();
      notifier.wake();
    },
  };
  const tracer = config.lab
    ? new Tracer({ party: 'gateway', clock: systemClock, log: log.info })
    : undefined;
  const core = gatewayCore(ports, tracer);
  await core.recover();
  line.start();
  closers.push(() => line.close());
  worker.start({ tick: () => core.tickMoney() });
  closers.push(() => worker.stop());
  notifier.start({ tick: () => core.startDeliveries() });
  closers.push(() => notifier.stop());
  officeWorker.start(office);
  closers.push(() => officeWorker.stop());
  const plugin = await publisherOf(config, log);
  const http = buildHttp({
    core,
    merchants,
    lists: new PostgresMerchantLists(database),
    idempotency: new PostgresIdempotencyStore(database),
    audit,
    office,
    // Keys that a program made at first start protect no real money.
    liveMode: label !== 'LAB',
    certifier: authority,
    parameters,
    dataDir: config.dataDir,
    site: siteOf(config, log),
    ...(plugin ? { plugin } : {}),
  });
  await http.listen({ host: HOST, port: config.httpPort });
  closers.push(() => http.close());
  const listener = await listenForApplications(core, authority, {
    host: HOST,
    port: config.tlsPort,
  });
  closers.push(() => listener.close());
  probeLines(metrics, () => [['switch', line.stats()]]);
  probeQueues(metrics, config, GATEWAY_QUEUES);
  const checks = { database: () => booksAnswer(config), switchLine: () => line.keys() !== null };
  closers.push(await serveOps(config.opsPort, { metrics, checks }));
}

/** What the gateway has promised to itself and not done yet. */
const GATEWAY_QUEUES: Readonly<Record<string, string>> = {
  reversals: 'reversals WHERE acknowledged_at_ms IS NULL',
  operations: "operations WHERE state IN ('sending', 'pending', 'unknown')",
  notifications: "outbox WHERE state = 'waiting'",
  workItems: 'work_items WHERE closed_at_ms IS NULL',
};

/** The update channel of the browser extension, if it has one. */
async function publisherOf(config: GatewayConfig, log: PartyLog): Promise<PluginPublisher | null> {
  const { plugin, dataDir } = config;
  if (!plugin) return null;
  const { bundleDir, extensionVersion, hostVersion } = plugin;
  const publisher = await openPublisher({
    dataDir,
    publicUrl: publicUrlOf(config),
    bundleDir,
    built: { extension: extensionVersion, host: hostVersion },
    warn: log.warn,
  });
  log.info({ event: 'pluginPublisher', extensionId: publisher.extensionId });
  return publisher;
}

function publicUrlOf({ publicUrl, httpPort }: GatewayConfig): string {
  return publicUrl ?? `http://${HOST}:${httpPort}`;
}

/** What payers see of this gateway, and their bridge to its channel. */
function siteOf(config: GatewayConfig, log: PartyLog): PayerSite {
  return {
    publicUrl: publicUrlOf(config),
    agentUrl: config.agentUrl ?? DEFAULT_AGENT_URL,
    observerUrl: config.observerUrl ?? null,
    pagesDir: config.pagesDir ?? null,
    bridge: new ChannelBridge({ target: { host: HOST, port: config.tlsPort }, log: log.info }),
  };
}
