/**
 * How one field stands on the wire. Fields are read from the whole message and written into it, so
 * that none costs an array of its own; the text of all fields becomes a string in one step.
 * @see ISO 8583:1987 §4.4
 */
import {
  CLASS_ASCII,
  CLASSES,
  copyBytes,
  LATIN1,
  NIBBLE_CHARACTERS,
  NIBBLES,
  PAIR_CLASSES,
  shortText,
  takeBytes,
} from './characters.ts';
import { fault, type Iso8583Error } from './errors.ts';
import type { FieldSpec, LengthPrefix } from './field-spec.ts';
import type { FieldValue } from './message.ts';

/** Characters of a message's text fields, one after another. */
export type TextRun = { readonly bytes: Uint8Array; end: number };

const DIGIT_0 = 0x30;

/**
 * Writes prefix and content at `offset`; answers where the next field begins.
 * @throws Iso8583Error `ERR_ISO8583_FIELD` for another type or alphabet, `ERR_ISO8583_LENGTH`.
 */
export function writeField(
  spec: FieldSpec,
  given: FieldValue,
  target: Uint8Array,
  offset: number,
): number {
  const start = offset + spec.prefix.lengthBytes;
  const value = spec.padding === null ? given : padded(spec, given);
  const units = value.length;
  if (units < spec.min || units > spec.max) throw lengthRefusal(spec, value, start);
  const end = writeContent(spec, value, target, start);
  if (start > offset) {
    writePrefix(spec.prefix, spec.prefix.counts === 'units' ? units : end - start, target, offset);
  }
  return end;
}

/** Answers where the content ends. */
function writeContent(
  spec: FieldSpec,
  value: FieldValue,
  target: Uint8Array,
  start: number,
): number {
  const { operation } = spec;
  if (typeof value === 'string') {
    if (operation === 'text') return writeText(spec, value, target, start);
    if (operation === 'bcd') return packDigits(spec, value, target, start, 0);
    if (operation === 'signedBcd') return writeSigned(spec, value, target, start);
    throw refusal(spec, start, 'wants bytes');
  }
  if (spec.alphabet !== 'b') throw refusal(spec, start, 'wants text');
  // Callers in plain JavaScript give numbers and arrays, too.
  if (!(value instanceof Uint8Array)) throw refusal(spec, start, 'wants bytes');
  if (operation === 'bytes') return writeBytes(value, target, start);
  return writeHex(spec, value, target, start);
}

function padded({ padding, max, prefix }: FieldSpec, value: FieldValue): FieldValue {
  if (typeof value !== 'string' || padding === null || prefix.digits > 0) return value;
  const { side, character } = padding;
  return side === 'left' ? value.padStart(max, character) : value.padEnd(max, character);
}

/** A value of another type or alphabet is refused as such even when its length is wrong, too. */
function lengthRefusal(spec: FieldSpec, value: FieldValue, start: number): Iso8583Error {
  const wantsText = spec.alphabet !== 'b';
  if (wantsText ? typeof value !== 'string' : !(value instanceof Uint8Array)) {
    return refusal(spec, start, wantsText ? 'wants text' : 'wants bytes');
  }
  if (typeof value === 'string' && !isOfAlphabet(spec, value)) return notOfType(spec, start);
  return wrongUnits(spec, value.length, start);
}

function isOfAlphabet(spec: FieldSpec, text: string): boolean {
  const isSigned = spec.alphabet === 'x+n';
  if (isSigned && !isSign(text.charCodeAt(0))) return false;
  for (let index = isSigned ? 1 : 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0xff || ((CLASSES[code] ?? 0) & spec.classBit) === 0) return false;
  }
  return true;
}

function isSign(code: number): boolean {
  return code === 0x43 || code === 0x44;
}

function writeText(spec: FieldSpec, text: string, target: Uint8Array, start: number): number {
  const { toWire } = spec;
  let classes = 0xff;
  const first = spec.alphabet === 'x+n' ? 1 : 0;
  if (first === 1) {
    const sign = text.charCodeAt(0);
    if (!isSign(sign)) throw notOfType(spec, start);
    target[start] = toWire[sign] ?? 0;
  }
  if (toWire === LATIN1) {
    for (let index = first; index < text.length; index++) {
      const code = text.charCodeAt(index);
      classes &= CLASSES[code] ?? 0;
      target[start + index] = code;
    }
  } else {
    for (let index = first; index < text.length; index++) {
      const code = text.charCodeAt(index);
      classes &= CLASSES[code] ?? 0;
      target[start + index] = toWire[code] ?? 0;
    }
  }
  if ((classes & spec.classBit) === 0) throw notOfType(spec, start);
  return start + text.length;
}

