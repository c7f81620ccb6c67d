/** Length-value fields of INSTALL, in order. @see GPCS 2.3.1 §11.5.2.3 */
import { byteAt, bytesToUint, concatBytes, toHex, uintToBytes } from '../../bytes/index.ts';
import { formatFault } from './errors.ts';

/** Fields one after another; a length above 127 is coded as in BER. */
export function encodeLengthValues(...values: readonly Uint8Array[]): Uint8Array {
  return concatBytes(...values.flatMap((value) => [berLength(value.length), value]));
}

/** A BER length: one byte, or 81 and one, 82 and two, 83 and three. */
export function berLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const lengthBytes = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  return concatBytes(Uint8Array.of(0x80 | lengthBytes), uintToBytes(length, lengthBytes));
}

/** What `readBerLength` found: the length, and where the value begins. */
export type BerLength = { readonly length: number; readonly valueOffset: number };

/** A BER length at an offset; null when it is cut off or of an unknown form. */
export function readBerLength(bytes: Uint8Array, offset: number): BerLength | null {
  const first = bytes[offset];
  if (first === undefined) return null;
  if (first < 0x80) return { length: first, valueOffset: offset + 1 };
  const lengthBytes = first & 0x7f;
  const valueOffset = offset + 1 + lengthBytes;
  if (lengthBytes < 1 || lengthBytes > 3 || valueOffset > bytes.length) return null;
  return { length: bytesToUint(bytes.subarray(offset + 1, valueOffset)), valueOffset };
}

/**
 * Exactly `count` fields and nothing behind them.
 * @throws GlobalPlatformError `ERR_GP_FORMAT` with the place.
 */
export function decodeLengthValues(bytes: Uint8Array, count: number): readonly Uint8Array[] {
  const values: Uint8Array[] = [];
  let offset = 0;
  for (let index = 0; index < count; index++) {
    const found = readBerLength(bytes, offset);
    const end = found ? found.valueOffset + found.length : Number.POSITIVE_INFINITY;
    if (!found || end > bytes.length) throw formatFault(`field ${index} is cut off`, offset);
    values.push(bytes.slice(found.valueOffset, end));
    offset = end;
  }
  if (offset !== bytes.length) {
    throw formatFault(`byte ${byteAt(bytes, offset)} follows the last field`, offset);
  }
  return values;
}

/** Most bytes of a tag. */
const TAG_BYTES_MAX = 4;

/**
 * TLV objects one after another, whose values are not looked into: they may be enciphered.
 * @throws GlobalPlatformError `ERR_GP_FORMAT` with the place.
 */
export function decodeOneLevel(
  bytes: Uint8Array,
): readonly { readonly tag: string; readonly value: Uint8Array }[] {
  const objects: { readonly tag: string; readonly value: Uint8Array }[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    let tagEnd = offset + 1;
    if ((byteAt(bytes, offset) & 0x1f) === 0x1f) {
      while (tagEnd < bytes.length && byteAt(bytes, tagEnd) & 0x80) tagEnd++;
      tagEnd++;
    }
    const found = tagEnd - offset <= TAG_BYTES_MAX ? readBerLength(bytes, tagEnd) : null;
    const end = found ? found.valueOffset + found.length : Number.POSITIVE_INFINITY;
    if (!found || end > bytes.length) throw formatFault('object is cut off', offset);
    objects.push({
      tag: toHex(bytes.subarray(offset, tagEnd)),
      value: bytes.slice(found.valueOffset, end),
    });
    offset = end;
  }
  return objects;
}
