/** The time line's scale: true while machines work, short where a person is waited for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TraceDocument } from '@tapnpay/protocol/wire';
import { traceFixture } from './inside.test-kit.ts';
import { durationText, scaleOf, stretchOf } from './scale.ts';

test('places grow with time from 0 to 1, a wait takes little of the line', () => {
  const document = traceFixture();
  const scale = scaleOf(document);
  const times = document.hops.flatMap(({ ms }) => (ms === null ? [] : [ms])).sort((a, b) => a - b);
  const places = times.map(scale.place);
  assert.deepEqual(
    places,
    places.toSorted((left, right) => left - right),
  );
  assert.equal(scale.place(0), 0);
  assert.equal(scale.place(document.totalMs), 1);
  assert.equal(scale.waits.length, 1);
  const [wait] = scale.waits;
  assert.equal(wait?.ms, 8_020);
  assert.ok((wait?.to ?? 1) - (wait?.from ?? 0) < 0.4, 'eight seconds do not push the rest aside');
  assert.ok(scale.activeMs < 400);
});

test('a document without any instant has a scale all the same', () => {
  const document = traceFixture();
  const hops = document.hops.map((hop) => ({ ...hop, ms: null, items: [] }));
  const empty: TraceDocument = { ...document, hops, totalMs: 0 };
  assert.equal(scaleOf(empty).place(5), 0);
  assert.deepEqual(scaleOf(empty).waits, []);
  for (const hop of hops) assert.equal(stretchOf(hop), null);
});

test('a hop stretches from the first to the last thing seen in it, its own record included', () => {
  const tap = traceFixture().hops.find(({ hop }) => hop === 'tap');
  assert.ok(tap);
  assert.deepEqual(stretchOf(tap), { startMs: 8_100, endMs: 8_140 });
});

test('durations are short texts', () => {
  const texts = [0, 0.36, 9.94, 12.4, 999, 1_000, 8_049, 61_000].map(durationText);
  assert.deepEqual(texts, [
    '0 ms',
    '0.4 ms',
    '9.9 ms',
    '12 ms',
    '999 ms',
    '1.00 s',
    '8.05 s',
    '61.00 s',
  ]);
});
