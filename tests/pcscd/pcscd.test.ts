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
const INSIDE = { payments: 9, readers: 8 } as const;

const ARGUMENTS = ['--test-reporter=tap', '--test-timeout=30000', '--test'];

for (const [name, atLeast] of Object.entries(INSIDE)) {
  test(`over a real pcscd: ${name}`, { skip, timeout: 120_000 }, async (t) => {
    assert.equal(refusal, null, 'in CI the reader service must run');
    const file = new URL(`./inside/${name}.ts`, import.meta.url).pathname;
    const { code, output } = await runBesidePcscd(ARGUMENTS.concat(file));
    assert.equal(code, 0, output);
    const passed = Number(/^# pass (\d+)$/m.exec(output)?.[1] ?? 0);
    assert.ok(passed >= atLeast, output);
    for (const [, line] of output.matchAll(/^\s*# (PC\/SC .*)$/gm)) t.diagnostic(line ?? '');
  });
}
