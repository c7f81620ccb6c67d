/** Tags of registry, load file, parameters and card data. @see GPCS 2.3.1 §11, Annex H */

export const TAG_42_ISSUER_IDENTIFICATION_NUMBER = '42';
export const TAG_45_CARD_IMAGE_NUMBER = '45';
export const TAG_4F_AID = '4F';
export const TAG_66_CARD_DATA = '66';
export const TAG_67_CARD_CAPABILITIES = '67';
export const TAG_6F_FCI_TEMPLATE = '6F';
export const TAG_73_CARD_RECOGNITION = '73';
export const TAG_84_DEDICATED_FILE_NAME = '84';
export const TAG_A5_FCI_PROPRIETARY = 'A5';
export const TAG_9F65_COMMAND_DATA_BYTES_MAX = '9F65';
export const TAG_9F70_LIFE_CYCLE_STATE = '9F70';
export const TAG_9F7F_CPLC = '9F7F';
export const TAG_C1_SEQUENCE_COUNTER = 'C1';
export const TAG_E0_KEY_INFORMATION = 'E0';
export const TAG_C0_KEY = 'C0';
export const TAG_CF_KEY_DIVERSIFICATION_DATA = 'CF';

/** An entry of GET STATUS and what is in it. @see GPCS 2.3.1 table 11-36 */
export const TAG_E3_REGISTRY_ENTRY = 'E3';
export const TAG_C5_PRIVILEGES = 'C5';
export const TAG_C4_LOAD_FILE_AID = 'C4';
export const TAG_CC_DOMAIN_AID = 'CC';
export const TAG_CE_VERSION = 'CE';

/** In a load file: DAP block and code. @see GPCS 2.3.1 table 11-57 */
export const TAG_E2_DAP_BLOCK = 'E2';
export const TAG_C3_SIGNATURE = 'C3';
export const TAG_C4_LOAD_FILE_DATA_BLOCK = 'C4';

/** In INSTALL parameters. @see GPCS 2.3.1 tables 11-48, 11-49 */
export const TAG_C9_APPLICATION_PARAMETERS = 'C9';
export const TAG_EF_SYSTEM_PARAMETERS = 'EF';
export const TAG_C6_CODE_BYTES = 'C6';
export const TAG_C7_VOLATILE_BYTES = 'C7';
export const TAG_C8_PERSISTENT_BYTES = 'C8';
/** In the C9 of a security domain: whether it takes content, and lets its own go. */
export const TAG_82_EXTRADITION_TO = '82';
export const TAG_87_EXTRADITION_FROM = '87';

/** In DELETE [key]. @see GPCS 2.3.1 table 11-24 */
export const TAG_D0_KEY_IDENTIFIER = 'D0';
export const TAG_D2_KEY_VERSION_NUMBER = 'D2';

/** Data groupings that load keys into a security domain. @see GPCS 2.3.1 §11.11.4 */
export const DGI_00B9_KEY_CONTROL = 0x00b9;
export const DGI_8113_KEY_DATA = 0x8113;
/** The grouping whose value is BER-TLV. */
export const DGI_0070_TLV = 0x0070;
