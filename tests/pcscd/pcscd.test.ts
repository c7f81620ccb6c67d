/**
 * Our readers, kernel and card over a real pcscd with vpcd. The tests themselves are in inside/ and
 * run in namespaces of their own; here they are started, and in CI they must have run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pcscdRefusal, runBesidePcscd } from './private-pcscd.test-kit.ts';

const refusal = pcscdRefusal();
const skip = refusal !== null && process.env['CI'] !== 'true' ? refusal : false;

/** Fewer than these is a run that skipped something. */
const INSIDE = { payments: 9, readers: 8, command: 3, pay: 3, agent: 4 } as const;

const ARGUMENTS = ['--test-reporter=tap', '--test-timeout=30000', '--test'];

/** Each beside a pcscd of its own, both at once: they wait more than they compute. */
const runs = Object.entries(INSIDE).map(([name, atLeast]) => {
  const file = new URL(`./inside/${name}.ts`, import.meta.url).pathname;
  return { name, atLeast, run: refusal === null ? runBesidePcscd([...ARGUMENTS, file]) : null };
});

for (const { name, atLeast, run } of runs) {
  test(`over a real pcscd: ${name}`, { skip, timeout: 120_000 }, async (t) => {
    assert.ok(run, `in CI the reader service must run: ${refusal}`);
    const { code, output } = await run;
    assert.equal(code, 0, output);
    const passed = Number(/^# pass (\d+)$/m.exec(output)?.[1] ?? 0);
    assert.ok(passed >= atLeast, output);
    for (const [, line] of output.matchAll(/^\s*# (PC\/SC .*)$/gm)) t.diagnostic(line ?? '');
  });
}
