/** Starts a whole system, step by step, and stops it in the opposite order. */
import {
  personaliseCards,
  readHsmTokens,
  runCeremony,
  runElementCeremony,
} from '@tapnpay/online/hsm';
import { connectHsm, startEmbeddedPostgres } from '@tapnpay/online/runtime';
import { errorBody, TapError } from '@tapnpay/protocol/bytes';
import { systemClock } from '@tapnpay/protocol/node';
import type { Hsm, HsmCaller } from '@tapnpay/protocol/wire';
import { GatewayClient } from '../payment/gateway-client.ts';
import { buildPages } from './build.ts';
import {
  assertPortsFree,
  choosePorts,
  managerUrlOf,
  type Ports,
  type SystemConfig,
  urlOf,
  writeSystemConfig,
} from './layout.ts';
import { type RoleProcess, startRole } from './role-process.ts';

/** How long the gateway's line to the switch may take to be established. */
const ESTABLISH_TIMEOUT_MS = 15_000;
const ESTABLISH_PAUSE_MS = 25;

type HsmParty = 'gateway' | 'switch' | 'issuer';
const PARTIES: readonly HsmParty[] = ['gateway', 'switch', 'issuer'];
const HSM_PORT: Readonly<Record<HsmParty, keyof Ports>> = {
  gateway: 'hsmGateway',
  switch: 'hsmSwitch',
  issuer: 'hsmIssuer',
};

/** What a system is started with. */
export type LaunchOptions = {
  readonly dataDir: string;
  /** First of the ports, which follow one another, or 0 for free ones. */
  readonly basePort: number;
  /** PostgreSQL 15 or later; the embedded one when absent. */
  readonly databaseUrl?: string | undefined;
  /**
   * `lab` when absent. `service`: the parties of a payment alone and without the lab's looks
   * inside, notifications to this machine; what a benchmark measures. `trial`: the same parties in
   * lab mode, for faults.
   */
  readonly kind?: 'lab' | 'service' | 'trial' | undefined;
  /** Opens faulty ways between the parties, before any of them starts. */
  readonly openWays?: (config: SystemConfig) => Promise<NonNullable<SystemConfig['ways']>>;
  /** Cards in the readers of this machine may pay; not when absent. */
  readonly readers?: boolean | undefined;
  /** Told what is being started, for people who wait. */
  readonly onProgress?: (text: string) => void;
  /** False: without the manager of secure elements. */
  readonly manager?: boolean;
};

/** A system that can take payments. */
export type RunningSystem = {
  readonly config: SystemConfig;
  /** Process ids of the roles by name. */
  readonly pids: () => ReadonlyMap<string, number>;
  readonly close: () => Promise<void>;
};

/** What is to be stopped, in the opposite order of its start. */
type Closer = {
  readonly expectEnd?: () => void;
  readonly close: () => Promise<void>;
} & Partial<Pick<RoleProcess, 'name' | 'pid'>>;

