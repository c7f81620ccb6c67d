/**
 * Shows that fees are rounded once and half up, that parts given back add up to the fee exactly
 * whatever the parts (complaint 23), and that a split leaves no residue and favours nobody.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_FEE_PLAN, feeOf, returnedFeeOf, split } from './fees.ts';

const amount = fc.bigInt({ min: 1n, max: 999_999_999_999n });
const plan = (basisPoints: number, fixedMinor = 0n) => ({
  ...{ ...DEFAULT_FEE_PLAN, basisPoints, fixedMinor },
});

test('a fee is rounded half up, once, and never exceeds its amount', () => {
  for (const [basisPoints, fixedMinor, amountMinor, feeMinor] of [
    [60, 0n, 10_000n, 60n],
    [60, 0n, 83n, 0n],
    [60, 0n, 84n, 1n],
    [50, 0n, 99n, 0n],
    [50, 0n, 100n, 1n],
    [50, 0n, 299n, 1n],
    [50, 0n, 300n, 2n],
    [38, 8n, 1234n, 13n],
    [0, 0n, 999_999_999_999n, 0n],
    [10_000, 5n, 7n, 7n],
    [0, 100n, 1n, 1n],
    [60, 0n, 999_999_999_999n, 6_000_000_000n],
  ] as const) {
    assert.equal(feeOf(plan(basisPoints, fixedMinor), amountMinor), feeMinor);
  }
});

test('the fee given back for any parts of a sale adds up to its fee, never to more before', () => {
  fc.assert(
    fc.property(
      amount,
      fc.integer({ min: 0, max: 10_000 }),
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 20 }),
      (amountMinor, basisPoints, weights) => {
        const feeMinor = feeOf(plan(basisPoints, 3n), amountMinor);
        let returnedBeforeMinor = 0n;
        let givenBack = 0n;
        const parts = split(amountMinor, weights).filter((part) => part > 0n);
        for (const returnedMinor of parts) {
          const back = returnedFeeOf({
            ...{ feeMinor, amountMinor, returnedBeforeMinor, returnedMinor },
          });
          assert.ok(back >= 0n && back <= returnedMinor, 'no part gives back more than itself');
          givenBack += back;
          returnedBeforeMinor += returnedMinor;
          assert.ok(givenBack <= feeMinor);
        }
        assert.equal(givenBack, feeMinor);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('a split adds up, is within one unit of the exact share, and mirrors when negative', () => {
  const weights = fc
    .array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 8 })
    .filter((all) => all.some((weight) => weight > 0));
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 999_999_999_999n }), weights, (total, all) => {
      const parts = split(total, all);
      const sum = BigInt(all.reduce((one, other) => one + other, 0));
      assert.equal(
        parts.reduce((one, other) => one + other, 0n),
        total,
      );
      for (const [place, part] of parts.entries()) {
        const exact = total * BigInt(all[place] ?? 0);
        assert.ok(part * sum > exact - sum && part * sum < exact + sum);
      }
      assert.deepEqual(
        split(-total, all),
        parts.map((part) => -part),
      );
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual(split(10n, [7, 2, 1]), [7n, 2n, 1n]);
  assert.deepEqual(split(1n, [1, 1, 1]), [1n, 0n, 0n]);
  assert.deepEqual(split(5n, [1, 1, 1]), [2n, 2n, 1n]);
  assert.deepEqual(split(4n, [5, 3, 2]), [2n, 1n, 1n]);
});
