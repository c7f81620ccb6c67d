/**
 * What may stand before a message type: length, TPDU, application header, version. Every place
 * where a message could begin is one reading. @see Q/CUP 009.1 (frame), Q/CUP 006 (header)
 */
import { bytesToLatin1, bytesToUint, toHex } from '../bytes/index.ts';
import { CUPS_HEADER_BYTES } from '../iso8583/index.ts';

/** What the two bytes in front count. */
export type LengthUnit = 'bytes' | 'bytesWithItself' | 'hexDigits' | 'bcdBytes' | 'wrong';

/** The two bytes in front of a frame. */
export type LengthHeader = {
  readonly hex: string;
  readonly value: number;
  readonly unit: LengthUnit;
  readonly actualBytes: number;
};

/** The parts before the message type; offsets follow from their order and lengths. */
export type Framing = {
  readonly length: LengthHeader | null;
  readonly tpdu: Uint8Array | null;
  /** 6 bytes in the POS dialect, 46 in the interbank one, 2 or what else stands there. */
  readonly header: Uint8Array | null;
  readonly headerKind: 'pos' | 'cups' | 'private' | null;
  readonly mtiOffset: number;
};

const TPDU_BYTES = 5;
const POS_HEADER_BYTES = 6;
/** Longest unknown header looked over. */
const PRIVATE_HEADER_BYTES_MAX = 12;

/** All framings of the bytes whose message type is one, in BCD or ASCII. */
export function framingsOf(bytes: Uint8Array): readonly Framing[] {
  const framings: Framing[] = [];
  const starts: readonly (LengthHeader | null)[] = [null, lengthHeaderOf(bytes)];
  for (const length of starts) {
    const start = length === null ? 0 : 2;
    framings.push({ ...none(start), length });
    const hasTpdu = (bytes[start] ?? 0) >> 4 === 6 && bytes.length >= start + TPDU_BYTES;
    if (!hasTpdu) {
      framings.push(...headered(bytes, start, { length, tpdu: null }));
      continue;
    }
    const tpdu = bytes.slice(start, start + TPDU_BYTES);
    framings.push({ ...none(start + TPDU_BYTES), length, tpdu });
    framings.push(...headered(bytes, start + TPDU_BYTES, { length, tpdu }));
  }
  return framings.filter(({ mtiOffset }) => mtiAt(bytes, mtiOffset) !== null);
}

function none(mtiOffset: number): Framing {
  return { length: null, tpdu: null, header: null, headerKind: null, mtiOffset };
}

function headered(
  bytes: Uint8Array,
  start: number,
  front: Pick<Framing, 'length' | 'tpdu'>,
): readonly Framing[] {
  const framings: Framing[] = [];
  for (let size = 1; size <= PRIVATE_HEADER_BYTES_MAX; size++) {
    const header = bytes.slice(start, start + size);
    const isPos = size === POS_HEADER_BYTES && /^6[0-9]{11}$/.test(toHex(header));
    // Without a TPDU only the UnionPay header counts, since many bytes look like a type.
    if (!isPos && (front.tpdu === null || size % 2 !== 0)) continue;
    const headerKind = isPos ? 'pos' : 'private';
    framings.push({ ...front, header, headerKind, mtiOffset: start + size });
  }
  if (bytes[start] === CUPS_HEADER_BYTES && bytes.length > start + CUPS_HEADER_BYTES) {
    const header = bytes.slice(start, start + CUPS_HEADER_BYTES);
    const mtiOffset = start + CUPS_HEADER_BYTES;
    framings.push({ ...front, header, headerKind: 'cups', mtiOffset });
  }
  return framings;
}

function lengthHeaderOf(bytes: Uint8Array): LengthHeader {
  const value = bytesToUint(bytes.subarray(0, 2));
  const hex = toHex(bytes.subarray(0, 2));
  const actualBytes = Math.max(0, bytes.length - 2);
  return { hex, value, unit: unitOf(value, hex, actualBytes), actualBytes };
}

function unitOf(value: number, hex: string, actualBytes: number): LengthUnit {
  if (value === actualBytes) return 'bytes';
  if (value === actualBytes + 2) return 'bytesWithItself';
  if (value === 2 * actualBytes) return 'hexDigits';
  return /^[0-9]+$/.test(hex) && Number(hex) === actualBytes ? 'bcdBytes' : 'wrong';
}

/** A message type and how it is written. */
export type MessageType = { readonly mti: string; readonly encoding: 'bcd' | 'ascii' };

const MTI = /^[01][1-8][0-9][0-9]$/;

/** The message type at an offset; null when there is none. @see ISO 8583:1987 §4.1 */
export function mtiAt(bytes: Uint8Array, offset: number): MessageType | null {
  const bcd = toHex(bytes.subarray(offset, offset + 2));
  if (MTI.test(bcd)) return { mti: bcd, encoding: 'bcd' };
  const ascii = bytesToLatin1(bytes.subarray(offset, offset + 4));
  return MTI.test(ascii) ? { mti: ascii, encoding: 'ascii' } : null;
}
