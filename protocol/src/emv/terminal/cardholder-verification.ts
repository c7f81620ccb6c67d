/** Cardholder verification: the CVM list's rules, their conditions, results in 9F34 and the TVR. */
import { equalBytes } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import {
  aipSays,
  isUnattended,
  type KernelContext,
  markTsi,
  markTvr,
  terminalCan,
} from './context.ts';
import { parseCardData } from './errors.ts';
import { verifyOfflinePin } from './offline-pin-verification.ts';
import { askPin, type PinMemory } from './pin-entry.ts';
import { TRANSACTION_TYPE_CASH, TRANSACTION_TYPE_CASHBACK } from './restrictions.ts';
import type { Kernel, PhaseFacts } from './types.ts';

/** Whether the transaction goes on; `cancelled` is the cardholder's word at the PIN. */
export type Verification =
  | { readonly result: 'done'; readonly facts: PhaseFacts }
  | { readonly result: 'cancelled' };

/** How one rule ended. `notPerformed`: the terminal cannot do it, so 9F34 does not name it. */
export type RuleResult = 'successful' | 'unknown' | 'failed' | 'notPerformed' | 'cancelled';

const RECOGNISED_METHODS: readonly number[] = [
  data.CVM_FAIL,
  data.CVM_PLAINTEXT_PIN_OFFLINE,
  data.CVM_ENCIPHERED_PIN_ONLINE,
  data.CVM_PLAINTEXT_PIN_OFFLINE_AND_SIGNATURE,
  data.CVM_ENCIPHERED_PIN_OFFLINE,
  data.CVM_ENCIPHERED_PIN_OFFLINE_AND_SIGNATURE,
  data.CVM_SIGNATURE,
  data.CVM_NO_CVM_REQUIRED,
  data.CVM_PBOC_CARDHOLDER_ID,
];

/**
 * Goes through the CVM list until a method succeeds or must not be followed by another.
 * @throws KernelError `ERR_CARD_DATA`, `ERR_KERNEL_ANSWER`.
 * @see EMV 4.3 B3 §10.5, figures 8 to 11; B4 §6.3.4.5 for 9F34
 */
export function* verifyCardholder(context: KernelContext): Kernel<Verification> {
  if (!aipSays(context, data.AIP_1_CARDHOLDER_VERIFICATION_SUPPORTED)) {
    return { result: 'done', facts: { method: 'notSupportedByCard' } };
  }
  const list = cvmListOf(context);
  if (list === null) return { result: 'done', facts: { method: 'noList' } };
  const memory: PinMemory = { refused: false };
  let isVerified = false;
  let isPerformed = false;
  for (const rule of list.rules) {
    if (!conditionHolds(context, { list, rule })) continue;
    const result = yield* performRule(context, { rule, memory });
    if (result === 'cancelled') return { result: 'cancelled' };
    if (result !== 'notPerformed') {
      isPerformed = true;
      setResults(context, { code: rule.code, condition: rule.condition, result });
    }
    isVerified = result === 'successful' || result === 'unknown';
    // "Fail CVM processing" is never followed by another rule.
    if (isVerified || !rule.applyNextOnFailure || rule.method === data.CVM_FAIL) break;
  }
  if (!isVerified) markTvr(context, data.TVR_3_CARDHOLDER_VERIFICATION_FAILED);
  if (!isPerformed) {
    const code = data.CVM_RESULTS_NO_CVM_PERFORMED;
    setResults(context, { code, condition: 0x00, result: 'failed' });
  }
  markTsi(context, data.TSI_1_CARDHOLDER_VERIFICATION_PERFORMED);
  return { result: 'done', facts: { verified: isVerified, pinEntered: context.pinEntered } };
}

/** The list, or null without one or without rules. @see EMV 4.3 B3 §10.5, §7.5 */
function cvmListOf(context: KernelContext): data.CvmList | null {
  const value = context.data.get(data.TAG_8E_CVM_LIST);
  if (value === undefined) {
    markTvr(context, data.TVR_1_ICC_DATA_MISSING);
    return null;
  }
  const list = parseCardData(data.TAG_8E_CVM_LIST, () => data.decodeCvmList(value));
  return list.rules.length === 0 ? null : list;
}

function setResults(
  context: KernelContext,
  entry: { readonly code: number; readonly condition: number; readonly result: RuleResult },
): void {
  const results: Readonly<Record<string, number>> = {
    successful: data.CVM_RESULT_SUCCESSFUL,
    unknown: data.CVM_RESULT_UNKNOWN,
  };
  const result = results[entry.result] ?? data.CVM_RESULT_FAILED;
  context.data.set(data.TAG_9F34_CVM_RESULTS, Uint8Array.of(entry.code, entry.condition, result));
}

/** An unknown condition code skips its rule. @see EMV 4.3 B3 §C3 table 40 */
function conditionHolds(
  context: KernelContext,
  place: { readonly list: data.CvmList; readonly rule: data.CvmRule },
): boolean {
  const { list, rule } = place;
  const { transactionType, terminal, amountMinor } = context.input;
  const isCash = transactionType === TRANSACTION_TYPE_CASH;
  const isCashback = transactionType === TRANSACTION_TYPE_CASHBACK;
  const unattended = isUnattended(terminal.terminalType);
  switch (rule.condition) {
    case data.CVM_CONDITION_ALWAYS:
      return true;
    case data.CVM_CONDITION_UNATTENDED_CASH:
      return isCash && unattended;
    case data.CVM_CONDITION_NOT_CASH:
      return !isCash && !isCashback;
    case data.CVM_CONDITION_TERMINAL_SUPPORTS:
      return terminalSupports(context, rule.method);
    case data.CVM_CONDITION_MANUAL_CASH:
      return isCash && !unattended;
    case data.CVM_CONDITION_CASHBACK:
      return isCashback;
    case data.CVM_CONDITION_UNDER_X:
      return isApplicationCurrency(context) && amountMinor < list.amountX;
    case data.CVM_CONDITION_OVER_X:
      return isApplicationCurrency(context) && amountMinor > list.amountX;
    case data.CVM_CONDITION_UNDER_Y:
      return isApplicationCurrency(context) && amountMinor < list.amountY;
    case data.CVM_CONDITION_OVER_Y:
      return isApplicationCurrency(context) && amountMinor > list.amountY;
    default:
      return false;
  }
}

