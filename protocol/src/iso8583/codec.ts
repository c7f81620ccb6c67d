/** Messages to bytes and back, driven by a dialect's table. @see ISO 8583:1987 §4, Q/CUP 006 */
import { byteAt, bytesToLatin1 } from '../bytes/index.ts';
import type { Dialect, FieldSpec } from './dialect.ts';
import { fault } from './errors.ts';
import { type CupsHeader, decodeHeader, encodeHeader } from './header.ts';
import type { FieldValue, Iso8583Message } from './message.ts';

/** Longest message of any dialect here, header included. */
export const MESSAGE_BYTES_MAX = 4_096;
const MTI_BYTES = 4;
const BITMAP_BYTES = 8;

/** A message as it came, with who sent it. */
export type DecodedMessage = Iso8583Message & { readonly header: Required<CupsHeader> };

/**
 * The bytes of a message. The second bitmap is sent only when a field above 64 is present.
 * @throws Iso8583Error for an unknown field or a value that the dialect does not allow.
 */
export function encodeMessage(
  dialect: Dialect,
  header: CupsHeader,
  message: Iso8583Message,
): Uint8Array {
  assertMti(message.mti, dialect.headerBytes);
  const numbers = [...message.fields.keys()].sort((left, right) => left - right);
  const bitmapBytes = (numbers.at(-1) ?? 0) > 64 ? 2 * BITMAP_BYTES : BITMAP_BYTES;
  const bitmap = new Uint8Array(bitmapBytes);
  if (bitmapBytes > BITMAP_BYTES) setBit(bitmap, 1);
  const parts: Uint8Array[] = [];
  let offset = dialect.headerBytes + MTI_BYTES + bitmapBytes;
  for (const number of numbers) {
    const spec = specOf(dialect, number, offset);
    const content = encodeField(spec, message.fields.get(number) ?? '', offset);
    const prefix = spec.prefix.encode(content.length);
    setBit(bitmap, number);
    parts.push(prefix, content);
    offset += prefix.length + content.length;
  }
  if (offset > MESSAGE_BYTES_MAX) {
    const place = { fieldPath: 'message', offsetBytes: offset };
    throw fault('ERR_ISO8583_LENGTH', place, `is longer than ${MESSAGE_BYTES_MAX} bytes`);
  }
  const bytes = new Uint8Array(offset);
  bytes.set(encodeHeader(header, offset));
  for (let index = 0; index < MTI_BYTES; index++) {
    bytes[dialect.headerBytes + index] = message.mti.charCodeAt(index);
  }
  bytes.set(bitmap, dialect.headerBytes + MTI_BYTES);
  let at = dialect.headerBytes + MTI_BYTES + bitmapBytes;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * The message in exactly these bytes.
 * @throws Iso8583Error naming the field and the byte; nothing else whatever the bytes are.
 */
export function decodeMessage(dialect: Dialect, bytes: Uint8Array): DecodedMessage {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    const place = { fieldPath: 'message', offsetBytes: MESSAGE_BYTES_MAX };
    throw fault('ERR_ISO8583_LENGTH', place, `is longer than ${MESSAGE_BYTES_MAX} bytes`);
  }
  const header = decodeHeader(bytes);
  const start = dialect.headerBytes;
  const mti = bytesToLatin1(slice(bytes, start, MTI_BYTES, 'MTI'));
  assertMti(mti, start);
  const numbers = presentFields(bytes, start + MTI_BYTES);
  const isLong = (byteAt(bytes, start + MTI_BYTES) & 0x80) !== 0;
  let offset = start + MTI_BYTES + (isLong ? 2 : 1) * BITMAP_BYTES;
  const fields = new Map<number, FieldValue>();
  for (const number of numbers) {
    const spec = specOf(dialect, number, offset);
    const contentOffset = offset + spec.prefix.lengthBytes;
    const contentBytes = contentLength(spec, bytes, offset);
    const place = { fieldPath: spec.fieldPath, offsetBytes: contentOffset };
    const content = slice(bytes, contentOffset, contentBytes, spec.fieldPath);
    fields.set(number, spec.content.decode(content, place));
    offset = contentOffset + contentBytes;
  }
  if (offset !== bytes.length) {
    const place = { fieldPath: 'message', offsetBytes: offset };
    throw fault('ERR_ISO8583_TRAILING', place, `${bytes.length - offset} bytes follow it`);
  }
  return { mti, fields, header };
}

