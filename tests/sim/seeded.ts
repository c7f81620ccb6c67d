/** Time and randomness of one simulated world: both come from its seed and nothing else. */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';

/** Noon in Shanghai: when a simulated world starts that wants no other time. */
export const NOON_MS: number = Date.UTC(2026, 10, 25, 4, 0, 0);

/** Repeatable random numbers (xoshiro128**); good for simulation, never for keys that matter. */
export class SeededRandom implements RandomSource {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    let mix = seed >>> 0;
    for (let index = 0; index < 4; index++) {
      mix = (mix + 0x9e3779b9) >>> 0;
      let value = mix;
      value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
      value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
      this.#state[index] = value ^ (value >>> 16);
    }
  }

  #next(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#state;
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const mixedC = c ^ a;
    const mixedD = d ^ b;
    this.#state.set([a ^ mixedD, b ^ mixedC, mixedC ^ (b << 9), (mixedD << 11) | (mixedD >>> 21)]);
    return result;
  }

  bytes(lengthBytes: number): Uint8Array {
    return Uint8Array.from({ length: lengthBytes }, () => this.#next() & 0xff);
  }

  /** An integer from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + (this.#next() % (max - min + 1));
  }

  /** True with a probability from 0 to 1. */
  chance(probability: number): boolean {
    return this.#next() / 2 ** 32 < probability;
  }
}

type Timer = { readonly atMs: number; readonly order: number; readonly action: () => void };

/** A clock that jumps from timer to timer; between two jumps all pending promises settle. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  #timers: Timer[] = [];

  constructor(startMs: number = NOON_MS) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  startTimer(delayMs: number, action: () => void): () => void {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const timer = { atMs, order: this.#order++, action };
    const isLater = (other: Timer): boolean => other.atMs > atMs;
    const place = this.#timers.findIndex(isLater);
    this.#timers.splice(place < 0 ? this.#timers.length : place, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Resolves after `delayMs` of simulated time. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.startTimer(delayMs, resolve));
  }

  /** Runs timers until `untilMs` of simulated time has passed or `done` says so. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    const end = this.#nowMs + untilMs;
    for (;;) {
      await settled();
      const next = this.#timers[0];
      if (done() || next === undefined || next.atMs > end) break;
      this.#timers.shift();
      this.#nowMs = next.atMs;
      next.action();
    }
    if (!done()) this.#nowMs = Math.max(this.#nowMs, end);
  }
}

/** Lets every pending promise of this turn settle. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
