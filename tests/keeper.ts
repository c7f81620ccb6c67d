/**
 * What the test files of one `npm test` share: a database server, and a system that was started
 * once, of which each file takes a copy. `keeper.ts FOLDER server template` prints where they are
 * as one line of JSON and lives as long as its standard input: however `npm test` ends, what is
 * left of the run's processes ends then, and the folder with everything temporary is removed.
 */
import { lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { GatewayClient } from '../cli/src/payment/gateway-client.ts';
import { openElement } from '../cli/src/payment/run-tap.ts';
import { readSystemConfig, urlOf } from '../cli/src/system/layout.ts';
import { startEmbeddedTestDatabase } from '../online/src/runtime/test-database.ts';
import { TestSystem, temporaryDataDir } from './system.test-kit.ts';

const END_TIMEOUT_MS = 5_000;
const END_PAUSE_MS = 100;
const MANAGED_TIMEOUT_MS = 60_000;

/**
 * Folder of a system that has been started and ended in order; without its logs. Both its elements
 * have met their manager and are enrolled; nothing was paid.
 */
async function makeTemplate(): Promise<string> {
  const system = new TestSystem(temporaryDataDir(), { isFresh: true });
  await system.up();
  const { dataDir } = system;
  const config = readSystemConfig(dataDir);
  const gateway = new GatewayClient({ url: urlOf(config, 'gatewayHttp'), dataDir });
  const [element] = await Promise.all([openElement(config, gateway), untilManaged(system)]);
  await element.close();
  await system.stop();
  const isShared = lstatSync(join(dataDir, 'postgres')).isSymbolicLink();
  if (isShared) throw new Error(`the database of ${dataDir} is elsewhere, copies would share it`);
  const logs = join(dataDir, 'logs');
  for (const file of readdirSync(logs)) rmSync(join(logs, file));
  return dataDir;
}

/** Until the manager has installed the payment application on the agent's element. */
async function untilManaged(system: TestSystem): Promise<void> {
  const deadline = performance.now() + MANAGED_TIMEOUT_MS;
  while (!/"kind":"enrol","state":"done"/.test(system.logs())) {
    if (performance.now() > deadline) throw new Error('the element met no manager');
    await pause(END_PAUSE_MS);
  }
}

/** Processes of the run: its folder is among their arguments or in their environment. */
function processesOf(folder: string): readonly number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .filter((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`].some(mentions(folder)));
}

function mentions(folder: string): (path: string) => boolean {
  return (path) => {
    try {
      return readFileSync(path, 'utf8').includes(folder);
    } catch {
      // It ended while we looked, or is somebody else's.
      return false;
    }
  };
}

function endAll(folder: string, signal: 'SIGTERM' | 'SIGKILL'): void {
  for (const pid of processesOf(folder)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself a moment ago.
    }
  }
}

async function clean(folder: string): Promise<void> {
  endAll(folder, 'SIGTERM');
  const deadline = performance.now() + END_TIMEOUT_MS;
  while (processesOf(folder).length > 0 && performance.now() < deadline) await pause(END_PAUSE_MS);
  endAll(folder, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Null when it cannot be had: then the files that need it say so themselves. */
async function ifPossible<T>(made: Promise<T>): Promise<T | null> {
  try {
    return await made;
  } catch (fault) {
    process.stderr.write(`not shared by the test files: ${String(fault)}\n`);
    return null;
  }
}

async function main([folder, ...parts]: readonly string[]): Promise<void> {
  if (!folder || !isAbsolute(folder))
    throw new Error('usage: keeper.ts FOLDER [server] [template]');
  const ended = new Promise<void>((done) => {
    process.stdin.once('close', done).on('error', () => undefined);
    process.stdin.resume();
  });
  // A signal ends those who use what is kept; this process goes after them.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  const made = Promise.all([
    parts.includes('server') ? ifPossible(startEmbeddedTestDatabase()) : null,
    parts.includes('template') ? ifPossible(makeTemplate()) : null,
  ]);
  void made.then(([server, template]) => {
    const places = {
      TAPNPAY_TEST_SERVER: server?.url,
      TAPNPAY_TEST_TEMPLATE: template ?? undefined,
    };
    process.stdout.write(`${JSON.stringify(places)}\n`);
  });
  await ended;
  await clean(folder);
}

await main(process.argv.slice(2));
process.exit();
