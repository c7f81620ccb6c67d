/**
 * The issuer's own day: which day a request settles on, and what a day comes to, so that it can be
 * compared with the switch's files. @see Q/CUP 006 (field 15, cut-off)
 */
import type { RequestKind } from './model.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** China has had one offset since 1991. */
const LOCAL_OFFSET_MS = 8 * HOUR_MS;
/** The switch's day ends an hour before midnight. */
const CUT_OFF_BEFORE_MIDNIGHT_MS = HOUR_MS;

/** Day of China at a moment, YYYYMMDD. */
export function localDay(nowMs: number): string {
  const dayNumber = Math.floor((nowMs + LOCAL_OFFSET_MS) / DAY_MS);
  if (dayNumber !== lastDay.dayNumber) lastDay = { dayNumber, text: dayText(dayNumber) };
  return lastDay.text;
}

/** Most questions are about one day. */
let lastDay = { dayNumber: 0, text: dayText(0) };

function dayText(dayNumber: number): string {
  return new Date(dayNumber * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '');
}

/** Settlement date of a moment when nobody said one: the next day's from 23:00 in China on. */
export function settlementDateAt(nowMs: number): string {
  return localDay(nowMs + CUT_OFF_BEFORE_MIDNIGHT_MS);
}

/** Field 15 with the year that is nearest; null when it is no date. */
export function settlementDateOf(monthDay: string, nowMs: number): string | null {
  // Today's is nearest, and what most ask for.
  const today = localDay(nowMs);
  if (monthDay === today.slice(4)) return today;
  if (!/^[0-9]{4}$/.test(monthDay)) return null;
  const year = Number(localDay(nowMs).slice(0, 4));
  const days = [year - 1, year, year + 1]
    .map((candidate) => `${candidate}${monthDay}`)
    .map((day) => ({ day, distanceMs: Math.abs(startOf(day) - nowMs) }))
    .filter(({ day, distanceMs }) => Number.isFinite(distanceMs) && isDate(day))
    .sort((one, other) => one.distanceMs - other.distanceMs);
  return days[0]?.day ?? null;
}

/** Whether YYYYMMDD is a day of the calendar. */
export function isDate(day: string): boolean {
  const start = /^[0-9]{8}$/.test(day) ? startOf(day) : Number.NaN;
  // A 30th of February would come back as a day of March.
  return Number.isFinite(start) && localDay(start) === day;
}

function startOf(day: string): number {
  const iso = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`;
  return Date.parse(iso) - LOCAL_OFFSET_MS;
}

/** One movement of the clearing account. */
export type SettlementLine = {
  /** Type, F7, F11, F32 and F41 of the request that moved it; see `traceKeyOf`. */
  readonly traceKey: string;
  readonly kind: RequestKind;
  readonly retrievalReference: string | null;
  readonly currency: string;
  /** What the issuer owes for it; negative when it gets it back. */
  readonly amountMinor: bigint;
};

/** Count and sum of one kind in one currency. */
export type SettlementTotal = {
  readonly kind: RequestKind;
  readonly currency: string;
  readonly count: number;
  readonly amountMinor: bigint;
};

/** A day of settlement. */
export type SettlementDay = {
  readonly settlementDate: string;
  readonly lines: readonly SettlementLine[];
  readonly totals: readonly SettlementTotal[];
  /** What the issuer owes the clearing for the day, by currency. */
  readonly netMinor: ReadonlyMap<string, bigint>;
};

/** Totals of a day's lines. */
export function settlementDay(
  settlementDate: string,
  lines: readonly SettlementLine[],
): SettlementDay {
  const totals = new Map<string, SettlementTotal>();
  const netMinor = new Map<string, bigint>();
  for (const { kind, currency, amountMinor } of lines) {
    const key = `${kind}/${currency}`;
    const known = totals.get(key) ?? { kind, currency, count: 0, amountMinor: 0n };
    totals.set(key, {
      ...known,
      count: known.count + 1,
      amountMinor: known.amountMinor + amountMinor,
    });
    netMinor.set(currency, (netMinor.get(currency) ?? 0n) + amountMinor);
  }
  return { settlementDate, lines, totals: [...totals.values()], netMinor };
}
