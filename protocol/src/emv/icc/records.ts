/** READ RECORD: directories, files and logs. @see EMV 4.3 B3 §6.5.11 */
import { concatBytes, fromHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  SW_6A82_FILE_NOT_FOUND,
  SW_6A83_RECORD_NOT_FOUND,
  SW_6A86_WRONG_P1_P2,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { paidFromPurse } from './completion.ts';
import { logRecord } from './logs.ts';
import { hasFile, optionsOf, readableTlv, recordKey, recordValue } from './runtime-profile.ts';
import {
  active,
  answer,
  answerStatus,
  type IccInterface,
  type Outcome,
  type Snapshot,
  withSession,
} from './session.ts';

/** File of the directory that lists the applications. */
const PSE_SFI = 1;
/** P2 bits 3-1: P1 is a record number. */
const BY_NUMBER = 0x04;
const SFI_MAX = 30;

/** A record of what is selected: of the directory, of the application's files or of its logs. */
export function readRecord(card: Snapshot, command: CommandApdu): Outcome {
  const sfi = command.p2 >> 3;
  if ((command.p2 & 0x07) !== BY_NUMBER || sfi === 0 || sfi > SFI_MAX) {
    return answerStatus(card, SW_6A86_WRONG_P1_P2);
  }
  if (command.data !== undefined) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const place = { sfi, record: command.p1 };
  switch (card.session.selected.kind) {
    case 'pse':
      return readDirectory(card, place);
    case 'application':
      return readApplication(card, place);
    default:
      return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
}

/** Where a record stands. */
type Place = { readonly sfi: number; readonly record: number };

function readDirectory(card: Snapshot, { sfi, record }: Place): Outcome {
  if (sfi !== PSE_SFI) return answerStatus(card, SW_6A82_FILE_NOT_FOUND);
  const hex = card.image.pse?.records[recordKey(sfi, record)];
  if (hex === undefined) return answerStatus(card, SW_6A83_RECORD_NOT_FOUND);
  return answer(card, fromHex(hex));
}

/** Logs can be read at any time, files only in a transaction. */
function readApplication(card: Snapshot, place: Place): Outcome {
  const { sfi, record } = place;
  const log = logRecord(card, sfi, record);
  if (log) {
    return log.entry ? answer(card, log.entry) : answerStatus(card, SW_6A83_RECORD_NOT_FOUND);
  }
  if (card.session.phase === 'selected') {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const { application } = active(card);
  const isThere = hasFile(application, sfi) && isFileOfSide(card, sfi);
  if (!isThere) return answerStatus(card, SW_6A82_FILE_NOT_FOUND);
  const value = recordValue(application, sfi, record);
  if (!value) return answerStatus(card, SW_6A83_RECORD_NOT_FOUND);
  return answer(afterRead(card, place), filledIn(card, value));
}

/** A file that only the other interface's AFL names stays closed. */
function isFileOfSide(card: Snapshot, sfi: number): boolean {
  const other = card.interface === 'contact' ? 'contactless' : 'contact';
  return isNamed(card, card.interface, sfi) || !isNamed(card, other, sfi);
}

function isNamed(card: Snapshot, by: IccInterface, sfi: number): boolean {
  const { application } = active(card);
  return [true, false].some((isSm) =>
    [true, false].some((isElectronicCash) => {
      const options = optionsOf(application, { interface: by, isSm, isElectronicCash });
      return options?.entries.some((entry) => entry.sfi === sfi) ?? false;
    }),
  );
}

/**
 * The record with this tap's values in place of placeholders of the same length.
 * @see EMV C-7 Annex B (fDDA)
 */
function filledIn(card: Snapshot, value: Uint8Array): Uint8Array {
  const { dynamicValues } = card.session;
  if (dynamicValues.size === 0) return value;
  const [template] = readableTlv(value);
  if (template?.tag !== data.TAG_70_READ_RECORD_TEMPLATE) return value;
  const objects = (template.children ?? []).map((object) => {
    const fresh = dynamicValues.get(object.tag);
    return encodeTlv(object.tag, fresh?.length === object.value.length ? fresh : object.value);
  });
  const isDynamic = template.children?.some(({ tag }) => dynamicValues.has(tag)) ?? false;
  if (!isDynamic) return value;
  return encodeTlv(data.TAG_70_READ_RECORD_TEMPLATE, concatBytes(...objects));
}

/** The purchase of a tap is paid with its last record: a card torn away before keeps its money. */
function afterRead(card: Snapshot, { sfi, record }: Place): Snapshot {
  const { pendingPurchase, purse } = card.session;
  const isLast = pendingPurchase?.record === recordKey(sfi, record);
  if (!pendingPurchase || purse === null || !isLast) return card;
  const { amountMinor } = pendingPurchase;
  return withSession(paidFromPurse(card, { purse, amountMinor }), { pendingPurchase: null });
}
