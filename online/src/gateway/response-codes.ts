/** What a merchant is told of field 39: a code of the table and its texts, nothing of upstream. */
import { responseCodeName } from '@tapnpay/protocol/iso8583';
import type { BothTexts } from './errors.ts';

/** A response code with its texts. */
export type ResponseText = { readonly code: string; readonly text: BothTexts };

/** Codes that are in no table mean a refusal all the same. */
const OTHER: BothTexts = { en: 'Declined', zh: '交易被拒绝' };

/** Code and texts; null while there is no answer. Anything that is no code is not repeated. */
export function responseText(code: string | null): ResponseText | null {
  if (code === null || !/^[0-9A-Z]{2}$/.test(code)) return null;
  const name = responseCodeName(code);
  return { code, text: name ? { en: name.en, zh: name.zh } : OTHER };
}
