/** Names of codes: currencies, countries, application identifiers, cryptograms, types. */
import type { BothLanguages } from './types.ts';

function table(text: string): ReadonlyMap<string, BothLanguages> {
  const rows = text.trim().split('\n');
  return new Map(
    rows.map((row) => {
      const [code = '', en = '', zh = ''] = row.split('|').map((part) => part.trim());
      return [code, { en, zh }];
    }),
  );
}

/** ISO 4217 numeric code -> letters and name; exponents stand in `CURRENCY_EXPONENTS`. */
const CURRENCIES = table(`
036|AUD Australian dollar|AUD 澳元
096|BND Brunei dollar|BND 文莱元
124|CAD Canadian dollar|CAD 加元
156|CNY Chinese yuan|CNY 人民币
208|DKK Danish krone|DKK 丹麦克朗
344|HKD Hong Kong dollar|HKD 港元
356|INR Indian rupee|INR 印度卢比
360|IDR Indonesian rupiah|IDR 印尼盾
376|ILS Israeli shekel|ILS 以色列谢克尔
392|JPY Japanese yen|JPY 日元
398|KZT Kazakh tenge|KZT 哈萨克斯坦坚戈
410|KRW South Korean won|KRW 韩元
414|KWD Kuwaiti dinar|KWD 科威特第纳尔
418|LAK Lao kip|LAK 老挝基普
446|MOP Macanese pataca|MOP 澳门元
458|MYR Malaysian ringgit|MYR 马来西亚林吉特
496|MNT Mongolian tugrik|MNT 蒙古图格里克
554|NZD New Zealand dollar|NZD 新西兰元
578|NOK Norwegian krone|NOK 挪威克朗
586|PKR Pakistani rupee|PKR 巴基斯坦卢比
608|PHP Philippine peso|PHP 菲律宾比索
643|RUB Russian rouble|RUB 俄罗斯卢布
682|SAR Saudi riyal|SAR 沙特里亚尔
702|SGD Singapore dollar|SGD 新加坡元
704|VND Vietnamese dong|VND 越南盾
710|ZAR South African rand|ZAR 南非兰特
752|SEK Swedish krona|SEK 瑞典克朗
756|CHF Swiss franc|CHF 瑞士法郎
764|THB Thai baht|THB 泰铢
784|AED UAE dirham|AED 阿联酋迪拉姆
818|EGP Egyptian pound|EGP 埃及镑
826|GBP Pound sterling|GBP 英镑
840|USD US dollar|USD 美元
901|TWD New Taiwan dollar|TWD 新台币
949|TRY Turkish lira|TRY 土耳其里拉
978|EUR Euro|EUR 欧元
986|BRL Brazilian real|BRL 巴西雷亚尔
`);

/** Currencies whose minor unit is not a hundredth. */
const CURRENCY_EXPONENTS: ReadonlyMap<string, number> = new Map([
  ['392', 0],
  ['410', 0],
  ['704', 0],
  ['414', 3],
]);

const COUNTRIES = table(`
036|Australia|澳大利亚
040|Austria|奥地利
056|Belgium|比利时
076|Brazil|巴西
124|Canada|加拿大
156|China|中国
158|Taiwan, China|中国台湾
208|Denmark|丹麦
246|Finland|芬兰
250|France|法国
276|Germany|德国
344|Hong Kong, China|中国香港
356|India|印度
360|Indonesia|印度尼西亚
372|Ireland|爱尔兰
380|Italy|意大利
392|Japan|日本
398|Kazakhstan|哈萨克斯坦
410|Republic of Korea|韩国
418|Laos|老挝
446|Macao, China|中国澳门
458|Malaysia|马来西亚
496|Mongolia|蒙古
528|Netherlands|荷兰
554|New Zealand|新西兰
578|Norway|挪威
586|Pakistan|巴基斯坦
608|Philippines|菲律宾
616|Poland|波兰
620|Portugal|葡萄牙
643|Russian Federation|俄罗斯
702|Singapore|新加坡
704|Viet Nam|越南
710|South Africa|南非
724|Spain|西班牙
752|Sweden|瑞典
756|Switzerland|瑞士
764|Thailand|泰国
784|United Arab Emirates|阿联酋
792|Türkiye|土耳其
826|United Kingdom|英国
840|United States|美国
`);

