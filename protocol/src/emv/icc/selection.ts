/** SELECT by name: the payment system environment and the application. @see EMV 4.3 B1 §12 */
import { asciiToBytes, concatBytes, equalBytes, fromHex, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  SW_6A81_FUNCTION_NOT_SUPPORTED,
  SW_6A82_FILE_NOT_FOUND,
  SW_6A86_WRONG_P1_P2,
  SW_6283_SELECTED_FILE_INVALIDATED,
  SW_6700_WRONG_LENGTH,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import {
  answer,
  answerStatus,
  type Outcome,
  SESSION_AFTER_RESET,
  type Snapshot,
} from './session.ts';

/** Name of the contact directory. @see EMV 4.3 B1 §12.2.2 */
export const PSE_NAME = '1PAY.SYS.DDF01';
/** Name of the contactless directory, whose FCI is the directory. @see EMV C-7 §3.2 */
export const PPSE_NAME = '2PAY.SYS.DDF01';
/** File of the directory that lists the applications. */
export const PSE_SFI = 1;
const SELECT_BY_NAME = 0x04;
const SELECT_FIRST = 0x00;
const SELECT_NEXT = 0x02;
/** A partial name must at least hold a RID; the longest name has 16 bytes. */
const NAME_BYTES_MIN = 5;
const NAME_BYTES_MAX = 16;

/** SELECT, first or next occurrence, full or partial name. @see EMV 4.3 B1 §11.3 */
export function select(card: Snapshot, command: CommandApdu): Outcome {
  if (card.image.state.cardBlocked) return answerStatus(card, SW_6A81_FUNCTION_NOT_SUPPORTED);
  if (command.p1 !== SELECT_BY_NAME) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  if (command.p2 !== SELECT_FIRST && command.p2 !== SELECT_NEXT) {
    return answerStatus(card, SW_6A86_WRONG_P1_P2);
  }
  const name = command.data ?? new Uint8Array(0);
  if (name.length < NAME_BYTES_MIN || name.length > NAME_BYTES_MAX) {
    return answerStatus(card, SW_6700_WRONG_LENGTH);
  }
  // The card has one application: a next occurrence exists only if none is selected yet.
  const hasApplication = card.session.selected === 'application';
  if (command.p2 === SELECT_NEXT && hasApplication) return notFound(card);
  if (card.interface === 'contactless') return selectByField(card, command, name);
  if (equalBytes(name, asciiToBytes(PSE_NAME))) {
    return command.p2 === SELECT_FIRST ? selectDirectory(card) : notFound(card);
  }
  if (card.image.aid.startsWith(toHex(name))) return selectApplication(card, card.image.pdol);
  return notFound(card);
}

/** In a reader's field: the PPSE and the application, if the card has a contactless side. */
function selectByField(card: Snapshot, command: CommandApdu, name: Uint8Array): Outcome {
  const { image } = card;
  if (image.contactless === null) return notFound(card);
  if (equalBytes(name, asciiToBytes(PPSE_NAME))) {
    if (command.p2 !== SELECT_FIRST) return notFound(card);
    const entry = encodeTlv(data.TAG_BF0C_FCI_ISSUER_DISCRETIONARY_DATA, directoryEntry(image));
    const session = SESSION_AFTER_RESET;
    return answer({ ...card, session }, fci(asciiToBytes(PPSE_NAME), entry));
  }
  if (image.aid.startsWith(toHex(name))) return selectApplication(card, image.contactless.pdol);
  return notFound(card);
}

function notFound(card: Snapshot): Outcome {
  return answerStatus(card, SW_6A82_FILE_NOT_FOUND);
}

function selectDirectory(card: Snapshot): Outcome {
  const session = { ...SESSION_AFTER_RESET, selected: 'directory' } as const;
  const proprietary = concatBytes(
    encodeTlv(data.TAG_88_SHORT_FILE_IDENTIFIER, Uint8Array.of(PSE_SFI)),
    encodeTlv(data.TAG_5F2D_LANGUAGE_PREFERENCE, asciiToBytes('zhen')),
  );
  return answer({ ...card, session }, fci(asciiToBytes(PSE_NAME), proprietary));
}

/** A blocked application still answers with its FCI, under 6283. @see EMV 4.3 B1 §12.3.2 */
function selectApplication(card: Snapshot, pdolHex: string): Outcome {
  const { image } = card;
  const session = { ...SESSION_AFTER_RESET, selected: 'application' } as const;
  const pdol = fromHex(pdolHex);
  const logEntry = Uint8Array.of(data.ICC_LOG_SFI, data.ICC_LOG_RECORDS_MAX);
  const proprietary = concatBytes(
    encodeTlv(data.TAG_50_APPLICATION_LABEL, asciiToBytes(image.label)),
    encodeTlv(data.TAG_87_APPLICATION_PRIORITY_INDICATOR, Uint8Array.of(0x01)),
    pdol.length === 0 ? pdol : encodeTlv(data.TAG_9F38_PDOL, pdol),
    encodeTlv(data.TAG_5F2D_LANGUAGE_PREFERENCE, asciiToBytes('zhen')),
    encodeTlv(data.TAG_9F11_ISSUER_CODE_TABLE_INDEX, Uint8Array.of(0x01)),
    encodeTlv(data.TAG_9F12_APPLICATION_PREFERRED_NAME, asciiToBytes(image.label)),
    encodeTlv(
      data.TAG_BF0C_FCI_ISSUER_DISCRETIONARY_DATA,
      encodeTlv(data.TAG_9F4D_LOG_ENTRY, logEntry),
    ),
  );
  const outcome = answer({ ...card, session }, fci(fromHex(image.aid), proprietary));
  if (!image.state.applicationBlocked) return outcome;
  return { ...outcome, statusWord: SW_6283_SELECTED_FILE_INVALIDATED };
}

function fci(name: Uint8Array, proprietary: Uint8Array): Uint8Array {
  return encodeTlv(
    data.TAG_6F_FCI_TEMPLATE,
    concatBytes(
      encodeTlv(data.TAG_84_DEDICATED_FILE_NAME, name),
      encodeTlv(data.TAG_A5_FCI_PROPRIETARY_TEMPLATE, proprietary),
    ),
  );
}

/** The directory's only record. @see EMV 4.3 B1 §12.2.3 */
export function directoryRecord(image: data.IccImage): Uint8Array {
  return encodeTlv(data.TAG_70_READ_RECORD_TEMPLATE, directoryEntry(image));
}

function directoryEntry(image: data.IccImage): Uint8Array {
  const entry = concatBytes(
    encodeTlv(data.TAG_4F_APPLICATION_DEDICATED_FILE_NAME, fromHex(image.aid)),
    encodeTlv(data.TAG_50_APPLICATION_LABEL, asciiToBytes(image.label)),
    encodeTlv(data.TAG_87_APPLICATION_PRIORITY_INDICATOR, Uint8Array.of(0x01)),
  );
  return encodeTlv(data.TAG_61_APPLICATION_TEMPLATE, entry);
}
