/** Failed authentications in a row cost time, more with each one; the card never dies of them. */
import type { DelayRules } from './profile.ts';
import type { Failures } from './state.ts';

/** Doublings after which the longest delay is reached at the latest. */
const DOUBLINGS_MAX = 30;

/** Milliseconds until the next attempt is taken; 0 when it is taken now. */
export function remainingDelayMs(failures: Failures, rules: DelayRules, nowMs: number): number {
  const counted = failures.count - rules.freeCount;
  if (counted <= 0) return 0;
  const doublings = Math.min(counted - 1, DOUBLINGS_MAX);
  const delayMs = Math.min(rules.mostMs, rules.firstMs * 2 ** doublings);
  // A clock that was put back does not lengthen the delay, and does not end it.
  const elapsedMs = Math.max(0, nowMs - failures.lastMs);
  return Math.max(0, delayMs - elapsedMs);
}
