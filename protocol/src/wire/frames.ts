/** Frames of our own wires: a 4-byte big-endian length, then JSON in UTF-8. */
import {
  bytesToUint,
  bytesToUtf8,
  concatBytes,
  TapError,
  uintToBytes,
  utf8ToBytes,
} from '../bytes/index.ts';

/** Faults of frames and of the messages inside them. */
export type WireErrorCode =
  | 'ERR_FRAME_LENGTH'
  | 'ERR_FRAME_JSON'
  /** Chunks of a long frame that do not make one. */
  | 'ERR_FRAME_CHUNK'
  | 'ERR_MESSAGE_FIELD';

/** A frame that is too long, is no JSON, or holds a field of another shape. */
export class WireError extends TapError<WireErrorCode> {}

const LENGTH_BYTES = 4;

/** One message as a frame. @throws WireError `ERR_FRAME_LENGTH` above `frameBytesMax`. */
export function encodeJsonFrame(message: unknown, frameBytesMax: number): Uint8Array {
  const body = utf8ToBytes(JSON.stringify(message));
  if (body.length > frameBytesMax) throw tooLong(body.length, frameBytesMax);
  return concatBytes(uintToBytes(body.length, LENGTH_BYTES), body);
}

/** Cuts a byte stream into messages; it never holds more than one frame beside the last chunk. */
export class JsonFrameDecoder {
  readonly #frameBytesMax: number;
  #chunks: Uint8Array[] = [];
  #heldBytes = 0;
  #wantedBytes = LENGTH_BYTES;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Bytes that wait for the rest of their frame. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * The messages completed by `chunk`, in order.
   * @throws WireError `ERR_FRAME_LENGTH` (empty or over the limit), `ERR_FRAME_JSON`.
   */
  push(chunk: Uint8Array): readonly unknown[] {
    this.#chunks.push(chunk.slice());
    this.#heldBytes += chunk.length;
    const messages: unknown[] = [];
    while (this.#heldBytes >= this.#wantedBytes) {
      const held = concatBytes(...this.#chunks);
      const length = bytesToUint(held.subarray(0, LENGTH_BYTES));
      if (length === 0 || length > this.#frameBytesMax) throw tooLong(length, this.#frameBytesMax);
      const end = LENGTH_BYTES + length;
      if (held.length < end) {
        this.#keep(held, end);
        break;
      }
      messages.push(parse(held.subarray(LENGTH_BYTES, end)));
      this.#keep(held.slice(end), LENGTH_BYTES);
    }
    return messages;
  }

  #keep(rest: Uint8Array, wantedBytes: number): void {
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#heldBytes = rest.length;
    this.#wantedBytes = wantedBytes;
  }
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(bytesToUtf8(body));
  } catch (cause) {
    throw new WireError('ERR_FRAME_JSON', 'frame is no JSON', { lengthBytes: body.length }, cause);
  }
}

function tooLong(lengthBytes: number, frameBytesMax: number): WireError {
  const message = `frame of ${lengthBytes} bytes, 1 to ${frameBytesMax} allowed`;
  return new WireError('ERR_FRAME_LENGTH', message, { lengthBytes });
}
