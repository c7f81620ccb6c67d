/** Each party's log: one JSON record a line, redacted, on standard error or in a file. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '@tapnpay/protocol/bytes';
import { type DestinationStream, pino } from 'pino';
import { traceFacts } from './observability/spans.ts';
import { maskText, redact } from './redaction.ts';
import { systemClock } from './system.ts';

/** A record for the log: an event's name and facts. */
export type LogRecord = { readonly event: string; readonly [fact: string]: unknown };
/** What cores take as their log. */
export type Log = (record: LogRecord) => void;

/** A party's log in its three grades. */
export type PartyLog = {
  readonly info: Log;
  readonly warn: Log;
  readonly error: Log;
};

/** Standard error. */
const STDERR = 2;

/** Opens the log of `party`. Records are written before the call returns, so a kill loses none. */
export function createLog(options: {
  readonly party: string;
  readonly logFile?: string | undefined;
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly clock?: Clock;
  /** Instead of file and standard error. */
  readonly destination?: DestinationStream;
  /** Sees every record beside the file, with the trace id of its work: metrics. */
  readonly onRecord?: (level: string, record: LogRecord) => void;
}): PartyLog {
  const clock = options.clock ?? systemClock;
  if (options.logFile !== undefined) mkdirSync(dirname(options.logFile), { recursive: true });
  const destination =
    options.destination ??
    pino.destination({ dest: options.logFile ?? STDERR, sync: true, mode: 0o600 });
  const logger = pino(
    {
      level: options.level ?? 'info',
      base: { party: options.party },
      messageKey: 'event',
      mixin: traceFacts,
      timestamp: () => `,"timeMs":${clock.nowMs()}`,
      formatters: {
        level: (label) => ({ level: label }),
        log: (record) => redact(record) as Record<string, unknown>,
      },
    },
    destination,
  );
  const write =
    (grade: 'info' | 'warn' | 'error'): Log =>
    ({ event, ...facts }) => {
      logger[grade](facts, maskText(event));
      options.onRecord?.(grade, { ...traceFacts(), event, ...facts });
    };
  return { info: write('info'), warn: write('warn'), error: write('error') };
}
