/** A script that the bank's people ask for, checked before it is queued. */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import { uuidv7 } from '../../runtime/index.ts';
import { IssuerError } from '../errors.ts';
import type { Script } from './model.ts';

/** What may be put into a card: limits of its purse, n12. @see PBOC3 P13 */
export const PUT_DATA_TAGS: readonly string[] = ['9F77', '9F78', '9F6D'];
/** Template of a record, and room for one script in field 55 beside the proof. */
const RECORD = /^70([0-9A-F]{2}){1,180}$/;
const SFI_MAX = 10;
const AMOUNT_DIGITS = 12;
/** Low bits of P2: P1 is a record number. @see EMV 4.3 B3 §6.5.11 */
const BY_NUMBER = 0x04;

/** What the card is to do. */
export type ScriptWish =
  | { readonly kind: 'blockApplication' | 'unblockApplication' | 'blockCard' | 'unblockPin' }
  | { readonly kind: 'changePin'; readonly newPin: NonNullable<Script['newPin']> }
  | { readonly kind: 'putData'; readonly tag: string; readonly amountMinor: bigint }
  | {
      readonly kind: 'updateRecord';
      readonly sfi: number;
      readonly record: number;
      /** The whole record, hex. */
      readonly data: string;
    };

/** The script of a wish. @throws IssuerError `ERR_ISSUER_SCRIPT`. */
export function queuedScript(
  cardId: string,
  wish: ScriptWish,
  making: { readonly clock: Clock; readonly random: RandomSource },
): Script {
  const nowMs = making.clock.nowMs();
  return {
    scriptId: uuidv7(making.clock, making.random),
    cardId,
    kind: wish.kind,
    ...commandOf(wish),
    newPin: wish.kind === 'changePin' ? wish.newPin : null,
    loadTraceKey: null,
    sourceAccountId: null,
    amountMinor: 0n,
    state: 'queued',
    delivery: null,
    deliveries: 0,
    evidence: null,
    createdAtMs: nowMs,
    changedAtMs: nowMs,
  };
}

function commandOf(wish: ScriptWish): Pick<Script, 'target' | 'data'> {
  switch (wish.kind) {
    case 'putData': {
      const { tag, amountMinor } = wish;
      const data = String(amountMinor).padStart(AMOUNT_DIGITS, '0');
      const isAmount = amountMinor >= 0n && data.length === AMOUNT_DIGITS;
      if (PUT_DATA_TAGS.includes(tag) && isAmount) return { target: tag, data };
      throw wrong(`PUT DATA takes ${PUT_DATA_TAGS.join(', ')} and minor units`);
    }
    case 'updateRecord': {
      const { sfi, record, data } = wish;
      const isPlace = sfi >= 1 && sfi <= SFI_MAX && record >= 1 && record <= 255;
      if (!isPlace || !RECORD.test(data)) {
        throw wrong(`UPDATE RECORD takes a file 1 to ${SFI_MAX}, a record and template 70`);
      }
      const bytes = [record, (sfi << 3) | BY_NUMBER];
      const target = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
      return { target: target.toUpperCase(), data };
    }
    default:
      return { target: '', data: '' };
  }
}

function wrong(message: string): IssuerError {
  return new IssuerError('ERR_ISSUER_SCRIPT', message);
}
