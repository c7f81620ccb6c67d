/**
 * CDA: the card signs its cryptogram together with all that both sides sent. The terminal asks for
 * it with every TC and ARQC, the first and the second time.
 * @see EMV 4.3 B2 §6.6; B3 §10.3; B4 §6.3.2
 */
import { byteAt, concatBytes } from '../../bytes/index.ts';
import type { Tlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { type Chained, type ChainKey, chained } from './certificate-chain.ts';
import { type KernelContext, markTsi, markTvr } from './context.ts';

/** What CDA keeps from the recovery of the card's key to the last cryptogram. */
export type CombinedState = {
  readonly iccKey: ChainKey;
  /** Data of the first GENERATE AC as sent. */
  cdol1Value: Uint8Array;
};

/** Reason of a decline that a failed CDA decided. */
export const REASON_CDA_FAILED = 'terminal:CDA';

/**
 * Whether this GENERATE AC asks for a combined answer: not for an AAC, and not once CDA failed.
 * @see EMV 4.3 B2 §6.6; B4 §6.3.2.1
 */
export function wantsCombined(context: KernelContext, request: 'AAC' | 'TC' | 'ARQC'): boolean {
  return context.combined !== null && request !== 'AAC' && !hasCombinedFailed(context);
}

/** Whether the card's key was right and its signature over a cryptogram then was not. */
export function hasCombinedFailed(context: KernelContext): boolean {
  return context.combined !== null && context.dataAuthentication === 'failed';
}

/** One answer to GENERATE AC that was to be combined. */
export type CombinedAnswer = {
  /** The answer as received, and its template of format 2; undefined for format 1. */
  readonly answer: Uint8Array;
  readonly template: Tlv | undefined;
  readonly cryptogramInformationData: number;
  /** Values sent in CDOL1, then in CDOL2 when this is the second. */
  readonly cdolValues: readonly Uint8Array[];
};

/**
 * Opens the signature of an answer and answers its cryptogram; marks TVR and TSI, and keeps the
 * card's number (9F4C). A TC or ARQC without signature is a failure.
 * @see EMV 4.3 B2 §6.6.2
 */
export function checkCombined(
  context: KernelContext,
  combined: CombinedState,
  answer: CombinedAnswer,
): Chained<Uint8Array> {
  const result = openCombined(context, combined, answer);
  markTsi(context, data.TSI_1_OFFLINE_DATA_AUTHENTICATION_PERFORMED);
  if (!result.ok) {
    context.dataAuthentication = 'failed';
    markTvr(context, data.TVR_1_CDA_FAILED);
    return result;
  }
  context.dataAuthentication = 'CDA';
  context.data.set(data.TAG_9F4C_ICC_DYNAMIC_NUMBER, result.value.iccDynamicNumber);
  return { ok: true, value: result.value.applicationCryptogram };
}

function openCombined(
  context: KernelContext,
  { iccKey }: CombinedState,
  given: CombinedAnswer,
): Chained<data.RecoveredCombinedData> {
  const children = given.template?.children ?? [];
  const tag = data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA;
  const signature = children.find((child) => child.tag === tag)?.value;
  if (signature === undefined) return { ok: false, why: 'combinedData:noSignature' };
  const objects = children.filter((child) => child.tag !== tag);
  const input: data.CombinedDataInput = {
    signature,
    unpredictableNumber: context.data.get(data.TAG_9F37_UNPREDICTABLE_NUMBER) ?? new Uint8Array(0),
    cryptogramInformationData: given.cryptogramInformationData,
    transactionData: concatBytes(
      context.pdolValue,
      ...given.cdolValues,
      ...objects.map((object) => asReceived(given.answer, object)),
    ),
  };
  const { ciphers } = context.input;
  const result =
    iccKey.algorithm === 'SM2'
      ? data.verifySmCombinedDynamicData(ciphers, { ...input, iccKey: iccKey.publicKey })
      : data.recoverCombinedDynamicData(ciphers, { ...input, iccKey });
  return chained('combinedData', result);
}

/** Tag, length and value as the card sent them: a longer form of the length is hashed as it is. */
function asReceived(answer: Uint8Array, object: Tlv): Uint8Array {
  const start = object.offsetBytes;
  const lengthAt = start + object.tag.length / 2;
  const first = byteAt(answer, lengthAt);
  const lengthBytes = first & 0x80 ? 1 + (first & 0x7f) : 1;
  return answer.subarray(start, lengthAt + lengthBytes + object.value.length);
}
