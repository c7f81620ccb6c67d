/** Application interchange profile, tag 82: what the card supports. */
import { hasBit, type StatusBit, statusBit } from './bits.ts';

export const AIP_1_SDA_SUPPORTED: StatusBit = statusBit(
  [1, 7],
  'SDA supported',
  '支持静态数据认证',
);
export const AIP_1_DDA_SUPPORTED: StatusBit = statusBit(
  [1, 6],
  'DDA supported',
  '支持动态数据认证',
);
export const AIP_1_CARDHOLDER_VERIFICATION_SUPPORTED: StatusBit = statusBit(
  [1, 5],
  'Cardholder verification is supported',
  '支持持卡人验证',
);
export const AIP_1_TERMINAL_RISK_MANAGEMENT_TO_BE_PERFORMED: StatusBit = statusBit(
  [1, 4],
  'Terminal risk management is to be performed',
  '需进行终端风险管理',
);
export const AIP_1_ISSUER_AUTHENTICATION_SUPPORTED: StatusBit = statusBit(
  [1, 3],
  'Issuer authentication is supported',
  '支持发卡行认证',
);
export const AIP_1_CDA_SUPPORTED: StatusBit = statusBit(
  [1, 1],
  'CDA supported',
  '支持复合动态数据认证',
);

/** Length of the field in bytes. */
export const AIP_BYTES = 2;
/** All bits in the order of the standard's table. @see EMV 4.3 B3 §C1 */
export const AIP_BITS: readonly StatusBit[] = [
  AIP_1_SDA_SUPPORTED,
  AIP_1_DDA_SUPPORTED,
  AIP_1_CARDHOLDER_VERIFICATION_SUPPORTED,
  AIP_1_TERMINAL_RISK_MANAGEMENT_TO_BE_PERFORMED,
  AIP_1_ISSUER_AUTHENTICATION_SUPPORTED,
  AIP_1_CDA_SUPPORTED,
];

/** Whether an AIP has the bit. */
export function aipHas(aip: Uint8Array, bit: StatusBit): boolean {
  return hasBit(aip, bit);
}
