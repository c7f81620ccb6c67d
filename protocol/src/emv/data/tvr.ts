/** Terminal verification results, tag 95: what went wrong on the terminal's side. */
import { hasBit, type StatusBit, setBit, statusBit } from './bits.ts';

export const TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED: StatusBit = statusBit(
  [1, 8],
  'Offline data authentication was not performed',
  '未进行脱机数据认证',
);
export const TVR_1_SDA_FAILED: StatusBit = statusBit([1, 7], 'SDA failed', '脱机静态数据认证失败');
export const TVR_1_ICC_DATA_MISSING: StatusBit = statusBit(
  [1, 6],
  'ICC data missing',
  'IC卡数据缺失',
);
export const TVR_1_CARD_ON_EXCEPTION_FILE: StatusBit = statusBit(
  [1, 5],
  'Card appears on terminal exception file',
  '卡片出现在终端异常文件中',
);
export const TVR_1_DDA_FAILED: StatusBit = statusBit([1, 4], 'DDA failed', '脱机动态数据认证失败');
export const TVR_1_CDA_FAILED: StatusBit = statusBit([1, 3], 'CDA failed', '复合动态数据认证失败');
export const TVR_1_SDA_SELECTED: StatusBit = statusBit(
  [1, 2],
  'SDA selected',
  '选择了静态数据认证',
);
export const TVR_2_APPLICATION_VERSIONS_DIFFER: StatusBit = statusBit(
  [2, 8],
  'ICC and terminal have different application versions',
  'IC卡和终端应用版本不一致',
);
export const TVR_2_EXPIRED_APPLICATION: StatusBit = statusBit(
  [2, 7],
  'Expired application',
  '应用已过期',
);
export const TVR_2_APPLICATION_NOT_YET_EFFECTIVE: StatusBit = statusBit(
  [2, 6],
  'Application not yet effective',
  '应用尚未生效',
);
export const TVR_2_SERVICE_NOT_ALLOWED: StatusBit = statusBit(
  [2, 5],
  'Requested service not allowed for card product',
  '卡片不允许所请求的服务',
);
export const TVR_2_NEW_CARD: StatusBit = statusBit([2, 4], 'New card', '新卡');
export const TVR_3_CARDHOLDER_VERIFICATION_FAILED: StatusBit = statusBit(
  [3, 8],
  'Cardholder verification was not successful',
  '持卡人验证失败',
);
export const TVR_3_UNRECOGNISED_CVM: StatusBit = statusBit(
  [3, 7],
  'Unrecognised CVM',
  '未知的持卡人验证方法',
);
export const TVR_3_PIN_TRY_LIMIT_EXCEEDED: StatusBit = statusBit(
  [3, 6],
  'PIN Try Limit exceeded',
  '密码重试次数超限',
);
export const TVR_3_PIN_PAD_NOT_PRESENT: StatusBit = statusBit(
  [3, 5],
  'PIN entry required and PIN pad not present or not working',
  '要求输入密码但无密码键盘或键盘故障',
);
export const TVR_3_PIN_NOT_ENTERED: StatusBit = statusBit(
  [3, 4],
  'PIN entry required, PIN pad present, but PIN was not entered',
  '要求输入密码、有密码键盘但未输入',
);
export const TVR_3_ONLINE_PIN_ENTERED: StatusBit = statusBit(
  [3, 3],
  'Online PIN entered',
  '输入联机密码',
);
export const TVR_4_FLOOR_LIMIT_EXCEEDED: StatusBit = statusBit(
  [4, 8],
  'Transaction exceeds floor limit',
  '交易超过最低限额',
);
export const TVR_4_LOWER_OFFLINE_LIMIT_EXCEEDED: StatusBit = statusBit(
  [4, 7],
  'Lower consecutive offline limit exceeded',
  '超过连续脱机交易下限',
);
export const TVR_4_UPPER_OFFLINE_LIMIT_EXCEEDED: StatusBit = statusBit(
  [4, 6],
  'Upper consecutive offline limit exceeded',
  '超过连续脱机交易上限',
);
export const TVR_4_SELECTED_RANDOMLY_FOR_ONLINE: StatusBit = statusBit(
  [4, 5],
  'Transaction selected randomly for online processing',
  '交易被随机选择联机处理',
);
export const TVR_4_MERCHANT_FORCED_ONLINE: StatusBit = statusBit(
  [4, 4],
  'Merchant forced transaction online',
  '商户要求联机交易',
);
export const TVR_5_DEFAULT_TDOL_USED: StatusBit = statusBit(
  [5, 8],
  'Default TDOL used',
  '使用缺省TDOL',
);
export const TVR_5_ISSUER_AUTHENTICATION_FAILED: StatusBit = statusBit(
  [5, 7],
  'Issuer authentication failed',
  '发卡行认证失败',
);
export const TVR_5_SCRIPT_FAILED_BEFORE_FINAL_AC: StatusBit = statusBit(
  [5, 6],
  'Script processing failed before final GENERATE AC',
  '最后一次GENERATE AC命令前脚本处理失败',
);
export const TVR_5_SCRIPT_FAILED_AFTER_FINAL_AC: StatusBit = statusBit(
  [5, 5],
  'Script processing failed after final GENERATE AC',
  '最后一次GENERATE AC命令后脚本处理失败',
);

/** Length of the field in bytes. */
export const TVR_BYTES = 5;
/** All bits in the order of the standard's table. @see EMV 4.3 B3 §C5 */
export const TVR_BITS: readonly StatusBit[] = [
  TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED,
  TVR_1_SDA_FAILED,
  TVR_1_ICC_DATA_MISSING,
  TVR_1_CARD_ON_EXCEPTION_FILE,
  TVR_1_DDA_FAILED,
  TVR_1_CDA_FAILED,
  TVR_1_SDA_SELECTED,
  TVR_2_APPLICATION_VERSIONS_DIFFER,
  TVR_2_EXPIRED_APPLICATION,
  TVR_2_APPLICATION_NOT_YET_EFFECTIVE,
  TVR_2_SERVICE_NOT_ALLOWED,
  TVR_2_NEW_CARD,
  TVR_3_CARDHOLDER_VERIFICATION_FAILED,
  TVR_3_UNRECOGNISED_CVM,
  TVR_3_PIN_TRY_LIMIT_EXCEEDED,
  TVR_3_PIN_PAD_NOT_PRESENT,
  TVR_3_PIN_NOT_ENTERED,
  TVR_3_ONLINE_PIN_ENTERED,
  TVR_4_FLOOR_LIMIT_EXCEEDED,
  TVR_4_LOWER_OFFLINE_LIMIT_EXCEEDED,
  TVR_4_UPPER_OFFLINE_LIMIT_EXCEEDED,
  TVR_4_SELECTED_RANDOMLY_FOR_ONLINE,
  TVR_4_MERCHANT_FORCED_ONLINE,
  TVR_5_DEFAULT_TDOL_USED,
  TVR_5_ISSUER_AUTHENTICATION_FAILED,
  TVR_5_SCRIPT_FAILED_BEFORE_FINAL_AC,
  TVR_5_SCRIPT_FAILED_AFTER_FINAL_AC,
];

/** A copy of a TVR with the bit set. */
export function tvrSet(tvr: Uint8Array, bit: StatusBit): Uint8Array {
  return setBit(tvr, bit);
}

/** Whether a TVR has the bit. */
export function tvrHas(tvr: Uint8Array, bit: StatusBit): boolean {
  return hasBit(tvr, bit);
}

/** A TVR with nothing wrong. */
export function tvrEmpty(): Uint8Array {
  return new Uint8Array(TVR_BYTES);
}
