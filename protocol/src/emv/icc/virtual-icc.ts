/** The virtual PBOC card, both interfaces: bytes in, bytes out, state in its image. */
import { toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeCommand,
  encodeResponse,
  Iso7816Error,
  type StatusWord,
  SW_6A81_FUNCTION_NOT_SUPPORTED,
  SW_6D00_INSTRUCTION_NOT_SUPPORTED,
  SW_6E00_CLASS_NOT_SUPPORTED,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import { atrProtocol, type IccImage } from '../data/index.ts';
import { runnableImage } from './check-image.ts';
import { getContactlessOptions } from './contactless.ts';
import { getChallenge, getData } from './data-objects.ts';
import { generateAc } from './generate-ac.ts';
import { internalAuthenticate } from './internal-authenticate.ts';
import { externalAuthenticate } from './issuer-authentication.ts';
import { storeData } from './personalisation.ts';
import { asT0, GET_RESPONSE, getResponse } from './procedure-bytes.ts';
import { getProcessingOptions } from './processing-options.ts';
import { readRecord } from './records.ts';
import { SCRIPT_COMMANDS } from './scripts.ts';
import { select } from './selection.ts';
import {
  activeOrNone,
  answerStatus,
  type CommandHandler,
  type IccInterface,
  type IccPorts,
  type Outcome,
  SESSION_AFTER_RESET,
  type Snapshot,
  withSession,
} from './session.ts';
import { verify } from './verify.ts';

/** A card in a process. Unless it does T=0, answers carry all their data whatever Le says. */
export interface VirtualIcc {
  /** Answers any bytes with a response APDU; never throws. */
  transmit(command: Uint8Array): Uint8Array;
  /** Power-on: forgets the session, keeps the image. */
  reset(): void;
  /** The card as it must be stored, before its last answer is given out. */
  image(): IccImage;
}

type Commands = Readonly<Record<string, CommandHandler>>;

/** Commands by class and instruction, in the order in which a transaction uses them. */
const COMMANDS: Commands = {
  '00A4': select,
  '80E2': storeData,
  '80A8': getProcessingOptions,
  '00B2': readRecord,
  '80CA': getData,
  '0084': getChallenge,
  '0020': verify,
  '0088': internalAuthenticate,
  '80AE': generateAc,
  '0082': externalAuthenticate,
  ...SCRIPT_COMMANDS,
};
/** In a reader's field the rest of the contact commands is refused: qPBOC has no use for them. */
const CONTACTLESS_COMMANDS: Commands = {
  '00A4': select,
  '80A8': getContactlessOptions,
  '00B2': readRecord,
  '80CA': getData,
};
/** Before its personalisation is over the card takes nothing else. */
const PERSONALISATION_COMMANDS: Commands = { '00A4': select, '80E2': storeData };
/** Commands that need no application: they select, or look at what is selected themselves. */
const FREE_HANDLERS: ReadonlySet<CommandHandler> = new Set([select, readRecord, storeData]);
/** Known instructions: another class with one of them is 6E00, any other instruction 6D00. */
const CLASSES: ReadonlySet<number> = new Set([0x00, 0x04, 0x80, 0x84]);
/** Most data bytes of a short answer. @see ISO 7816-4 §5.1 */
const ANSWER_BYTES_MAX = 256;

/**
 * Puts a card image to life. A broken one is refused here and not in the middle of a payment.
 * @throws EmvDataError `ERR_EMV_IMAGE`, `ERR_EMV_IMAGE_VERSION`.
 */
export function createVirtualIcc(
  options: {
    readonly image: IccImage;
    /** How the card is powered until it is made anew; by contact when nothing is said. */
    readonly interface?: IccInterface;
  } & IccPorts,
): VirtualIcc {
  const { ciphers, random } = options;
  const start = runnableImage(options.image);
  let card: Snapshot = {
    image: start,
    session: SESSION_AFTER_RESET,
    interface: options.interface ?? 'contact',
  };
  const isT0 = card.interface === 'contact' && atrProtocol(start.atr) === 'T=0';
  return {
    transmit(wire) {
      const outcome = run(card, wire, { ports: { ciphers, random }, isT0 });
      card = outcome.card;
      return encodeResponse(outcome);
    },
    reset() {
      card = { ...card, session: SESSION_AFTER_RESET };
    },
    image() {
      return card.image;
    },
  };
}

/** What a command runs with. */
type Run = { readonly ports: IccPorts; readonly isT0: boolean };

/** One command: the whole new card is computed before anything of it is kept. */
function run(card: Snapshot, wire: Uint8Array, how: Run): Outcome {
  const command = readCommand(wire);
  if (!command) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const isResponse = how.isT0 && commandKey(command.cla, command.ins) === GET_RESPONSE;
  if (isResponse) return getResponse(card, command);
  // A challenge serves the very next command, and an answer not fetched is gone.
  const before = withSession(card, { challenge: null, response: null });
  const outcome = runCommand(card, command, how.ports);
  const isFresh = outcome.card.session.challenge !== card.session.challenge;
  const after = isFresh ? outcome.card : withSession(outcome.card, { challenge: null });
  const settled = { ...outcome, card: withSession(after, { response: null }) };
  return how.isT0 ? asT0(before, command, settled) : settled;
}

function runCommand(card: Snapshot, command: CommandApdu, ports: IccPorts): Outcome {
  if (!CLASSES.has(command.cla)) return answerStatus(card, SW_6E00_CLASS_NOT_SUPPORTED);
  const key = commandKey(command.cla, command.ins);
  if (!(key in COMMANDS)) return answerStatus(card, unknownCommand(command));
  if (card.image.cardBlocked) return answerStatus(card, SW_6A81_FUNCTION_NOT_SUPPORTED);
  const handler = commandsOf(card)[key];
  const isReady = handler && (FREE_HANDLERS.has(handler) || activeOrNone(card) !== undefined);
  if (!isReady) return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  const outcome = handler(card, command, ports);
  // An answer that no short APDU carries is not given, and nothing has happened.
  if (outcome.data.length <= ANSWER_BYTES_MAX) return outcome;
  return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
}

function commandsOf(card: Snapshot): Commands {
  if (card.image.life === 'personalisation') return PERSONALISATION_COMMANDS;
  return card.interface === 'contact' ? COMMANDS : CONTACTLESS_COMMANDS;
}

function readCommand(wire: Uint8Array): CommandApdu | undefined {
  try {
    const command = decodeCommand(wire);
    return (command.data?.length ?? 0) > 255 ? undefined : command;
  } catch (thrown) {
    if (thrown instanceof Iso7816Error) return undefined;
    throw thrown;
  }
}

/** An instruction that exists under another class is refused for its class. @see ISO 7816-4 §5.6 */
function unknownCommand(command: CommandApdu): StatusWord {
  const isKnown = [...CLASSES].some((cla) => commandKey(cla, command.ins) in COMMANDS);
  return isKnown ? SW_6E00_CLASS_NOT_SUPPORTED : SW_6D00_INSTRUCTION_NOT_SUPPORTED;
}

function commandKey(cla: number, ins: number): string {
  return toHex(Uint8Array.of(cla, ins));
}
