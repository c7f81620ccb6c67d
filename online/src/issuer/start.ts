/** The issuer's process: books, HSM, cards and the line to the switch around the core. */
import { errorBody } from '@tapnpay/protocol/bytes';
import { z } from 'zod';
import {
  booksAnswer,
  type CommonConfig,
  commonConfigShape,
  connectHsm,
  connectTcp,
  inSpan,
  MemberLine,
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
  traceIdOf,
  withTrace,
} from '../runtime/index.ts';
import { CardFile } from './cards.ts';
import type { IssuerCore } from './core.ts';
import { type IssuerFaults, openDropReply } from './lab-faults.ts';
import { openKeyedDigest } from './lookup-key.ts';
import { ISSUER_LIMITS, type IssuerLimits, type IssuerPorts } from './ports.ts';
import { openIssuerStore } from './store-postgres.ts';
import { TokenVerifier } from './token.ts';
import { TOKEN_PROFILE } from './token-profile.ts';
import { openTokenKey, serveTokens } from './token-server.ts';
import { issuerCore } from './tracing.ts';

/** Institution numbers of an installation that asks for no others. */
export const ISSUER_INSTITUTION = '62990000001';
const SWITCH_INSTITUTION = '00010000000';
/** How often holds are looked at, and how many of them at once. */
const HOLD_CHECK_MS = 60_000;
const HOLDS_AT_ONCE = 1_000;
/** How long a start waits for the line before it counts as started without one. */
const LINE_WAIT_MS = 5_000;

/** What the issuer is told at its start. */
export type IssuerConfig = CommonConfig & {
  /** The switch's listener on 127.0.0.1. */
  readonly switchPort: number;
  /** Where tokens are verified, on loopback; absent: nowhere. */
  readonly tokenPort?: number | undefined;
  readonly institution?: string | undefined;
  readonly switchInstitution?: string | undefined;
  /** Limits of cards that have none of their own; amounts in minor units. */
  readonly limits?: { readonly [Name in keyof IssuerLimits]?: string | undefined } | undefined;
  /** Present in lab mode only. */
  readonly lab?: { readonly faults?: IssuerFaults | undefined } | undefined;
};

const institutionSchema = z.string().regex(/^[0-9]{11}$/);
const limitSchema = z
  .string()
  .regex(/^(?:0|[1-9][0-9]{0,8})$/)
  .optional();
const issuerConfigSchema: z.ZodType<IssuerConfig> = z.object({
  ...commonConfigShape,
  switchPort: portSchema,
  tokenPort: portSchema.optional(),
  institution: institutionSchema.optional(),
  switchInstitution: institutionSchema.optional(),
  limits: z
    .object({
      singleAmountMinor: limitSchema,
      dayAmountMinor: limitSchema,
      dayCount: limitSchema,
      noPinMinor: limitSchema,
      noPinDayMinor: limitSchema,
      electronicCashMinor: limitSchema,
    })
    .optional(),
  lab: z
    .object({
      faults: z
        .object({ dropReply: z.union([z.boolean(), z.number().int().min(0)]).optional() })
        .optional(),
    })
    .optional(),
});

/** A running issuer. */
export type RunningIssuer = {
  readonly close: () => Promise<void>;
  /** Whether the line is up at this moment. */
  readonly isLineUp: () => boolean;
};

/**
 * Starts the issuer; resolves when the line to the switch is established, or after some seconds
 * without one (it keeps trying). @throws TapError for configuration, database, HSM, key or card
 * file faults.
 */
export async function startIssuer(input: IssuerConfig): Promise<RunningIssuer> {
  const config = parseConfig(issuerConfigSchema, input);
  const { dataDir } = config;
  const { log, metrics } = observedLog({
    party: 'issuer',
    logFile: config.logFile,
    isBuffered: !config.lab,
  });
  const partyKeys = readPartyKeys(dataDir, 'issuer').keys;
  const hsm = await connectHsm({ ...config.hsm, caller: 'issuer' });
  const closers: (() => Promise<void>)[] = [() => hsm.close()];
  try {
    const { databaseUrl, schema } = config;
    const opened = await openIssuerStore({ databaseUrl, schema, log: log.warn });
    closers.push(() => opened.close());
    const lab = config.lab !== undefined;
    const store = openCrashPoints({ dataDir, party: 'issuer', lab })('store', opened);
    const keyedDigest = openKeyedDigest(dataDir, systemRandom);
    const system = { clock: systemClock, random: systemRandom, keyedDigest };
    const refreshCards = cardRefresher(new CardFile(dataDir, system), store, log);
    await refreshCards();
    const tracer = config.lab
      ? new Tracer({ party: 'issuer', clock: systemClock, log: log.info })
      : undefined;
    const ports: IssuerPorts = {
      ...system,
      store,
      hsm,
      keys: {
        imkAc: partyKeys.imkAc.keyBlock,
        imkAcSm4: partyKeys.imkAcSm4.keyBlock,
        imkMac: partyKeys.imkMac.keyBlock,
        imkMacSm4: partyKeys.imkMacSm4.keyBlock,
        imkEnc: partyKeys.imkEnc.keyBlock,
        imkEncSm4: partyKeys.imkEncSm4.keyBlock,
        pvk: partyKeys.pvk.keyBlock,
      },
      limits: limitsOf(config),
      refreshCards: () => refreshCards().catch(cardFileFault(log)),
      isReplyDropped: openDropReply(dataDir, config.lab && (config.lab.faults ?? {})),
      log: log.info,
    };
    closers.push(keepHoldsCurrent(store, log));
    const core = issuerCore(ports, tracer);
    closers.push(await tokenDoor(config, ports, log));
    const line = openLine({ config, core, hsm, zoneKey: partyKeys.zmk.keyBlock, log });
    closers.push(() => line.close());
    await lineUpOrWaited(line);
    probeLines(metrics, () => [['switch', line.stats()]]);
    probeQueues(metrics, config, {
      workItems: 'work_items WHERE closed_at_ms IS NULL',
      holds: "holds WHERE state = 'held'",
    });
    const checks = {
      database: () => booksAnswer(config),
      switchLine: () => line.state === 'established',
    };
    closers.push(await serveOps(config.opsPort, { metrics, checks }));
    return {
      isLineUp: () => line.state === 'established',
      close: () => closeAll(closers),
    };
  } catch (thrown) {
    await closeAll(closers);
    throw thrown;
  }
}

