/** Amounts as people read them; no floating point on the way. */

const CURRENCIES: Readonly<Record<string, { readonly sign: string; readonly exponent: number }>> = {
  '156': { sign: '¥', exponent: 2 },
  '840': { sign: 'US$', exponent: 2 },
  '978': { sign: '€', exponent: 2 },
  '344': { sign: 'HK$', exponent: 2 },
  '392': { sign: 'JP¥', exponent: 0 },
};

/** `1234567`, `156` -> `¥12,345.67`. An unknown currency shows its number and minor units. */
export function amountText(amountMinor: string, currency: string): string {
  const known = CURRENCIES[currency];
  if (!known) return `${amountMinor} (${currency})`;
  const digits = amountMinor.padStart(known.exponent + 1, '0');
  const whole = digits.slice(0, digits.length - known.exponent);
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  const rest = known.exponent === 0 ? '' : `.${digits.slice(-known.exponent)}`;
  return `${known.sign}${grouped}${rest}`;
}
