/**
 * `npm run sim -- --seeds N [--seed S] [--bug NAME] [--bugs] [--json]`: simulates seeds 1 to N, or
 * seed S alone, and checks the books. A run of many seeds then shows that each planted bug is found,
 * unless `--no-bugs` is given; `--bugs` alone shows nothing else. Ends with 1 for a finding, for a
 * kind of fault that never struck, or for a planted bug that is not found.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '@tapnpay/protocol/node';
import { BUGS, PLANTED_BUGS } from './bugs.ts';
import { FAULT_KINDS } from './faults.ts';
import { SeedPool } from './pool.ts';
import { findingText, foundText, type Totals, totalsOf, totalsText } from './report.ts';
import type { SeedResult } from './simulate.ts';

const SEEDS_DEFAULT = 100;
const SEEDS_MAX = 1_000_000;
/** Seeds in which a planted bug must be found. */
const PROOF_SEEDS = 200;
/** A run of so many seeds must have every kind of fault in it. */
const ALL_KINDS_SEEDS = 100;
const PROGRESS_MS = 1_000;

type Options = {
  readonly first: number;
  readonly count: number;
  readonly bug: string;
  readonly bugs: boolean;
  readonly json: boolean;
};

/** Counts of the run, the first seed with a finding, and the first seed of each planted bug. */
type Report = {
  readonly totals: Totals;
  readonly finding: SeedResult | null;
  /** Kinds of faults that never struck in a run of many seeds. */
  readonly missingFaults: readonly string[];
  readonly proofs: readonly Proof[];
  readonly seconds: number;
};
type Proof = { readonly bug: string; readonly found: SeedResult | null };

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      bug: { type: 'string', default: 'none' },
      bugs: { type: 'boolean' },
      json: { type: 'boolean', default: false },
    },
    allowNegative: true,
  });
  const { bug, json } = values;
  if (!Object.hasOwn(BUGS, bug)) {
    throw new RangeError(`--bug is one of ${PLANTED_BUGS.join(', ')}`);
  }
  const seed = values.seed === undefined ? null : wholeNumber('--seed', values.seed);
  const seeds = values.seeds === undefined ? null : wholeNumber('--seeds', values.seeds);
  const count = seed !== null ? 1 : (seeds ?? (values.bugs ? 0 : SEEDS_DEFAULT));
  const bugs = values.bugs ?? (bug === 'none' && seed === null);
  return { first: seed ?? 1, count, bug, bugs, json };
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
  const what = count === 1 ? `seed ${first}` : `${count} seeds`;
  if (count > 0) say(`simulating ${what} on ${pool.threads} threads`);
  try {
    const results = await pool.run(
      { first, count, bug },
      { stopAtFinding: bug !== 'none', onResult: progress(count, say) },
    );
    const finding = results.find(({ findings }) => findings.length > 0) ?? null;
    const totals = totalsOf(results);
    const isLong = count >= ALL_KINDS_SEEDS && bug === 'none';
    const missingFaults = isLong ? FAULT_KINDS.filter((kind) => !totals.faults[kind]) : [];
    const proofs = options.bugs ? await prove(pool, say) : [];
    const seconds = (systemClock.nowMs() - startMs) / 1000;
    return { totals, finding, missingFaults, proofs, seconds };
  } finally {
    await pool.close();
  }
}

/** The first seed that finds each planted bug. */
async function prove(pool: SeedPool, say: (text: string) => void): Promise<readonly Proof[]> {
  const proofs: Proof[] = [];
  say(`planted bugs, each to be found within ${PROOF_SEEDS} seeds:`);
  for (const bug of PLANTED_BUGS) {
    const range = { first: 1, count: PROOF_SEEDS, bug };
    const tried = await pool.run(range, { stopAtFinding: true });
    const found = tried.find(({ findings }) => findings.length > 0) ?? null;
    say(found ? foundText(found) : `${bug}: NOT FOUND in ${PROOF_SEEDS} seeds`);
    proofs.push({ bug, found });
  }
  const found = proofs.filter((proof) => proof.found !== null).length;
  say(`found ${found} of ${proofs.length} planted bugs`);
  return proofs;
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
  const { totals, finding, missingFaults, seconds } = report;
  if (totals.seeds > 0) say(totalsText(totals));
  if (totals.digests.length === 1) say(`history: ${totals.digests[0]}`);
  if (missingFaults.length > 0) say(`faults that never struck: ${missingFaults.join(', ')}`);
  if (finding) say(findingText(finding));
  say(`${seconds.toFixed(1)} s`);
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
try {
  const options = readOptions();
  const report = await run(options, options.json ? () => undefined : say);
  if (options.json) say(JSON.stringify(report));
  else print(report, say);
  const isMissed = report.proofs.some(({ found }) => found === null);
  const isSilent = report.missingFaults.length > 0;
  process.exitCode = report.finding || isMissed || isSilent ? 1 : 0;
} catch (fault) {
  if (!(fault instanceof RangeError || fault instanceof TypeError)) throw fault;
  process.stderr.write(`${fault.message}\n`);
  process.exitCode = 2;
}
