/** Messages to bytes and back, driven by a dialect's table. @see ISO 8583:1987 §4, Q/CUP 006 */
import { byteAt } from '../bytes/index.ts';
import type { Dialect, FieldSpec } from './dialect.ts';
import { putAscii, type Source, sourceOf } from './encodings.ts';
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
  const { mti, fields } = message;
  const start = dialect.headerBytes;
  assertMti(mti, start);
  const numbers = [...fields.keys()].sort((left, right) => left - right);
  const isLong = (numbers.at(-1) ?? 0) > 64;
  const first = start + MTI_BYTES + (isLong ? 2 : 1) * BITMAP_BYTES;
  const plan: FieldPlan[] = [];
  let offset = first;
  for (const number of numbers) {
    const planned = planField(specOf(dialect, number, offset), fields.get(number) ?? '', offset);
    plan.push(planned);
    offset = planned.contentOffset + planned.contentBytes;
  }
  assertMessageLength(offset);
  const bytes = new Uint8Array(offset);
  bytes.set(encodeHeader(header, offset));
  putAscii(mti, bytes, start);
  if (isLong) setBit(bytes, start + MTI_BYTES, 1);
  for (const { spec, value, contentOffset, contentBytes } of plan) {
    setBit(bytes, start + MTI_BYTES, spec.number);
    spec.prefix.write(contentBytes, bytes, contentOffset - spec.prefix.lengthBytes);
    spec.content.write(value, bytes, contentOffset);
  }
  return bytes;
}

/** A field that may be written, and where. */
type FieldPlan = {
  readonly spec: FieldSpec;
  readonly value: FieldValue;
  readonly contentOffset: number;
  readonly contentBytes: number;
};

function planField(spec: FieldSpec, value: FieldValue, offset: number): FieldPlan {
  const contentOffset = offset + spec.prefix.lengthBytes;
  const contentBytes = spec.content.measure(spec, value, contentOffset);
  assertLength(spec, contentBytes, contentOffset);
  return { spec, value, contentOffset, contentBytes };
}

/**
 * The message in exactly these bytes.
 * @throws Iso8583Error naming the field and the byte; nothing else whatever the bytes are.
 */
export function decodeMessage(dialect: Dialect, bytes: Uint8Array): DecodedMessage {
  assertMessageLength(bytes.length);
  const source = sourceOf(bytes);
  const header = decodeHeader(source);
  const start = dialect.headerBytes;
  assertRoom(source, start, MTI_BYTES, 'MTI');
  const mti = source.text.slice(start, start + MTI_BYTES);
  assertMti(mti, start);
  const numbers = presentFields(source, start + MTI_BYTES);
  const isLong = (byteAt(bytes, start + MTI_BYTES) & 0x80) !== 0;
  let offset = start + MTI_BYTES + (isLong ? 2 : 1) * BITMAP_BYTES;
  const fields = new Map<number, FieldValue>();
  for (const number of numbers) {
    const spec = specOf(dialect, number, offset);
    const contentOffset = offset + spec.prefix.lengthBytes;
    const contentBytes = contentLength(spec, source, offset);
    assertRoom(source, contentOffset, contentBytes, spec.fieldPath);
    offset = contentOffset + contentBytes;
    fields.set(number, spec.content.read(spec, source, contentOffset, offset));
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
function presentFields(source: Source, offset: number): readonly number[] {
  assertRoom(source, offset, BITMAP_BYTES, 'bitmap');
  const isLong = (byteAt(source.bytes, offset) & 0x80) !== 0;
  const bitmapBytes = (isLong ? 2 : 1) * BITMAP_BYTES;
  assertRoom(source, offset, bitmapBytes, 'bitmap');
  const numbers: number[] = [];
  for (let index = 0; index < bitmapBytes; index++) {
    const byte = byteAt(source.bytes, offset + index);
    for (let bit = 0; bit < 8; bit++) {
      const isPresent = (byte & (0x80 >> bit)) !== 0;
      // Bit 1 announces the second bitmap and is no field.
      if (isPresent && (index > 0 || bit > 0)) numbers.push(8 * index + bit + 1);
    }
  }
  if (numbers.includes(65)) {
    const place = { fieldPath: 'bitmap', offsetBytes: offset + BITMAP_BYTES };
    throw fault('ERR_ISO8583_BITMAP', place, 'announces a third bitmap');
  }
  return numbers;
}

function setBit(bytes: Uint8Array, bitmapOffset: number, number: number): void {
  const index = bitmapOffset + ((number - 1) >> 3);
  bytes[index] = byteAt(bytes, index) | (0x80 >> ((number - 1) % 8));
}

function specOf(dialect: Dialect, number: number, offsetBytes: number): FieldSpec {
  const spec = dialect.fields.get(number);
  if (spec) return spec;
  const place = { fieldPath: `F${number}`, offsetBytes };
  throw fault('ERR_ISO8583_FIELD', place, `is not defined in ${dialect.name}`);
}

function contentLength(spec: FieldSpec, source: Source, offset: number): number {
  const { lengthBytes } = spec.prefix;
  if (lengthBytes === 0) return spec.contentBytesMax;
  assertRoom(source, offset, lengthBytes, spec.fieldPath);
  const length = spec.prefix.read(source, offset);
  if (length === null) {
    const place = { fieldPath: spec.fieldPath, offsetBytes: offset };
    throw fault('ERR_ISO8583_LENGTH', place, 'has a length that is no number');
  }
  assertLength(spec, length, offset);
  return length;
}

function assertLength(spec: FieldSpec, length: number, offsetBytes: number): void {
  const { contentBytesMin, contentBytesMax, fieldPath } = spec;
  if (length >= contentBytesMin && length <= contentBytesMax) return;
  const wanted =
    contentBytesMin === contentBytesMax
      ? String(contentBytesMax)
      : `${contentBytesMin} to ${contentBytesMax}`;
  const what = `has ${length} bytes, ${wanted} allowed`;
  throw fault('ERR_ISO8583_LENGTH', { fieldPath, offsetBytes }, what);
}

function assertMessageLength(lengthBytes: number): void {
  if (lengthBytes <= MESSAGE_BYTES_MAX) return;
  const place = { fieldPath: 'message', offsetBytes: MESSAGE_BYTES_MAX };
  throw fault('ERR_ISO8583_LENGTH', place, `is longer than ${MESSAGE_BYTES_MAX} bytes`);
}

function assertRoom(source: Source, offset: number, length: number, fieldPath: string): void {
  if (offset + length <= source.bytes.length) return;
  const place = { fieldPath, offsetBytes: source.bytes.length };
  throw fault('ERR_ISO8583_TRUNCATED', place, `ends early, ${length} bytes wanted`);
}
