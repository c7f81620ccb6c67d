/** Hops that other parties logged, read from where their logs stood before; and the own log. */
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@tapnpay/protocol/node';
import type { CardInterface, HopRecord, TraceEvent } from '@tapnpay/protocol/wire';

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

/** One masked exchange with a card, as `payWithElement` reports it. */
export type SeenApdu = {
  readonly number: number;
  readonly command: string;
  readonly response: string;
  readonly interface?: CardInterface;
  readonly attempt?: number;
};

/** Writes what one payment of `tap` sees into `tap.log`, for the look inside. */
export function openTapLog(
  dataDir: string,
  orderId: string,
): {
  readonly onHop: (record: HopRecord) => void;
  readonly onApdu: (record: SeenApdu) => void;
} {
  const path = logPath(dataDir, 'tap');
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  const references = [orderId];
  const write = (line: object): void =>
    appendFileSync(path, `${JSON.stringify(line)}\n`, { mode: 0o600 });
  return {
    onHop: (record) => write({ event: 'hop', references, ...record }),
    onApdu: ({ number, command, response, ...rest }) => {
      const event: TraceEvent = {
        event: 'trace',
        party: 'card',
        atMs: systemClock.nowMs(),
        hop: 'tap',
        references,
        kind: 'apdu',
        title: 'APDU',
        data: { number, command, response, ...rest },
      };
      write(event);
    },
  };
}