/** The sign is a character of its own. */
function writeSigned(spec: FieldSpec, text: string, target: Uint8Array, start: number): number {
  const sign = text.charCodeAt(0);
  if (!isSign(sign)) throw notOfType(spec, start);
  target[start] = sign;
  return packDigits(spec, text, target, start + 1, 1);
}

/** Packs the digits from `first` on; those behind a sign stand right. */
function packDigits(
  spec: FieldSpec,
  text: string,
  target: Uint8Array,
  start: number,
  first: number,
): number {
  const { length } = text;
  const filler = spec.filler === 'F' ? 0x0f : 0;
  let classes = 0xff;
  let index = first;
  let to = start;
  const isOdd = ((length - index) & 1) === 1;
  if (isOdd && (first > 0 || spec.align === 'right')) {
    const code = text.charCodeAt(index++);
    classes &= CLASSES[code] ?? 0;
    target[to++] = (filler << 4) | (NIBBLES[code] ?? 0);
  }
  for (; index + 1 < length; index += 2) {
    const high = text.charCodeAt(index);
    const low = text.charCodeAt(index + 1);
    classes &= (CLASSES[high] ?? 0) & (CLASSES[low] ?? 0);
    target[to++] = ((NIBBLES[high] ?? 0) << 4) | (NIBBLES[low] ?? 0);
  }
  if (index < length) {
    const code = text.charCodeAt(index);
    classes &= CLASSES[code] ?? 0;
    target[to++] = ((NIBBLES[code] ?? 0) << 4) | filler;
  }
  if ((classes & spec.classBit) === 0) throw notOfType(spec, start);
  return to;
}

function writeBytes(value: Uint8Array, target: Uint8Array, start: number): number {
  const { length } = value;
  // Beyond the end of the working memory the message is too long, and that is said later.
  if (length > 32 && start + length <= target.length) target.set(value, start);
  else for (let index = 0; index < length; index++) target[start + index] = value[index] ?? 0;
  return start + length;
}

function writeHex(spec: FieldSpec, value: Uint8Array, target: Uint8Array, start: number): number {
  let to = start;
  for (const byte of value) {
    target[to++] = spec.toWire[NIBBLE_CHARACTERS[byte >> 4] ?? 0] ?? 0;
    target[to++] = spec.toWire[NIBBLE_CHARACTERS[byte & 0x0f] ?? 0] ?? 0;
  }
  return to;
}

/**
 * Reads a content of `units` at `start`: bytes as a copy, Latin-1 text as a string; ASCII text is
 * appended to `run`, and the answer is undefined.
 * @throws Iso8583Error `ERR_ISO8583_FIELD`.
 */
export function readContent(
  spec: FieldSpec,
  bytes: Uint8Array,
  at: number,
  units: number,
  run: TextRun,
): FieldValue | undefined {
  switch (spec.operation) {
    case 'text':
      return readText(spec, bytes, at, units, run);
    case 'bcd':
      return unpackDigits(spec, bytes, at, units, run);
    case 'signedBcd':
      return readSigned(spec, bytes, at, units, run);
    case 'bytes':
      return copyBytes(bytes, at, at + units);
    case 'hex':
      return readHex(spec, bytes, at, units);
  }
}

function readText(
  spec: FieldSpec,
  bytes: Uint8Array,
  start: number,
  units: number,
  run: TextRun,
): string | undefined {
  const { fromWire } = spec;
  const to = run.bytes;
  const { end } = run;
  let classes = 0xff;
  const first = spec.alphabet === 'x+n' ? 1 : 0;
  if (first === 1) {
    const sign = fromWire[bytes[start] ?? 0] ?? 0;
    if (!isSign(sign)) throw notOfType(spec, start);
    to[end] = sign;
  }
  if (fromWire === LATIN1) {
    for (let index = first; index < units; index++) {
      const code = bytes[start + index] ?? 0;
      classes &= CLASSES[code] ?? 0;
      to[end + index] = code;
    }
  } else {
    for (let index = first; index < units; index++) {
      const code = fromWire[bytes[start + index] ?? 0] ?? 0;
      classes &= CLASSES[code] ?? 0;
      to[end + index] = code;
    }
  }
  if ((classes & spec.classBit) === 0) throw notOfType(spec, start);
  if ((classes & CLASS_ASCII) === 0) return shortText(to, end, end + units);
  run.end = end + units;
  return undefined;
}

