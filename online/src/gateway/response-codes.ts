/** What a merchant is told of field 39: a code of the table and its texts, nothing of upstream. */
import { type DeclineAction, declineTexts } from '@tapnpay/protocol/iso8583';
import type { BothTexts } from './errors.ts';

/** What the one at the till can do. */
export const DECLINE_ACTIONS = [
  'none',
  'enterPinAgain',
  'useOtherCard',
  'insertCard',
  'askIssuer',
  'keepCard',
  'tryLater',
  'fixRequest',
  'awaitOutcome',
] as const;

/** A response code, what to do about it, and its texts for merchant and cardholder. */
export type ResponseText = {
  readonly code: string;
  readonly action: DeclineAction;
  readonly merchant: BothTexts;
  readonly cardholder: BothTexts;
};

/** Null while there is no answer. Anything that is no code is not repeated. */
export function responseText(code: string | null): ResponseText | null {
  if (code === null || !/^[0-9A-Z]{2}$/.test(code)) return null;
  const { action, merchant, cardholder } = declineTexts(code);
  return { code, action, merchant, cardholder };
}
