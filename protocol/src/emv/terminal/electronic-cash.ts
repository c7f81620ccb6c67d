/**
 * Electronic cash (电子现金): when it is offered to the card, what the purse must hold, and what the
 * terminal then asks for. The rules are tables of steps in the order of the standard.
 */
import { bcdToNumeric, equalBytes, errorBody, numericToBcd, TapError } from '../../bytes/index.ts';
import { decodeTlv, findTlv, SW_9000_OK } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { type ActionDecision, analyseBeforeOnline } from './action-analysis.ts';
import { enterOnlinePin, type Verification, verifyCardholder } from './cardholder-verification.ts';
import {
  aipSays,
  type KernelContext,
  markTsi,
  markTvr,
  onlineCapability,
  selectedAid,
  terminalCan,
  transmit,
} from './context.ts';
import { KernelError } from './errors.ts';
import { firstGenerateAc, type GenerateAcAnswer } from './generate-ac.ts';
import { pdolEntries } from './initiate.ts';
import { TRANSACTION_TYPE_GOODS_AND_SERVICES } from './restrictions.ts';
import { checkExceptionFile, manageRisk } from './risk-management.ts';
import type { ElectronicCash, Kernel, OfflineApproval, PhaseFacts } from './types.ts';

/** Where a purse of the card keeps its values. */
export type Purse = {
  readonly currencyTag: string;
  readonly balanceTag: string;
  readonly balanceLimitTag: string;
  readonly singleTransactionLimitTag: string;
  readonly resetThresholdTag: string;
};

/**
 * The purses in the order they are tried; a card has the first or both. Tag DF79 of the second one
 * is assumed: public sources show DF71, DF76, DF77 and DF78 only, and 9F79 stands beside 9F78 in
 * the same way. @see PBOC3 P13
 */
export const PURSES: readonly Purse[] = [
  {
    currencyTag: data.TAG_9F51_PBOC_APPLICATION_CURRENCY_CODE,
    balanceTag: data.TAG_9F79_PBOC_EC_BALANCE,
    balanceLimitTag: data.TAG_9F77_PBOC_EC_BALANCE_LIMIT,
    singleTransactionLimitTag: data.TAG_9F78_PBOC_EC_SINGLE_TRANSACTION_LIMIT,
    resetThresholdTag: data.TAG_9F6D_PBOC_EC_RESET_THRESHOLD,
  },
  {
    currencyTag: data.TAG_DF71_PBOC_SECOND_EC_CURRENCY_CODE,
    balanceTag: data.TAG_DF79_PBOC_SECOND_EC_BALANCE,
    balanceLimitTag: data.TAG_DF77_PBOC_SECOND_EC_BALANCE_LIMIT,
    singleTransactionLimitTag: data.TAG_DF78_PBOC_SECOND_EC_SINGLE_TRANSACTION_LIMIT,
    resetThresholdTag: data.TAG_DF76_PBOC_SECOND_EC_RESET_THRESHOLD,
  },
];

/** What the terminal makes of the purse. `none`: an ordinary debit or credit transaction. */
export type ElectronicCashDecision = 'none' | 'offline' | 'online' | 'refused';

/** The e-cash side of a transaction in progress. */
export type ElectronicCashState = {
  /** 9F7A went out as 1. */
  readonly isOffered: boolean;
  /** The card's answer carries 9F74: it pays from its purse. */
  readonly isAccepted: boolean;
  readonly balanceMinor: bigint | null;
  readonly decision: ElectronicCashDecision;
  /** Name of the step that decided. */
  readonly why: string;
};

/** One condition under which the terminal sends 9F7A as 1. */
type OfferStep = { readonly name: string; readonly holds: (context: KernelContext) => boolean };

/**
 * All must hold. That the amount stays below 9F7B is inferred from the limit's name and from
 * acquirers' parameter tables, for this part of the standard is not public. @see PBOC3 P13
 */
