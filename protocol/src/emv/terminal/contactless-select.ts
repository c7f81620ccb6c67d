/** Entry point of a tap: reader limits, transaction qualifiers, PPSE, final selection. */
import { flattenTlv, SW_9000_OK, type Tlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { type KernelContext, selectedAid, transmit } from './context.ts';
import {
  addCandidate,
  byPriority,
  type CandidateApplication,
  decodeFci,
  type Selection,
  selectApplication,
  selectCommand,
} from './select.ts';
import type { Kernel } from './types.ts';

/** Name of the proximity payment system environment. @see EMV C-7 §3.2; EMV 4.3 B1 §12.2 */
const PPSE_NAME: Uint8Array = Uint8Array.from('2PAY.SYS.DDF01', (character) =>
  character.charCodeAt(0),
);

/** Whether any application may be tapped for, and what forbids it. */
export type PreProcessing =
  | { readonly result: 'allowed' }
  | { readonly result: 'notAllowed'; readonly reason: string };

/**
 * Keeps the applications whose limits allow a tap of this amount; no card is touched.
 * DEVIATION: Book B compares with "greater than or equal"; UnionPay's rule for small amounts counts
 * the limit itself as small, so that only a larger amount exceeds it. @see EMV C-7 §3.1
 */
export function preProcess(context: KernelContext): PreProcessing {
  const { amountMinor, terminal } = context.input;
  const withReader = terminal.aids.filter((entry) => entry.contactless !== null);
  context.terminalAids = withReader.filter(
    ({ contactless }) => contactless !== null && amountMinor <= contactless.transactionLimitMinor,
  );
  if (context.terminalAids.length > 0) return { result: 'allowed' };
  const isLimit = withReader.length > 0;
  const reason = isLimit ? 'terminal:contactlessLimit' : 'terminal:contactlessNotTaken';
  return { result: 'notAllowed', reason };
}

/**
 * Terminal transaction qualifiers of the selected application with their transient bits. An online
 * cryptogram is always required, whatever the floor limit: this system captures nothing offline.
 * @see EMV C-7 §3.1
 */
function transactionQualifiers(context: KernelContext): Uint8Array {
  const { contactless } = selectedAid(context);
  const { amountMinor, terminal } = context.input;
  const isCvmRequired = contactless !== null && amountMinor > contactless.cvmLimitMinor;
  const ttq = data.setBit(
    terminal.terminalTransactionQualifiers,
    data.TTQ_2_ONLINE_CRYPTOGRAM_REQUIRED,
  );
  const change = isCvmRequired ? data.setBit : data.clearBit;
  return change(ttq, data.TTQ_2_CVM_REQUIRED);
}

/**
 * Mutual applications of the PPSE in the order of priority; none without a PPSE or with a malformed
 * one. A reader has no list of AIDs to fall back on. @see EMV C-7 §3.2
 */
export function* readProximityDirectory(
  context: KernelContext,
): Kernel<readonly CandidateApplication[]> {
  const response = yield* transmit(context, selectCommand(PPSE_NAME, 'first'));
  if (response.statusWord !== SW_9000_OK) return [];
  const found: CandidateApplication[] = [];
  for (const entry of directoryEntries(decodeFci(response.data) ?? [])) {
    const values = flattenTlv(entry.children ?? []);
    const aid = values.get(data.TAG_4F_APPLICATION_DEDICATED_FILE_NAME);
    if (aid) addCandidate(context, found, { aid, values });
  }
  return byPriority(found);
}

/** Application templates (61) under BF0C of the FCI; `addCandidate` bounds their number. */
function directoryEntries(fci: readonly Tlv[]): readonly Tlv[] {
  const child = (objects: readonly Tlv[], tag: string): readonly Tlv[] =>
    objects.find((object) => object.tag === tag)?.children ?? [];
  const proprietary = child(
    child(fci, data.TAG_6F_FCI_TEMPLATE),
    data.TAG_A5_FCI_PROPRIETARY_TEMPLATE,
  );
  return child(proprietary, data.TAG_BF0C_FCI_ISSUER_DISCRETIONARY_DATA).filter(
    (object) => object.tag === data.TAG_61_APPLICATION_TEMPLATE,
  );
}

/** Final SELECT; the transaction's qualifiers and floor limit are then those of the reader. */
export function* selectContactless(
  context: KernelContext,
  candidate: CandidateApplication,
): Kernel<Selection> {
  const selection = yield* selectApplication(context, candidate);
  if (!selection.isSelected) return selection;
  const floorLimit = new Uint8Array(4);
  const limit = selectedAid(context).contactless?.floorLimitMinor ?? 0n;
  new DataView(floorLimit.buffer).setUint32(0, Number(limit));
  context.data.set(data.TAG_9F1B_TERMINAL_FLOOR_LIMIT, floorLimit);
  context.data.set(
    data.TAG_9F66_PBOC_TERMINAL_TRANSACTION_QUALIFIERS,
    transactionQualifiers(context),
  );
  return selection;
}
