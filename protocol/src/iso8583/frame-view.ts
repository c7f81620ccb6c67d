/**
 * A frame as a router sees it: where each field is, without decoding any. Single fields are read
 * and patched in place; everything else stays byte for byte, known or not.
 */
import {
  assertMti,
  bitmapBytes,
  mtiBytes,
  readBitmap,
  readBitmaps,
  readMti,
  WORDS_MAX,
  writeMti,
} from './bitmaps.ts';
import { asciiText, CLASS_ASCII, CLASSES, copyBytes, LATIN1, shortText } from './characters.ts';
import { assertMessageLength, assertNoTrailing, specOf } from './codec.ts';
import { DIALECT_BYTES_MAX, type Dialect, FIELD_NUMBER_MAX } from './dialect.ts';
import { assertRoom, readContent, readUnits, type TextRun, writeField } from './encodings.ts';
import { fault, Iso8583Error } from './errors.ts';
import { type FieldPlan, planOf } from './field-plan.ts';
import { type FieldSpec, wireBytes } from './field-spec.ts';
import type { FieldValue } from './message.ts';

const words = new Int32Array(WORDS_MAX);
const textRun: TextRun = { bytes: new Uint8Array(2 * DIALECT_BYTES_MAX), end: 0 };
/** Longest text that is put together from its characters. */
const SHORT_TEXT_MAX = 24;

/** The offset table of one frame. It can be used again for the next. */
export class FrameView {
  #dialect: Dialect;
  #bytes: Uint8Array;
  #plan: FieldPlan;
  /** Where the fields begin, then where each field of variable length ends. */
  readonly #ends = new Int32Array(FIELD_NUMBER_MAX + 1);
  /** Lengths of those in digits, characters or bytes. */
  readonly #units = new Int32Array(FIELD_NUMBER_MAX);

  /** @throws Iso8583Error as `indexFrame`. */
  constructor(dialect: Dialect, bytes: Uint8Array) {
    this.#dialect = dialect;
    this.#bytes = bytes;
    this.#plan = planOf(dialect, words.fill(0), 2);
    this.index(dialect, bytes);
  }

