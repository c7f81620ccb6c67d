/** Application usage control, tag 9F07: where the card may be used. */
import { type StatusBit, statusBit } from './bits.ts';

export const AUC_1_DOMESTIC_CASH: StatusBit = statusBit(
  [1, 8],
  'Valid for domestic cash transactions',
  '国内现金交易有效',
);
export const AUC_1_INTERNATIONAL_CASH: StatusBit = statusBit(
  [1, 7],
  'Valid for international cash transactions',
  '国际现金交易有效',
);
export const AUC_1_DOMESTIC_GOODS: StatusBit = statusBit(
  [1, 6],
  'Valid for domestic goods',
  '国内商品有效',
);
export const AUC_1_INTERNATIONAL_GOODS: StatusBit = statusBit(
  [1, 5],
  'Valid for international goods',
  '国际商品有效',
);
export const AUC_1_DOMESTIC_SERVICES: StatusBit = statusBit(
  [1, 4],
  'Valid for domestic services',
  '国内服务有效',
);
export const AUC_1_INTERNATIONAL_SERVICES: StatusBit = statusBit(
  [1, 3],
  'Valid for international services',
  '国际服务有效',
);
export const AUC_1_ATMS: StatusBit = statusBit([1, 2], 'Valid at ATMs', 'ATM有效');
export const AUC_1_OTHER_THAN_ATMS: StatusBit = statusBit(
  [1, 1],
  'Valid at terminals other than ATMs',
  '除ATM外的终端有效',
);
export const AUC_2_DOMESTIC_CASHBACK: StatusBit = statusBit(
  [2, 8],
  'Domestic cashback allowed',
  '允许国内返现',
);
export const AUC_2_INTERNATIONAL_CASHBACK: StatusBit = statusBit(
  [2, 7],
  'International cashback allowed',
  '允许国际返现',
);

/** Length of the field in bytes. */
export const AUC_BYTES = 2;
/** All bits in the order of the standard's table. @see EMV 4.3 B3 §C2 */
export const AUC_BITS: readonly StatusBit[] = [
  AUC_1_DOMESTIC_CASH,
  AUC_1_INTERNATIONAL_CASH,
  AUC_1_DOMESTIC_GOODS,
  AUC_1_INTERNATIONAL_GOODS,
  AUC_1_DOMESTIC_SERVICES,
  AUC_1_INTERNATIONAL_SERVICES,
  AUC_1_ATMS,
  AUC_1_OTHER_THAN_ATMS,
  AUC_2_DOMESTIC_CASHBACK,
  AUC_2_INTERNATIONAL_CASHBACK,
];