function isApplicationCurrency(context: KernelContext): boolean {
  const application = context.data.get(data.TAG_9F42_APPLICATION_CURRENCY_CODE);
  const transaction = context.data.get(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE);
  return application !== undefined && transaction !== undefined
    ? equalBytes(application, transaction)
    : false;
}

/** What byte 2 of 9F33 must have for a method, a PIN first. @see EMV 4.3 B4 §6.3.4 */
const CAPABILITIES_OF: ReadonlyMap<number, readonly data.StatusBit[]> = new Map([
  [data.CVM_FAIL, []],
  [data.CVM_PLAINTEXT_PIN_OFFLINE, [data.TERMINAL_CAPABILITY_2_PLAINTEXT_PIN_OFFLINE]],
  [data.CVM_ENCIPHERED_PIN_ONLINE, [data.TERMINAL_CAPABILITY_2_ENCIPHERED_PIN_ONLINE]],
  [
    data.CVM_PLAINTEXT_PIN_OFFLINE_AND_SIGNATURE,
    [data.TERMINAL_CAPABILITY_2_PLAINTEXT_PIN_OFFLINE, data.TERMINAL_CAPABILITY_2_SIGNATURE],
  ],
  [data.CVM_ENCIPHERED_PIN_OFFLINE, [data.TERMINAL_CAPABILITY_2_ENCIPHERED_PIN_OFFLINE]],
  [
    data.CVM_ENCIPHERED_PIN_OFFLINE_AND_SIGNATURE,
    [data.TERMINAL_CAPABILITY_2_ENCIPHERED_PIN_OFFLINE, data.TERMINAL_CAPABILITY_2_SIGNATURE],
  ],
  [data.CVM_SIGNATURE, [data.TERMINAL_CAPABILITY_2_SIGNATURE]],
  [data.CVM_NO_CVM_REQUIRED, [data.TERMINAL_CAPABILITY_2_NO_CVM]],
]);

function terminalSupports(context: KernelContext, method: number): boolean {
  return CAPABILITIES_OF.get(method)?.every((bit) => terminalCan(context, bit)) ?? false;
}

/**
 * A PIN that the terminal cannot take is a missing PIN pad, be it of one kind only; where just the
 * signature of a combination is missing, the pad is there. @see EMV 4.3 B3 §10.5, §10.5.1
 */
function lacksPin(context: KernelContext, method: number): boolean {
  if (method !== data.CVM_ENCIPHERED_PIN_ONLINE && !data.isOfflinePinMethod(method)) return false;
  const pin = CAPABILITIES_OF.get(method)?.[0];
  return pin !== undefined && !terminalCan(context, pin);
}

function* performRule(
  context: KernelContext,
  place: { readonly rule: data.CvmRule; readonly memory: PinMemory },
): Kernel<RuleResult> {
  const { method } = place.rule;
  const { memory } = place;
  if (!RECOGNISED_METHODS.includes(method)) {
    markTvr(context, data.TVR_3_UNRECOGNISED_CVM);
    return 'notPerformed';
  }
  if (!terminalSupports(context, method)) {
    if (lacksPin(context, method)) markTvr(context, data.TVR_3_PIN_PAD_NOT_PRESENT);
    return 'notPerformed';
  }
  switch (method) {
    case data.CVM_FAIL:
      return 'failed';
    case data.CVM_NO_CVM_REQUIRED:
      return 'successful';
    case data.CVM_SIGNATURE:
      return 'unknown';
    case data.CVM_PLAINTEXT_PIN_OFFLINE:
      return yield* verifyOfflinePin(context, { form: 'plaintext', memory });
    case data.CVM_ENCIPHERED_PIN_OFFLINE:
      return yield* verifyOfflinePin(context, { form: 'enciphered', memory });
    case data.CVM_PLAINTEXT_PIN_OFFLINE_AND_SIGNATURE:
      return withSignature(yield* verifyOfflinePin(context, { form: 'plaintext', memory }));
    case data.CVM_ENCIPHERED_PIN_OFFLINE_AND_SIGNATURE:
      return withSignature(yield* verifyOfflinePin(context, { form: 'enciphered', memory }));
    default:
      return yield* enterOnlinePin(context, memory);
  }
}

/** A signature nobody has compared yet makes a right PIN "unknown". @see EMV 4.3 B4 table 2 */
function withSignature(pin: RuleResult): RuleResult {
  return pin === 'successful' ? 'unknown' : pin;
}

/**
 * Online PIN: the issuer will tell whether it is right. It may be entered where the card has no
 * offline try left. @see EMV 4.3 B3 §10.5.2; B4 §6.3.4.2
 */
export function* enterOnlinePin(context: KernelContext, memory: PinMemory): Kernel<RuleResult> {
  const question = { purpose: 'online', triesLeft: null, isRetry: false } as const;
  const asked = yield* askPin(context, memory, question);
  if (asked !== 'entered') return asked;
  context.pinEntered = true;
  markTvr(context, data.TVR_3_ONLINE_PIN_ENTERED);
  return 'unknown';
}
