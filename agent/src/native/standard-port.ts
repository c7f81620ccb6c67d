/** The browser's end of the host: frames on standard input and output, with limits both ways. */
import type { Readable } from 'node:stream';
import { type Clock, TapError } from '@tapnpay/protocol/bytes';
import {
  cutNativeText,
  type NativeChunk,
  type NativeHostFrame,
  WireError,
} from '@tapnpay/protocol/wire';
import { ServiceError } from '../service/errors.ts';
import { TokenBucket } from '../service/rate.ts';
import { encodeNativeFrame, NativeFrameDecoder } from './frames.ts';

/** Frames and bytes that a browser may send at once, and for ever after. */
const FRAMES = { burst: 800, perSecond: 200 } as const;
const BYTES = { burst: 8_388_608, perSecond: 2_097_152 } as const;
/** A browser that lets more wait than this reads no more. */
const OUTPUT_BYTES_MAX = 8_388_608;

export type StandardPortPorts = {
  readonly input: Readable;
  /** Standard output, and its own way to write. */
  readonly output: {
    readonly write: (bytes: Uint8Array, done?: (fault?: Error | null) => void) => boolean;
    readonly waitingBytes: () => number;
    readonly onFault: (listener: () => void) => void;
  };
  readonly clock: Clock;
  /** A parsed frame. */
  readonly onFrame: (frame: unknown) => void;
  /** What the browser sent is no frame, or too much. */
  readonly onFault: (fault: TapError) => void;
  /** The browser is gone: the end of input, or of those who read. */
  readonly onEnd: () => void;
};

/** One browser. */
export class StandardPort {
  readonly #ports: StandardPortPorts;
  readonly #decoder: NativeFrameDecoder = new NativeFrameDecoder();
  readonly #frames: TokenBucket;
  readonly #bytes: TokenBucket;
  #cutFrames = 0;
  #isBroken = false;

  constructor(ports: StandardPortPorts) {
    const { clock } = ports;
    this.#ports = ports;
    this.#frames = new TokenBucket(clock, FRAMES);
    this.#bytes = new TokenBucket(clock, BYTES);
  }

  /** Begins to listen. */
  open(): void {
    const { input, output, onEnd } = this.#ports;
    output.onFault(() => {
      this.#isBroken = true;
      onEnd();
    });
    input.on('error', onEnd);
    input.on('end', onEnd);
    input.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  /** False when nobody reads any more. */
  send(frame: Exclude<NativeHostFrame, NativeChunk>): boolean {
    const texts = cutNativeText(JSON.stringify(frame), this.#cutFrames++);
    return texts.every((text) => this.sendText(text));
  }

  /** A frame that is JSON already, and short enough. */
  sendText(text: string): boolean {
    const { output } = this.#ports;
    if (this.#isBroken || output.waitingBytes() > OUTPUT_BYTES_MAX) return false;
    output.write(encodeNativeFrame(text));
    return true;
  }

  /** Resolves when all that was sent has left, or can never leave. */
  flushed(): Promise<void> {
    if (this.#isBroken) return Promise.resolve();
    return new Promise((resolve) => {
      this.#ports.output.write(new Uint8Array(0), () => resolve());
    });
  }

  #read(chunk: Buffer): void {
    const { onFrame, onFault } = this.#ports;
    try {
      for (const body of this.#decoder.push(chunk)) {
        if (!this.#frames.take(1) || !this.#bytes.take(body.length)) {
          throw new ServiceError('ERR_RATE', 'too many frames');
        }
        onFrame(parse(body));
      }
    } catch (fault) {
      if (!(fault instanceof TapError)) throw fault;
      // After a wrong length nobody knows where the next frame begins.
      this.#ports.input.removeAllListeners('data').resume();
      onFault(fault);
    }
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new WireError('ERR_FRAME_JSON', 'frame is no JSON', { lengthBytes: body.length }, cause);
  }
}
