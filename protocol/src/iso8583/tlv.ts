/**
 * Data objects of field 55 (and of 62 in parameter downloads), kept byte for byte: what is unknown,
 * doubled, padded or oddly long survives a change of its neighbour. @see EMV 4.3 B3 annex B
 */
import { concatBytes, toHex } from '../bytes/index.ts';
import { fault, type Iso8583Error } from './errors.ts';

/** One data object. */
export type TlvElement = {
  /** Upper-case hex; empty for filler bytes (00, FF) between objects. */
  readonly tag: string;
  readonly value: Uint8Array;
  /** Tag, length and value as they came. */
  readonly raw: Uint8Array;
  /** Where the value begins. */
  readonly offsetBytes: number;
};

/** Where the bytes stand, for faults. */
export type TlvPlace = { readonly fieldPath: string; readonly offsetBytes: number };

const TAG_BYTES_MAX = 4;
/** Length bytes after 81, 82 or 83. */
const LENGTH_BYTES_MAX = 3;

/** The objects one after another; templates are not opened. @throws Iso8583Error. */
export function decodeTlvElements(bytes: Uint8Array, place: TlvPlace): readonly TlvElement[] {
  const elements: TlvElement[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const element = elementAt(bytes, offset, place);
    elements.push(element);
    offset += element.raw.length;
  }
  return elements;
}

function elementAt(bytes: Uint8Array, start: number, place: TlvPlace): TlvElement {
  const first = bytes[start];
  if (first === 0x00 || first === 0xff) {
    let end = start;
    while (bytes[end] === first) end++;
    const raw = bytes.slice(start, end);
    return { tag: '', value: raw, raw, offsetBytes: place.offsetBytes + start };
  }
  const tagEnd = endOfTag(bytes, start, place);
  const tag = toHex(bytes.subarray(start, tagEnd));
  const inside = {
    fieldPath: `${place.fieldPath}.${tag}`,
    offsetBytes: place.offsetBytes + tagEnd,
  };
  const { valueStart, lengthBytes } = lengthAt(bytes, tagEnd, inside);
  const end = valueStart + lengthBytes;
  if (end > bytes.length) {
    const what = `ends early, ${lengthBytes} bytes wanted`;
    const at = { ...inside, offsetBytes: place.offsetBytes + bytes.length };
    throw fault('ERR_ISO8583_TRUNCATED', at, what);
  }
  return {
    tag,
    value: bytes.slice(valueStart, end),
    raw: bytes.slice(start, end),
    offsetBytes: place.offsetBytes + valueStart,
  };
}

function endOfTag(bytes: Uint8Array, start: number, place: TlvPlace): number {
  let end = start + 1;
  if (((bytes[start] ?? 0) & 0x1f) === 0x1f) {
    while (((bytes[end] ?? 0) & 0x80) !== 0 && end - start < TAG_BYTES_MAX) end++;
    end++;
  }
  if (end > bytes.length) throw cut(place, bytes.length, 'the tag ends early');
  if (end - start <= TAG_BYTES_MAX) return end;
  const at = { ...place, offsetBytes: place.offsetBytes + start };
  throw fault('ERR_ISO8583_FIELD', at, `has a tag of more than ${TAG_BYTES_MAX} bytes`);
}

function lengthAt(
  bytes: Uint8Array,
  offset: number,
  place: TlvPlace,
): { readonly valueStart: number; readonly lengthBytes: number } {
  const first = bytes[offset];
  if (first === undefined) throw fault('ERR_ISO8583_TRUNCATED', place, 'has no length');
  if (first < 0x80) return { valueStart: offset + 1, lengthBytes: first };
  const count = first & 0x7f;
  if (count === 0 || count > LENGTH_BYTES_MAX) {
    throw fault('ERR_ISO8583_LENGTH', place, `has a length of ${count} bytes`);
  }
  let lengthBytes = 0;
  for (let index = offset + 1; index <= offset + count; index++) {
    const byte = bytes[index];
    if (byte === undefined) throw fault('ERR_ISO8583_TRUNCATED', place, 'the length ends early');
    lengthBytes = 256 * lengthBytes + byte;
  }
  return { valueStart: offset + 1 + count, lengthBytes };
}

function cut(place: TlvPlace, lengthBytes: number, what: string): Iso8583Error {
  const at = { ...place, offsetBytes: place.offsetBytes + lengthBytes };
  return fault('ERR_ISO8583_TRUNCATED', at, what);
}

/** The bytes of objects, each as it came. */
export function encodeTlvElements(elements: readonly TlvElement[]): Uint8Array {
  return concatBytes(...elements.map(({ raw }) => raw));
}

/**
 * The objects with one replaced in its place, or added at the end; `null` removes it. Of doubled
 * tags the first is replaced and the others go.
 */
export function withTlvElement(
  elements: readonly TlvElement[],
  tag: string,
  value: Uint8Array | null,
): readonly TlvElement[] {
  const at = elements.findIndex((element) => element.tag === tag);
  const others = elements.filter((element) => element.tag !== tag);
  if (value === null) return others;
  const raw = concatBytes(tagBytes(tag), lengthBytesOf(value.length), value);
  const made: TlvElement = { tag, value, raw, offsetBytes: 0 };
  return at < 0 ? [...others, made] : others.toSpliced(at, 0, made);
}

function tagBytes(tag: string): Uint8Array {
  if (!/^(?:[0-9A-F]{2}){1,4}$/.test(tag)) {
    throw fault('ERR_ISO8583_FIELD', { fieldPath: tag, offsetBytes: 0 }, 'is no tag');
  }
  return Uint8Array.from(tag.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function lengthBytesOf(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  return length < 0x100 ? Uint8Array.of(0x81, length) : Uint8Array.of(0x82, length >> 8, length);
}
