/**
 * `npm run sim -- --seeds N [--seed S] [--bug NAME] [--prove] [--json]`: simulates seeds 1 to N, or
 * seed S alone, and checks the books. A run of many seeds then shows that each planted bug is found,
 * unless `--no-prove` is given. Ends with 1 for a finding, or for a planted bug that is not found.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '@tapnpay/protocol/node';
import { BUGS, PLANTED_BUGS } from './bugs.ts';
import { SeedPool } from './pool.ts';
import { findingText, foundText, type Totals, totalsOf, totalsText } from './report.ts';
import type { SeedResult } from './simulate.ts';

const SEEDS_DEFAULT = 100;
const SEEDS_MAX = 1_000_000;
/** Seeds in which a planted bug must be found. */
const PROOF_SEEDS = 60;
const PROGRESS_MS = 1_000;

type Options = {
  readonly first: number;
  readonly count: number;
  readonly bug: string;
  readonly prove: boolean;
  readonly json: boolean;
};

/** Counts of the run, the first seed with a finding, and the first seed of each planted bug. */
type Report = {
  readonly totals: Totals;
  readonly finding: SeedResult | null;
  readonly proofs: readonly { readonly bug: string; readonly found: SeedResult | null }[];
  readonly seconds: number;
};

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      bug: { type: 'string', default: 'none' },
      prove: { type: 'boolean' },
      json: { type: 'boolean', default: false },
    },
    allowNegative: true,
  });
  const { bug, json } = values;
  if (!Object.hasOwn(BUGS, bug)) {
    throw new RangeError(`--bug is one of ${PLANTED_BUGS.join(', ')}`);
  }
  const seed = values.seed === undefined ? null : wholeNumber('--seed', values.seed);
  const count = seed === null ? wholeNumber('--seeds', values.seeds ?? `${SEEDS_DEFAULT}`) : 1;
  const prove = values.prove ?? (bug === 'none' && seed === null);
  return { first: seed ?? 1, count, bug, prove, json };
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (/^[0-9]{1,7}$/.test(text) && value >= 1 && value <= SEEDS_MAX) return value;
  throw new RangeError(`${name} is a whole number from 1 to ${SEEDS_MAX}`);
}

async function run(options: Options, say: (text: string) => void): Promise<Report> {
  const startMs = systemClock.nowMs();
  const pool = await SeedPool.open();
  const { first, count, bug } = options;
  say(`simulating ${count === 1 ? `seed ${first}` : `${count} seeds`} on ${pool.threads} threads`);
  try {
    const results = await pool.run(
      { first, count, bug },
      { stopAtFinding: bug !== 'none', onResult: progress(count, say) },
    );
    const finding = results.find(({ findings }) => findings.length > 0) ?? null;
    const proofs: { readonly bug: string; readonly found: SeedResult | null }[] = [];
    for (const planted of options.prove ? PLANTED_BUGS : []) {
      const range = { first: 1, count: PROOF_SEEDS, bug: planted };
      const tried = await pool.run(range, { stopAtFinding: true });
      const found = tried.find(({ findings }) => findings.length > 0) ?? null;
      proofs.push({ bug: planted, found });
    }
    const seconds = (systemClock.nowMs() - startMs) / 1000;
    return { totals: totalsOf(results), finding, proofs, seconds };
  } finally {
    await pool.close();
  }
}

/** Says how far it is, once a second. */
function progress(count: number, say: (text: string) => void): (result: SeedResult) => void {
  let saidMs = systemClock.nowMs();
  let done = 0;
  let found = 0;
  return ({ findings }) => {
    done += 1;
    if (findings.length > 0) found += 1;
    if (systemClock.nowMs() - saidMs < PROGRESS_MS) return;
    saidMs = systemClock.nowMs();
    say(`${done} of ${count} seeds, ${found} with findings`);
  };
}

function print(report: Report, say: (text: string) => void): void {
  const { totals, finding, proofs, seconds } = report;
  say(totalsText(totals));
  if (totals.digests.length === 1) say(`history: ${totals.digests[0]}`);
  if (finding) say(findingText(finding));
  for (const { bug, found } of proofs) {
    say(`planted bug ${found ? foundText(found) : `${bug}: NOT FOUND in ${PROOF_SEEDS} seeds`}`);
  }
  say(`${seconds.toFixed(1)} s`);
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
try {
  const options = readOptions();
  const report = await run(options, options.json ? () => undefined : say);
  if (options.json) say(JSON.stringify(report));
  else print(report, say);
  const isMissed = report.proofs.some(({ found }) => found === null);
  process.exitCode = report.finding || isMissed ? 1 : 0;
} catch (fault) {
  if (!(fault instanceof RangeError || fault instanceof TypeError)) throw fault;
  process.stderr.write(`${fault.message}\n`);
  process.exitCode = 2;
}
