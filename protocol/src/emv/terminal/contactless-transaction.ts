/** One contactless (qPBOC) transaction: the phases in the order of the standard. */

import { SW_6984_REFERENCED_DATA_INVALIDATED } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { tvrNames } from './action-analysis.ts';
import {
  type ContactlessEnding,
  decideContactless,
  REASON_USE_CONTACT,
} from './contactless-decision.ts';
import { initiateContactless, readContactlessData } from './contactless-read.ts';
import { preProcess, readProximityDirectory, selectContactless } from './contactless-select.ts';
import { verifyContactless } from './contactless-verification.ts';
import {
  createContext,
  type KernelContext,
  POS_ENTRY_MODE_CONTACTLESS,
  reportPhase,
  tvrOf,
} from './context.ts';
import { authenticateFast } from './fast-data-authentication.ts';
import { refusalReason } from './initiate.ts';
import { authorise, RESPONSE_CODE_APPROVED } from './online.ts';
import { releaseCard, releaseCardAnyway, setResponseCode, transactionOutcome } from './outcome.ts';
import { checkRestrictions } from './restrictions.ts';
import { checkExceptionFile } from './risk-management.ts';
import type {
  ContactlessOutcome,
  ContactlessTransaction,
  Cryptogram,
  Kernel,
  KernelAnswer,
  KernelRequest,
  OnlineAnswer,
} from './types.ts';

/** One phase: it may end the transaction. */
type Step = (context: KernelContext) => Kernel<ContactlessEnding | null>;

/**
 * The phases before the issuer. The card is in the field up to `release`; what follows needs no
 * card. @see EMV C-7 §3
 */
const STEPS: readonly Step[] = [
  entryPoint,
  startApplication,
  readData,
  release,
  authenticate,
  restrict,
  decide,
  verify,
];

/**
 * The contactless kernel. Yields what it needs, is answered, returns the outcome. Before
 * `authorise` a fault of the card or the driver is thrown: nothing was charged. From `authorise` on
 * it is told in the outcome.
 * @throws KernelError; whatever the driver throws into it before `authorise`.
 * @see EMV C-7 §3; PBOC3 P5
 */
export function* contactlessTransaction(
  input: ContactlessTransaction,
): Generator<KernelRequest, ContactlessOutcome, KernelAnswer> {
  const context = createContext(input, POS_ENTRY_MODE_CONTACTLESS);
  for (const step of STEPS) {
    const end = yield* step(context);
    if (end === null) continue;
    if (end.outcome === 'declined') setResponseCode(context, data.ARC_OFFLINE_DECLINED);
    return yield* endOf(context, end);
  }
  return yield* goOnline(context);
}

/** Reader limits; the card is not asked for anything yet. */
function* entryPoint(context: KernelContext): Kernel<ContactlessEnding | null> {
  const { result, ...facts } = preProcess(context);
  yield* reportPhase(context, 'preProcessing', { result, ...facts });
  if (!('reason' in facts)) return null;
  return { outcome: 'tryAnotherInterface', reason: facts.reason };
}

/** PPSE, final SELECT and GPO of the highest priority; the next one when the card says 6985. */
function* startApplication(context: KernelContext): Kernel<ContactlessEnding | null> {
  const candidates = yield* readProximityDirectory(context);
  for (const candidate of candidates) {
    const { isSelected, statusWord } = yield* selectContactless(context, candidate);
    if (statusWord === SW_6984_REFERENCED_DATA_INVALIDATED) return useContact();
    if (!isSelected) continue;
    yield* reportPhase(context, 'applicationSelection', {
      source: 'directory',
      candidates: candidates.length,
      label: context.label,
    });
    const initiation = yield* initiateContactless(context);
    switch (initiation.result) {
      case 'tryNext':
        continue;
      case 'useContact':
        return useContact();
      case 'magneticStripe':
        return { outcome: 'notAccepted', reason: 'terminal:magneticStripe' };
      case 'refused':
        return { outcome: 'notAccepted', reason: refusalReason('GPO', initiation.statusWord) };
      case 'started':
        yield* reportPhase(context, 'initiateApplication');
        return null;
    }
  }
  return { outcome: 'notAccepted', reason: 'terminal:noApplication' };
}

