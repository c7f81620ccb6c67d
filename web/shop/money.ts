/** Prices as a merchant types them; no floating point on the way. */
import { SHOP_PRICE_MINOR_MAX } from '@tapnpay/protocol/wire';

/** `12.3` -> `1230`; null for what is no price in yuan between 0.01 and 999,999.99. */
export function priceMinorOf(text: string): string | null {
  const plain = text
    .trim()
    .replaceAll(',', '')
    .replaceAll('，', '')
    .replace(/^[¥￥]\s*/, '');
  const match = /^([0-9]{1,6})(?:\.([0-9]{1,2}))?$/.exec(plain);
  if (!match) return null;
  const minor = BigInt(`${match[1]}${(match[2] ?? '').padEnd(2, '0')}`);
  return minor >= 1n && minor <= BigInt(SHOP_PRICE_MINOR_MAX) ? String(minor) : null;
}

/** `1230` -> `12.30`, as it stands in a form. */
export function priceText(priceMinor: string): string {
  const digits = priceMinor.padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
