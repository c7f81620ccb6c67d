/** One contact transaction: the phases in the order of the standard, and how it ended. */
import { errorBody } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { analyseUnableOnline, tvrNames } from './action-analysis.ts';
import { hasCombinedFailed, REASON_CDA_FAILED } from './combined-data-authentication.ts';
import { createContext, type KernelContext, reportPhase, tvrOf } from './context.ts';
import { authenticateOfflineData } from './data-authentication.ts';
import {
  analysePurchase,
  examineElectronicCash,
  managePurchaseRisk,
  offerElectronicCash,
  verifyPurchaser,
} from './electronic-cash.ts';
import { KernelError } from './errors.ts';
import { firstGenerateAc, secondGenerateAc } from './generate-ac.ts';
import { initiateApplication, refusalReason } from './initiate.ts';
import { authenticateIssuer, processScripts } from './issuer-response.ts';
import { authorise, RESPONSE_CODE_APPROVED } from './online.ts';
import { releaseCardAnyway, setResponseCode, transactionOutcome } from './outcome.ts';
import { readApplicationData } from './read-data.ts';
import { checkRestrictions } from './restrictions.ts';
import { buildCandidateList, chooseCandidate, selectApplication } from './select.ts';
import type {
  ContactOutcome,
  ContactTransaction,
  Cryptogram,
  Kernel,
  KernelAnswer,
  KernelRequest,
  OnlineAnswer,
} from './types.ts';

/** The word on a transaction before it is dressed as a `ContactOutcome`. */
type Ending = Pick<ContactOutcome, 'outcome' | 'reason'>;

/**
 * The contact kernel. Yields what it needs, is answered, returns the outcome. Before `authorise`
 * a fault of the card or the driver is thrown: nothing was charged. From `authorise` on it is told
 * in the outcome.
 * @throws KernelError; whatever the driver throws into it before `authorise`.
 * @see EMV 4.3 B3 §10; PBOC3 P5
 */
export function* contactTransaction(
  input: ContactTransaction,
): Generator<KernelRequest, ContactOutcome, KernelAnswer> {
  const context = createContext(input);
  const refused = yield* startApplication(context);
  if (refused) return yield* endOf(context, refused);
  const records = yield* readApplicationData(context);
  yield* reportPhase(context, 'readApplicationData', { records });
  const authentication = yield* authenticateOfflineData(context);
  yield* reportPhase(context, 'offlineDataAuthentication', authentication);
  checkRestrictions(context);
  yield* reportPhase(context, 'processingRestrictions');
  const cash = yield* examineElectronicCash(context);
  if (cash !== null) yield* reportPhase(context, 'electronicCash', cash);
  const verification = yield* verifyPurchaser(context);
  if (verification.result === 'cancelled') {
    return yield* endOf(context, { outcome: 'cancelled', reason: 'cardholder:pin' });
  }
  yield* reportPhase(context, 'cardholderVerification', verification.facts);
  const isManaged = yield* managePurchaseRisk(context);
  yield* reportPhase(context, 'terminalRiskManagement', { performed: isManaged });
  return yield* decide(context);
}

/** Selection and GPO; another candidate when the card says 6985. @see EMV 4.3 B1 §12; B3 §10.1 */
function* startApplication(context: KernelContext): Kernel<Ending | null> {
  const list = yield* buildCandidateList(context);
  if (list.cardBlocked) return { outcome: 'notAccepted', reason: 'card:blocked' };
  let candidates = list.candidates;
  while (candidates.length > 0) {
    const chosen = yield* chooseCandidate(candidates);
    if (chosen === null) return { outcome: 'cancelled', reason: 'cardholder:application' };
    candidates = candidates.filter((candidate) => candidate !== chosen);
    const { isSelected } = yield* selectApplication(context, chosen);
    if (!isSelected) continue;
    yield* reportPhase(context, 'applicationSelection', {
      source: list.source,
      candidates: list.candidates.length,
      label: context.label,
    });
    offerElectronicCash(context);
    const initiation = yield* initiateApplication(context);
    if (initiation.result === 'tryNext') continue;
    if (initiation.result === 'refused') {
      return { outcome: 'notAccepted', reason: refusalReason('GPO', initiation.statusWord) };
    }
    yield* reportPhase(context, 'initiateApplication');
    return null;
  }
  return { outcome: 'notAccepted', reason: 'terminal:noApplication' };
}

/** Terminal and card action analysis, then offline end or the way online. */
function* decide(context: KernelContext): Kernel<ContactOutcome> {
  const decision = analysePurchase(context);
  yield* reportPhase(context, 'terminalActionAnalysis', {
    request: decision.request,
    reason: decision.reason,
    tvr: tvrNames(tvrOf(context)),
  });
  const answer = yield* firstGenerateAc(context, decision.request);
  if (answer.result === 'refused') {
    const reason = refusalReason('GENERATE_AC', answer.statusWord);
    return yield* endOf(context, { outcome: 'notAccepted', reason });
  }
  const { cryptogram } = answer;
  const { combined } = answer;
  yield* reportPhase(context, 'firstGenerateAc', { type: cryptogram.type, combined });
  if (hasCombinedFailed(context)) return yield* declineUnsigned(context, cryptogram);
  if (cryptogram.type === 'ARQC') return yield* goOnline(context, cryptogram);
  const isApproved = cryptogram.type === 'TC';
  const arc = isApproved ? data.ARC_OFFLINE_APPROVED : data.ARC_OFFLINE_DECLINED;
  setResponseCode(context, arc);
  yield* reportPhase(context, 'completion');
  if (isApproved) return yield* endOf(context, { outcome: 'approved', reason: 'card:TC' });
  const isTerminals = decision.request === 'AAC' && decision.reason !== null;
  const reason = isTerminals && decision.reason ? decision.reason : 'card:AAC';
  return yield* endOf(context, { outcome: 'declined', reason });
}

