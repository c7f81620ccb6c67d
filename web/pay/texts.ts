/**
 * What the pay page says. The texts of a language are a file of their own, fetched when the
 * language is chosen: script stays small, and nobody loads what they do not read.
 */
import type { PaymentCode, StateName } from '@tapnpay/plugin/engine';
import type { CheckState } from '@tapnpay/protocol/wire';
import { type Language, language } from '../shared/i18n.ts';

/** A title, and where there is more to say an explanation. */
export type TitleTexts = readonly string[];

/** The texts of one language; both files hold the same keys. */
export type PageTexts = {
  /** Buttons, labels and the receipt. */
  readonly labels: Readonly<Record<string, string>>;
  /** By state; variants after a dot. */
  readonly states: Readonly<Record<string, TitleTexts>>;
  /** Where an error says more than its state; variants after a dot. */
  readonly errors: Readonly<Record<string, TitleTexts>>;
  /** What to type in a terminal against an error; variants after a dot. */
  readonly commands: Readonly<Record<string, string>>;
  /** By the response codes of field 39 that mean it, most at one key. @see Q/CUP 006 */
  readonly declines: Readonly<Record<string, TitleTexts>>;
};
/** Keys of `labels`. */
export type TextKey =
  | 'brand'
  | 'sandbox'
  | 'otherLanguage'
  | 'payTo'
  | 'amount'
  | 'orderNumber'
  | 'shop'
  | 'unchanged'
  | 'install'
  | 'copyCommand'
  | 'copied'
  | 'update'
  | 'updateOffered'
  | 'reload'
  | 'doctor'
  | 'doctorTitle'
  | 'doctorLooks'
  | 'copyReport'
  | 'secondsLeft'
  | 'code'
  | 'holder'
  | 'blocked'
  | 'cancelling'
  | 'slow'
  | 'pay'
  | 'window'
  | 'retry'
  | 'otherCard'
  | 'cancelPayment'
  | 'cancelOrder'
  | 'back'
  | 'inside'
  | 'print'
  | 'paidWith'
  | 'footer'
  | 'receipt'
  | 'copy'
  | 'chip'
  | 'merchant'
  | 'merchantId'
  | 'terminalId'
  | 'time'
  | 'pan'
  | 'entryMode'
  | 'contact'
  | 'contactless'
  | 'application'
  | 'aid'
  | 'cvm'
  | 'approval'
  | 'trace'
  | 'reference'
  | 'atc'
  | 'arqc'
  | 'tc'
  | 'aac'
  | 'tvr'
  | 'tsi'
  | 'arc'
  /** By the state of a doctor's check. */
  | `check_${CheckState}`
  /** By the method's byte of 9F34. */
  | `cvm${string}`;

const URLS: Readonly<Record<Language, URL>> = {
  zh: new URL('./zh.json', import.meta.url),
  en: new URL('./en.json', import.meta.url),
};
const HTML_LANGUAGE: Readonly<Record<Language, string>> = { zh: 'zh-CN', en: 'en' };
const AGAIN_MS = 2_000;
let current: PageTexts = { labels: {}, states: {}, errors: {}, commands: {}, declines: {} };

/** Fetches the texts of the page's language, again and again if need be; false: another's turn. */
export async function loadTexts(): Promise<boolean> {
  const wanted = language();
  for (;;) {
    try {
      const response = await fetch(URLS[wanted]);
      if (!response.ok) throw new Error(`texts: ${response.status}`);
      const texts = (await response.json()) as PageTexts;
      if (wanted !== language()) return false;
      setTexts(texts);
      document.documentElement.lang = HTML_LANGUAGE[wanted];
      return true;
    } catch {
      // The gateway is away; the page has nothing to say without its texts.
      await new Promise((done) => setTimeout(done, AGAIN_MS));
      if (wanted !== language()) return false;
    }
  }
}

/** Speaks with these texts from now on. */
export function setTexts(texts: PageTexts): void {
  current = texts;
}

/** A label; `{name}` in it is replaced by `values.name`. */
export function t(key: TextKey, values: Readonly<Record<string, string | number>> = {}): string {
  const text = current.labels[key] ?? '';
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** Title and explanation of a state. */
export function stateTexts(name: StateName, variant: string | null): TitleTexts {
  return variantOf(current.states, name, variant) ?? [];
}

/** Title and explanation of an error that says more than its state. */
export function errorTexts(code: PaymentCode, variant: string | null): TitleTexts | null {
  return variantOf(current.errors, code, variant) ?? null;
}

/** What to type against an error; empty where typing does not help. */
export function commandText(code: string, variant: string | null): string {
  return variantOf(current.commands, code, variant) ?? '';
}

function variantOf<Text>(
  texts: Readonly<Record<string, Text>>,
  key: string,
  variant: string | null,
): Text | undefined {
  return texts[`${key}.${variant}`] ?? texts[key];
}

/** Reason and next step of a bank's no; a code that is not listed is the bank's own affair. */
export function declineTexts(responseCode: string): TitleTexts {
  const { declines } = current;
  const key = Object.keys(declines).find((codes) => codes.split(' ').includes(responseCode));
  return declines[key ?? '05'] ?? [];
}
