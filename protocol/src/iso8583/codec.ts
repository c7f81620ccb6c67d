/** Messages to bytes and back, driven by a dialect's table. @see ISO 8583:1987 §4, Q/CUP 006 */
import {
  assertMti,
  bitmapBytes,
  mtiBytes,
  readBitmap,
  readBitmaps,
  readMti,
  setBit,
  WORDS_MAX,
  writeBitmap,
  writeMti,
} from './bitmaps.ts';
import { asciiText, CopiedMessage, takeBytes } from './characters.ts';
import { DIALECT_BYTES_MAX, type Dialect, FIELD_NUMBER_MAX } from './dialect.ts';
import { assertRoom, readContent, readUnits, type TextRun, writeField } from './encodings.ts';
import { fault } from './errors.ts';
import { planOf } from './field-plan.ts';
import { type FieldSpec, wireBytes } from './field-spec.ts';
import { FieldTable, tableOf } from './field-table.ts';
import type { CupsHeader } from './header.ts';
import type { FieldValue, Iso8583Message } from './message.ts';

/** Longest message of the dialects of UnionPay, header included. */
export const MESSAGE_BYTES_MAX = 4_096;

/** A message as it came, with who sent it. */
export type DecodedMessage<Header = Required<CupsHeader>> = Iso8583Message & {
  readonly header: Header;
};

/** Working memory of one message; nothing here outlives a call, and no call runs inside another. */
const scratch = new Uint8Array(2 * DIALECT_BYTES_MAX);
const words = new Int32Array(WORDS_MAX);
const textRun: TextRun = { bytes: new Uint8Array(2 * DIALECT_BYTES_MAX), end: 0 };
const copied = new CopiedMessage();
const textEnds = new Int32Array(FIELD_NUMBER_MAX);

/**
 * The bytes of a message. Further bitmaps are sent only when a field above 64 or 128 is present.
 * @throws Iso8583Error for an unknown field or a value that the dialect does not allow.
 */
export function encodeMessage<Written>(
  dialect: Dialect<Written>,
  header: Written,
  message: Iso8583Message,
): Uint8Array {
  const start = dialect.headerBytes;
  assertMti(dialect, message.mti, start);
  const { numbers, content } = tableOf(message.fields);
  const specs = specsOf(dialect, numbers);
  const highest = numbers[numbers.length - 1] ?? 0;
  const bitmapStart = start + mtiBytes(dialect);
  const size = bitmapBytes(dialect.bitmap);
  const isThirdInOrder = highest > 128 && dialect.bitmaps === 'threeInOrder';
  const together = highest <= 64 ? 1 : highest <= 128 || isThirdInOrder ? 2 : 3;
  let thirdStart = isThirdInOrder ? -1 : bitmapStart + 2 * size;
  let offset = bitmapStart + together * size;
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index] ?? 0;
    if (number > 64 && thirdStart < 0) {
      thirdStart = offset;
      offset += size;
    }
    const spec = specs[index] ?? specOf(dialect, number, offset);
    offset = writeField(spec, content[index] ?? '', scratch, offset);
  }
  assertMessageLength(dialect, offset);
  if (highest > 64) setBit(words, 1);
  if (highest > 128) setBit(words, 65);
  writeBitmap(dialect.bitmap, words, 0, scratch, bitmapStart);
  if (highest > 64) writeBitmap(dialect.bitmap, words, 2, scratch, bitmapStart + size);
  if (highest > 128) writeBitmap(dialect.bitmap, words, 4, scratch, thirdStart);
  writeMti(dialect, message.mti, scratch, start);
  dialect.header.write(header, scratch, offset);
  const bytes = takeBytes(offset);
  bytes.set(scratch.subarray(0, offset));
  return bytes;
}

/** Specifications of sorted fields, and their bits in `words`. */
function specsOf(dialect: Dialect, numbers: readonly number[]): readonly (FieldSpec | undefined)[] {
  for (let index = 0; index < WORDS_MAX; index++) words[index] = 0;
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index] ?? 0;
    const isRegular = number >= 2 && number <= FIELD_NUMBER_MAX && number !== 65;
    if (!isRegular || !Number.isInteger(number))
      return numbers.map((one) => dialect.fields.get(one));
    setBit(words, number);
  }
  return planOf(dialect, words, WORDS_MAX).specs;
}

