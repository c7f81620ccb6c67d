/** UTF-8 (RFC 3629) for frames and signatures, also in rooms that have no TextEncoder. */
import { BytesError, byteAt } from './bytes.ts';

declare const TextEncoder: { new (): { encode(text: string): Uint8Array } };
declare const TextDecoder: {
  new (
    label: string,
    options: { readonly fatal: boolean; readonly ignoreBOM: boolean },
  ): { decode(bytes: Uint8Array): string };
};

/** Those of the engine, ten times as fast and more; null where it has none. */
const encoder = typeof TextEncoder === 'undefined' ? null : new TextEncoder();
const decoder =
  typeof TextDecoder === 'undefined'
    ? null
    : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 of a text; a lone surrogate becomes U+FFFD, as WHATWG encoders do. */
export function utf8ToBytes(text: string): Uint8Array {
  return encoder?.encode(text) ?? encodeByHand(text);
}

/** Text of strict UTF-8. @throws BytesError `ERR_VALUE` with `offsetBytes`. */
export function bytesToUtf8(bytes: Uint8Array): string {
  try {
    if (decoder) return decoder.decode(bytes);
  } catch {
    // It does not tell where: the other one will.
  }
  return decodeByHand(bytes);
}

/** `utf8ToBytes` without the engine's. */
export function encodeByHand(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    appendPoint(bytes, point >= 0xd800 && point <= 0xdfff ? 0xfffd : point);
  }
  return Uint8Array.from(bytes);
}

function appendPoint(bytes: number[], point: number): void {
  if (point < 0x80) bytes.push(point);
  else if (point < 0x800) bytes.push(0xc0 | (point >> 6), tail(point, 0));
  else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), tail(point, 6), tail(point, 0));
  else bytes.push(0xf0 | (point >> 18), tail(point, 12), tail(point, 6), tail(point, 0));
}

function tail(point: number, shift: number): number {
  return 0x80 | ((point >> shift) & 0x3f);
}

/** Smallest code point of a sequence of 1 to 4 bytes: longer forms are refused. */
const POINT_MIN = [0, 0, 0x80, 0x800, 0x10000] as const;

/** `bytesToUtf8` without the engine's. */
export function decodeByHand(bytes: Uint8Array): string {
  const parts: string[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const first = byteAt(bytes, offset);
    const length = sequenceBytes(first);
    if (length === 0 || offset + length > bytes.length) throw malformed(offset);
    let point = length === 1 ? first : first & (0x7f >> length);
    for (let index = 1; index < length; index++) {
      const next = byteAt(bytes, offset + index);
      if ((next & 0xc0) !== 0x80) throw malformed(offset + index);
      point = (point << 6) | (next & 0x3f);
    }
    const surrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < (POINT_MIN[length] ?? 0) || point > 0x10ffff || surrogate) throw malformed(offset);
    parts.push(String.fromCodePoint(point));
    offset += length;
  }
  return parts.join('');
}

function sequenceBytes(first: number): number {
  if (first < 0x80) return 1;
  if (first >= 0xc0 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf8 ? 4 : 0;
}

function malformed(offsetBytes: number): BytesError {
  return new BytesError('ERR_VALUE', `not UTF-8 at byte ${offsetBytes}`, { offsetBytes });
}
