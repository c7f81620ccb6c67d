/** What both kernels do at a transaction's end: response code, release of the card, the outcome. */
import * as data from '../data/index.ts';
import { cardAdviceOf } from './card-advice.ts';
import { type KernelContext, tsiOf, tvrOf } from './context.ts';
import { electronicCashOf } from './electronic-cash.ts';
import { panMaskedOf } from './read-data.ts';
import type { Kernel, OnlineAnswer, TransactionOutcome } from './types.ts';

/** Tag 8A of the issuer's answer, or of the terminal's own decision. @see EMV 4.3 B4 §A6 */
export function setResponseCode(context: KernelContext, code: string): void {
  const bytes = Uint8Array.from(code, (character) => character.charCodeAt(0));
  context.data.set(data.TAG_8A_AUTHORISATION_RESPONSE_CODE, bytes);
}

/** Tells the driver, once, that the card may be taken away. */
export function* releaseCard(context: KernelContext): Kernel<void> {
  if (context.isCardReleased) return;
  context.isCardReleased = true;
  yield { kind: 'releaseCard' };
}

/**
 * The same when the outcome is decided already: a driver that cannot release the card any more
 * changes nothing of it.
 */
export function* releaseCardAnyway(context: KernelContext): Kernel<void> {
  try {
    yield* releaseCard(context);
  } catch {
    context.isCardReleased = true;
  }
}

/** The outcome without what only one of the kernels has. */
export function transactionOutcome(
  context: KernelContext,
  reason: string,
  answer?: OnlineAnswer,
): TransactionOutcome {
  const { first } = context;
  return {
    reason,
    online: answer?.result ?? 'notSent',
    responseCode: answer?.result === 'answered' ? answer.responseCode : null,
    first,
    arqc: first?.type === 'ARQC' ? first : null,
    cardAdvice: cardAdviceOf(context),
    tvr: tvrOf(context).slice(),
    tsi: tsiOf(context).slice(),
    cvmResults: (context.data.get(data.TAG_9F34_CVM_RESULTS) ?? new Uint8Array(3)).slice(),
    issuerAuthentication: context.issuerAuthentication,
    scriptResults: [...context.scriptResults],
    offlineApproval: context.offlineApproval,
    electronicCash: electronicCashOf(context),
    aid: context.data.get(data.TAG_84_DEDICATED_FILE_NAME)?.slice() ?? null,
    label: context.label,
    panMasked: panMaskedOf(context),
    values: context.data.snapshot(),
  };
}