const OFFER_STEPS: readonly OfferStep[] = [
  { name: 'terminalWants', holds: ({ input }) => input.electronicCash !== false },
  // A merchant who wants the issuer's word has no use for a purse.
  { name: 'notForcedOnline', holds: ({ input }) => input.forceOnline !== true },
  {
    name: 'terminalWorksOffline',
    holds: ({ input }) => onlineCapability(input.terminal.terminalType) !== 'onlineOnly',
  },
  {
    name: 'purchase',
    holds: ({ input }) =>
      input.transactionType === TRANSACTION_TYPE_GOODS_AND_SERVICES &&
      input.otherAmountMinor === 0n,
  },
  {
    name: 'amountBelowTerminalLimit',
    holds: (context) => {
      const { amountMinor } = context.input;
      const limits = selectedAid(context).electronicCash;
      return amountMinor > 0n && !!limits && amountMinor < limits.transactionLimitMinor;
    },
  },
];

/**
 * Sets 9F7A and 9F7B for the GET PROCESSING OPTIONS that follows, when the application's PDOL asks
 * for 9F7A and the terminal takes e-cash with it.
 * @throws KernelError `ERR_CARD_DATA` for a malformed PDOL. @see PBOC3 P13
 */
export function offerElectronicCash(context: KernelContext): void {
  context.electronicCash = null;
  const limits = selectedAid(context).electronicCash;
  const indicator = data.TAG_9F7A_PBOC_EC_TERMINAL_SUPPORT_INDICATOR;
  if (!limits || !pdolEntries(context).some(({ tag }) => tag === indicator)) return;
  const refusing = OFFER_STEPS.find(({ holds }) => !holds(context));
  const isOffered = refusing === undefined;
  context.data.set(indicator, Uint8Array.of(isOffered ? 0x01 : 0x00));
  const limit = numericToBcd(limits.transactionLimitMinor.toString(), 6);
  context.data.set(data.TAG_9F7B_PBOC_EC_TERMINAL_TRANSACTION_LIMIT, limit);
  context.electronicCash = {
    isOffered,
    isAccepted: false,
    balanceMinor: null,
    decision: 'none',
    why: refusing?.name ?? 'offered',
  };
}

/** What is known of the purse that is to pay. */
type PurseFacts = {
  readonly amountMinor: bigint;
  readonly balanceMinor: bigint | null;
  readonly resetThresholdMinor: bigint | null;
  readonly singleTransactionLimitMinor: bigint | null;
  readonly isOfflineOnly: boolean;
};

/** One rule over the purse: the first that holds decides. */
type PurseStep = {
  readonly name: string;
  readonly holds: (purse: PurseFacts) => boolean;
  readonly decision: (purse: PurseFacts) => ElectronicCashDecision;
};

const onlineOrRefused = ({ isOfflineOnly }: PurseFacts): ElectronicCashDecision =>
  isOfflineOnly ? 'refused' : 'online';

/**
 * In this order. A purse that does not tell its balance or threshold is no proof of money: online,
 * or an ordinary transaction where nobody can be asked. @see PBOC3 P13
 */
const PURSE_STEPS: readonly PurseStep[] = [
  {
    name: 'balanceUnknown',
    holds: ({ balanceMinor, resetThresholdMinor }) =>
      balanceMinor === null || resetThresholdMinor === null,
    decision: onlineOrRefused,
  },
  {
    name: 'singleTransactionLimit',
    holds: ({ amountMinor, singleTransactionLimitMinor: limit }) =>
      limit !== null && amountMinor > limit,
    decision: onlineOrRefused,
  },
  {
    name: 'balance',
    holds: ({ amountMinor, balanceMinor }) => amountMinor > (balanceMinor ?? 0n),
    decision: onlineOrRefused,
  },
  {
    name: 'aboveResetThreshold',
    holds: ({ amountMinor, balanceMinor, resetThresholdMinor }) =>
      (balanceMinor ?? 0n) - amountMinor >= (resetThresholdMinor ?? 0n),
    decision: () => 'offline',
  },
  {
    name: 'belowResetThreshold',
    holds: () => true,
    decision: ({ isOfflineOnly }) => (isOfflineOnly ? 'offline' : 'online'),
  },
];

/**
 * After the processing restrictions of a contact transaction: asks the card for its purse and
 * decides. The TVR may forbid what the purse allows; it is consulted before any cardholder is.
 * Answers facts for the trace, or null without e-cash.
 * @throws KernelError as `transmit`. @see PBOC3 P13
 */
