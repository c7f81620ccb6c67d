/** `tapnpay settle`: closes merchants' days, shows what was settled, sets fee plans. */
import { resolve } from 'node:path';
import {
  type ClosedDay,
  closeSettlementDay,
  type FeePlan,
  openGatewayDatabase,
  PostgresAuditLog,
  type SettlementBatch,
  SettlementStore,
  settlementFolder,
} from '@tapnpay/online/gateway';
import { systemClock } from '@tapnpay/protocol/node';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';
import { bigintJson, COMMAND_ACTOR, dayArgument } from './office.ts';

const USAGE = `usage: tapnpay settle close DAY      close a day that is over, or prove a closed one
       tapnpay settle list DAY       batches of a closed day
       tapnpay settle plan MERCHANT [--basis-points N] [--fixed N] [--refund-keeps-fee]
       all: [--data DIR] [--json]
DAY is YYYYMMDD of Shanghai; it ends at 23:00. A running gateway closes days by itself, ten minutes
later. Without options plan shows the plan; --basis-points are hundredths of a percent, --fixed
minor units. A plan holds for days that are closed from then on.`;

type Office = {
  readonly store: SettlementStore;
  readonly audit: PostgresAuditLog;
  readonly folder: string;
};
type Outcome = { readonly data: unknown; readonly lines: readonly string[] };
type Action = (office: Office, args: readonly string[], values: OptionValues) => Promise<Outcome>;

const ACTIONS: Readonly<Record<string, Action>> = {
  close: async ({ store, audit, folder }, [day]) => {
    const settlementDate = dayArgument(day);
    const entry = { actor: COMMAND_ACTOR, action: 'settlement.close', subject: settlementDate };
    await audit.append({ ...entry, atMs: systemClock.nowMs(), facts: {} });
    const closed = await closeSettlementDay({ store, clock: systemClock, folder }, settlementDate);
    return { data: closed, lines: closedLines(closed) };
  },
  list: async ({ store }, [day]) => {
    const batches = await store.batchesOfDay(dayArgument(day));
    return { data: { batches }, lines: batches.map(batchLine) };
  },
  plan: async ({ store, audit }, [merchantId], values) => {
    if (merchantId === undefined || !/^[0-9A-Za-z]{15}$/.test(merchantId)) {
      throw new UsageError('MERCHANT has 15 characters');
    }
    const was = await store.feePlan(merchantId);
    const plan = planOf(was, values);
    if (plan === was) return { data: plan, lines: [planLine(plan)] };
    const facts = { ...plan, fixedMinor: String(plan.fixedMinor) };
    const entry = { actor: COMMAND_ACTOR, action: 'feePlan.set', subject: merchantId };
    await audit.append({ ...entry, atMs: systemClock.nowMs(), facts });
    await store.setFeePlan(merchantId, plan);
    return { data: plan, lines: [planLine(plan)] };
  },
};

export const settle: Command = {
  summary: {
    en: "merchants' settlement days: close, list, fee plans",
    zh: '商户清算日：关闭、查看、手续费方案',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    'basis-points': { type: 'string' },
    fixed: { type: 'string' },
    'refund-keeps-fee': { type: 'boolean' },
  },
  run: async (values, [name = '', ...args]) => {
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`settle takes ${Object.keys(ACTIONS).join(', ')}`);
    const dataDir = resolve(textOption(values, 'data') ?? defaultDataDir);
    const { databaseUrl } = readSystemConfig(dataDir);
    const database = await openGatewayDatabase({ databaseUrl, schema: 'gateway' });
    try {
      const folder = settlementFolder(dataDir);
      const books = { store: new SettlementStore(database), audit: new PostgresAuditLog(database) };
      const { data, lines } = await action({ ...books, folder }, args, values);
      process.stdout.write(`${values['json'] === true ? bigintJson(data) : lines.join('\n')}\n`);
      return 0;
    } finally {
      await database.close();
    }
  },
};

/** `was` itself when nothing was asked for. @throws UsageError. */
function planOf(was: FeePlan, values: OptionValues): FeePlan {
  const basisPoints = numberOption(values, 'basis-points', 10_000);
  const fixed = numberOption(values, 'fixed', 999_999_999_999);
  const keeps = values['refund-keeps-fee'] === true;
  if (basisPoints === undefined && fixed === undefined && !keeps) return was;
  return {
    ...was,
    basisPoints: basisPoints ?? was.basisPoints,
    fixedMinor: fixed === undefined ? was.fixedMinor : BigInt(fixed),
    refundReturnsFee: !keeps,
  };
}

function numberOption(values: OptionValues, name: string, max: number): number | undefined {
  const text = textOption(values, name);
  if (text === undefined) return undefined;
  if (/^[0-9]{1,12}$/.test(text) && Number(text) <= max) return Number(text);
  throw new UsageError(`--${name} takes a number from 0 to ${max}`);
}

function planLine({ basisPoints, fixedMinor, refundReturnsFee, shares }: FeePlan): string {
  const refund = refundReturnsFee ? 'a refund gives its part back' : 'a refund keeps the fee';
  const parts = shares.map(([who, weight]) => `${who} ${weight}`).join(', ');
  return `${basisPoints} basis points and ${fixedMinor}; ${refund}; shared ${parts}`;
}

function closedLines({ settlementDate, batches, statements }: ClosedDay): readonly string[] {
  return [
    `${settlementDate} closed 已关闭: ${batches.length} batches`,
    ...batches.map(batchLine),
    ...statements.map(({ path, records, sha256 }) => {
      return `${path}\n  ${records} records, SHA-256 ${sha256}`;
    }),
  ];
}

function batchLine(batch: SettlementBatch): string {
  const { merchantId, mode, currency, saleCount, saleMinor, returnCount, returnMinor } = batch;
  return [
    ...[merchantId, mode, currency, `${saleCount} sales ${saleMinor}`],
    ...[`${returnCount} returns ${returnMinor}`, `fees ${batch.feeMinor}`],
    ...[`brought ${batch.broughtMinor}`, `paid out ${batch.paidOutMinor}`],
    `carried ${batch.carriedMinor} (minor units)`,
  ].join('  ');
}
