/** A whole system in its own processes, a temporary folder and free ports, for system tests. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const cliEntry = join(import.meta.dirname, '../cli/src/main.ts');
const READY_TIMEOUT_MS = 60_000;

/** A folder that the database's own user can pass. */
export function temporaryDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-test-'));
  chmodSync(dataDir, 0o711);
  return dataDir;
}

/** What a command printed and how it ended. */
export type CommandResult = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** Runs one `tapnpay` command to its end. */
export async function tapnpay(
  args: readonly string[],
  options: {
    readonly input?: string;
    readonly onStart?: (child: ChildProcess) => void;
    readonly env?: NodeJS.ProcessEnv;
  } = {},
): Promise<CommandResult> {
  const child = spawn(process.execPath, [cliEntry, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: options.env ?? process.env,
  });
  options.onStart?.(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.end(options.input ?? '');
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, stdout, stderr };
}

/** A running `tapnpay up`. */
export class TestSystem {
  readonly dataDir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #template: string | undefined;
  readonly #hasManager: boolean;
  #child: ChildProcess | null = null;
  #ready: ReadyFacts | null = null;
  readonly #taps: Set<ChildProcess> = new Set();

  /**
   * `isFresh` makes keys, cards and database itself; else they are those of the run's template,
   * whose elements have met their manager, and `hasManager` says whether it is there again.
   */
  constructor(
    dataDir: string,
    options: {
      readonly databaseUrl?: string;
      readonly isFresh?: boolean;
      readonly hasManager?: boolean;
    } = {},
  ) {
    const { databaseUrl, isFresh = databaseUrl !== undefined, hasManager = false } = options;
    this.#hasManager = hasManager;
    const { DATABASE_URL: _, ...env } = process.env;
    this.dataDir = dataDir;
    this.#env = databaseUrl === undefined ? env : { ...env, DATABASE_URL: databaseUrl };
    this.#template = isFresh ? undefined : process.env['TAPNPAY_TEST_TEMPLATE'];
  }

