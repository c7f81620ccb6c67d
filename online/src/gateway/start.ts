/** The gateway's process: books, HSM, line, HTTP and the listener for payment applications. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { errorBody } from '@tapnpay/protocol/bytes';
import { z } from 'zod';
import {
  type CommonConfig,
  commonConfigShape,
  connectHsm,
  connectTcp,
  createLog,
  MemberLine,
  type PartyLog,
  parseConfig,
  portSchema,
  readPartyKeys,
  systemClock,
  systemRandom,
} from '../runtime/index.ts';
import { createVault, readOrMakeVaultKey } from '../runtime/vault.ts';
import { listenForApplications } from './channel/tls-listener.ts';
import { GatewayCore } from './core.ts';
import { buildHttp } from './http/api.ts';
import { createCourier } from './http/courier.ts';
import { openMerchantKeys, webhookSecretBytes } from './merchant-keys.ts';
import { openAuthority } from './pki/authority.ts';
import { signaturesOf } from './pki/signatures.ts';
import { GATEWAY_DEFAULTS, type GatewayPorts, type MerchantProfile } from './ports.ts';
import { openGatewayStore } from './store-postgres.ts';

const HOST = '127.0.0.1';
const SWITCH_INSTITUTION = '00010000000';
/** How often due work is looked for when nothing wakes the gateway. */
const TICK_MS = 250;

/** The one merchant of an installation that names none. */
const LAB_MERCHANT: MerchantProfile = {
  merchantId: '629990000000001',
  name: 'Tap and Pay Lab Shop',
  terminalId: '62990001',
  categoryCode: '5732',
  location: 'TAP AND PAY LAB SHOP',
};

/** What the gateway is told at its start. */
export type GatewayConfig = CommonConfig & {
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly switchPort: number;
  readonly switchTimeoutMs?: number | undefined;
  readonly completionTimeoutMs?: number | undefined;
  /** Merchants may ask for faults. */
  readonly lab: boolean;
};

const configSchema: z.ZodType<GatewayConfig> = z.object({
  ...commonConfigShape,
  httpPort: portSchema,
  tlsPort: portSchema,
  switchPort: portSchema,
  switchTimeoutMs: z.number().int().positive().optional(),
  completionTimeoutMs: z.number().int().positive().optional(),
  lab: z.boolean(),
});

/** A running gateway. */
export type RunningGateway = { readonly close: () => Promise<void> };

/**
 * Starts the gateway: reversals of what a former process left open come before any traffic.
 * @throws TapError for configuration, database, HSM or key faults.
 */
export async function startGateway(input: GatewayConfig): Promise<RunningGateway> {
  const config = parseConfig(configSchema, input);
  const log = createLog({ party: 'gateway', logFile: config.logFile });
  const closers: (() => Promise<void>)[] = [];
  try {
    await startParts(config, log, closers);
    return { close: () => closeAll(closers) };
  } catch (thrown) {
    await closeAll(closers);
    throw thrown;
  }
}

async function startParts(
  config: GatewayConfig,
  log: PartyLog,
  closers: (() => Promise<void>)[],
): Promise<void> {
  const directory = join(config.dataDir, 'gateway');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const system = { clock: systemClock, random: systemRandom };
  const partyKeys = readPartyKeys(config.dataDir, 'gateway').keys;
  const hsm = await connectHsm({ ...config.hsm, caller: 'gateway' });
  closers.push(() => hsm.close());
  const { databaseUrl, schema } = config;
  const store = await openGatewayStore({ databaseUrl, schema });
  closers.push(() => store.close());
  const authority = await openAuthority(directory, system);
  const keys = openMerchantKeys(directory, LAB_MERCHANT.merchantId, systemRandom);
  const worker = new Worker(log);
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
    line: {
      keys: () => line.keys(),
      send: async (message, timeoutMs) => {
        const reply = await line.request(message, { timeoutMs });
        return typeof reply === 'string' ? 'timeout' : reply;
      },
    },
    vault: createVault(
      readOrMakeVaultKey(join(directory, 'vault-key'), systemRandom),
      systemRandom,
    ),
    signatures: signaturesOf(authority.orderKey),
    courier: createCourier(config.lab ? 'loopback' : 'public'),
    profile: {
      ...GATEWAY_DEFAULTS,
      merchant: LAB_MERCHANT,
      baseKey: partyKeys.bdk.keyBlock,
      webhookSecret: webhookSecretBytes(keys.webhookSecret),
      lab: config.lab,
      ...(config.switchTimeoutMs ? { switchTimeoutMs: config.switchTimeoutMs } : {}),
      ...(config.completionTimeoutMs ? { completionTimeoutMs: config.completionTimeoutMs } : {}),
    },
    log: log.info,
    onHop: (record) => log.info({ event: 'hop', ...record }),
    crash: () => process.kill(process.pid, 'SIGKILL'),
    wake: () => worker.wake(),
  };
  const core = new GatewayCore(ports);
  await core.recover();
  line.start();
  closers.push(() => line.close());
  worker.start(core);
  closers.push(() => worker.stop());
  const http = buildHttp({
    core,
    keys,
    certifier: authority,
    dataDir: config.dataDir,
  });
  await http.listen({ host: HOST, port: config.httpPort });
  closers.push(() => http.close());
  const listener = await listenForApplications(core, authority, {
    host: HOST,
    port: config.tlsPort,
  });
  closers.push(() => listener.close());
}

/** Runs due work: soon after a wake, else now and then; one run at a time. */
class Worker {
  readonly #log: PartyLog;
  #core: GatewayCore | null = null;
  #cancel: () => void = () => {};
  #running: Promise<void> | null = null;
  #isWanted = false;

  constructor(log: PartyLog) {
    this.#log = log;
  }

  start(core: GatewayCore): void {
    this.#core = core;
    this.wake();
  }

  wake(): void {
    this.#isWanted = true;
    if (this.#core && !this.#running) this.#running = this.#run(this.#core);
  }

  async stop(): Promise<void> {
    this.#core = null;
    this.#cancel();
    await this.#running;
  }

  async #run(core: GatewayCore): Promise<void> {
    this.#cancel();
    while (this.#isWanted && this.#core) {
      this.#isWanted = false;
      try {
        await core.tick();
      } catch (fault) {
        this.#log.error({ event: 'tickFailed', code: errorBody(fault).code });
      }
    }
    this.#running = null;
    if (this.#core) this.#cancel = systemClock.startTimer(TICK_MS, () => this.wake());
  }
}

/** The doors first, then the work, the line, the books, the HSM. */
async function closeAll(closers: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of [...closers].reverse()) await close();
}
