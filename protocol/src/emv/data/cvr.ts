/** Card verification results, bytes 4-7 of tag 9F10 (first byte 03 is the length). */
import { type StatusBit, statusBit } from './bits.ts';

export const CVR_2_SECOND_AC_NOT_REQUESTED: StatusBit = statusBit(
  [2, 8],
  'Second GENERATE AC not requested (10) or TC bit of it',
  '未请求第二次GENERATE AC',
);
export const CVR_2_SECOND_AC_TC: StatusBit = statusBit(
  [2, 7],
  'Second GENERATE AC returned a TC (01)',
  '第二次GENERATE AC返回TC',
);
export const CVR_2_FIRST_AC_ARQC: StatusBit = statusBit(
  [2, 6],
  'First GENERATE AC returned an ARQC (10)',
  '第一次GENERATE AC返回ARQC',
);
export const CVR_2_FIRST_AC_TC: StatusBit = statusBit(
  [2, 5],
  'First GENERATE AC returned a TC (01)',
  '第一次GENERATE AC返回TC',
);
export const CVR_2_ISSUER_AUTHENTICATION_FAILED: StatusBit = statusBit(
  [2, 4],
  'Issuer authentication performed and failed',
  '发卡行认证执行但失败',
);
export const CVR_2_OFFLINE_PIN_PERFORMED: StatusBit = statusBit(
  [2, 3],
  'Offline PIN verification performed',
  '脱机密码验证已执行',
);
export const CVR_2_OFFLINE_PIN_FAILED: StatusBit = statusBit(
  [2, 2],
  'Offline PIN verification failed',
  '脱机密码验证失败',
);
export const CVR_2_UNABLE_TO_GO_ONLINE: StatusBit = statusBit(
  [2, 1],
  'Unable to go online',
  '不能联机',
);
export const CVR_3_LAST_ONLINE_NOT_COMPLETED: StatusBit = statusBit(
  [3, 8],
  'Last online transaction not completed',
  '上次联机交易未完成',
);
export const CVR_3_PIN_TRY_LIMIT_EXCEEDED: StatusBit = statusBit(
  [3, 7],
  'PIN Try Limit exceeded',
  '密码尝试次数超限',
);
export const CVR_3_VELOCITY_EXCEEDED: StatusBit = statusBit(
  [3, 6],
  'Exceeded velocity checking counters',
  '超过频度检查',
);
export const CVR_3_NEW_CARD: StatusBit = statusBit([3, 5], 'New card', '新卡');
export const CVR_3_LAST_ISSUER_AUTHENTICATION_FAILED: StatusBit = statusBit(
  [3, 4],
  'Issuer authentication failure on last online transaction',
  '上次联机交易发卡行认证失败',
);
export const CVR_3_ISSUER_AUTHENTICATION_NOT_PERFORMED: StatusBit = statusBit(
  [3, 3],
  'Issuer authentication not performed after online authorization',
  '联机授权后未执行发卡行认证',
);
export const CVR_3_BLOCKED_BY_PIN_TRY_LIMIT: StatusBit = statusBit(
  [3, 2],
  'Application blocked by card because PIN Try Limit exceeded',
  '密码尝试次数超限，应用被卡片锁定',
);
export const CVR_3_LAST_SDA_FAILED: StatusBit = statusBit(
  [3, 1],
  'Offline static data authentication failed on last transaction and declined offline',
  '上次交易静态数据认证失败且脱机拒绝',
);
export const CVR_4_LAST_SCRIPT_FAILED: StatusBit = statusBit(
  [4, 4],
  'Issuer script processing failed on last transaction',
  '上次交易脚本处理失败',
);
export const CVR_4_LAST_DDA_FAILED: StatusBit = statusBit(
  [4, 3],
  'Offline dynamic data authentication failed on last transaction and declined offline',
  '上次交易动态数据认证失败且脱机拒绝',
);
export const CVR_4_DDA_PERFORMED: StatusBit = statusBit(
  [4, 2],
  'Offline dynamic data authentication performed',
  '动态数据认证已执行',
);
export const CVR_4_PIN_COMMAND_NOT_RECEIVED: StatusBit = statusBit(
  [4, 1],
  'PIN verification command not received for a PIN-expecting card',
  '需要验证密码但未收到验证命令',
);

/** Length of the field in bytes. */
export const CVR_BYTES = 4;
/** All bits in the order of the standard's table. @see PBOC3 P5 (CVR) */
export const CVR_BITS: readonly StatusBit[] = [
  CVR_2_SECOND_AC_NOT_REQUESTED,
  CVR_2_SECOND_AC_TC,
  CVR_2_FIRST_AC_ARQC,
  CVR_2_FIRST_AC_TC,
  CVR_2_ISSUER_AUTHENTICATION_FAILED,
  CVR_2_OFFLINE_PIN_PERFORMED,
  CVR_2_OFFLINE_PIN_FAILED,
  CVR_2_UNABLE_TO_GO_ONLINE,
  CVR_3_LAST_ONLINE_NOT_COMPLETED,
  CVR_3_PIN_TRY_LIMIT_EXCEEDED,
  CVR_3_VELOCITY_EXCEEDED,
  CVR_3_NEW_CARD,
  CVR_3_LAST_ISSUER_AUTHENTICATION_FAILED,
  CVR_3_ISSUER_AUTHENTICATION_NOT_PERFORMED,
  CVR_3_BLOCKED_BY_PIN_TRY_LIMIT,
  CVR_3_LAST_SDA_FAILED,
  CVR_4_LAST_SCRIPT_FAILED,
  CVR_4_LAST_DDA_FAILED,
  CVR_4_DDA_PERFORMED,
  CVR_4_PIN_COMMAND_NOT_RECEIVED,
];
