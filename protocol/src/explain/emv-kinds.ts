/** The kinds of card and terminal data, in the order in which equal scores win. */
import { APDU_MODULE } from './apdu.ts';
import { APDU_LOG_MODULE } from './apdu-log.ts';
import { ATR_MODULE } from './atr.ts';
import { CERTIFICATE_MODULE } from './certificate.ts';
import { CRYPTOGRAM_MODULE } from './cryptogram.ts';
import { DOL_MODULE } from './dol.ts';
import { FIELD55_MODULE } from './field55.ts';
import { SCRIPT_MODULE } from './script.ts';
import { STATUS_WORD_MODULE } from './status-word.ts';
import { TAG_MODULE } from './tag.ts';
import { TLV_MODULE } from './tlv.ts';
import type { ExplainModule } from './types.ts';

/** Kinds of EMV and PBOC. */
export const EMV_KINDS: readonly ExplainModule[] = [
  CERTIFICATE_MODULE,
  CRYPTOGRAM_MODULE,
  SCRIPT_MODULE,
  APDU_LOG_MODULE,
  FIELD55_MODULE,
  APDU_MODULE,
  TLV_MODULE,
  DOL_MODULE,
  TAG_MODULE,
  ATR_MODULE,
  STATUS_WORD_MODULE,
];
