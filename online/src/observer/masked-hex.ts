/** Hex of which some bytes are masked by asterisks, and the data objects in it. */
import { fromHex } from '@tapnpay/protocol/bytes';

/** Deepest nesting and longest text that is looked at. */
const DEPTH_MAX = 8;
const OBJECTS_MAX = 512;

/** One data object; `offset` is its first byte in the whole text, `valueOffset` its value's. */
export type MaskedTlv = {
  readonly tag: string;
  readonly value: string;
  readonly children: readonly MaskedTlv[] | null;
  readonly offset: number;
  readonly valueOffset: number;
};

/** Whether a text is hex of whole bytes, some of them masked. */
export function isMaskedHex(text: string): boolean {
  return text.length % 2 === 0 && /^[0-9A-F*]*$/.test(text);
}

/** Bytes `start` to `end` of a text. */
export function bytesOf(text: string, start: number, end?: number): string {
  return text.slice(2 * start, end === undefined ? undefined : 2 * end);
}

/** Length in bytes. */
export function lengthOf(text: string): number {
  return text.length / 2;
}

/** A byte as a number, or null when it is masked or missing. */
export function numberAt(text: string, index: number): number | null {
  const digits = bytesOf(text, index, index + 1);
  return /^[0-9A-F]{2}$/.test(digits) ? Number.parseInt(digits, 16) : null;
}

/** The bytes when none of them is masked, else null. */
export function clearBytes(text: string): Uint8Array | null {
  return isMaskedHex(text) && !text.includes('*') ? fromHex(text) : null;
}

/** All data objects of a text; null when it is no TLV or a header is masked. */
export function decodeMaskedTlv(text: string, base = 0): readonly MaskedTlv[] | null {
  const budget = { objects: OBJECTS_MAX };
  return decodeLevel({ text, base, depth: 0 }, budget);
}

type Level = { readonly text: string; readonly base: number; readonly depth: number };

function decodeLevel(level: Level, budget: { objects: number }): readonly MaskedTlv[] | null {
  const { text, base, depth } = level;
  if (depth >= DEPTH_MAX) return null;
  const objects: MaskedTlv[] = [];
  let offset = 0;
  while (offset < lengthOf(text)) {
    const first = numberAt(text, offset);
    if (first === 0x00 || first === 0xff) {
      offset += 1;
      continue;
    }
    budget.objects -= 1;
    const head = readHead(text, offset);
    if (!head || budget.objects < 0) return null;
    const value = bytesOf(text, head.start, head.start + head.lengthBytes);
    const valueOffset = base + head.start;
    const isConstructed = ((first ?? 0) & 0x20) !== 0;
    const inner = isConstructed
      ? decodeLevel({ text: value, base: valueOffset, depth: depth + 1 }, budget)
      : null;
    objects.push({ tag: head.tag, value, children: inner, offset: base + offset, valueOffset });
    offset = head.start + head.lengthBytes;
  }
  return objects;
}

type Head = { readonly tag: string; readonly start: number; readonly lengthBytes: number };

/** Tag and length at `offset`; null when they are cut off, masked or longer than the text. */
function readHead(text: string, offset: number): Head | null {
  let end = offset + 1;
  if (((numberAt(text, offset) ?? 0) & 0x1f) === 0x1f) {
    while (((numberAt(text, end) ?? 0) & 0x80) !== 0 && end - offset < 4) end += 1;
    end += 1;
  }
  const tag = bytesOf(text, offset, end);
  const first = numberAt(text, end);
  if (tag.includes('*') || first === null || first === 0x80) return null;
  const extra = first & 0x80 ? first & 0x7f : 0;
  if (extra > 2) return null;
  let lengthBytes = extra === 0 ? first : 0;
  for (let index = 1; index <= extra; index++) {
    const next = numberAt(text, end + index);
    if (next === null) return null;
    lengthBytes = 256 * lengthBytes + next;
  }
  const start = end + 1 + extra;
  return start + lengthBytes <= lengthOf(text) ? { tag, start, lengthBytes } : null;
}
