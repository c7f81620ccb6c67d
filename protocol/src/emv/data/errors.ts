/** Faults of EMV data that card, terminal and issuer share. */
import { TapError } from '../../bytes/index.ts';

/** Stable codes of this folder. */
export type EmvDataErrorCode =
  | 'ERR_EMV_AFL'
  | 'ERR_EMV_CVM_LIST'
  | 'ERR_EMV_IAD'
  | 'ERR_EMV_BITS'
  | 'ERR_EMV_IMAGE'
  | 'ERR_CA_KEY_FILE'
  | 'ERR_CA_KEY_FIELD'
  | 'ERR_CA_KEY_CHECK_VALUE'
  | 'ERR_CA_KEY_DUPLICATE'
  | 'ERR_EMV_IMAGE_VERSION'
  | 'ERR_CARD_MODEL'
  | 'ERR_DGI_ID'
  | 'ERR_DGI_LENGTH'
  | 'ERR_DGI_CUT'
  | 'ERR_DGI_COUNT'
  | 'ERR_EMV_TOKEN'
  | 'ERR_STORE_DATA';

/** Malformed AFL, CVM list, issuer application data, bit field, image, model, DGI or CA key. */
export class EmvDataError extends TapError<EmvDataErrorCode> {}
