/** Reads and writes the inside of fields; what is unknown there comes back byte for byte. */
import { equalBytes } from '../bytes/index.ts';
import { bitmapBytes, readBitmap, setBit, writeBitmap } from './bitmaps.ts';
import { CLASS_OF, CLASSES, putText, shortText } from './characters.ts';
import type { Dialect } from './dialect.ts';
import { assertRoom, readContent, readUnits, type TextRun, writeField } from './encodings.ts';
import { fault, Iso8583Error } from './errors.ts';
import { type FieldSpec, type Visibility, wireBytes } from './field-spec.ts';
import type { Inside, Part } from './inside.ts';
import type { FieldValue, Iso8583Message } from './message.ts';
import { decodeTlvElements, encodeTlvElements, type TlvElement, withTlvElement } from './tlv.ts';

/** One part of a field. */
export type Subfield = {
  /** `F60.2.5`, `F55.9F26`; what no table names ends in `.rest`. */
  readonly path: string;
  readonly value: FieldValue;
  /** Where it begins; in the message when the field's own place was given, else in the field. */
  readonly offsetBytes: number;
  readonly visibility: Visibility;
  /** Of a text tag, as it came. */
  readonly tag?: string;
  /** A data object as it came. */
  readonly element?: TlvElement;
};

/** A part to be written; `tag` and `element` of a part that was read are used again. */
export type GivenSubfield = Pick<Subfield, 'path' | 'value' | 'tag' | 'element'>;

type Context = { readonly path: string; readonly offsetBytes: number; readonly spec: FieldSpec };

/**
 * The parts of a field of a message; empty when it is absent or has none.
 * @throws Iso8583Error with the path of the part and the byte, counted from `contentOffset`.
 */
export function decodeSubfields(
  dialect: Dialect,
  message: Iso8583Message,
  number: number,
  contentOffset = 0,
): readonly Subfield[] {
  const spec = dialect.fields.get(number);
  const value = message.fields.get(number);
  if (value === undefined || spec === undefined || spec.inside === null) return [];
  const context = { path: spec.fieldPath, offsetBytes: contentOffset, spec };
  return split(spec.inside, value, context);
}

/** The value of a field with these parts. @throws Iso8583Error. */
export function encodeSubfields(
  dialect: Dialect,
  number: number,
  subfields: readonly GivenSubfield[],
): FieldValue {
  const spec = dialect.fields.get(number);
  const fieldPath = `F${number}`;
  if (spec === undefined || spec.inside === null) {
    throw fault('ERR_ISO8583_FIELD', { fieldPath, offsetBytes: 0 }, 'has no parts');
  }
  return join(spec.inside, subfields, { path: spec.fieldPath, offsetBytes: 0, spec });
}

function split(inside: Inside, value: FieldValue, context: Context): readonly Subfield[] {
  switch (inside.kind) {
    case 'parts':
      return splitParts(inside.parts, textOf(value), context);
    case 'tlv':
      return splitTlv(inside.clearTags, bytesOf(value), context);
    case 'textTlv':
      return splitTextTlv(inside, textOf(value), context);
    case 'usage':
      return splitUsage(inside, textOf(value), context);
    case 'fields':
      return splitFields(inside, bytesOf(value), context);
  }
}

function splitParts(parts: readonly Part[], text: string, context: Context): readonly Subfield[] {
  const found: Subfield[] = [];
  let at = 0;
  for (const part of parts) {
    if (at >= text.length) break;
    const path = `${context.path}.${part.name}`;
    const offsetBytes = context.offsetBytes + bytesBefore(context.spec, at);
    const end = part.length === null ? text.length : at + part.length;
    if (end > text.length) {
      const what = `ends early, ${part.length} characters wanted`;
      throw fault('ERR_ISO8583_TRUNCATED', { fieldPath: path, offsetBytes }, what);
    }
    const value = text.slice(at, end);
    assertAlphabet(part, value, { path, offsetBytes });
    found.push({ path, value, offsetBytes, visibility: part.visibility });
    at = end;
  }
  if (at < text.length) found.push(rest(text.slice(at), at, context));
  return found;
}

function rest(value: string, at: number, context: Context): Subfield {
  const offsetBytes = context.offsetBytes + bytesBefore(context.spec, at);
  return { path: `${context.path}.rest`, value, offsetBytes, visibility: 'hidden' };
}

