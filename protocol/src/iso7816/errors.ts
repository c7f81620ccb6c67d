/** Faults of APDUs, status words, TLV and DOL. */
import { TapError } from '../bytes/index.ts';

/** Stable codes of this folder. */
export type Iso7816ErrorCode =
  | 'ERR_APDU_LENGTH'
  | 'ERR_APDU_STATUS'
  | 'ERR_TLV_LENGTH'
  | 'ERR_TLV_TAG'
  | 'ERR_TLV_DEPTH'
  | 'ERR_TLV_MISSING'
  | 'ERR_DOL'
  | 'ERR_CARD_REMOVED'
  /** More than one card answers in the reader's field. */
  | 'ERR_CARD_COLLISION'
  | 'ERR_CARD_TRANSPORT';

/** A malformed APDU, TLV or DOL, an unexpected status word, or a lost card. */
export class Iso7816Error extends TapError<Iso7816ErrorCode> {}
