/** One contactless (qPBOC) transaction: the phases in the order of the standard. */

import { errorBody, type TapError } from '../../bytes/index.ts';
import { SW_6984_REFERENCED_DATA_INVALIDATED } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { tvrNames } from './action-analysis.ts';
import { noteTornBalance, readPurseOfTap } from './contactless-cash.ts';
import {
  type ContactlessEnding,
  decideContactless,
  isTc,
  REASON_USE_CONTACT,
} from './contactless-decision.ts';
import {
  type ContactlessInitiation,
  initiateContactless,
  readContactlessData,
} from './contactless-read.ts';
import { preProcess, readProximityDirectory, selectContactless } from './contactless-select.ts';
import { verifyContactless } from './contactless-verification.ts';
import {
  createContext,
  firstCryptogram,
  type KernelContext,
  POS_ENTRY_MODE_CONTACTLESS,
  reportPhase,
  tvrOf,
} from './context.ts';
import { offlineApprovalKindOf } from './electronic-cash.ts';
import { authenticateFast } from './fast-data-authentication.ts';
import { refusalReason } from './initiate.ts';
import { storeOfflineApproval } from './offline-approval.ts';
import { authorise, RESPONSE_CODE_APPROVED } from './online.ts';
import { releaseCard, releaseCardAnyway, setResponseCode, transactionOutcome } from './outcome.ts';
import { checkRestrictions } from './restrictions.ts';
import { checkExceptionFile } from './risk-management.ts';
import type {
  ContactlessOutcome,
  ContactlessTransaction,
  Kernel,
  KernelAnswer,
  KernelRequest,
  OnlineAnswer,
  Phase,
  PhaseFacts,
} from './types.ts';

/** One phase: it may end the transaction. */
type Step = (context: KernelContext) => Kernel<ContactlessEnding | null>;

/** Code of a reader that sees several cards, and the word that asks for one. */
const COLLISION: TapError['code'] = 'ERR_CARD_COLLISION';
const PRESENT_ONE_CARD: ContactlessEnding = {
  outcome: 'notAccepted',
  reason: 'terminal:presentOneCard',
};

/**
 * The phases before approval or issuer. The card is in the field up to `release`; what follows
 * needs no card. @see EMV C-7 §3
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
 * `authorise` a fault of the card or the driver is thrown: nothing was charged, and the card may be
 * tapped again. Three things are outcomes all the same: several cards in the field; a card that
 * left at the last record of an offline payment (`unknown`, for it may have deducted); and, from
 * `authorise` or the offline approval on, everything.
 * @throws KernelError; whatever the driver throws into it before `authorise`.
 * @see EMV C-7 §3; PBOC3 P5
 */
export function* contactlessTransaction(
  input: ContactlessTransaction,
): Generator<KernelRequest, ContactlessOutcome, KernelAnswer> {
  const context = createContext(input, POS_ENTRY_MODE_CONTACTLESS);
  for (const step of STEPS) {
    const end = yield* stepWithOneCard(context, step);
    if (end === null) continue;
    if (end.outcome === 'declined') setResponseCode(context, data.ARC_OFFLINE_DECLINED);
    return yield* endOf(context, end);
  }
  return yield* isTc(context) ? approveOffline(context) : goOnline(context);
}

/** A step; several cards in the field end it before any of them has paid. */
function* stepWithOneCard(context: KernelContext, step: Step): Kernel<ContactlessEnding | null> {
  try {
    return yield* step(context);
  } catch (fault) {
    if (errorBody(fault).code === COLLISION && !context.isCardReleased) return PRESENT_ONE_CARD;
    throw fault;
  }
}

/** Reader limits; the card is not asked for anything yet. */
function* entryPoint(context: KernelContext): Kernel<ContactlessEnding | null> {
  const { result, ...facts } = preProcess(context);
  yield* reportPhase(context, 'preProcessing', { result, ...facts });
  if (!('reason' in facts)) return null;
  return { outcome: 'tryAnotherInterface', reason: facts.reason };
}

/**
 * PPSE, final SELECT and GPO of the highest priority; the next one when the card does not select it
 * or says 6985. A 6984 at SELECT asks for insertion only when no other application is left.
 * @see EMV C-7 §3.2, §3.3
 */
