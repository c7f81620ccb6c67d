/** Application default action, tag 9F52: the issuer's orders for card risk management. */
import { type StatusBit, statusBit } from './bits.ts';

export const ADA_1_ISSUER_AUTHENTICATION_FAILED_NEXT_ONLINE: StatusBit = statusBit(
  [1, 8],
  'If issuer authentication failed, transmit next transaction online',
  '发卡行认证失败，下次交易联机',
);
export const ADA_1_ISSUER_AUTHENTICATION_FAILED_DECLINE: StatusBit = statusBit(
  [1, 7],
  'If issuer authentication performed and failed, decline transaction',
  '发卡行认证执行但失败，拒绝交易',
);
export const ADA_1_ISSUER_AUTHENTICATION_MISSING_DECLINE: StatusBit = statusBit(
  [1, 6],
  'If issuer authentication mandatory and no ARPC received, decline transaction',
  '发卡行认证必备但未收到ARPC，拒绝交易',
);
export const ADA_1_OFFLINE_DECLINE_ADVICE: StatusBit = statusBit(
  [1, 5],
  'If transaction declined offline, create advice',
  '交易脱机拒绝，生成通知',
);
export const ADA_1_PIN_TRY_LIMIT_DECLINE_ADVICE: StatusBit = statusBit(
  [1, 4],
  'If PIN Try Limit exceeded on current transaction and declined, create advice',
  '本次交易密码尝试超限且拒绝，生成通知',
);
export const ADA_1_ISSUER_AUTHENTICATION_DECLINE_ADVICE: StatusBit = statusBit(
  [1, 3],
  'If declined because issuer authentication failed or not performed, create advice',
  '因发卡行认证失败或未执行而拒绝，生成通知',
);
export const ADA_1_NEW_CARD_ONLINE: StatusBit = statusBit(
  [1, 2],
  'If new card, transmit transaction online',
  '新卡联机',
);
export const ADA_1_NEW_CARD_UNABLE_ONLINE_DECLINE: StatusBit = statusBit(
  [1, 1],
  'If new card, decline if unable to transmit online',
  '新卡不能联机时拒绝',
);
export const ADA_2_PIN_TRY_LIMIT_BLOCK: StatusBit = statusBit(
  [2, 8],
  'If PIN Try Limit exceeded on current transaction, block application',
  '本次交易密码尝试超限，锁定应用',
);
export const ADA_2_LAST_PIN_TRY_LIMIT_DECLINE: StatusBit = statusBit(
  [2, 7],
  'If PIN Try Limit exceeded on previous transaction, decline',
  '上次交易密码尝试超限，拒绝',
);
export const ADA_2_LAST_PIN_TRY_LIMIT_ONLINE: StatusBit = statusBit(
  [2, 6],
  'If PIN Try Limit exceeded on previous transaction, transmit online',
  '上次交易密码尝试超限，联机',
);
export const ADA_2_LAST_PIN_TRY_LIMIT_UNABLE_ONLINE_DECLINE: StatusBit = statusBit(
  [2, 5],
  'If PIN Try Limit exceeded on previous transaction, decline if unable to transmit online',
  '上次交易密码尝试超限，不能联机时拒绝',
);
export const ADA_2_LAST_SCRIPT_FAILED_ONLINE: StatusBit = statusBit(
  [2, 4],
  'If issuer script failed on a previous transaction, transmit online',
  '上次交易脚本失败，联机',
);
export const ADA_2_LAST_PIN_TRY_LIMIT_DECLINE_BLOCK: StatusBit = statusBit(
  [2, 3],
  'If PIN Try Limit exceeded on previous transaction, decline and block application',
  '上次交易密码尝试超限，拒绝并锁定应用',
);

/** Length of the field in bytes. */
export const ADA_BYTES = 2;
/** All bits in the order of the standard's table. @see PBOC3 P5 (9F52) */
export const ADA_BITS: readonly StatusBit[] = [
  ADA_1_ISSUER_AUTHENTICATION_FAILED_NEXT_ONLINE,
  ADA_1_ISSUER_AUTHENTICATION_FAILED_DECLINE,
  ADA_1_ISSUER_AUTHENTICATION_MISSING_DECLINE,
  ADA_1_OFFLINE_DECLINE_ADVICE,
  ADA_1_PIN_TRY_LIMIT_DECLINE_ADVICE,
  ADA_1_ISSUER_AUTHENTICATION_DECLINE_ADVICE,
  ADA_1_NEW_CARD_ONLINE,
  ADA_1_NEW_CARD_UNABLE_ONLINE_DECLINE,
  ADA_2_PIN_TRY_LIMIT_BLOCK,
  ADA_2_LAST_PIN_TRY_LIMIT_DECLINE,
  ADA_2_LAST_PIN_TRY_LIMIT_ONLINE,
  ADA_2_LAST_PIN_TRY_LIMIT_UNABLE_ONLINE_DECLINE,
  ADA_2_LAST_SCRIPT_FAILED_ONLINE,
  ADA_2_LAST_PIN_TRY_LIMIT_DECLINE_BLOCK,
];
