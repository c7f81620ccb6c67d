/** The 14 hops of a tap, the one table every party, trace and document refers to. */

/** Hop name -> number, in the order in which a payment passes them. @see docs/a-tap.md */
export const Hop = {
  order: 1,
  ask: 2,
  channel: 3,
  tap: 4,
  check: 5,
  cryptogram: 6,
  seal: 7,
  request: 8,
  route: 9,
  decide: 10,
  return: 11,
  finish: 12,
  confirm: 13,
  tell: 14,
} as const;
export type HopName = keyof typeof Hop;

/** One passed hop: which party saw it, when, and masked facts worth showing. */
export type HopRecord = {
  readonly n: number;
  readonly name: HopName;
  readonly party: string;
  readonly atMs: number;
  readonly facts: Readonly<Record<string, string | number | boolean | null>>;
};
