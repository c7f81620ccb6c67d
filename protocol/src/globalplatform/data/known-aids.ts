/** Names of what this project itself puts on an element. */

/** First bytes of all names of our own: a registered identifier for laboratories (RID `F0`). */
export const LAB_RID = 'F0544150';
/** The payment application: its load file, and its module and instance, which share a name. */
export const PAYMENT_LOAD_FILE_AID = 'F054415001';
export const PAYMENT_MODULE_AID = 'F05441500101';
export const PAYMENT_INSTANCE_AID = 'F05441500101';
/** The stored-value loyalty card of the samples. */
export const LOYALTY_LOAD_FILE_AID = 'F054415002';
export const LOYALTY_MODULE_AID = 'F05441500201';
export const LOYALTY_INSTANCE_AID = 'F05441500201';

/** Grouping of the payment application: name of the gateway that it speaks with, in UTF-8. */
export const PAYMENT_DGI_0101_GATEWAY = 0x0101;
