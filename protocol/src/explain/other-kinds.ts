/** The kinds of lines, keys and secure elements, in the order in which equal scores win. */
import { GLOBAL_PLATFORM_KIND } from './globalplatform.ts';
import { ISO8583_KIND } from './iso8583.ts';
import { BITMAP_KIND } from './iso8583-bitmap.ts';
import { KEY_BLOCK_KIND } from './key-block.ts';
import { DUKPT_KIND } from './keys-dukpt.ts';
import { KCV_KIND } from './keys-kcv.ts';
import { MAC_KIND } from './keys-mac.ts';
import { CVV_KIND, PVV_KIND } from './keys-verify.ts';
import { WORKING_KEYS_KIND } from './keys-working.ts';
import { PIN_BLOCK_KIND } from './pin.ts';
import { RECEIPT_KIND } from './receipt.ts';
import { SM_CRYPTO_KIND } from './sm-crypto.ts';
import type { ExplainModule } from './types.ts';

/** Kinds beside EMV: interchange messages, keys, PIN blocks, GlobalPlatform, receipts. */
export const OTHER_KINDS: readonly ExplainModule[] = [
  ISO8583_KIND,
  BITMAP_KIND,
  MAC_KIND,
  WORKING_KEYS_KIND,
  PIN_BLOCK_KIND,
  KEY_BLOCK_KIND,
  DUKPT_KIND,
  PVV_KIND,
  CVV_KIND,
  KCV_KIND,
  SM_CRYPTO_KIND,
  GLOBAL_PLATFORM_KIND,
  RECEIPT_KIND,
];
