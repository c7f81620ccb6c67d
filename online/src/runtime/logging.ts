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
  /**
   * The records of one turn of the event loop are written together at its end: a kill loses them,
   * a crash or an exit does not. Absent: each is written before the call returns.
   */
  readonly isBuffered?: boolean;
  /** Sees every record beside the file, with the trace id of its work: metrics. */
  readonly onRecord?: (level: string, record: LogRecord) => void;
}): PartyLog {
  const clock = options.clock ?? systemClock;
  if (options.logFile !== undefined) mkdirSync(dirname(options.logFile), { recursive: true });
  const destination = options.destination ?? openDestination(options);
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

/** Buffered bytes that are written without waiting for the end of the turn. */
const BUFFER_BYTES = 8_192;
/** What buffered logs write when the process exits. */
const unwritten: Set<() => void> = new Set();
process.on('exit', () => {
  for (const flush of unwritten) flush();
});

function openDestination(options: {
  readonly logFile?: string | undefined;
  readonly isBuffered?: boolean;
}): DestinationStream {
  const dest = options.logFile ?? STDERR;
  if (!options.isBuffered) return pino.destination({ dest, sync: true, mode: 0o600 });
  const stream = pino.destination({ dest, sync: true, mode: 0o600, minLength: BUFFER_BYTES });
  let isPlanned = false;
  const flush = (): void => {
    isPlanned = false;
    stream.flushSync();
  };
  unwritten.add(flush);
  return {
    write(line) {
      stream.write(line);
      if (isPlanned) return;
      isPlanned = true;
      setImmediate(flush);
    },
  };
}
