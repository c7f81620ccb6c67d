/**
 * Shows with a few seeds what `npm run sim` shows with many: the books keep their invariants under
 * faults, a seed is one history, and each planted bug is found with a story. @see docs/a-tap.md
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { PLANTED_BUGS } from './bugs.ts';
import { FAULT_KINDS } from './faults.ts';
import { SeedPool } from './pool.ts';
import { findingText, totalsOf } from './report.ts';
import { type SeedResult, simulate } from './simulate.ts';
import { prepareSystem, type SimSystem } from './system.ts';

const SEEDS = 30;
/** Seeds in which a planted bug must be found here; `npm run sim` prints how many it takes. */
const PROOF_SEEDS = 200;
let system: SimSystem;

before(async () => {
  system = await prepareSystem();
});

test(`${SEEDS} seeds keep all invariants, with all outcomes and faults among them`, async () => {
  const pool = await SeedPool.open();
  let results: readonly SeedResult[];
  try {
    const range = { first: 1, count: SEEDS, bug: 'none' };
    results = await pool.run(range, { stopAtFinding: false });
  } finally {
    await pool.close();
  }
  const found = results.find(({ findings }) => findings.length > 0);
  assert.equal(found && findingText(found), undefined);
  const { outcomes, interfaces, faults, payments, seeds } = totalsOf(results);
  assert.equal(seeds, SEEDS);
  assert.ok(payments > SEEDS, `${payments} payments`);
  const ends = ['captured', 'declined', 'reversed', 'held'].map((state) => `payment ${state}`);
  const operations = ['capture succeeded', 'refund succeeded', 'void succeeded'];
  for (const outcome of [...ends, ...operations]) {
    assert.ok((outcomes[outcome] ?? 0) > 0, outcome);
  }
  for (const by of ['contact', 'contactless']) {
    for (const end of ['captured', 'declined', 'reversed']) {
      assert.ok((interfaces[`${by} ${end}`] ?? 0) > 0, `${by} ${end}`);
    }
  }
  for (const fault of FAULT_KINDS) assert.ok((faults[fault] ?? 0) > 0, fault);
});

test('the same seed is the same history, another seed another', async () => {
  const [first, again, other] = [
    await simulate(system, 3),
    await simulate(system, 3),
    await simulate(system, 4),
  ];
  assert.deepEqual(again, first);
  assert.notEqual(other.digest, first.digest);
});

for (const bug of PLANTED_BUGS) {
  test(`the planted bug ${bug} is found, with its story`, async () => {
    for (let seed = 1; seed <= PROOF_SEEDS; seed++) {
      const { findings, story } = await simulate(system, seed, bug);
      if (findings.length === 0) continue;
      assert.ok(findings[0]?.about.length === 0 || story.length > 0);
      return;
    }
    assert.fail(`not found in ${PROOF_SEEDS} seeds`);
  });
}
