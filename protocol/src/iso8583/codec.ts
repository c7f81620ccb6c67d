/** Packing and unpacking of messages by their dialect's table. @see ISO 8583:1987 §4 */
import { asciiToBytes, byteAt, bytesToLatin1, concatBytes } from '../bytes/index.ts';
import {
  CUPS,
  CUPS_HEADER_BYTES,
  type CupsHeader,
  decodeCupsHeader,
  encodeCupsHeader,
} from './cups.ts';
import type { Dialect, FieldContent, FieldSpec, FieldValue, Iso8583Message } from './dialect.ts';
import { Iso8583Error, type Iso8583ErrorCode } from './errors.ts';

const MTI_BYTES = 4;
const BITMAP_BYTES = 8;
const FIELD_NUMBER_MAX = 128;

const CONTENT: Readonly<Record<FieldContent, RegExp>> = {
  n: /^[0-9]*$/,
  an: /^[0-9A-Za-z ]*$/,
  // Bank names travel in GBK: every byte but control characters is allowed.
  ans: /^[ -~\u0080-\u00ff]*$/,
  z: /^[0-9]*[=D]?[0-9]*$/,
  'x+n': /^[CD][0-9]*$/,
  b: /^/,
};

/**
 * Message type, bitmap and fields.
 * @throws Iso8583Error with `fieldPath`, such as a field the dialect lacks or a bad length.
 */
export function encodeMessage(dialect: Dialect, message: Iso8583Message): Uint8Array {
  assertMti(message.mti, 0);
  const numbers = [...message.fields.keys()].sort((left, right) => left - right);
  const hasSecond = numbers.some((number) => number > 64);
  const bitmap = new Uint8Array(hasSecond ? 2 * BITMAP_BYTES : BITMAP_BYTES);
  if (hasSecond) setBit(bitmap, 1);
  const parts = numbers.map((number) => {
    setBit(bitmap, number);
    return encodeField(specOf(dialect, number, 0), message.fields.get(number) ?? '');
  });
  return concatBytes(asciiToBytes(message.mti), bitmap, ...parts);
}

/** @throws Iso8583Error with `fieldPath` and `offsetBytes` of the first fault. */
export function decodeMessage(dialect: Dialect, bytes: Uint8Array): Iso8583Message {
  const mti = bytesToLatin1(bytes.subarray(0, MTI_BYTES));
  assertMti(mti, 0);
  const { numbers, offset: start } = decodeBitmap(bytes, MTI_BYTES);
  const fields = new Map<number, FieldValue>();
  let offset = start;
  for (const number of numbers) {
    const { value, end } = decodeField(specOf(dialect, number, offset), bytes, offset);
    fields.set(number, value);
    offset = end;
  }
  if (offset !== bytes.length) {
    const left = bytes.length - offset;
    throw fault('ERR_ISO8583_LENGTH', 'end', offset, `${left} bytes follow the last field`);
  }
  return { mti, fields };
}

/** A whole CUPS frame: header and message. */
export function encodeCupsFrame(header: CupsHeader, message: Iso8583Message): Uint8Array {
  const body = encodeMessage(CUPS, message);
  return concatBytes(encodeCupsHeader(header, body.length), body);
}

/** @throws Iso8583Error; offsets of message faults count from the message type. */
export function decodeCupsFrame(frame: Uint8Array): {
  readonly header: CupsHeader;
  readonly message: Iso8583Message;
} {
  const header = decodeCupsHeader(frame);
  return { header, message: decodeMessage(CUPS, frame.subarray(CUPS_HEADER_BYTES)) };
}

function assertMti(mti: string, offset: number): void {
  if (/^[0-9]{4}$/.test(mti)) return;
  throw fault('ERR_ISO8583_MTI', 'mti', offset, 'a message type is four digits');
}

function setBit(bitmap: Uint8Array, number: number): void {
  const index = (number - 1) >> 3;
  bitmap[index] = byteAt(bitmap, index) | (0x80 >> ((number - 1) & 7));
}

