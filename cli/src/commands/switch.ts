/**
 * `tapnpay switch`: the switch's BIN table, its settlement days and their files, and the messages
 * that wait for a person. It works on the table, the books and the files of the system's folder; a
 * running switch reads a changed table by itself.
 */
import { join } from 'node:path';
import {
  closeDay,
  isSettlementDate,
  listDayFiles,
  openDays,
  openSwitchStore,
  type Route,
  readRoutes,
  routesPath,
  SWITCH_DEFAULTS,
  type SwitchStore,
  settlementDateOf,
  TotalsTable,
  writeDayFiles,
  writeRoutes,
} from '@tapnpay/online/switch';
import { TapError } from '@tapnpay/protocol/bytes';
import { systemClock, systemRandom } from '@tapnpay/protocol/node';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig, type SystemConfig } from '../system/layout.ts';

/** What is listed at once. */
const LIST_MAX = 1_000;
const PAGE = 1_000;

/** What an action found or did, as data and as lines for people. */
type Outcome = { readonly data: object; readonly lines: readonly string[] };
type Action = {
  /** Arguments after the action's name: at least and at most. */
  readonly arguments: readonly [number, number];
  readonly run: (system: SystemConfig, args: readonly string[]) => Outcome | Promise<Outcome>;
};

const ACTIONS: Readonly<Record<string, Action>> = {
  'routes list': { arguments: [0, 0], run: listRoutes },
  'routes add': { arguments: [2, 2], run: addRoute },
  'routes remove': { arguments: [1, 1], run: removeRoute },
  'close-day': { arguments: [0, 1], run: (system, args) => withStore(system, closeDays, args) },
  files: { arguments: [0, 1], run: (system, args) => withStore(system, showFiles, args) },
  totals: { arguments: [1, 1], run: (system, args) => withStore(system, showTotals, args) },
  stuck: { arguments: [0, 0], run: (system, args) => withStore(system, showStuck, args) },
  retry: { arguments: [1, 1], run: (system, args) => withStore(system, retryStuck, args) },
};

export const switchCommand: Command = {
  summary: {
    en: 'the switch: BIN table, settlement days and files, messages that wait for a person',
    zh: '转接中心：卡 BIN 路由表、清算日与清算文件、待人工处理的报文',
  },
  usage: `usage: tapnpay switch routes [list | add PREFIX INSTITUTION | remove PREFIX]
       tapnpay switch close-day [DATE]   close a settlement day that is over, or all of them
       tapnpay switch files [DATE]       the files of closed days, each read back and proved
       tapnpay switch totals DATE        sums by acquirer, issuer, currency and kind
       tapnpay switch stuck              messages that the switch does not send any more
       tapnpay switch retry ID           send one of them again, as one of today
       all: [--data DIR] [--json]
DATE is YYYYMMDD of Shanghai; it turns at 23:00. PREFIX is 1 to 12 digits, the longest one wins.`,
  options: { data: { type: 'string' } },
  run: async (values, positionals) => {
    const { action, args } = actionOf(positionals);
    const dataDir = textOption(values, 'data') ?? defaultDataDir;
    print(await action.run(readSystemConfig(dataDir), args), values);
    return 0;
  },
};

/** @throws UsageError. */
function actionOf(positionals: readonly string[]): { action: Action; args: readonly string[] } {
  const [first = '', second] = positionals;
  const isRoutes = first === 'routes';
  const name = isRoutes ? `routes ${second ?? 'list'}` : first;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (!action) {
    throw new UsageError(`switch takes ${Object.keys(ACTIONS).join(', ')}, not "${name}"`);
  }
  const args = positionals.slice(isRoutes ? 2 : 1);
  const [least, most] = action.arguments;
  if (args.length >= least && args.length <= most) return { action, args };
  const wanted = least === most ? String(least) : `${least} to ${most}`;
  throw new UsageError(`switch ${name} takes ${wanted} argument(s); see tapnpay switch --help`);
}

