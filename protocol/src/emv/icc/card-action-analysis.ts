/** Card risk management and card action analysis: which cryptogram the card is willing to give. */
import { bytesToLatin1, toHex } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { purseCovers, transactionAmount } from './purse.ts';
import { objectFor, type Policy } from './runtime-profile.ts';
import { active, type Snapshot } from './session.ts';

/** What the analysis decides, and what it tells issuer and terminal beside it. */
export type CardAction = {
  readonly type: 'AAC' | 'TC' | 'ARQC';
  /** A limit was passed; the CVR tells the issuer. */
  readonly isVelocityExceeded: boolean;
  /** The application is blocked together with this answer. */
  readonly blocksApplication: boolean;
  /** Bits 4-1 of the CID: whether an advice is wanted and why. @see EMV 4.3 B3 §6.5.5 table 14 */
  readonly adviceBits: number;
};

/** Advice required, and its reasons in bits 3-1. @see EMV 4.3 B3 §6.5.5 table 14 */
const ADVICE_REQUIRED = 0x08;
const REASON_PIN_TRY_LIMIT = 0x02;
const REASON_ISSUER_AUTHENTICATION = 0x03;

/**
 * First GENERATE AC. A decline wins over going online, which wins over an offline approval. A
 * purchase from the purse skips velocity, new card, last online and PIN try checks, and goes online
 * when the purse does not hold enough. @see PBOC3 P5 (card risk management); PBOC3 P13
 */
export function decideFirst(card: Snapshot, requested: data.CryptogramType): CardAction {
  const { state } = active(card);
  const { purse } = card.session;
  const isOrdinary = purse === null;
  const isVelocityExceeded = isOrdinary && exceedsLower(card);
  const wasPinBlocked = isOrdinary && wasPinBlockedBefore(card);
  const blocksApplication =
    wasPinBlocked && orders(card, data.ADA_2_LAST_PIN_TRY_LIMIT_DECLINE_BLOCK);
  const decline = [
    requested === 'AAC',
    state.applicationBlocked,
    card.image.lab.declinesOffline,
    hitsDenial(card),
    wasPinBlocked && orders(card, data.ADA_2_LAST_PIN_TRY_LIMIT_DECLINE),
    blocksApplication,
  ];
  if (anyOf(decline)) {
    const adviceBits = offlineDeclineAdvice(card);
    return { type: 'AAC', isVelocityExceeded, blocksApplication, adviceBits };
  }
  const online = [
    requested === 'ARQC',
    purse !== null && !purseCovers(card, purse),
    isOrdinary && state.lastOnlineNotCompleted,
    state.lastIssuerAuthenticationFailed &&
      orders(card, data.ADA_1_ISSUER_AUTHENTICATION_FAILED_NEXT_ONLINE),
    isOrdinary && state.lastOnlineAtc === 0 && orders(card, data.ADA_1_NEW_CARD_ONLINE),
    isVelocityExceeded,
    wasPinBlocked && orders(card, data.ADA_2_LAST_PIN_TRY_LIMIT_ONLINE),
    state.lastScriptFailed && orders(card, data.ADA_2_LAST_SCRIPT_FAILED_ONLINE),
  ];
  const type = anyOf(online) ? 'ARQC' : 'TC';
  return { type, isVelocityExceeded, blocksApplication: false, adviceBits: 0 };
}

/**
 * Second GENERATE AC after the issuer's answer.
 * The response code that counts is the one inside authenticated data: a terminal that shows the
 * card another one in tag 8A gains nothing.
 * @see PBOC3 P5 (completion)
 */
export function decideAfterOnline(card: Snapshot, requested: data.CryptogramType): CardAction {
  const { profile, state } = active(card);
  const { issuerAuthentication, authenticatedArc } = card.session;
  const isRefused =
    (issuerAuthentication === 'failed' &&
      orders(card, data.ADA_1_ISSUER_AUTHENTICATION_FAILED_DECLINE)) ||
    (issuerAuthentication === 'notPerformed' &&
      profile.policy.isIssuerAuthenticationMandatory &&
      orders(card, data.ADA_1_ISSUER_AUTHENTICATION_MISSING_DECLINE));
  const decline = [
    requested !== 'TC',
    state.applicationBlocked,
    isRefused,
    authenticatedArc !== null && !isApproval(authenticatedArc),
  ];
  const isAdvised = isRefused && orders(card, data.ADA_1_ISSUER_AUTHENTICATION_DECLINE_ADVICE);
  return {
    type: anyOf(decline) ? 'AAC' : 'TC',
    isVelocityExceeded: false,
    blocksApplication: false,
    adviceBits: isAdvised ? ADVICE_REQUIRED | REASON_ISSUER_AUTHENTICATION : 0,
  };
}

