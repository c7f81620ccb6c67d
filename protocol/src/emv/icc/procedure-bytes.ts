/**
 * How a T=0 card hands out data: by GET RESPONSE after 61xx, by repetition after 6Cxx. At the level
 * of APDUs: a reader's driver that hides both never sees this.
 * @see EMV 4.3 B1 §9.3.1, EMV 4.3 B1 Annex A; ISO 7816-4
 */
import {
  type CommandApdu,
  StatusWord,
  SW_6A86_WRONG_P1_P2,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import { answerStatus, type Outcome, type Snapshot, withSession } from './session.ts';

/** Class and instruction of GET RESPONSE. */
export const GET_RESPONSE = '00C0';
/** 61xx: xx bytes wait; 6Cxx: ask again for xx bytes. 00 stands for 256. */
const SW_6100_BYTES_WAIT = 0x6100;
const SW_6C00_WRONG_LE = 0x6c00;

/**
 * What a T=0 card shows of an outcome. A command without data is asked again with the right length
 * and has done nothing yet; a command with data is done and its answer waits.
 */
export function asT0(before: Snapshot, command: CommandApdu, outcome: Outcome): Outcome {
  const { card, data, statusWord } = outcome;
  if (data.length === 0) return outcome;
  if (command.data !== undefined || command.le === undefined) {
    const waiting = withSession(card, { response: { data, statusWord } });
    return answerStatus(waiting, StatusWord(SW_6100_BYTES_WAIT | (data.length & 0xff)));
  }
  if (command.le === data.length) return outcome;
  return answerStatus(before, StatusWord(SW_6C00_WRONG_LE | (data.length & 0xff)));
}

/** GET RESPONSE: the waiting bytes, all or the first of them. @see ISO 7816-4 §5.3.4 */
export function getResponse(card: Snapshot, command: CommandApdu): Outcome {
  const { response } = card.session;
  if (!response) return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  if (command.p1 !== 0 || command.p2 !== 0) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  if (command.data !== undefined || command.le === undefined) {
    return answerStatus(card, SW_6700_WRONG_LENGTH);
  }
  const { data, statusWord } = response;
  if (command.le > data.length) {
    return answerStatus(card, StatusWord(SW_6C00_WRONG_LE | (data.length & 0xff)));
  }
  const rest = data.slice(command.le);
  if (rest.length === 0) {
    return { card: withSession(card, { response: null }), data, statusWord };
  }
  const next = withSession(card, { response: { data: rest, statusWord } });
  const given = data.slice(0, command.le);
  const waits = StatusWord(SW_6100_BYTES_WAIT | (rest.length & 0xff));
  return { card: next, data: given, statusWord: waits };
}
