/**
 * Frames of the browser's native messaging on standard input and output: a length of 4 bytes in
 * the machine's own order, then JSON in UTF-8.
 */
import { endianness } from 'node:os';
import { NATIVE_FRAME_BYTES_MAX, WireError } from '@tapnpay/protocol/wire';

const LENGTH_BYTES = 4;
const isLittleEndian = endianness() === 'LE';

/** A text as a frame. @throws WireError `ERR_FRAME_LENGTH`. */
export function encodeNativeFrame(text: string): Uint8Array {
  const lengthBytes = Buffer.byteLength(text);
  assertLength(lengthBytes);
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + lengthBytes);
  if (isLittleEndian) frame.writeUInt32LE(lengthBytes);
  else frame.writeUInt32BE(lengthBytes);
  frame.write(text, LENGTH_BYTES, 'utf8');
  return frame;
}

/** Cuts a byte stream into bodies; each byte is copied once, however it arrives. */
export class NativeFrameDecoder {
  readonly #head: Buffer = Buffer.alloc(LENGTH_BYTES);
  #headBytes = 0;
  /** Null until the length is known. */
  #body: Buffer | null = null;
  #bodyBytes = 0;

  /** True between two frames. */
  get isEmpty(): boolean {
    return this.#headBytes === 0;
  }

  /**
   * The bodies that `chunk` completes, in order; those before a fault are given out first.
   * @throws WireError `ERR_FRAME_LENGTH` (empty or over the limit).
   */
  *push(chunk: Uint8Array): Generator<Buffer> {
    let offset = 0;
    while (offset < chunk.length) {
      offset += this.#body === null ? this.#readHead(chunk, offset) : this.#readBody(chunk, offset);
      const body = this.#body;
      if (body === null || this.#bodyBytes < body.length) continue;
      this.#body = null;
      this.#headBytes = 0;
      yield body;
    }
  }

  /** Bytes taken. */
  #readHead(chunk: Uint8Array, offset: number): number {
    const taken = chunk.subarray(offset, offset + LENGTH_BYTES - this.#headBytes);
    this.#head.set(taken, this.#headBytes);
    this.#headBytes += taken.length;
    if (this.#headBytes === LENGTH_BYTES) {
      const lengthBytes = isLittleEndian ? this.#head.readUInt32LE() : this.#head.readUInt32BE();
      assertLength(lengthBytes);
      this.#body = Buffer.allocUnsafe(lengthBytes);
      this.#bodyBytes = 0;
    }
    return taken.length;
  }

  #readBody(chunk: Uint8Array, offset: number): number {
    const body = this.#body;
    if (body === null) return 0;
    const taken = chunk.subarray(offset, offset + body.length - this.#bodyBytes);
    body.set(taken, this.#bodyBytes);
    this.#bodyBytes += taken.length;
    return taken.length;
  }
}

function assertLength(lengthBytes: number): void {
  if (lengthBytes > 0 && lengthBytes <= NATIVE_FRAME_BYTES_MAX) return;
  const message = `frame of ${lengthBytes} bytes, 1 to ${NATIVE_FRAME_BYTES_MAX} allowed`;
  throw new WireError('ERR_FRAME_LENGTH', message, { lengthBytes });
}