function readSigned(
  spec: FieldSpec,
  bytes: Uint8Array,
  start: number,
  units: number,
  run: TextRun,
): undefined {
  const sign = bytes[start] ?? 0;
  if (!isSign(sign)) throw notOfType(spec, start);
  run.bytes[run.end++] = sign;
  unpackDigits(spec, bytes, start + 1, units - 1, run);
}

function unpackDigits(
  spec: FieldSpec,
  bytes: Uint8Array,
  start: number,
  units: number,
  run: TextRun,
): undefined {
  const to = run.bytes;
  let { end } = run;
  let from = start;
  let classes = 0xff;
  let filler = 0;
  const isOdd = (units & 1) === 1;
  const isRight = spec.align === 'right' || spec.operation === 'signedBcd';
  if (isOdd && isRight) {
    const byte = bytes[from++] ?? 0;
    filler = byte >> 4;
    const code = NIBBLE_CHARACTERS[byte & 0x0f] ?? 0;
    classes &= CLASSES[code] ?? 0;
    to[end++] = code;
  }
  for (const last = from + (units >> 1); from < last; from++) {
    const byte = bytes[from] ?? 0;
    classes &= PAIR_CLASSES[byte] ?? 0;
    to[end] = NIBBLE_CHARACTERS[byte >> 4] ?? 0;
    to[end + 1] = NIBBLE_CHARACTERS[byte & 0x0f] ?? 0;
    end += 2;
  }
  if (isOdd && !isRight) {
    const byte = bytes[from] ?? 0;
    filler = byte & 0x0f;
    const code = NIBBLE_CHARACTERS[byte >> 4] ?? 0;
    classes &= CLASSES[code] ?? 0;
    to[end++] = code;
  }
  if ((classes & spec.classBit) === 0) throw notOfType(spec, start);
  if (filler !== 0 && filler !== 0x0f) throw refusal(spec, start, 'has a digit as its filler');
  run.end = end;
}

function readHex(spec: FieldSpec, bytes: Uint8Array, start: number, units: number): Uint8Array {
  const value = takeBytes(units);
  let bad = 0;
  for (let index = 0; index < units; index++) {
    const high = spec.fromWire[bytes[start + 2 * index] ?? 0] ?? 0;
    const low = spec.fromWire[bytes[start + 2 * index + 1] ?? 0] ?? 0;
    const nibbles = ((NIBBLES[high] ?? 0) << 4) | (NIBBLES[low] ?? 0);
    // `=` is a nibble of tracks only.
    bad |= (nibbles & ~0xff) | (high === 0x3d || low === 0x3d || NIBBLES[low] === 0xff ? 0x100 : 0);
    value[index] = nibbles;
  }
  if (bad !== 0) throw refusal(spec, start, 'is not hex');
  return value;
}

/** Digits, characters or bytes of the value that begins behind the prefix at `offset`. */
export function readUnits(spec: FieldSpec, bytes: Uint8Array, offset: number): number {
  const { prefix } = spec;
  if (prefix.lengthBytes === 0) return spec.max;
  assertRoom(bytes, offset, prefix.lengthBytes, spec.fieldPath);
  const length = readPrefix(prefix, bytes, offset);
  if (length < 0) {
    const place = { fieldPath: spec.fieldPath, offsetBytes: offset };
    throw fault('ERR_ISO8583_LENGTH', place, 'has a length that is no number');
  }
  if (prefix.counts === 'bytes') return unitsOfBytes(spec, bytes, offset, length);
  if (length < spec.min || length > spec.max) throw wrongUnits(spec, length, offset);
  return length;
}

/**
 * A length that counts bytes leaves open whether the last half byte counts: it does not when it is
 * the filler F, or one digit more than the field can have.
 */
