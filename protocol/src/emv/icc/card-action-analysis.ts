/** Card risk management and card action analysis: which cryptogram the card is willing to give. */
import { bcdToNumeric, bytesToLatin1, fromHex, toHex } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import type { Session, Snapshot } from './session.ts';

/** What the analysis decides; the CVR tells the issuer of a velocity limit that was passed. */
export type CardAction = {
  readonly type: 'AAC' | 'TC' | 'ARQC';
  readonly isVelocityExceeded: boolean;
};

/**
 * First GENERATE AC. A decline wins over going online, which wins over an offline approval.
 * @see PBOC3 P5 (card risk management, first GENERATE AC)
 */
export function decideFirst(card: Snapshot, requested: data.CryptogramType): CardAction {
  const { image, session } = card;
  const { state } = image;
  const isVelocityExceeded = exceedsLower(image, session);
  const decline = [
    requested === 'AAC',
    state.applicationBlocked,
    hitsDenial(image, session),
    pinBlocked(image) && orders(image, data.ADA_2_LAST_PIN_TRY_LIMIT_DECLINE),
    pinBlocked(image) && orders(image, data.ADA_2_LAST_PIN_TRY_LIMIT_DECLINE_BLOCK),
  ];
  if (anyOf(decline)) return { type: 'AAC', isVelocityExceeded };
  const online = [
    requested === 'ARQC',
    state.lastOnlineNotCompleted,
    state.lastIssuerAuthenticationFailed &&
      orders(image, data.ADA_1_ISSUER_AUTHENTICATION_FAILED_NEXT_ONLINE),
    state.lastOnlineAtc === 0 && orders(image, data.ADA_1_NEW_CARD_ONLINE),
    isVelocityExceeded,
    pinBlocked(image) && orders(image, data.ADA_2_LAST_PIN_TRY_LIMIT_ONLINE),
    state.lastScriptFailed && orders(image, data.ADA_2_LAST_SCRIPT_FAILED_ONLINE),
  ];
  return { type: anyOf(online) ? 'ARQC' : 'TC', isVelocityExceeded };
}

/**
 * Second GENERATE AC after the issuer's answer.
 * The response code that counts is the one inside authenticated data: a terminal that shows the
 * card another one in tag 8A gains nothing.
 * @see PBOC3 P5 (completion)
 */
export function decideAfterOnline(card: Snapshot, requested: data.CryptogramType): 'AAC' | 'TC' {
  const { image, session } = card;
  const isMandatory = (fromHex(image.policy.issuerAuthenticationIndicator)[0] ?? 0) >= 0x80;
  const { issuerAuthentication, authenticatedArc } = session;
  const decline = [
    requested !== 'TC',
    image.state.applicationBlocked,
    issuerAuthentication === 'failed' &&
      orders(image, data.ADA_1_ISSUER_AUTHENTICATION_FAILED_DECLINE),
    issuerAuthentication === 'notPerformed' &&
      isMandatory &&
      orders(image, data.ADA_1_ISSUER_AUTHENTICATION_MISSING_DECLINE),
    authenticatedArc !== null && !isApproval(authenticatedArc),
  ];
  return anyOf(decline) ? 'AAC' : 'TC';
}

/** Second GENERATE AC when the terminal could not go online. @see PBOC3 P5 (completion) */
export function decideUnableOnline(card: Snapshot, requested: data.CryptogramType): CardAction {
  const { image, session } = card;
  const isVelocityExceeded = exceedsUpper(image, session);
  const decline = [
    requested !== 'TC',
    image.state.applicationBlocked,
    isVelocityExceeded,
    image.state.lastOnlineAtc === 0 && orders(image, data.ADA_1_NEW_CARD_UNABLE_ONLINE_DECLINE),
    pinBlocked(image) && orders(image, data.ADA_2_LAST_PIN_TRY_LIMIT_UNABLE_ONLINE_DECLINE),
  ];
  return { type: anyOf(decline) ? 'AAC' : 'TC', isVelocityExceeded };
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
export function countedAmount(image: data.IccImage, session: Session): bigint {
  const currency = session.values.get(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE);
  const amount = session.values.get(data.TAG_9F02_AMOUNT_AUTHORISED);
  if (!currency || toHex(currency) !== image.currencyCode || !amount) return 0n;
  return isNumeric(amount) ? BigInt(bcdToNumeric(amount)) : 0n;
}

function isNumeric(bytes: Uint8Array): boolean {
  return /^[0-9]+$/.test(toHex(bytes));
}

/**
 * DEVIATION: PBOC leaves the TVR to the terminal. Our card repeats its issuer's denial code on the
 * TVR that the terminal signed off, so that a terminal cannot skip it.
 */
function hitsDenial(image: data.IccImage, session: Session): boolean {
  const tvr = session.values.get(data.TAG_95_TERMINAL_VERIFICATION_RESULTS);
  return tvr !== undefined && data.haveCommonBit(tvr, fromHex(image.iac.denial));
}

function orders(image: data.IccImage, bit: data.StatusBit): boolean {
  return data.hasBit(fromHex(image.policy.applicationDefaultAction), bit);
}

function pinBlocked(image: data.IccImage): boolean {
  return image.state.pinTryCounter === 0;
}

function exceedsLower(image: data.IccImage, session: Session): boolean {
  const { lowerConsecutiveOfflineLimit: count, cumulativeAmountLimitMinor: amount } = image.policy;
  return exceeds(image, session, { count, amount });
}

function exceedsUpper(image: data.IccImage, session: Session): boolean {
  const { upperConsecutiveOfflineLimit, cumulativeAmountUpperLimitMinor } = image.policy;
  const limits = { count: upperConsecutiveOfflineLimit, amount: cumulativeAmountUpperLimitMinor };
  return exceeds(image, session, limits);
}

function exceeds(
  image: data.IccImage,
  session: Session,
  limits: { readonly count: number; readonly amount: string },
): boolean {
  const { atc, lastOnlineAtc, cumulativeOfflineAmountMinor } = image.state;
  const amountMax = BigInt(limits.amount);
  const total = BigInt(cumulativeOfflineAmountMinor) + countedAmount(image, session);
  const isCountOver = limits.count > 0 && atc - lastOnlineAtc > limits.count;
  return isCountOver || (amountMax > 0n && total > amountMax);
}
