/** What this browser keeps for the shop; a closed storage lasts as long as the page. */

const fallback = new Map<string, string>();

export const CART_KEY = 'tapnpay-shop-cart';
export const RECENT_KEY = 'tapnpay-shop-orders';

export function readStored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return fallback.get(key) ?? null;
  }
}

export function writeStored(key: string, text: string): void {
  try {
    localStorage.setItem(key, text);
  } catch {
    fallback.set(key, text);
  }
}
