/** Data groupings: 2-byte identifier, length of 1 byte or FF and 2, value. @see EMV CPS 1.1 §2.1 */
import { bytesToUint, concatBytes, uintToBytes } from '../../bytes/index.ts';
import { formatFault, limitFault } from './errors.ts';

/** One grouping. */
export type DataGrouping = { readonly identifier: number; readonly value: Uint8Array };

/** Groupings in one list of them. */
export const DATA_GROUPINGS_MAX = 256;
const LONG_FORM = 0xff;
const VALUE_BYTES_MAX = 0xffff;

/** Identifier, length and value. @throws GlobalPlatformError `ERR_GP_LIMIT`. */
export function encodeDataGrouping({ identifier, value }: DataGrouping): Uint8Array {
  if (value.length > VALUE_BYTES_MAX) {
    throw limitFault('DGI value bytes', value.length, VALUE_BYTES_MAX);
  }
  const length =
    value.length < LONG_FORM
      ? Uint8Array.of(value.length)
      : concatBytes(Uint8Array.of(LONG_FORM), uintToBytes(value.length, 2));
  return concatBytes(uintToBytes(identifier, 2), length, value);
}

/**
 * Groupings one after another.
 * @throws GlobalPlatformError `ERR_GP_FORMAT` with the place of a cut one, `ERR_GP_LIMIT`.
 */
export function decodeDataGroupings(bytes: Uint8Array): readonly DataGrouping[] {
  const groupings: DataGrouping[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (groupings.length === DATA_GROUPINGS_MAX) {
      throw limitFault('data groupings', groupings.length + 1, DATA_GROUPINGS_MAX);
    }
    const identifier = bytesToUint(bytes.subarray(offset, offset + 2));
    const isLong = bytes[offset + 2] === LONG_FORM;
    const start = offset + (isLong ? 5 : 3);
    const length = isLong ? bytesToUint(bytes.subarray(offset + 3, offset + 5)) : bytes[offset + 2];
    const end = start + (length ?? 0);
    if (length === undefined || end > bytes.length) {
      throw formatFault('data grouping is cut off', offset);
    }
    groupings.push({ identifier, value: bytes.slice(start, end) });
    offset = end;
  }
  return groupings;
}

/** Groupings 8000 to 8FFF hold keys: whole blocks without padding. @see EMV CPS 1.1 §2.3 */
export function isKeyGrouping(identifier: number): boolean {
  return identifier >> 12 === 0x8;
}
