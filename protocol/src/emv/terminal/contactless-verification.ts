/** Cardholder verification of a tap: the card's qualifiers choose, the reader's limit demands. */
import { equalBytes } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { enterOnlinePin } from './cardholder-verification.ts';
import {
  type ContactlessEnding,
  cardSays,
  isTc,
  readerSays,
  takesContact,
} from './contactless-decision.ts';
import { type KernelContext, markTsi, markTvr } from './context.ts';
import type { Kernel, PhaseFacts } from './types.ts';

/** The transaction goes on, or ends here. */
export type ContactlessVerification =
  | { readonly result: 'done'; readonly facts: PhaseFacts }
  | { readonly result: 'ended'; readonly end: ContactlessEnding };

/** How the cardholder was or could not be verified. */
type Method = 'onlinePin' | 'consumerDevice' | 'consumerDeviceForged' | 'signature' | 'none';

/**
 * First and second byte of 9F34. No list is read in a tap, so the condition is "if supported", that
 * of our contact list. A verification on the consumer's device asks nothing of the terminal: the
 * results say "no CVM", the card's signed qualifiers say what was done.
 * @see EMV 4.3 B4 §A4
 */
const RESULTS: Readonly<Record<'onlinePin' | 'signature' | 'none', readonly [number, number]>> = {
  onlinePin: [data.CVM_ENCIPHERED_PIN_ONLINE | data.CVM_APPLY_NEXT_MASK, 0x03],
  signature: [data.CVM_SIGNATURE, 0x03],
  none: [data.CVM_NO_CVM_REQUIRED, 0x03],
};

/**
 * Performs the card's method. The PIN is asked for after the card has left the field.
 * @throws KernelError `ERR_KERNEL_ANSWER`. @see EMV C-7 §3.7
 */
export function* verifyContactless(context: KernelContext): Kernel<ContactlessVerification> {
  const method = chooseMethod(context);
  switch (method) {
    case 'onlinePin':
      // A card that approved by itself sends no PIN to the issuer: nobody would verify it.
      if (isTc(context)) return failed(context, 'declined', 'terminal:pinNeedsIssuer');
      return yield* verifyByPin(context);
    case 'consumerDeviceForged':
      return failed(context, 'declined', 'terminal:consumerDeviceCvm');
    case 'none':
      if (!readerSays(context, data.TTQ_2_CVM_REQUIRED)) break;
      // One that has paid already is not sent to pay once more at the other interface.
      return failed(
        context,
        takesContact(context) && !isTc(context) ? 'tryAnotherInterface' : 'declined',
        'terminal:noCommonCvm',
      );
    default:
      break;
  }
  const isSignature = method === 'signature';
  const result = isSignature ? data.CVM_RESULT_UNKNOWN : data.CVM_RESULT_SUCCESSFUL;
  setResults(context, RESULTS[isSignature ? 'signature' : 'none'], result);
  markTsi(context, data.TSI_1_CARDHOLDER_VERIFICATION_PERFORMED);
  return { result: 'done', facts: { method, pinEntered: false } };
}

/**
 * PIN before device before signature, each only when both sides can.
 * DEVIATION: the claim of a consumer's device counts after a passed fDDA only. C-7 takes it from
 * any card that goes online; as 9F6C is under no cryptogram, a relay then sets the bit and no PIN
 * is asked for any amount. @see EMV C-7 §3.7
 */
function chooseMethod(context: KernelContext): Method {
  const both = (card: data.StatusBit, reader: data.StatusBit): boolean =>
    cardSays(context, card) && readerSays(context, reader);
  if (both(data.CTQ_1_ONLINE_PIN_REQUIRED, data.TTQ_1_ONLINE_PIN_SUPPORTED)) return 'onlinePin';
  // Without a signature the claim is nobody's: whoever sits between card and reader can set it.
  const isAuthentic = context.dataAuthentication === 'fDDA';
  if (isAuthentic && cardSays(context, data.CTQ_2_CDCVM_PERFORMED)) {
    return isQualifierSigned(context) ? 'consumerDevice' : 'consumerDeviceForged';
  }
  if (both(data.CTQ_1_SIGNATURE_REQUIRED, data.TTQ_1_SIGNATURE_SUPPORTED)) return 'signature';
  return 'none';
}

/** Whether the signed 9F69 repeats the qualifiers. @see EMV C-7 Annex A (9F69) */
function isQualifierSigned(context: KernelContext): boolean {
  const related = context.data.get(data.TAG_9F69_PBOC_CARD_AUTHENTICATION_RELATED_DATA);
  const ctq = context.data.get(data.TAG_9F6C_PBOC_CARD_TRANSACTION_QUALIFIERS);
  const offset = data.CARD_AUTHENTICATION_CTQ_OFFSET_BYTES;
  return (
    related !== undefined &&
    ctq !== undefined &&
    equalBytes(related.subarray(offset, offset + data.CTQ_BYTES), ctq)
  );
}

function* verifyByPin(context: KernelContext): Kernel<ContactlessVerification> {
  const result = yield* enterOnlinePin(context, { refused: false });
  if (result === 'cancelled') return ended('cancelled', 'cardholder:pin');
  const isEntered = result === 'unknown';
  setResults(
    context,
    RESULTS.onlinePin,
    isEntered ? data.CVM_RESULT_UNKNOWN : data.CVM_RESULT_FAILED,
  );
  markTsi(context, data.TSI_1_CARDHOLDER_VERIFICATION_PERFORMED);
  if (isEntered) return { result: 'done', facts: { method: 'onlinePin', pinEntered: true } };
  markTvr(context, data.TVR_3_CARDHOLDER_VERIFICATION_FAILED);
  return ended('declined', 'terminal:pinNotEntered');
}

function setResults(
  context: KernelContext,
  [code, condition]: readonly [number, number],
  result: number,
): void {
  context.data.set(data.TAG_9F34_CVM_RESULTS, Uint8Array.of(code, condition, result));
}

function failed(
  context: KernelContext,
  outcome: ContactlessEnding['outcome'],
  reason: string,
): ContactlessVerification {
  markTvr(context, data.TVR_3_CARDHOLDER_VERIFICATION_FAILED);
  return ended(outcome, reason);
}

function ended(outcome: ContactlessEnding['outcome'], reason: string): ContactlessVerification {
  return { result: 'ended', end: { outcome, reason } };
}
