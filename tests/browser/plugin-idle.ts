/**
 * `npm run plugin-idle`: whether a browser that nobody debugs (a debugger keeps workers alive) stops
 * the extension's worker under an idle payment page. A page with an open way to its host stays
 * silent for 50 s, then for 5.5 minutes, and its host must be the same; a page without one wakes
 * the worker after 50 s. Prints one line for each and ends with 0 or 1; takes seven minutes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { ExtensionSystem } from './extension.test-kit.ts';

/** Chromium stops an idle worker after 30 s, and one event after 5 minutes. */
const SHORT_MS = Number(process.argv[2] ?? 50_000);
const LONG_MS = Number(process.argv[3] ?? 330_000);
/** For a message that must come. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 200;

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
async function until(isSo: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!isSo() && performance.now() < deadlineMs) await pause(LOOK_MS);
  return isSo();
}

/** A browser with nothing but the extension and one page, and nobody who looks into it. */
function browse(system: ExtensionSystem, profile: string, address: string): ChildProcess {
  const isRoot = process.getuid?.() === 0;
  return spawn(
    '/usr/bin/chromium',
    [
      ...(isRoot ? ['--no-sandbox'] : []),
      '--headless=new',
      '--no-first-run',
      `--user-data-dir=${join(system.folder, profile)}`,
      `--disable-extensions-except=${system.extension}`,
      `--load-extension=${system.extension}`,
      address,
    ],
    { stdio: 'ignore' },
  );
}

async function ended(browser: ChildProcess): Promise<void> {
  const closed = new Promise((done) => browser.once('close', done));
  browser.kill('SIGTERM');
  await closed;
}

/** What hosts were told by pages, with the pid of each. */
function heard(system: ExtensionSystem): readonly string[] {
  return system.hostEvents().flatMap((event) => {
    if (event.event !== 'frame' || event.frame.type !== 'page') return [];
    const { base64 } = event.frame['message'] as { readonly base64?: string };
    return [`${event.pid} ${atob(base64 ?? '')}`];
  });
}

const started = (system: ExtensionSystem): number =>
  system.hostEvents().filter(({ event }) => event === 'start').length;

/** An idle page whose host is there. */
async function idle(system: ExtensionSystem): Promise<boolean> {
  const address = `${system.gateway}/?idle=${SHORT_MS},${LONG_MS}`;
  const browser = browse(system, 'profile', address);
  try {
    if (!(await until(() => started(system) === 1, PATIENCE_MS))) return false;
    const pid = system.lastHost();
    for (const ms of [SHORT_MS, LONG_MS]) {
      const isHeard = () => heard(system).includes(`${pid} ${ms}`);
      const isThere = await until(isHeard, ms + PATIENCE_MS);
      const isSame = started(system) === 1 && system.livingHosts().includes(pid);
      console.log(`idle ${ms} ms 空闲: ${isThere && isSame ? 'same host' : 'LOST'}`);
      if (!isThere || !isSame) return false;
    }
    return true;
  } finally {
    await ended(browser);
  }
}

/** A page whose worker was stopped meanwhile. */
async function wake(system: ExtensionSystem): Promise<boolean> {
  const before = started(system);
  const browser = browse(system, 'profile', `${system.gateway}/?wake=${SHORT_MS}`);
  try {
    const isThere = await until(() => started(system) > before, SHORT_MS + PATIENCE_MS);
    console.log(`woken after ${SHORT_MS} ms 唤醒: ${isThere ? 'a host' : 'NOTHING'}`);
    return isThere;
  } finally {
    await ended(browser);
  }
}

const system = await ExtensionSystem.make('chromium', 'profile/NativeMessagingHosts');
try {
  const isIdleGood = await idle(system);
  const isNoneLeft = await until(() => system.livingHosts().length === 0, PATIENCE_MS);
  console.log(`hosts left 残留进程: ${system.livingHosts().length}`);
  const isWakeGood = await wake(system);
  process.exitCode = isIdleGood && isNoneLeft && isWakeGood ? 0 : 1;
} finally {
  system.remove();
}
