/**
 * The same system on somebody else's PostgreSQL by DATABASE_URL: here Debian's, in a cluster of
 * its own. Without Debian's server the test says so in one line; with CI=true it must be there.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestSystem, temporaryDataDir } from './system.test-kit.ts';

const DEBIAN = '/usr/lib/postgresql';
const closers: (() => void | Promise<void>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

/** Folder of the newest Debian server of version 15 or later, or null. */
function debianServer(): string | null {
  if (!existsSync(DEBIAN)) return null;
  const versions = readdirSync(DEBIAN)
    .map(Number)
    .filter((version) => version >= 15);
  const newest = Math.max(...versions);
  const bin = join(DEBIAN, String(newest), 'bin');
  return existsSync(join(bin, 'initdb')) ? bin : null;
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

async function startDebianServer(bin: string, folder: string): Promise<string> {
  const cluster = join(folder, 'debian');
  mkdirSync(cluster, { mode: 0o700 });
  if (process.getuid?.() === 0) spawnSync('chown', ['postgres', cluster]);
  const port = await freePort();
  run(join(bin, 'initdb'), ['-D', cluster, '-U', 'tapnpay', '-A', 'trust', '--encoding=UTF8']);
  const options = `-c listen_addresses=127.0.0.1 -c port=${port} -c unix_socket_directories=`;
  run(join(bin, 'pg_ctl'), [
    '-D',
    cluster,
    '-w',
    '-l',
    join(cluster, 'log'),
    '-o',
    options,
    'start',
  ]);
  closers.push(() => {
    run(join(bin, 'pg_ctl'), ['-D', cluster, '-m', 'fast', 'stop']);
    rmSync(folder, { recursive: true, force: true });
  });
  return `postgres://tapnpay@127.0.0.1:${port}/postgres`;
}

test("payments on Debian's PostgreSQL", async (context) => {
  const bin = debianServer();
  if (!bin) {
    assert.notEqual(process.env['CI'], 'true', 'CI installs postgresql');
    return context.skip("Debian's postgresql is not installed");
  }
  const databaseUrl = await startDebianServer(bin, temporaryDataDir());
  const system = new TestSystem(temporaryDataDir(), { databaseUrl });
  closers.push(() => system.close());
  await system.up();
  const embedded = join(system.dataDir, 'postgres');
  assert.equal(existsSync(embedded), false, 'no embedded database was made');
  assert.equal((await system.tap()).outcome, 'approved');
  const wrong = await system.tap('--pin', '000000');
  assert.deepEqual([wrong.outcome, wrong.responseCode], ['declined', '55']);
});
