/** Debian's PostgreSQL, in a cluster of its own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { temporaryDataDir } from './system.test-kit.ts';

const DEBIAN = '/usr/lib/postgresql';
const VERSION_MIN = 15;

/** Folder of the programs of the newest Debian server of version 15 or later, or null. */
export function debianPrograms(): string | null {
  if (!existsSync(DEBIAN)) return null;
  const versions = readdirSync(DEBIAN)
    .map(Number)
    .filter((version) => version >= VERSION_MIN);
  const newest = Math.max(...versions);
  const programs = join(DEBIAN, String(newest), 'bin');
  return existsSync(join(programs, 'initdb')) ? programs : null;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === 'object' && address ? address.port : 0;
}

/** Runs a server program, as user postgres when we are root. */
function run(program: string, args: readonly string[]): void {
  const isRoot = process.getuid?.() === 0;
  const [command, ...before] = isRoot
    ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', program]
    : [program];
  const result = spawnSync(command ?? program, [...before, ...args], { stdio: 'ignore', cwd: '/' });
  assert.equal(result.status, 0, `${program} ${args.join(' ')}`);
}

/** A running server of these programs; `close` stops it and removes what it kept. */
export async function startDebianServer(
  programs: string,
): Promise<{ readonly url: string; readonly close: () => void }> {
  const folder = temporaryDataDir();
  const cluster = join(folder, 'debian');
  mkdirSync(cluster, { mode: 0o700 });
  if (process.getuid?.() === 0) spawnSync('chown', ['postgres', cluster]);
  const port = await freePort();
  const initdb = ['-D', cluster, '-U', 'tapnpay', '-A', 'trust', '--encoding=UTF8'];
  run(join(programs, 'initdb'), initdb);
  const options = `-c listen_addresses=127.0.0.1 -c port=${port} -c unix_socket_directories=`;
  const start = ['-D', cluster, '-w', '-l', join(cluster, 'log'), '-o', options, 'start'];
  run(join(programs, 'pg_ctl'), start);
  const close = (): void => {
    run(join(programs, 'pg_ctl'), ['-D', cluster, '-m', 'fast', 'stop']);
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: `postgres://tapnpay@127.0.0.1:${port}/postgres`, close };
}
