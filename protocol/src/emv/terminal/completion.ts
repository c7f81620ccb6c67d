/** After an ARQC: the issuer's answer, referral, scripts, last cryptogram, the last word. */
import { errorBody, Secret } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { analyseUnableOnline } from './action-analysis.ts';
import { cardAdviceOf, cryptogramFacts } from './card-advice.ts';
import { hasCombinedFailed, REASON_CDA_FAILED } from './combined-data-authentication.ts';
import { isUnattended, type KernelContext, reportPhase } from './context.ts';
import { offlineApprovalKindOf } from './electronic-cash.ts';
import { KernelError } from './errors.ts';
import { secondGenerateAc } from './generate-ac.ts';
import { refusalReason } from './initiate.ts';
import { authenticateIssuer, processScripts } from './issuer-response.ts';
import { storeOfflineApproval } from './offline-approval.ts';
import { authorise, RESPONSE_CODE_APPROVED } from './online.ts';
import { setResponseCode } from './outcome.ts';
import { panOf } from './read-data.ts';
import type { ContactOutcome, Cryptogram, Kernel, OnlineAnswer, ReferralAnswer } from './types.ts';

/** The word on a transaction before it is dressed as a `ContactOutcome`. */
export type Ending = Pick<ContactOutcome, 'outcome' | 'reason'>;

/** What came of going online. */
export type OnlineEnding = { readonly end: Ending; readonly answer: OnlineAnswer };

/** Codes of an issuer that wants to be called. @see EMV 4.3 B4 §6.5.2.2, §A6 */
const RESPONSE_CODES_REFERRAL: readonly string[] = ['01', '02'];

/** The issuer's word, its attendant's included. */
type Decision = { readonly isApproved: boolean; readonly reason: string };
type Answered = Extract<OnlineAnswer, { result: 'answered' }>;

/**
 * From here on money may have moved: whatever happens is an ending, not an exception.
 * @see EMV 4.3 B3 §10.9 to §10.11
 */
export function* goOnline(context: KernelContext, arqc: Cryptogram): Kernel<OnlineEnding> {
  const { answer, faultCode } = yield* authorise(context, arqc);
  const isAnswered = answer.result === 'answered';
  const referral = isAnswered ? yield* refer(context, answer.responseCode) : null;
  const decision = isAnswered ? decisionOf(answer, referral?.word ?? null) : null;
  let fault: unknown = null;
  try {
    yield* reportPhase(context, 'onlineProcessing', {
      result: answer.result,
      responseCode: isAnswered ? answer.responseCode : null,
      fault: faultCode ?? referral?.faultCode ?? null,
      ...(referral === null ? {} : { referral: referral.word }),
    });
    if (isAnswered) yield* completeWithIssuer(context, answer, decision?.isApproved === true);
    else yield* completeWithoutIssuer(context, answer.result);
    yield* reportPhase(context, 'completion');
  } catch (thrown) {
    fault = thrown;
  }
  if (answer.result === 'unknown') {
    return { answer, end: { outcome: 'unknown', reason: faultCode ?? 'online:unknown' } };
  }
  return { answer, end: endingOf(context, { decision, fault }) };
}

/** What the attendant said, and the code of the fault that kept the question from him. */
type Referral = { readonly word: ReferralAnswer; readonly faultCode: string | null };

/**
 * Asks the attendant what the issuer said by voice; null when there is nothing to ask, or nobody. A
 * question that cannot be put is a decline: nobody said yes, and the card is still told.
 * @see EMV 4.3 B4 §6.5.2.2
 */
function* refer(context: KernelContext, responseCode: string): Kernel<Referral | null> {
  if (!RESPONSE_CODES_REFERRAL.includes(responseCode)) return null;
  if (isUnattended(context.input.terminal.terminalType)) return null;
  try {
    const answer = yield { kind: 'referral', pan: new Secret(panOf(context)), responseCode };
    return { word: answer === 'approved' ? 'approved' : 'declined', faultCode: null };
  } catch (fault) {
    return { word: 'declined', faultCode: errorBody(fault).code };
  }
}

function decisionOf(answer: Answered, referral: ReferralAnswer | null): Decision {
  const { responseCode } = answer;
  if (referral !== null) {
    return { isApproved: referral === 'approved', reason: `referral:${responseCode}` };
  }
  const isApproved = responseCode === RESPONSE_CODE_APPROVED;
  return { isApproved, reason: `issuer:${responseCode}` };
}

