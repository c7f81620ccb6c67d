/** Runs cells of the matrix on one trial, and says what came of each. */
import type { Finding } from '../sim/check.ts';
import type { Cell } from './cells.ts';
import type { Trial } from './trial.ts';
import { type WorkCounts, work } from './work.ts';

/** What came of a cell. */
export type CellResult = WorkCounts & {
  readonly name: string;
  /** How often it struck. */
  readonly struck: number;
  readonly reversed: number;
  readonly seconds: number;
  readonly findings: readonly Finding[];
};

/** Strikes, works, heals, waits for rest, checks. */
export async function runCell(trial: Trial, cell: Cell, errands: number): Promise<CellResult> {
  const startMs = performance.now();
  await trial.ready();
  const before = reversedOf(trial);
  const heal = await cell.strike(trial);
  const counts = await work(trial, errands);
  const struck = await heal();
  const { books, findings } = await trial.check();
  trial.seen = books.payments;
  const seconds = (performance.now() - startMs) / 1000;
  const { name } = cell;
  return { name, ...counts, struck, reversed: reversedOf(trial) - before, seconds, findings };
}

function reversedOf({ seen }: Trial): number {
  return seen.filter(({ state }) => state === 'reversed').length;
}

const COLUMNS = ['struck', 'orders', 'approved', 'otherwise', 'operations', 'reversed'] as const;
const NAME_COLUMNS = 52;

/** Head of the table. */
export function headText(): string {
  return `${'cell'.padEnd(NAME_COLUMNS)}${COLUMNS.map((name) => name.padStart(11)).join('')}  seconds`;
}

/** One row, and under it what was found. */
export function rowText(result: CellResult): string {
  const numbers = COLUMNS.map((name) => String(result[name]).padStart(11)).join('');
  const row = `${result.name.padEnd(NAME_COLUMNS)}${numbers}${result.seconds.toFixed(1).padStart(9)}`;
  const found = result.findings.map(({ invariant, what }) => `  ${invariant}  ${what}`);
  return [row, ...found].join('\n');
}
