/** Hops that other parties logged: read from where their log files stood before the payment. */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { HopRecord } from '@tapnpay/protocol/wire';

/** Parties whose hops only their logs hold. */
const PARTIES = ['gateway', 'switch', 'issuer'] as const;
/** Most bytes of one log read for one payment. */
const LOG_BYTES_MAX = 4_000_000;

/** Where each log ended; give it to `hopsSince`. */
export type LogMark = Readonly<Record<string, number>>;

/** Remembers the present ends of the logs. */
export function markLogs(dataDir: string): LogMark {
  return Object.fromEntries(PARTIES.map((party) => [party, sizeOf(logPath(dataDir, party))]));
}

/** Hop records since the mark that carry one of these references: order, payment, F37. */
export function hopsSince(
  dataDir: string,
  mark: LogMark,
  references: readonly string[],
): readonly HopRecord[] {
  return PARTIES.flatMap((party) =>
    readFrom(logPath(dataDir, party), mark[party] ?? 0)
      .split('\n')
      .filter((line) => line.includes('"hop"') && references.some((id) => line.includes(id)))
      .flatMap((line) => parseHop(line, party)),
  );
}

function parseHop(line: string, party: string): readonly HopRecord[] {
  const record = JSON.parse(line) as Partial<HopRecord> & { readonly event?: string };
  const { n, name, atMs, facts = {} } = record;
  if (record.event !== 'hop' || n === undefined || name === undefined || atMs === undefined) {
    return [];
  }
  return [{ n, name, party, atMs, facts }];
}

function logPath(dataDir: string, party: string): string {
  return join(dataDir, 'logs', `${party}.log`);
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}

function readFrom(path: string, offset: number): string {
  const length = Math.min(sizeOf(path) - offset, LOG_BYTES_MAX);
  if (length <= 0) return '';
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(length);
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, length, offset));
  } finally {
    closeSync(file);
  }
}
