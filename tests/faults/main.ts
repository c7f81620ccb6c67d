/**
 * `npm run faults [-- --cell TEXT] [--errands N]`: the fault matrix on real processes. Each cell
 * strikes while payers pay and the merchant works; then everything must come to rest, and the
 * checker reads the books of gateway, switch and issuer. Ends with 1 for a finding, and for a cell
 * that did not strike.
 */
import { parseArgs } from 'node:util';
import { tapnpay } from '../system.test-kit.ts';
import { CELLS } from './cells.ts';
import { type CellResult, headText, rowText, runCell } from './run.ts';
import { Trial } from './trial.ts';

const PAYERS = 4;
const ERRANDS = 2;
/** Systems at once. */
const LANES = 3;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const { values } = parseArgs({
  options: { cell: { type: 'string', multiple: true }, errands: { type: 'string' } },
});
const wanted = values.cell ?? [''];
const cells = CELLS.filter(({ name }) => wanted.some((text) => name.includes(text)));
const errands = Number(values.errands ?? ERRANDS);
if (cells.length === 0 || !(errands >= 1)) {
  process.stderr.write('no such cell, or no errands\n');
  process.exit(2);
}
const results: CellResult[] = [];
const waiting = [...cells];
let isBroken = false;

/** One system takes cells until there are none; ends with the verdict on its audit log. */
async function lane(trial: Trial, number: number): Promise<void> {
  try {
    for (let cell = waiting.shift(); cell; cell = waiting.shift()) {
      const result = await runCell(trial, cell, errands);
      results.push(result);
      say(rowText(result));
      // The books are what they are from here on: later cells would tell the same again.
      if (result.findings.length > 0) break;
    }
    const audit = await tapnpay(['audit', 'verify', '--data', trial.config.dataDir]);
    say(`system ${number}, audit log: ${audit.stdout.trim().replace('\n', ', ')}`);
    if (audit.code !== 0) isBroken = true;
  } finally {
    await trial.close();
  }
}

const startMs = performance.now();
say(headText());
// A cell mostly waits: for time-outs, leases and starts.
const lanes = Math.min(LANES, cells.length);
const running: Promise<void>[] = [];
try {
  for (let number = 1; number <= lanes; number++) {
    const trial = await Trial.start(PAYERS, (text) => process.stderr.write(`… ${text}\n`));
    running.push(lane(trial, number));
  }
} finally {
  await Promise.all(running);
}
const silent = results.filter(({ struck }) => struck === 0).map(({ name }) => name);
const found = results.flatMap(({ findings }) => findings);
if (silent.length > 0) say(`cells that did not strike: ${silent.join(', ')}`);
const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
say(`${results.length} of ${cells.length} cells, ${found.length} findings, ${seconds} s`);
const isWhole = results.length === cells.length && silent.length === 0;
process.exitCode = found.length > 0 || isBroken || !isWhole ? 1 : 0;
