/** Each party's log: one JSON record a line, redacted, on standard error or in a file. */
import { mkdirSync, openSync, writeSync } from 'node:fs';
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

/** Buffered characters that are written without waiting for the end of the turn. */
const BUFFER_CHARACTERS_MAX = 65_536;
/** How long a full pipe is left alone. */
const RETRY_MS = 10;
/** What buffered logs write when the process exits. */
const unwritten: Set<() => void> = new Set();
process.on('exit', () => {
  for (const flush of unwritten) flush();
});

function openDestination(options: {
  readonly logFile?: string | undefined;
  readonly isBuffered?: boolean;
}): DestinationStream {
  const { logFile } = options;
  if (!options.isBuffered) {
    return pino.destination({ dest: logFile ?? STDERR, sync: true, mode: 0o600 });
  }
  return bufferedFile(logFile === undefined ? STDERR : openSync(logFile, 'a', 0o600));
}

/** Lines of one turn in one write. No fsync: a log is no book. */
function bufferedFile(file: number): DestinationStream {
  let held = '';
  let isPlanned = false;
  const flush = (): void => {
    isPlanned = false;
    let bytes = Buffer.from(held);
    held = '';
    try {
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(file, bytes));
    } catch (fault) {
      if (!(fault instanceof Error) || !('code' in fault) || fault.code !== 'EAGAIN') throw fault;
      held = bytes.toString() + held;
      isPlanned = true;
      setTimeout(flush, RETRY_MS);
    }
  };
  unwritten.add(flush);
  return {
    write(line) {
      held += line;
      if (held.length > BUFFER_CHARACTERS_MAX) return flush();
      if (isPlanned) return;
      isPlanned = true;
      setImmediate(flush);
    },
  };
}
