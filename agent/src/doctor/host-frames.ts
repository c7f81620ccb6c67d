/**
 * The browser's side of a native port: what a program writes is cut into frames as a browser would
 * cut it, by a length of 4 bytes in the machine's own order.
 */
import {
  checkShape,
  cutNativeText,
  NATIVE_FRAME_BYTES_MAX,
  type NativeHostFrame,
  NativeJoiner,
  type NativeWorkerFrame,
  nativeHostFrameShape,
  WireError,
} from '@tapnpay/protocol/wire';

const LENGTH_BYTES = 4;
/** What is shown of bytes that are no frame. */
const SHOWN_CHARACTERS_MAX = 60;

/** A joined frame of the host. */
export type WholeHostFrame = Exclude<NativeHostFrame, { type: 'chunk' }>;

/** Cuts a host's output into checked frames. */
export class HostFrames {
  #held: Buffer = Buffer.alloc(0);
  readonly #joiner: NativeJoiner = new NativeJoiner();

  /** @throws WireError what a browser would close the port for, the bytes' beginning in it. */
  push(chunk: Buffer): readonly WholeHostFrame[] {
    this.#held = Buffer.concat([this.#held, chunk]);
    const frames: WholeHostFrame[] = [];
    while (this.#held.length >= LENGTH_BYTES) {
      const lengthBytes = this.#held.readUInt32LE(0);
      if (lengthBytes === 0 || lengthBytes > NATIVE_FRAME_BYTES_MAX) throw noFrame(this.#held);
      const end = LENGTH_BYTES + lengthBytes;
      if (this.#held.length < end) break;
      const whole = this.#joiner.take(parsed(this.#held.subarray(LENGTH_BYTES, end)));
      this.#held = this.#held.subarray(end);
      if (whole !== null) frames.push(checkShape(nativeHostFrameShape, whole, 'frame'));
    }
    return frames;
  }
}

/** A frame as the browser writes it to a host. */
export function hostInput(frame: NativeWorkerFrame): Buffer {
  const parts = cutNativeText(JSON.stringify(frame), 1).map((text) => {
    const body = Buffer.from(text, 'utf8');
    const head = Buffer.alloc(LENGTH_BYTES);
    head.writeUInt32LE(body.length);
    return Buffer.concat([head, body]);
  });
  return Buffer.concat(parts);
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new WireError('ERR_FRAME_JSON', `no JSON: ${shown(body)}`, {}, cause);
  }
}

function noFrame(bytes: Buffer): WireError {
  return new WireError('ERR_FRAME_LENGTH', `no frame: ${shown(bytes)}`);
}

/** The beginning of foreign bytes, printable. */
function shown(bytes: Buffer): string {
  const text = bytes.subarray(0, SHOWN_CHARACTERS_MAX).toString('latin1');
  return JSON.stringify(text.replaceAll(/[^ -~]/g, '.'));
}
