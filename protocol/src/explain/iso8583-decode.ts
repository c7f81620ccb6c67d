/**
 * Reads a message in every format that may fit and keeps the best reading, with how far it came.
 * Unlike the codec of the lines it never refuses: what is odd is kept and said.
 */
import { bytesToLatin1, fromHex, toHex } from '../bytes/index.ts';
import { type FieldFormat, MESSAGE_FORMATS, type MessageFormat } from './iso8583-formats.ts';
import { type Framing, framingsOf, type MessageType, mtiAt } from './iso8583-frame.ts';

/** One field as it stands in the frame. */
export type ReadField = {
  readonly number: number;
  /** Where its length, or else its value, begins. */
  readonly offsetBytes: number;
  readonly prefix: Uint8Array;
  readonly content: Uint8Array;
  /** Digits, characters or hex. */
  readonly value: string;
  readonly kind: FieldFormat['kind'];
  /** Filler digit of an odd number of digits, and where it stands. */
  readonly filler: { readonly digit: string; readonly side: 'front' | 'end' } | null;
  /** Whether the value is of the field's alphabet. */
  readonly isClean: boolean;
};

/** Where a reading had to stop. */
export type Stop = {
  readonly field: number;
  readonly offsetBytes: number;
  readonly why: 'truncated' | 'unknownField' | 'badLength';
  readonly neededBytes: number;
  readonly presentBytes: number;
};

/** The bitmaps of a message. */
export type Bitmap = {
  readonly offsetBytes: number;
  readonly bytes: Uint8Array;
  readonly encoding: 'binary' | 'hexText';
  readonly lengthBytes: number;
  readonly fieldNumbers: readonly number[];
};

/** One reading of a frame. */
export type Reading = {
  readonly framing: Framing;
  readonly format: MessageFormat;
  readonly type: MessageType;
  readonly bitmap: Bitmap;
  readonly fields: readonly ReadField[];
  readonly stop: Stop | null;
  /** Bytes behind the last field. */
  readonly trailing: Uint8Array;
  readonly trailingOffset: number;
  /** The higher the likelier; what makes sense of more bytes wins. */
  readonly score: number;
};

/** Most bytes looked at as one message. */
export const FRAME_BYTES_MAX = 8_192;

/** The best reading; null when nothing in the bytes is a message type with a bitmap. */
export function readMessage(frame: Uint8Array): Reading | null {
  const bytes = frame.subarray(0, FRAME_BYTES_MAX);
  let best: Reading | null = null;
  for (const framing of framingsOf(bytes)) {
    const type = mtiAt(bytes, framing.mtiOffset);
    if (type === null) continue;
    for (const bitmap of bitmapsAt(bytes, framing.mtiOffset + (type.encoding === 'bcd' ? 2 : 4))) {
      for (const format of MESSAGE_FORMATS) {
        if (format.name === 'cups' && framing.headerKind !== 'cups') continue;
        const reading = read(bytes, { framing, type, bitmap, format });
        if (best === null || reading.score > best.score) best = reading;
      }
    }
  }
  return best;
}

/** Numbers of the bits that are set, from 1. */
export function bitsOf(bitmap: Uint8Array): readonly number[] {
  const bits: number[] = [];
  bitmap.forEach((byte, index) => {
    for (let bit = 0; bit < 8; bit++) {
      if ((byte & (0x80 >> bit)) !== 0) bits.push(8 * index + bit + 1);
    }
  });
  return bits;
}

function bitmapsAt(bytes: Uint8Array, offset: number): readonly Bitmap[] {
  const found: Bitmap[] = [];
  const first = bytes[offset];
  if (first === undefined || bytes.length < offset + 8) return found;
  const size = Math.min((first & 0x80) !== 0 ? 16 : 8, bytes.length - offset);
  found.push(bitmapOf(bytes.slice(offset, offset + size), { offset, encoding: 'binary' }));
  const text = bytesToLatin1(bytes.subarray(offset, offset + 32));
  const digits = /^[0-9A-Fa-f]{16}/.test(text) ? (/^[89A-Fa-f]/.test(text) ? 32 : 16) : 0;
  if (digits > 0 && /^[0-9A-Fa-f]+$/.test(text.slice(0, digits)) && text.length >= digits) {
    found.push(bitmapOf(fromHex(text.slice(0, digits)), { offset, encoding: 'hexText' }));
  }
  return found;
}

function bitmapOf(
  bytes: Uint8Array,
  at: { readonly offset: number; readonly encoding: Bitmap['encoding'] },
): Bitmap {
  const { offset: offsetBytes, encoding } = at;
  const lengthBytes = encoding === 'binary' ? bytes.length : 2 * bytes.length;
  const fieldNumbers = bitsOf(bytes).filter((bit) => bit !== 1);
  return { offsetBytes, bytes, encoding, lengthBytes, fieldNumbers };
}

type Parts = Pick<Reading, 'framing' | 'format' | 'type' | 'bitmap'>;

function read(bytes: Uint8Array, parts: Parts): Reading {
  const { bitmap, format } = parts;
  const fields: ReadField[] = [];
  let offset = bitmap.offsetBytes + bitmap.lengthBytes;
  let stop: Stop | null = null;
  for (const number of bitmap.fieldNumbers) {
    const spec = format.fields.get(number);
    if (spec === undefined) {
      const rest = bytes.length - offset;
      const why = 'unknownField';
      stop = { field: number, offsetBytes: offset, why, neededBytes: 0, presentBytes: rest };
      break;
    }
    const one = readField(bytes, offset, { number, spec, format });
    if ('why' in one) {
      stop = one;
      break;
    }
    fields.push(one);
    offset += one.prefix.length + one.content.length;
  }
  const trailing = stop === null ? bytes.slice(offset) : new Uint8Array();
  const reading = { ...parts, fields, stop, trailing, trailingOffset: offset };
  return { ...reading, score: scoreOf(reading) };
}

