/** What a completed online transaction changes in the card's memories, and CVR building. */
import { fromHex } from '../../bytes/index.ts';
import { type StatusBit, setBit } from '../data/index.ts';
import { type Snapshot, withState } from './session.ts';

/** A copy of a CVR with the bits whose condition holds. */
export function setCvr(
  cvr: Uint8Array,
  conditions: readonly (readonly [bit: StatusBit, holds: boolean])[],
): Uint8Array {
  return conditions.reduce((sum, [bit, holds]) => (holds ? setBit(sum, bit) : sum), cvr);
}

/**
 * The card after the issuer's answer. Counters and memories are cleared only when the issuer proved
 * itself, or need not: otherwise a terminal could clear them with an answer of its own.
 * @see PBOC3 P5 (completion, counters reset)
 */
export function completedOnline(card: Snapshot, facts: { readonly isMissing: boolean }): Snapshot {
  const { image, session } = card;
  const isMandatory = (fromHex(image.policy.issuerAuthenticationIndicator)[0] ?? 0) >= 0x80;
  const isTrusted =
    session.issuerAuthentication === 'ok' ||
    (session.issuerAuthentication === 'notPerformed' && !isMandatory);
  const remembered = withState(card, {
    lastIssuerAuthenticationFailed:
      session.issuerAuthentication === 'failed' ||
      (!isTrusted && image.state.lastIssuerAuthenticationFailed),
    issuerAuthenticationNotPerformed: facts.isMissing,
  });
  if (!isTrusted) return remembered;
  return withState(remembered, {
    lastOnlineAtc: image.state.atc,
    lastOnlineNotCompleted: false,
    cumulativeOfflineAmountMinor: '0',
    lastSdaFailed: false,
    lastDdaFailed: false,
    lastScriptFailed: session.hasScriptFailed,
    scriptCounter: 0,
  });
}
