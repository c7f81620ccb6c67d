/** Which issuer a card number belongs to: the longest prefix wins (ISO/IEC 7812). */
import { SwitchError } from './errors.ts';

/** Card numbers that begin with `prefix` belong to this institution. */
export type Route = { readonly prefix: string; readonly institutionId: string };

/** Rows of a table at most. */
export const ROUTES_MAX = 100_000;

/** The issuer of a card number, or null. */
export function issuerOf(routes: readonly Route[], pan: string): string | null {
  const index = indexOf(routes);
  for (const length of index.lengths) {
    const institutionId = index.byPrefix.get(pan.slice(0, length));
    if (institutionId !== undefined && pan.length >= length) return institutionId;
  }
  return null;
}

/** The issuers of a table, each once. */
export function issuersOf(routes: readonly Route[]): readonly string[] {
  return [...new Set(routes.map(({ institutionId }) => institutionId))];
}

/** The table of a file's text. @throws SwitchError `ERR_SWITCH_ROUTES` naming the first bad row. */
export function parseRoutes(text: string): readonly Route[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw routesError('is no JSON', cause);
  }
  const rows = typeof value === 'object' && value !== null && 'routes' in value && value.routes;
  if (!Array.isArray(rows)) throw routesError('has no list "routes"');
  if (rows.length === 0) throw routesError('has no route');
  if (rows.length > ROUTES_MAX) throw routesError(`has more than ${ROUTES_MAX} routes`);
  const seen = new Map<string, number>();
  return rows.map((row: unknown, index) => {
    const route = routeOf(row, `route ${index + 1}`);
    const earlier = seen.get(route.prefix);
    if (earlier !== undefined) {
      throw routesError(
        `route ${index + 1}: prefix ${route.prefix} is in route ${earlier} as well`,
      );
    }
    seen.set(route.prefix, index + 1);
    return route;
  });
}

/** The file's text of a table, in the order of the prefixes. */
export function formatRoutes(routes: readonly Route[]): string {
  const rows = [...routes]
    .sort((left, right) => (left.prefix < right.prefix ? -1 : 1))
    .map(({ prefix, institutionId }) => `    ${JSON.stringify({ prefix, institutionId })}`);
  return `{\n  "routes": [\n${rows.join(',\n')}\n  ]\n}\n`;
}

function routeOf(row: unknown, where: string): Route {
  if (typeof row !== 'object' || row === null) throw routesError(`${where} is no object`);
  const { prefix, institutionId, ...rest } = row as Record<string, unknown>;
  if (typeof prefix !== 'string' || !/^[0-9]{1,12}$/.test(prefix)) {
    throw routesError(`${where}: prefix is 1 to 12 digits in quotes`);
  }
  if (typeof institutionId !== 'string' || !/^[0-9]{11}$/.test(institutionId)) {
    throw routesError(`${where} (${prefix}): institutionId is 11 digits in quotes`);
  }
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw routesError(`${where} (${prefix}): no field "${unknown}" here`);
  return { prefix, institutionId };
}

type RouteIndex = {
  readonly byPrefix: ReadonlyMap<string, string>;
  /** Lengths of the prefixes, longest first. */
  readonly lengths: readonly number[];
};
const INDEXES = new WeakMap<readonly Route[], RouteIndex>();

function indexOf(routes: readonly Route[]): RouteIndex {
  const known = INDEXES.get(routes);
  if (known) return known;
  const byPrefix = new Map(routes.map(({ prefix, institutionId }) => [prefix, institutionId]));
  const lengths = [...new Set(routes.map(({ prefix }) => prefix.length))].sort(
    (left, right) => right - left,
  );
  const index = { byPrefix, lengths };
  INDEXES.set(routes, index);
  return index;
}

function routesError(why: string, cause?: unknown): SwitchError {
  return new SwitchError('ERR_SWITCH_ROUTES', `the BIN table ${why}`, {}, cause);
}
