/** Faults of EMV data that card, terminal and issuer share. */
import { TapError } from '../../bytes/index.ts';

/** Stable codes of this folder. */
export type EmvDataErrorCode =
  | 'ERR_EMV_AFL'
  | 'ERR_EMV_CVM_LIST'
  | 'ERR_EMV_IAD'
  | 'ERR_EMV_BITS'
  | 'ERR_EMV_IMAGE';

/** A malformed AFL, CVM list, issuer application data, bit field or card image. */
export class EmvDataError extends TapError<EmvDataErrorCode> {}