/** Reads one field, or says why it cannot be read. */
function readField(
  bytes: Uint8Array,
  offset: number,
  wanted: {
    readonly number: number;
    readonly spec: FieldFormat;
    readonly format: MessageFormat;
  },
): ReadField | Stop {
  const { number, spec, format } = wanted;
  const inBcd = format.digits === 'bcd';
  const digitCount = spec.prefixDigits;
  const prefixBytes = inBcd ? Math.ceil(digitCount / 2) : digitCount;
  const prefix = bytes.slice(offset, offset + prefixBytes);
  const stopped = (why: Stop['why'], neededBytes: number): Stop => {
    const presentBytes = Math.max(0, bytes.length - offset);
    return { field: number, offsetBytes: offset, why, neededBytes, presentBytes };
  };
  if (prefix.length < prefixBytes) return stopped('truncated', prefixBytes);
  let size = spec.size;
  if (prefixBytes > 0) {
    const text = inBcd ? toHex(prefix) : bytesToLatin1(prefix);
    if (!/^[0-9]+$/.test(text) || Number(text) > spec.size) return stopped('badLength', 0);
    size = Number(text);
  }
  const packs = inBcd && (spec.kind === 'n' || spec.kind === 'z');
  const contentBytes =
    packs && !(prefixBytes > 0 && format.counts === 'bytes')
      ? Math.ceil(size / 2)
      : bytesOf(spec, size, inBcd);
  const start = offset + prefixBytes;
  const content = bytes.slice(start, start + contentBytes);
  if (content.length < contentBytes) return stopped('truncated', prefixBytes + contentBytes);
  const digits = format.counts === 'bytes' && prefixBytes > 0 ? 2 * size : size;
  const value = packs ? unpack(content, digits, spec) : plainValue(content, spec);
  return { number, offsetBytes: offset, prefix, content, kind: spec.kind, ...value };
}

/** Sign and BCD digits of `x`: one character and half the rest. */
function bytesOf(spec: FieldFormat, size: number, inBcd: boolean): number {
  return spec.kind === 'x' && inBcd ? 1 + Math.ceil((size - 1) / 2) : size;
}

type Value = Pick<ReadField, 'value' | 'filler' | 'isClean'>;

/**
 * Digits of a packed value. QUIRK: hosts differ in where the filler of three digits stands in two
 * bytes; a digit other than 0 or F at the format's place shows that it is at the other one.
 */
function unpack(content: Uint8Array, digits: number, spec: FieldFormat): Value {
  const text = toHex(content);
  const pattern = spec.kind === 'n' ? /^[0-9]*$/ : /^[0-9D=]*F*$/;
  if (text.length === digits) {
    return { value: text, filler: null, isClean: pattern.test(text) };
  }
  const front = text.slice(0, text.length - digits);
  const end = text.slice(digits);
  const expected = spec.align === 'left' ? end : front;
  const isOther = !/^[0F]$/.test(expected) && /^[0F]$/.test(spec.align === 'left' ? front : end);
  const isAtEnd = (spec.align === 'left') !== isOther;
  const value = isAtEnd ? text.slice(0, digits) : text.slice(-digits);
  const filler = isAtEnd
    ? ({ digit: end, side: 'end' } as const)
    : ({ digit: front, side: 'front' } as const);
  return { value, filler, isClean: pattern.test(value) };
}

function plainValue(content: Uint8Array, spec: FieldFormat): Value {
  if (spec.kind === 'b') return { value: toHex(content), filler: null, isClean: true };
  const text = bytesToLatin1(content);
  const pattern =
    spec.kind === 'n' ? /^[0-9]*$/ : spec.kind === 'z' ? /^[0-9=D]*$/ : /^[\x20-\x7e]*$/;
  const isClean = spec.kind === 'x' ? /^[CDcd]/.test(text) : pattern.test(text);
  // Private fields carry bytes where the standard has characters.
  const isText = /^[\x20-\x7e]*$/.test(text);
  return { value: isText ? text : toHex(content), filler: null, isClean };
}

/** Bytes made sense of, less what is odd; a frame and its own format count more. */
function scoreOf(reading: Omit<Reading, 'score'>): number {
  const { framing, format, type, fields, stop, trailing, bitmap } = reading;
  let score = 20 + 4 * fields.length;
  score -= 6 * fields.filter((field) => !field.isClean).length;
  const isMacLeftOut = stop?.field === 64 || stop?.field === 128;
  if (stop?.why === 'truncated' && stop.presentBytes === 0 && isMacLeftOut) score += 10;
  else if (stop !== null) score -= stop.why === 'truncated' ? 12 : 25;
  else score += trailing.length === 0 ? 20 : -10;
  if (bitmap.fieldNumbers.length === 0) score -= 15;
  if (bitmap.encoding === 'hexText') score += 3;
  if (framing.length !== null) score += framing.length.unit === 'wrong' ? -15 : 8;
  if (framing.tpdu !== null) score += 6;
  if (framing.headerKind === 'private') score -= 3 + (framing.header?.length ?? 0);
  else if (framing.headerKind !== null) score += 8;
  if ((type.encoding === 'bcd') !== (format.digits === 'bcd')) score -= 8;
  if (framing.headerKind === 'cups') score += format.name === 'cups' ? 10 : -10;
  if (!/^[01][1-8][0-5][0-5]$/.test(type.mti)) score -= 8;
  if (format.counts === 'bytes') score -= 2;
  return score;
}