function unitsOfBytes(spec: FieldSpec, bytes: Uint8Array, offset: number, length: number): number {
  const { operation, contentBytesMin, contentBytesMax, prefix } = spec;
  const isHalf = operation === 'hex' && length % 2 === 1;
  if (isHalf || length < contentBytesMin || length > contentBytesMax) {
    throw wrongBytes(spec, length, offset);
  }
  if (operation === 'hex') return length / 2;
  const start = offset + prefix.lengthBytes;
  assertRoom(bytes, start, length, spec.fieldPath);
  const isSigned = operation === 'signedBcd';
  const nibbles = isSigned ? 2 * length - 1 : 2 * length;
  const isRight = isSigned || spec.align === 'right';
  const outer = isRight
    ? (bytes[isSigned ? start + 1 : start] ?? 0) >> 4
    : (bytes[start + length - 1] ?? 0) & 0x0f;
  const isFilled = nibbles > spec.max || (spec.filler === 'F' && outer === 0x0f);
  return isFilled ? nibbles - 1 : nibbles;
}

/** A length of digits or a binary one; -1 when it is malformed. A sign or blank is. */
export function readPrefix(prefix: LengthPrefix, bytes: Uint8Array, offset: number): number {
  const { encoding, lengthBytes } = prefix;
  let length = 0;
  for (let index = offset; index < offset + lengthBytes; index++) {
    const byte = bytes[index] ?? 0;
    if (encoding === 'binary') length = (length << 8) | byte;
    else if (encoding === 'bcd') {
      if (byte >> 4 > 9 || (byte & 0x0f) > 9) return -1;
      length = 100 * length + 10 * (byte >> 4) + (byte & 0x0f);
    } else {
      const digit = byte - (encoding === 'ascii' ? DIGIT_0 : 0xf0);
      if (digit < 0 || digit > 9) return -1;
      length = 10 * length + digit;
    }
  }
  return length;
}

function writePrefix(
  { encoding, lengthBytes }: LengthPrefix,
  length: number,
  target: Uint8Array,
  offset: number,
): void {
  let rest = length;
  for (let index = offset + lengthBytes - 1; index >= offset; index--) {
    if (encoding === 'binary') {
      target[index] = rest & 0xff;
      rest >>= 8;
    } else if (encoding === 'bcd') {
      target[index] = (Math.trunc((rest % 100) / 10) << 4) | (rest % 10);
      rest = Math.trunc(rest / 100);
    } else {
      target[index] = (encoding === 'ascii' ? DIGIT_0 : 0xf0) + (rest % 10);
      rest = Math.trunc(rest / 10);
    }
  }
}

/** @throws Iso8583Error `ERR_ISO8583_TRUNCATED` when `length` bytes are not there. */
export function assertRoom(
  bytes: Uint8Array,
  offset: number,
  length: number,
  fieldPath: string,
): void {
  if (offset + length <= bytes.length) return;
  const place = { fieldPath, offsetBytes: bytes.length };
  throw fault('ERR_ISO8583_TRUNCATED', place, `ends early, ${length} bytes wanted`);
}

/** A value of so many digits, characters or bytes, which the field cannot have. */
export function wrongUnits(spec: FieldSpec, units: number, offsetBytes: number): Iso8583Error {
  const { min, max, operation } = spec;
  const what = `${units} ${operation === 'bcd' ? 'digits' : 'bytes'}`;
  return wrongLength(spec, offsetBytes, { what, min, max });
}

function wrongBytes(spec: FieldSpec, length: number, offsetBytes: number): Iso8583Error {
  const { contentBytesMin: min, contentBytesMax: max } = spec;
  return wrongLength(spec, offsetBytes, { what: `${length} bytes`, min, max });
}

function wrongLength(
  { fieldPath }: FieldSpec,
  offsetBytes: number,
  { what, min, max }: { readonly what: string; readonly min: number; readonly max: number },
): Iso8583Error {
  const wanted = min === max ? String(max) : `${min} to ${max}`;
  const text = `has ${what}, ${wanted} allowed`;
  return fault('ERR_ISO8583_LENGTH', { fieldPath, offsetBytes }, text);
}

function notOfType(spec: FieldSpec, offsetBytes: number): Iso8583Error {
  return refusal(spec, offsetBytes, `is not of type ${spec.alphabet}`);
}

function refusal({ fieldPath }: FieldSpec, offsetBytes: number, what: string): Iso8583Error {
  return fault('ERR_ISO8583_FIELD', { fieldPath, offsetBytes }, what);
}