/** Issuer authentication, scripts and second GENERATE AC; the issuer's code goes in as it came. */
function* completeWithIssuer(
  context: KernelContext,
  answer: Answered,
  isApproved: boolean,
): Kernel<void> {
  setResponseCode(context, answer.responseCode);
  if (answer.issuerAuthenticationData) {
    const facts = yield* authenticateIssuer(context, answer.issuerAuthenticationData);
    yield* reportPhase(context, 'issuerAuthentication', facts);
  }
  const { scripts } = answer;
  const before = yield* processScripts(context, { scripts, time: 'beforeFinalAc' });
  if (before > 0) yield* reportPhase(context, 'scriptsBeforeFinalAc', { scripts: before });
  yield* finalCryptogram(context, isApproved ? 'TC' : 'AAC');
  const after = yield* processScripts(context, { scripts, time: 'afterFinalAc' });
  if (after > 0) yield* reportPhase(context, 'scriptsAfterFinalAc', { scripts: after });
}

/**
 * The card is told that the issuer was not reached (Y3, Z3). DEVIATION: after `unknown` it is
 * always Z3 with AAC, never Y3 by the default action codes, for an offline approval beside an open
 * online one could charge twice. @see EMV 4.3 B3 §10.7; B4 §A6
 */
function* completeWithoutIssuer(
  context: KernelContext,
  result: 'unable' | 'unknown',
): Kernel<void> {
  const request = result === 'unknown' ? 'AAC' : analyseUnableOnline(context).request;
  const isApproved = request === 'TC';
  const arc = isApproved ? data.ARC_UNABLE_ONLINE_APPROVED : data.ARC_UNABLE_ONLINE_DECLINED;
  setResponseCode(context, arc);
  yield* finalCryptogram(context, isApproved ? 'TC' : 'AAC');
}

/** An approval without the issuer (Y3) is kept for upload before anybody is told of the TC. */
function* finalCryptogram(context: KernelContext, request: 'AAC' | 'TC'): Kernel<void> {
  const answer = yield* secondGenerateAc(context, request);
  if (answer.result === 'refused') {
    const reason = refusalReason('GENERATE_AC', answer.statusWord);
    throw new KernelError('ERR_CARD_STATUS', `second GENERATE AC: ${reason}`, { reason });
  }
  const { combined, cryptogram } = answer;
  const isOffline = responseCodeOf(context) === data.ARC_UNABLE_ONLINE_APPROVED;
  if (cryptogram.type === 'TC' && isOffline && !hasCombinedFailed(context)) {
    yield* storeOfflineApproval(context, offlineApprovalKindOf(context));
  }
  // The card that checks tag 91 itself tells of a failure by its reason code only.
  if (cardAdviceOf(context)?.reason === 'issuerAuthenticationFailed') {
    context.issuerAuthentication = 'failed';
  }
  const facts = cryptogramFacts(context, cryptogram);
  yield* reportPhase(context, 'secondGenerateAc', { request, ...facts, combined });
}

function responseCodeOf(context: KernelContext): string {
  const value = context.data.get(data.TAG_8A_AUTHORISATION_RESPONSE_CODE) ?? new Uint8Array(0);
  return String.fromCharCode(...value);
}

/** Who had the last word; `decision` is null when the issuer could not be reached. */
function endingOf(
  context: KernelContext,
  end: { readonly decision: Decision | null; readonly fault: unknown },
): Ending {
  const { decision, fault } = end;
  if (decision?.isApproved === false) return { outcome: 'declined', reason: decision.reason };
  if (context.offlineApprovalFault !== null) {
    return { outcome: 'unknown', reason: context.offlineApprovalFault };
  }
  if (context.second !== null) return endingOfSecond(context, decision, context.second);
  // No final cryptogram. A card that answered nonsense gave no approval; one that was pulled may
  // have made a TC that nobody saw, so that an approval stays open.
  const { code } = errorBody(fault);
  if (fault instanceof KernelError) return { outcome: 'declined', reason: `card:${code}` };
  if (decision !== null) return { outcome: 'unknown', reason: code };
  return { outcome: 'declined', reason: code };
}

function endingOfSecond(
  context: KernelContext,
  decision: Decision | null,
  second: Cryptogram,
): Ending {
  // §6.3.2.1: a TC whose signature does not stand is no approval.
  if (second.type === 'TC' && hasCombinedFailed(context)) {
    return { outcome: 'declined', reason: REASON_CDA_FAILED };
  }
  if (second.type === 'TC') {
    return { outcome: 'approved', reason: decision?.reason ?? 'terminal:Y3' };
  }
  if (decision !== null) return { outcome: 'declined', reason: 'card:AAC' };
  return { outcome: 'declined', reason: analyseUnableOnline(context).reason ?? 'card:AAC' };
}
