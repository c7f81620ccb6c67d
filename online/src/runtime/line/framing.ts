/** Frames of a CUPS line: four ASCII digits say how many bytes follow. @see Q/CUP 006 */
import { concatBytes } from '@tapnpay/protocol/bytes';
import { MESSAGE_BYTES_MAX } from '@tapnpay/protocol/iso8583';
import { LineError } from './errors.ts';

const LENGTH_DIGITS = 4;

/** One message as a frame. @throws LineError `ERR_LINE_FRAME` when it is empty or too long. */
export function encodeFrame(body: Uint8Array): Uint8Array {
  if (body.length === 0 || body.length > MESSAGE_BYTES_MAX) throw wrongLength(body.length);
  const digits = String(body.length).padStart(LENGTH_DIGITS, '0');
  const prefix = Uint8Array.from(digits, (digit) => digit.charCodeAt(0));
  return concatBytes(prefix, body);
}

/** Cuts a byte stream into messages: partial and joined frames; an unfinished one is held. */
export class FrameDecoder {
  #held: Uint8Array = new Uint8Array(0);

  /** Bytes that wait for the rest of their frame. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /** Messages completed by `chunk`, in order. @throws LineError `ERR_LINE_FRAME`. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    this.#held = this.#held.length === 0 ? chunk.slice() : concatBytes(this.#held, chunk);
    for (;;) {
      const length = frameLength(this.#held);
      if (length === null || this.#held.length < LENGTH_DIGITS + length) return;
      const body = this.#held.slice(LENGTH_DIGITS, LENGTH_DIGITS + length);
      this.#held = this.#held.subarray(LENGTH_DIGITS + length);
      yield body;
    }
  }
}

/** Length of the frame at the start, or null while its digits are incomplete. */
function frameLength(bytes: Uint8Array): number | null {
  let length = 0;
  const prefix = bytes.subarray(0, LENGTH_DIGITS);
  for (const [offsetBytes, byte] of prefix.entries()) {
    if (byte < 0x30 || byte > 0x39) {
      const text = `a frame's length has no digit at byte ${offsetBytes}`;
      throw new LineError('ERR_LINE_FRAME', text, { offsetBytes });
    }
    length = 10 * length + byte - 0x30;
  }
  if (prefix.length < LENGTH_DIGITS) return null;
  if (length === 0 || length > MESSAGE_BYTES_MAX) throw wrongLength(length);
  return length;
}

function wrongLength(lengthBytes: number): LineError {
  const text = `a frame of ${lengthBytes} bytes, 1 to ${MESSAGE_BYTES_MAX} allowed`;
  return new LineError('ERR_LINE_FRAME', text, { lengthBytes });
}
