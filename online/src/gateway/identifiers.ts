/** Identifiers and local time of the gateway, from the injected clock and random source. */
import { type Clock, type RandomSource, toHex } from '@tapnpay/protocol/bytes';

/** UUID version 7: ordered by time, so that indexes stay dense. @see RFC 9562 §5.7 */
export function uuidV7(clock: Clock, random: RandomSource): string {
  const time = clock.nowMs().toString(16).padStart(12, '0').slice(-12);
  const hex = toHex(random.bytes(10)).toLowerCase();
  const variant = (8 + (Number.parseInt(hex.slice(3, 4), 16) & 3)).toString(16);
  const parts = [
    time.slice(0, 8),
    time.slice(8),
    `7${hex.slice(0, 3)}`,
    variant + hex.slice(4, 7),
    hex.slice(7, 19),
  ];
  return parts.join('-');
}

/** China Standard Time has had one offset since 1991. */
const LOCAL_OFFSET_MS = 8 * 3_600_000;

/** Local date and time (Asia/Shanghai) in the forms of 9A, 9F21 and fields 7, 12, 13. */
export type LocalTime = {
  readonly dateYymmdd: string;
  readonly timeHhmmss: string;
  /** Field 7, MMDDhhmmss. */
  readonly transmission: string;
  /** The y ddd hh of a retrieval reference number: year's last digit, day of year, hour. */
  readonly yearDayHour: string;
};

/** The local time of an instant. */
export function localTime(nowMs: number): LocalTime {
  const local = new Date(nowMs + LOCAL_OFFSET_MS);
  const iso = local.toISOString();
  const dateYymmdd = iso.slice(2, 10).replaceAll('-', '');
  const timeHhmmss = iso.slice(11, 19).replaceAll(':', '');
  const dayOfYear = Math.floor((local.getTime() - Date.UTC(local.getUTCFullYear(), 0, 1)) / 864e5);
  const day = String(dayOfYear + 1).padStart(3, '0');
  return {
    dateYymmdd,
    timeHhmmss,
    transmission: dateYymmdd.slice(2) + timeHhmmss,
    yearDayHour: `${iso.slice(3, 4)}${day}${timeHhmmss.slice(0, 2)}`,
  };
}