const APPLICATIONS = table(`
A000000333010101|UnionPay debit|银联借记
A000000333010102|UnionPay credit|银联贷记
A000000333010103|UnionPay quasi-credit|银联准贷记
A000000333010106|UnionPay electronic cash|银联纯电子现金
A0000000031010|Visa credit or debit|Visa 贷记/借记
A0000000032010|Visa Electron|Visa Electron
A0000000041010|Mastercard|Mastercard
A0000000043060|Maestro|Maestro
A00000002501|American Express|美国运通
A0000000651010|JCB|JCB
A0000001523010|Discover|Discover
A0000002771010|Interac|Interac
A0000000048002|Mastercard CAP (token)|Mastercard CAP 动态口令
A0000000038002|Visa DPA (token)|Visa DPA 动态口令
A000000151000000|GlobalPlatform card manager|GlobalPlatform 卡管理器
315041592E5359532E4444463031|PSE: contact payment directory|接触式支付系统环境 PSE
325041592E5359532E4444463031|PPSE: contactless payment directory|非接触式支付系统环境 PPSE
`);

const SCHEMES = table(`
A000000333|China UnionPay|中国银联
A000000003|Visa|Visa
A000000004|Mastercard|Mastercard
A000000025|American Express|美国运通
A000000065|JCB|JCB
A000000152|Discover|Discover
A000000277|Interac|Interac
A000000658|MIR|MIR
A000000524|RuPay|RuPay
A000000151|GlobalPlatform|GlobalPlatform
`);

/** ISO 4217 numeric code, with or without zeros in front; null when unknown here. */
export function currencyName(code: string): BothLanguages | null {
  return CURRENCIES.get(code.slice(-3)) ?? null;
}

/** ISO 3166-1 numeric code; null when unknown here. */
export function countryName(code: string): BothLanguages | null {
  return COUNTRIES.get(code.slice(-3)) ?? null;
}

/** An application, or the scheme of its RID; null when unknown here. */
export function applicationName(aid: string): BothLanguages | null {
  for (const [known, name] of APPLICATIONS) if (aid.startsWith(known)) return name;
  return SCHEMES.get(aid.slice(0, 10)) ?? null;
}

/** Minor units as an amount in a currency (`156` unless said), as `0.51 CNY`. */
export function amountText(minor: string, currency: string | undefined): string {
  const code = (currency ?? '').slice(-3);
  const exponent = CURRENCY_EXPONENTS.get(code) ?? 2;
  const digits = minor.replace(/^0+(?=\d)/, '').padStart(exponent + 1, '0');
  const number =
    exponent === 0 ? digits : `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
  const letters = CURRENCIES.get(code)?.en.slice(0, 3);
  return letters === undefined ? number : `${number} ${letters}`;
}

/** A two-digit year's century. @see EMV 4.3 B4 §6.7.3 */
export function fullYear(yy: string): string {
  return (Number(yy) < 50 ? '20' : '19') + yy;
}

/** `YYYY-MM-DD` of six digits, or null when they are no day. */
export function dayOf(yymmdd: string): string | null {
  const match = /^(\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$/.exec(yymmdd);
  if (!match) return null;
  return `${fullYear(match[1] ?? '')}-${match[2]}-${match[3]}`;
}

/** Last day of the month `MMYY`, or null when it is no month. */
export function lastDayOf(mmyy: string): string | null {
  const match = /^(0[1-9]|1[0-2])(\d\d)$/.exec(mmyy);
  if (!match) return null;
  const year = fullYear(match[2] ?? '');
  const month = Number(match[1]);
  const isLeap = Number(year) % 4 === 0 && (Number(year) % 100 !== 0 || Number(year) % 400 === 0);
  const days = month === 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return `${year}-${match[1]}-${days}`;
}
