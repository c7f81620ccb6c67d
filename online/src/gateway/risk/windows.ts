/**
 * Sliding windows in memory, made of 60 parts each. A payment counts for at least the whole window
 * and at most a 60th of it longer: a limit is never exceeded in any window, and at worst it holds a
 * little longer than asked for.
 */

/** Parts of a window. */
export const WINDOW_PARTS = 60;
/** Keys that a window remembers; the one that was quiet for longest is forgotten first. */
export const WINDOW_KEYS_MAX = 100_000;

/** What a key has done in the window. */
export type WindowUse = { readonly count: number; readonly sumMinor: bigint };
/** What it did in one part. */
export type PartUse = WindowUse & { readonly key: string; readonly part: number };

type Part = { readonly part: number; count: number; sumMinor: bigint };

/** One rule's windows, one a key. */
export class SlidingWindows {
  readonly partMs: number;
  readonly #keys = new Map<string, Part[]>();
  readonly #keysMax: number;

  constructor(windowMs: number, keysMax: number = WINDOW_KEYS_MAX) {
    this.partMs = Math.ceil(windowMs / WINDOW_PARTS);
    this.#keysMax = keysMax;
  }

  /** Uses that count at this moment. */
  use(key: string, nowMs: number): WindowUse {
    const parts = this.#live(key, nowMs);
    return {
      count: parts.reduce((sum, { count }) => sum + count, 0),
      sumMinor: parts.reduce((sum, { sumMinor }) => sum + sumMinor, 0n),
    };
  }

  /** Counts one more. */
  add(key: string, nowMs: number, amountMinor: bigint): void {
    this.put({ key, part: this.#partAt(nowMs), count: 1, sumMinor: amountMinor }, nowMs);
  }

  /** Counts what was done in a part; parts of a key come in their order. */
  put({ key, part, count, sumMinor }: PartUse, nowMs: number): void {
    const parts = this.#live(key, nowMs);
    const last = parts.at(-1);
    // A clock that was set back counts into the newest part.
    if (last && last.part >= part) {
      last.count += count;
      last.sumMinor += sumMinor;
    } else {
      parts.push({ part, count, sumMinor });
    }
    this.#keys.delete(key);
    this.#keys.set(key, parts);
    if (this.#keys.size <= this.#keysMax) return;
    for (const quiet of this.#keys.keys()) {
      this.#keys.delete(quiet);
      break;
    }
  }

  get size(): number {
    return this.#keys.size;
  }

  /** The first part that may still count. */
  firstPart(nowMs: number): number {
    return this.#partAt(nowMs) - WINDOW_PARTS;
  }

  #live(key: string, nowMs: number): Part[] {
    const parts = this.#keys.get(key) ?? [];
    const first = this.firstPart(nowMs);
    while (parts[0] && parts[0].part < first) parts.shift();
    return parts;
  }

  #partAt(nowMs: number): number {
    return Math.floor(nowMs / this.partMs);
  }
}
