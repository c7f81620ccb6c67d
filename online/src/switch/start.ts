/** The switch's process: books, HSM, vault and the members' listener around the core. */
import { join } from 'node:path';
import { errorBody } from '@tapnpay/protocol/bytes';
import { Iso8583Error, type Iso8583Message } from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import {
  booksAnswer,
  connectHsm,
  HostLines,
  inSpan,
  isSurelyUnsent,
  listenTcp,
  observedLog,
  openCrashPoints,
  type PartyLog,
  parseConfig,
  probeLines,
  probeQueues,
  readPartyKeys,
  serveOps,
  systemClock,
  systemRandom,
  Tracer,
  traceIdOf,
  withTrace,
} from '../runtime/index.ts';
import { createVault, readOrMakeVaultKey } from '../runtime/vault.ts';
import { type SwitchConfig, switchConfigSchema } from './config.ts';
import type { SwitchCore } from './core.ts';
import { type DayFolderPorts, writeMissingDayFiles } from './day-folder.ts';
import {
  INSTITUTION_GATEWAY,
  INSTITUTION_ISSUER,
  INSTITUTION_SWITCH,
  type MemberLines,
  SWITCH_DEFAULTS,
  type SwitchPorts,
  type SwitchProfile,
} from './ports.ts';
import { openRouteFile, type RouteFile, routesPath } from './route-file.ts';
import type { Route } from './routing.ts';
import type { SwitchStore } from './store.ts';
import { openSwitchStore } from './store-postgres.ts';
import { Ticker } from './ticker.ts';
import { switchCore } from './tracing.ts';

/** A running switch. */
export type RunningSwitch = {
  readonly close: () => Promise<void>;
  /** For the ready line. */
  readonly facts: { readonly port: number };
  /** New working keys for a member; the old ones hold for a while. Faults as of `HostLines`. */
  readonly changeKeys: (institutionId: string) => Promise<void>;
};

/**
 * Starts the switch: resolves when its members can connect and everything that a former process
 * left open has its reversal. @throws TapError for configuration, database, HSM or key file faults.
 */
export async function startSwitch(input: SwitchConfig): Promise<RunningSwitch> {
  const config = parseConfig(switchConfigSchema, input);
  const { log, metrics } = observedLog({
    party: 'switch',
    logFile: config.logFile,
    isBuffered: !config.lab,
  });
  const partyKeys = readPartyKeys(config.dataDir, 'switch').keys;
  const zoneKeys = new Map([
    [config.gatewayInstitution ?? INSTITUTION_GATEWAY, partyKeys.zmkGateway.keyBlock],
    [config.issuerInstitution ?? INSTITUTION_ISSUER, partyKeys.zmkIssuer.keyBlock],
    ...(config.members ?? []).map((member) => [member.institution, member.zoneKey] as const),
  ]);
  const routes = openRouteFile({
    path: routesPath(config.dataDir),
    initial: initialRoutes(config),
    log: log.info,
  });
  const closers: (() => Promise<void>)[] = [async () => routes.close()];
  try {
    const hsm = await connectHsm({ ...config.hsm, caller: 'switch' });
    closers.push(() => hsm.close());
    const { databaseUrl, schema } = config;
    const opened = await openSwitchStore({ databaseUrl, schema, log: log.warn });
    closers.push(() => opened.close());
    const crashing = openCrashPoints({ dataDir: config.dataDir, party: 'switch', lab: config.lab });
    const store = crashing('store', opened);
    const { core, ticker, lines } = assemble({ config, log, hsm, store, zoneKeys, routes });
    const recovered = await core.recover();
    log.info({ event: 'recovered', transactions: recovered });
    await writeMissingDayFiles(dayFolder(config, store));
    closers.push(() => ticker.stop());
    const onTransport = lines.accept.bind(lines);
    const listener = await listenTcp({ port: config.port, onTransport });
    closers.push(async () => {
      await lines.close();
      await listener.close();
    });
    ticker.start();
    const institutions = [...zoneKeys.keys()];
    probeLines(metrics, () => institutions.map((id) => [id, lines.stats(id)] as const));
    probeQueues(metrics, config, {
      advices: "advices WHERE state = 'open'",
      stuckAdvices: "advices WHERE state = 'stuck'",
      unanswered: "transactions WHERE state = 'sent'",
    });
    const checks = {
      database: () => booksAnswer(config),
      lines: () => institutions.some((id) => lines.keys(id) !== null),
    };
    closers.push(await serveOps(config.opsPort, { metrics, checks }));
    return {
      close: () => closeAll(closers),
      facts: { port: listener.port },
      changeKeys: (institutionId) => lines.changeKeys(institutionId),
    };
  } catch (thrown) {
    await closeAll(closers);
    throw thrown;
  }
}

