/** So many in a window, then nobody for its rest. */
import type { Clock } from '@tapnpay/protocol/bytes';
import { ShopError } from './errors.ts';

/** A fixed window that begins with its first taker. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #rule: { readonly max: number; readonly windowMs: number };
  #count = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, rule: { readonly max: number; readonly windowMs: number }) {
    this.#clock = clock;
    this.#rule = rule;
  }

  /** @throws ShopError `ERR_RATE` with the seconds to wait. */
  take(): void {
    const nowMs = this.#clock.nowMs();
    const { max, windowMs } = this.#rule;
    if (nowMs - this.#sinceMs >= windowMs) {
      this.#count = 0;
      this.#sinceMs = nowMs;
    }
    if (this.#count >= max) {
      const seconds = Math.ceil((this.#sinceMs + windowMs - nowMs) / 1000);
      throw new ShopError('ERR_RATE', `too many; wait ${seconds} s`, { seconds });
    }
    this.#count++;
  }

  /** This one does not count. */
  giveBack(): void {
    this.#count = Math.max(0, this.#count - 1);
  }
}
