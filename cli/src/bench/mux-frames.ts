/** Frames of `bench mux`: sales whose fields are patched and read in place, never decoded. */
import { type MatchKey, messagePair } from '@tapnpay/online/runtime';
import {
  CUPS_DIALECT,
  CUPS_HEADER_BYTES,
  encodeMessage,
  type FrameView,
  indexFrame,
} from '@tapnpay/protocol/iso8583';

const MTI_BYTES = 4;
const GATEWAY = '49990000001';
const SWITCH = '00010000000';

/** What the client reads of an answer. */
export type ReadFrame = {
  readonly key: MatchKey;
  /** Which request it answers, as field 37 says: the judge, never the matcher. */
  readonly sequence: number;
};

let view: FrameView | undefined;

/** Reads the key of a message out of its routing view. */
export function readFrame(body: Uint8Array): ReadFrame {
  view = indexFrame(CUPS_DIALECT, body, view);
  const key = {
    trace: messagePair(view.mti) + view.text(11),
    transmission: view.text(7),
    terminal: view.text(41),
    acquirer: view.text(32),
  };
  return { key, sequence: view.leadingDigits(37, 12) ?? -1 };
}

/** Makes requests; the bytes of one are valid until the next is made. */
export class RequestMaker {
  readonly #view: FrameView;

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
    const body = encodeMessage(CUPS_DIALECT, header, { mti: '0200', fields });
    this.#view = indexFrame(CUPS_DIALECT, body);
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
    this.#view.patch(11, stan);
    this.#view.patch(7, transmission);
    this.#view.patch(41, terminal);
    this.#view.patch(37, digits(sequence, 12));
    const key = { trace: `20${stan}`, transmission, terminal, acquirer: GATEWAY };
    return { body: this.#view.bytes, key };
  }
}

function digits(value: number, length: number): string {
  return String(value).padStart(length, '0');
}

/** Turns a request into its answer, in place. */
export function answerInPlace(body: Uint8Array): void {
  view = indexFrame(CUPS_DIALECT, body, view);
  view.patchMti('0210');
}

/** Gives an answer the number of a neighbour: what a wrong match would look like. */
export function crossInPlace(body: Uint8Array): void {
  view = indexFrame(CUPS_DIALECT, body, view);
  view.patch(37, digits((view.leadingDigits(37, 12) ?? 0) ^ 1, 12));
}

/** The message without field 41, its header's length set right. */
export function withoutTerminal(body: Uint8Array): Uint8Array {
  view = indexFrame(CUPS_DIALECT, body, view);
  const [start, end] = view.spanOf(41) ?? [body.length, body.length];
  const shorter = new Uint8Array(body.length - (end - start));
  shorter.set(body.subarray(0, start));
  shorter.set(body.subarray(end), start);
  // Field 41 is the first bit of the bitmap's sixth byte.
  const bits = CUPS_HEADER_BYTES + MTI_BYTES + 5;
  shorter[bits] = (shorter[bits] ?? 0) & 0x7f;
  const length = digits(shorter.length, 4);
  for (let index = 0; index < 4; index++) shorter[2 + index] = length.charCodeAt(index);
  return shorter;
}
