/**
 * Settlement days and their totals. A day of the interbank calendar turns at the switch's cut-off,
 * 23:00 in Asia/Shanghai, a zone of one offset since 1991. @see Q/CUP 006, cut-off
 */
import type { TransactionKind } from '@tapnpay/protocol/iso8583';
import { KIND_RULES, type Side } from './kinds.ts';
import type { Booking } from './model.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const LOCAL_OFFSET_MS = 8 * 60 * MINUTE_MS;

/** The settlement date, YYYYMMDD, of an instant; `cutOffMinute` counts from local midnight. */
export function settlementDateOf(nowMs: number, cutOffMinute: number): string {
  const shiftMs = LOCAL_OFFSET_MS + DAY_MS - cutOffMinute * MINUTE_MS;
  return new Date(nowMs + shiftMs).toISOString().slice(0, 10).replaceAll('-', '');
}

/** The instant at which a settlement date ends and the next begins. */
export function cutOffAtMs(settlementDate: string, cutOffMinute: number): number {
  return midnightUtcMs(settlementDate) + cutOffMinute * MINUTE_MS - LOCAL_OFFSET_MS;
}

/** The date some days before (or after, when negative) another. */
export function daysBefore(settlementDate: string, days: number): string {
  const iso = new Date(midnightUtcMs(settlementDate) - days * DAY_MS).toISOString();
  return iso.slice(0, 10).replaceAll('-', '');
}

/** Field 15 of a settlement date: MMDD. */
export function settlementField(settlementDate: string): string {
  return settlementDate.slice(4);
}

/** Whether a text is a date of the calendar, YYYYMMDD. */
export function isSettlementDate(text: string): boolean {
  return /^[0-9]{8}$/.test(text) && daysBefore(text, 0) === text;
}

function midnightUtcMs(date: string): number {
  return Date.UTC(Number(date.slice(0, 4)), Number(date.slice(4, 6)) - 1, Number(date.slice(6, 8)));
}

/** Sums of one settlement date, acquirer, issuer, currency and kind; amounts in minor units. */
export type Totals = {
  readonly acquirer: string;
  /** Empty for what the switch refused before it had an issuer. */
  readonly issuer: string;
  readonly currency: string;
  readonly kind: TransactionKind;
  readonly debitCount: number;
  readonly debitMinor: bigint;
  readonly creditCount: number;
  readonly creditMinor: bigint;
  /** Approved without money between the two. */
  readonly otherCount: number;
  readonly otherMinor: bigint;
  /** Refused, or without a final answer. */
  readonly refusedCount: number;
};

/** Where a booking's amount stands; the reversal of a debit is a credit. */
export function sideOf({ leg, of }: Booking): Side | 'refused' {
  if (of.responseCode !== '00' || of.kind === null) return 'refused';
  const { side } = KIND_RULES[of.kind];
  if (leg === 'original' || side === 'none') return side;
  return side === 'debit' ? 'credit' : 'debit';
}

const EMPTY = {
  ...{ debitCount: 0, debitMinor: 0n, creditCount: 0, creditMinor: 0n },
  ...{ otherCount: 0, otherMinor: 0n, refusedCount: 0 },
};

/** Adds bookings up, one at a time. */
export class TotalsTable {
  readonly #rows = new Map<string, Totals>();

  add(booking: Booking): void {
    const { of } = booking;
    if (of.kind === null) return;
    const issuer = of.destination ?? '';
    const parts = {
      ...{ acquirer: of.memberId, issuer, currency: of.currency ?? '', kind: of.kind },
    };
    const key = Object.values(parts).join('|');
    const row = this.#rows.get(key) ?? { ...parts, ...EMPTY };
    this.#rows.set(key, { ...row, ...added(row, sideOf(booking), of.amountMinor ?? 0n) });
  }

  /** In the order of their parts. */
  rows(): readonly Totals[] {
    return [...this.#rows.entries()]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([, row]) => row);
  }
}

function added(row: Totals, side: Side | 'refused', amountMinor: bigint): Partial<Totals> {
  switch (side) {
    case 'debit':
      return { debitCount: row.debitCount + 1, debitMinor: row.debitMinor + amountMinor };
    case 'credit':
      return { creditCount: row.creditCount + 1, creditMinor: row.creditMinor + amountMinor };
    case 'none':
      return { otherCount: row.otherCount + 1, otherMinor: row.otherMinor + amountMinor };
    case 'refused':
      return { refusedCount: row.refusedCount + 1 };
  }
}