function useContact(): ContactlessEnding {
  return { outcome: 'tryAnotherInterface', reason: REASON_USE_CONTACT };
}

function* readData(context: KernelContext): Kernel<null> {
  const records = yield* readContactlessData(context);
  yield* reportPhase(context, 'readApplicationData', {
    records,
    type: context.first?.type ?? null,
  });
  return null;
}

function* release(context: KernelContext): Kernel<null> {
  yield* releaseCard(context);
  return null;
}

function* authenticate(context: KernelContext): Kernel<null> {
  yield* reportPhase(context, 'offlineDataAuthentication', authenticateFast(context));
  return null;
}

function* restrict(context: KernelContext): Kernel<null> {
  checkRestrictions(context);
  checkExceptionFile(context);
  yield* reportPhase(context, 'processingRestrictions');
  return null;
}

function* decide(context: KernelContext): Kernel<ContactlessEnding | null> {
  const end = decideContactless(context);
  yield* reportPhase(context, 'transactionDecision', {
    decision: end?.outcome ?? 'online',
    reason: end?.reason ?? null,
    tvr: tvrNames(tvrOf(context)),
  });
  return end;
}

function* verify(context: KernelContext): Kernel<ContactlessEnding | null> {
  const verification = yield* verifyContactless(context);
  if (verification.result === 'ended') return verification.end;
  yield* reportPhase(context, 'cardholderVerification', verification.facts);
  return null;
}

/** From here on money may have moved: whatever happens is an outcome, not an exception. */
function* goOnline(context: KernelContext): Kernel<ContactlessOutcome> {
  const arqc: Cryptogram = context.first ?? { type: 'ARQC', value: new Uint8Array(8) };
  const { answer, faultCode } = yield* authorise(context, arqc);
  if (answer.result === 'answered') setResponseCode(context, answer.responseCode);
  else setResponseCode(context, data.ARC_UNABLE_ONLINE_DECLINED);
  const end = endingOf(answer, faultCode);
  try {
    yield* reportPhase(context, 'onlineProcessing', {
      result: answer.result,
      responseCode: answer.result === 'answered' ? answer.responseCode : null,
      fault: faultCode,
    });
    yield* reportPhase(context, 'completion');
  } catch {
    // A notice that the driver could not take does not change what the issuer said.
  }
  return yield* endOf(context, end, answer);
}

/** The issuer's word is final: the card has left and makes no second cryptogram. */
function endingOf(answer: OnlineAnswer, faultCode: string | null): ContactlessEnding {
  switch (answer.result) {
    case 'unable':
      return { outcome: 'declined', reason: 'terminal:unableOnline' };
    case 'unknown':
      return { outcome: 'unknown', reason: faultCode ?? 'online:unknown' };
    case 'answered': {
      const { responseCode } = answer;
      const isApproved = responseCode === RESPONSE_CODE_APPROVED;
      return { outcome: isApproved ? 'approved' : 'declined', reason: `issuer:${responseCode}` };
    }
  }
}

/** Every end: the card is let go, then the word is dressed. */
function* endOf(
  context: KernelContext,
  end: ContactlessEnding,
  answer?: OnlineAnswer,
): Kernel<ContactlessOutcome> {
  yield* releaseCardAnyway(context);
  const { dataAuthentication } = context;
  return {
    ...transactionOutcome(context, end.reason, answer),
    outcome: end.outcome,
    second: null,
    dataAuthentication:
      dataAuthentication === 'fDDA' || dataAuthentication === 'failed'
        ? dataAuthentication
        : 'none',
  };
}
