/**
 * Named crash points of a laboratory: a party kills itself with SIGKILL at one, as a power cut
 * would. Points are the calls of the ports that a core stands on, `PORT.METHOD.before`, `.during`
 * (some milliseconds after the call left) and `.after`; so every durable step has one, and no step
 * knows of it. Armed by a file, each time for one crash: a party that starts again lives on.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { HsmParty } from './party-keys.ts';

/** When in a call. */
export type CrashMoment = 'before' | 'during' | 'after';

/** Time for bytes to leave the process. */
const DURING_MS = 4;

/** File that arms the next crash of a party: a point, and how often it is passed first. */
export function crashPointPath(dataDir: string, party: HsmParty): string {
  return join(dataDir, 'lab', `crash-${party}`);
}

/** Arms `point` (`store.commit.after`) of a party; the crash comes at its `nth` passing. */
export function armCrashPoint(
  dataDir: string,
  wanted: { readonly party: HsmParty; readonly point: string; readonly nth?: number },
): void {
  const path = crashPointPath(dataDir, wanted.party);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, `${wanted.point}:${wanted.nth ?? 1}`);
  renameSync(`${path}.new`, path);
}

/** Gives each port its crash points. */
export type CrashPoints = <Port extends object>(name: string, port: Port) => Port;

/** The crash points of a party; outside the laboratory there are none. */
export function openCrashPoints(options: {
  readonly dataDir: string;
  readonly party: HsmParty;
  readonly lab: boolean | undefined;
  /** Ends the process; a test has another. */
  readonly kill?: () => void;
}): CrashPoints {
  if (!options.lab) return (_name, port) => port;
  const path = crashPointPath(options.dataDir, options.party);
  const kill = options.kill ?? (() => process.kill(process.pid, 'SIGKILL'));
  const reach = (point: string): void => {
    if (isDue(path, point)) kill();
  };
  return (name, port) =>
    withCrashPoints(port, (method, moment) => reach(`${name}.${method}.${moment}`));
}

/** Whether the crash comes now; the file is gone then. */
function isDue(path: string, point: string): boolean {
  if (!existsSync(path)) return false;
  const [armed, count] = readFileSync(path, 'utf8').split(':');
  if (armed !== point) return false;
  const left = Number(count) - 1;
  if (left > 0) writeFileSync(path, `${armed}:${left}`);
  else rmSync(path, { force: true });
  return left <= 0;
}

function withCrashPoints<Port extends object>(
  port: Port,
  reach: (method: string, moment: CrashMoment) => void,
): Port {
  return new Proxy(port, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function') return member;
      const name = String(property);
      return (...given: readonly unknown[]): unknown => {
        reach(name, 'before');
        const result: unknown = Reflect.apply(member, target, given);
        if (!(result instanceof Promise)) return result;
        const timer = setTimeout(() => reach(name, 'during'), DURING_MS);
        return result.finally(() => {
          clearTimeout(timer);
          reach(name, 'after');
        });
      };
    },
  });
}