function assertMti(mti: string, offsetBytes: number): void {
  if (/^0[1-8][0-9]{2}$/.test(mti)) return;
  throw fault('ERR_ISO8583_MTI', { fieldPath: 'MTI', offsetBytes }, 'is no version 0 type');
}

/** Numbers of the present fields, in order. A third bitmap (bit 65) is refused. */
function presentFields(bytes: Uint8Array, offset: number): readonly number[] {
  const first = slice(bytes, offset, BITMAP_BYTES, 'bitmap');
  const isLong = (byteAt(first, 0) & 0x80) !== 0;
  const bitmap = isLong ? slice(bytes, offset, 2 * BITMAP_BYTES, 'bitmap') : first;
  const numbers: number[] = [];
  for (let number = 2; number <= 8 * bitmap.length; number++) {
    const mask = 0x80 >> ((number - 1) % 8);
    if ((byteAt(bitmap, (number - 1) >> 3) & mask) !== 0) numbers.push(number);
  }
  if (numbers.includes(65)) {
    const place = { fieldPath: 'bitmap', offsetBytes: offset + BITMAP_BYTES };
    throw fault('ERR_ISO8583_BITMAP', place, 'announces a third bitmap');
  }
  return numbers;
}

function setBit(bitmap: Uint8Array, number: number): void {
  const index = (number - 1) >> 3;
  bitmap[index] = byteAt(bitmap, index) | (0x80 >> ((number - 1) % 8));
}

function specOf(dialect: Dialect, number: number, offsetBytes: number): FieldSpec {
  const spec = dialect.fields.get(number);
  if (spec) return spec;
  const place = { fieldPath: `F${number}`, offsetBytes };
  throw fault('ERR_ISO8583_FIELD', place, `is not defined in ${dialect.name}`);
}

function encodeField(spec: FieldSpec, value: FieldValue, offset: number): Uint8Array {
  const place = {
    fieldPath: spec.fieldPath,
    offsetBytes: offset + spec.prefix.lengthBytes,
  };
  const content = spec.content.encode(value, place);
  assertLength(spec, content.length, place.offsetBytes);
  return content;
}

function contentLength(spec: FieldSpec, bytes: Uint8Array, offset: number): number {
  const { lengthBytes } = spec.prefix;
  if (lengthBytes === 0) return spec.contentBytesMax;
  const length = spec.prefix.decode(slice(bytes, offset, lengthBytes, spec.fieldPath));
  if (length === null) {
    const place = { fieldPath: spec.fieldPath, offsetBytes: offset };
    throw fault('ERR_ISO8583_LENGTH', place, 'has a length that is no number');
  }
  assertLength(spec, length, offset);
  return length;
}

function assertLength(spec: FieldSpec, length: number, offsetBytes: number): void {
  if (length >= spec.contentBytesMin && length <= spec.contentBytesMax) return;
  const wanted =
    spec.contentBytesMin === spec.contentBytesMax
      ? String(spec.contentBytesMax)
      : `${spec.contentBytesMin} to ${spec.contentBytesMax}`;
  const place = { fieldPath: spec.fieldPath, offsetBytes };
  throw fault('ERR_ISO8583_LENGTH', place, `has ${length} bytes, ${wanted} allowed`);
}

function slice(bytes: Uint8Array, offset: number, length: number, fieldPath: string): Uint8Array {
  if (offset + length <= bytes.length) return bytes.subarray(offset, offset + length);
  const place = { fieldPath, offsetBytes: bytes.length };
  throw fault('ERR_ISO8583_TRUNCATED', place, `ends early, ${length} bytes wanted`);
}
