/** GET PROCESSING OPTIONS, READ RECORD, GET DATA: starting a transaction, reading the card. */
import { concatBytes, fromHex, toHex, uintToBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeDol,
  encodeTlv,
  type StatusWord,
  SW_6A80_WRONG_DATA,
  SW_6A82_FILE_NOT_FOUND,
  SW_6A83_RECORD_NOT_FOUND,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { dolBytes, dolValues } from './dol-values.ts';
import { directoryRecord, PSE_SFI } from './selection.ts';
import {
  answer,
  answerStatus,
  atcBytes,
  type Outcome,
  type Snapshot,
  withSession,
  withState,
} from './session.ts';

/** Last counter; a card that has used it does no more transactions. @see EMV 4.3 B3 Annex A */
export const ATC_MAX = 0xffff;

/** GET PROCESSING OPTIONS: counts the transaction, gives AIP and AFL. @see EMV 4.3 B3 §6.5.8 */
export function getProcessingOptions(card: Snapshot, command: CommandApdu): Outcome {
  const { image, session } = card;
  if (session.selected !== 'application' || session.phase !== 'selected') {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const given = pdolValues(image.pdol, command);
  if ('statusWord' in given) return answerStatus(card, given.statusWord);
  if (image.state.atc >= ATC_MAX) return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  const counted = withState(card, { atc: image.state.atc + 1 });
  const next = withSession(counted, { phase: 'initiated', values: given.values });
  const options = concatBytes(fromHex(image.aip), data.ICC_AFL);
  return answer(next, encodeTlv(data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1, options));
}

/** The reader's values in GPO's template 83, or what is wrong with the command. */
export function pdolValues(
  pdol: string,
  command: CommandApdu,
): { readonly values: ReadonlyMap<string, Uint8Array> } | { readonly statusWord: StatusWord } {
  if (command.p1 !== 0 || command.p2 !== 0) return { statusWord: SW_6A86_WRONG_P1_P2 };
  const entries = decodeDol(fromHex(pdol));
  const wantedBytes = dolBytes(entries);
  const prefix = encodeTlv(data.TAG_83_COMMAND_TEMPLATE, new Uint8Array(wantedBytes));
  const header = prefix.subarray(0, prefix.length - wantedBytes);
  const template = command.data ?? new Uint8Array(0);
  if (template.length !== prefix.length) return { statusWord: SW_6700_WRONG_LENGTH };
  if (header.some((value, index) => value !== template[index])) {
    return { statusWord: SW_6A80_WRONG_DATA };
  }
  return { values: dolValues(entries, template.subarray(header.length)) };
}

/** READ RECORD of the directory, the application's files or its log. @see EMV 4.3 B3 §6.5.11 */
export function readRecord(card: Snapshot, command: CommandApdu): Outcome {
  const sfi = command.p2 >> 3;
  if ((command.p2 & 0x07) !== 0x04 || sfi === 0 || sfi === 31) {
    return answerStatus(card, SW_6A86_WRONG_P1_P2);
  }
  if (command.data !== undefined) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const { image, session } = card;
  if (session.selected === 'none') return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  if (session.selected === 'directory') {
    if (sfi !== PSE_SFI) return answerStatus(card, SW_6A82_FILE_NOT_FOUND);
    if (command.p1 !== 1) return answerStatus(card, SW_6A83_RECORD_NOT_FOUND);
    return answer(card, directoryRecord(image));
  }
  if (sfi === data.ICC_LOG_SFI) return readLog(card, command.p1);
  if (session.phase === 'selected') return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  const file = recordsOf(card).filter((record) => record.sfi === sfi);
  if (file.length === 0) return answerStatus(card, SW_6A82_FILE_NOT_FOUND);
  const found = file.find((record) => record.record === command.p1);
  if (!found) return answerStatus(card, SW_6A83_RECORD_NOT_FOUND);
  return answer(card, found.value);
}

/** Files of the side that is powered. */
function recordsOf(card: Snapshot): readonly data.IccRecord[] {
  const { image, session } = card;
  if (card.interface === 'contact') return data.iccRecords(image);
  const { contactless } = image;
  if (contactless === null) return [];
  return data.iccContactlessRecords(image, contactless, session.dynamicRecord);
}

/** Log records have no template; their layout is tag 9F4F. Record 1 is the newest. */
function readLog(card: Snapshot, recordNumber: number): Outcome {
  const entry = card.image.state.log[recordNumber - 1];
  if (entry === undefined) return answerStatus(card, SW_6A83_RECORD_NOT_FOUND);
  return answer(card, fromHex(entry));
}

/** GET DATA: counters and the log format. @see EMV 4.3 B3 §6.5.7; PBOC3 P5 */
export function getData(card: Snapshot, command: CommandApdu): Outcome {
  if (command.data !== undefined) return answerStatus(card, SW_6700_WRONG_LENGTH);
  if (card.session.selected !== 'application') {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const tag = toHex(Uint8Array.of(command.p1, command.p2));
  const value = readableData(card.image, tag);
  if (!value) return answerStatus(card, SW_6A88_REFERENCED_DATA_NOT_FOUND);
  return answer(card, encodeTlv(tag, value));
}

function readableData(image: data.IccImage, tag: string): Uint8Array | undefined {
  switch (tag) {
    case data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER:
      return atcBytes(image);
    case data.TAG_9F13_LAST_ONLINE_ATC_REGISTER:
      return uintToBytes(image.state.lastOnlineAtc, 2);
    case data.TAG_9F17_PIN_TRY_COUNTER:
      return Uint8Array.of(image.state.pinTryCounter);
    case data.TAG_9F4F_LOG_FORMAT:
      return fromHex(image.logFormat);
    default:
      return undefined;
  }
}
