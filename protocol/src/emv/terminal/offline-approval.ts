/** An approval of the card alone: what is uploaded, and how it is kept before it is shown. */
import { bytesToUint, errorBody, Secret, toHex } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import type { KernelContext } from './context.ts';
import { encodeField55, FIELD_55_TAGS } from './online.ts';
import { panOf, panSequenceNumberOf } from './read-data.ts';
import type { Kernel, OfflineApproval } from './types.ts';

/** Field 55 of an uploaded approval: as online, then who approved it (8A). */
export const FIELD_55_TAGS_OFFLINE: readonly string[] = [
  ...FIELD_55_TAGS,
  data.TAG_8A_AUTHORISATION_RESPONSE_CODE,
];

/** The same of an e-cash payment: its authorisation code and product stand before 8A. */
export const FIELD_55_TAGS_ELECTRONIC_CASH: readonly string[] = [
  ...FIELD_55_TAGS,
  data.TAG_9F74_PBOC_EC_ISSUER_AUTHORISATION_CODE,
  data.TAG_9F63_PBOC_PRODUCT_IDENTIFICATION,
  data.TAG_8A_AUTHORISATION_RESPONSE_CODE,
];

/** What goes to the issuer for an approval that the card's last cryptogram, a TC, proves. */
export function offlineApprovalOf(
  context: KernelContext,
  kind: OfflineApproval['kind'],
): OfflineApproval {
  const expiry = context.data.get(data.TAG_5F24_APPLICATION_EXPIRATION_DATE);
  const track2 = context.data.get(data.TAG_57_TRACK_2_EQUIVALENT_DATA);
  const counter = context.data.get(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER);
  const tags = kind === 'electronicCash' ? FIELD_55_TAGS_ELECTRONIC_CASH : FIELD_55_TAGS_OFFLINE;
  return {
    kind,
    field55: encodeField55(context, tags),
    pan: new Secret(panOf(context)),
    panSequenceNumber: panSequenceNumberOf(context),
    expiryYymm: new Secret(toHex(expiry ?? new Uint8Array(3)).slice(0, 4)),
    track2: track2 ? new Secret(toHex(track2).replace(/F+$/, '')) : null,
    amountMinor: context.input.amountMinor,
    currency: context.input.terminal.currency,
    applicationTransactionCounter: bytesToUint(counter ?? new Uint8Array(2)),
  };
}

/**
 * Has the driver keep the approval, before the card is released and the outcome told; the tag 8A
 * (`Y1`, `Y3`) must be set before. Answers the code of the fault when the driver could not: the
 * card has paid and the proof is lost, so the outcome is `unknown` with that reason; null when it
 * is kept, and in `context.offlineApproval`.
 */
export function* storeOfflineApproval(
  context: KernelContext,
  kind: OfflineApproval['kind'],
): Kernel<string | null> {
  const approval = offlineApprovalOf(context, kind);
  try {
    yield { kind: 'storeOfflineApproval', approval };
  } catch (fault) {
    context.offlineApprovalFault = errorBody(fault).code;
    return context.offlineApprovalFault;
  }
  context.offlineApproval = approval;
  return null;
}
