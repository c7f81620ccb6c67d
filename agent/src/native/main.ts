/**
 * The program that browsers start: `main.ts --config FILE` and after it what the browser adds (its
 * extension's origin, or the manifest's path and the add-on's id), which is never taken for more.
 */

import { errorBody } from '@tapnpay/protocol/bytes';
import type { AgentLogRecord } from '../service/events.ts';
import { systemClock } from '../system.ts';
import { readHostConfig } from './config.ts';
import { encodeNativeFrame } from './frames.ts';
import { EXIT_REFUSED, NativeHost } from './host.ts';
import { writeDiagnostic, writeFrameBytes } from './quiet-output.ts';

/** Exit status of a host that was not started by a browser. */
const EXIT_USAGE = 2;

function main(): void {
  const [option, file] = process.argv.slice(2);
  if (option !== '--config' || file === undefined || process.stdin.isTTY) {
    writeDiagnostic('This program is started by a browser: main.ts --config FILE');
    process.exit(EXIT_USAGE);
  }
  const host = new NativeHost({
    config: readHostConfig(file),
    input: process.stdin,
    output: {
      write: (bytes, done) => writeFrameBytes(bytes, done),
      waitingBytes: () => process.stdout.writableLength,
      onFault: (listener) => process.stdout.on('error', listener),
    },
    clock: systemClock,
    log: writeLog,
    exit: (status) => process.exit(status),
  });
  process.on('uncaughtException', (fault) => host.onInternalFault(fault));
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => host.end(0));
  }
  host.open();
}

/** Browsers keep what is written to standard error, or show it: nothing of a card goes there. */
function writeLog(record: AgentLogRecord): void {
  if (record.event !== 'trace') writeDiagnostic(JSON.stringify(record));
}

/** A host that knows no system says so in a frame, and ends. */
function refuse(fault: unknown): void {
  const message = { type: 'refused', error: errorBody(fault) };
  const frame = encodeNativeFrame(JSON.stringify({ type: 'page', message }));
  process.stdout.on('error', () => process.exit(EXIT_REFUSED));
  process.stdin.on('error', () => {}).resume();
  writeFrameBytes(frame, () => process.exit(EXIT_REFUSED));
}

try {
  main();
} catch (fault) {
  refuse(fault);
}
