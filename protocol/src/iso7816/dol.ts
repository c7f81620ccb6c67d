/** Data object lists: tag and length pairs that ask for values. @see EMV 4.3 B3 §5.4 */
import { byteAt, concatBytes, toHex } from '../bytes/index.ts';
import { Iso7816Error } from './errors.ts';

/** Most data bytes one list may ask for: what a short APDU carries. */
export const DOL_VALUE_BYTES_MAX = 252;

/** One wanted value. A list, never a map: a tag may be asked for twice (python-emv #22). */
export type DolEntry = { readonly tag: string; readonly lengthBytes: number };

/** Format of a data element, which decides how a value is fitted to the asked length. */
export type DolFormat = 'n' | 'cn' | 'other';

/** Entries of a DOL in order. @throws Iso7816Error `ERR_DOL` with `offsetBytes`. */
export function decodeDol(bytes: Uint8Array): readonly DolEntry[] {
  const entries: DolEntry[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const start = offset;
    offset += 1;
    if ((byteAt(bytes, start) & 0x1f) === 0x1f) {
      while (offset < bytes.length && byteAt(bytes, offset) & 0x80) offset += 1;
      offset += 1;
    }
    const lengthBytes = bytes[offset];
    if (offset > bytes.length || offset - start > 4 || lengthBytes === undefined) {
      throw new Iso7816Error('ERR_DOL', `entry at byte ${start} is cut off`, {
        offsetBytes: start,
      });
    }
    entries.push({ tag: toHex(bytes.subarray(start, offset)), lengthBytes });
    offset += 1;
  }
  const total = entries.reduce((sum, entry) => sum + entry.lengthBytes, 0);
  if (total > DOL_VALUE_BYTES_MAX) {
    throw new Iso7816Error('ERR_DOL', `asks for ${total} bytes, ${DOL_VALUE_BYTES_MAX} allowed`);
  }
  return entries;
}

/**
 * The values a DOL asks for, each truncated or padded by its format; unknown tags are zeros.
 * @see EMV 4.3 B3 §5.4
 */
export function buildDolValue(
  entries: readonly DolEntry[],
  valueFor: (tag: string) => Uint8Array | undefined,
  formatOf: (tag: string) => DolFormat,
): Uint8Array {
  return concatBytes(
    ...entries.map((entry) => {
      const value = valueFor(entry.tag);
      if (value === undefined) return new Uint8Array(entry.lengthBytes);
      return fitValue(value, entry.lengthBytes, formatOf(entry.tag));
    }),
  );
}

function fitValue(value: Uint8Array, lengthBytes: number, format: DolFormat): Uint8Array {
  if (value.length === lengthBytes) return value;
  const surplus = value.length - lengthBytes;
  if (surplus > 0) return format === 'n' ? value.slice(surplus) : value.slice(0, lengthBytes);
  const padding = new Uint8Array(-surplus).fill(format === 'cn' ? 0xff : 0x00);
  return format === 'n' ? concatBytes(padding, value) : concatBytes(value, padding);
}