/** Verification of dynamic tokens, if this issuer offers it. */
async function tokenDoor(
  { tokenPort: port, dataDir }: IssuerConfig,
  ports: IssuerPorts,
  log: PartyLog,
): Promise<() => Promise<void>> {
  if (port === undefined) return async () => undefined;
  const verifier = new TokenVerifier(ports, TOKEN_PROFILE);
  const key = openTokenKey(dataDir, systemRandom);
  return (await serveTokens({ port, key, verifier, log: log.info })).close;
}

function limitsOf({ limits = {} }: IssuerConfig): IssuerLimits {
  const amount = (name: Exclude<keyof IssuerLimits, 'dayCount'>): bigint =>
    BigInt(limits[name] ?? ISSUER_LIMITS[name]);
  return {
    singleAmountMinor: amount('singleAmountMinor'),
    dayAmountMinor: amount('dayAmountMinor'),
    dayCount: Number(limits.dayCount ?? ISSUER_LIMITS.dayCount),
    noPinMinor: amount('noPinMinor'),
    noPinDayMinor: amount('noPinDayMinor'),
    electronicCashMinor: amount('electronicCashMinor'),
  };
}

/** Frees holds whose time is over, again and again; a failure is told and tried again. */
function keepHoldsCurrent(store: IssuerPorts['store'], log: PartyLog): () => Promise<void> {
  let cancel: () => void = () => undefined;
  let running: Promise<void> = Promise.resolve();
  const run = async (): Promise<void> => {
    try {
      const expired = await store.expireHolds(systemClock.nowMs(), HOLDS_AT_ONCE);
      if (expired > 0) log.info({ event: 'holdsExpired', expired });
    } catch (thrown) {
      log.error({ event: 'holdExpiryFailed', ...errorBody(thrown) });
    }
  };
  const again = (): void => {
    cancel = systemClock.startTimer(HOLD_CHECK_MS, () => {
      running = run().then(again);
    });
  };
  again();
  return async () => {
    cancel();
    await running;
    cancel();
  };
}

function openLine(parts: {
  readonly config: IssuerConfig;
  readonly core: IssuerCore;
  readonly hsm: IssuerPorts['hsm'];
  readonly zoneKey: string;
  readonly log: PartyLog;
}): MemberLine {
  const { config, core, hsm, zoneKey, log } = parts;
  const line: MemberLine = new MemberLine({
    localId: config.institution ?? ISSUER_INSTITUTION,
    remoteId: config.switchInstitution ?? SWITCH_INSTITUTION,
    zoneKey,
    hsm,
    clock: systemClock,
    random: systemRandom,
    log: log.info,
    connect: () => connectTcp({ port: config.switchPort }),
    onRequest: async (message) => {
      const keys = await line.keysOf(message);
      if (!keys) return null;
      return withTrace(traceIdOf(message), () =>
        inSpan('issuer', { mti: message.mti }, () => core.handle(message, keys)),
      );
    },
    onState: (state) => log.info({ event: 'lineState', state }),
  });
  line.start();
  return line;
}

async function lineUpOrWaited(line: MemberLine): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = systemClock.startTimer(LINE_WAIT_MS, resolve);
    void line.established().then(() => {
      cancel();
      resolve();
    });
  });
}

function cardRefresher(
  file: CardFile,
  store: IssuerPorts['store'],
  log: PartyLog,
): () => Promise<boolean> {
  let underWay: Promise<boolean> | null = null;
  const refresh = async (): Promise<boolean> => {
    const cards = file.readIfChanged();
    if (!cards) return false;
    const imported = await store.importCards(cards, systemClock.nowMs());
    log.info({ event: 'cardsImported', inFile: cards.length, imported });
    return imported > 0;
  };
  // Who asks meanwhile waits for the same cards.
  return () => {
    underWay ??= refresh().finally(() => {
      underWay = null;
    });
    return underWay;
  };
}

/** A card file that broke while the issuer runs changes nothing for the cards it knows. */
function cardFileFault(log: PartyLog): (thrown: unknown) => boolean {
  return (thrown) => {
    log.error({ event: 'cardFileRefused', ...errorBody(thrown) });
    return false;
  };
}

/** The line first, then the books, then the HSM; each once. */
async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  for (let close = closers.pop(); close; close = closers.pop()) await close();
}
