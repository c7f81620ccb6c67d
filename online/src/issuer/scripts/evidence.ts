/**
 * What a card's next contact shows of a script that was delivered before: the balance that it
 * vouches for, and its counter of scripts. Nothing here is a matter of time.
 * @see PBOC3 P5 (CVR), PBOC3 P13 (9F10)
 */
import {
  CVR_3_LAST_ONLINE_NOT_COMPLETED,
  CVR_4_LAST_SCRIPT_FAILED,
  hasBit,
} from '@tapnpay/protocol/emv/data';
import type { Script, ScriptEvidence } from './model.ts';

/** One contact, as far as its cryptogram and the MAC of the balance prove it. */
export type Contact = {
  readonly atc: number;
  /** Null when the cryptogram does not cover it: that of a tap. */
  readonly cvr: Uint8Array | null;
  /** A purchase from the purse: the card then leaves out what it remembers of going online. */
  readonly isPurse: boolean;
  readonly balanceMinor: bigint | null;
};

/** What became of the script; `undecided`: the contact does not show it. */
export type Finding =
  | { readonly result: 'executed'; readonly evidence: ScriptEvidence }
  | { readonly result: 'refused' | 'notExecuted' | 'undecided' };

const UNDECIDED: Finding = { result: 'undecided' };
const NOT_EXECUTED: Finding = { result: 'notExecuted' };

/** Scripts that the card has counted since the last online transaction that it completed. */
export function scriptCounter(cvr: Uint8Array): number {
  return (cvr[3] ?? 0) >> 4;
}

/**
 * Judges a delivered script by a later contact. A balance above that of the delivery can only come
 * from the script; one at or below it may be the old one, or the new one spent down, so that the
 * script counter decides. The card clears the counter when it completes an online transaction and
 * counts each script that comes after; where it did not complete the last one, the count before
 * the delivery must be set against it.
 */
export function judgeDelivery(script: Script, contact: Contact): Finding {
  const { delivery, kind } = script;
  if (!delivery || contact.atc <= delivery.atc) return UNDECIDED;
  if (kind === 'load') {
    const { balanceMinor } = contact;
    if (balanceMinor === null || delivery.balanceMinor === null) return UNDECIDED;
    if (balanceMinor > delivery.balanceMinor) return { result: 'executed', evidence: 'balance' };
  }
  const { cvr } = contact;
  if (cvr === null) return UNDECIDED;
  // A blocked application makes no ARQC.
  if (kind === 'unblockApplication') return { result: 'executed', evidence: 'cryptogram' };
  if (delivery.counterBefore === null) return UNDECIDED;
  const counter = scriptCounter(cvr);
  const isCompleted = !hasBit(cvr, CVR_3_LAST_ONLINE_NOT_COMPLETED);
  const hasFailed = isCompleted && hasBit(cvr, CVR_4_LAST_SCRIPT_FAILED);
  if (counter === 0) return hasFailed ? { result: 'refused' } : NOT_EXECUTED;
  if (contact.isPurse) return UNDECIDED;
  if (!isCompleted && counter === delivery.counterBefore) {
    // Of one counted before, or of ours and a transaction since that nobody heard of.
    const isNext = contact.atc === delivery.atc + 1;
    return isNext || counter > 1 ? NOT_EXECUTED : UNDECIDED;
  }
  if (!hasBit(cvr, CVR_4_LAST_SCRIPT_FAILED)) return { result: 'executed', evidence: 'counter' };
  return isCompleted ? { result: 'refused' } : UNDECIDED;
}
