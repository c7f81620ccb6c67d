/**
 * `npm run mutants -- [--count 200] [--seed 1] [--only TEXT]`: changes the acceptance kernel in one
 * place at a time and runs its tests; a mutant that no test notices survives and is listed. Exits 1
 * when fewer than 95 of 100 are killed. It stops by itself. `--only profile.ts:371:` takes the
 * places of one line.
 */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../sim/seeded.ts';
import { type Mutant, mutantsOf } from './mutate.ts';

const KILLED_SHARE_MIN = 0.95;
/** A mutant that keeps the tests running beyond this is killed: it hangs. */
const RUN_TIMEOUT_MS = 120_000;
const project = join(import.meta.dirname, '..', '..');
const SOURCES = [
  'protocol/src/emv/terminal/*.ts',
  'protocol/src/emv/data/certificate-recovery*.ts',
];
/** The kernel's own tests first; those with the virtual card only for what survives them. */
const SUITES: readonly (readonly string[])[] = [
  ['protocol/src/emv/terminal/*.test.ts', 'protocol/src/emv/data/certificate-recovery*.test.ts'],
  [
    'protocol/src/emv/icc/*with-kernel*.test.ts',
    'protocol/src/emv/icc/sm.test.ts',
    'protocol/src/emv/issuer/certificates-sm.test.ts',
  ],
];

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
});

function allMutants(): Mutant[] {
  const files = globSync(SOURCES, { cwd: project })
    .filter((path) => !/\.(test|prop|test-kit)\b|test-kit/.test(path))
    .toSorted();
  const all = files.flatMap((path) => {
    const whole = join(project, path);
    return mutantsOf(whole, readFileSync(whole, 'utf8'));
  });
  return all.filter(({ path, line }) => `${path}:${line}:`.includes(values.only));
}

/** Runs the suites in turn up to the first that fails; true when all pass. */
async function testsPass(mutant: Mutant | null): Promise<boolean> {
  for (const suite of SUITES) if (!(await suitePasses(suite, mutant))) return false;
  return true;
}

async function suitePasses(suite: readonly string[], mutant: Mutant | null): Promise<boolean> {
  const hook = join(import.meta.dirname, 'hook.ts');
  const files = globSync(suite, { cwd: project }).toSorted();
  const child = spawn(
    process.execPath,
    [`--import=${hook}`, '--test', '--test-isolation=none', '--test-reporter=dot', ...files],
    {
      cwd: project,
      stdio: 'ignore',
      env: { ...process.env, TAPNPAY_MUTANT: JSON.stringify(mutant) },
      timeout: RUN_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    },
  );
  return await new Promise((resolve) => child.once('exit', (code) => resolve(code === 0)));
}

function nameOf({ path, line, before, after }: Mutant): string {
  return `${path.slice(project.length + 1)}:${line}  ${before}  ->  ${after === '' ? '(nothing)' : after}`;
}

async function main(): Promise<number> {
  const random = new SeededRandom(Number(values.seed));
  const pool = allMutants();
  const chosen: Mutant[] = [];
  while (chosen.length < Number(values.count) && pool.length > 0) {
    chosen.push(...pool.splice(random.between(0, pool.length - 1), 1));
  }
  if (!(await testsPass(null))) {
    process.stderr.write('the tests fail without any mutant: nothing can be learnt\n');
    return 2;
  }
  const survivors: Mutant[] = [];
  let done = 0;
  const next = chosen.values();
  const work = async (): Promise<void> => {
    for (const mutant of next) {
      if (await testsPass(mutant)) survivors.push(mutant);
      done += 1;
      process.stderr.write(`\r${done} of ${chosen.length}, ${survivors.length} survive `);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const killed = chosen.length - survivors.length;
  process.stdout.write(`\n${killed} of ${chosen.length} mutants killed (seed ${values.seed})\n`);
  for (const survivor of survivors) process.stdout.write(`survives: ${nameOf(survivor)}\n`);
  return killed >= KILLED_SHARE_MIN * chosen.length ? 0 : 1;
}

process.exitCode = await main();
