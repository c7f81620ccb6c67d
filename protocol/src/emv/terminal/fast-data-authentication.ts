/** fDDA: the card signed the reader's number, amount and currency in the tap itself. */
import { concatBytes } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { type Chained, iccKey, markMissing, missing } from './certificate-chain.ts';
import { type KernelContext, markTsi, markTvr } from './context.ts';
import { checkDynamicSignature } from './data-authentication.ts';
import type { PhaseFacts } from './types.ts';

/** What the signature of version 01 covers before 9F69. @see EMV C-7 Annex B (fDDA) */
const SIGNED_TAGS: readonly string[] = [
  data.TAG_9F37_UNPREDICTABLE_NUMBER,
  data.TAG_9F02_AMOUNT_AUTHORISED,
  data.TAG_5F2A_TRANSACTION_CURRENCY_CODE,
];

/**
 * Fast dynamic data authentication of a card that gave records; without records there is nothing to
 * check, which the TVR says. A failure is a TVR bit; what follows it is the card's CTQ.
 * @see EMV C-7 §3.5; EMV 4.3 B2 §6.5.2
 */
export function authenticateFast(context: KernelContext): PhaseFacts {
  if (!context.data.has(data.TAG_94_APPLICATION_FILE_LOCATOR)) {
    markTvr(context, data.TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED);
    return { method: 'none' };
  }
  const verdict = verifySignature(context);
  markTsi(context, data.TSI_1_OFFLINE_DATA_AUTHENTICATION_PERFORMED);
  if (verdict.ok) {
    context.dataAuthentication = 'fDDA';
    return { method: 'fDDA', result: 'passed' };
  }
  markMissing(context, verdict);
  context.dataAuthentication = 'failed';
  markTvr(context, data.TVR_1_DDA_FAILED);
  return { method: 'fDDA', result: 'failed', why: verdict.why };
}

function verifySignature(context: KernelContext): Chained<null> {
  const tag = data.TAG_9F69_PBOC_CARD_AUTHENTICATION_RELATED_DATA;
  const related = context.data.get(tag);
  if (!related) return missing(tag);
  if (related[0] !== data.FDDA_VERSION_01) return { ok: false, why: 'fDDA:version' };
  if (related.length < data.CARD_AUTHENTICATION_RELATED_DATA_BYTES || related.length > 16) {
    return { ok: false, why: 'fDDA:length' };
  }
  const signature = context.data.get(data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA);
  if (!signature) return missing(data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA);
  const icc = iccKey(context);
  if (!icc.ok) return icc;
  const reader = SIGNED_TAGS.map((signed) => context.data.get(signed) ?? new Uint8Array(0));
  const terminalData = concatBytes(...reader, related);
  return checkDynamicSignature(context, icc.value, { signature, terminalData });
}
