/** TPDU and application header in front of a POS message. @see Q/CUP 009.1, message frame */
import { toHex } from '../bytes/index.ts';
import { NIBBLES } from './characters.ts';
import { fault, type Iso8583Error } from './errors.ts';
import { type HeaderCodec, remembering } from './header.ts';

/** Length of the transport protocol data unit: 60, destination, source. */
export const TPDU_BYTES = 5;
const APPLICATION_HEADER_BYTES = 6;
const TPDU_TYPE = 0x60;

/** Routing and state of a POS message; addresses and versions are upper-case hex. */
export type PosHeader = {
  /** Network address of the receiver, 4 hex digits; any of 0 to F. */
  readonly destination: string;
  readonly source: string;
  /** 2 hex digits, 60 for a POS of UnionPay. */
  readonly applicationType: string;
  /** 2 hex digits, for example 31. */
  readonly softwareVersion: string;
  /** 0 to 15. */
  readonly terminalState: number;
  /** What the centre wants done, 0 to 15: 0 nothing, 1 parameters, 4 sign in again. */
  readonly processingRequest: number;
  /** 6 hex digits. */
  readonly subVersion: string;
};

/** The 11 bytes before a POS message's type. */
export const POS_HEADER: HeaderCodec<PosHeader, PosHeader> = {
  lengthBytes: TPDU_BYTES + APPLICATION_HEADER_BYTES,
  write(header, target) {
    target[0] = TPDU_TYPE;
    putHex(header.destination, target, { part: 'tpdu.destination', offset: 1, lengthBytes: 2 });
    putHex(header.source, target, { part: 'tpdu.source', offset: 3, lengthBytes: 2 });
    putHex(header.applicationType, target, { part: 'applicationType', offset: 5, lengthBytes: 1 });
    putHex(header.softwareVersion, target, { part: 'softwareVersion', offset: 6, lengthBytes: 1 });
    target[7] = (nibble(header.terminalState) << 4) | nibble(header.processingRequest);
    putHex(header.subVersion, target, { part: 'subVersion', offset: 8, lengthBytes: 3 });
  },
  read: remembering({ start: 1, end: TPDU_BYTES + APPLICATION_HEADER_BYTES }, check, (bytes) => ({
    destination: toHex(bytes.subarray(1, 3)),
    source: toHex(bytes.subarray(3, 5)),
    applicationType: toHex(bytes.subarray(5, 6)),
    softwareVersion: toHex(bytes.subarray(6, 7)),
    terminalState: (bytes[7] ?? 0) >> 4,
    processingRequest: (bytes[7] ?? 0) & 0x0f,
    subVersion: toHex(bytes.subarray(8, 11)),
  })),
  check,
};

/** The header of the answer: back to where the request came from. */
export function replyHeader(header: PosHeader): PosHeader {
  return { ...header, destination: header.source, source: header.destination };
}

/** Swaps the addresses of a frame in place, as an answer needs it. */
export function swapTpdu(bytes: Uint8Array): void {
  check(bytes);
  for (let index = 1; index <= 2; index++) {
    const byte = bytes[index] ?? 0;
    bytes[index] = bytes[index + 2] ?? 0;
    bytes[index + 2] = byte;
  }
}

function check(bytes: Uint8Array): void {
  if (bytes.length < TPDU_BYTES + APPLICATION_HEADER_BYTES) {
    const place = { fieldPath: 'header', offsetBytes: bytes.length };
    throw fault('ERR_ISO8583_TRUNCATED', place, 'the header ends early');
  }
  if (bytes[0] !== TPDU_TYPE) throw wrong('tpdu', 0, 'does not begin with 60');
}

function putHex(
  text: string,
  target: Uint8Array,
  at: { readonly part: string; readonly offset: number; readonly lengthBytes: number },
): void {
  const { part, offset, lengthBytes } = at;
  let bad = text.length === 2 * lengthBytes ? 0 : 0x10;
  for (let index = 0; index < lengthBytes; index++) {
    const high = hexValue(text.charCodeAt(2 * index));
    const low = hexValue(text.charCodeAt(2 * index + 1));
    bad |= high | low;
    target[offset + index] = (high << 4) | low;
  }
  if (bad > 0x0f) throw wrong(part, offset, `is not ${2 * lengthBytes} hex digits`);
}

function hexValue(code: number): number {
  // `=` is a nibble of tracks only.
  return code === 0x3d ? 0xff : (NIBBLES[code] ?? 0xff);
}

function nibble(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 15) return value;
  throw wrong('state', 7, 'is not 0 to 15');
}

function wrong(part: string, offsetBytes: number, what: string): Iso8583Error {
  return fault('ERR_ISO8583_HEADER', { fieldPath: `header.${part}`, offsetBytes }, what);
}