function decodeBitmap(
  bytes: Uint8Array,
  offset: number,
): { readonly numbers: readonly number[]; readonly offset: number } {
  const first = bytes[offset];
  const length = first !== undefined && first & 0x80 ? 2 * BITMAP_BYTES : BITMAP_BYTES;
  if (bytes.length < offset + length) {
    throw fault('ERR_ISO8583_BITMAP', 'bitmap', offset, `${length} bytes of bitmap are not there`);
  }
  const numbers: number[] = [];
  for (let number = 2; number <= 8 * length; number++) {
    const byte = byteAt(bytes, offset + ((number - 1) >> 3));
    if (byte & (0x80 >> ((number - 1) & 7))) numbers.push(number);
  }
  if (numbers.includes(65)) {
    throw fault('ERR_ISO8583_BITMAP', 'bitmap', offset + 8, 'a third bitmap is not supported');
  }
  return { numbers, offset: offset + length };
}

function specOf(dialect: Dialect, number: number, offset: number): FieldSpec {
  const spec = dialect.fields.get(number);
  if (spec && number >= 2 && number <= FIELD_NUMBER_MAX) return spec;
  throw fault('ERR_ISO8583_FIELD', String(number), offset, `${dialect.name} has no such field`);
}

function encodeField(spec: FieldSpec, value: FieldValue): Uint8Array {
  const path = String(spec.number);
  const isBinary = spec.content === 'b';
  if (isBinary !== value instanceof Uint8Array) {
    throw fault('ERR_ISO8583_FIELD', path, 0, `takes ${isBinary ? 'bytes' : 'text'}`);
  }
  const content = typeof value === 'string' ? textBytes(spec, value) : value;
  assertLength(spec, content.length, 0);
  if (spec.prefixDigits === 0) return content;
  const prefix = String(content.length).padStart(spec.prefixDigits, '0');
  return concatBytes(asciiToBytes(prefix), content);
}

function textBytes(spec: FieldSpec, text: string): Uint8Array {
  assertContent(spec, text, 0);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function decodeField(
  spec: FieldSpec,
  bytes: Uint8Array,
  offset: number,
): { readonly value: FieldValue; readonly end: number } {
  const { prefixDigits } = spec;
  const path = String(spec.number);
  const prefix = bytesToLatin1(bytes.subarray(offset, offset + prefixDigits));
  if (prefixDigits > 0 && (prefix.length < prefixDigits || !/^[0-9]+$/.test(prefix))) {
    throw fault('ERR_ISO8583_LENGTH', path, offset, `needs ${prefixDigits} length digits`);
  }
  const length = prefixDigits === 0 ? spec.length : Number(prefix);
  assertLength(spec, length, offset);
  const start = offset + prefixDigits;
  const end = start + length;
  if (end > bytes.length) {
    const left = bytes.length - start;
    throw fault('ERR_ISO8583_LENGTH', path, start, `${length} bytes wanted, ${left} left`);
  }
  const content = bytes.slice(start, end);
  if (spec.content === 'b') return { value: content, end };
  const value = bytesToLatin1(content);
  assertContent(spec, value, start);
  return { value, end };
}

function assertLength(spec: FieldSpec, length: number, offset: number): void {
  const isFixed = spec.prefixDigits === 0;
  const fits = isFixed ? length === spec.length : length <= spec.length;
  if (fits) return;
  const rule = isFixed ? `is ${spec.length} long` : `is at most ${spec.length} long`;
  throw fault('ERR_ISO8583_LENGTH', String(spec.number), offset, `${rule}, not ${length}`);
}

function assertContent(spec: FieldSpec, text: string, offset: number): void {
  if (CONTENT[spec.content].test(text)) return;
  throw fault('ERR_ISO8583_FIELD', String(spec.number), offset, `is not of type ${spec.content}`);
}

function fault(
  code: Iso8583ErrorCode,
  fieldPath: string,
  offsetBytes: number,
  why: string,
): Iso8583Error {
  return new Iso8583Error(code, `field ${fieldPath}, byte ${offsetBytes}: ${why}`, {
    fieldPath,
    offsetBytes,
  });
}