function assemble(parts: {
  readonly config: SwitchConfig;
  readonly log: PartyLog;
  readonly hsm: Hsm;
  readonly store: SwitchStore;
  readonly zoneKeys: ReadonlyMap<string, KeyBlock>;
  readonly routes: RouteFile;
}): { readonly core: SwitchCore; readonly ticker: Ticker; readonly lines: HostLines } {
  const { config, log, hsm, store, zoneKeys, routes } = parts;
  const system = { clock: systemClock, random: systemRandom, hsm, log: log.info };
  const ticker = new Ticker({
    clock: systemClock,
    work: async () => {
      const { closed } = await core.tick();
      if (closed.length === 0) return;
      await writeMissingDayFiles(dayFolder(config, store));
      // Working keys live for one settlement day.
      for (const memberId of zoneKeys.keys()) {
        if (lines.keys(memberId)) await lines.changeKeys(memberId);
      }
    },
    onFault: (fault) => log.error({ event: 'tickFailed', ...errorBody(fault) }),
  });
  const lines: HostLines = new HostLines({
    ...system,
    localId: config.institution ?? INSTITUTION_SWITCH,
    zoneKeys,
    onRequest: (memberId, message) =>
      withTrace(traceIdOf(message), () =>
        inSpan('switch', { mti: message.mti }, () => core.handle(memberId, message)),
      ),
    onLateReply: (memberId, message) => {
      core.lateReply(memberId, message).catch((fault: unknown) => {
        log.error({ event: 'lateReplyFailed', ...errorBody(fault) });
      });
    },
    // What waits for a member's line is due now.
    onEstablished: () => ticker.wake(),
  });
  const vaultKey = readOrMakeVaultKey(join(config.dataDir, 'switch', 'vault.key'), systemRandom);
  const tracer = config.lab
    ? new Tracer({ party: 'switch', clock: systemClock, log: log.info })
    : undefined;
  const ports: SwitchPorts = {
    ...system,
    store,
    lines: openCrashPoints({ dataDir: config.dataDir, party: 'switch', lab: config.lab })(
      'lines',
      memberLines(lines),
    ),
    vault: createVault(vaultKey, systemRandom),
    profile: profileOf(config, routes),
    // The log of the hop is enough in a process of its own.
    onHop: () => undefined,
    wake: () => ticker.wake(),
  };
  const core: SwitchCore = switchCore(ports, tracer);
  return { core, ticker, lines };
}

function profileOf(config: SwitchConfig, routes: RouteFile): SwitchProfile {
  const others = (config.members ?? []).filter(({ isAcquirer }) => isAcquirer);
  return {
    ...SWITCH_DEFAULTS,
    institutionId: config.institution ?? INSTITUTION_SWITCH,
    acquirerIds: [
      config.gatewayInstitution ?? INSTITUTION_GATEWAY,
      ...others.map(({ institution }) => institution),
    ],
    // The table of this instant: the file may change.
    get routes() {
      return routes.current();
    },
    issuerTimeoutMs: config.issuerTimeoutMs ?? SWITCH_DEFAULTS.issuerTimeoutMs,
    advicePausesMs: config.advicePausesMs ?? SWITCH_DEFAULTS.advicePausesMs,
    adviceDaysMax: config.adviceDaysMax ?? SWITCH_DEFAULTS.adviceDaysMax,
  };
}

/** The table of a system that has none yet. */
function initialRoutes(config: SwitchConfig): readonly Route[] {
  const institutionId = config.issuerInstitution ?? INSTITUTION_ISSUER;
  const prefixes = config.cardPrefixes ?? SWITCH_DEFAULTS.routes.map(({ prefix }) => prefix);
  return prefixes.map((prefix) => ({ prefix, institutionId }));
}

function dayFolder(config: SwitchConfig, store: SwitchStore): DayFolderPorts {
  const switchId = config.institution ?? INSTITUTION_SWITCH;
  return { store, folder: join(config.dataDir, 'switch', 'files'), switchId };
}

/** The lines as the core sees them: only a line lost after sending leaves the end open. */
export function memberLines(
  lines: Pick<HostLines, 'keys' | 'previousKeys' | 'acceptedKeys' | 'request'>,
): MemberLines {
  return {
    keys: (institutionId) => lines.keys(institutionId),
    previousKeys: (institutionId) => lines.previousKeys(institutionId),
    acceptedKeys: (institutionId) => lines.acceptedKeys(institutionId),
    async send(
      institutionId: string,
      message: Iso8583Message,
      timeoutMs: number,
    ): Promise<Iso8583Message | 'timeout' | 'down'> {
      try {
        return await lines.request(institutionId, message, { timeoutMs });
      } catch (fault) {
        if (isSurelyUnsent(fault) || fault instanceof Iso8583Error) return 'down';
        throw fault;
      }
    },
  };
}

/** Members first, then work under way, then the books, then the HSM. */
async function closeAll(closers: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of [...closers].reverse()) await close();
}