/**
 * CDA failed in the first answer: a TC is not taken, an ARQC goes nowhere and the card is asked for
 * an AAC at once. @see EMV 4.3 B4 §6.3.2.1
 */
function* declineUnsigned(context: KernelContext, first: Cryptogram): Kernel<ContactOutcome> {
  setResponseCode(context, data.ARC_OFFLINE_DECLINED);
  if (first.type === 'ARQC') {
    const { result } = yield* secondGenerateAc(context, 'AAC');
    yield* reportPhase(context, 'secondGenerateAc', { request: 'AAC', result });
  }
  yield* reportPhase(context, 'completion');
  return yield* endOf(context, { outcome: 'declined', reason: REASON_CDA_FAILED });
}

/** From here on money may have moved: whatever happens is an outcome, not an exception. */
function* goOnline(context: KernelContext, arqc: Cryptogram): Kernel<ContactOutcome> {
  const { answer, faultCode } = yield* authorise(context, arqc);
  let fault: unknown = null;
  try {
    yield* reportPhase(context, 'onlineProcessing', {
      result: answer.result,
      responseCode: answer.result === 'answered' ? answer.responseCode : null,
      fault: faultCode,
    });
    yield* complete(context, answer);
    yield* reportPhase(context, 'completion');
  } catch (thrown) {
    fault = thrown;
  }
  if (answer.result === 'unknown') {
    const reason = faultCode ?? 'online:unknown';
    return yield* endOf(context, { outcome: 'unknown', reason }, answer);
  }
  return yield* endOf(context, endingOf(context, { answer, fault }), answer);
}

/** Issuer authentication, scripts and second GENERATE AC. @see EMV 4.3 B3 §10.9 to §10.11 */
function* complete(context: KernelContext, answer: OnlineAnswer): Kernel<void> {
  if (answer.result !== 'answered') {
    yield* completeWithoutIssuer(context, answer.result);
    return;
  }
  setResponseCode(context, answer.responseCode);
  if (answer.issuerAuthenticationData) {
    const facts = yield* authenticateIssuer(context, answer.issuerAuthenticationData);
    yield* reportPhase(context, 'issuerAuthentication', facts);
  }
  const { scripts } = answer;
  const before = yield* processScripts(context, { scripts, time: 'beforeFinalAc' });
  if (before > 0) yield* reportPhase(context, 'scriptsBeforeFinalAc', { scripts: before });
  const isApproved = answer.responseCode === RESPONSE_CODE_APPROVED;
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

function* finalCryptogram(context: KernelContext, request: 'AAC' | 'TC'): Kernel<void> {
  const answer = yield* secondGenerateAc(context, request);
  if (answer.result === 'refused') {
    const reason = refusalReason('GENERATE_AC', answer.statusWord);
    throw new KernelError('ERR_CARD_STATUS', `second GENERATE AC: ${reason}`, { reason });
  }
  const { combined, cryptogram } = answer;
  yield* reportPhase(context, 'secondGenerateAc', { request, type: cryptogram.type, combined });
}

/** Who had the last word, once the issuer answered or could not be reached. */
function endingOf(
  context: KernelContext,
  end: { readonly answer: OnlineAnswer; readonly fault: unknown },
): Ending {
  const { answer, fault } = end;
  if (answer.result === 'answered' && answer.responseCode !== RESPONSE_CODE_APPROVED) {
    return { outcome: 'declined', reason: `issuer:${answer.responseCode}` };
  }
  if (context.second !== null) return endingOfSecond(context, { answer, second: context.second });
  // No final cryptogram. A card that answered nonsense gave no approval; one that was pulled may
  // have made a TC that nobody saw, so that an approval stays open.
  const { code } = errorBody(fault);
  if (fault instanceof KernelError) return { outcome: 'declined', reason: `card:${code}` };
  if (answer.result === 'answered') return { outcome: 'unknown', reason: code };
  return { outcome: 'declined', reason: code };
}

function endingOfSecond(
  context: KernelContext,
  end: { readonly answer: OnlineAnswer; readonly second: Cryptogram },
): Ending {
  const { answer, second } = end;
  const code = answer.result === 'answered' ? answer.responseCode : null;
  // §6.3.2.1: a TC whose signature does not stand is no approval.
  if (second.type === 'TC' && hasCombinedFailed(context)) {
    return { outcome: 'declined', reason: REASON_CDA_FAILED };
  }
  if (second.type === 'TC') {
    return { outcome: 'approved', reason: code === null ? 'terminal:Y3' : `issuer:${code}` };
  }
  if (code !== null) return { outcome: 'declined', reason: 'card:AAC' };
  return { outcome: 'declined', reason: analyseUnableOnline(context).reason ?? 'card:AAC' };
}

/** Every end: the card is let go, then the word is dressed. */
function* endOf(
  context: KernelContext,
  end: Ending,
  answer?: OnlineAnswer,
): Kernel<ContactOutcome> {
  yield* releaseCardAnyway(context);
  const { dataAuthentication } = context;
  return {
    ...transactionOutcome(context, end.reason, answer),
    outcome: end.outcome,
    second: context.second,
    // fDDA is of the other kernel; here it would be no authentication that was done.
    dataAuthentication: dataAuthentication === 'fDDA' ? 'failed' : dataAuthentication,
  };
}
