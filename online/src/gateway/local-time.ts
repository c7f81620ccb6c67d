/** Local time of the gateway (Asia/Shanghai) in the forms that cards and messages want. */

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
