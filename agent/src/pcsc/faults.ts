/** PC/SC's result codes as our coded faults. */
import { ReaderError, type ReaderErrorCode } from '../readers/errors.ts';
import { PCSC } from './messages.ts';

const CODES: Readonly<Record<number, readonly [code: ReaderErrorCode, message: string]>> = {
  [PCSC.E_NO_SERVICE]: ['ERR_READER_SERVICE', 'the PC/SC service does not run'],
  [PCSC.E_SERVICE_STOPPED]: ['ERR_READER_SERVICE', 'the PC/SC service has stopped'],
  [PCSC.F_COMM_ERROR]: ['ERR_READER_SERVICE', 'the PC/SC service does not answer'],
  [PCSC.E_INVALID_HANDLE]: ['ERR_READER_SERVICE', 'the PC/SC service was started anew'],
  [PCSC.W_SECURITY_VIOLATION]: ['ERR_READER_SERVICE', 'the PC/SC service refuses access or died'],
  [PCSC.E_UNKNOWN_READER]: ['ERR_READER_GONE', 'there is no such reader'],
  [PCSC.E_READER_UNAVAILABLE]: ['ERR_READER_GONE', 'the reader was unplugged'],
  [PCSC.E_NO_READERS_AVAILABLE]: ['ERR_READER_GONE', 'there is no reader'],
  [PCSC.E_SHARING_VIOLATION]: ['ERR_READER_IN_USE', 'another program has the card'],
  [PCSC.E_NO_SMARTCARD]: ['ERR_CARD_ABSENT', 'no card in the reader'],
  [PCSC.W_REMOVED_CARD]: ['ERR_CARD_REMOVED', 'the card was removed'],
  [PCSC.W_RESET_CARD]: ['ERR_CARD_RESET', 'the card was reset by another program'],
  [PCSC.W_UNRESPONSIVE_CARD]: ['ERR_CARD_MUTE', 'the card does not answer to power'],
  [PCSC.W_UNPOWERED_CARD]: ['ERR_CARD_MUTE', 'the card has no power'],
  [PCSC.W_UNSUPPORTED_CARD]: ['ERR_CARD_PROTOCOL', "the card's answer to reset is not understood"],
  [PCSC.E_PROTO_MISMATCH]: ['ERR_CARD_PROTOCOL', 'the card speaks neither T=0 nor T=1'],
  [PCSC.E_NOT_TRANSACTED]: ['ERR_CARD_TRANSPORT', 'the exchange failed'],
  [PCSC.E_COMM_DATA_LOST]: ['ERR_CARD_TRANSPORT', 'the answer was lost'],
  // A driver that cannot hand the answer over: the card has worked all the same.
  [PCSC.E_INSUFFICIENT_BUFFER]: ['ERR_CARD_TRANSPORT', 'the driver could not hand over the answer'],
};

/** The fault of a code that the library gave. */
export function pcscFault(pcscCode: number, reader?: string): ReaderError {
  const [code, message] = CODES[pcscCode] ?? ['ERR_READER_FAULT', 'the PC/SC service refused'];
  const data = { pcscCode: pcscCodeText(pcscCode), ...(reader === undefined ? {} : { reader }) };
  return new ReaderError(code, message, data);
}

/** `0x8010001D`. */
export function pcscCodeText(pcscCode: number): string {
  return `0x${pcscCode.toString(16).toUpperCase().padStart(8, '0')}`;
}

/** After these codes it must be asked whether the card is still there. */
export const DOUBTFUL_CODES: ReadonlySet<unknown> = new Set(
  [
    ...[PCSC.E_NOT_TRANSACTED, PCSC.E_COMM_DATA_LOST, PCSC.E_INSUFFICIENT_BUFFER],
    ...[PCSC.W_UNPOWERED_CARD, PCSC.W_UNRESPONSIVE_CARD, PCSC.E_NO_SMARTCARD],
  ].map(pcscCodeText),
);
