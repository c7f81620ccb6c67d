/** The virtual PBOC debit card, both interfaces: bytes in, bytes out, state in its image. */
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
import type { IccImage } from '../data/index.ts';
import { runnableImage } from './check-image.ts';
import { getContactlessOptions } from './contactless.ts';
import { getData, getProcessingOptions, readRecord } from './files.ts';
import { generateAc } from './generate-ac.ts';
import { internalAuthenticate } from './internal-authenticate.ts';
import { externalAuthenticate } from './issuer-authentication.ts';
import { applicationBlock, applicationUnblock, cardBlock, pinUnblock, putData } from './scripts.ts';
import { select } from './selection.ts';
import {
  answerStatus,
  type CommandHandler,
  type IccInterface,
  type IccPorts,
  type Outcome,
  SESSION_AFTER_RESET,
  type Snapshot,
} from './session.ts';

/** A card in a process. Answers carry all their data (as with T=1): Le asks for nothing less. */
export interface VirtualIcc {
  /** Answers any bytes with a response APDU; never throws. */
  transmit(command: Uint8Array): Uint8Array;
  /** Power-on: forgets the session, keeps the image. */
  reset(): void;
  /** The card as it must be stored, before its last answer is given out. */
  image(): IccImage;
}

/** Commands by class and instruction, in the order in which a transaction uses them. */
const COMMANDS: Readonly<Record<string, CommandHandler>> = {
  '00A4': select,
  '80A8': getProcessingOptions,
  '00B2': readRecord,
  '80CA': getData,
  '0088': internalAuthenticate,
  '80AE': generateAc,
  '0082': externalAuthenticate,
  '841E': applicationBlock,
  '8418': applicationUnblock,
  '8416': cardBlock,
  '8424': pinUnblock,
  '04DA': putData,
};
/** In a reader's field the rest of the contact commands is refused: qPBOC has no use for them. */
const CONTACTLESS_COMMANDS: Readonly<Record<string, CommandHandler>> = {
  '00A4': select,
  '80A8': getContactlessOptions,
  '00B2': readRecord,
  '80CA': getData,
};
/** Known instructions: another class with one of them is 6E00, any other instruction 6D00. */
const CLASSES: ReadonlySet<number> = new Set([0x00, 0x04, 0x80, 0x84]);

/**
 * Puts a card image to life. A broken one is refused here and not in the middle of a payment.
 * @throws EmvDataError `ERR_EMV_IMAGE`.
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
  return {
    transmit(wire) {
      const outcome = run(card, wire, { ciphers, random });
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

/** One command: the whole new card is computed before anything of it is kept. */
function run(card: Snapshot, wire: Uint8Array, ports: IccPorts): Outcome {
  const command = readCommand(wire);
  if (!command) return answerStatus(card, SW_6700_WRONG_LENGTH);
  if (!CLASSES.has(command.cla)) return answerStatus(card, SW_6E00_CLASS_NOT_SUPPORTED);
  const known = COMMANDS[commandKey(command.cla, command.ins)];
  if (!known) return answerStatus(card, unknownCommand(command));
  if (card.image.state.cardBlocked) return answerStatus(card, SW_6A81_FUNCTION_NOT_SUPPORTED);
  const handler = card.interface === 'contact' ? known : contactlessHandler(command);
  if (!handler) return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  const needsApplication = handler !== select && handler !== readRecord;
  if (needsApplication && card.session.selected !== 'application') {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  return handler(card, command, ports);
}

function contactlessHandler(command: CommandApdu): CommandHandler | undefined {
  return CONTACTLESS_COMMANDS[commandKey(command.cla, command.ins)];
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
