/** The system's clock and random source: the one place that asks the machine for either. */
import { randomFillSync } from 'node:crypto';
import type { Clock, RandomSource } from '../src/bytes/index.ts';

/** Longest delay of one Node timer; longer ones would fire at once. */
const TIMER_DELAY_MS_MAX = 2 ** 31 - 1;

let skewMs = 0;

/** From now on the wall clock of this process is off; for trials of a laboratory. */
export function skewSystemClock(milliseconds: number): void {
  skewMs = milliseconds;
}

/** Wall clock and timers of the process. A delay is cut to Node's range. */
export const systemClock: Clock = {
  nowMs: () => Date.now() + skewMs,
  startTimer(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(0, delayMs), TIMER_DELAY_MS_MAX));
    return () => clearTimeout(timer);
  },
};

/** Bytes drawn at once: a draw costs more than its bytes. */
const POOL_BYTES = 4_096;
/** Longest wish that is met from the pool. */
const POOLED_BYTES_MAX = 64;
const pool = new Uint8Array(POOL_BYTES);
let poolOffset = POOL_BYTES;

/** OpenSSL's cryptographic generator. Bytes that were handed out are wiped here. */
export const systemRandom: RandomSource = {
  bytes(lengthBytes) {
    if (lengthBytes > POOLED_BYTES_MAX) return randomFillSync(new Uint8Array(lengthBytes));
    if (poolOffset + lengthBytes > POOL_BYTES) {
      randomFillSync(pool);
      poolOffset = 0;
    }
    const end = poolOffset + lengthBytes;
    const bytes = pool.slice(poolOffset, end);
    pool.fill(0, poolOffset, end);
    poolOffset = end;
    return bytes;
  },
};
