/**
 * Shows on real processes what `npm run faults` shows for the whole matrix: after kills at crash
 * points, faulty ways and the death of the database, the three books keep the invariants.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CELLS, SHORT_CELLS } from './cells.ts';
import { rowText, runCell } from './run.ts';
import { Trial } from './trial.ts';

let trial: Trial | null = null;
before(async () => {
  trial = await Trial.start(4, () => undefined);
});
after(() => trial?.close());

for (const name of SHORT_CELLS) {
  test(name, async () => {
    const cell = CELLS.find((other) => other.name === name);
    assert.ok(trial && cell, 'there is such a cell');
    const result = await runCell(trial, cell, 1);
    assert.equal(result.findings.length, 0, rowText(result));
    assert.ok(result.struck > 0, 'it struck');
    assert.ok(result.orders > 0, 'there was work');
    if (name === 'nothing') assert.equal(result.approved, result.orders, 'all is approved');
  });
}
