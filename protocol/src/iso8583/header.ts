/** The 46-byte header in front of every CUPS message. @see Q/CUP 006, message header */
import { byteAt } from '../bytes/index.ts';
import { putAscii, type Source } from './encodings.ts';
import { fault } from './errors.ts';

/** Length of the header; its first byte says so too. */
export const CUPS_HEADER_BYTES = 46;
const VERSION = 0x01;
/** Highest value of the four length digits. */
const TOTAL_BYTES_MAX = 9_999;

/** Who sends to whom. The rest of the header has fixed values unless given. */
export type CupsHeader = {
  /** Institution identification, at most 11 digits. */
  readonly destination: string;
  readonly source: string;
  readonly batchNumber?: number;
  /** 8 characters. */
  readonly transactionInfo?: string;
  readonly userInfo?: number;
  /** 5 digits; not zero when a node sends a message back unprocessed. */
  readonly rejectCode?: string;
};

/** Header of a message whose total length is `totalBytes`. @throws Iso8583Error `_HEADER`. */
export function encodeHeader(header: CupsHeader, totalBytes: number): Uint8Array {
  if (totalBytes > TOTAL_BYTES_MAX) {
    throw fault('ERR_ISO8583_HEADER', place('totalLength', 2), `${totalBytes} bytes are too long`);
  }
  const bytes = new Uint8Array(CUPS_HEADER_BYTES);
  bytes[0] = CUPS_HEADER_BYTES;
  bytes[1] = VERSION;
  putAscii(String(totalBytes).padStart(4, '0'), bytes, 2);
  putAscii(institution(header.destination, 'destination', 6), bytes, 6);
  putAscii(institution(header.source, 'source', 17), bytes, 17);
  bytes[31] = header.batchNumber ?? 0;
  putAscii(textOf(header.transactionInfo ?? '00000000', 'transactionInfo', 32), bytes, 32);
  bytes[40] = header.userInfo ?? 0;
  putAscii(digitsOf(header.rejectCode ?? '00000', 'rejectCode', 41), bytes, 41);
  return bytes;
}

/** Reads and checks the header. @throws Iso8583Error `ERR_ISO8583_HEADER`, `_TRUNCATED`. */
export function decodeHeader({ bytes, text }: Source): Required<CupsHeader> {
  if (bytes.length < CUPS_HEADER_BYTES) {
    throw fault('ERR_ISO8583_TRUNCATED', place('', bytes.length), 'the header ends early');
  }
  if (byteAt(bytes, 0) !== CUPS_HEADER_BYTES) {
    throw fault('ERR_ISO8583_HEADER', place('length', 0), 'is not 46');
  }
  // The highest bit of the version marks a test message.
  if ((byteAt(bytes, 1) & 0x7f) !== VERSION) {
    throw fault('ERR_ISO8583_HEADER', place('version', 1), 'is not known');
  }
  if (digitsOf(text.slice(2, 6), 'totalLength', 2) !== String(bytes.length).padStart(4, '0')) {
    throw fault('ERR_ISO8583_HEADER', place('totalLength', 2), 'is not the length of the message');
  }
  return {
    destination: institution(text.slice(6, 17).trimEnd(), 'destination', 6).trimEnd(),
    source: institution(text.slice(17, 28).trimEnd(), 'source', 17).trimEnd(),
    batchNumber: byteAt(bytes, 31),
    transactionInfo: textOf(text.slice(32, 40), 'transactionInfo', 32),
    userInfo: byteAt(bytes, 40),
    rejectCode: digitsOf(text.slice(41, 46), 'rejectCode', 41),
  };
}

function place(part: string, offsetBytes: number): { fieldPath: string; offsetBytes: number } {
  return { fieldPath: part === '' ? 'header' : `header.${part}`, offsetBytes };
}

/** Left-justified in 11 characters. */
function institution(text: string, part: string, offset: number): string {
  if (/^[0-9]{1,11}$/.test(text)) return text.padEnd(11);
  throw fault('ERR_ISO8583_HEADER', place(part, offset), 'is not 1 to 11 digits');
}

function digitsOf(text: string, part: string, offset: number): string {
  if (/^(?:[0-9]{4}|[0-9]{5})$/.test(text)) return text;
  throw fault('ERR_ISO8583_HEADER', place(part, offset), 'is not digits');
}

function textOf(text: string, part: string, offset: number): string {
  if (/^[\x20-\x7e]{8}$/.test(text)) return text;
  throw fault('ERR_ISO8583_HEADER', place(part, offset), 'is not 8 characters');
}
