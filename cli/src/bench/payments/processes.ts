/** Where a system's processor time goes: user and system time by process, from Linux' /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Clock ticks a second of /proc/PID/stat; the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Fields of stat after the name: parent, user and system time; proc_pid_stat(5). */
const FIELD_PARENT = 1;
const FIELD_USER = 11;
const FIELD_SYSTEM = 12;
/** Times of children that have ended and were waited for. */
const FIELD_CHILDREN_USER = 13;
const FIELD_CHILDREN_SYSTEM = 14;

/** Seconds of processor time by name. */
export type CpuSeconds = ReadonlyMap<string, number>;

/** What is watched: roles by process id, and the database by its postmaster. */
export type Watched = {
  readonly roles: ReadonlyMap<string, number>;
  readonly postmaster: number | null;
};

/** Process id of the embedded database of a system, or null when it runs elsewhere. */
export function postmasterOf(dataDir: string): number | null {
  try {
    const path = join(dataDir, 'postgres', 'cluster', 'postmaster.pid');
    return Number(readFileSync(path, 'utf8').split('\n')[0]);
  } catch {
    return null;
  }
}

/** Processor time used so far; empty where there is no /proc. */
export function readCpu({ roles, postmaster }: Watched): CpuSeconds {
  const times = new Map<string, number>();
  const own = process.cpuUsage();
  times.set('load (elements, merchant)', (own.user + own.system) / 1e6);
  for (const [name, pid] of roles) {
    const stat = statOf(pid);
    if (stat) times.set(name, stat.seconds);
  }
  if (postmaster === null) return times;
  let database = 0;
  for (const entry of processIds()) {
    const stat = statOf(entry);
    if (!stat) continue;
    if (entry === postmaster) database += stat.seconds + stat.childrenSeconds;
    else if (stat.parent === postmaster) database += stat.seconds;
  }
  return times.set('database', database);
}

/** Milliseconds of processor time for each of `count` payments, by name. */
export function cpuPerPayment(
  before: CpuSeconds,
  after: CpuSeconds,
  count: number,
): Readonly<Record<string, number>> {
  const used = [...after].map(([name, seconds]) => {
    const ms = ((seconds - (before.get(name) ?? 0)) * 1000) / count;
    return [name, Math.round(ms * 1000) / 1000] as const;
  });
  return Object.fromEntries(used);
}

/** Processes that run now and the load of the last minute: others may be at work as well. */
export function machineLoad(): number | null {
  try {
    return Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);
  } catch {
    return null;
  }
}

function processIds(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number);
}

type Stat = {
  readonly parent: number;
  readonly seconds: number;
  readonly childrenSeconds: number;
};

function statOf(pid: number): Stat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The name stands in parentheses and may hold blanks.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const seconds = (...places: readonly number[]): number =>
    places.reduce((sum, place) => sum + Number(fields[place]), 0) / TICKS_PER_SECOND;
  return {
    parent: Number(fields[FIELD_PARENT]),
    seconds: seconds(FIELD_USER, FIELD_SYSTEM),
    childrenSeconds: seconds(FIELD_CHILDREN_USER, FIELD_CHILDREN_SYSTEM),
  };
}