/** Packed digits are two to a byte. */
function bytesBefore({ operation }: FieldSpec, characters: number): number {
  return operation === 'bcd' ? characters >> 1 : characters;
}

function assertAlphabet(
  { alphabet }: Part,
  value: string,
  { path, offsetBytes }: { readonly path: string; readonly offsetBytes: number },
): void {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code <= 0xff && ((CLASSES[code] ?? 0) & CLASS_OF[alphabet]) !== 0) continue;
    const place = { fieldPath: path, offsetBytes };
    throw fault('ERR_ISO8583_FIELD', place, `is not of type ${alphabet}`);
  }
}

function splitTlv(
  clearTags: ReadonlySet<string>,
  bytes: Uint8Array,
  context: Context,
): readonly Subfield[] {
  const place = { fieldPath: context.path, offsetBytes: context.offsetBytes };
  return decodeTlvElements(bytes, place).map((element) => ({
    path: `${context.path}.${element.tag === '' ? 'filler' : element.tag}`,
    value: element.value,
    offsetBytes: element.offsetBytes,
    visibility: clearTags.has(element.tag) ? 'clear' : 'hidden',
    element,
  }));
}

function splitTextTlv(
  { tagCharacters, lengthDigits }: Extract<Inside, { kind: 'textTlv' }>,
  text: string,
  context: Context,
): readonly Subfield[] {
  const found: Subfield[] = [];
  let at = 0;
  while (at < text.length) {
    const tag = text.slice(at, at + tagCharacters);
    const path = `${context.path}.${tag.replace(/[^0-9A-Za-z]/g, '_')}`;
    const valueStart = at + tagCharacters + lengthDigits;
    const offsetBytes = context.offsetBytes + valueStart;
    const digits = text.slice(at + tagCharacters, valueStart);
    if (valueStart > text.length) {
      throw fault('ERR_ISO8583_TRUNCATED', { fieldPath: path, offsetBytes }, 'ends early');
    }
    if (!/^[0-9]+$/.test(digits)) {
      const place = { fieldPath: path, offsetBytes: offsetBytes - lengthDigits };
      throw fault('ERR_ISO8583_LENGTH', place, 'has a length that is no number');
    }
    const end = valueStart + Number(digits);
    if (end > text.length) {
      const what = `ends early, ${Number(digits)} characters wanted`;
      throw fault('ERR_ISO8583_TRUNCATED', { fieldPath: path, offsetBytes }, what);
    }
    const value = text.slice(valueStart, end);
    found.push({ path, value, offsetBytes, visibility: 'hidden', tag });
    at = end;
  }
  return found;
}

function splitUsage(
  { usageCharacters, usages }: Extract<Inside, { kind: 'usage' }>,
  text: string,
  context: Context,
): readonly Subfield[] {
  const usage = text.slice(0, usageCharacters);
  const path = `${context.path}.usage`;
  const { offsetBytes } = context;
  if (usage.length < usageCharacters) {
    throw fault('ERR_ISO8583_TRUNCATED', { fieldPath: path, offsetBytes }, 'ends early');
  }
  const head: Subfield = { path, value: usage, offsetBytes, visibility: 'clear' };
  const deeper = { ...context, offsetBytes: offsetBytes + usageCharacters };
  const inside = Object.hasOwn(usages, usage) ? usages[usage] : undefined;
  const tail = text.slice(usageCharacters);
  if (inside === undefined) return tail === '' ? [head] : [head, rest(tail, 0, deeper)];
  return [head, ...split(inside, tail, { ...deeper, path: `${context.path}.${usage}` })];
}

const run: TextRun = { bytes: new Uint8Array(65_536), end: 0 };

function splitFields(
  inside: Extract<Inside, { kind: 'fields' }>,
  bytes: Uint8Array,
  context: Context,
): readonly Subfield[] {
  const found: Subfield[] = [];
  const { present, fieldsStart } = presentFields(inside, bytes, context);
  let offset = fieldsStart;
  for (const spec of present) {
    // Without a bitmap the last fields may be left out.
    if (inside.bitmap === null && offset >= bytes.length) break;
    const { value, start, end } = within(context, () => fieldAt(spec, bytes, offset));
    const { fieldPath: path, visibility } = spec;
    found.push({ path, value, offsetBytes: context.offsetBytes + start, visibility });
    offset = end;
  }
  if (offset < bytes.length) {
    const tail = shortText(bytes, offset, bytes.length);
    found.push(rest(tail, offset, context));
  }
  return found;
}

