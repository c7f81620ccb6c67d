/** One contact transaction: the phases in the order of the standard, and how it ended. */
import * as data from '../data/index.ts';
import { type ActionDecision, tvrNames } from './action-analysis.ts';
import { cardAdviceOf, cryptogramFacts } from './card-advice.ts';
import { hasCombinedFailed, REASON_CDA_FAILED } from './combined-data-authentication.ts';
import { type Ending, goOnline } from './completion.ts';
import { createContext, type KernelContext, reportPhase, tvrOf } from './context.ts';
import { authenticateOfflineData } from './data-authentication.ts';
import {
  analysePurchase,
  examineElectronicCash,
  generatePurchaseAc,
  managePurchaseRisk,
  offerElectronicCash,
  offlineApprovalKindOf,
  verifyPurchaser,
} from './electronic-cash.ts';
import { secondGenerateAc } from './generate-ac.ts';
import { initiateApplication, refusalReason } from './initiate.ts';
import { storeOfflineApproval } from './offline-approval.ts';
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
  PhaseFacts,
} from './types.ts';

/**
 * The contact kernel. Yields what it needs, is answered, returns the outcome. Before `authorise`,
 * or a TC of the card alone, a fault of the card or the driver is thrown: nothing was charged. From
 * then on it is told in the outcome.
 * @throws KernelError; whatever the driver throws into it before then.
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
export function* startApplication(context: KernelContext): Kernel<Ending | null> {
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
  setOfflineResponseCode(context, decision.request);
  const answer = yield* generatePurchaseAc(context, decision.request);
  if (answer.result === 'torn') {
    return yield* endOf(context, { outcome: 'unknown', reason: `card:torn:${answer.code}` });
  }
  if (answer.result === 'refused') {
    const reason = refusalReason('GENERATE_AC', answer.statusWord);
    return yield* endOf(context, { outcome: 'notAccepted', reason });
  }
  const { combined, cryptogram } = answer;
  setOfflineResponseCode(context, cryptogram.type);
  const facts: PhaseFacts = { ...cryptogramFacts(context, cryptogram), combined };
  if (cryptogram.type === 'TC' && !hasCombinedFailed(context)) {
    return yield* approveOffline(context, facts);
  }
  yield* reportPhase(context, 'firstGenerateAc', facts);
  if (hasCombinedFailed(context)) return yield* declineUnsigned(context, cryptogram);
  if (cryptogram.type === 'ARQC') {
    const { end, answer: issuer } = yield* goOnline(context, cryptogram);
    return yield* endOf(context, end, issuer);
  }
  yield* reportPhase(context, 'completion');
  return yield* endOf(context, refusalOf(context, decision));
}

/**
 * Tag 8A while no issuer has a say: Y1 with a TC, Z1 with an AAC, none on the way online. It is set
 * for the terminal's wish, so that a CDOL1 may carry it, and again for the card's word.
 * @see EMV 4.3 B4 §6.3.6, §A6
 */
function setOfflineResponseCode(context: KernelContext, type: data.CryptogramType): void {
  if (type === 'TC') setResponseCode(context, data.ARC_OFFLINE_APPROVED);
  else if (type === 'AAC') setResponseCode(context, data.ARC_OFFLINE_DECLINED);
  else context.data.delete(data.TAG_8A_AUTHORISATION_RESPONSE_CODE);
}

/**
 * The card has paid: its TC is kept for upload before anything else is said, and from here on
 * whatever happens is an outcome. @see EMV 4.3 B3 §10.8
 */
function* approveOffline(context: KernelContext, facts: PhaseFacts): Kernel<ContactOutcome> {
  const fault = yield* storeOfflineApproval(context, offlineApprovalKindOf(context));
  try {
    yield* reportPhase(context, 'firstGenerateAc', facts);
    yield* reportPhase(context, 'completion');
  } catch {
    // A notice that the driver could not take does not undo the card's payment.
  }
  if (fault !== null) return yield* endOf(context, { outcome: 'unknown', reason: fault });
  return yield* endOf(context, { outcome: 'approved', reason: 'card:TC' });
}

/** An AAC is the terminal's when it asked for one, else the card's. @see EMV 4.3 B4 §6.3.7 */
function refusalOf(context: KernelContext, decision: ActionDecision): Ending {
  if (cardAdviceOf(context)?.reason === 'serviceNotAllowed') {
    return { outcome: 'notAccepted', reason: 'card:serviceNotAllowed' };
  }
  const terminals = decision.request === 'AAC' ? decision.reason : null;
  return { outcome: 'declined', reason: terminals ?? 'card:AAC' };
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
