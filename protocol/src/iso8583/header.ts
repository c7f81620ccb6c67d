/** What stands before the message type: nothing, unknown bytes, or the 46 bytes of CUPS. */
import { putText, shortText } from './characters.ts';
import { fault, type Iso8583Error } from './errors.ts';

/** A dialect's header. `Written` is what a sender gives, `Read` what a receiver gets. */
export type HeaderCodec<Written, Read> = {
  readonly lengthBytes: number;
  /** Writes it into the first bytes of a message. @throws Iso8583Error `ERR_ISO8583_HEADER`. */
  readonly write: (header: Written, target: Uint8Array, totalBytes: number) => void;
  /** @throws Iso8583Error `ERR_ISO8583_HEADER`, `ERR_ISO8583_TRUNCATED`. */
  readonly read: (bytes: Uint8Array) => Read;
  /** The checks of `read` that a router needs. */
  readonly check: (bytes: Uint8Array) => void;
};

/** A message that begins with its type. */
export const NO_HEADER: HeaderCodec<null, null> = {
  lengthBytes: 0,
  write: () => undefined,
  read: () => null,
  check: () => undefined,
};

/** A header of so many bytes that nobody here looks into. */
export function rawHeader(lengthBytes: number): HeaderCodec<Uint8Array, Uint8Array> {
  const check = (bytes: Uint8Array): void => {
    if (bytes.length >= lengthBytes) return;
    const place = { fieldPath: 'header', offsetBytes: bytes.length };
    throw fault('ERR_ISO8583_TRUNCATED', place, 'the header ends early');
  };
  return {
    lengthBytes,
    write(header, target) {
      const what = `has ${header.length} bytes, ${lengthBytes} allowed`;
      const place = { fieldPath: 'header', offsetBytes: 0 };
      if (header.length !== lengthBytes) throw fault('ERR_ISO8583_HEADER', place, what);
      target.set(header);
    },
    read(bytes) {
      check(bytes);
      return bytes.slice(0, lengthBytes);
    },
    check,
  };
}

/**
 * A reader that makes one object of equal headers: from message to message on a line they are.
 * `key` is the part that `read` looks at beyond `check`; the objects are read-only.
 */
export function remembering<Read>(
  key: { readonly start: number; readonly end: number },
  check: (bytes: Uint8Array) => void,
  read: (bytes: Uint8Array) => Read,
): (bytes: Uint8Array) => Read {
  const { start, end } = key;
  type Seen = { readonly bytes: Uint8Array; readonly header: Read };
  let latest: Seen | null = null;
  let before: Seen | null = null;
  return (bytes) => {
    check(bytes);
    if (latest !== null && isEqual(latest.bytes, bytes, start, end)) return latest.header;
    // Requests and answers of one line take turns.
    const other = before;
    before = latest;
    if (other !== null && isEqual(other.bytes, bytes, start, end)) latest = other;
    else latest = { header: read(bytes), bytes: bytes.slice(0, end) };
    return latest.header;
  };
}

function isEqual(left: Uint8Array, right: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (left[index] !== right[index]) return false;
  return true;
}

/** Length of the CUPS header; its first byte says so too. @see Q/CUP 006, message header */
export const CUPS_HEADER_BYTES = 46;
const VERSION = 0x01;
/** Highest value of the four length digits. */
const TOTAL_BYTES_MAX = 9_999;
const INSTITUTION_CHARACTERS = 11;

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

/** The header of Q/CUP 006: length, version, total length, destination, source, and more. */
export const CUPS_HEADER: HeaderCodec<CupsHeader, Required<CupsHeader>> = {
  lengthBytes: CUPS_HEADER_BYTES,
  write: writeCupsHeader,
  read: remembering({ start: 6, end: CUPS_HEADER_BYTES }, checkCupsHeader, readCupsHeader),
  check: checkCupsHeader,
};

/** The header written last, for the next message of the same line. */
let latest: { readonly header: CupsHeader; readonly bytes: Uint8Array } | null = null;

function writeCupsHeader(header: CupsHeader, target: Uint8Array, totalBytes: number): void {
  if (totalBytes > TOTAL_BYTES_MAX)
    throw wrong('totalLength', 2, `${totalBytes} bytes are too long`);
  if (latest !== null && isSameHeader(latest.header, header)) target.set(latest.bytes);
  else {
    writeRoute(header, target);
    latest = { header: { ...header }, bytes: target.slice(0, CUPS_HEADER_BYTES) };
  }
  let rest = totalBytes;
  for (let index = 5; index >= 2; index--) {
    target[index] = 0x30 + (rest % 10);
    rest = Math.trunc(rest / 10);
  }
}

