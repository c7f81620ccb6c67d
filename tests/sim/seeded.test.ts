/** Shows that a seed owns time and randomness: the same seed gives the same world. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom, VirtualClock } from './seeded.ts';

test('the same seed gives the same bytes, another seed others', () => {
  const draw = (seed: number) => [...new SeededRandom(seed).bytes(32)].join();
  assert.equal(draw(7), draw(7));
  assert.notEqual(draw(7), draw(8));
});

test('chances and ranges are roughly what they say', () => {
  const random = new SeededRandom(1);
  const hits = Array.from({ length: 10_000 }, () => random.chance(0.2)).filter(Boolean).length;
  assert.ok(hits > 1800 && hits < 2200, `${hits} of 10000 for 0.2`);
  const values = new Set(Array.from({ length: 1000 }, () => random.between(3, 5)));
  assert.deepEqual([...values].sort(), [3, 4, 5]);
});

test('the clock runs timers in order of time, settles promises between them, takes no real time', async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const start = clock.nowMs();
  clock.startTimer(5000, () => seen.push('late'));
  const cancel = clock.startTimer(20, () => seen.push('cancelled'));
  clock.startTimer(10, () => {
    seen.push('early');
    void clock.sleep(1).then(() => seen.push('slept'));
  });
  cancel();
  await clock.run(60_000);
  assert.deepEqual(seen, ['early', 'slept', 'late']);
  assert.equal(clock.nowMs() - start, 60_000);
});
