/**
 * Shows with a few seeds what `npm run sim` shows with many: the books keep their invariants under
 * faults, a seed is one history, and each planted bug is found. @see docs/a-tap.md
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { PLANTED_BUGS } from './bugs.ts';
import { SeedPool } from './pool.ts';
import { findingText, totalsOf } from './report.ts';
import { type SeedResult, simulate } from './simulate.ts';
import { prepareSystem, type SimSystem } from './system.ts';

const SEEDS = 40;
const PROOF_SEEDS = 100;
let system: SimSystem;

before(async () => {
  system = await prepareSystem();
});

test(`${SEEDS} seeds keep I1 to I6, and every kind of fault and outcome is among them`, async () => {
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
  for (const outcome of ['payment captured', 'payment declined', 'payment reversed']) {
    assert.ok((outcomes[outcome] ?? 0) > 0, outcome);
  }
  for (const by of ['contact', 'contactless']) {
    for (const end of ['captured', 'declined', 'reversed']) {
      assert.ok((interfaces[`${by} ${end}`] ?? 0) > 0, `${by} ${end}`);
    }
  }
  const kinds = [
    'loss',
    'duplicate',
    'slow',
    'late',
    'cut',
    'store fault',
    'bent MAC',
    'bent body',
  ];
  const kills = ['kill gateway', 'kill switch', 'kill issuer'];
  const payers = ['wrongPin', 'bentArqc', 'bentArpc', 'pulled', 'completionLost', 'two payers'];
  const taps = ['torn tap', 'inserted after a tap', 'channel lost'];
  for (const fault of [...kinds, ...kills, ...payers, ...taps]) {
    assert.ok((faults[fault] ?? 0) > 0, fault);
  }
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
      assert.ok(story.length > 0);
      return;
    }
    assert.fail(`not found in ${PROOF_SEEDS} seeds`);
  });
}
