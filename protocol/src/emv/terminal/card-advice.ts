/** What cryptogram information data say beside the kind of cryptogram: advice and its reason. */
import { byteAt } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import type { KernelContext } from './context.ts';
import type { AdviceReason, CardAdvice, Cryptogram, PhaseFacts } from './types.ts';

/** Bit 4: the card wants an advice sent. */
const CID_ADVICE_REQUIRED = 0x08;
/** Bits 3 to 1: why. @see EMV 4.3 B3 §6.5.5.4 table 14 */
const CID_REASON_MASK = 0x07;
const REASONS: readonly AdviceReason[] = [
  'none',
  'serviceNotAllowed',
  'pinTryLimitExceeded',
  'issuerAuthenticationFailed',
];

/** Of the last cryptogram; null before any. */
export function cardAdviceOf(context: KernelContext): CardAdvice | null {
  const cid = context.data.get(data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA);
  if (context.first === null || cid === undefined) return null;
  const value = byteAt(cid, 0);
  return {
    isRequired: (value & CID_ADVICE_REQUIRED) !== 0,
    reason: REASONS[value & CID_REASON_MASK] ?? 'reserved',
  };
}

/** The same for a trace, beside the kind of cryptogram. */
export function cryptogramFacts(context: KernelContext, cryptogram: Cryptogram): PhaseFacts {
  const advice = cardAdviceOf(context);
  return {
    type: cryptogram.type,
    adviceRequired: advice?.isRequired ?? false,
    adviceReason: advice?.reason ?? 'none',
  };
}
