/**
 * BER-TLV as it really comes: lengths in odd forms, padding, cut-off ends. Everything readable is
 * read and what is odd is flagged; nothing throws. @see EMV 4.3 B3 Annex B
 */
import { byteAt, toHex } from '../bytes/index.ts';
import { both, finding, nodeOf } from './build.ts';
import { isWellFormedTag, tagName } from './tag-names.ts';
import type { ExplainInput, ExplainNode, Finding } from './types.ts';
import { readValue, type ValueReading } from './value.ts';

/** Deepest nesting followed; EMV needs four levels. */
export const TLV_DEPTH_MAX = 10;
/** Most data objects of one input. */
export const TLV_OBJECTS_MAX = 5_000;
/** Longest tag followed, in bytes. */
const TAG_BYTES_MAX = 4;
/** Most bytes of a length after its first. */
const LENGTH_BYTES_MAX = 4;

/** One data object of any level. */
export type TlvObject = {
  readonly tag: string;
  readonly value: Uint8Array;
  /** Of the tag. */
  readonly offsetBytes: number;
  /** Of the value. */
  readonly valueOffsetBytes: number;
  readonly depth: number;
  readonly children: readonly TlvObject[] | null;
  readonly reading: ValueReading;
  readonly findings: readonly Finding[];
};

/** What was read. */
export type TlvReading = {
  readonly objects: readonly TlvObject[];
  /** About places between objects. */
  readonly findings: readonly Finding[];
  /** Where reading had to stop; null when all bytes were read. */
  readonly brokenAtBytes: number | null;
};

type State = {
  readonly bytes: Uint8Array;
  readonly baseBytes: number;
  readonly currency: string | undefined;
  count: number;
  brokenAtBytes: number | null;
};

/** Reads all objects of `bytes`, whose first byte stands at `baseBytes` of the input. */
export function readTlv(bytes: Uint8Array, baseBytes = 0): TlvReading {
  const currency = currencyIn(bytes);
  const state: State = { bytes, baseBytes, currency, count: 0, brokenAtBytes: null };
  const level = readLevel(state, { start: 0, end: bytes.length, depth: 0 });
  return { ...level, brokenAtBytes: state.brokenAtBytes };
}

/** Readings of whole inputs; many kinds ask for the same one when they guess. */
const inputReadings = new WeakMap<ExplainInput, TlvReading>();

/** The data objects of an input's bytes, read once. */
export function readInputTlv(input: ExplainInput): TlvReading {
  const kept = inputReadings.get(input);
  if (kept) return kept;
  const reading = readTlv(input.bytes ?? new Uint8Array(0));
  inputReadings.set(input, reading);
  return reading;
}

/** The currency that amounts of the same data are in, found by its bytes. */
function currencyIn(bytes: Uint8Array): string | undefined {
  const match = /(?:5F2A|9F42)02(0[0-9]{3})/.exec(toHex(bytes.subarray(0, 4096)));
  return match?.[1];
}

type Range = { readonly start: number; readonly end: number; readonly depth: number };
type Level = { readonly objects: readonly TlvObject[]; readonly findings: readonly Finding[] };

function readLevel(state: State, range: Range): Level {
  const objects: TlvObject[] = [];
  const findings: Finding[] = [];
  let offset = range.start;
  while (offset < range.end) {
    const filler = fillerLength(state.bytes, offset, range.end);
    if (filler > 0) {
      findings.push(padding(state, offset, filler));
      offset += filler;
      continue;
    }
    const read = readObject(state, { ...range, start: offset });
    if (read === null) {
      state.brokenAtBytes ??= state.baseBytes + offset;
      findings.push(brokenAt(state, offset, range.end));
      break;
    }
    objects.push(read.object);
    offset = read.end;
  }
  return { objects, findings };
}

/** QUIRK: cards pad between objects with 00 or FF (evsinev/ber-tlv #11). */
function fillerLength(bytes: Uint8Array, offset: number, end: number): number {
  const first = byteAt(bytes, offset);
  if (first !== 0x00 && first !== 0xff) return 0;
  let length = 1;
  while (offset + length < end && byteAt(bytes, offset + length) === first) length += 1;
  return length;
}

