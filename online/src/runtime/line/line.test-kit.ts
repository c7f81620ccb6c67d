/** For tests of lines and of the switch: a clock in the test's hand, and HSMs in this process. */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { Hsm, HsmAnswers, HsmRequest } from '@tapnpay/protocol/wire';

/** A clock that moves only when told; promises settle between two timers. */
export class ManualClock implements Clock {
  #nowMs = Date.UTC(2026, 10, 25, 4, 0, 0);
  #timers: { readonly atMs: number; readonly action: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  startTimer(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs every timer that falls due within `forMs`. */
  async advance(forMs: number): Promise<void> {
    const endMs = this.#nowMs + forMs;
    for (;;) {
      await settled();
      const due = this.#timers.filter((timer) => timer.atMs <= endMs);
      const next = due.sort((left, right) => left.atMs - right.atMs)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.action();
    }
    this.#nowMs = endMs;
  }
}

/** Lets everything that waits for nothing but promises go on. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** The same numbers at every run. */
export function countingRandom(start = 1): RandomSource {
  let next = start;
  return {
    bytes: (lengthBytes) =>
      Uint8Array.from({ length: lengthBytes }, () => {
        next = (Math.imul(next, 1103515245) + 12345) >>> 0;
        return (next >>> 16) & 0xff;
      }),
  };
}

/** An HSM that fails while told to, for everything or for one command. */
export function breakableHsm(hsm: Hsm): Hsm & { fault: Error | null; only: string | null } {
  return {
    fault: null,
    only: null,
    async call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
      if (this.fault && (this.only === null || this.only === request.command)) throw this.fault;
      return hsm.call(request);
    },
  };
}
