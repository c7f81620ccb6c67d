/** What the simulator says of its seeds: counts, and for a finding how it came. */
import { INVARIANTS, type Invariant } from './check.ts';
import type { SeedResult } from './simulate.ts';

/** Counts over many seeds. */
export type Totals = {
  readonly seeds: number;
  readonly clean: number;
  readonly payments: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly interfaces: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** One digest for all histories in order of seeds. */
  readonly digests: readonly string[];
};

/** Sums. */
export function totalsOf(results: readonly SeedResult[]): Totals {
  return {
    seeds: results.length,
    clean: results.filter(({ findings }) => findings.length === 0).length,
    payments: results.reduce((sum, { payments }) => sum + payments, 0),
    outcomes: added(results.map(({ outcomes }) => outcomes)),
    interfaces: added(results.map(({ interfaces }) => interfaces)),
    faults: added(results.map(({ faults }) => faults)),
    digests: results.map(({ digest }) => digest),
  };
}

function added(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((one) => Object.entries(one))) {
    sums[name] = (sums[name] ?? 0) + count;
  }
  return Object.fromEntries(Object.entries(sums).sort(([, left], [, right]) => right - left));
}

/** The counts as lines of text. */
export function totalsText(totals: Totals): string {
  const listed = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  return [
    `payments: ${totals.payments}`,
    `outcomes: ${listed(totals.outcomes)}`,
    `payments by interface: ${listed(totals.interfaces)}`,
    `faults: ${listed(totals.faults)}`,
    'checked after each seed, over the books of gateway, switch and issuer:',
    ...Object.entries(INVARIANTS).map(([name, text]) => `  ${name}  ${text}`),
    `clean: ${totals.clean} of ${totals.seeds} seeds`,
  ].join('\n');
}

/** How to run one seed again. */
export function replayCommand({ seed, bug }: Pick<SeedResult, 'seed' | 'bug'>): string {
  return `npm run sim -- --seed ${seed}${bug === 'none' ? '' : ` --bug ${bug}`}`;
}

/** Findings of a seed, their story, and how to see it again. */
export function findingText(result: SeedResult): string {
  const { seed, bug, digest, findings, story } = result;
  const planted = bug === 'none' ? '' : ` with the planted bug ${bug}`;
  return [
    `seed ${seed}${planted}: ${findings.length} findings, history ${digest}`,
    ...findings.map(({ invariant, what }) => `  ${invariant}  ${what} (${ruleOf(invariant)})`),
    'how the first one came:',
    ...story.map((line) => `  ${line}`),
    `again: ${replayCommand(result)}`,
  ].join('\n');
}

function ruleOf(invariant: Invariant): string {
  return INVARIANTS[invariant];
}

/** One line on a planted bug that was found. */
export function foundText(result: SeedResult): string {
  const [first] = result.findings;
  const what = first ? `${first.invariant}, ${first.what}` : 'nothing';
  const seeds = `${result.seed} ${result.seed === 1 ? 'seed' : 'seeds'}`;
  return `${result.bug}: found within ${seeds}: ${what} (${replayCommand(result)})`;
}
