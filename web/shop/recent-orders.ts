/** Ids of the orders made in this browser, newest first: who knows one may see its order. */

/** How many are remembered. */
export const RECENT_MAX = 20;

/** The list with `orderId` in front. */
export function withRecent(orderIds: readonly string[], orderId: string): readonly string[] {
  return [orderId, ...orderIds.filter((other) => other !== orderId)].slice(0, RECENT_MAX);
}

/** What a storage holds; whatever is no order id is left out. */
export function parseRecent(text: string | null): readonly string[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(value)) return [];
    const ids = value.filter((id): id is string => /^[0-9a-f-]{36}$/.test(String(id)));
    return [...new Set(ids)].slice(0, RECENT_MAX);
  } catch {
    return [];
  }
}
