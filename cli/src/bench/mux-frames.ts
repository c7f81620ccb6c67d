/** Frames of `bench mux`: sales whose keys are patched in place and read without a full decode. */
import type { MatchKey } from '@tapnpay/online/runtime';
import { messagePair } from '@tapnpay/online/runtime';
import { CUPS_DIALECT, CUPS_HEADER_BYTES, encodeMessage } from '@tapnpay/protocol/iso8583';

const MTI_BYTES = 4;
const BITMAP_BYTES = 8;
const GATEWAY = '49990000001';
const SWITCH = '00010000000';

type FieldLength = number | 'LL' | 'LLL';

/** Characters of each field up to 41 of a CUPS message; text says how long its length is. */
const FIELD_LENGTHS: readonly (FieldLength | undefined)[] = lengthsByField([
  ...([
    [2, 'LL'],
    [3, 6],
    [4, 12],
    [5, 12],
    [6, 12],
    [7, 10],
    [9, 8],
    [10, 8],
    [11, 6],
  ] as const),
  ...([
    [12, 6],
    [13, 4],
    [14, 4],
    [15, 4],
    [16, 4],
    [18, 4],
    [19, 3],
    [22, 3],
    [23, 3],
  ] as const),
  ...([
    [25, 2],
    [26, 2],
    [28, 9],
    [32, 'LL'],
    [33, 'LL'],
    [35, 'LL'],
    [36, 'LLL'],
  ] as const),
  ...([
    [37, 12],
    [38, 6],
    [39, 2],
    [41, 8],
  ] as const),
]);

function lengthsByField(
  rows: readonly (readonly [field: number, length: FieldLength])[],
): (FieldLength | undefined)[] {
  const lengths = new Array<FieldLength | undefined>(42).fill(undefined);
  for (const [field, length] of rows) lengths[field] = length;
  return lengths;
}

/**
 * Where each field of a message begins, its length left out; by field number up to 41. Written
 * into `offsets`: an array a message would cost more than the reading.
 */
function offsetsOf(text: string, offsets: Int32Array = new Int32Array(42)): Int32Array {
  offsets.fill(-1);
  const bitmap = CUPS_HEADER_BYTES + MTI_BYTES;
  const isLong = (text.charCodeAt(bitmap) & 0x80) !== 0;
  let at = bitmap + (isLong ? 2 : 1) * BITMAP_BYTES;
  for (let field = 2; field <= 41; field++) {
    const bits = text.charCodeAt(bitmap + ((field - 1) >> 3));
    if ((bits & (0x80 >> ((field - 1) & 7))) === 0) continue;
    const length = FIELD_LENGTHS[field] ?? 0;
    const digits = typeof length === 'number' ? 0 : length.length;
    offsets[field] = at + digits;
    at += digits + (typeof length === 'number' ? length : Number(text.slice(at, at + digits)));
  }
  return offsets;
}

/** What the client reads of an answer. */
export type ReadFrame = {
  readonly key: MatchKey;
  /** Which request it answers, as field 37 says: the judge, never the matcher. */
  readonly sequence: number;
};

const SCRATCH = new Int32Array(42);

/** Reads the key of a message by offsets. */
export function readFrame(body: Uint8Array): ReadFrame {
  const text = latin1(body);
  const offsets = offsetsOf(text, SCRATCH);
  const field = (number: number, length: number): string | undefined => {
    const at = offsets[number] ?? -1;
    return at < 0 ? undefined : text.slice(at, at + length);
  };
  const mti = text.slice(CUPS_HEADER_BYTES, CUPS_HEADER_BYTES + MTI_BYTES);
  const key = {
    trace: messagePair(mti) + field(11, 6),
    transmission: field(7, 10),
    terminal: field(41, 8),
    acquirer: field(32, 11),
  };
  return { key, sequence: Number(field(37, 12)) };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** Makes requests; the bytes of one are valid until the next is made. */
export class RequestMaker {
  readonly #body: Uint8Array;
  readonly #offsets: Int32Array;

  constructor() {
    const fields = new Map<number, string | Uint8Array>([
      [2, '6299990000000017'],
      [3, '000000'],
      [4, '000000001234'],
      [7, '1125120000'],
      [11, '000000'],
      [12, '120000'],
      [13, '1125'],
      [18, '5732'],
      [22, '051'],
      [25, '00'],
      [32, GATEWAY],
      [33, GATEWAY],
      [37, '000000000000'],
      [41, '62990001'],
      [42, '629990000000001'],
      [49, '156'],
      [55, new Uint8Array(110).fill(0x9f)],
      [128, new Uint8Array(8)],
    ]);
    const header = { destination: SWITCH, source: GATEWAY };
    this.#body = encodeMessage(CUPS_DIALECT, header, { mti: '0200', fields });
    this.#offsets = offsetsOf(latin1(this.#body));
  }

  /**
   * The request of this number. Eight neighbours share a trace number; they differ in field 41, or,
   * in every second group, in field 7.
   */
  make(sequence: number): { readonly body: Uint8Array; readonly key: MatchKey } {
    const group = Math.floor(sequence / 8);
    const member = sequence % 8;
    const stan = digits(group % 1_000_000, 6);
    const minute = digits(Math.floor(group / 1_000_000) % 60, 2);
    const transmission = `112512${minute}${digits(group % 2 === 0 ? 0 : member, 2)}`;
    const terminal = `6299000${group % 2 === 0 ? member : 8}`;
    this.#put(11, stan);
    this.#put(7, transmission);
    this.#put(41, terminal);
    this.#put(37, digits(sequence, 12));
    const key = { trace: `20${stan}`, transmission, terminal, acquirer: GATEWAY };
    return { body: this.#body, key };
  }

  #put(field: number, text: string): void {
    const at = this.#offsets[field] ?? 0;
    for (let index = 0; index < text.length; index++)
      this.#body[at + index] = text.charCodeAt(index);
  }
}

function digits(value: number, length: number): string {
  return String(value).padStart(length, '0');
}

/** Turns a request into its answer, in place. */
export function answerInPlace(body: Uint8Array): void {
  body[CUPS_HEADER_BYTES + 2] = 0x31;
}

/** Gives an answer the number of a neighbour: what a wrong match would look like. */
export function crossInPlace(body: Uint8Array): void {
  const at = (offsetsOf(latin1(body))[37] ?? 0) + 11;
  body[at] = (body[at] ?? 0) ^ 1;
}

/** The message without field 41, its header's length set right. */
export function withoutTerminal(body: Uint8Array): Uint8Array {
  const at = offsetsOf(latin1(body))[41] ?? -1;
  if (at < 0) return body.slice();
  const shorter = new Uint8Array(body.length - 8);
  shorter.set(body.subarray(0, at));
  shorter.set(body.subarray(at + 8), at);
  // Field 41 is the first bit of the bitmap's sixth byte.
  const bits = CUPS_HEADER_BYTES + MTI_BYTES + 5;
  shorter[bits] = (shorter[bits] ?? 0) & 0x7f;
  const length = digits(shorter.length, 4);
  for (let index = 0; index < 4; index++) shorter[2 + index] = length.charCodeAt(index);
  return shorter;
}