export function* examineElectronicCash(context: KernelContext): Kernel<PhaseFacts | null> {
  const state = context.electronicCash;
  if (state === null) return null;
  const isAccepted =
    state.isOffered && context.data.has(data.TAG_9F74_PBOC_EC_ISSUER_AUTHORISATION_CODE);
  if (!isAccepted) return factsOf(state);
  const purse = yield* purseOfCurrency(context);
  if (purse === null) return settle(context, { ...state, isAccepted: false, why: 'currency' });
  const facts = yield* readPurse(context, purse);
  const step = PURSE_STEPS.find(({ holds }) => holds(facts));
  const decision = step?.decision(facts) ?? 'none';
  const { balanceMinor } = facts;
  const decided = { ...state, isAccepted, balanceMinor, decision, why: step?.name ?? '' };
  checkExceptionFile(context);
  const isForbidden = decision === 'offline' && analyseBeforeOnline(context).request !== 'TC';
  const way = onlineOrRefused(facts);
  return settle(context, isForbidden ? { ...decided, decision: way, why: 'tvr' } : decided);
}

function settle(context: KernelContext, state: ElectronicCashState): PhaseFacts {
  context.electronicCash = state;
  return factsOf(state);
}

function factsOf({ isOffered, isAccepted, decision, why }: ElectronicCashState): PhaseFacts {
  return { offered: isOffered, accepted: isAccepted, decision, why };
}

/** The purse in the transaction's currency; null when the card has none. */
export function* purseOfCurrency(context: KernelContext): Kernel<Purse | null> {
  const wanted = context.data.get(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE);
  for (const purse of PURSES) {
    const currency = yield* objectOf(context, purse.currencyTag, 2);
    if (currency && wanted && equalBytes(currency, wanted)) return purse;
  }
  return null;
}

function* readPurse(context: KernelContext, purse: Purse): Kernel<PurseFacts> {
  const { amountMinor, terminal } = context.input;
  return {
    amountMinor,
    balanceMinor: amountOf(yield* getDataObject(context, purse.balanceTag)),
    resetThresholdMinor: amountOf(yield* getDataObject(context, purse.resetThresholdTag)),
    singleTransactionLimitMinor: amountOf(
      yield* objectOf(context, purse.singleTransactionLimitTag, 6),
    ),
    isOfflineOnly: onlineCapability(terminal.terminalType) === 'offlineOnly',
  };
}

/** From the records, else by GET DATA; a value of another length counts as none. */
function* objectOf(
  context: KernelContext,
  tag: string,
  lengthBytes: number,
): Kernel<Uint8Array | null> {
  const value = context.data.get(tag) ?? (yield* getDataObject(context, tag));
  return value?.length === lengthBytes ? value : null;
}

/**
 * GET DATA of one object; null when the card does not give it, or gives something else.
 * @throws KernelError `ERR_CARD_LIMIT`, `ERR_KERNEL_ANSWER`. @see EMV 4.3 B3 §6.5.7
 */
