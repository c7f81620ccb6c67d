/** Branded values of the payment world: the type and its checking constructor share a name. */
import { BytesError } from './bytes.ts';

declare const brand: unique symbol;
/** A base type that only its constructor can make. */
export type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Primary account number: 12 to 19 digits with a valid Luhn check digit. @see ISO 7812 */
export type Pan = Branded<string, 'Pan'>;
/** @throws BytesError `ERR_VALUE`; the message never holds the number. */
export function Pan(digits: string): Pan {
  if (!/^[0-9]{12,19}$/.test(digits)) throw invalid('PAN', 'needs 12 to 19 digits');
  if (luhnCheckDigit(digits.slice(0, -1)) !== digits.slice(-1)) {
    throw invalid('PAN', 'has a wrong check digit');
  }
  return digits as Pan;
}

/** The Luhn check digit of a number without it. */
export function luhnCheckDigit(payload: string): string {
  let sum = 0;
  for (let index = 0; index < payload.length; index++) {
    const digit = Number(payload[payload.length - 1 - index]);
    const doubled = index % 2 === 0 ? 2 * digit : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return String((10 - (sum % 10)) % 10);
}

/** First six and last four digits, the rest as asterisks; what people and logs may see. */
export function maskPan(digits: string): string {
  if (digits.length < 12) return '*'.repeat(digits.length);
  return `${digits.slice(0, 6)}${'*'.repeat(digits.length - 10)}${digits.slice(-4)}`;
}

/** A positive amount in minor units that fits tag 9F02 and field 4 (n12). */
export type AmountMinor = Branded<bigint, 'AmountMinor'>;
/** @throws BytesError `ERR_VALUE` on zero, negative or more than 12 digits. */
export function AmountMinor(value: bigint): AmountMinor {
  if (value <= 0n) throw invalid('amount', 'must be greater than zero');
  if (value > 999_999_999_999n) throw invalid('amount', 'has more than 12 digits in minor units');
  return value as AmountMinor;
}

/** ISO 4217 numeric code -> number of minor-unit digits, of the currencies this system knows. */
export const CURRENCY_EXPONENT: Readonly<Record<string, number>> = {
  '036': 2,
  '156': 2,
  '344': 2,
  '392': 0,
  '410': 0,
  '414': 3,
  '446': 2,
  '702': 2,
  '826': 2,
  '840': 2,
  '901': 2,
  '978': 2,
};

/** Minor-unit digits of a currency. @throws BytesError `ERR_VALUE` for an unknown code. */
export function currencyExponent(currency: string): number {
  const exponent = CURRENCY_EXPONENT[currency];
  if (exponent === undefined) throw invalid('currency', `${currency} is not a known ISO 4217 code`);
  return exponent;
}

/**
 * Minor units of a decimal text such as `12.34`, by the currency's exponent.
 * @throws BytesError `ERR_VALUE` naming what is wrong; never rounds.
 */
export function parseAmount(text: string, currency: string): AmountMinor {
  const exponent = currencyExponent(currency);
  const match = /^([0-9]{1,12})(?:\.([0-9]+))?$/.exec(text);
  if (!match) throw invalid('amount', 'must be digits with an optional decimal point, as in 12.34');
  const fraction = match[2] ?? '';
  if (fraction.length > exponent) {
    throw invalid('amount', `currency ${currency} has ${exponent} decimal places`);
  }
  return AmountMinor(BigInt(`${match[1]}${fraction.padEnd(exponent, '0')}`));
}

/** Decimal text of minor units, `1234` of currency 156 -> `12.34`. */
export function formatAmount(value: bigint, currency: string): string {
  const exponent = currencyExponent(currency);
  const sign = value < 0n ? '-' : '';
  const digits = (value < 0n ? -value : value).toString().padStart(exponent + 1, '0');
  if (exponent === 0) return sign + digits;
  return `${sign}${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/** Systems trace audit number: six digits, 000001 to 999999. @see ISO 8583:1987 field 11 */
export type Stan = Branded<string, 'Stan'>;
/** @throws BytesError `ERR_VALUE`. */
export function Stan(digits: string): Stan {
  if (!/^[0-9]{6}$/.test(digits) || digits === '000000') throw invalid('STAN', 'is 000001-999999');
  return digits as Stan;
}

/** Key check value: upper-case hex of 3 to 8 bytes. */
export type KeyCheckValue = Branded<string, 'KeyCheckValue'>;
/** @throws BytesError `ERR_VALUE`. */
export function KeyCheckValue(hex: string): KeyCheckValue {
  if (!/^([0-9A-F]{2}){3,8}$/.test(hex)) throw invalid('KCV', 'is 3 to 8 bytes in upper-case hex');
  return hex as KeyCheckValue;
}

function invalid(what: string, why: string): BytesError {
  return new BytesError('ERR_VALUE', `${what} ${why}`, { value: what });
}
