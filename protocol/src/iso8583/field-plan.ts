/** What is known of a message from its bitmaps alone; made once for each set of fields. */
import { type Dialect, FIELD_NUMBER_MAX } from './dialect.ts';
import type { FieldSpec } from './field-spec.ts';

/** The fields of a message, in order. */
export type FieldPlan = {
  /** Numbers of the present fields, in order, without bits that announce bitmaps. */
  readonly numbers: readonly number[];
  /** Their specifications; undefined where the dialect has none. */
  readonly specs: readonly (FieldSpec | undefined)[];
  /** Number -> position + 1. */
  readonly slots: Uint8Array;
  /** Positions of the fields whose length is in the frame. */
  readonly variable: readonly number[];
  /** For each position, and the end: how many of those stand before it... */
  readonly anchors: Uint8Array;
  /** ...and how many bytes after the latest of them it begins. */
  readonly distances: Int32Array;
  /** Whether the dialect has all the fields. */
  readonly isKnown: boolean;
  /** Position before which a third bitmap stands in order; -1 when none does. */
  readonly thirdBitmapAt: number;
};

const PLANS_MAX = 64;

type CachedPlan = { readonly words: readonly number[]; readonly plan: FieldPlan };

/** Plans by dialect: few sets of fields are in use, and a strange one only costs its making. */
const plans = new WeakMap<Dialect, (CachedPlan | undefined)[]>();
/** Nearly always the dialect of the message before. */
let latestDialect: Dialect | null = null;
let latestPlans: (CachedPlan | undefined)[] = [];

/** The plan of bitmaps given as 32-bit words (2, 4 or 6). */
export function planOf(dialect: Dialect, words: Int32Array, count: number): FieldPlan {
  const cached = plansOf(dialect);
  let hash = count;
  for (let index = 0; index < count; index++)
    hash = Math.imul(hash ^ (words[index] ?? 0), 0x9e3779b1);
  const slot = (hash ^ (hash >>> 16)) & (PLANS_MAX - 1);
  const found = cached[slot];
  if (found !== undefined && isSame(found.words, words, count)) return found.plan;
  const own = Array.from(words.subarray(0, count));
  const plan = makePlan(dialect, own);
  cached[slot] = { words: own, plan };
  return plan;
}

function plansOf(dialect: Dialect): (CachedPlan | undefined)[] {
  if (dialect === latestDialect) return latestPlans;
  const known = plans.get(dialect);
  latestPlans = known ?? new Array<CachedPlan | undefined>(PLANS_MAX).fill(undefined);
  latestDialect = dialect;
  if (known === undefined) plans.set(dialect, latestPlans);
  return latestPlans;
}

function isSame(left: readonly number[], right: Int32Array, count: number): boolean {
  if (left.length !== count) return false;
  for (let index = 0; index < count; index++) if (left[index] !== right[index]) return false;
  return true;
}

function makePlan(dialect: Dialect, words: readonly number[]): FieldPlan {
  const numbers: number[] = [];
  const isThird = dialect.bitmaps === 'threeTogether' || dialect.bitmaps === 'threeInOrder';
  let thirdBitmapAt = -1;
  for (let number = 2; number <= 32 * words.length; number++) {
    const word = words[(number - 1) >> 5] ?? 0;
    if ((word & (0x8000_0000 >>> ((number - 1) & 31))) === 0) continue;
    if (number === 65 && isThird) {
      if (dialect.bitmaps === 'threeInOrder') thirdBitmapAt = numbers.length;
    } else numbers.push(number);
  }
  const specs = numbers.map((number) => dialect.fields.get(number));
  const slots = new Uint8Array(FIELD_NUMBER_MAX + 1);
  for (const [index, number] of numbers.entries()) slots[number] = index + 1;
  const isThirdRead = words.length > 4 && thirdBitmapAt >= 0;
  const thirdBytes = isThirdRead ? (dialect.bitmap === 'binary' ? 8 : 16) : 0;
  const places = placesOf(specs, { thirdBitmapAt, thirdBytes });
  const isKnown = !specs.includes(undefined);
  return { numbers, specs, slots, thirdBitmapAt, isKnown, ...places };
}

/** Between two fields of variable length everything is at a fixed distance. */
function placesOf(
  specs: readonly (FieldSpec | undefined)[],
  third: { readonly thirdBitmapAt: number; readonly thirdBytes: number },
): Pick<FieldPlan, 'variable' | 'anchors' | 'distances'> {
  const variable: number[] = [];
  const anchors = new Uint8Array(specs.length + 1);
  const distances = new Int32Array(specs.length + 1);
  let distance = 0;
  for (let index = 0; index <= specs.length; index++) {
    if (index === third.thirdBitmapAt) distance += third.thirdBytes;
    anchors[index] = variable.length;
    distances[index] = distance;
    const spec = specs[index];
    if (spec !== undefined && spec.prefix.lengthBytes > 0) {
      variable.push(index);
      distance = 0;
    } else distance += spec?.contentBytesMax ?? 0;
  }
  return { variable, anchors, distances };
}
