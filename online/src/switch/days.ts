/**
 * The turn of the settlement date: at the cut-off each member is told so (0820, field 70 201), and
 * when every transaction of the old date has its end, the date is closed and told again (202).
 * @see Q/CUP 006, cut-off
 */
import { SwitchError } from './errors.ts';
import { newAdvice } from './journal.ts';
import type { SwitchScene } from './ports.ts';
import { today } from './responses.ts';
import { issuersOf } from './routing.ts';
import { cutOffAtMs, daysBefore } from './settlement.ts';
import type { NewCutOff } from './store.ts';

/** What the calendar stands on. */
export type DayPorts = Pick<SwitchScene, 'clock' | 'random' | 'store' | 'profile' | 'log'>;

/** Field 70 of a cut-off. */
const CUT_OFF_BEGINS = '201';
const CUT_OFF_ENDS = '202';
/** How far back a close looks for what raced with an earlier one. */
const LOOK_BACK_DAYS = 7;
/** Days that are looked at for being still open. */
const OPEN_DAYS_MAX = 40;

/** Notices the turn of the date, and closes dates that are over. */
export class Calendar {
  readonly #ports: DayPorts;
  #date = '';
  #isCloseDue = true;

  constructor(ports: DayPorts) {
    this.#ports = ports;
  }

  /** Whether the settlement date is another than at the last call; then members are told. */
  async turn(): Promise<boolean> {
    const { store, clock, log } = this.#ports;
    const settlementDate = today(this.#ports);
    if (settlementDate === this.#date) return false;
    const cutOffs = await announcements(this.#ports, CUT_OFF_BEGINS, settlementDate);
    const atMs = clock.nowMs();
    const isNew = await store.turnDay({ settlementDate, atMs, cutOffs });
    if (isNew) log({ event: 'dayBegun', settlementDate });
    this.#date = settlementDate;
    this.#isCloseDue = true;
    return true;
  }

  /** Closes what is due; the dates closed. */
  async close(): Promise<readonly string[]> {
    if (!this.#isCloseDue) return [];
    const { clock, profile, log } = this.#ports;
    const closed: string[] = [];
    let left = 0;
    for (const settlementDate of await openDays(this.#ports)) {
      const overMs = cutOffAtMs(settlementDate, profile.cutOffMinute) + profile.closeAfterMs;
      const isOver = clock.nowMs() >= overMs;
      const outcome = isOver ? await closeDay(this.#ports, settlementDate) : 'open';
      if (outcome === 'closed') closed.push(settlementDate);
      if (outcome === 'open') left += 1;
    }
    this.#isCloseDue = left > 0;
    for (const settlementDate of closed) log({ event: 'dayClosed', settlementDate });
    return closed;
  }
}

/** Dates before today's that began and were not closed, oldest first. */
export async function openDays(
  ports: Pick<DayPorts, 'store' | 'clock' | 'profile'>,
): Promise<readonly string[]> {
  const date = today(ports);
  const days = await ports.store.days(OPEN_DAYS_MAX);
  return days
    .filter((day) => day.closedAtMs === null && day.settlementDate < date)
    .map(({ settlementDate }) => settlementDate)
    .reverse();
}

/**
 * Books a day that is over. `open`: some of its transactions have no final state yet.
 * @throws SwitchError `ERR_SWITCH_DAY` for a day that is not over or never began here.
 */
export async function closeDay(
  ports: Omit<DayPorts, 'log'>,
  settlementDate: string,
): Promise<'closed' | 'closedBefore' | 'open'> {
  const { store, clock } = ports;
  if (settlementDate >= today(ports)) {
    const text = `settlement date ${settlementDate} is not over`;
    throw new SwitchError('ERR_SWITCH_DAY', text, { settlementDate });
  }
  const next = daysBefore(settlementDate, -1);
  const outcome = await store.closeDay({
    settlementDate,
    oldestDate: daysBefore(settlementDate, LOOK_BACK_DAYS),
    atMs: clock.nowMs(),
    cutOffs: await announcements(ports, CUT_OFF_ENDS, next),
  });
  if (outcome === 'unknownDay') {
    const text = `settlement date ${settlementDate} never began here`;
    throw new SwitchError('ERR_SWITCH_DAY', text, { settlementDate });
  }
  return typeof outcome === 'object' ? 'open' : outcome;
}

async function announcements(
  ports: Omit<DayPorts, 'log'>,
  reason: string,
  settlementDate: string,
): Promise<readonly NewCutOff[]> {
  const { acquirerIds, routes } = ports.profile;
  const members = [...new Set([...acquirerIds, ...issuersOf(routes)])];
  const cutOffs: NewCutOff[] = [];
  for (const destination of members) {
    const advice = await newAdvice(ports, { kind: 'cutOff', reason, settlementDate });
    cutOffs.push({ ...advice, destination });
  }
  return cutOffs;
}
