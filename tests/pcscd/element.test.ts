/**
 * The secure element managed through a real pcscd with vpcd: every protocol, key and level, and a
 * cut at every APDU. The tests themselves are in inside/ and run in namespaces of their own.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pcscdRefusal, runBesidePcscd } from './private-pcscd.test-kit.ts';

const refusal = pcscdRefusal();
const skip = refusal !== null && process.env['CI'] !== 'true' ? refusal : false;

/** Fewer than these is a run that skipped something. */
const INSIDE = { element: 8, 'element-tear': 2 } as const;
const ARGUMENTS = ['--test-reporter=tap', '--test-timeout=200000', '--test'];

for (const [name, atLeast] of Object.entries(INSIDE)) {
  test(`over a real pcscd: ${name}`, { skip, timeout: 300_000 }, async (t) => {
    assert.equal(refusal, null, 'in CI the reader service must run');
    const file = new URL(`./inside/${name}.ts`, import.meta.url).pathname;
    const { code, output } = await runBesidePcscd([...ARGUMENTS, file], { timeoutMs: 280_000 });
    assert.equal(code, 0, output);
    const passed = Number(/^# pass (\d+)$/m.exec(output)?.[1] ?? 0);
    assert.ok(passed >= atLeast, output);
    for (const [, line] of output.matchAll(/^\s*# (PC\/SC .*)$/gm)) t.diagnostic(line ?? '');
  });
}