/**
 * The message in exactly these bytes.
 * @throws Iso8583Error naming the field and the byte; nothing else whatever the bytes are.
 */
export function decodeMessage<Read>(
  dialect: Dialect<never, Read>,
  bytes: Uint8Array,
): DecodedMessage<Read> {
  assertMessageLength(dialect, bytes.length);
  const header = dialect.header.read(bytes);
  const start = dialect.headerBytes;
  const mti = readMti(dialect, bytes, start);
  const count = readBitmaps(dialect, bytes, start + mtiBytes(dialect), words);
  let plan = planOf(dialect, words, count);
  let offset = start + mtiBytes(dialect) + (count / 2) * bitmapBytes(dialect.bitmap);
  const values: (FieldValue | undefined)[] = new Array(plan.numbers.length);
  textRun.end = 0;
  let isCopied = false;
  for (let index = 0; ; index++) {
    if (index === plan.thirdBitmapAt) {
      readBitmap(dialect.bitmap, bytes, offset, words, 4);
      offset += bitmapBytes(dialect.bitmap);
      plan = planOf(dialect, words, WORDS_MAX);
    }
    if (index >= plan.numbers.length) break;
    const spec = plan.specs[index] ?? specOf(dialect, plan.numbers[index] ?? 0, offset);
    const isFixed = spec.prefix.lengthBytes === 0;
    const units = isFixed ? spec.max : readUnits(spec, bytes, offset);
    const contentBytes = isFixed ? spec.contentBytesMax : wireBytes(spec.operation, units);
    offset += spec.prefix.lengthBytes;
    assertRoom(bytes, offset, contentBytes, spec.fieldPath);
    if (spec.operation === 'bytes') {
      if (!isCopied) copied.take(bytes);
      isCopied = true;
      values[index] = copied.part(offset, units);
    } else values[index] = readContent(spec, bytes, offset, units, textRun);
    textEnds[index] = textRun.end;
    offset += contentBytes;
  }
  assertNoTrailing(bytes, offset);
  return { mti, fields: new FieldTable(plan.numbers, withTexts(values)), header };
}

/** Cuts the text of all fields, made at once, into theirs. */
function withTexts(values: (FieldValue | undefined)[]): readonly FieldValue[] {
  const text = asciiText(textRun.bytes.subarray(0, textRun.end));
  let start = 0;
  for (let index = 0; index < values.length; index++) {
    const end = textEnds[index] ?? 0;
    if (values[index] === undefined) values[index] = text.substring(start, end);
    start = end;
  }
  return values as readonly FieldValue[];
}

/** @throws Iso8583Error `ERR_ISO8583_TRAILING` when the fields end before the message. */
export function assertNoTrailing(bytes: Uint8Array, offset: number): void {
  if (offset === bytes.length) return;
  const place = { fieldPath: 'message', offsetBytes: offset };
  throw fault('ERR_ISO8583_TRAILING', place, `${bytes.length - offset} bytes follow it`);
}

/** @throws Iso8583Error `ERR_ISO8583_FIELD` for a field that the dialect does not have. */
export function specOf(dialect: Dialect, number: number, offsetBytes: number): FieldSpec {
  const spec = dialect.fields.get(number);
  if (spec !== undefined) return spec;
  const place = { fieldPath: `F${number}`, offsetBytes };
  throw fault('ERR_ISO8583_FIELD', place, `is not defined in ${dialect.name}`);
}

/** @throws Iso8583Error `ERR_ISO8583_LENGTH` for a message that is too long for its dialect. */
export function assertMessageLength({ messageBytesMax }: Dialect, lengthBytes: number): void {
  if (lengthBytes <= messageBytesMax) return;
  const place = { fieldPath: 'message', offsetBytes: messageBytesMax };
  throw fault('ERR_ISO8583_LENGTH', place, `is longer than ${messageBytesMax} bytes`);
}
