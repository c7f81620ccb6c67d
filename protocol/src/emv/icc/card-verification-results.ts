/** Card verification results: what the card tells its issuer of itself. @see PBOC3 P5 (CVR) */
import * as data from '../data/index.ts';
import type { CardAction } from './card-action-analysis.ts';
import { active, type Snapshot } from './session.ts';

/** Cryptogram information data of each answer. */
export const CID_OF: Readonly<Record<'AAC' | 'TC' | 'ARQC', number>> = {
  AAC: data.CRYPTOGRAM_AAC,
  TC: data.CRYPTOGRAM_TC,
  ARQC: data.CRYPTOGRAM_ARQC,
};
/** Byte 2 bits 8-7: the second GENERATE AC was not asked for. */
const SECOND_NOT_REQUESTED = 0x80;

/** A copy of a CVR with the bits whose condition holds. */
export function setCvr(
  cvr: Uint8Array,
  conditions: readonly (readonly [bit: data.StatusBit, holds: boolean])[],
): Uint8Array {
  return conditions.reduce((sum, [bit, holds]) => (holds ? data.setBit(sum, bit) : sum), cvr);
}

/**
 * CVR of the first call: "10 not requested" for the second, and the memories of the card. A check
 * that a purchase from the purse skips leaves its bit clear. Byte 4 bit 1 (a PIN was expected and
 * not presented) stays clear: no order of 9F52 in its two bytes speaks of it.
 * @see PBOC3 P5 (CVR); PBOC3 P13
 */
export function firstCvr(card: Snapshot, action: CardAction): Uint8Array {
  const { state } = active(card);
  const { offlinePin, isDdaPerformed, purse } = card.session;
  const isOrdinary = purse === null;
  const cvr = Uint8Array.of(
    0x03,
    SECOND_NOT_REQUESTED | (CID_OF[action.type] >> 2),
    0x00,
    state.scriptCounter << 4,
  );
  return setCvr(cvr, [
    [data.CVR_2_OFFLINE_PIN_PERFORMED, offlinePin !== 'notPerformed'],
    [data.CVR_2_OFFLINE_PIN_FAILED, offlinePin === 'failed'],
    [data.CVR_3_LAST_ONLINE_NOT_COMPLETED, isOrdinary && state.lastOnlineNotCompleted],
    [data.CVR_3_PIN_TRY_LIMIT_EXCEEDED, isOrdinary && state.pinTryCounter === 0],
    [data.CVR_3_VELOCITY_EXCEEDED, action.isVelocityExceeded],
    [data.CVR_3_NEW_CARD, isOrdinary && state.lastOnlineAtc === 0],
    [data.CVR_3_LAST_ISSUER_AUTHENTICATION_FAILED, state.lastIssuerAuthenticationFailed],
    [data.CVR_3_ISSUER_AUTHENTICATION_NOT_PERFORMED, state.issuerAuthenticationNotPerformed],
    [data.CVR_3_BLOCKED_BY_PIN_TRY_LIMIT, isBlockedByPin(card, action)],
    [data.CVR_3_LAST_SDA_FAILED, state.lastSdaFailed],
    [data.CVR_4_LAST_SCRIPT_FAILED, state.lastScriptFailed],
    [data.CVR_4_LAST_DDA_FAILED, state.lastDdaFailed],
    [data.CVR_4_DDA_PERFORMED, isDdaPerformed],
  ]);
}

function isBlockedByPin(card: Snapshot, action: CardAction): boolean {
  return action.blocksApplication || card.session.isBlockedByPin;
}

/** The first CVR continued: bits 8-7 of byte 2 now tell the second cryptogram. */
export function secondCvr(card: Snapshot, type: 'AAC' | 'TC'): Uint8Array {
  const cvr = card.session.cvr.slice();
  cvr[1] = ((cvr[1] ?? 0) & ~data.CRYPTOGRAM_TYPE_MASK) | CID_OF[type];
  return cvr;
}
