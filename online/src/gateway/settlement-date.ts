/** The day to which the switch counts a transaction. @see Q/CUP 006, field 15 */
import { localTime } from './local-time.ts';

/** The switch's day ends an hour before the calendar's: 23:00 in Shanghai. */
const CUT_OFF_BEFORE_MIDNIGHT_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** China Standard Time has had one offset since 1991. */
const LOCAL_OFFSET_MS = 8 * 3_600_000;
/** A field 15 further from our own calendar than this is no day of ours. */
const FIELD_15_DAYS_OFF_MAX = 3;

/** MMDD of the settlement day of an instant. */
export function settlementDateAt(nowMs: number): string {
  return localTime(nowMs + CUT_OFF_BEFORE_MIDNIGHT_MS).dateYymmdd.slice(2);
}

/** YYYYMMDD of the settlement day of an instant. */
export function settlementDayAt(nowMs: number): string {
  const shifted = new Date(nowMs + LOCAL_OFFSET_MS + CUT_OFF_BEFORE_MIDNIGHT_MS);
  return shifted.toISOString().slice(0, 10).replaceAll('-', '');
}

/**
 * YYYYMMDD of a field 15 (MMDD): the day of that name around now. Without one, and for one that
 * lies more than three days off, the day is that of our own calendar.
 */
export function settlementDayOf(field15: string | null, nowMs: number): string {
  const today = settlementDayAt(nowMs);
  for (let off = 0; off <= FIELD_15_DAYS_OFF_MAX; off++) {
    for (const day of [daysAfter(today, -off), daysAfter(today, off)]) {
      if (day.slice(4) === field15) return day;
    }
  }
  return today;
}

/** The day some days after (or before, when negative) another, YYYYMMDD. */
export function daysAfter(settlementDay: string, days: number): string {
  const iso = new Date(midnightUtcMs(settlementDay) + days * DAY_MS).toISOString();
  return iso.slice(0, 10).replaceAll('-', '');
}

/** The instant at which a settlement day ends and the next begins. */
export function cutOffAtMs(settlementDay: string): number {
  return midnightUtcMs(settlementDay) + DAY_MS - CUT_OFF_BEFORE_MIDNIGHT_MS - LOCAL_OFFSET_MS;
}

/** Whether a text is a day of the calendar, YYYYMMDD. */
export function isSettlementDay(text: string): boolean {
  return /^[0-9]{8}$/.test(text) && !text.startsWith('0000') && daysAfter(text, 0) === text;
}

function midnightUtcMs(day: string): number {
  return Date.UTC(Number(day.slice(0, 4)), Number(day.slice(4, 6)) - 1, Number(day.slice(6, 8)));
}
