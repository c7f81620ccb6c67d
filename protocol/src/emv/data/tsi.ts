/** Transaction status information, tag 9B: which functions were performed. */
import { hasBit, type StatusBit, setBit, statusBit } from './bits.ts';

export const TSI_1_OFFLINE_DATA_AUTHENTICATION_PERFORMED: StatusBit = statusBit(
  [1, 8],
  'Offline data authentication was performed',
  '已进行脱机数据认证',
);
export const TSI_1_CARDHOLDER_VERIFICATION_PERFORMED: StatusBit = statusBit(
  [1, 7],
  'Cardholder verification was performed',
  '已进行持卡人验证',
);
export const TSI_1_CARD_RISK_MANAGEMENT_PERFORMED: StatusBit = statusBit(
  [1, 6],
  'Card risk management was performed',
  '已进行卡片风险管理',
);
export const TSI_1_ISSUER_AUTHENTICATION_PERFORMED: StatusBit = statusBit(
  [1, 5],
  'Issuer authentication was performed',
  '已进行发卡行认证',
);
export const TSI_1_TERMINAL_RISK_MANAGEMENT_PERFORMED: StatusBit = statusBit(
  [1, 4],
  'Terminal risk management was performed',
  '已进行终端风险管理',
);
export const TSI_1_SCRIPT_PROCESSING_PERFORMED: StatusBit = statusBit(
  [1, 3],
  'Script processing was performed',
  '已进行脚本处理',
);

/** Length of the field in bytes. */
export const TSI_BYTES = 2;
/** All bits in the order of the standard's table. @see EMV 4.3 B3 §C6 */
export const TSI_BITS: readonly StatusBit[] = [
  TSI_1_OFFLINE_DATA_AUTHENTICATION_PERFORMED,
  TSI_1_CARDHOLDER_VERIFICATION_PERFORMED,
  TSI_1_CARD_RISK_MANAGEMENT_PERFORMED,
  TSI_1_ISSUER_AUTHENTICATION_PERFORMED,
  TSI_1_TERMINAL_RISK_MANAGEMENT_PERFORMED,
  TSI_1_SCRIPT_PROCESSING_PERFORMED,
];

/** A copy of a TSI with the bit set. */
export function tsiSet(tsi: Uint8Array, bit: StatusBit): Uint8Array {
  return setBit(tsi, bit);
}

/** Whether a TSI has the bit. */
export function tsiHas(tsi: Uint8Array, bit: StatusBit): boolean {
  return hasBit(tsi, bit);
}

/** A TSI with nothing performed. */
export function tsiEmpty(): Uint8Array {
  return new Uint8Array(TSI_BYTES);
}
