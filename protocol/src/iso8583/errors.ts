/** Faults of ISO 8583 messages; each names the field path and the byte where it stands. */
import { TapError } from '../bytes/index.ts';

/** Stable codes of this folder. */
export type Iso8583ErrorCode =
  | 'ERR_ISO8583_HEADER'
  | 'ERR_ISO8583_MTI'
  | 'ERR_ISO8583_BITMAP'
  | 'ERR_ISO8583_FIELD'
  | 'ERR_ISO8583_LENGTH'
  | 'ERR_ISO8583_MISSING';

/** A message that does not follow its dialect; `data` has `fieldPath` and `offsetBytes`. */
export class Iso8583Error extends TapError<Iso8583ErrorCode> {}
