/** The BIN table on disk, `<dataDir>/switch/bin-table.json`: read at the start and on a change. */
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorBody } from '@tapnpay/protocol/bytes';
import type { Log } from '../runtime/index.ts';
import { SwitchError } from './errors.ts';
import { formatRoutes, parseRoutes, type Route } from './routing.ts';

/** How soon a change of the file is seen. */
const WATCH_MS = 500;

/** Path of the table of the system in `dataDir`. */
export function routesPath(dataDir: string): string {
  return join(dataDir, 'switch', 'bin-table.json');
}

/** @throws SwitchError `ERR_SWITCH_ROUTES` when the file is missing or broken. */
export function readRoutes(path: string): readonly Route[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const why = `the BIN table ${path} cannot be read`;
    throw new SwitchError('ERR_SWITCH_ROUTES', why, {}, cause);
  }
  return parseRoutes(text);
}

/** Writes a table, whole or not at all. @throws SwitchError `ERR_SWITCH_ROUTES` for a bad one. */
export function writeRoutes(path: string, routes: readonly Route[]): void {
  const text = formatRoutes(routes);
  parseRoutes(text);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}

/** The table in force. */
export type RouteFile = {
  readonly current: () => readonly Route[];
  readonly close: () => void;
};

/**
 * Opens the table, made of `initial` when there is no file yet. A change that is no good is logged
 * and the table before stays in force. @throws SwitchError `ERR_SWITCH_ROUTES` at the start.
 */
export function openRouteFile(options: {
  readonly path: string;
  readonly initial: readonly Route[];
  readonly log: Log;
}): RouteFile {
  const { path, initial, log } = options;
  if (!existsSync(path)) writeRoutes(path, initial);
  // Noted before it is read, or a change between the two would never be seen.
  let seen = stateOf(path);
  let routes = readRoutes(path);
  const look = (): void => {
    const now = stateOf(path);
    if (now === seen) return;
    seen = now;
    try {
      routes = readRoutes(path);
      log({ event: 'routesRead', routes: routes.length });
    } catch (fault) {
      log({ event: 'routesRefused', ...errorBody(fault) });
    }
  };
  const timer = setInterval(look, WATCH_MS).unref();
  return { current: () => routes, close: () => clearInterval(timer) };
}

/** Changes whenever the file does. */
function stateOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat ? `${stat.ino} ${stat.mtimeNs} ${stat.size}` : 'missing';
}