/** Resolves when a payment can be taken. @throws TapError of the part that did not start. */
export async function launchSystem(options: LaunchOptions): Promise<RunningSystem> {
  const closers: Closer[] = [];
  const close = async (): Promise<void> => {
    const stops = closers.splice(0).reverse();
    for (const { expectEnd } of stops) expectEnd?.();
    for (const stop of stops) await stop.close();
  };
  try {
    const config = await launchParts(options, closers);
    return { config, pids: () => pidsOf(closers), close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

function pidsOf(closers: readonly Closer[]): ReadonlyMap<string, number> {
  const pids = new Map<string, number>();
  for (const { name, pid } of closers) {
    const id = pid?.();
    if (name !== undefined && id !== undefined) pids.set(name, id);
  }
  return pids;
}

async function launchParts(options: LaunchOptions, closers: Closer[]): Promise<SystemConfig> {
  const { dataDir, onProgress = () => {} } = options;
  const ports = await choosePorts(options.basePort);
  await assertPortsFree(ports);
  const isLab = (options.kind ?? 'lab') === 'lab';
  onProgress('pages and database 页面与数据库');
  const built = isLab ? buildPages() : Promise.resolve();
  // A build that fails is told after the database is known to be closed again.
  built.catch(() => {});
  const databaseUrl = options.databaseUrl ?? (await embeddedDatabase(dataDir, closers));
  const straight: SystemConfig = {
    ...{ dataDir, ports, databaseUrl, lab: options.kind !== 'service' },
    ...(isLab ? {} : { notifyPolicy: 'loopback' }),
    ...(options.readers ? { readers: true } : {}),
    ...(options.manager === false ? { manager: false } : {}),
  };
  const ways = await options.openWays?.(straight);
  const config: SystemConfig = { ...straight, ...(ways && { ways }) };
  writeSystemConfig(config);
  const start = async (names: readonly string[]): Promise<void> => {
    const started = names.map((name) => startRole({ name, args: [name], dataDir, onRestart }));
    for (const role of await Promise.allSettled(started)) {
      if (role.status === 'fulfilled') closers.push(role.value);
    }
    await Promise.all(started);
  };
  const onRestart = (name: string, why: string): void =>
    onProgress(`${name} stopped (${why}), started again 已重启`);
  onProgress('HSMs 加密机');
  await start(PARTIES.map((party) => `hsm-${party}`));
  onProgress('keys and cards 密钥与卡片');
  await prepareKeys(config);
  onProgress('switch, issuer, gateway 转接、发卡行、网关');
  await built;
  await start(['switch', 'issuer', 'gateway', ...(isLab ? ['observer'] : [])]);
  onProgress('shop and payment helper 商城与支付助手');
  await Promise.all([start(isLab ? ['shop', 'agent'] : []), untilEstablished(config)]);
  if (managerUrlOf(config) !== null && isLab) {
    closers.push(startManager(config, { onProgress, onRestart }));
  }
  return config;
}

/**
 * The manager of secure elements with its HSM, beside a system that is ready: no payment waits for
 * it. What hinders it is told, and hinders nothing else.
 */
function startManager(
  config: SystemConfig,
  told: {
    readonly onProgress: (text: string) => void;
    readonly onRestart: (name: string, why: string) => void;
  },
): Closer {
  const { dataDir } = config;
  const { onProgress, onRestart } = told;
  const started: RoleProcess[] = [];
  let isClosing = false;
  const start = async (name: string): Promise<void> => {
    if (isClosing) return;
    const role = await startRole({ name, args: [name], dataDir, onRestart });
    started.push(role);
    if (isClosing) role.expectEnd();
  };
  const run = async (): Promise<void> => {
    await start('hsm-tsm');
    if (isClosing) return;
    await prepareElementKeys(config);
    await start('tsm');
    onProgress(`manager of secure elements 可信服务管理 ${urlOf(config, 'tsm')}`);
  };
  const running = run().catch((fault: unknown) => {
    const { message } = errorBody(fault);
    if (!isClosing) onProgress(`no manager of secure elements 可信服务管理未启动: ${message}`);
  });
  return {
    expectEnd: () => {
      isClosing = true;
      for (const role of started) role.expectEnd();
    },
    close: async () => {
      isClosing = true;
      await running;
      for (const role of [...started].reverse()) await role.close();
    },
  };
}

/** The manager's own key ceremony; what is there already is kept. */
async function prepareElementKeys({ dataDir, ports }: SystemConfig): Promise<void> {
  const caller = 'ceremony';
  const tokenHex = readHsmTokens(dataDir, 'tsm')[caller] ?? '';
  const ceremony = await connectHsm({ port: ports.hsmTsm, tokenHex, caller });
  try {
    await runElementCeremony({ dataDir, ceremony });
  } finally {
    await ceremony.close();
  }
}

async function embeddedDatabase(dataDir: string, closers: Closer[]): Promise<string> {
  const database = await startEmbeddedPostgres({ dataDir });
  closers.push({ close: database.stop });
  return database.url;
}

/** Key ceremony and lab cards; what is there already is kept. */
async function prepareKeys(config: SystemConfig): Promise<void> {
  const { dataDir } = config;
  const connect = (party: HsmParty, caller: HsmCaller) =>
    connectHsm({
      port: config.ports[HSM_PORT[party]],
      tokenHex: readHsmTokens(dataDir, party)[caller] ?? '',
      caller,
    });
  const ceremonies = await Promise.all(PARTIES.map((party) => connect(party, 'ceremony')));
  const bureau = await connect('issuer', 'bureau');
  const hsmOf = (party: HsmParty): Hsm => {
    const hsm = ceremonies[PARTIES.indexOf(party)];
    if (!hsm) throw new TapError('ERR_INTERNAL', `no HSM of ${party}`);
    return hsm;
  };
  try {
    await runCeremony({ dataDir, connect: hsmOf });
    await personaliseCards({ dataDir, bureau, ceremony: hsmOf('issuer') });
  } finally {
    await Promise.all([...ceremonies, bureau].map((hsm) => hsm.close()));
  }
}

/** Waits for the gateway's line to the switch: from then on a payment can be taken. */
async function untilEstablished(config: SystemConfig): Promise<void> {
  const { dataDir } = config;
  const gateway = new GatewayClient({ url: urlOf(config, 'gatewayHttp'), dataDir });
  const deadlineMs = systemClock.nowMs() + ESTABLISH_TIMEOUT_MS;
  while (!(await gateway.isReady())) {
    if (systemClock.nowMs() > deadlineMs) {
      const text = `the line between gateway and switch is not established; see ${dataDir}/logs`;
      throw new TapError('ERR_SYSTEM_START', text);
    }
    await new Promise<void>((done) => {
      systemClock.startTimer(ESTABLISH_PAUSE_MS, done);
    });
  }
}
