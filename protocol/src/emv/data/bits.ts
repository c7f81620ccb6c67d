/** Bits of EMV's flag fields: one shape, and functions that test, set and name them. */
import { byteAt } from '../../bytes/index.ts';
import { EmvDataError } from './errors.ts';

/** One bit; `byteNumber` counts from 1 as the standard's tables do, `mask` has one bit set. */
export type StatusBit = {
  readonly byteNumber: number;
  readonly mask: number;
  readonly nameEn: string;
  readonly nameZh: string;
};

/** A row of a bit table: `bitNumber` is 8 for the most significant bit, as in the standard. */
export function statusBit(
  position: readonly [byteNumber: number, bitNumber: number],
  nameEn: string,
  nameZh: string,
): StatusBit {
  const [byteNumber, bitNumber] = position;
  return { byteNumber, mask: 1 << (bitNumber - 1), nameEn, nameZh };
}

/** Whether the bit is set. @throws EmvDataError `ERR_EMV_BITS` when the field is too short. */
export function hasBit(field: Uint8Array, bit: StatusBit): boolean {
  assertHolds(field, bit);
  return (byteAt(field, bit.byteNumber - 1) & bit.mask) !== 0;
}

/** A copy with the bit set. @throws EmvDataError `ERR_EMV_BITS` when the field is too short. */
export function setBit(field: Uint8Array, bit: StatusBit): Uint8Array {
  assertHolds(field, bit);
  const copy = field.slice();
  copy[bit.byteNumber - 1] = byteAt(field, bit.byteNumber - 1) | bit.mask;
  return copy;
}

/** A copy with the bit clear. @throws EmvDataError `ERR_EMV_BITS` when the field is too short. */
export function clearBit(field: Uint8Array, bit: StatusBit): Uint8Array {
  assertHolds(field, bit);
  const copy = field.slice();
  copy[bit.byteNumber - 1] = byteAt(field, bit.byteNumber - 1) & ~bit.mask;
  return copy;
}

/** The bits of `table` that are set, in the table's order; a short field has fewer. */
export function bitsSet(field: Uint8Array, table: readonly StatusBit[]): readonly StatusBit[] {
  return table.filter((bit) => bit.byteNumber <= field.length && hasBit(field, bit));
}

/** Whether two fields of flags have a bit in common, as an action code and a TVR do. */
export function haveCommonBit(left: Uint8Array, right: Uint8Array): boolean {
  return left.some((value, index) => (value & (right[index] ?? 0)) !== 0);
}

function assertHolds(field: Uint8Array, bit: StatusBit): void {
  if (bit.byteNumber > field.length) {
    throw new EmvDataError('ERR_EMV_BITS', `no byte ${bit.byteNumber} in ${field.length} bytes`, {
      lengthBytes: field.length,
    });
  }
}