function fieldAt(
  spec: FieldSpec,
  bytes: Uint8Array,
  offset: number,
): { readonly value: FieldValue; readonly start: number; readonly end: number } {
  const units = readUnits(spec, bytes, offset);
  const start = offset + spec.prefix.lengthBytes;
  const end = start + wireBytes(spec.operation, units);
  assertRoom(bytes, start, end - start, spec.fieldPath);
  run.end = 0;
  const value = readContent(spec, bytes, start, units, run);
  return { value: value ?? shortText(run.bytes, 0, run.end), start, end };
}

const BITMAP_BITS = 64;

/** The fields that are there. Bit 1 of a nested bitmap is a field like the others. */
function presentFields(
  { bitmap, fields, firstNumber }: Extract<Inside, { kind: 'fields' }>,
  bytes: Uint8Array,
  context: Context,
): { readonly present: readonly FieldSpec[]; readonly fieldsStart: number } {
  if (bitmap === null) return { present: fields, fieldsStart: 0 };
  // A field without bytes has no bitmap either.
  if (bytes.length === 0) return { present: [], fieldsStart: 0 };
  const words = new Int32Array(2);
  within(context, () => readBitmap(bitmap, bytes, 0, words, 0));
  const present: FieldSpec[] = [];
  for (let bit = 0; bit < BITMAP_BITS; bit++) {
    if (((words[bit >> 5] ?? 0) & (0x8000_0000 >>> (bit & 31))) === 0) continue;
    const spec = fields.find(({ number }) => number === firstNumber + bit);
    if (spec === undefined) {
      const place = {
        fieldPath: `${context.path}.${firstNumber + bit}`,
        offsetBytes: context.offsetBytes,
      };
      throw fault('ERR_ISO8583_FIELD', place, 'is not defined');
    }
    present.push(spec);
  }
  return { present, fieldsStart: bitmapBytes(bitmap) };
}

/** Counts the byte of a fault from where the field is, not from its own beginning. */
function within<Result>({ offsetBytes }: Context, read: () => Result): Result {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof Iso8583Error)) throw thrown;
    throw thrown.movedBy(offsetBytes);
  }
}

function textOf(value: FieldValue): string {
  return typeof value === 'string' ? value : shortText(value, 0, value.length);
}

function bytesOf(value: FieldValue): Uint8Array {
  if (typeof value !== 'string') return value;
  const bytes = new Uint8Array(value.length);
  putText(value, bytes, 0);
  return bytes;
}

/** The value in the type that its field wants. */
function asField(value: FieldValue, { alphabet }: FieldSpec): FieldValue {
  return alphabet === 'b' ? bytesOf(value) : textOf(value);
}

function join(inside: Inside, given: readonly GivenSubfield[], context: Context): FieldValue {
  switch (inside.kind) {
    case 'parts':
      return asField(joinParts(inside.parts, given, context), context.spec);
    case 'tlv':
      return asField(joinTlv(given, context), context.spec);
    case 'textTlv':
      return asField(joinTextTlv(inside, given, context), context.spec);
    case 'usage':
      return asField(joinUsage(inside, given, context), context.spec);
    case 'fields':
      return asField(joinFields(inside, given, context), context.spec);
  }
}

function joinParts(
  parts: readonly Part[],
  given: readonly GivenSubfield[],
  { path }: Context,
): string {
  const left = new Map(given.map((one) => [one.path, textOf(one.value)]));
  let text = '';
  let missing: string | null = null;
  for (const part of parts) {
    const partPath = `${path}.${part.name}`;
    const value = left.get(partPath);
    if (value === undefined) {
      missing ??= partPath;
      continue;
    }
    const place = { path: partPath, offsetBytes: text.length };
    if (missing !== null) throw absent(missing, text.length);
    if (part.length !== null && value.length !== part.length) {
      const what = `has ${value.length} characters, ${part.length} allowed`;
      throw fault('ERR_ISO8583_LENGTH', { fieldPath: partPath, offsetBytes: text.length }, what);
    }
    assertAlphabet(part, value, place);
    text += value;
    left.delete(partPath);
  }
  const tail = takeRest(left, path);
  if (tail !== '' && missing !== null) throw absent(missing, text.length);
  return text + tail;
}

