/** GET DATA and GET CHALLENGE: single values of the card. @see EMV 4.3 B3 §6.5.7, §6.5.6 */
import { concatBytes, toHex, uintToBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_6D00_INSTRUCTION_NOT_SUPPORTED,
  SW_6700_WRONG_LENGTH,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { balanceBytes, balanceOf, purseOfBalanceTag } from './purse.ts';
import {
  active,
  answer,
  answerStatus,
  type IccPorts,
  type Outcome,
  type Snapshot,
  withSession,
} from './session.ts';
import { pinKey } from './verify.ts';

/** Bytes of the answer to GET CHALLENGE. @see EMV 4.3 B2 §7.2 */
const CHALLENGE_BYTES = 8;
/** Objects that a file control template holds and GET DATA gives too. */
const LOG_FORMATS: readonly string[] = [
  data.TAG_9F4F_LOG_FORMAT,
  data.TAG_DF4F_PBOC_LOAD_LOG_FORMAT,
];

/** Counters, balances, log formats and the internal objects of 0D01. @see PBOC3 P5, PBOC3 P13 */
export function getData(card: Snapshot, command: CommandApdu): Outcome {
  if (command.data !== undefined) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const tag = toHex(Uint8Array.of(command.p1, command.p2));
  const value = readableData(card, tag);
  if (!value) return answerStatus(card, SW_6A88_REFERENCED_DATA_NOT_FOUND);
  return answer(card, encodeTlv(tag, value));
}

function readableData(card: Snapshot, tag: string): Uint8Array | undefined {
  const { application, profile, state } = active(card);
  const purse = purseOfBalanceTag(tag);
  if (purse !== null) {
    const isThere = state.electronicCash !== null && profile.objects.has(tag);
    return isThere ? balanceBytes(balanceOf(card, purse)) : undefined;
  }
  switch (tag) {
    case data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER:
      return uintToBytes(state.atc, 2);
    case data.TAG_9F13_LAST_ONLINE_ATC_REGISTER:
      return uintToBytes(state.lastOnlineAtc, 2);
    case data.TAG_9F17_PIN_TRY_COUNTER:
      return Uint8Array.of(state.pinTryCounter);
    default:
      return LOG_FORMATS.includes(tag)
        ? data.iccObject(application, tag)
        : profile.objects.get(tag);
  }
}

/**
 * Eight unpredictable bytes for the enciphered PIN that follows; a card whose PIN cannot come
 * enciphered does not know the command.
 */
export function getChallenge(card: Snapshot, command: CommandApdu, ports: IccPorts): Outcome {
  if (!pinKey(card)) return answerStatus(card, SW_6D00_INSTRUCTION_NOT_SUPPORTED);
  if (command.p1 !== 0 || command.p2 !== 0) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  if (command.data !== undefined) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const challenge = concatBytes(ports.random.bytes(CHALLENGE_BYTES));
  return answer(withSession(card, { challenge }), challenge);
}
