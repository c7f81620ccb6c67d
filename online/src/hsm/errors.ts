/** Faults of the HSM; messages and data never hold a key, PIN or PAN. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Every code of this folder. */
export type HsmErrorCode =
  /** The caller may not use this command, or not in this way. */
  | 'ERR_HSM_CALLER'
  | 'ERR_HSM_COMMAND'
  /** The header of a key block forbids this use of the key. */
  | 'ERR_HSM_KEY_USAGE'
  /** No key block of this HSM, or one that was altered. */
  | 'ERR_HSM_KEY_BLOCK'
  | 'ERR_HSM_KCV'
  | 'ERR_HSM_PARAMETER'
  /** Whatever was wrong about a PIN block; on purpose one code and one text. */
  | 'ERR_HSM_PIN'
  /** The driver cannot compute this; `mechanism` in the data names what it lacks. */
  | 'ERR_HSM_MECHANISM'
  /** The keys do not explain the cryptogram of the element; nothing may be sent to it. */
  | 'ERR_HSM_CARD_CRYPTOGRAM'
  /** The MAC of an element's answer is missing or wrong. */
  | 'ERR_HSM_RESPONSE_MAC'
  /** No session of this HSM and caller, or one that has had too many commands. */
  | 'ERR_HSM_SESSION'
  | 'ERR_HSM_INTERNAL'
  /** Who connected did not prove to be a caller of this HSM. */
  | 'ERR_HSM_HELLO'
  | 'ERR_HSM_FRAME'
  /** A file of the HSM is missing, broken or open to others. */
  | 'ERR_HSM_STORE'
  | 'ERR_HSM_CEREMONY'
  | 'ERR_HSM_CARDS';

/** A refused command, connection or file. */
export class HsmError extends TapError<HsmErrorCode> {}
