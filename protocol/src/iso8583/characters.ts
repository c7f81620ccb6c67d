/** Characters of ISO 8583 fields: alphabets, EBCDIC, and the text of a whole frame in one step. */
import { fromHex } from '../bytes/index.ts';

/** What a field's value may consist of; `b` is bytes, `any` any byte as a Latin-1 character. */
export type Alphabet = 'n' | 'an' | 'ans' | 'any' | 'x+n' | 'z' | 'b';

/** Bit of an alphabet in `CLASSES`. */
export const CLASS_N = 1;
const CLASS_AN = 2;
const CLASS_ANS = 4;
const CLASS_Z = 8;
/** Track data in BCD: also the filler that some terminals count. */
export const CLASS_Z_BCD = 16;
const CLASS_ANY = 32;
/** Below 0x80. */
export const CLASS_ASCII = 64;

/** Which bit says that all characters of a value are of its alphabet. */
export const CLASS_OF: Readonly<Record<Alphabet, number>> = {
  n: CLASS_N,
  // Fixed alphanumeric fields are padded with blanks on the right.
  an: CLASS_AN,
  ans: CLASS_ANS,
  any: CLASS_ANY,
  // After its sign.
  'x+n': CLASS_N,
  // Track data: digits and the separator, `=` on the track, `D` where it was BCD.
  z: CLASS_Z,
  b: CLASS_ANY,
};

/** Alphabets of each character; AND over a value leaves those that it belongs to. */
export const CLASSES: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  const isDigit = code >= 0x30 && code <= 0x39;
  const isLetter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  let classes = CLASS_ANY;
  if (isDigit) classes |= CLASS_N | CLASS_AN | CLASS_Z | CLASS_Z_BCD;
  if (isLetter || code === 0x20) classes |= CLASS_AN;
  if (code >= 0x20 && code <= 0x7e) classes |= CLASS_ANS;
  if (code === 0x44 || code === 0x3d) classes |= CLASS_Z | CLASS_Z_BCD;
  if (code === 0x46) classes |= CLASS_Z_BCD;
  if (code < 0x80) classes |= CLASS_ASCII;
  return classes;
});

/** Value of a nibble's character; `=` is the separator D of a track; 0xff for no nibble. */
export const NIBBLES: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x37;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  return code === 0x3d ? 0x0d : 0xff;
});

/** Upper-case character of a nibble. */
export const NIBBLE_CHARACTERS: Uint8Array = Uint8Array.from({ length: 16 }, (_, value) =>
  value < 10 ? 0x30 + value : 0x37 + value,
);

/** Alphabets of a byte's two nibbles. */
export const PAIR_CLASSES: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  const high = NIBBLE_CHARACTERS[byte >> 4] ?? 0;
  const low = NIBBLE_CHARACTERS[byte & 0x0f] ?? 0;
  return (CLASSES[high] ?? 0) & (CLASSES[low] ?? 0);
});

/** Latin-1 character of each EBCDIC byte. IBM code page 1047. */
export const EBCDIC_TO_LATIN1: Uint8Array = fromHex(`
  000102039C09867F978D8E0B0C0D0E0F101112139D8508871819928F1C1D1E1F
  80818283840A171B88898A8B8C050607909116939495960498999A9B14159E1A
  20A0E2E4E0E1E3E5E7F1A22E3C282B7C26E9EAEBE8EDEEEFECDF21242A293B5E
  2D2FC2C4C0C1C3C5C7D1A62C255F3E3FF8C9CACBC8CDCECFCC603A2340273D22
  D8616263646566676869ABBBF0FDFEB1B06A6B6C6D6E6F707172AABAE6B8C6A4
  B57E737475767778797AA1BFD05BDEAEACA3A5B7A9A7B6BCBDBEDDA8AF5DB4D7
  7B414243444546474849ADF4F6F2F3F57D4A4B4C4D4E4F505152B9FBFCF9FAFF
  5CF7535455565758595AB2D4D6D2D3D530313233343536373839B3DBDCD9DA9F
`);

/** EBCDIC byte of each Latin-1 character; the inverse. */
export const LATIN1_TO_EBCDIC: Uint8Array = new Uint8Array(256);
EBCDIC_TO_LATIN1.forEach((latin1, ebcdic) => {
  LATIN1_TO_EBCDIC[latin1] = ebcdic;
});

/** The identity, so that ASCII and EBCDIC are one loop. */
export const LATIN1: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => code);

/**
 * The one thing taken of the platform: Node and every browser turn bytes into a string ten times as
 * fast as the language alone can; the library types of ES2023 do not name it.
 */
declare const TextDecoder: { new (): { decode(bytes: Uint8Array): string } };
const utf8 = new TextDecoder();

/** Text of bytes that are known to be below 0x80. */
export function asciiText(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

/** A few bytes as Latin-1 characters; for short pieces the fastest way. */
export function shortText(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  let at = start;
  for (; end - at >= 8; at += 8) text += eightOf(bytes, at);
  if (end - at >= 4) {
    text += fourOf(bytes, at);
    at += 4;
  }
  if (end - at >= 2) {
    text += String.fromCharCode(bytes[at] ?? 0, bytes[at + 1] ?? 0);
    at += 2;
  }
  return at < end ? text + String.fromCharCode(bytes[at] ?? 0) : text;
}

function eightOf(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(
    bytes[at] ?? 0,
    bytes[at + 1] ?? 0,
    bytes[at + 2] ?? 0,
    bytes[at + 3] ?? 0,
    bytes[at + 4] ?? 0,
    bytes[at + 5] ?? 0,
    bytes[at + 6] ?? 0,
    bytes[at + 7] ?? 0,
  );
}

function fourOf(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(
    bytes[at] ?? 0,
    bytes[at + 1] ?? 0,
    bytes[at + 2] ?? 0,
    bytes[at + 3] ?? 0,
  );
}

/** Writes Latin-1 characters. */
export function putText(text: string, target: Uint8Array, offset: number): void {
  for (let index = 0; index < text.length; index++) {
    target[offset + index] = text.charCodeAt(index);
  }
}

const SLAB_BYTES = 65_536;
let slab = new Uint8Array(SLAB_BYTES);
let slabUsed = 0;

/** Where room begins in `slab`. */
function reserve(lengthBytes: number): number {
  if (slabUsed + lengthBytes > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  const start = slabUsed;
  slabUsed += lengthBytes;
  return start;
}

/**
 * Room for `lengthBytes`, cut from a larger array: an array of its own costs a microsecond, more
 * than everything else that is done to a message. Parts are handed out once and never again.
 */
export function takeBytes(lengthBytes: number): Uint8Array {
  if (lengthBytes > SLAB_BYTES / 4) return new Uint8Array(lengthBytes);
  const start = reserve(lengthBytes);
  return new Uint8Array(slab.buffer, start, lengthBytes);
}

/** A copy of a part. */
export function copyBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = takeBytes(end - start);
  for (let index = start; index < end; index++) copy[index - start] = bytes[index] ?? 0;
  return copy;
}

/** A whole message, copied once, of which parts are cut. It is valid until the next `take`. */
export class CopiedMessage {
  #buffer: ArrayBufferLike = slab.buffer;
  #start = 0;

  take(bytes: Uint8Array): void {
    if (bytes.length > SLAB_BYTES / 4) {
      this.#buffer = bytes.slice().buffer;
      this.#start = 0;
      return;
    }
    this.#start = reserve(bytes.length);
    this.#buffer = slab.buffer;
    slab.set(bytes, this.#start);
  }

  part(start: number, lengthBytes: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.#start + start, lengthBytes);
  }
}
