/** Field numbers by their names. @see ISO 8583:1987 table 5, Q/CUP 006 part 2 */

export const DE_2_PRIMARY_ACCOUNT_NUMBER = 2;
export const DE_3_PROCESSING_CODE = 3;
export const DE_4_AMOUNT = 4;
export const DE_7_TRANSMISSION_DATE_TIME = 7;
/** System trace audit number. */
export const DE_11_STAN = 11;
export const DE_12_LOCAL_TIME = 12;
export const DE_13_LOCAL_DATE = 13;
export const DE_14_EXPIRY = 14;
export const DE_15_SETTLEMENT_DATE = 15;
export const DE_18_MERCHANT_TYPE = 18;
export const DE_19_ACQUIRER_COUNTRY = 19;
export const DE_22_ENTRY_MODE = 22;
export const DE_23_CARD_SEQUENCE_NUMBER = 23;
export const DE_25_CONDITION_CODE = 25;
export const DE_26_PIN_CAPTURE_CODE = 26;
export const DE_28_TRANSACTION_FEE = 28;
export const DE_32_ACQUIRING_INSTITUTION = 32;
export const DE_33_FORWARDING_INSTITUTION = 33;
export const DE_35_TRACK_2 = 35;
export const DE_36_TRACK_3 = 36;
/** Retrieval reference number. */
export const DE_37_RETRIEVAL_REFERENCE = 37;
export const DE_38_APPROVAL_CODE = 38;
export const DE_39_RESPONSE_CODE = 39;
export const DE_41_TERMINAL = 41;
export const DE_42_MERCHANT = 42;
export const DE_43_MERCHANT_LOCATION = 43;
export const DE_44_ADDITIONAL_RESPONSE = 44;
export const DE_45_TRACK_1 = 45;
export const DE_48_ADDITIONAL_DATA = 48;
export const DE_49_CURRENCY = 49;
export const DE_52_PIN_BLOCK = 52;
export const DE_53_SECURITY_CONTROL = 53;
export const DE_54_ADDITIONAL_AMOUNTS = 54;
/** Integrated circuit card data: BER-TLV. */
export const DE_55_ICC_DATA = 55;
export const DE_57_ADDITIONAL_TRANSACTION_DATA = 57;
export const DE_60_RESERVED = 60;
export const DE_61_AUTHENTICATION_DATA = 61;
export const DE_70_NETWORK_MANAGEMENT_CODE = 70;
export const DE_90_ORIGINAL_DATA_ELEMENTS = 90;
/** A new working key, enciphered under the line's zone master key. */
export const DE_96_NEW_KEY = 96;
export const DE_100_RECEIVING_INSTITUTION = 100;
export const DE_102_ACCOUNT_FROM = 102;
export const DE_103_ACCOUNT_TO = 103;
export const DE_104_TRANSACTION_DESCRIPTION = 104;
export const DE_121_CUPS_RESERVED = 121;
export const DE_122_ACQUIRER_RESERVED = 122;
export const DE_123_ISSUER_RESERVED = 123;
/** Message authentication code. */
export const DE_128_MAC = 128;