function print({ data, lines }: Outcome, values: OptionValues): void {
  const text = values['json']
    ? JSON.stringify(data, (_key, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      )
    : lines.join('\n');
  if (text !== '') process.stdout.write(`${text}\n`);
}

function listRoutes(system: SystemConfig): Outcome {
  return shownRoutes(readRoutes(routesPath(system.dataDir)));
}

function addRoute(system: SystemConfig, args: readonly string[]): Outcome {
  const [prefix = '', institutionId = ''] = args;
  const path = routesPath(system.dataDir);
  const others = readRoutes(path).filter((route) => route.prefix !== prefix);
  writeRoutes(path, [...others, { prefix, institutionId }]);
  return shownRoutes(readRoutes(path));
}

function removeRoute(system: SystemConfig, args: readonly string[]): Outcome {
  const [prefix] = args;
  const path = routesPath(system.dataDir);
  const routes = readRoutes(path);
  const left = routes.filter((route) => route.prefix !== prefix);
  if (left.length === routes.length) throw new UsageError(`no route has the prefix ${prefix}`);
  writeRoutes(path, left);
  return shownRoutes(left);
}

function shownRoutes(routes: readonly Route[]): Outcome {
  const lines = routes.map(({ prefix, institutionId }) => `${prefix.padEnd(14)}${institutionId}`);
  return { data: { routes }, lines };
}

type StoreAction = (
  system: SystemConfig,
  store: SwitchStore,
  args: readonly string[],
) => Promise<Outcome>;

async function withStore(
  system: SystemConfig,
  action: StoreAction,
  args: readonly string[],
): Promise<Outcome> {
  const store = await openSwitchStore({ databaseUrl: system.databaseUrl, schema: 'switch' });
  try {
    return await action(system, store, args);
  } finally {
    await store.close();
  }
}

function filesOf(system: SystemConfig, store: SwitchStore) {
  const folder = join(system.dataDir, 'switch', 'files');
  return { store, folder, switchId: SWITCH_DEFAULTS.institutionId };
}

/** Closes what is over; a day with transactions under way says so and fails. */
async function closeDays(
  system: SystemConfig,
  store: SwitchStore,
  args: readonly string[],
): Promise<Outcome> {
  const routes = readRoutes(routesPath(system.dataDir));
  const profile = { ...SWITCH_DEFAULTS, routes };
  const ports = { store, profile, clock: systemClock, random: systemRandom };
  const [date] = args.map(dateArgument);
  const dates = date === undefined ? await openDays(ports) : [date];
  const closed: string[] = [];
  for (const settlementDate of dates) {
    const outcome = await closeDay(ports, settlementDate);
    if (outcome === 'open') {
      const text = `settlement date ${settlementDate} has transactions without an end; try again`;
      throw new TapError('ERR_SWITCH_DAY', text, { settlementDate });
    }
    if (outcome === 'closed') closed.push(settlementDate);
    await writeDayFiles(filesOf(system, store), settlementDate);
  }
  const lines = closed.length > 0 ? closed.map((day) => `closed ${day}`) : ['no day to close'];
  return { data: { closed }, lines };
}

/** The files as they are; those of a closed day are written when they are missing. */
async function showFiles(
  system: SystemConfig,
  store: SwitchStore,
  args: readonly string[],
): Promise<Outcome> {
  const ports = filesOf(system, store);
  const [date] = args.map(dateArgument);
  if (date !== undefined) await writeDayFiles(ports, date);
  const days = await store.days(LIST_MAX);
  const dates = date === undefined ? days.map(({ settlementDate }) => settlementDate) : [date];
  const files = dates.flatMap((settlementDate) => listDayFiles(ports.folder, settlementDate));
  const lines = files.flatMap((file) => [
    file.path,
    `  ${file.records} records, SHA-256 ${file.sha256}`,
    ...file.sums.map(
      (sum) =>
        `  ${sum.currency}: ${sum.debitCount} debits ${sum.debitMinor}, ` +
        `${sum.creditCount} credits ${sum.creditMinor} (minor units)`,
    ),
  ]);
  return { data: { days, files }, lines };
}

async function showTotals(
  _system: SystemConfig,
  store: SwitchStore,
  args: readonly string[],
): Promise<Outcome> {
  const settlementDate = dateArgument(args[0] ?? '');
  const table = new TotalsTable();
  for (let after = null; ; ) {
    const page: Awaited<ReturnType<SwitchStore['listBookings']>> = await store.listBookings({
      ...{ settlementDate, after, limit: PAGE },
    });
    for (const booking of page) table.add(booking);
    const last = page.at(-1);
    if (page.length < PAGE || !last) break;
    after = { transactionId: last.of.transactionId, leg: last.leg };
  }
  const totals = table.rows();
  const lines = totals.map((row) =>
    [
      ...[row.acquirer, row.issuer.padEnd(11), row.currency, row.kind.padEnd(22)],
      ...[`debits ${row.debitCount} ${row.debitMinor}`, `credits ${row.creditCount}`],
      ...[row.creditMinor, `others ${row.otherCount} ${row.otherMinor}`],
      `refused ${row.refusedCount}`,
    ].join(' '),
  );
  return { data: { settlementDate, totals }, lines };
}

async function showStuck(_system: SystemConfig, store: SwitchStore): Promise<Outcome> {
  const stuck = await store.stuckAdvices(LIST_MAX);
  const lines = stuck.map(
    (row) =>
      `${row.adviceId}  ${row.kind.padEnd(8)} to ${row.destination}  trace ${row.stan}  ` +
      `day ${row.settlementDate}  tries ${row.attempts}  last answer ${row.responseCode ?? 'none'}`,
  );
  return { data: { stuck }, lines: lines.length > 0 ? lines : ['nothing is stuck'] };
}

async function retryStuck(
  _system: SystemConfig,
  store: SwitchStore,
  args: readonly string[],
): Promise<Outcome> {
  const [adviceId = ''] = args;
  const nowMs = systemClock.nowMs();
  const settlementDate = settlementDateOf(nowMs, SWITCH_DEFAULTS.cutOffMinute);
  const advice = await store.retryAdvice({ adviceId, settlementDate, nowMs });
  if (!advice) throw new UsageError(`no stuck message has the id ${adviceId}`);
  return { data: { advice }, lines: [`${adviceId} is sent again`] };
}

function dateArgument(text: string): string {
  if (isSettlementDate(text)) return text;
  throw new UsageError(`a settlement date is YYYYMMDD, not ${text}`);
}