  /** Takes another frame. After a fault the view has no fields. @throws Iso8583Error. */
  index(dialect: Dialect, bytes: Uint8Array): void {
    assertMessageLength(dialect, bytes.length);
    dialect.header.check(bytes);
    const mtiStart = dialect.headerBytes;
    const bitmapStart = mtiStart + mtiBytes(dialect);
    assertRoom(bytes, mtiStart, mtiBytes(dialect), 'MTI');
    const count = readBitmaps(dialect, bytes, bitmapStart, words);
    let plan = planOf(dialect, words, count);
    this.#ends[0] = bitmapStart + (count / 2) * bitmapBytes(dialect.bitmap);
    if (plan.thirdBitmapAt >= 0) {
      this.#walk(dialect, plan, bytes, plan.thirdBitmapAt);
      readBitmap(dialect.bitmap, bytes, this.#startAt(plan, plan.thirdBitmapAt), words, 4);
      plan = planOf(dialect, words, WORDS_MAX);
    }
    const { length } = plan.numbers;
    this.#walk(dialect, plan, bytes, length);
    assertNoTrailing(bytes, this.#startAt(plan, length));
    this.#dialect = dialect;
    this.#bytes = bytes;
    this.#plan = plan;
  }

  #startAt({ anchors, distances }: FieldPlan, position: number): number {
    return (this.#ends[anchors[position] ?? 0] ?? 0) + (distances[position] ?? 0);
  }

  /** Finds the ends of the fields of variable length before a position. */
  #walk(dialect: Dialect, plan: FieldPlan, bytes: Uint8Array, until: number): void {
    const { variable, specs } = plan;
    let isWhole = plan.isKnown;
    for (let index = 0; index < variable.length && isWhole; index++) {
      const position = variable[index] ?? 0;
      if (position >= until) break;
      const spec = specs[position];
      const start = this.#startAt(plan, position);
      if (spec === undefined || start > bytes.length) isWhole = false;
      else {
        const units = readUnits(spec, bytes, start);
        const end = start + spec.prefix.lengthBytes + wireBytes(spec.operation, units);
        this.#units[index] = units;
        this.#ends[index + 1] = end;
        isWhole = end <= bytes.length;
      }
    }
    if (isWhole && this.#startAt(plan, until) <= bytes.length) return;
    assertWalkable(dialect, plan, bytes, this.#ends[0] ?? 0);
  }

  /** The frame itself; patches show in it. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Numbers of the fields, in order. */
  get numbers(): readonly number[] {
    return this.#plan.numbers;
  }

  /** @throws Iso8583Error `ERR_ISO8583_MTI`. */
  get mti(): string {
    return readMti(this.#dialect, this.#bytes, this.#dialect.headerBytes);
  }

  has(number: number): boolean {
    return (this.#plan.slots[number] ?? 0) > 0;
  }

  /** Where the content of a field is: first byte and the one behind it; null when absent. */
  spanOf(number: number): readonly [start: number, end: number] | null {
    const slot = (this.#plan.slots[number] ?? 0) - 1;
    const spec = this.#plan.specs[slot];
    if (spec === undefined) return null;
    const start = this.#startAt(this.#plan, slot) + spec.prefix.lengthBytes;
    return [start, start + wireBytes(spec.operation, this.#unitsAt(spec, slot))];
  }

  #unitsAt(spec: FieldSpec, slot: number): number {
    if (spec.prefix.lengthBytes === 0) return spec.max;
    return this.#units[this.#plan.anchors[slot] ?? 0] ?? 0;
  }

  /** The value of one field. @throws Iso8583Error `ERR_ISO8583_FIELD` for a wrong alphabet. */
  get(number: number): FieldValue | undefined {
    const slot = (this.#plan.slots[number] ?? 0) - 1;
    const spec = this.#plan.specs[slot];
    if (spec === undefined) return undefined;
    const start = this.#startAt(this.#plan, slot) + spec.prefix.lengthBytes;
    return valueAt(spec, this.#bytes, start, this.#unitsAt(spec, slot));
  }

  /** A character field, or undefined. @throws Iso8583Error. */
  text(number: number): string | undefined {
    const value = this.get(number);
    return typeof value === 'string' ? value : undefined;
  }

  /**
   * The first digits of a field as a number, without making a string: a trace number, a card's
   * issuer. Undefined when the field is absent, not of digits, or shorter.
   */
  leadingDigits(number: number, count: number): number | undefined {
    const slot = (this.#plan.slots[number] ?? 0) - 1;
    const spec = this.#plan.specs[slot];
    if (spec === undefined || count > DIGITS_MAX) return undefined;
    const units = this.#unitsAt(spec, slot);
    if (units < count) return undefined;
    const start = this.#startAt(this.#plan, slot) + spec.prefix.lengthBytes;
    if (spec.operation === 'bcd') {
      const skipped = spec.align === 'right' ? units & 1 : 0;
      return packedDigits(this.#bytes, 2 * start + skipped, count);
    }
    return spec.operation === 'text' ? characterDigits(spec, this.#bytes, start, count) : undefined;
  }

  /** A copy of a field's bytes on the wire, without its length; undefined when absent. */
  raw(number: number): Uint8Array | undefined {
    const span = this.spanOf(number);
    return span === null ? undefined : copyBytes(this.#bytes, span[0], span[1]);
  }

  /**
   * Writes another value of the same length into the frame: field 11, 37, 39, 52, a MAC.
   * @throws Iso8583Error `ERR_ISO8583_MISSING`, `_LENGTH`, `_FIELD`; the frame is then unchanged.
   */
  patch(number: number, value: FieldValue): void {
    const slot = (this.#plan.slots[number] ?? 0) - 1;
    const spec = this.#plan.specs[slot];
    const fieldPath = `F${number}`;
    if (spec === undefined) {
      const place = { fieldPath, offsetBytes: this.#bytes.length };
      throw fault('ERR_ISO8583_MISSING', place, 'is not in the frame');
    }
    const start = this.#startAt(this.#plan, slot);
    const units = this.#unitsAt(spec, slot);
    const length = patchRun(spec, value, start);
    if (value.length !== units) throw otherLength(fieldPath, start, { given: value.length, units });
    for (let index = 0; index < length; index++) {
      this.#bytes[start + index] = textRun.bytes[index] ?? 0;
    }
  }

  /** Writes another message type. @throws Iso8583Error `ERR_ISO8583_MTI`. */
  patchMti(mti: string): void {
    assertMti(this.#dialect, mti, this.#dialect.headerBytes);
    writeMti(this.#dialect, mti, this.#bytes, this.#dialect.headerBytes);
  }

  /** Type to the byte before field 64 or 128: what a MAC over the message covers; not a copy. */
  macInput(): Uint8Array {
    const number = this.has(128) ? 128 : 64;
    const slot = (this.#plan.slots[number] ?? 0) - 1;
    if (slot < 0) {
      const place = { fieldPath: `F${number}`, offsetBytes: this.#bytes.length };
      throw fault('ERR_ISO8583_MISSING', place, 'is not in the frame');
    }
    return this.#bytes.subarray(this.#dialect.headerBytes, this.#startAt(this.#plan, slot));
  }
}

/**
 * Where each field of a frame is. `reuse` takes the frame into a view that is no longer needed.
 * @throws Iso8583Error for lengths, bitmaps and headers; values are looked at when they are read.
 */
export function indexFrame(dialect: Dialect, bytes: Uint8Array, reuse?: FrameView): FrameView {
  if (reuse === undefined) return new FrameView(dialect, bytes);
  reuse.index(dialect, bytes);
  return reuse;
}

/** Digits that a number holds exactly. */
const DIGITS_MAX = 15;

function characterDigits(
  { fromWire }: FieldSpec,
  bytes: Uint8Array,
  start: number,
  count: number,
): number | undefined {
  let value = 0;
  for (let index = start; index < start + count; index++) {
    const digit = (fromWire[bytes[index] ?? 0] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = 10 * value + digit;
  }
  return value;
}

function packedDigits(bytes: Uint8Array, nibble: number, count: number): number | undefined {
  let value = 0;
  for (let index = nibble; index < nibble + count; index++) {
    const byte = bytes[index >> 1] ?? 0;
    const digit = (index & 1) === 0 ? byte >> 4 : byte & 0x0f;
    if (digit > 9) return undefined;
    value = 10 * value + digit;
  }
  return value;
}

function valueAt(spec: FieldSpec, bytes: Uint8Array, start: number, units: number): FieldValue {
  if (spec.operation === 'text' && spec.fromWire === LATIN1 && spec.alphabet !== 'x+n') {
    if (units <= SHORT_TEXT_MAX && isAscii(spec, bytes, start, start + units)) {
      return shortText(bytes, start, start + units);
    }
  }
  textRun.end = 0;
  const value = readContent(spec, bytes, start, units, textRun);
  if (value !== undefined) return value;
  const { end } = textRun;
  return end <= SHORT_TEXT_MAX
    ? shortText(textRun.bytes, 0, end)
    : asciiText(textRun.bytes.subarray(0, end));
}

function isAscii(spec: FieldSpec, bytes: Uint8Array, start: number, end: number): boolean {
  let classes = 0xff;
  for (let index = start; index < end; index++) classes &= CLASSES[bytes[index] ?? 0] ?? 0;
  return (classes & spec.classBit) !== 0 && (classes & CLASS_ASCII) !== 0;
}

/** Goes field by field to say which one is wrong. @throws Iso8583Error always. */
function assertWalkable(dialect: Dialect, plan: FieldPlan, bytes: Uint8Array, first: number): void {
  let offset = first;
  for (const [index, number] of plan.numbers.entries()) {
    const spec = plan.specs[index] ?? specOf(dialect, number, offset);
    const units = readUnits(spec, bytes, offset);
    offset += spec.prefix.lengthBytes;
    const contentBytes = wireBytes(spec.operation, units);
    assertRoom(bytes, offset, contentBytes, spec.fieldPath);
    offset += contentBytes;
  }
  // Only a third bitmap is left to be cut off.
  assertRoom(bytes, bytes.length, 1, 'message');
}

/** Writes the field into working memory first: a refused value leaves the frame as it was. */
function patchRun(spec: FieldSpec, value: FieldValue, offsetBytes: number): number {
  try {
    return writeField(spec, value, textRun.bytes, 0);
  } catch (thrown) {
    throw thrown instanceof Iso8583Error ? thrown.movedBy(offsetBytes) : thrown;
  }
}

function otherLength(
  fieldPath: string,
  offsetBytes: number,
  { given, units }: { readonly given: number; readonly units: number },
): Iso8583Error {
  const what = `has ${given} characters or bytes, the frame has ${units}`;
  return fault('ERR_ISO8583_LENGTH', { fieldPath, offsetBytes }, what);
}
