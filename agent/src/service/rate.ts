/** Limits in time: a count per window, and a bucket that fills again. */
import type { Clock } from '@tapnpay/protocol/bytes';

/** At most `max` in `windowMs`; when they are used up, nothing until the window ends. */
export class WindowedCount {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #windowMs: number;
  #count = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, limit: { readonly max: number; readonly windowMs: number }) {
    this.#clock = clock;
    this.#max = limit.max;
    this.#windowMs = limit.windowMs;
  }

  isUsedUp(): boolean {
    this.#turn();
    return this.#count >= this.#max;
  }

  note(): void {
    this.#turn();
    this.#count += 1;
  }

  #turn(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#sinceMs < this.#windowMs) return;
    this.#count = 0;
    this.#sinceMs = nowMs;
  }
}

/** Holds at most `burst`, fills by `perSecond`. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perSecond: number;
  #held: number;
  #atMs: number;

  constructor(clock: Clock, size: { readonly burst: number; readonly perSecond: number }) {
    this.#clock = clock;
    this.#burst = size.burst;
    this.#perSecond = size.perSecond;
    this.#held = size.burst;
    this.#atMs = clock.nowMs();
  }

  /** False when there is not that much. */
  take(amount: number): boolean {
    const nowMs = this.#clock.nowMs();
    const filled = (Math.max(0, nowMs - this.#atMs) / 1000) * this.#perSecond;
    this.#held = Math.min(this.#burst, this.#held + filled);
    this.#atMs = nowMs;
    if (this.#held < amount) return false;
    this.#held -= amount;
    return true;
  }
}
