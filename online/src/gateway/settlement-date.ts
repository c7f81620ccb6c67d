/** The day to which the switch counts a transaction. @see Q/CUP 006, field 15 */
import { localTime } from './local-time.ts';

/** The switch's day ends an hour before the calendar's: 23:00 in Shanghai. */
const CUT_OFF_BEFORE_MIDNIGHT_MS = 3_600_000;

/** MMDD of the settlement day of an instant. */
export function settlementDateAt(nowMs: number): string {
  return localTime(nowMs + CUT_OFF_BEFORE_MIDNIGHT_MS).dateYymmdd.slice(2);
}