export function* getDataObject(context: KernelContext, tag: string): Kernel<Uint8Array | null> {
  const p1 = Number.parseInt(tag.slice(0, 2), 16);
  const p2 = Number.parseInt(tag.slice(2), 16);
  const response = yield* transmit(context, { cla: 0x80, ins: 0xca, p1, p2, le: 256 });
  if (response.statusWord !== SW_9000_OK) return null;
  try {
    return findTlv(decodeTlv(response.data), tag)?.value ?? null;
  } catch (fault) {
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

/** Minor units of an n12 value; null for anything else. */
export function amountOf(value: Uint8Array | null | undefined): bigint | null {
  if (value?.length !== 6) return null;
  try {
    return BigInt(bcdToNumeric(value));
  } catch (fault) {
    if (fault instanceof TapError) return null;
    throw fault;
  }
}

/**
 * Cardholder verification of a contact transaction: none where the purse pays, the online PIN where
 * the purse sends the card online, else the card's list.
 * @throws KernelError as `verifyCardholder`. @see PBOC3 P13; EMV 4.3 B3 §10.5
 */
export function* verifyPurchaser(context: KernelContext): Kernel<Verification> {
  switch (context.electronicCash?.decision) {
    case 'offline':
    case 'refused':
      return { result: 'done', facts: { method: 'electronicCash' } };
    case 'online':
      if (!terminalCan(context, data.TERMINAL_CAPABILITY_2_ENCIPHERED_PIN_ONLINE)) break;
      return yield* verifyByPin(context);
    default:
      break;
  }
  return yield* verifyCardholder(context);
}

function* verifyByPin(context: KernelContext): Kernel<Verification> {
  const result = yield* enterOnlinePin(context, { refused: false });
  if (result === 'cancelled') return { result: 'cancelled' };
  const isEntered = result === 'unknown';
  if (!isEntered) markTvr(context, data.TVR_3_CARDHOLDER_VERIFICATION_FAILED);
  const outcome = isEntered ? data.CVM_RESULT_UNKNOWN : data.CVM_RESULT_FAILED;
  const results = Uint8Array.of(data.CVM_ENCIPHERED_PIN_ONLINE, data.CVM_CONDITION_ALWAYS, outcome);
  context.data.set(data.TAG_9F34_CVM_RESULTS, results);
  markTsi(context, data.TSI_1_CARDHOLDER_VERIFICATION_PERFORMED);
  return { result: 'done', facts: { verified: isEntered, pinEntered: isEntered } };
}

/**
 * Terminal risk management: where the purse decides, its limits take the place of floor limit,
 * random selection and velocity; only the exception file counts, and was asked already.
 * @throws KernelError as `manageRisk`. @see PBOC3 P13; EMV 4.3 B3 §10.6
 */
export function* managePurchaseRisk(context: KernelContext): Kernel<boolean> {
  const decision = context.electronicCash?.decision;
  if (decision !== 'offline' && decision !== 'refused') return yield* manageRisk(context);
  if (!aipSays(context, data.AIP_1_TERMINAL_RISK_MANAGEMENT_TO_BE_PERFORMED)) return false;
  markTsi(context, data.TSI_1_TERMINAL_RISK_MANAGEMENT_PERFORMED);
  return true;
}

/**
 * What the terminal asks of the card: the purse's decision within what the action codes allow.
 * @throws KernelError as `analyseBeforeOnline`. @see PBOC3 P13; EMV 4.3 B3 §10.7
 */
export function analysePurchase(context: KernelContext): ActionDecision {
  const ordinary = analyseBeforeOnline(context);
  const state = context.electronicCash;
  if (ordinary.request === 'AAC' || state === null) return ordinary;
  const reason = `terminal:electronicCash:${state.why}`;
  switch (state.decision) {
    case 'refused':
      return { request: 'AAC', reason };
    case 'online':
      return { request: 'ARQC', reason };
    default:
      return ordinary;
  }
}

/** The first GENERATE AC, or that the card left while its purse was asked to pay. */
export type PurchaseCryptogram =
  | GenerateAcAnswer
  | { readonly result: 'torn'; readonly code: string };

/**
 * First GENERATE AC. A card that is asked for a TC from its purse and leaves before it answers may
 * have deducted: that is an outcome, not a fault. @throws KernelError as `firstGenerateAc`.
 * @see PBOC3 P13
 */
export function* generatePurchaseAc(
  context: KernelContext,
  request: ActionDecision['request'],
): Kernel<PurchaseCryptogram> {
  const isPurse = context.electronicCash?.isAccepted === true && request === 'TC';
  try {
    return yield* firstGenerateAc(context, request);
  } catch (fault) {
    if (!isPurse || fault instanceof KernelError) throw fault;
    return { result: 'torn', code: errorBody(fault).code };
  }
}

/**
 * Which offline approval a TC of this transaction is: the purse's, or the card's own limits'. A TC
 * of the second GENERATE AC is the latter, for a purse that sent the card online and was not heard
 * there is followed by the default handling of debit and credit. @see PBOC3 P13
 */
export function offlineApprovalKindOf(context: KernelContext): OfflineApproval['kind'] {
  const isPurse = context.electronicCash?.isAccepted === true && context.second === null;
  return isPurse ? 'electronicCash' : 'debitCredit';
}

/**
 * What the outcome says of e-cash; null when card or terminal has none. The purse holds less after
 * a TC that was approved and stored for upload.
 */
export function electronicCashOf(context: KernelContext): ElectronicCash | null {
  const state = context.electronicCash;
  if (state === null) return null;
  const { balanceMinor, isAccepted } = state;
  const isDebited = context.offlineApproval?.kind === 'electronicCash' && balanceMinor !== null;
  return {
    isUsed: isAccepted,
    balanceMinor,
    balanceAfterMinor: isDebited ? balanceMinor - context.input.amountMinor : null,
    currency: context.input.terminal.currency,
  };
}