  /** Resolves with the milliseconds until it was ready; `more` are options of `up`. */
  async up(...more: readonly string[]): Promise<number> {
    if (this.#template && readdirSync(this.dataDir).length === 0) {
      copyFolder(this.#template, this.dataDir);
    }
    const isManaged = this.#hasManager || this.#template === undefined;
    const args = [
      ...[cliEntry, 'up', '--port', '0', '--data', this.dataDir, '--json', ...more],
      ...(isManaged ? [] : ['--without-manager']),
    ];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#env,
    });
    this.#child = child;
    let diagnostics = '';
    child.stderr.on('data', (chunk) => {
      diagnostics += chunk;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), READY_TIMEOUT_MS);
    const line = await new Promise<string>((done, fail) => {
      createInterface({ input: child.stdout }).once('line', done);
      child.once('exit', () => fail(new Error(`up ended: ${diagnostics}\n${this.logs()}`)));
    });
    clearTimeout(timer);
    const facts = JSON.parse(line) as ReadyFacts & { error?: unknown };
    if (facts.readyMs === undefined) throw new Error(`up ended: ${JSON.stringify(facts.error)}`);
    this.#ready = facts;
    return facts.readyMs;
  }

  /** What `up` printed. */
  get ready(): ReadyFacts {
    if (this.#ready === null) throw new Error('the system is not up');
    return this.#ready;
  }

  /** Where the database is, as the system's own configuration says. */
  get databaseUrl(): string {
    const file = readFileSync(join(this.dataDir, 'system.json'), 'utf8');
    return (JSON.parse(file) as { databaseUrl: string }).databaseUrl;
  }

  /** An order as a merchant's back end makes it. */
  async createOrder(order: {
    readonly amount: string;
    readonly fault?: string;
    readonly returnUrl?: string;
    readonly kind?: 'purchase' | 'ecashLoad';
  }): Promise<{ orderId: string; payUrl: string }> {
    const keys = readFileSync(join(this.dataDir, 'gateway', 'merchant-key.json'), 'utf8');
    const { apiKey } = JSON.parse(keys) as { apiKey: string };
    const { amount, fault, returnUrl, kind } = order;
    const response = await fetch(`${this.ready.gateway}/v1/orders`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${apiKey}`,
        'content-type': 'application/json',
        'idempotency-key': randomUUID(),
      },
      body: JSON.stringify({
        merchantOrderNumber: `N${Date.now()}`,
        amount,
        currency: '156',
        origin: this.ready.shop,
        ...(returnUrl ? { returnUrl } : {}),
        ...(kind ? { kind } : {}),
        ...(fault ? { lab: { fault } } : {}),
      }),
    });
    if (response.status !== 201) throw new Error(`no order: ${await response.text()}`);
    return (await response.json()) as { orderId: string; payUrl: string };
  }

  /** Process of a role, or of the element below the agent. */
  processOf(role: string): number {
    const words = role === 'element' ? ['element/src/main.ts'] : ['serve', role];
    const found = this.processes().filter((pid) => {
      const args = commandLine(pid);
      const isBelowAgent = role !== 'element' || args.includes(join(this.dataDir, 'element'));
      return isBelowAgent && words.every((word) => args.some((arg) => arg.endsWith(word)));
    });
    const pid = found.at(-1);
    if (pid === undefined) throw new Error(`no process of ${role}`);
    return pid;
  }

  /** Everything the parties logged. */
  logs(): string {
    const folder = join(this.dataDir, 'logs');
    try {
      return readdirSync(folder)
        .map((file) => `${file}\n${readFileSync(join(folder, file), 'utf8')}`)
        .join('\n');
    } catch {
      return '';
    }
  }

  /** One payment; the document of `--json`. */
  async tap(...args: readonly string[]): Promise<Record<string, never> & TapAnswer> {
    const onStart = (child: ChildProcess): void => {
      this.#taps.add(child);
      child.once('exit', () => this.#taps.delete(child));
    };
    const command = ['tap', '--json', '--data', this.dataDir, ...args];
    const result = await tapnpay(command, { onStart });
    try {
      return { ...JSON.parse(result.stdout), exitCode: result.code };
    } catch {
      throw new Error(`tap printed no document: ${result.stdout}${result.stderr}\n${this.logs()}`);
    }
  }

  /** Process numbers of `up`, running taps and everything below them, the database included. */
  processes(): readonly number[] {
    const tops = [this.#child, ...this.#taps].flatMap((child) => child?.pid ?? []);
    return tops.flatMap((top) => [top, ...descendants(top)]);
  }

  /** SIGKILL for every process of the system at once. */
  async killAll(): Promise<void> {
    const child = this.#child;
    const gone = new Promise((done) => child?.once('exit', done));
    for (const pid of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself a moment ago.
      }
    }
    await gone;
    this.#child = null;
  }

  /** Orderly end; the folder stays. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await gone;
  }

  /** Orderly end, and the folder removed. */
  async close(): Promise<void> {
    await this.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** What is in a folder, with its owners and rights: the database's files are not ours. */
function copyFolder(from: string, to: string): void {
  const result = spawnSync('cp', ['-a', `${from}/.`, to], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`cp -a ${from}: ${result.error ?? result.stderr}`);
}

/** What `up --json` prints. */
export type ReadyFacts = {
  readonly readyMs?: number;
  readonly shop: string;
  readonly wallet: string;
  readonly gateway: string;
  readonly observer: string;
  readonly pairingCode: string;
  readonly adminPassword: string;
};

/** The members of the document that tests look at. */
export type TapAnswer = {
  readonly exitCode: number | null;
  readonly outcome: string;
  readonly resolution: string | null;
  readonly reason: string | null;
  readonly charged: string;
  readonly responseCode: string | null;
  readonly orderId: string;
  readonly orderStatus: string;
  readonly paymentId: string | null;
  readonly amountMinor: string;
  readonly currency: string;
  readonly interface: string;
  readonly card: { readonly label: string; readonly panMasked: string };
  readonly cryptogram: {
    readonly arqc: string | null;
    readonly arpc: string | null;
    readonly second: string | null;
    readonly secondType: string | null;
  };
  readonly tvr: string;
  readonly tsi: string;
  readonly cvmResults: string;
  readonly dataAuthentication: string;
  readonly issuer: {
    readonly arqcVerified: boolean | null;
    readonly ledgerEntryId: string | null;
  };
  readonly channel: { readonly protocol: string; readonly mutual: boolean } | null;
  readonly hops: readonly {
    readonly n: number;
    readonly name: string;
    readonly status: string;
    readonly ms: number | null;
  }[];
  readonly totalMs: number;
};

function commandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function descendants(parent: number): readonly number[] {
  const found: number[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(entry)) continue;
    try {
      const status = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[1]) === parent) found.push(Number(entry), ...descendants(Number(entry)));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** Every file below a folder with its bytes; unreadable and vanished ones are left out. */
export function filesBelow(folder: string): readonly { path: string; bytes: Buffer }[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    try {
      return statSync(path).isFile() ? [{ path, bytes: readFileSync(path) }] : [];
    } catch {
      return [];
    }
  });
}
