/** Faults of the issuer's side of EMV. */
import { TapError } from '../../bytes/index.ts';

/** Stable codes of this folder. */
export type EmvIssuerErrorCode = 'ERR_EMV_AC_INPUT' | 'ERR_EMV_KEY' | 'ERR_EMV_PERSONALISATION';

/** Data that no cryptogram can be checked over, or keys and card data that fit no certificate. */
export class EmvIssuerError extends TapError<EmvIssuerErrorCode> {}
