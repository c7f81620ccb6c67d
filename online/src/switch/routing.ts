/** Which issuer a card number belongs to: the longest prefix wins (ISO/IEC 7812). */

/** Card numbers that begin with `prefix` belong to this institution. */
export type Route = { readonly prefix: string; readonly institutionId: string };

/** The issuer of a card number, or null. */
export function issuerOf(routes: readonly Route[], pan: string): string | null {
  let best: Route | null = null;
  for (const route of routes) {
    if (!pan.startsWith(route.prefix)) continue;
    if (best === null || route.prefix.length > best.prefix.length) best = route;
  }
  return best?.institutionId ?? null;
}

/** The issuers of a table, each once. */
export function issuersOf(routes: readonly Route[]): readonly string[] {
  return [...new Set(routes.map(({ institutionId }) => institutionId))];
}
