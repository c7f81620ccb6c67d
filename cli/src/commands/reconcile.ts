/**
 * `tapnpay reconcile`: a day's ledger against the switch's file and the merchants' statements; and
 * the work items that a person looks at.
 */
import { join, resolve } from 'node:path';
import {
  type Difference,
  openGatewayDatabase,
  PostgresAuditLog,
  PostgresGatewayStore,
  type ReconciliationReport,
  ReconciliationStore,
  reconcile,
  settlementFolder,
} from '@tapnpay/online/gateway';
import { INSTITUTION_GATEWAY } from '@tapnpay/online/switch';
import { systemClock, systemRandom } from '@tapnpay/protocol/node';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';
import { bigintJson, COMMAND_ACTOR, dayArgument } from './office.ts';

const ITEMS_MAX = 1_000;
const NOTE_CHARACTERS_MAX = 500;
const USAGE = `usage: tapnpay reconcile DAY [--statement FILE]
       tapnpay reconcile items                  open work items, oldest first
       tapnpay reconcile close ITEM --note WHY  close one; a rerun does not open it again
       all: [--data DIR] [--json]
DAY is YYYYMMDD of Shanghai, closed at the switch (tapnpay switch close-day) and here (tapnpay
settle close). FILE is a merchant's own copy of its statement, instead of those of the close. Ends
with 1 when there are differences that nobody has accepted.`;

type Office = {
  readonly dataDir: string;
  readonly database: Awaited<ReturnType<typeof openGatewayDatabase>>;
};
type Outcome = {
  readonly data: unknown;
  readonly lines: readonly string[];
  readonly code: number;
};

export const reconcileCommand: Command = {
  summary: {
    en: 'compare a day with the switch and the merchants; work items',
    zh: '与交换中心及商户对账；工单',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    statement: { type: 'string' },
    note: { type: 'string' },
  },
  run: async (values, [verb = '', ...args]) => {
    const dataDir = resolve(textOption(values, 'data') ?? defaultDataDir);
    const work = actionOf(verb, args, values);
    const { databaseUrl } = readSystemConfig(dataDir);
    const database = await openGatewayDatabase({ databaseUrl, schema: 'gateway' });
    try {
      const { data, lines, code } = await work({ dataDir, database });
      process.stdout.write(`${values['json'] === true ? bigintJson(data) : lines.join('\n')}\n`);
      return code;
    } finally {
      await database.close();
    }
  },
};

/** @throws UsageError before anything is opened. */
function actionOf(
  verb: string,
  args: readonly string[],
  values: OptionValues,
): (office: Office) => Promise<Outcome> {
  if (verb === 'items') return listItems;
  if (verb !== 'close') {
    const settlementDate = dayArgument(verb);
    const statement = textOption(values, 'statement');
    return (office) => compare(office, settlementDate, statement);
  }
  const [itemId] = args;
  const note = textOption(values, 'note')?.trim() ?? '';
  if (itemId === undefined) throw new UsageError('close takes the id of a work item');
  if (note === '' || note.length > NOTE_CHARACTERS_MAX) {
    throw new UsageError(`--note takes 1 to ${NOTE_CHARACTERS_MAX} characters: say why`);
  }
  return (office) => closeItem(office, itemId, note);
}

async function compare(
  { dataDir, database }: Office,
  settlementDate: string,
  statement: string | undefined,
): Promise<Outcome> {
  const report = await reconcile(
    {
      store: new ReconciliationStore(database),
      audit: new PostgresAuditLog(database),
      clock: systemClock,
      random: systemRandom,
      acquirerId: INSTITUTION_GATEWAY,
      switchFolder: join(dataDir, 'switch', 'files'),
      statementFolder: settlementFolder(dataDir),
    },
    {
      settlementDate,
      actor: COMMAND_ACTOR,
      statements: statement === undefined ? undefined : [resolve(statement)],
    },
  );
  return { data: report, lines: reportLines(report), code: report.open.length === 0 ? 0 : 1 };
}

async function listItems({ database }: Office): Promise<Outcome> {
  const items = await new PostgresGatewayStore(database).listWorkItems(ITEMS_MAX);
  const lines = items.map(({ itemId, kind, subjectId, openedAtMs, facts }) =>
    [itemId, new Date(openedAtMs).toISOString(), kind, subjectId, JSON.stringify(facts)].join('  '),
  );
  const told = lines.length > 0 ? lines : ['no open work items 没有未结工单'];
  return { data: items, lines: told, code: 0 };
}

async function closeItem({ database }: Office, itemId: string, note: string): Promise<Outcome> {
  const atMs = systemClock.nowMs();
  const audit = new PostgresAuditLog(database);
  const entry = { atMs, actor: COMMAND_ACTOR, action: 'workItem.close', subject: itemId };
  await audit.append({ ...entry, facts: { asked: { note } } });
  const hand = { atMs, by: COMMAND_ACTOR, note };
  const closed = await new PostgresGatewayStore(database).closeWorkItemByHand(itemId, hand);
  await audit.append({ ...entry, facts: { closed: closed !== null } });
  if (!closed) throw new UsageError(`no open work item has the id ${itemId}`);
  return { data: closed, lines: [`${itemId} closed 已关闭: ${closed.subjectId}`], code: 0 };
}

function reportLines(report: ReconciliationReport): readonly string[] {
  const { settlementDate, counts, open, accepted, changes } = report;
  const sums = Object.entries(counts).map(([name, count]) => `  ${name.padEnd(18)}${count}`);
  const changed =
    `work items 工单: ${changes.opened.length} opened, ${changes.closed.length} closed, ` +
    `${accepted.length} accepted`;
  const head = open.length === 0 ? 'clean 账平' : `${open.length} DIFFERENCES 存在差异`;
  return [`${settlementDate} ${head}`, ...sums, ...open.map(differenceLine), changed];
}

function differenceLine({ source, class: of, key, facts }: Difference): string {
  return `${of} ${source} ${key} ${JSON.stringify(facts)}`;
}
