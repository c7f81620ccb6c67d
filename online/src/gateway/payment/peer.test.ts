/** Shows that a channel remembers its newest orders only, however long it lives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PEER_REMEMBERS_MAX, Remembered } from './peer.ts';

test('the oldest are forgotten; one that is set again is the newest', () => {
  const kept = new Remembered<number>();
  for (let count = 0; count < PEER_REMEMBERS_MAX; count++) kept.set(`order-${count}`, count);
  kept.set('order-0', 100);
  for (let count = 0; count < 1_000; count++) {
    kept.set(`later-${count}`, count);
    assert.equal(kept.size, PEER_REMEMBERS_MAX);
    assert.equal(kept.has('order-0'), count < PEER_REMEMBERS_MAX - 1);
  }
  assert.ok(kept.has('later-999') && !kept.has('order-1'));
});
