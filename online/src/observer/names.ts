/** Names of hops and of codes that several decoders show. */
import { CURRENCY_EXPONENT, formatAmount } from '@tapnpay/protocol/bytes';
import type { HopName, TwoLanguages } from '@tapnpay/protocol/wire';
import { two } from './field.ts';

/** The hops as `docs/a-tap.md` calls them. */
export const HOP_NAMES: Readonly<Record<HopName, TwoLanguages>> = {
  order: two('Order', '下单'),
  ask: two('Ask', '发起'),
  channel: two('Secure channel', '安全通道'),
  tap: two('Read the card', '读卡'),
  check: two('Terminal checks', '终端检查'),
  cryptogram: two('Application cryptogram', '应用密文'),
  seal: two('Seal', '封装'),
  request: two('Request', '请求'),
  route: two('Route', '转接'),
  decide: two("Issuer's decision", '发卡行决定'),
  return: two('Answer', '应答'),
  finish: two('Finish at the card', '卡片完成'),
  confirm: two('Confirm', '确认'),
  tell: two('Tell', '通知'),
};

const CURRENCIES: Readonly<Record<string, TwoLanguages>> = {
  '156': two('CNY, Chinese yuan', 'CNY 人民币'),
  '344': two('HKD, Hong Kong dollar', 'HKD 港元'),
  '392': two('JPY, Japanese yen', 'JPY 日元'),
  '840': two('USD, US dollar', 'USD 美元'),
  '978': two('EUR, euro', 'EUR 欧元'),
};
const COUNTRIES: Readonly<Record<string, TwoLanguages>> = {
  '156': two('China', '中国'),
  '344': two('Hong Kong', '中国香港'),
  '392': two('Japan', '日本'),
  '840': two('United States', '美国'),
};

/** ISO 4217 numeric code, with or without zeros in front. */
export function currencyName(code: string): TwoLanguages | null {
  return CURRENCIES[code.slice(-3)] ?? null;
}

/** ISO 3166-1 numeric code. */
export function countryName(code: string): TwoLanguages | null {
  return COUNTRIES[code.slice(-3)] ?? null;
}

/** Minor units as an amount with its currency; null when one of them is unknown. */
export function amountMeaning(minor: string, currency: string): TwoLanguages | null {
  const code = currency.slice(-3);
  if (!/^-?[0-9]{1,15}$/.test(minor) || CURRENCY_EXPONENT[code] === undefined) return null;
  const text = formatAmount(BigInt(minor), code);
  const unit = CURRENCIES[code]?.en.slice(0, 3) ?? code;
  return two(`${text} ${unit}`, `${text} ${unit}`);
}
