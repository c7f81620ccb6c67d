/** `tapnpay ledger`: the gateway's book, read past the gateway: checked, shown, summed anew. */
import { resolve } from 'node:path';
import {
  type LedgerBalance,
  LedgerProjection,
  type LedgerReport,
  openGatewayDatabase,
} from '@tapnpay/online/gateway';
import { type Command, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';
import { bigintJson } from './office.ts';

const USAGE = `usage: tapnpay ledger verify     transactions sum to 0, balances are their entries'
       tapnpay ledger balances   accounts as they stand, in minor units
       tapnpay ledger rebuild    make the balances anew from the entries
       all: [--data DIR] [--json]
verify ends with 1 when it finds something. Rebuild after a dump was restored into a new cluster.`;

export const ledger: Command = {
  summary: {
    en: "the gateway's book: verify it, show its balances",
    zh: '网关账簿：核验，查看余额',
  },
  usage: USAGE,
  options: { data: { type: 'string' } },
  run: async (values, [verb = 'verify']) => {
    const { databaseUrl } = readSystemConfig(resolve(textOption(values, 'data') ?? defaultDataDir));
    if (!['verify', 'balances', 'rebuild'].includes(verb)) {
      throw new UsageError('ledger takes verify, balances or rebuild');
    }
    const database = await openGatewayDatabase({ databaseUrl, schema: 'gateway' });
    try {
      const projection = new LedgerProjection(database);
      if (verb === 'rebuild') await projection.rebuild();
      const isJson = values['json'] === true;
      if (verb === 'balances') {
        const balances = await projection.balances();
        const text = balances.map(balanceLine).join('\n');
        process.stdout.write(`${isJson ? bigintJson(balances) : text}\n`);
        return 0;
      }
      const report = await projection.verify();
      process.stdout.write(`${isJson ? bigintJson(report) : reportText(report)}\n`);
      return report.findings.length === 0 ? 0 : 1;
    } finally {
      await database.close();
    }
  },
};

function balanceLine(row: LedgerBalance): string {
  const { mode, account, currency, phase, balanceMinor, entries } = row;
  const sum = String(balanceMinor).padStart(16);
  return `${mode} ${currency} ${phase.padEnd(7)} ${sum}  ${account}  (${entries} entries)`;
}

function reportText({ entries, tail, findings }: LedgerReport): string {
  const counted = `${entries} entries, ${tail} of them behind the balances`;
  if (findings.length === 0) return `whole 完整: ${counted}`;
  const lines = findings.map(({ what, subject, entriesMinor, saidMinor }) => {
    return `${what} ${subject}: entries ${entriesMinor}, said ${saidMinor}`;
  });
  return [`WRONG 账不平: ${counted}`, ...lines].join('\n');
}
