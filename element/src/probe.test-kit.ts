/** Attempts to leave the element's process; each answers `done`, or the code that stopped it. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/** A file beside the code that no `allowRead` names. */
const FOREIGN_FILE = fileURLToPath(new URL('../../package.json', import.meta.url));

const ATTEMPTS: Readonly<Record<string, () => unknown>> = {
  read: () => readFileSync(FOREIGN_FILE),
  write: () => {
    const path = join(tmpdir(), `tapnpay-probe-${process.pid}`);
    writeFileSync(path, '');
    rmSync(path);
  },
  spawn: () => {
    const { error } = spawnSync(process.execPath, ['--version']);
    if (error) throw error;
  },
  worker: () => new Worker('', { eval: true }).unref(),
  inspector: () => {
    const { open, close } = process.getBuiltinModule('node:inspector');
    open(0, '127.0.0.1');
    close();
  },
  ffi: () => process.getBuiltinModule('node:ffi').dlopen('libc.so.6', {}),
};

/** All of them, the last a connection to a port of this machine. */
export async function attempts(port: number): Promise<Readonly<Record<string, string>>> {
  const outcomes: Record<string, string> = {};
  for (const [name, attempt] of Object.entries(ATTEMPTS)) outcomes[name] = outcomeOf(attempt);
  outcomes['connect'] = await new Promise<string>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve('done');
    });
    socket.on('error', (fault) => resolve(codeOf(fault)));
  });
  outcomes['environment'] = Object.keys(process.env).length === 0 ? 'empty' : 'done';
  return outcomes;
}

function outcomeOf(attempt: () => unknown): string {
  try {
    attempt();
    return 'done';
  } catch (fault) {
    return codeOf(fault);
  }
}

function codeOf(fault: unknown): string {
  return (fault as NodeJS.ErrnoException).code ?? String(fault);
}