function* startApplication(context: KernelContext): Kernel<ContactlessEnding | null> {
  const candidates = yield* readProximityDirectory(context);
  let last: ContactlessEnding = { outcome: 'notAccepted', reason: 'terminal:noApplication' };
  for (const candidate of candidates) {
    const { isSelected, statusWord } = yield* selectContactless(context, candidate);
    if (statusWord === SW_6984_REFERENCED_DATA_INVALIDATED) last = useContact();
    if (!isSelected) continue;
    yield* reportPhase(context, 'applicationSelection', {
      source: 'directory',
      candidates: candidates.length,
      label: context.label,
    });
    const initiation = yield* initiateContactless(context);
    if (initiation.result === 'tryNext') continue;
    if (initiation.result !== 'started') return refusalOf(initiation);
    yield* reportPhase(context, 'initiateApplication');
    return null;
  }
  return last;
}

/** How a card that does not begin ends the tap. @see EMV C-7 §3.3 */
function refusalOf(
  initiation: Exclude<ContactlessInitiation, { result: 'started' | 'tryNext' }>,
): ContactlessEnding {
  switch (initiation.result) {
    case 'useContact':
      return useContact();
    case 'seeDevice':
      return { outcome: 'notAccepted', reason: 'card:seeDevice' };
    case 'magneticStripe':
      return { outcome: 'notAccepted', reason: 'terminal:magneticStripe' };
    case 'debitCredit':
      return { outcome: 'notAccepted', reason: 'terminal:contactlessDebitCredit' };
    case 'refused':
      return { outcome: 'notAccepted', reason: refusalReason('GPO', initiation.statusWord) };
  }
}

function useContact(): ContactlessEnding {
  return { outcome: 'tryAnotherInterface', reason: REASON_USE_CONTACT };
}

/** The records, and the purse while the card is there. */
function* readData(context: KernelContext): Kernel<ContactlessEnding | null> {
  const read = yield* readContactlessData(context);
  if (read.result === 'torn') {
    noteTornBalance(context);
    return { outcome: 'unknown', reason: `card:torn:${read.code}` };
  }
  yield* reportPhase(context, 'readApplicationData', {
    records: read.records,
    type: context.first?.type ?? null,
  });
  const cash = yield* readPurseOfTap(context);
  if (cash !== null) yield* reportPhase(context, 'electronicCash', cash);
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
  const decision = decideContactless(context);
  const end = decision.way === 'ended' ? decision.end : null;
  yield* reportPhase(context, 'transactionDecision', {
    decision: end?.outcome ?? decision.way,
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

/**
 * The card paid by itself: its proof is stored before anybody is told. A driver that cannot leaves
 * the outcome unknown. @see EMV C-7 §3.8; PBOC3 P12
 */
function* approveOffline(context: KernelContext): Kernel<ContactlessOutcome> {
  setResponseCode(context, data.ARC_OFFLINE_APPROVED);
  const fault = yield* storeOfflineApproval(context, offlineApprovalKindOf(context));
  if (fault !== null) return yield* endOf(context, { outcome: 'unknown', reason: fault });
  yield* reportAnyway(context, 'completion');
  return yield* endOf(context, { outcome: 'approved', reason: 'card:TC' });
}

/** A notice that the driver cannot take does not change a word that is spoken already. */
function* reportAnyway(context: KernelContext, phase: Phase, facts?: PhaseFacts): Kernel<void> {
  try {
    yield* reportPhase(context, phase, facts);
  } catch {
    // Whoever was to be told cannot be; the outcome that follows says the same.
  }
}

/** From here on money may have moved: whatever happens is an outcome, not an exception. */
function* goOnline(context: KernelContext): Kernel<ContactlessOutcome> {
  const arqc = firstCryptogram(context);
  const { answer, faultCode } = yield* authorise(context, arqc);
  if (answer.result === 'answered') setResponseCode(context, answer.responseCode);
  else setResponseCode(context, data.ARC_UNABLE_ONLINE_DECLINED);
  const end = endingOf(answer, faultCode);
  yield* reportAnyway(context, 'onlineProcessing', {
    result: answer.result,
    responseCode: answer.result === 'answered' ? answer.responseCode : null,
    fault: faultCode,
  });
  yield* reportAnyway(context, 'completion');
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
