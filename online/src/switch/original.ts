/**
 * Follow-ups: voids, refunds, cancellations, completions and notices name the transaction that they
 * are about in field 90. What they may follow is a row of kinds.ts; amounts are the issuer's
 * decision.
 */
import { type Iso8583Message, textField, transactionSpec } from '@tapnpay/protocol/iso8583';
import { originalKeyOf } from './checks.ts';
import type { Kind } from './kinds.ts';
import { unpackMessage } from './messages.ts';
import type { Transaction, TransactionKey } from './model.ts';
import type { SwitchScene } from './ports.ts';
import { ResponseCode } from './responses.ts';

/** Why a follow-up cannot be. */
export type OriginalFault = { readonly responseCode: string; readonly reason: string };

/** The transaction that a follow-up names; null for a kind that follows nothing. */
export async function findOriginal(
  scene: SwitchScene,
  followUp: {
    readonly key: TransactionKey;
    readonly kind: Kind;
    readonly message: Iso8583Message;
    readonly settlementDate: string;
  },
): Promise<{ readonly original: Transaction | null } | OriginalFault> {
  const { key, kind, message } = followUp;
  if (!kind.spec.hasOriginal) return { original: null };
  const named = originalKeyOf(key, message);
  if ('fault' in named) return { responseCode: ResponseCode.format, reason: named.fault };
  const original = await scene.store.find(named.key);
  // A reversal that came before its original stands there without a kind.
  if (!original || original.kind === null) {
    return { responseCode: ResponseCode.noOriginal, reason: 'noOriginal' };
  }
  const reason = mismatch(scene, followUp, original);
  // What ended it is being reversed: the original comes free when the issuer has heard of that.
  const { endedBy } = original;
  if (reason === 'originalEnded' && endedBy !== null) {
    const owed = await scene.store.owedKind(endedBy);
    if (owed === 'reversal')
      return { responseCode: ResponseCode.issuerDown, reason: 'endReversed' };
  }
  if (reason !== null) return { responseCode: ResponseCode.invalid, reason };
  return { original };
}

/** Why the original is not one for this follow-up, or null. */
function mismatch(
  scene: SwitchScene,
  followUp: Parameters<typeof findOriginal>[1],
  original: Transaction,
): string | null {
  const { message, settlementDate } = followUp;
  const { rule } = followUp.kind;
  const { kind, state, responseCode, sealedOriginal, approvalCode } = original;
  const mti = textField(message, 90)?.slice(0, 4);
  const isKind = kind !== null && rule.originals.includes(kind);
  if (!isKind || transactionSpec(kind).mti !== mti) return 'originalKind';
  if (sealedOriginal === null) return 'originalKind';
  const sent = unpackMessage(scene.vault.open(sealedOriginal));
  for (const number of [2, 49]) {
    if (textField(sent, number) !== textField(message, number)) return `original${number}`;
  }
  const named = textField(message, 38);
  if (named !== undefined && approvalCode !== null && named !== approvalCode) return 'original38';
  if (!rule.needsApproval) return null;
  if (state !== 'answered' || responseCode !== '00') return 'originalState';
  if (original.endedBy !== null) return 'originalEnded';
  if (rule.sameDay && original.settlementDate !== settlementDate) return 'originalDate';
  return null;
}
