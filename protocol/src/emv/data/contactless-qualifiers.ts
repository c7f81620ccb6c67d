/** Contactless qualifiers: of the terminal (TTQ, 9F66) and of the card (CTQ, 9F6C). */
import { type StatusBit, statusBit } from './bits.ts';

export const TTQ_1_MSD_SUPPORTED: StatusBit = statusBit(
  [1, 8],
  'Contactless magnetic stripe (MSD) supported',
  '支持非接触式磁条',
);
export const TTQ_1_CONTACTLESS_PBOC_SUPPORTED: StatusBit = statusBit(
  [1, 7],
  'Contactless debit/credit supported',
  '支持非接触式借记/贷记',
);
export const TTQ_1_QPBOC_SUPPORTED: StatusBit = statusBit([1, 6], 'qPBOC supported', '支持qPBOC');
export const TTQ_1_CONTACT_PBOC_SUPPORTED: StatusBit = statusBit(
  [1, 5],
  'Contact debit/credit supported',
  '支持接触式借记/贷记',
);
export const TTQ_1_OFFLINE_ONLY: StatusBit = statusBit(
  [1, 4],
  'Offline-only reader',
  '终端仅支持脱机',
);
export const TTQ_1_ONLINE_PIN_SUPPORTED: StatusBit = statusBit(
  [1, 3],
  'Online PIN supported',
  '支持联机PIN',
);
export const TTQ_1_SIGNATURE_SUPPORTED: StatusBit = statusBit(
  [1, 2],
  'Signature supported',
  '支持签名',
);
/** Kernel 7 leaves the bit free. @see EMV Book A table 5-4 */
export const TTQ_1_DATA_AUTHENTICATION_FOR_ONLINE: StatusBit = statusBit(
  [1, 1],
  'Offline data authentication for online authorisations supported',
  '支持联机授权的脱机数据认证',
);
/** Transient: set for each transaction. */
export const TTQ_2_ONLINE_CRYPTOGRAM_REQUIRED: StatusBit = statusBit(
  [2, 8],
  'Online cryptogram required',
  '要求联机密文',
);
/** Transient: set for each transaction. */
export const TTQ_2_CVM_REQUIRED: StatusBit = statusBit([2, 7], 'CVM required', '要求CVM');
export const TTQ_4_FDDA_VERSION_01_SUPPORTED: StatusBit = statusBit(
  [4, 8],
  'fDDA version 01 supported',
  '支持fDDA版本01',
);

/** Length of the field in bytes. */
export const TTQ_BYTES = 4;
/** All bits in the order of the standard's table. @see EMV C-7 table 3-1; PBOC3 P12 */
export const TTQ_BITS: readonly StatusBit[] = [
  TTQ_1_MSD_SUPPORTED,
  TTQ_1_CONTACTLESS_PBOC_SUPPORTED,
  TTQ_1_QPBOC_SUPPORTED,
  TTQ_1_CONTACT_PBOC_SUPPORTED,
  TTQ_1_OFFLINE_ONLY,
  TTQ_1_ONLINE_PIN_SUPPORTED,
  TTQ_1_SIGNATURE_SUPPORTED,
  TTQ_1_DATA_AUTHENTICATION_FOR_ONLINE,
  TTQ_2_ONLINE_CRYPTOGRAM_REQUIRED,
  TTQ_2_CVM_REQUIRED,
  TTQ_4_FDDA_VERSION_01_SUPPORTED,
];

export const CTQ_1_ONLINE_PIN_REQUIRED: StatusBit = statusBit(
  [1, 8],
  'Online PIN required',
  '要求联机PIN',
);
export const CTQ_1_SIGNATURE_REQUIRED: StatusBit = statusBit(
  [1, 7],
  'Signature required',
  '要求签名',
);
export const CTQ_1_ONLINE_IF_ODA_FAILS: StatusBit = statusBit(
  [1, 6],
  'Go online if offline data authentication fails and reader is online capable',
  '脱机数据认证失败且终端可联机时联机',
);
export const CTQ_1_SWITCH_INTERFACE_IF_ODA_FAILS: StatusBit = statusBit(
  [1, 5],
  'Switch interface if offline data authentication fails and reader supports contact',
  '脱机数据认证失败且终端支持接触时更换界面',
);
export const CTQ_1_ONLINE_IF_EXPIRED: StatusBit = statusBit(
  [1, 4],
  'Go online if application expired',
  '应用过期时联机',
);
export const CTQ_1_SWITCH_INTERFACE_FOR_CASH: StatusBit = statusBit(
  [1, 3],
  'Switch interface for cash transactions',
  '现金交易更换界面',
);
export const CTQ_1_SWITCH_INTERFACE_FOR_CASHBACK: StatusBit = statusBit(
  [1, 2],
  'Switch interface for cashback transactions',
  '返现交易更换界面',
);
export const CTQ_2_CDCVM_PERFORMED: StatusBit = statusBit(
  [2, 8],
  'Consumer device CVM performed',
  '已执行消费设备持卡人验证（CDCVM）',
);
export const CTQ_2_ISSUER_UPDATE_SUPPORTED: StatusBit = statusBit(
  [2, 7],
  'Card supports issuer update processing at the POS',
  '卡片支持终端上的发卡行更新',
);

/** Length of the field in bytes. */
export const CTQ_BYTES = 2;
/** All bits in the order of the standard's table. @see EMV C-7 Annex A (9F6C) */
export const CTQ_BITS: readonly StatusBit[] = [
  CTQ_1_ONLINE_PIN_REQUIRED,
  CTQ_1_SIGNATURE_REQUIRED,
  CTQ_1_ONLINE_IF_ODA_FAILS,
  CTQ_1_SWITCH_INTERFACE_IF_ODA_FAILS,
  CTQ_1_ONLINE_IF_EXPIRED,
  CTQ_1_SWITCH_INTERFACE_FOR_CASH,
  CTQ_1_SWITCH_INTERFACE_FOR_CASHBACK,
  CTQ_2_CDCVM_PERFORMED,
  CTQ_2_ISSUER_UPDATE_SUPPORTED,
];
