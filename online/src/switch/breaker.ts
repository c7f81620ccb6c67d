/**
 * Issuers that time out again and again are left alone for a while: then the switch refuses in
 * their place, at once, instead of letting every acquirer wait and every request be reversed. One
 * request at a time tries whether the issuer has come back. @see Q/CUP 006, stand-in
 */
import type { Clock } from '@tapnpay/protocol/bytes';

/** When a breaker opens and how long it stays so. */
export type BreakerLimits = {
  /** Time-outs in a row. */
  readonly timeoutsMax: number;
  /** Pause before, and between, trials. */
  readonly pauseMs: number;
};

/** The breakers of all issuers; forgotten with the process. */
export class Breakers {
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #limits: BreakerLimits;
  readonly #silent = new Map<string, { readonly timeouts: number; readonly trialAtMs: number }>();

  constructor(clock: Pick<Clock, 'nowMs'>, limits: BreakerLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Whether so many requests in a row had no answer that new ones are refused. */
  isOpen(destination: string): boolean {
    return (this.#silent.get(destination)?.timeouts ?? 0) >= this.#limits.timeoutsMax;
  }

  /** Whether a request may go out; of an open breaker one in each pause may, as a trial. */
  admits(destination: string): boolean {
    const silent = this.#silent.get(destination);
    if (!silent || silent.timeouts < this.#limits.timeoutsMax) return true;
    const nowMs = this.#clock.nowMs();
    if (nowMs < silent.trialAtMs) return false;
    this.#silent.set(destination, { ...silent, trialAtMs: nowMs + this.#limits.pauseMs });
    return true;
  }

  /** An answer of any kind: the issuer is there. */
  answered(destination: string): void {
    this.#silent.delete(destination);
  }

  /** True when this time-out opened the breaker. */
  timedOut(destination: string): boolean {
    const timeouts = (this.#silent.get(destination)?.timeouts ?? 0) + 1;
    const trialAtMs = this.#clock.nowMs() + this.#limits.pauseMs;
    this.#silent.set(destination, { timeouts, trialAtMs });
    return timeouts === this.#limits.timeoutsMax;
  }
}
