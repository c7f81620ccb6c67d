/** What a finished transaction changes in the card's memories, counters and logs. */
import * as data from '../data/index.ts';
import { countedAmount, isOwnCurrency } from './card-action-analysis.ts';
import { withLogEntry } from './logs.ts';
import { balanceOf, withBalance } from './purse.ts';
import { active, type PurseName, type Snapshot, withState } from './session.ts';

/** Counts kept in the image stop here; the shape of an image allows no more. */
const OFFLINE_COUNT_MAX = 0xffff;

/**
 * The card after the issuer's answer. Counters and memories are cleared only when the issuer proved
 * itself, or need not: otherwise a terminal could clear them with an answer of its own.
 * @see PBOC3 P5 (completion, counters reset)
 */
export function completedOnline(card: Snapshot, facts: { readonly isMissing: boolean }): Snapshot {
  const { profile, state } = active(card);
  const { issuerAuthentication, hasScriptFailed } = card.session;
  const isTrusted =
    issuerAuthentication === 'ok' ||
    (issuerAuthentication === 'notPerformed' && !profile.policy.isIssuerAuthenticationMandatory);
  const remembered = withState(card, {
    lastIssuerAuthenticationFailed:
      issuerAuthentication === 'failed' || (!isTrusted && state.lastIssuerAuthenticationFailed),
    issuerAuthenticationNotPerformed: facts.isMissing,
  });
  if (!isTrusted) return remembered;
  return withState(remembered, {
    lastOnlineAtc: state.atc,
    lastOnlineNotCompleted: false,
    cumulativeOfflineAmountMinor: '0',
    internationalOfflineCount: 0,
    lastSdaFailed: false,
    lastDdaFailed: false,
    lastScriptFailed: hasScriptFailed,
    scriptCounter: 0,
  });
}

/** The card after a purchase that its purse pays. @see PBOC3 P13 */
export function paidFromPurse(
  card: Snapshot,
  purchase: { readonly purse: PurseName; readonly amountMinor: bigint },
): Snapshot {
  const { purse, amountMinor } = purchase;
  return withLogEntry(withBalance(card, purse, balanceOf(card, purse) - amountMinor));
}

/** An offline approval of the account counts towards the card's limits. */
export function approvedOffline(card: Snapshot): Snapshot {
  const { state } = active(card);
  const total = BigInt(state.cumulativeOfflineAmountMinor) + countedAmount(card);
  const foreign = isOwnCurrency(card) ? 0 : 1;
  const counted = withState(card, {
    cumulativeOfflineAmountMinor: total.toString(),
    internationalOfflineCount: Math.min(
      state.internationalOfflineCount + foreign,
      OFFLINE_COUNT_MAX,
    ),
  });
  return withLogEntry(counted);
}

/** A data authentication that failed and an offline decline are told to the issuer next time. */
export function declinedOffline(card: Snapshot): Snapshot {
  const tvr = card.session.values.get(data.TAG_95_TERMINAL_VERIFICATION_RESULTS);
  if (tvr?.length !== data.TVR_BYTES) return card;
  const { state } = active(card);
  const hasSdaFailed = data.tvrHas(tvr, data.TVR_1_SDA_FAILED);
  const hasDdaFailed =
    data.tvrHas(tvr, data.TVR_1_DDA_FAILED) || data.tvrHas(tvr, data.TVR_1_CDA_FAILED);
  return withState(card, {
    lastSdaFailed: state.lastSdaFailed || hasSdaFailed,
    lastDdaFailed: state.lastDdaFailed || hasDdaFailed,
  });
}
