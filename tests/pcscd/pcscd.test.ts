/**
 * Our readers, kernel and card over a real pcscd with vpcd. The tests themselves are in inside/ and
 * run in namespaces of their own; here they are started, and in CI they must have run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutBrowser } from '../browser/browser.test-kit.ts';
import { type PrivateRun, pcscdRefusal, runBesidePcscd } from './private-pcscd.test-kit.ts';

const refusal = pcscdRefusal();
const skip = refusal !== null && process.env['CI'] !== 'true' ? refusal : false;
/** Only one of them opens a browser. */
const skipOf = (name: string): string | false =>
  skip || (name === 'extension' ? withoutBrowser() : false);

/** Fewer than these is a run that skipped something. */
const INSIDE = {
  payments: 9,
  readers: 8,
  command: 3,
  pay: 3,
  agent: 4,
  'native-host': 5,
  extension: 5,
} as const;

const ARGUMENTS = ['--test-reporter=tap', '--test-timeout=30000', '--test'];

/** These start a whole system each, one after the other. */
const WHOLE_SYSTEMS: readonly string[] = ['pay', 'agent', 'extension'];
let systems: Promise<unknown> = Promise.resolve();

/** Each beside a pcscd of its own, at once where they wait more than they compute. */
const runs = Object.entries(INSIDE).map(([name, atLeast]) => {
  const file = new URL(`./inside/${name}.ts`, import.meta.url).pathname;
  const start = (): Promise<PrivateRun> => runBesidePcscd([...ARGUMENTS, file]);
  if (refusal !== null || skipOf(name)) return { name, atLeast, run: null };
  if (!WHOLE_SYSTEMS.includes(name)) return { name, atLeast, run: start() };
  const run = systems.then(start);
  systems = run.catch(() => {});
  return { name, atLeast, run };
});

for (const { name, atLeast, run } of runs) {
  test(`over a real pcscd: ${name}`, { skip: skipOf(name), timeout: 300_000 }, async (t) => {
    assert.ok(run, `in CI the reader service must run: ${refusal}`);
    const { code, output } = await run;
    assert.equal(code, 0, output);
    const passed = Number(/^# pass (\d+)$/m.exec(output)?.[1] ?? 0);
    assert.ok(passed >= atLeast, output);
    for (const [, line] of output.matchAll(/^\s*# (PC\/SC .*)$/gm)) t.diagnostic(line ?? '');
  });
}
