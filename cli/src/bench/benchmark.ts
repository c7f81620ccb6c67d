/** What every measurement of `tapnpay bench` is, and how a row of times is summed up. */

/** What a measurement may be told beside its count; most take nothing. */
export type BenchmarkOptions = {
  /** Payments that stand in the tables before a second measurement; 0 for none. */
  readonly rows: number;
};

/** One measurement; it stops by itself. */
export type Benchmark = {
  readonly countDefault: number;
  readonly countMax: number;
  run(
    count: number,
    options?: BenchmarkOptions,
  ): Promise<{ readonly json: unknown; readonly text: string }>;
};

/** Median and 99th percentile, in the unit of the values. */
export type Spread = { readonly p50: number; readonly p99: number };

/** Sums up measured values; NaN without any. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}
