/** Terminal capabilities, tag 9F33. */
import { type StatusBit, statusBit } from './bits.ts';

export const TERMINAL_CAPABILITY_1_MANUAL_KEY_ENTRY: StatusBit = statusBit(
  [1, 8],
  'Manual key entry',
  '手工键盘输入',
);
export const TERMINAL_CAPABILITY_1_MAGNETIC_STRIPE: StatusBit = statusBit(
  [1, 7],
  'Magnetic stripe',
  '磁条',
);
export const TERMINAL_CAPABILITY_1_IC_WITH_CONTACTS: StatusBit = statusBit(
  [1, 6],
  'IC with contacts',
  '接触式IC卡',
);
export const TERMINAL_CAPABILITY_2_PLAINTEXT_PIN_OFFLINE: StatusBit = statusBit(
  [2, 8],
  'Plaintext PIN for ICC verification',
  'IC卡明文密码验证',
);
export const TERMINAL_CAPABILITY_2_ENCIPHERED_PIN_ONLINE: StatusBit = statusBit(
  [2, 7],
  'Enciphered PIN for online verification',
  '联机加密密码验证',
);
export const TERMINAL_CAPABILITY_2_SIGNATURE: StatusBit = statusBit(
  [2, 6],
  'Signature (paper)',
  '签名（纸）',
);
export const TERMINAL_CAPABILITY_2_ENCIPHERED_PIN_OFFLINE: StatusBit = statusBit(
  [2, 5],
  'Enciphered PIN for offline verification',
  '脱机加密密码验证',
);
export const TERMINAL_CAPABILITY_2_NO_CVM: StatusBit = statusBit(
  [2, 4],
  'No CVM required',
  '无需持卡人验证',
);
export const TERMINAL_CAPABILITY_3_SDA: StatusBit = statusBit([3, 8], 'SDA', '静态数据认证');
export const TERMINAL_CAPABILITY_3_DDA: StatusBit = statusBit([3, 7], 'DDA', '动态数据认证');
export const TERMINAL_CAPABILITY_3_CARD_CAPTURE: StatusBit = statusBit(
  [3, 6],
  'Card capture',
  '吞卡',
);
export const TERMINAL_CAPABILITY_3_CDA: StatusBit = statusBit([3, 4], 'CDA', '复合动态数据认证');

/** Length of the field in bytes. */
export const TERMINAL_CAPABILITY_BYTES = 3;
/** All bits in the order of the standard's table. @see EMV 4.3 B4 §A2 */
export const TERMINAL_CAPABILITY_BITS: readonly StatusBit[] = [
  TERMINAL_CAPABILITY_1_MANUAL_KEY_ENTRY,
  TERMINAL_CAPABILITY_1_MAGNETIC_STRIPE,
  TERMINAL_CAPABILITY_1_IC_WITH_CONTACTS,
  TERMINAL_CAPABILITY_2_PLAINTEXT_PIN_OFFLINE,
  TERMINAL_CAPABILITY_2_ENCIPHERED_PIN_ONLINE,
  TERMINAL_CAPABILITY_2_SIGNATURE,
  TERMINAL_CAPABILITY_2_ENCIPHERED_PIN_OFFLINE,
  TERMINAL_CAPABILITY_2_NO_CVM,
  TERMINAL_CAPABILITY_3_SDA,
  TERMINAL_CAPABILITY_3_DDA,
  TERMINAL_CAPABILITY_3_CARD_CAPTURE,
  TERMINAL_CAPABILITY_3_CDA,
];
