/** Coded faults of the switch. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Every code this folder throws. */
export type SwitchErrorCode = 'ERR_SWITCH_STORE';

/** The switch's books do not say what they must. */
export class SwitchError extends TapError<SwitchErrorCode> {}