/** Second GENERATE AC when the terminal could not go online. @see PBOC3 P5 (completion) */
export function decideUnableOnline(card: Snapshot, requested: data.CryptogramType): CardAction {
  const { state } = active(card);
  const isVelocityExceeded = exceedsUpper(card);
  const decline = [
    requested !== 'TC',
    state.applicationBlocked,
    isVelocityExceeded,
    state.lastOnlineAtc === 0 && orders(card, data.ADA_1_NEW_CARD_UNABLE_ONLINE_DECLINE),
    wasPinBlockedBefore(card) && orders(card, data.ADA_2_LAST_PIN_TRY_LIMIT_UNABLE_ONLINE_DECLINE),
  ];
  const isDeclined = anyOf(decline);
  return {
    type: isDeclined ? 'AAC' : 'TC',
    isVelocityExceeded,
    blocksApplication: false,
    adviceBits: isDeclined ? offlineDeclineAdvice(card) : 0,
  };
}

function anyOf(conditions: readonly boolean[]): boolean {
  return conditions.some((holds) => holds);
}

/** Response codes by which an issuer approves. @see EMV 4.3 B4 §A6 */
export function isApproval(authorisationResponseCode: Uint8Array): boolean {
  return ['00', '08', '10', '11'].includes(bytesToLatin1(authorisationResponseCode));
}

/** Whether tag 8A says that the terminal could not reach the issuer. @see EMV 4.3 B4 §A6 */
export function isUnableOnline(authorisationResponseCode: Uint8Array): boolean {
  const text = bytesToLatin1(authorisationResponseCode);
  return text === data.ARC_UNABLE_ONLINE_APPROVED || text === data.ARC_UNABLE_ONLINE_DECLINED;
}

/** Minor units of this transaction; 0 in a currency that the card does not count. */
export function countedAmount(card: Snapshot): bigint {
  return isOwnCurrency(card) ? (transactionAmount(card) ?? 0n) : 0n;
}

/** Whether the transaction is in the currency in which the card counts (9F51). */
export function isOwnCurrency(card: Snapshot): boolean {
  const currency = card.session.values.get(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE);
  return currency !== undefined && toHex(currency) === active(card).profile.policy.currency;
}

/**
 * DEVIATION: PBOC leaves the TVR to the terminal. Our card repeats its issuer's denial code on the
 * TVR that the terminal signed off, so that a terminal cannot skip it.
 */
function hitsDenial(card: Snapshot): boolean {
  const { application, options } = active(card);
  const tvr = card.session.values.get(data.TAG_95_TERMINAL_VERIFICATION_RESULTS);
  const denial = objectFor(application, options, data.TAG_9F0E_ISSUER_ACTION_CODE_DENIAL);
  return tvr !== undefined && denial !== undefined && data.haveCommonBit(tvr, denial);
}

function orders(card: Snapshot, bit: data.StatusBit): boolean {
  return data.hasBit(active(card).profile.policy.applicationDefaultAction, bit);
}

/** Whether the tries were used up in an earlier transaction: none was made in this one. */
function wasPinBlockedBefore(card: Snapshot): boolean {
  return active(card).state.pinTryCounter === 0 && card.session.offlinePin === 'notPerformed';
}

/** Whether an advice is ordered for an offline decline, and why. @see PBOC3 P5 (9F52) */
function offlineDeclineAdvice(card: Snapshot): number {
  const isPinExceededNow =
    active(card).state.pinTryCounter === 0 && card.session.offlinePin === 'failed';
  if (isPinExceededNow && orders(card, data.ADA_1_PIN_TRY_LIMIT_DECLINE_ADVICE)) {
    return ADVICE_REQUIRED | REASON_PIN_TRY_LIMIT;
  }
  return orders(card, data.ADA_1_OFFLINE_DECLINE_ADVICE) ? ADVICE_REQUIRED : 0;
}

function exceedsLower(card: Snapshot): boolean {
  const { policy } = active(card).profile;
  return (
    exceedsInternational(card, policy) ||
    exceeds(card, policy.lowerConsecutiveLimit, policy.cumulativeAmountLimitMinor)
  );
}

function exceedsUpper(card: Snapshot): boolean {
  const { policy } = active(card).profile;
  return exceeds(card, policy.upperConsecutiveLimit, policy.cumulativeAmountUpperLimitMinor);
}

/** Offline transactions in foreign currencies, this one counted (9F53). */
function exceedsInternational(card: Snapshot, policy: Policy): boolean {
  const limit = policy.internationalConsecutiveLimit;
  if (limit === 0 || isOwnCurrency(card)) return false;
  return active(card).state.internationalOfflineCount + 1 > limit;
}

function exceeds(card: Snapshot, countMax: number, amountMax: bigint): boolean {
  const { atc, lastOnlineAtc, cumulativeOfflineAmountMinor } = active(card).state;
  const total = BigInt(cumulativeOfflineAmountMinor) + countedAmount(card);
  const isCountOver = countMax > 0 && atc - lastOnlineAtc > countMax;
  return isCountOver || (amountMax > 0n && total > amountMax);
}
