/** Frames of a line: a length, then that many bytes of message. */
import { byteAt } from '@tapnpay/protocol/bytes';
import { MESSAGE_BYTES_MAX } from '@tapnpay/protocol/iso8583';
import { LineError } from './errors.ts';

/** How the length in front of a message is written. */
export type FrameFormat = 'ascii4' | 'binary2';

/** Bytes of the length: four ASCII digits between institutions, two bytes at a POS centre. */
const PREFIX_BYTES: Readonly<Record<FrameFormat, number>> = { ascii4: 4, binary2: 2 };

/** One message as a frame. @throws LineError `ERR_LINE_FRAME` when it is empty or too long. */
export function encodeFrame(body: Uint8Array, format: FrameFormat = 'ascii4'): Uint8Array {
  if (body.length === 0 || body.length > MESSAGE_BYTES_MAX) throw wrongLength(body.length);
  const prefixBytes = PREFIX_BYTES[format];
  // Out of Node's pool, and every byte is written below; as a plain array, whose `slice` copies.
  const { buffer, byteOffset, length } = Buffer.allocUnsafe(prefixBytes + body.length);
  const frame = new Uint8Array(buffer, byteOffset, length);
  let left = body.length;
  for (let at = prefixBytes - 1; at >= 0; at--) {
    const base = format === 'ascii4' ? 10 : 256;
    frame[at] = (left % base) + (format === 'ascii4' ? 0x30 : 0);
    left = Math.floor(left / base);
  }
  frame.set(body, prefixBytes);
  return frame;
}

/**
 * Cuts a byte stream into messages: partial and joined frames; an unfinished one is held, in at
 * most `MESSAGE_BYTES_MAX` bytes. A frame of length 0 is a keep-alive: counted, otherwise nothing.
 * A message is a view of its chunk where it came whole: the chunk must not be used again.
 */
export class FrameDecoder {
  readonly #format: FrameFormat;
  readonly #prefix: Uint8Array;
  #prefixFilled = 0;
  /** The message under way, once its length is known. */
  #body: Uint8Array | null = null;
  #bodyFilled = 0;
  #keepAlives = 0;

  constructor(format: FrameFormat = 'ascii4') {
    this.#format = format;
    this.#prefix = new Uint8Array(PREFIX_BYTES[format]);
  }

  /** Bytes that wait for the rest of their frame. */
  get heldBytes(): number {
    return this.#prefixFilled + this.#bodyFilled;
  }

  /** Frames of length 0 so far. */
  get keepAlives(): number {
    return this.#keepAlives;
  }

  /** Messages completed by `chunk`, in order. @throws LineError `ERR_LINE_FRAME`. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#prefixFilled < this.#prefix.length) {
        this.#prefix[this.#prefixFilled] = prefixByte(this.#format, chunk, at, this.#prefixFilled);
        this.#prefixFilled += 1;
        at += 1;
        if (this.#prefixFilled === this.#prefix.length && this.#length() === 0) {
          this.#keepAlives += 1;
          this.#prefixFilled = 0;
        }
        continue;
      }
      const length = this.#length();
      if (this.#body === null && chunk.length - at >= length) {
        const body = chunk.subarray(at, at + length);
        this.#prefixFilled = 0;
        at += length;
        yield body;
        continue;
      }
      this.#body ??= new Uint8Array(length);
      const part = chunk.subarray(at, at + length - this.#bodyFilled);
      this.#body.set(part, this.#bodyFilled);
      this.#bodyFilled += part.length;
      at += part.length;
      if (this.#bodyFilled < length) return;
      const body = this.#body;
      this.#prefixFilled = 0;
      this.#body = null;
      this.#bodyFilled = 0;
      yield body;
    }
  }

  /** Length that the complete prefix says. */
  #length(): number {
    let length = 0;
    for (const byte of this.#prefix) {
      length = this.#format === 'ascii4' ? 10 * length + byte - 0x30 : 256 * length + byte;
    }
    if (length > MESSAGE_BYTES_MAX) throw wrongLength(length);
    return length;
  }
}

/** A byte of the length; a wrong digit is refused before the others have come. */
function prefixByte(
  format: FrameFormat,
  chunk: Uint8Array,
  at: number,
  offsetBytes: number,
): number {
  const byte = byteAt(chunk, at);
  if (format === 'binary2' || (byte >= 0x30 && byte <= 0x39)) return byte;
  const text = `a frame's length has no digit at byte ${offsetBytes}`;
  throw new LineError('ERR_LINE_FRAME', text, { offsetBytes });
}

function wrongLength(lengthBytes: number): LineError {
  const text = `a frame of ${lengthBytes} bytes, 1 to ${MESSAGE_BYTES_MAX} allowed`;
  return new LineError('ERR_LINE_FRAME', text, { lengthBytes });
}
