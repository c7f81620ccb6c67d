/**
 * The files that a day is compared with: the switch's day file for the acquirer (format
 * TAPNPAY-DAY 1, as the switch describes it) and the merchants' statements.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { amountField, FILE_CHARACTERS_MAX, fileError, readProvedFile } from '../settlement/csv.ts';
import { readStatement } from '../settlement/statement.ts';
import { daysAfter } from '../settlement-date.ts';
import { keyOf, type Money, type SwitchLine } from './model.ts';

const FORMAT_NAME = 'TAPNPAY-DAY';
const FORMAT_VERSION = '1';
const DETAIL_FIELDS = 17;
/** Days after its own in whose statements a transaction may stand. */
const STATEMENT_DAYS_MAX = 5;
/** Days after its original in whose file a reversal is looked for. */
const REVERSAL_DAYS_MAX = 3;

const SIDES: readonly SwitchLine['side'][] = ['debit', 'credit', 'none', 'refused'];

/** A file as it was compared. */
export type SourceFile = { readonly path: string; readonly sha256: string };

/** What the switch says of a day. */
export type SwitchDay = {
  readonly file: SourceFile;
  readonly lines: readonly SwitchLine[];
  readonly reversedLater: ReadonlySet<string>;
};

/** Lines of a day file. @throws GatewayError `ERR_SETTLEMENT_FILE` naming what is wrong. */
export function readSwitchFile(
  text: string,
  expected: { readonly settlementDate: string; readonly acquirerId: string },
): { readonly lines: readonly SwitchLine[]; readonly sha256: string } {
  const { head, records, sha256 } = readProvedFile(text);
  const [mark, name, version, settlementDate, role, institution] = head;
  if (mark !== 'H' || name !== FORMAT_NAME || version !== FORMAT_VERSION) {
    throw fileError(`is no ${FORMAT_NAME} file of version ${FORMAT_VERSION}`);
  }
  if (settlementDate !== expected.settlementDate) {
    throw fileError(`is of day ${settlementDate}, not of ${expected.settlementDate}`);
  }
  if (role !== 'acquirer' || institution !== expected.acquirerId) {
    throw fileError(`is for ${role} ${institution}, not for acquirer ${expected.acquirerId}`);
  }
  const lines = records.filter(([type]) => type === 'D').map(lineOf);
  return { lines, sha256 };
}

/** Fields in the order of the format: `switch` has it beside its writer. */
function lineOf(fields: readonly string[]): SwitchLine {
  const [, leg, kind = '', , , transmission = '', stan = '', , merchantId = ''] = fields;
  const [retrievalReference = '', , currency = '', amount, told] = fields.slice(9);
  const side = SIDES.find((one) => one === told);
  const isLeg = leg === 'original' || leg === 'reversal';
  if (fields.length !== DETAIL_FIELDS || !isLeg || side === undefined) {
    throw fileError('has a broken record');
  }
  const amountMinor = amountField(amount);
  if (amountMinor < 0n) throw fileError('has an amount below 0');
  const names = { transmission, stan, merchantId, retrievalReference };
  return { leg, kind, ...names, currency, amountMinor, side };
}

/**
 * The switch's file of a day, and what later files reverse. @throws GatewayError
 * `ERR_SETTLEMENT_FILE` when it is missing or wrong.
 */
export function readSwitchDay(
  folder: string,
  expected: { readonly settlementDate: string; readonly acquirerId: string },
): SwitchDay {
  const { settlementDate, acquirerId } = expected;
  const path = switchFilePath(folder, settlementDate, acquirerId);
  if (!existsSync(path)) {
    const why = 'of the switch is missing: it is written when its day has closed (23:00 in China)';
    throw fileError(why, { path });
  }
  const { lines, sha256 } = readSwitchFile(readText(path), expected);
  const reversedLater = new Set<string>();
  for (let days = 1; days <= REVERSAL_DAYS_MAX; days++) {
    const later = { settlementDate: daysAfter(settlementDate, days), acquirerId };
    const laterPath = switchFilePath(folder, later.settlementDate, acquirerId);
    if (!existsSync(laterPath)) continue;
    for (const line of readSwitchFile(readText(laterPath), later).lines) {
      if (line.leg === 'reversal') reversedLater.add(keyOf(line));
    }
  }
  return { file: { path, sha256 }, lines, reversedLater };
}

function switchFilePath(folder: string, settlementDate: string, acquirerId: string): string {
  return join(folder, settlementDate, `acquirer-${acquirerId}.csv`);
}

/** What merchants' statements say of a day. */
export type MerchantDay = {
  readonly files: readonly SourceFile[];
  readonly records: readonly Money[];
};

/**
 * Lines of a day in the statements of it and of the days after, where late ones stand; `paths`
 * instead are the merchants' own copies. @throws GatewayError `ERR_SETTLEMENT_FILE`.
 */
export function readMerchantDay(
  folder: string,
  settlementDate: string,
  paths: readonly string[] = statementPaths(folder, settlementDate),
): MerchantDay {
  const files: SourceFile[] = [];
  const records: Money[] = [];
  for (const path of paths) {
    const { lines, sha256 } = readStatement(readText(path));
    files.push({ path, sha256 });
    for (const line of lines) {
      if (line.settlementDate !== settlementDate) continue;
      const { transmission, stan, currency, amountMinor } = line;
      const isDebit = amountMinor > 0n;
      records.push({
        ...{ transmission, stan, currency, side: isDebit ? 'debit' : 'credit' },
        amountMinor: isDebit ? amountMinor : -amountMinor,
      });
    }
  }
  return { files, records };
}

function statementPaths(folder: string, settlementDate: string): readonly string[] {
  const paths: string[] = [];
  for (let days = 0; days <= STATEMENT_DAYS_MAX; days++) {
    const place = join(folder, daysAfter(settlementDate, days));
    if (!existsSync(place)) continue;
    const names = readdirSync(place).filter((name) => name.endsWith('.csv'));
    for (const name of names.sort()) paths.push(join(place, name));
  }
  return paths;
}

function readText(path: string): string {
  try {
    if (statSync(path).size > FILE_CHARACTERS_MAX) throw fileError('is too long', { path });
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    throw code.startsWith('ERR_') ? cause : fileError(`cannot be read: ${code}`, { path });
  }
}