function isSameHeader(left: CupsHeader, right: CupsHeader): boolean {
  return (
    left.destination === right.destination &&
    left.source === right.source &&
    left.batchNumber === right.batchNumber &&
    left.transactionInfo === right.transactionInfo &&
    left.userInfo === right.userInfo &&
    left.rejectCode === right.rejectCode
  );
}

/** Everything but the total length. */
function writeRoute(header: CupsHeader, target: Uint8Array): void {
  target[0] = CUPS_HEADER_BYTES;
  target[1] = VERSION;
  writeInstitution(header.destination, 'destination', target, 6);
  writeInstitution(header.source, 'source', target, 17);
  // Reserved.
  target.fill(0, 28, 31);
  target[31] = header.batchNumber ?? 0;
  const { transactionInfo = '00000000', rejectCode = '00000' } = header;
  putText(transactionInfo.slice(0, 8), target, 32);
  if (transactionInfo.length !== 8 || !isPrintable(transactionInfo)) {
    throw wrong('transactionInfo', 32, 'is not 8 characters');
  }
  target[40] = header.userInfo ?? 0;
  if (!/^[0-9]{5}$/.test(rejectCode)) throw wrong('rejectCode', 41, 'is not digits');
  putText(rejectCode, target, 41);
}

function isPrintable(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** Left-justified in 11 characters. */
function writeInstitution(text: string, part: string, target: Uint8Array, offset: number): void {
  const end = offset + INSTITUTION_CHARACTERS;
  const { length } = text;
  if (length < 1 || length > INSTITUTION_CHARACTERS) throw notInstitution(part, offset);
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x30 || code > 0x39) throw notInstitution(part, offset);
    target[offset + index] = code;
  }
  for (let index = offset + length; index < end; index++) target[index] = 0x20;
}

function checkCupsHeader(bytes: Uint8Array): void {
  if (bytes.length < CUPS_HEADER_BYTES) {
    const place = { fieldPath: 'header', offsetBytes: bytes.length };
    throw fault('ERR_ISO8583_TRUNCATED', place, 'the header ends early');
  }
  if (bytes[0] !== CUPS_HEADER_BYTES) throw wrong('length', 0, 'is not 46');
  // The highest bit of the version marks a test message.
  if (((bytes[1] ?? 0) & 0x7f) !== VERSION) throw wrong('version', 1, 'is not known');
  if (!isWithin(bytes, 2, 6, 0x30, 0x39)) throw wrong('totalLength', 2, 'is not digits');
  let total = 0;
  for (let index = 2; index < 6; index++) total = 10 * total + (bytes[index] ?? 0) - 0x30;
  if (total !== bytes.length) throw wrong('totalLength', 2, 'is not the length of the message');
}

function readCupsHeader(bytes: Uint8Array): Required<CupsHeader> {
  const destination = readInstitution(bytes, 'destination', 6);
  const source = readInstitution(bytes, 'source', 17);
  if (!isWithin(bytes, 32, 40, 0x20, 0x7e)) {
    throw wrong('transactionInfo', 32, 'is not 8 characters');
  }
  if (!isWithin(bytes, 41, 46, 0x30, 0x39)) throw wrong('rejectCode', 41, 'is not digits');
  return {
    destination,
    source,
    batchNumber: bytes[31] ?? 0,
    transactionInfo: shortText(bytes, 32, 40),
    userInfo: bytes[40] ?? 0,
    rejectCode: shortText(bytes, 41, 46),
  };
}

function readInstitution(bytes: Uint8Array, part: string, offset: number): string {
  let end = offset + INSTITUTION_CHARACTERS;
  while (end > offset && bytes[end - 1] === 0x20) end--;
  if (end === offset || !isWithin(bytes, offset, end, 0x30, 0x39)) {
    throw notInstitution(part, offset);
  }
  return shortText(bytes, offset, end);
}

function isWithin(
  bytes: Uint8Array,
  start: number,
  end: number,
  lowest: number,
  highest: number,
): boolean {
  for (let index = start; index < end; index++) {
    const byte = bytes[index] ?? 0;
    if (byte < lowest || byte > highest) return false;
  }
  return true;
}

function notInstitution(part: string, offset: number): Iso8583Error {
  return wrong(part, offset, 'is not 1 to 11 digits');
}

function wrong(part: string, offsetBytes: number, what: string): Iso8583Error {
  return fault('ERR_ISO8583_HEADER', { fieldPath: `header.${part}`, offsetBytes }, what);
}
