/** BER-TLV as EMV uses it: tags of up to 4 bytes, lengths of up to 3. @see EMV 4.3 B3 Annex B */
import { byteAt, bytesToUint, concatBytes, fromHex, toHex } from '../bytes/index.ts';
import { Iso7816Error } from './errors.ts';

/** Deepest nesting accepted; EMV itself needs four levels (6F A5 BF0C 61). */
export const TLV_DEPTH_MAX = 8;
/** Longest tag accepted, in bytes. */
export const TLV_TAG_BYTES_MAX = 4;

/** One data object; `children` only for constructed tags. `tag` is upper-case hex, as `9F26`. */
export type Tlv = {
  readonly tag: string;
  readonly value: Uint8Array;
  readonly children?: readonly Tlv[];
  readonly offsetBytes: number;
};

/**
 * All data objects of `bytes` in order; 00 and FF filler between objects is skipped
 * (QUIRK: cards pad records, evsinev/ber-tlv #11).
 * @throws Iso7816Error `ERR_TLV_TAG`, `ERR_TLV_LENGTH`, `ERR_TLV_DEPTH` with `offsetBytes`.
 */
export function decodeTlv(bytes: Uint8Array): readonly Tlv[] {
  return decodeLevel(bytes, 0, 0);
}

function decodeLevel(bytes: Uint8Array, baseBytes: number, depth: number): readonly Tlv[] {
  if (depth >= TLV_DEPTH_MAX) {
    throw new Iso7816Error('ERR_TLV_DEPTH', `nested deeper than ${TLV_DEPTH_MAX} levels`, {
      offsetBytes: baseBytes,
    });
  }
  const objects: Tlv[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const filler = byteAt(bytes, offset);
    if (filler === 0x00 || filler === 0xff) {
      offset += 1;
      continue;
    }
    const tagBytes = readTag(bytes, offset, baseBytes);
    const { lengthBytes, value } = readValue(bytes, offset + tagBytes, baseBytes);
    const start = offset + tagBytes + lengthBytes;
    const tag = toHex(bytes.subarray(offset, offset + tagBytes));
    const object = { tag, value: value.slice(), offsetBytes: baseBytes + offset };
    const constructed = (filler & 0x20) !== 0;
    objects.push(
      constructed
        ? { ...object, children: decodeLevel(value, baseBytes + start, depth + 1) }
        : object,
    );
    offset = start + value.length;
  }
  return objects;
}

/** Length in bytes of the tag at `offset`. */
function readTag(bytes: Uint8Array, offset: number, baseBytes: number): number {
  if ((byteAt(bytes, offset) & 0x1f) !== 0x1f) return 1;
  for (let length = 2; length <= TLV_TAG_BYTES_MAX; length++) {
    const next = bytes[offset + length - 1];
    if (next === undefined) break;
    if ((next & 0x80) === 0) return length;
  }
  throw new Iso7816Error('ERR_TLV_TAG', `tag at byte ${baseBytes + offset} does not end`, {
    offsetBytes: baseBytes + offset,
  });
}

function readValue(
  bytes: Uint8Array,
  offset: number,
  baseBytes: number,
): { lengthBytes: number; value: Uint8Array } {
  const first = bytes[offset];
  if (first === undefined) throw lengthError(baseBytes + offset, 'length is missing');
  const extra = first & 0x80 ? first & 0x7f : 0;
  if (first === 0x80) throw lengthError(baseBytes + offset, 'indefinite length');
  if (extra > 3) throw lengthError(baseBytes + offset, `length of ${extra} length bytes`);
  if (offset + 1 + extra > bytes.length) throw lengthError(baseBytes + offset, 'length is cut off');
  const length = extra ? bytesToUint(bytes.subarray(offset + 1, offset + 1 + extra)) : first;
  const start = offset + 1 + extra;
  if (start + length > bytes.length) {
    throw lengthError(
      baseBytes + offset,
      `${length} bytes announced, ${bytes.length - start} left`,
    );
  }
  return { lengthBytes: 1 + extra, value: bytes.subarray(start, start + length) };
}

function lengthError(offsetBytes: number, why: string): Iso7816Error {
  return new Iso7816Error('ERR_TLV_LENGTH', `at byte ${offsetBytes}: ${why}`, { offsetBytes });
}

/** One data object in its shortest form. */
export function encodeTlv(tag: string, value: Uint8Array): Uint8Array {
  return concatBytes(fromHex(tag), encodeLength(value.length), value);
}

function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  if (length < 0x10000) return Uint8Array.of(0x82, length >> 8, length & 0xff);
  throw new Iso7816Error('ERR_TLV_LENGTH', `${length} bytes do not fit a data object`);
}

/** First object with `tag`, depth first in order, or undefined. */
export function findTlv(objects: readonly Tlv[], tag: string): Tlv | undefined {
  for (const object of objects) {
    if (object.tag === tag) return object;
    const inner = object.children && findTlv(object.children, tag);
    if (inner) return inner;
  }
  return undefined;
}

/** Primitive objects of all levels as a map; the first of a doubled tag stays. */
export function flattenTlv(objects: readonly Tlv[]): Map<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  collect(objects, values);
  return values;
}

function collect(objects: readonly Tlv[], values: Map<string, Uint8Array>): void {
  for (const object of objects) {
    if (object.children) collect(object.children, values);
    else if (!values.has(object.tag)) values.set(object.tag, object.value);
  }
}
