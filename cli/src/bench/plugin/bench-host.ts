/** The host of a benchmark: installed for one browser profile, its log kept, its processes seen. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installHost, MANIFEST_FILE, profileFolder, wrapperPath } from '@tapnpay/agent';
import { TapError } from '@tapnpay/protocol/bytes';
import { systemClock } from '@tapnpay/protocol/node';
import { hostConfigOf, hostEntry, thesePlaces, versionsOf } from '../../system/host-config.ts';
import type { SystemConfig } from '../../system/layout.ts';
import type { EmptyHostKind } from './echo-host.ts';

/** Longest wait for processes to end, or for a line of the log. */
const PATIENCE_MS = 30_000;
const LOOK_AGAIN_MS = 5;
/** Where the element's store is in a system's folder. */
const ELEMENT_FOLDER = 'element';

/** What is looked for in a line of the host's log. */
type LogLine = {
  readonly event?: string;
  readonly name?: string;
  readonly atMs?: number;
  readonly references?: readonly string[];
};

/** What a browser starts instead of the host. */
export type HostKind = 'real' | EmptyHostKind;

/** The host that one browser profile is told to start. */
export class BenchHost {
  readonly #dataDir: string;
  readonly #manifest: string;
  readonly #log: string;
  readonly #program: string;

  private constructor(facts: { readonly dataDir: string; readonly userDataDir: string }) {
    const { dataDir, userDataDir } = facts;
    this.#dataDir = dataDir;
    this.#manifest = join(profileFolder(userDataDir), MANIFEST_FILE);
    this.#log = join(dataDir, 'host.log');
    this.#program = wrapperPath(dataDir, process.platform);
  }

  /** Installs as `tapnpay agent install --browser-profile` does. @throws TapError. */
  static async install(system: SystemConfig, userDataDir: string): Promise<BenchHost> {
    const config = hostConfigOf(system, await versionsOf(system));
    const entry = hostEntry();
    const nodePath = process.execPath;
    const target = { scope: 'profile', userDataDir } as const;
    const parts = await installHost({ config, target, places: thesePlaces(), nodePath, entry });
    const failed = parts.find(({ error }) => error !== null);
    if (failed?.error) throw new TapError(failed.error.code, failed.error.message);
    const host = new BenchHost({ dataDir: config.dataDir, userDataDir });
    host.#keepLog();
    return host;
  }

  /** Chosen anew at each port that the page opens: browsers read the manifest each time. */
  use(kind: HostKind): void {
    let program = this.#program;
    if (kind !== 'real') {
      program = join(this.#dataDir, `${kind}-host`);
      const entry = fileURLToPath(new URL('./echo-host.ts', import.meta.url));
      const words = [process.execPath, '--no-warnings', entry, kind].map((word) => `'${word}'`);
      writeFileSync(program, `#!/bin/sh\nexec ${words.join(' ')}\n`, { mode: 0o755 });
    }
    const manifest: object = JSON.parse(readFileSync(this.#manifest, 'utf8'));
    writeFileSync(this.#manifest, JSON.stringify({ ...manifest, path: program }));
  }

  /** Keeps the element's store as it is now. The element must not run. */
  saveElement(): void {
    cpSync(join(this.#dataDir, ELEMENT_FOLDER), this.#saved(), { recursive: true });
  }

  /** Puts the kept store back: what the element has learnt since, its ticket too, is gone. */
  restoreElement(): void {
    rmSync(join(this.#dataDir, ELEMENT_FOLDER), { recursive: true, force: true });
    cpSync(this.#saved(), join(this.#dataDir, ELEMENT_FOLDER), { recursive: true });
  }

  /** Resolves when the element has its certificate. */
  async enrolled(): Promise<void> {
    await this.#until('the enrolment', () =>
      this.#lines().some(({ event }) => event === 'elementEnrolled'),
    );
  }

  /** When the element had the gateway's welcome of this payment, Unix time in milliseconds. */
  async welcomedAtMs(orderId: string): Promise<number> {
    let atMs: number | undefined;
    await this.#until('the hop of the channel', () => {
      const line = this.#lines().find(
        ({ event, name, references }) =>
          event === 'hop' && name === 'channel' && references?.includes(orderId),
      );
      atMs = line?.atMs;
      return atMs !== undefined;
    });
    return atMs ?? Number.NaN;
  }

  /** Resolves when neither a host nor an element of this system runs. */
  async ended(): Promise<void> {
    await this.#until('the end of host and element', () => !isRunning(this.#dataDir));
  }

  #saved(): string {
    return join(this.#dataDir, 'element-saved');
  }

  /** The installed wrapper, but for its diagnostics, which a browser would swallow. */
  #keepLog(): void {
    const text = readFileSync(this.#program, 'utf8');
    writeFileSync(this.#program, text.replace('"$@"', `"$@" 2>>'${this.#log}'`));
  }

  #lines(): readonly LogLine[] {
    if (!existsSync(this.#log)) return [];
    const lines = readFileSync(this.#log, 'utf8').split('\n');
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine);
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    const deadlineMs = systemClock.nowMs() + PATIENCE_MS;
    while (!isSo()) {
      if (systemClock.nowMs() > deadlineMs) {
        throw new TapError('ERR_BENCH_BROWSER', `${what} did not come; see ${this.#log}`);
      }
      await new Promise<void>((done) => {
        systemClock.startTimer(LOOK_AGAIN_MS, done);
      });
    }
  }
}

/** Whether a process of this machine names the host's configuration or the element's store. */
function isRunning(dataDir: string): boolean {
  const named = [join(dataDir, 'agent', 'host.json'), join(dataDir, ELEMENT_FOLDER)];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((name) => {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        return words.some((word) => named.includes(word));
      } catch {
        // It has just ended.
        return false;
      }
    });
}
