/** Coded faults of the switch. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Every code this folder throws. */
export type SwitchErrorCode =
  /** The books do not say what they must. */
  | 'ERR_SWITCH_STORE'
  /** The BIN table is missing, broken, or says a thing twice. */
  | 'ERR_SWITCH_ROUTES'
  /** A settlement day that is not over, not known, or has transactions without an end. */
  | 'ERR_SWITCH_DAY'
  /** A day's file was changed, or differs from the books. */
  | 'ERR_SWITCH_FILE';

/** A fault of the switch's books, tables or files. */
export class SwitchError extends TapError<SwitchErrorCode> {}
