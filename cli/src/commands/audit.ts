/** `tapnpay audit`: the gateway's audit log, read past the gateway, and its chain recomputed. */
import { resolve } from 'node:path';
import {
  type AuditHead,
  type AuditReport,
  checkAuditLog,
  openGatewayDatabase,
  PostgresAuditLog,
} from '@tapnpay/online/gateway';
import { type Command, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';

/** Records that `list` shows, the newest ones. */
const LIST_ROWS = 50;
const SCHEMA = 'gateway';
const USAGE = `usage: tapnpay audit verify [--expect SEQ:HASH] [--data DIR] [--json]
       tapnpay audit list [--data DIR] [--json]
verify recomputes every hash from the database itself and names the first broken record; it ends
with 1 if there is one. Keep the head it prints: with --expect it also finds a tail cut off.`;

export const audit: Command = {
  summary: {
    en: 'the audit log: list it, verify its hash chain',
    zh: '审计日志：查看，校验哈希链',
  },
  usage: USAGE,
  options: { data: { type: 'string' }, expect: { type: 'string' } },
  run: async (values, [verb = 'verify']) => {
    if (verb !== 'verify' && verb !== 'list') throw new UsageError('audit takes verify or list');
    const expected = headOf(textOption(values, 'expect'));
    const system = readSystemConfig(resolve(textOption(values, 'data') ?? defaultDataDir));
    const { databaseUrl } = system;
    const database = await openGatewayDatabase({ databaseUrl, schema: SCHEMA });
    try {
      const log = new PostgresAuditLog(database);
      const isJson = values['json'] === true;
      if (verb === 'list') return await list(log, isJson);
      const report = await checkAuditLog(log, expected);
      process.stdout.write(`${isJson ? JSON.stringify(report) : reportText(report)}\n`);
      return report.fault === null ? 0 : 1;
    } finally {
      await database.close();
    }
  },
};

async function list(log: PostgresAuditLog, isJson: boolean): Promise<number> {
  const { head } = await checkAuditLog(log);
  const records = await log.read(Math.max(0, head.seq - LIST_ROWS), LIST_ROWS);
  const lines = records.map(({ seq, atMs, actor, action, subject, facts }) =>
    [seq, new Date(atMs).toISOString(), actor, action, subject || '-', facts].join('  '),
  );
  process.stdout.write(`${isJson ? JSON.stringify(records) : lines.join('\n')}\n`);
  return 0;
}

/** A head as `verify` printed it. @throws UsageError. */
function headOf(text: string | undefined): AuditHead | null {
  if (text === undefined) return null;
  const found = /^([1-9][0-9]{0,14}):([0-9a-f]{64})$/.exec(text);
  if (found?.[1] && found[2]) return { seq: Number(found[1]), hash: found[2] };
  throw new UsageError('--expect takes SEQ:HASH as verify printed it');
}

const WHY: Readonly<Record<NonNullable<AuditReport['fault']>['why'], string>> = {
  hash: 'the record was altered 记录被篡改',
  previousHash: 'the record does not follow the one before 记录不连续',
  missing: 'the record is missing 记录缺失',
  head: 'another record stood here when the head was noted 与先前记录的链头不符',
};

function reportText({ head, fault }: AuditReport): string {
  const where = `${head.seq}:${head.hash}`;
  if (fault === null) return `whole 完整: ${head.seq} records\nhead ${where}`;
  return `BROKEN 链已断: record ${fault.seq}: ${WHY[fault.why]}\nwhole up to ${where}`;
}
