/**
 * `npm test`: types, lint, then every test; names the steps that failed. Tests of whole systems and
 * of browsers run at the same time, for they wait more than they compute; what a step of two prints
 * is shown in one piece at its end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, globSync, mkdtempSync, readFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** One step: what a person reads, and the command. `node` stands for this very Node. */
type Step = {
  readonly name: string;
  readonly command: readonly string[];
  /** What it uses of tests/keeper.ts. */
  readonly uses?: 'server' | 'template';
};

/** Between a signal and the end of steps that do not follow it. */
const STOP_TIMEOUT_MS = 10_000;
const ROOT = join(import.meta.dirname, '..');
const TEST = [
  'node',
  '--import=./tools/property-seed.ts',
  '--test',
  '--test-timeout=300000',
] as const;
const ONE_PROCESS = [...TEST, '--test-isolation=none'] as const;

/** Tests of parties: those that share a process, and those of which each has its own. */
const PARTIES = ['element', 'agent', 'online', 'cli', 'web'].map(
  (party) => `${party}/**/*.test.ts`,
);
/**
 * Words of a test that touches what a process has once: children, environment, signals, mocks,
 * hooks of every test; or that holds much, as a database or a browser.
 */
const OWN_PROCESS =
  /startTestDatabase|child_process|worker_threads|playwright|process\.|\bmock\.|(before|after)Each/;

function partyTests(): { readonly shared: readonly string[]; readonly own: readonly string[] } {
  const files = globSync(PARTIES, { cwd: ROOT, exclude: ['**/node_modules'] }).sort();
  const isOwn = (file: string): boolean => OWN_PROCESS.test(readFileSync(join(ROOT, file), 'utf8'));
  return { shared: files.filter((file) => !isOwn(file)), own: files.filter(isOwn) };
}

const { shared, own } = partyTests();
const PAGES: Step = { name: 'pages', command: ['node', 'web/build.ts'] };
/** Campaigns: each has a command of its own, which README names. */
const LONG: readonly string[] = ['balance', 'plugin-faults', 'plugin-relay'];
const BROWSER = globSync('tests/browser/*.test.ts', { cwd: ROOT })
  .filter((file) => !LONG.includes(basename(file, '.test.ts')))
  .sort();

/** Phases follow one another; the lanes of a phase run at the same time. */
const PHASES: readonly (readonly (readonly Step[])[])[] = [
  [
    [
      { name: 'types', command: ['node_modules/.bin/tsc', '-b'] },
      { name: 'lint', command: ['node_modules/.bin/biome', 'ci', '.'] },
      {
        name: 'pure tests',
        command: [
          ...ONE_PROCESS,
          'protocol/**/*.test.ts',
          'applet/**/*.test.ts',
          'plugin/**/*.test.ts',
          'sdk/**/*.test.ts',
          'tools/**/*.test.ts',
        ],
      },
      { name: 'party tests in one process', command: [...ONE_PROCESS, ...shared] },
    ],
    [
      {
        name: 'party tests in processes of their own',
        command: [...TEST, '--test-concurrency=2', ...own],
        uses: 'server',
      },
    ],
  ],
  [
    [
      {
        name: 'whole system',
        command: [
          ...TEST,
          '--test-concurrency=1',
          'tests/*.test.ts',
          'tests/{faults,pcscd,sim}/*.test.ts',
        ],
        uses: 'template',
      },
    ],
    [
      {
        name: 'browser',
        command: [...TEST, '--test-concurrency=1', ...BROWSER],
        uses: 'template',
      },
    ],
  ],
];

/** What test files of a run share, and the end of all that belongs to it. */
type Keeper = {
  readonly places: Promise<Readonly<Record<string, string>>>;
  readonly close: () => Promise<void>;
};

function startKeeper(folder: string, parts: readonly string[]): Keeper {
  const child = spawn(process.execPath, ['tests/keeper.ts', folder, ...parts], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: folder },
  });
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  const line = new Promise<string>((done) => {
    createInterface({ input: child.stdout }).once('line', done);
  });
  const places = Promise.race([line, gone.then(() => '{}')]).then(
    (text) => JSON.parse(text) as Record<string, string>,
  );
  const close = async (): Promise<void> => {
    child.stdin.end();
    await gone;
  };
  return { places, close };
}

const failed: string[] = [];
const running = new Set<ChildProcess>();
let stoppedBy: NodeJS.Signals | null = null;

/** After a signal: children get it too and have a moment to end. */
function stop(signal: NodeJS.Signals): void {
  stoppedBy = signal;
  for (const child of running) child.kill(signal);
  setTimeout(() => {
    for (const child of running) child.kill('SIGKILL');
  }, STOP_TIMEOUT_MS).unref();
}

/** Runs a step; its output is shown at once where it is alone, else in one piece. */
async function runStep(step: Step, how: { isAlone: boolean; env: NodeJS.ProcessEnv }) {
  const { isAlone, env } = how;
  const started = performance.now();
  const [program = '', ...args] = step.command;
  process.stdout.write(isAlone ? `\n== ${step.name}\n` : `… ${step.name}\n`);
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    stdio: isAlone ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    cwd: ROOT,
    env,
  });
  running.add(child);
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => output.push(chunk));
  }
  const passed = await new Promise<boolean>((done) => {
    child.once('error', (fault) => {
      output.push(Buffer.from(`${fault.message}\n`));
      done(false);
    });
    child.once('close', (code) => done(code === 0));
  });
  running.delete(child);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (!isAlone) process.stdout.write(`\n== ${step.name}\n${Buffer.concat(output)}`);
  process.stdout.write(`== ${step.name}: ${passed ? 'ok' : 'FAILED'} in ${seconds} s\n`);
  if (!passed) failed.push(step.name);
}

async function main(only: readonly string[]): Promise<void> {
  const isWanted = ({ name }: Step): boolean =>
    only.length === 0 || only.some((word) => name.includes(word));
  const phases = PHASES.map((lanes) =>
    lanes.map((lane) => lane.filter(isWanted)).filter(({ length }) => length > 0),
  );
  const parts = new Set(phases.flat(2).flatMap(({ uses }) => uses ?? []));
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-run-'));
  // The database's own user must be able to pass.
  chmodSync(folder, 0o711);
  const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;
  const env = { ...process.env, PATH: path, TMPDIR: folder };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  if (isWanted(PAGES)) await runStep(PAGES, { isAlone: true, env });
  const keeper = startKeeper(folder, [...parts]);
  const runLane = async (lane: readonly Step[], isAlone: boolean): Promise<void> => {
    for (const step of lane) {
      const places = step.uses ? await keeper.places : {};
      if (stoppedBy) return;
      await runStep(step, { isAlone, env: { ...env, ...places } });
    }
  };
  for (const lanes of phases) {
    await Promise.all(lanes.map((lane) => runLane(lane, lanes.length === 1)));
  }
  await keeper.close();
}

const startedMs = performance.now();
await main(process.argv.slice(2));
const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
process.stdout.write(
  failed.length > 0 ? `\nfailed: ${failed.join(', ')}\n` : `\nall ok in ${minutes} min\n`,
);
process.exitCode = stoppedBy ? 128 + constants.signals[stoppedBy] : Math.min(failed.length, 1);