function padding(state: State, offset: number, length: number): Finding {
  const hex = toHex(state.bytes.subarray(offset, offset + 1));
  const message = both(
    `${length} bytes ${hex} of padding between data objects`,
    `数据对象之间有 ${length} 个填充字节 ${hex}`,
  );
  return finding('warning', 'TLV_PADDING', state.baseBytes + offset, message);
}

function brokenAt(state: State, offset: number, end: number): Finding {
  const rest = toHex(state.bytes.subarray(offset, Math.min(end, offset + 8)));
  const message = both(
    `no data object begins at byte ${state.baseBytes + offset} (${rest}…)`,
    `第 ${state.baseBytes + offset} 字节处不是数据对象（${rest}…）`,
  );
  return finding('error', 'TLV_BROKEN', state.baseBytes + offset, message);
}

function readObject(state: State, range: Range): { object: TlvObject; end: number } | null {
  const { bytes, baseBytes } = state;
  const { start, end, depth } = range;
  const tagBytes = tagLength(bytes, start, end);
  state.count += 1;
  if (tagBytes === null || state.count > TLV_OBJECTS_MAX) return null;
  const tag = toHex(bytes.subarray(start, start + tagBytes));
  if (!isWellFormedTag(tag)) return null;
  const length = readLength(state, start + tagBytes, end);
  if (length === null) return null;
  const valueEnd = Math.min(end, length.valueStart + length.lengthBytes);
  const value = bytes.subarray(length.valueStart, valueEnd);
  const valueOffsetBytes = baseBytes + length.valueStart;
  const inner = { start: length.valueStart, end: valueEnd, depth: depth + 1 };
  const children = isConstructed(bytes, start) ? readChildren(state, inner) : null;
  const findings = [...length.findings, ...(children?.findings ?? [])];
  if (isConstructed(bytes, start) && children === null) {
    findings.push(noTemplate(tag, valueOffsetBytes));
  }
  if (valueEnd - length.valueStart < length.lengthBytes) {
    state.brokenAtBytes ??= baseBytes + end;
    findings.push(truncated(tag, length.lengthBytes, value.length, baseBytes + end));
  }
  const context = { offsetBytes: valueOffsetBytes, currency: state.currency };
  const reading = children ? EMPTY_READING : readValue(tag, value, context);
  const object = {
    tag,
    value,
    offsetBytes: baseBytes + start,
    valueOffsetBytes,
    depth,
    children: children?.objects ?? null,
    reading,
    findings,
  };
  return { object, end: valueEnd };
}

function noTemplate(tag: string, offsetBytes: number): Finding {
  const message = both(
    `${tag} should hold data objects and holds none`,
    `${tag} 应包含数据对象，但内容不是`,
  );
  return finding('warning', 'TLV_TEMPLATE', offsetBytes, message);
}

const EMPTY_READING: ValueReading = {
  text: null,
  bits: [],
  detail: null,
  children: [],
  findings: [],
};

function isConstructed(bytes: Uint8Array, offset: number): boolean {
  return (byteAt(bytes, offset) & 0x20) !== 0;
}

/** Objects inside; null when the value holds none although its tag says so. */
function readChildren(state: State, range: Range): Level | null {
  if (range.depth >= TLV_DEPTH_MAX) return null;
  const before = { count: state.count, brokenAtBytes: state.brokenAtBytes };
  const level = readLevel(state, range);
  if (level.objects.length > 0 || range.end === range.start) return level;
  state.brokenAtBytes = before.brokenAtBytes;
  const isBroken = level.findings.some((found) => found.code === 'TLV_BROKEN');
  return isBroken ? null : level;
}

/** Bytes of the tag at `offset`; null when it does not end. */
function tagLength(bytes: Uint8Array, offset: number, end: number): number | null {
  if ((byteAt(bytes, offset) & 0x1f) !== 0x1f) return 1;
  for (let length = 2; length <= TAG_BYTES_MAX && offset + length <= end; length++) {
    if ((byteAt(bytes, offset + length - 1) & 0x80) === 0) return length;
  }
  return null;
}

type Length = {
  readonly lengthBytes: number;
  readonly valueStart: number;
  readonly findings: readonly Finding[];
};

