/** SELECT by name: the directories and the applications. @see EMV 4.3 B1 §11.3, §12 */
import { asciiToBytes, equalBytes, fromHex, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  StatusWord,
  SW_6A81_FUNCTION_NOT_SUPPORTED,
  SW_6A82_FILE_NOT_FOUND,
  SW_6A86_WRONG_P1_P2,
  SW_6283_SELECTED_FILE_INVALIDATED,
  SW_6700_WRONG_LENGTH,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { runtimeProfile } from './runtime-profile.ts';
import {
  answer,
  answerStatus,
  type Outcome,
  SESSION_AFTER_RESET,
  type Selected,
  type Snapshot,
} from './session.ts';

const SELECT_BY_NAME = 0x04;
const SELECT_FIRST = 0x00;
const SELECT_NEXT = 0x02;
/** A partial name must at least hold a RID; the longest name has 16 bytes. */
const NAME_BYTES_MIN = 5;
const NAME_BYTES_MAX = 16;
const STATUS_WORD_BASE = 16;

/** SELECT, first or next occurrence, full or partial name. @see EMV 4.3 B1 §11.3 */
export function select(card: Snapshot, command: CommandApdu): Outcome {
  if (card.image.cardBlocked) return answerStatus(card, SW_6A81_FUNCTION_NOT_SUPPORTED);
  if (command.p1 !== SELECT_BY_NAME) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  if (command.p2 !== SELECT_FIRST && command.p2 !== SELECT_NEXT) {
    return answerStatus(card, SW_6A86_WRONG_P1_P2);
  }
  const name = command.data ?? new Uint8Array(0);
  if (name.length < NAME_BYTES_MIN || name.length > NAME_BYTES_MAX) {
    return answerStatus(card, SW_6700_WRONG_LENGTH);
  }
  const ordered = card.image.lab.selectStatusWords[toHex(name)];
  if (ordered !== undefined) return answerStatus(card, labStatusWord(ordered));
  const isNext = command.p2 === SELECT_NEXT;
  const directory = directoryOf(card, name);
  if (directory) return isNext ? notFound(card) : selectDirectory(card, directory);
  return selectApplication(card, name, isNext);
}

/** A lab card's order; one that is no status word counts as "not found". */
function labStatusWord(hex: string): StatusWord {
  const value = Number.parseInt(hex, STATUS_WORD_BASE);
  const high = value >> 12;
  return high === 0x6 || high === 0x9 ? StatusWord(value) : SW_6A82_FILE_NOT_FOUND;
}

function notFound(card: Snapshot): Outcome {
  return answerStatus(card, SW_6A82_FILE_NOT_FOUND);
}

/** A directory: what it is selected as, and its answer. */
type Directory = { readonly selected: Selected; readonly fci: Uint8Array };

/**
 * The directory of this name. Each interface has its own; personalisation, which is done by
 * contact, reaches both.
 */
function directoryOf(card: Snapshot, name: Uint8Array): Directory | undefined {
  const { image } = card;
  const isPersonalising = image.life === 'personalisation';
  const isContact = card.interface === 'contact';
  if (equalBytes(name, asciiToBytes(data.PSE_NAME)) && image.pse && isContact) {
    return { selected: { kind: 'pse' }, fci: fromHex(image.pse.fci) };
  }
  const isPpse = equalBytes(name, asciiToBytes(data.PPSE_NAME)) && image.ppse !== null;
  if (isPpse && image.ppse && (!isContact || isPersonalising)) {
    return { selected: { kind: 'ppse' }, fci: fromHex(image.ppse.fci) };
  }
  return undefined;
}

function selectDirectory(card: Snapshot, { selected, fci }: Directory): Outcome {
  const isBlank = fci.length === 0 && card.image.life === 'operational';
  if (isBlank) return notFound(card);
  return answer({ ...card, session: { ...SESSION_AFTER_RESET, selected } }, fci);
}

/** The first application of the name, or the one after the selected one. @see EMV 4.3 B1 §12.3.3 */
function selectApplication(card: Snapshot, name: Uint8Array, isNext: boolean): Outcome {
  const { image, session } = card;
  const after = isNext && session.selected.kind === 'application' ? session.selected.index : -1;
  const wanted = toHex(name);
  const index = image.applications.findIndex(
    (application, at) =>
      at > after && application.aid.startsWith(wanted) && isShown(card, application),
  );
  const application = image.applications[index];
  if (!application) return notFound(card);
  const selected = { kind: 'application', index } as const;
  const next = { ...card, session: { ...SESSION_AFTER_RESET, selected } };
  const outcome = answer(next, fciOf(card, application));
  if (!application.state.applicationBlocked) return outcome;
  // A blocked application still answers with its FCI. @see EMV 4.3 B1 §12.3.2
  return { ...outcome, statusWord: SW_6283_SELECTED_FILE_INVALIDATED };
}

/** In operation an application is where its FCI is; before, wherever it can be written. */
function isShown(card: Snapshot, application: data.IccApplication): boolean {
  if (card.image.life === 'personalisation') return card.interface === 'contact';
  return application.isPersonalised && runtimeProfile(application)[card.interface] !== null;
}

function fciOf(card: Snapshot, application: data.IccApplication): Uint8Array {
  const aid = fromHex(application.aid);
  const side = runtimeProfile(application)[card.interface];
  if (side) return data.fciOfStored(aid, side.fci);
  const name = encodeTlv(data.TAG_84_DEDICATED_FILE_NAME, aid);
  return encodeTlv(data.TAG_6F_FCI_TEMPLATE, name);
}
