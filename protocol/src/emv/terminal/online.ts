/** Online processing: what goes to the issuer, field 55, and what came back. */
import { concatBytes, errorBody, Secret, toHex } from '../../bytes/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import type { KernelContext } from './context.ts';
import { panOf, panSequenceNumberOf } from './read-data.ts';
import type { Cryptogram, Kernel, KernelAnswer, OnlineAnswer, OnlineRequest } from './types.ts';

/** Field 55 of an online purchase in UnionPay's order. */
export const FIELD_55_TAGS: readonly string[] = [
  data.TAG_9F26_APPLICATION_CRYPTOGRAM,
  data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA,
  data.TAG_9F10_ISSUER_APPLICATION_DATA,
  data.TAG_9F37_UNPREDICTABLE_NUMBER,
  data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER,
  data.TAG_95_TERMINAL_VERIFICATION_RESULTS,
  data.TAG_9A_TRANSACTION_DATE,
  data.TAG_9C_TRANSACTION_TYPE,
  data.TAG_9F02_AMOUNT_AUTHORISED,
  data.TAG_5F2A_TRANSACTION_CURRENCY_CODE,
  data.TAG_82_APPLICATION_INTERCHANGE_PROFILE,
  data.TAG_9F1A_TERMINAL_COUNTRY_CODE,
  data.TAG_9F03_AMOUNT_OTHER,
  data.TAG_9F33_TERMINAL_CAPABILITIES,
  data.TAG_9F34_CVM_RESULTS,
  data.TAG_9F35_TERMINAL_TYPE,
  data.TAG_9F1E_INTERFACE_DEVICE_SERIAL_NUMBER,
  data.TAG_84_DEDICATED_FILE_NAME,
  data.TAG_9F09_APPLICATION_VERSION_NUMBER_TERMINAL,
  data.TAG_9F41_TRANSACTION_SEQUENCE_COUNTER,
];

/** Field 39 of an approval. `10` and `11` are not taken: no partial or VIP approvals here. */
export const RESPONSE_CODE_APPROVED = '00';

/** Data objects of `tags` that are there, in that order. */
export function encodeField55(context: KernelContext, tags: readonly string[]): Uint8Array {
  const objects: Uint8Array[] = [];
  for (const tag of tags) {
    const value = context.data.get(tag);
    if (value) objects.push(encodeTlv(tag, value));
  }
  return concatBytes(...objects);
}

/** The answer, and the code of the fault that left it open. */
export type Authorisation = { readonly answer: OnlineAnswer; readonly faultCode: string | null };

/**
 * Asks the issuer. A driver that throws may have sent the request: that is `unknown`.
 * @see EMV 4.3 B3 §10.9
 */
export function* authorise(context: KernelContext, arqc: Cryptogram): Kernel<Authorisation> {
  const request = onlineRequest(context, arqc);
  let answer: KernelAnswer;
  try {
    answer = yield { kind: 'authorise', request };
  } catch (fault) {
    return { answer: { result: 'unknown' }, faultCode: errorBody(fault).code };
  }
  if (isOnlineAnswer(answer)) return { answer, faultCode: null };
  return { answer: { result: 'unknown' }, faultCode: 'ERR_KERNEL_ANSWER' };
}

function onlineRequest(context: KernelContext, arqc: Cryptogram): OnlineRequest {
  const expiry = context.data.get(data.TAG_5F24_APPLICATION_EXPIRATION_DATE);
  const track2 = context.data.get(data.TAG_57_TRACK_2_EQUIVALENT_DATA);
  return {
    values: context.data.snapshot(),
    pinRequired: context.pinEntered,
    field55: encodeField55(context, FIELD_55_TAGS),
    arqc,
    pan: new Secret(panOf(context)),
    panSequenceNumber: panSequenceNumberOf(context),
    expiryYymm: new Secret(toHex(expiry ?? new Uint8Array(3)).slice(0, 4)),
    track2: track2 ? new Secret(toHex(track2).replace(/F+$/, '')) : null,
  };
}

/** Whether the answer can be read; one that cannot leaves the question open. */
function isOnlineAnswer(answer: KernelAnswer): answer is OnlineAnswer {
  if (typeof answer !== 'object' || answer === null || !('result' in answer)) return false;
  if (answer.result === 'unable' || answer.result === 'unknown') return true;
  const { responseCode, issuerAuthenticationData: arpc, scripts } = answer;
  return (
    answer.result === 'answered' &&
    typeof responseCode === 'string' &&
    /^[0-9A-Z]{2}$/.test(responseCode) &&
    (arpc === undefined || arpc instanceof Uint8Array) &&
    Array.isArray(scripts) &&
    scripts.every((script) => script instanceof Uint8Array)
  );
}