/**
 * A length in its BER form; else, QUIRK, as one plain byte when that fits: cards write 91 for 145
 * bytes (binaryfoo/emv-bertlv #9). The indefinite form 80 is refused. @see EMV 4.3 B3 §B2
 */
function readLength(state: State, offset: number, end: number): Length | null {
  const { bytes, baseBytes } = state;
  const first = offset < end ? bytes[offset] : undefined;
  if (first === undefined || first === 0x80) return null;
  if (first < 0x80) return { lengthBytes: first, valueStart: offset + 1, findings: [] };
  const extra = first & 0x7f;
  const isPlain = end - offset - 1 === first;
  if (extra > LENGTH_BYTES_MAX || offset + 1 + extra > end) {
    return end - offset - 1 >= first ? plainLength(first, offset, baseBytes) : null;
  }
  const valueStart = offset + 1 + extra;
  let lengthBytes = 0;
  for (let at = offset + 1; at < valueStart; at++)
    lengthBytes = lengthBytes * 256 + byteAt(bytes, at);
  if (isPlain && valueStart + lengthBytes !== end) return plainLength(first, offset, baseBytes);
  const needed = lengthBytes < 0x80 ? 0 : lengthBytes < 0x100 ? 1 : lengthBytes < 0x10000 ? 2 : 3;
  const form = toHex(bytes.subarray(offset, valueStart));
  const message = both(
    `length ${form} is longer than it must be for ${lengthBytes}`,
    `长度 ${form} 不是 ${lengthBytes} 的最短形式`,
  );
  const findings =
    extra > needed
      ? [finding('warning', 'TLV_LENGTH_NOT_SHORTEST', baseBytes + offset, message)]
      : [];
  return { lengthBytes, valueStart, findings };
}

function plainLength(first: number, offset: number, baseBytes: number): Length {
  const hex = first.toString(16).toUpperCase();
  const message = both(
    `length byte ${hex} would announce ${first & 0x7f} length bytes; it means ${first}: 81${hex}`,
    `长度字节 ${hex} 按 BER 表示后续 ${first & 0x7f} 个长度字节；实为 ${first}，应写作 81${hex}`,
  );
  const found = finding('error', 'TLV_LENGTH_NOT_BER', baseBytes + offset, message);
  return { lengthBytes: first, valueStart: offset + 1, findings: [found] };
}

function truncated(tag: string, announced: number, present: number, offsetBytes: number): Finding {
  const message = both(
    `${tag} announces ${announced} bytes, ${present} are there: ${announced - present} missing`,
    `${tag} 声明 ${announced} 字节，实际 ${present} 字节，缺 ${announced - present} 字节`,
  );
  return finding('error', 'TLV_TRUNCATED', offsetBytes, message);
}

/** Objects as lines of the tree. */
export function tlvNodes(objects: readonly TlvObject[]): readonly ExplainNode[] {
  return objects.map((object) => {
    const { nameEn, nameZh } = tagName(object.tag);
    const place = { offsetBytes: object.offsetBytes, bytes: object.value };
    const node = nodeOf(both(nameEn, nameZh), place, {
      tag: object.tag,
      text: object.reading.text,
      children: object.children ? tlvNodes(object.children) : object.reading.children,
      findings: [...object.findings, ...object.reading.findings],
    });
    const lengthBytes = object.valueOffsetBytes - object.offsetBytes + object.value.length;
    return { ...node, lengthBytes };
  });
}

/** All objects, outermost first, in order. */
export function allObjects(objects: readonly TlvObject[]): readonly TlvObject[] {
  return objects.flatMap((object) => [
    object,
    ...(object.children ? allObjects(object.children) : []),
  ]);
}

/** All findings of objects and between them. */
export function tlvFindings(reading: TlvReading): readonly Finding[] {
  const inner = allObjects(reading.objects).flatMap((object) => [
    ...object.findings,
    ...object.reading.findings,
    ...object.reading.children.flatMap((child) => child.findings),
  ]);
  return [...reading.findings, ...inner];
}

/** Values of primitive objects by tag; the first of a doubled tag stays. */
export function tlvValues(objects: readonly TlvObject[]): Map<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  for (const { tag, value, children } of allObjects(objects)) {
    if (children === null && !values.has(tag)) values.set(tag, value);
  }
  return values;
}
