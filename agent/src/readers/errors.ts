/** Faults of readers and of the cards in them. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Stable codes; a payment treats `ERR_CARD_REMOVED` and `ERR_CARD_TRANSPORT` as a lost card. */
export type ReaderErrorCode =
  /** No PC/SC library on this machine. */
  | 'ERR_READER_LIBRARY'
  /** The PC/SC service does not run, or went away. */
  | 'ERR_READER_SERVICE'
  /** The PC/SC service runs and refuses this user. */
  | 'ERR_READER_DENIED'
  /** No such reader, or it was unplugged. */
  | 'ERR_READER_GONE'
  /** Another program holds the card exclusively. */
  | 'ERR_READER_IN_USE'
  /** No answer in the time allowed; the way to the reader was cut. */
  | 'ERR_READER_TIMEOUT'
  /** The process that calls the PC/SC library ended. */
  | 'ERR_READER_CRASH'
  /** Another fault of the service; `data.pcscCode` is its own code. */
  | 'ERR_READER_FAULT'
  /** The reader has no such feature. */
  | 'ERR_READER_UNSUPPORTED'
  /** The reader or session was closed by its holder. */
  | 'ERR_READER_CLOSED'
  /** A recording that cannot be read, or has no room for more. */
  | 'ERR_READER_RECORDING'
  /** No card in the reader. */
  | 'ERR_CARD_ABSENT'
  /** The card left. */
  | 'ERR_CARD_REMOVED'
  /** The card was reset by somebody else: what it was told is forgotten. */
  | 'ERR_CARD_RESET'
  /** The card does not answer to power. */
  | 'ERR_CARD_MUTE'
  /** The card speaks neither T=0 nor T=1. */
  | 'ERR_CARD_PROTOCOL'
  /** The exchange failed; whether the card got the command is not known. */
  | 'ERR_CARD_TRANSPORT'
  /** A command that the APDU buffers of PC/SC cannot hold. */
  | 'ERR_CARD_APDU'
  /** A scripted card was asked for something else than its script says. */
  | 'ERR_CARD_SCRIPT';

/** A reader or card that cannot be used, or no longer. */
export class ReaderError extends TapError<ReaderErrorCode> {}

/** The fault of a card that is gone. */
export function removedFault(reader: string): ReaderError {
  return new ReaderError('ERR_CARD_REMOVED', 'the card was removed', { reader });
}
