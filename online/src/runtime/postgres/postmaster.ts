/** The running database server: its lock file, its start, its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { RuntimeError } from '../errors.ts';
import { type PostgresBinaries, programPath } from './binaries.ts';
import { type Cluster, spawnIdentity } from './cluster.ts';

/** Time between two looks at the lock file or the process. */
const POLL_MS = 10;
/** Looks until a start, with its crash recovery, counts as failed: one minute. */
const START_POLLS_MAX = 6000;
/** Looks until a fast shutdown becomes an immediate one, and until that is given up. */
const STOP_POLLS_MAX = 500;

/** Lines of postmaster.pid, counted from 0. @see PostgreSQL src/include/utils/pidfile.h */
const LINE_PID = 0;
const LINE_PORT = 3;
const LINE_STATUS = 7;
/** Above any process number of a system. */
const NO_PROCESS = '2147483646';

/** A server found by its lock file. */
export type FoundPostmaster = {
  readonly pid: number;
  readonly port: number;
  readonly isReady: boolean;
};

/** The lock file's server if that process is alive and a PostgreSQL, else null. */
export function findPostmaster(cluster: Cluster): FoundPostmaster | null {
  const path = join(cluster.clusterDir, 'postmaster.pid');
  if (!existsSync(path)) return null;
  const lines = readFileSync(path, 'utf8').split('\n');
  const pid = Number(lines[LINE_PID]);
  if (!isServer(pid)) return null;
  const isReady = lines[LINE_STATUS]?.trim() === 'ready';
  return { pid, port: Number(lines[LINE_PORT]), isReady };
}

function isServer(pid: number): boolean {
  return Number.isInteger(pid) && pid > 1 && isAlive(pid) && isPostgres(pid);
}

/**
 * Takes the number out of a lock file whose server is gone: killed and not yet waited for by its
 * parent, or the number was given to another program. PostgreSQL itself could not tell and would
 * refuse to start. The other lines stay, for from them it sees whether a backend of the dead
 * server is still attached. Only before a start: a starting server writes the file itself.
 */
export function disownDeadLock(cluster: Cluster): void {
  const path = join(cluster.clusterDir, 'postmaster.pid');
  if (!existsSync(path)) return;
  const [first = '', ...rest] = readFileSync(path, 'utf8').split('\n');
  if (isServer(Number(first))) return;
  writeFileSync(`${path}.new`, [NO_PROCESS, ...rest].join('\n'));
  renameSync(`${path}.new`, path);
}

function isPostgres(pid: number): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return readlinkSync(`/proc/${pid}/exe`).includes('/bin/postgres');
  } catch {
    // Without the right to look the lock file is believed.
    return true;
  }
}

/** Whether a process of this number exists; a dead child that nobody waited for does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM';
  }
  if (process.platform !== 'linux') return true;
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Server settings beside the compiled defaults; `fsync` stays on. */
function settings(port: number): readonly string[] {
  const values: Readonly<Record<string, string | number>> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port,
    max_connections: 100,
    fsync: 'on',
    synchronous_commit: 'on',
    password_encryption: 'scram-sha-256',
    // Statements and their values may hold card data; the log gets neither.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_statement: 'none',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * Starts the server and resolves when it takes connections.
 * @throws RuntimeError `ERR_DATABASE_START` with the end of its log, `ERR_DATABASE_PORT`.
 */
export async function startPostmaster(
  cluster: Cluster,
  binaries: PostgresBinaries,
  port: number,
): Promise<number> {
  const log = openSync(cluster.logPath, 'w', 0o600);
  const child = spawn(
    programPath(binaries, 'postgres'),
    ['-D', cluster.clusterDir, ...settings(port)],
    { ...spawnIdentity(cluster), detached: true, stdio: ['ignore', log, log], windowsHide: true },
  );
  closeSync(log);
  child.unref();
  let failure: Error | null = null;
  child.once('error', (error) => {
    failure = error;
  });
  for (let polls = 0; polls < START_POLLS_MAX; polls++) {
    await pause(POLL_MS);
    if (failure !== null || hasEnded(child)) throw startError(cluster, port, failure);
    const found = findPostmaster(cluster);
    if (found?.pid === child.pid && found?.isReady) return found.pid;
  }
  child.kill('SIGKILL');
  throw startError(cluster, port, null);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function startError(cluster: Cluster, port: number, cause: Error | null): RuntimeError {
  const log = existsSync(cluster.logPath) ? readFileSync(cluster.logPath, 'utf8') : '';
  if (/could not bind|Address already in use/.test(log)) {
    return new RuntimeError('ERR_DATABASE_PORT', `database port ${port} is in use`, { port });
  }
  const words = cause?.message ?? log.trim().split('\n').slice(-3).join(' | ').slice(-500);
  const text = `the built-in PostgreSQL did not start: ${words} (log: ${cluster.logPath})`;
  return new RuntimeError('ERR_DATABASE_START', text, { logPath: cluster.logPath }, cause);
}

/** Fast shutdown, immediate when that takes too long. @throws RuntimeError `ERR_DATABASE_STOP`. */
export async function stopPostmaster(pid: number): Promise<void> {
  // @see PostgreSQL 18, section 18.5: SIGINT is the fast, SIGQUIT the immediate shutdown.
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (!isAlive(pid)) return;
    try {
      process.kill(pid, signal);
    } catch (cause) {
      if (!isAlive(pid)) return;
      throw new RuntimeError('ERR_DATABASE_STOP', `may not stop process ${pid}`, { pid }, cause);
    }
    for (let polls = 0; polls < STOP_POLLS_MAX; polls++) {
      if (!isAlive(pid)) return;
      await pause(POLL_MS);
    }
  }
  throw new RuntimeError('ERR_DATABASE_STOP', `database process ${pid} does not end`, { pid });
}

/** A port of the loopback address that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(0, '127.0.0.1', done);
  });
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (typeof address === 'object' && address) return address.port;
  throw new RuntimeError('ERR_DATABASE_PORT', 'no free port on 127.0.0.1');
}
