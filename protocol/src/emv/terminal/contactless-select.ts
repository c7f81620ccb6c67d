/** Entry point of a tap: reader limits, transaction qualifiers, PPSE, final selection. */
import { byteAt, toHex } from '../../bytes/index.ts';
import { flattenTlv, SW_9000_OK, type Tlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { type KernelContext, onlineCapability, selectedAid, transmit } from './context.ts';
import { offerElectronicCash } from './electronic-cash.ts';
import { KernelError } from './errors.ts';
import type { ContactlessLimits, TerminalAid } from './profile.ts';
import {
  addCandidate,
  byPriority,
  type CandidateApplication,
  decodeFci,
  type Selection,
  selectApplication,
  selectCommand,
} from './select.ts';
import type { Kernel, TerminalTransaction } from './types.ts';

/** Name of the proximity payment system environment. @see EMV C-7 §3.2; EMV 4.3 B1 §12.2 */
const PPSE_NAME: Uint8Array = Uint8Array.from('2PAY.SYS.DDF01', (character) =>
  character.charCodeAt(0),
);

/** Tag of the kernel that a directory entry asks for. @see EMV C-7 §3.2 */
const TAG_9F2A_KERNEL_IDENTIFIER = '9F2A';
/** This kernel; 0 in a directory entry leaves the choice to the reader. */
const KERNEL_UNIONPAY = 7;
const KERNEL_ANY = 0;
/** Bits 8-7 of the identifier's first byte: 0 is an international kernel, 2 and 3 are domestic. */
const KERNEL_TYPE_SHIFT = 6;
const KERNEL_TYPE_INTERNATIONAL = 0;
const KERNEL_SHORT_IDENTIFIER_MASK = 0x3f;
/** RIDs of other systems' kernels: an entry that names no kernel is for its own system's. */
const OTHER_KERNELS: ReadonlySet<string> = new Set([
  'A000000003',
  'A000000004',
  'A000000025',
  'A000000065',
  'A000000152',
]);

/** Whether any application may be tapped for, and what forbids it. */
export type PreProcessing =
  | { readonly result: 'allowed' }
  | { readonly result: 'notAllowed'; readonly reason: string };

/** What the reader's limits say of one application. @see EMV C-7 §3.1 */
export type ReaderLimits = {
  /** Why no tap is taken; null when it is. */
  readonly refusal: string | null;
  readonly isOnlineCryptogramRequired: boolean;
  readonly isCvmRequired: boolean;
};

/** One limit: when it is passed, no tap is taken. */
type LimitStep = {
  readonly reason: string;
  readonly forbids: (reader: {
    readonly amountMinor: bigint;
    readonly limits: ContactlessLimits;
    readonly isOnlineCryptogramRequired: boolean;
    readonly isOfflineOnly: boolean;
  }) => boolean;
};

/** In this order; the first that forbids is the reason. @see EMV C-7 §3.1 */
const LIMIT_STEPS: readonly LimitStep[] = [
  {
    reason: 'terminal:zeroAmount',
    forbids: ({ amountMinor, limits, isOfflineOnly }) =>
      amountMinor === 0n && (limits.zeroAmount === 'refused' || isOfflineOnly),
  },
  {
    reason: 'terminal:contactlessLimit',
    forbids: ({ amountMinor, limits }) => amountMinor > limits.transactionLimitMinor,
  },
  {
    // Whatever the card answered would be declined: an ARQC goes nowhere, a TC is not wanted.
    reason: 'terminal:contactlessFloorLimit',
    forbids: ({ isOnlineCryptogramRequired, isOfflineOnly }) =>
      isOnlineCryptogramRequired && isOfflineOnly,
  },
];

/**
 * Compares the transaction with an application's reader limits. An online cryptogram is required
 * above the floor limit, for amount zero, when the merchant forces the transaction online, and when
 * e-cash is not wanted: a qPBOC card that approves pays from its purse.
 * DEVIATION: Book B compares transaction and CVM limit with "greater than or equal"; UnionPay's
 * rule for small amounts counts the limit itself as small, so that only a larger amount exceeds it.
 * @see EMV C-7 §3.1
 */
export function readerLimitsOf(
  input: TerminalTransaction,
  limits: ContactlessLimits,
): ReaderLimits {
  const { amountMinor } = input;
  const isOnlineCryptogramRequired =
    amountMinor > limits.floorLimitMinor ||
    amountMinor === 0n ||
    input.forceOnline === true ||
    input.electronicCash === false;
  const isOfflineOnly = isOfflineOnlyReader(input);
  const reader = { amountMinor, limits, isOnlineCryptogramRequired, isOfflineOnly };
  return {
    refusal: LIMIT_STEPS.find(({ forbids }) => forbids(reader))?.reason ?? null,
    isOnlineCryptogramRequired,
    isCvmRequired: amountMinor > limits.cvmLimitMinor,
  };
}

/** A reader that says so, or a terminal without a line. @see EMV C-7 table 3-1; EMV 4.3 B4 §A1 */
export function isOfflineOnlyReader({ terminal }: TerminalTransaction): boolean {
  const ttq = terminal.terminalTransactionQualifiers;
  if (data.hasBit(ttq, data.TTQ_1_OFFLINE_ONLY)) return true;
  return onlineCapability(terminal.terminalType) === 'offlineOnly';
}

/** Keeps the applications whose limits allow a tap of this amount; no card is touched. */
export function preProcess(context: KernelContext): PreProcessing {
  const refusals = new Set<string>();
  const isAllowed = ({ contactless }: TerminalAid): boolean => {
    if (contactless === null) return false;
    const { refusal } = readerLimitsOf(context.input, contactless);
    if (refusal !== null) refusals.add(refusal);
    return refusal === null;
  };
  context.terminalAids = context.input.terminal.aids.filter(isAllowed);
  if (context.terminalAids.length > 0) return { result: 'allowed' };
  const first = LIMIT_STEPS.find(({ reason }) => refusals.has(reason));
  return { result: 'notAllowed', reason: first?.reason ?? 'terminal:contactlessNotTaken' };
}

/** Limits of the selected application; `preProcess` left none without. */
function selectedReaderLimits(context: KernelContext): ContactlessLimits {
  const { contactless } = selectedAid(context);
  if (contactless === null) throw new KernelError('ERR_KERNEL_INPUT', 'no reader limits');
  return contactless;
}

/**
 * Terminal transaction qualifiers of the selected application. Data authentication of an online tap
 * costs a command for each certificate: beyond a reader that always asks for it, it is asked for
 * only when an online PIN may follow, which is for authenticated cards alone.
 * @see EMV C-7 §3.1, table 3-1; EMV Book A table 5-4
 */
function transactionQualifiers(context: KernelContext): Uint8Array {
  const { input } = context;
  const limits = readerLimitsOf(input, selectedReaderLimits(context));
  const { isCvmRequired, isOnlineCryptogramRequired } = limits;
  const configured = input.terminal.terminalTransactionQualifiers;
  const mayAskPin = isCvmRequired && data.hasBit(configured, data.TTQ_1_ONLINE_PIN_SUPPORTED);
  const authenticates = data.hasBit(configured, data.TTQ_1_DATA_AUTHENTICATION_FOR_ONLINE);
  const bits: readonly (readonly [bit: data.StatusBit, isSet: boolean])[] = [
    [data.TTQ_1_OFFLINE_ONLY, isOfflineOnlyReader(input)],
    [data.TTQ_2_ONLINE_CRYPTOGRAM_REQUIRED, isOnlineCryptogramRequired],
    [data.TTQ_2_CVM_REQUIRED, isCvmRequired],
    [data.TTQ_1_DATA_AUTHENTICATION_FOR_ONLINE, authenticates || mayAskPin],
  ];
  return bits.reduce(
    (ttq, [bit, isSet]) => (isSet ? data.setBit : data.clearBit)(ttq, bit),
    configured,
  );
}

/**
 * Mutual applications of the PPSE for this kernel in the order of priority; none without a PPSE or
 * with a malformed one. A reader has no list of AIDs to fall back on. @see EMV C-7 §3.2
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
    if (aid && isForThisKernel(aid, values.get(TAG_9F2A_KERNEL_IDENTIFIER))) {
      addCandidate(context, found, { aid, values });
    }
  }
  return byPriority(found);
}

/**
 * Whether an entry may be run by this kernel: it asks for it, or for none. A domestic or malformed
 * identifier asks for a kernel that is not here. @see EMV C-7 §3.2
 */
function isForThisKernel(aid: Uint8Array, identifier: Uint8Array | undefined): boolean {
  if (identifier === undefined || identifier.length === 0) {
    return !OTHER_KERNELS.has(toHex(aid.subarray(0, 5)));
  }
  const asked = kernelOf(identifier);
  return asked === KERNEL_UNIONPAY || asked === KERNEL_ANY;
}

/** Short identifier of an international kernel; null for any other. */
function kernelOf(identifier: Uint8Array): number | null {
  const first = byteAt(identifier, 0);
  const isInternational = first >> KERNEL_TYPE_SHIFT === KERNEL_TYPE_INTERNATIONAL;
  return isInternational ? first & KERNEL_SHORT_IDENTIFIER_MASK : null;
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

/**
 * Final SELECT; the transaction's qualifiers and floor limit are then those of the reader, and
 * e-cash is offered where both sides have it.
 * @throws KernelError `ERR_CARD_DATA` for a malformed PDOL.
 */
export function* selectContactless(
  context: KernelContext,
  candidate: CandidateApplication,
): Kernel<Selection> {
  const selection = yield* selectApplication(context, candidate);
  if (!selection.isSelected) return selection;
  const floorLimit = new Uint8Array(4);
  const { floorLimitMinor } = selectedReaderLimits(context);
  new DataView(floorLimit.buffer).setUint32(0, Number(floorLimitMinor));
  context.data.set(data.TAG_9F1B_TERMINAL_FLOOR_LIMIT, floorLimit);
  context.data.set(
    data.TAG_9F66_PBOC_TERMINAL_TRANSACTION_QUALIFIERS,
    transactionQualifiers(context),
  );
  offerElectronicCash(context);
  return selection;
}