/** What `.rest` holds; any other part that is left has no place. */
function takeRest(left: Map<string, string>, path: string): string {
  const tail = left.get(`${path}.rest`) ?? '';
  left.delete(`${path}.rest`);
  for (const fieldPath of left.keys()) {
    throw fault('ERR_ISO8583_FIELD', { fieldPath, offsetBytes: 0 }, 'is no part of the field');
  }
  return tail;
}

function absent(fieldPath: string, offsetBytes: number): Iso8583Error {
  return fault('ERR_ISO8583_MISSING', { fieldPath, offsetBytes }, 'is missing');
}

function joinTlv(given: readonly GivenSubfield[], { path }: Context): Uint8Array {
  const elements = given.flatMap((one) => {
    const value = bytesOf(one.value);
    if (one.element !== undefined && equalBytes(one.element.value, value)) return [one.element];
    return withTlvElement([], one.path.slice(path.length + 1), value);
  });
  return encodeTlvElements(elements);
}

function joinTextTlv(
  { tagCharacters, lengthDigits }: Extract<Inside, { kind: 'textTlv' }>,
  given: readonly GivenSubfield[],
  { path }: Context,
): string {
  const texts = given.map((one) => {
    const tag = one.tag ?? one.path.slice(path.length + 1);
    const value = textOf(one.value);
    const length = String(value.length).padStart(lengthDigits, '0');
    const place = { fieldPath: one.path, offsetBytes: 0 };
    if (tag.length !== tagCharacters) {
      throw fault('ERR_ISO8583_FIELD', place, `wants a tag of ${tagCharacters} characters`);
    }
    if (length.length > lengthDigits) throw fault('ERR_ISO8583_LENGTH', place, 'is too long');
    return tag + length + value;
  });
  return texts.join('');
}

function joinUsage(
  { usages }: Extract<Inside, { kind: 'usage' }>,
  given: readonly GivenSubfield[],
  context: Context,
): string {
  const [head, ...tail] = given;
  if (head?.path !== `${context.path}.usage`) throw absent(`${context.path}.usage`, 0);
  const usage = textOf(head.value);
  const inside = Object.hasOwn(usages, usage) ? usages[usage] : undefined;
  if (inside !== undefined) {
    return usage + textOf(join(inside, tail, { ...context, path: `${context.path}.${usage}` }));
  }
  const left = new Map(tail.map((one) => [one.path, textOf(one.value)]));
  return usage + takeRest(left, context.path);
}

/** Longest field made of fields. */
const FIELDS_BYTES_MAX = 9_999;

function joinFields(
  { fields, bitmap, firstNumber }: Extract<Inside, { kind: 'fields' }>,
  given: readonly GivenSubfield[],
  { path }: Context,
): Uint8Array {
  const left = new Map(given.map((one) => [one.path, one.value]));
  const target = new Uint8Array(2 * FIELDS_BYTES_MAX);
  const words = new Int32Array(2);
  let offset = bitmap === null ? 0 : bitmapBytes(bitmap);
  let missing: string | null = null;
  for (const spec of fields) {
    const value = left.get(spec.fieldPath);
    if (value === undefined) missing ??= spec.fieldPath;
    else {
      if (bitmap === null && missing !== null) throw absent(missing, offset);
      offset = writeField(spec, value, target, offset);
      if (bitmap !== null) setBit(words, spec.number - firstNumber + 1);
    }
    left.delete(spec.fieldPath);
  }
  const tail = takeRest(new Map([...left].map(([key, value]) => [key, textOf(value)])), path);
  if (offset + tail.length > FIELDS_BYTES_MAX) {
    const what = `is longer than ${FIELDS_BYTES_MAX} bytes`;
    throw fault('ERR_ISO8583_LENGTH', { fieldPath: path, offsetBytes: offset }, what);
  }
  if (bitmap !== null) writeBitmap(bitmap, words, 0, target, 0);
  putText(tail, target, offset);
  return target.slice(0, offset + tail.length);
}
