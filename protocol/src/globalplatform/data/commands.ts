/** Class and instruction bytes of the card's commands. @see GPCS 2.3.1 table 11-1 */

/** Classes on the basic channel: interindustry, GlobalPlatform, and with secure messaging. */
export const CLA_ISO = 0x00;
export const CLA_GLOBALPLATFORM = 0x80;
/** Bit of secure messaging in a class byte. @see GPCS 2.3.1 §11.1.4 */
export const CLA_BIT_SECURE_MESSAGING = 0x04;
/** Bits of the logical channel number, channels 0 to 3. */
export const CLA_BITS_CHANNEL = 0x03;
/** Logical channels of a card beside the basic one. */
export const LOGICAL_CHANNELS_MAX = 3;

export const INS_CA_GET_DATA = 0xca;
export const INS_CB_GET_DATA = 0xcb;
export const INS_A4_SELECT = 0xa4;
export const INS_70_MANAGE_CHANNEL = 0x70;
export const INS_50_INITIALIZE_UPDATE = 0x50;
export const INS_82_EXTERNAL_AUTHENTICATE = 0x82;
export const INS_F2_GET_STATUS = 0xf2;
export const INS_F0_SET_STATUS = 0xf0;
export const INS_E6_INSTALL = 0xe6;
export const INS_E8_LOAD = 0xe8;
export const INS_E4_DELETE = 0xe4;
export const INS_D8_PUT_KEY = 0xd8;
export const INS_E2_STORE_DATA = 0xe2;

/** Kinds of INSTALL in P1. @see GPCS 2.3.1 table 11-42 */
export const INSTALL_02_FOR_LOAD = 0x02;
export const INSTALL_04_FOR_INSTALL = 0x04;
export const INSTALL_08_FOR_MAKE_SELECTABLE = 0x08;
export const INSTALL_10_FOR_EXTRADITION = 0x10;
export const INSTALL_20_FOR_PERSONALIZATION = 0x20;
export const INSTALL_40_FOR_REGISTRY_UPDATE = 0x40;

/** What GET STATUS lists, in P1. @see GPCS 2.3.1 table 11-33 */
export const STATUS_80_ISSUER_DOMAIN = 0x80;
export const STATUS_40_APPLICATIONS = 0x40;
export const STATUS_20_LOAD_FILES = 0x20;
export const STATUS_10_LOAD_FILES_AND_MODULES = 0x10;
/** P2 of GET STATUS: the TLV form, and the page behind the one before. */
export const STATUS_P2_TLV = 0x02;
export const STATUS_P2_NEXT = 0x01;

/** What SET STATUS changes, in P1. @see GPCS 2.3.1 table 11-86 */
export const SET_STATUS_80_CARD = 0x80;
export const SET_STATUS_40_APPLICATION = 0x40;
export const SET_STATUS_60_DOMAIN_AND_APPLICATIONS = 0x60;

/** P1 of STORE DATA. @see GPCS 2.3.1 table 11-89 */
export const STORE_DATA_80_LAST_BLOCK = 0x80;
export const STORE_DATA_60_ENCRYPTED = 0x60;
export const STORE_DATA_08_DGI = 0x08;
export const STORE_DATA_10_BER_TLV = 0x10;
/** The last of a chain of LOAD, in P1. */
export const LOAD_80_LAST_BLOCK = 0x80;
/** P2 of DELETE: with the objects that depend on it. */
export const DELETE_80_WITH_RELATED = 0x80;
/** P2 of PUT KEY: the command holds several keys. */
export const PUT_KEY_80_MULTIPLE_KEYS = 0x80;

/** Blocks that the one byte of LOAD and STORE DATA can count. */
export const BLOCK_NUMBERS_MAX = 256;
/** P1 of PUT KEY: the key data go on in the next command. @see GPCS 2.3.1 table 11-65 */
export const PUT_KEY_80_MORE_COMMANDS = 0x80;
/** Lengths of an application identifier. @see ISO 7816-4 §8.2.1 */
export const AID_BYTES_MIN = 5;
export const AID_BYTES_MAX = 16;
