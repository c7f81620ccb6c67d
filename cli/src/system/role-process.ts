/** One role in its own process: started, awaited until ready, started again when it dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { TapError } from '@tapnpay/protocol/bytes';
import { projectRoot } from './layout.ts';

/** How long a role may take until it prints its ready line. */
const READY_TIMEOUT_MS = 20_000;
/** How long a role may take to close before it is killed. */
const CLOSE_TIMEOUT_MS = 5_000;
/** Pause before a dead role is started again; doubled for each death in a row. */
const RESTART_DELAY_MS = 100;
const RESTART_DELAY_MS_MAX = 5_000;

/** How to start a role. */
export type RoleSpec = {
  readonly name: string;
  readonly args: readonly string[];
  readonly dataDir: string;
  /** Told about a death and the start that follows it. */
  readonly onRestart?: (name: string, why: string) => void;
};

/** A running role. */
export type RoleProcess = {
  readonly name: string;
  readonly pid: () => number | undefined;
  /** From now on its end is wanted: it is not started again. */
  readonly expectEnd: () => void;
  readonly close: () => Promise<void>;
};

/** Starts a role and resolves when it is ready. @throws TapError `ERR_ROLE_START` with its log. */
export async function startRole(spec: RoleSpec): Promise<RoleProcess> {
  let child = spawnRole(spec);
  let closing = false;
  let delayMs = RESTART_DELAY_MS;
  const watch = (watched: ChildProcess): void => {
    watched.once('exit', (code, signal) => {
      // A signal to the whole group ends the roles before the system is told to stop.
      setTimeout(() => {
        if (closing) return;
        spec.onRestart?.(spec.name, signal ?? `exit code ${code}`);
        child = spawnRole(spec);
        watch(child);
        waitReady(child, spec).then(
          () => {
            delayMs = RESTART_DELAY_MS;
          },
          () => child.kill('SIGKILL'),
        );
      }, delayMs);
      delayMs = Math.min(2 * delayMs, RESTART_DELAY_MS_MAX);
    });
  };
  await waitReady(child, spec);
  watch(child);
  return {
    name: spec.name,
    pid: () => child.pid,
    expectEnd: () => {
      closing = true;
    },
    close: () => {
      closing = true;
      return closeChild(child);
    },
  };
}

function spawnRole(spec: RoleSpec): ChildProcess {
  const logDir = join(spec.dataDir, 'logs');
  mkdirSync(logDir, { recursive: true });
  const log = openSync(join(logDir, `${spec.name}.log`), 'a', 0o600);
  const entry = join(projectRoot, 'cli/src/main.ts');
  const args = [entry, 'serve', ...spec.args, '--data', spec.dataDir, '--supervised'];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', log] });
  closeSync(log);
  return child;
}

async function waitReady(child: ChildProcess, spec: RoleSpec): Promise<void> {
  const logPath = join(spec.dataDir, 'logs', `${spec.name}.log`);
  await new Promise<void>((done, fail) => {
    const refuse = (why: string): void =>
      fail(
        new TapError('ERR_ROLE_START', `${spec.name} ${why}; see ${logPath}`, { role: spec.name }),
      );
    const timer = setTimeout(() => refuse('did not get ready in time'), READY_TIMEOUT_MS);
    child.once('exit', (code, signal) => refuse(`stopped at its start (${signal ?? code})`));
    if (!child.stdout) return refuse('has no output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{"ready"')) return;
      clearTimeout(timer);
      done();
    });
  });
}

async function closeChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.stdin?.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}
