/** Card authentication related data (9F69): what the contactless side signs beside its records. */

/** fDDA version, first byte of 9F69; 00 is refused by kernels. @see EMV C-7 Annex A (9F69) */
export const FDDA_VERSION_01 = 0x01;
/** Version, card's unpredictable number (4), CTQ (2), one byte reserved. */
export const CARD_AUTHENTICATION_RELATED_DATA_BYTES = 8;
/** Where 9F69 repeats the CTQ, so that it is signed. */
export const CARD_AUTHENTICATION_CTQ_OFFSET_BYTES = 5;
