/** The system's clock and random source: the one place that asks the machine for either. */
import { randomFillSync } from 'node:crypto';
import type { Clock, RandomSource } from '../src/bytes/index.ts';

/** Longest delay of one Node timer; longer ones would fire at once. */
const TIMER_DELAY_MS_MAX = 2 ** 31 - 1;

/** Wall clock and timers of the process. A delay is cut to Node's range. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  startTimer(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(0, delayMs), TIMER_DELAY_MS_MAX));
    return () => clearTimeout(timer);
  },
};

/** OpenSSL's cryptographic generator. */
export const systemRandom: RandomSource = {
  bytes: (lengthBytes) => randomFillSync(new Uint8Array(lengthBytes)),
};
