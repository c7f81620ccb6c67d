/**
 * Fees of merchants, in minor units: each transaction's fee is rounded once, half up; what is given
 * back for refunds adds up to it exactly; what is split is split without residue.
 */

/** What a merchant pays for a sale or a capture. */
export type FeePlan = {
  /** Hundredths of a percent. */
  readonly basisPoints: number;
  readonly fixedMinor: bigint;
  /** Whether a refund gives back its part of the fee; a void always gives back all of it. */
  readonly refundReturnsFee: boolean;
  /** Who gets the fee, by weight. */
  readonly shares: readonly (readonly [who: string, weight: number])[];
};

/** Plan of a merchant that has none of its own: 0.60 %, shared 7:2:1. */
export const DEFAULT_FEE_PLAN: FeePlan = {
  basisPoints: 60,
  fixedMinor: 0n,
  refundReturnsFee: true,
  shares: [
    ['issuer', 7],
    ['acquirer', 2],
    ['switch', 1],
  ],
};

/** Fee of a sale, at most its amount. */
export function feeOf(plan: FeePlan, amountMinor: bigint): bigint {
  const feeMinor = dividedHalfUp(amountMinor * BigInt(plan.basisPoints), 10_000n) + plan.fixedMinor;
  return feeMinor < amountMinor ? feeMinor : amountMinor;
}

/** Fee given back for a part of a sale: with the parts before, always that of their sum. */
export function returnedFeeOf(sold: {
  readonly feeMinor: bigint;
  readonly amountMinor: bigint;
  readonly returnedBeforeMinor: bigint;
  readonly returnedMinor: bigint;
}): bigint {
  const { feeMinor, amountMinor, returnedBeforeMinor, returnedMinor } = sold;
  const upTo = (minor: bigint): bigint => dividedHalfUp(feeMinor * minor, amountMinor);
  return upTo(returnedBeforeMinor + returnedMinor) - upTo(returnedBeforeMinor);
}

/**
 * Parts of a total by weight that add up to it: each is rounded down, and the largest remainders
 * get one unit more; of equal ones the first. A negative total is split like its opposite.
 */
export function split(totalMinor: bigint, weights: readonly number[]): readonly bigint[] {
  if (totalMinor < 0n) return split(-totalMinor, weights).map((part) => -part);
  const sum = BigInt(weights.reduce((total, weight) => total + weight, 0));
  const exact = weights.map((weight) => totalMinor * BigInt(weight));
  const parts = exact.map((value) => value / sum);
  const left = Number(totalMinor - parts.reduce((total, part) => total + part, 0n));
  const order = exact
    .map((value, place) => ({ place, rest: value % sum }))
    .sort((one, other) => (one.rest === other.rest ? 0 : one.rest > other.rest ? -1 : 1));
  const luckyPlaces = new Set(order.slice(0, left).map(({ place }) => place));
  return parts.map((part, place) => (luckyPlaces.has(place) ? part + 1n : part));
}

/** Both at least 0. */
function dividedHalfUp(value: bigint, by: bigint): bigint {
  return (2n * value + by) / (2n * by);
}
