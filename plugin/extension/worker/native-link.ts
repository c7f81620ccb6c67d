/**
 * One native port: both hellos, the chunks, the shape of what the host says, and one code for
 * however it ends. It keeps nothing of a payment.
 */
import {
  checkShape,
  cutNativeFrame,
  NATIVE_HELLO_TIMEOUT_MS,
  NATIVE_HOST_NAME,
  NATIVE_PROTOCOL,
  type NativeFaultCode,
  type NativeHostFrame,
  type NativeHostHello,
  NativeJoiner,
  type NativePage,
  type NativeWorkerFrame,
  nativeHostFrameShape,
  nativeProtocolsMeet,
} from '@tapnpay/protocol/wire';
import type { After, Browser, Port } from '../api.ts';
import { hostFaultOf, textOf } from './fault-codes.ts';

/** A host's frame after its hello; chunks are joined. */
export type HostFrame = Exclude<NativeHostFrame, { type: 'hello' | 'chunk' }>;

export type NativeLinkPorts = {
  readonly runtime: Pick<Browser['runtime'], 'connectNative' | 'lastError' | 'getManifest'>;
  readonly after: After;
  readonly page: NativePage;
  onHello(hello: NativeHostHello): void;
  onFrame(frame: HostFrame): void;
  /** Once, and the last word; not after `close`. */
  onLost(code: NativeFaultCode, detail: string): void;
};

/** The way to one host process. */
export class NativeLink {
  readonly #ports: NativeLinkPorts;
  readonly #joiner = new NativeJoiner();
  #port: Port | null = null;
  #stopTimer: () => void = () => {};
  #isGreeted = false;
  #framesSent = 0;

  constructor(ports: NativeLinkPorts) {
    this.#ports = ports;
  }

  /** Starts the host. */
  open(): void {
    const { runtime, after, page } = this.#ports;
    let port: Port;
    try {
      port = runtime.connectNative(NATIVE_HOST_NAME);
    } catch (thrown) {
      this.#lose(hostFaultOf(textOf(thrown)), textOf(thrown));
      return;
    }
    this.#port = port;
    port.onMessage.addListener((frame) => {
      if (this.#port === port) this.#take(frame);
    });
    port.onDisconnect.addListener((closed) => {
      // Read in any case: a text that nobody looks at lands in the browser's error console.
      const text = closed.error?.message ?? runtime.lastError?.message ?? '';
      if (this.#port === port) this.#lose(hostFaultOf(text), text);
    });
    this.#stopTimer = after(NATIVE_HELLO_TIMEOUT_MS, () => {
      this.#lose('ERR_HOST_TIMEOUT', `no hello in ${NATIVE_HELLO_TIMEOUT_MS} ms`);
    });
    const { version } = runtime.getManifest();
    this.send({ type: 'hello', version, protocol: NATIVE_PROTOCOL, page });
  }

  /** Dropped when the way is closed; the loss itself was told. */
  send(frame: NativeWorkerFrame): void {
    try {
      this.#framesSent += 1;
      for (const part of cutNativeFrame(frame, this.#framesSent)) this.#port?.postMessage(part);
    } catch (thrown) {
      this.#lose(hostFaultOf(textOf(thrown)), textOf(thrown));
    }
  }

  /** Ends the host; nothing more is told. */
  close(): void {
    const port = this.#port;
    this.#port = null;
    this.#stopTimer();
    port?.disconnect();
  }

  #take(received: unknown): void {
    let frame: Exclude<NativeHostFrame, { type: 'chunk' }>;
    try {
      const joined = this.#joiner.take(received);
      if (joined === null) return;
      frame = checkShape(nativeHostFrameShape, joined, 'frame');
    } catch (thrown) {
      this.#lose('ERR_HOST_PROTOCOL', textOf(thrown));
      return;
    }
    if (frame.type === 'hello') this.#greet(frame);
    else if (this.#isGreeted || isRefusal(frame)) this.#ports.onFrame(frame);
    else this.#lose('ERR_HOST_PROTOCOL', `${frame.type} before hello`);
  }

  #greet(hello: NativeHostHello): void {
    if (this.#isGreeted) {
      this.#lose('ERR_HOST_PROTOCOL', 'a second hello');
      return;
    }
    const { min, max } = hello.protocol;
    if (!nativeProtocolsMeet(hello.protocol, NATIVE_PROTOCOL)) {
      const isOlder = max < NATIVE_PROTOCOL.min;
      const detail = `host ${hello.version} speaks ${min} to ${max}`;
      this.#lose(isOlder ? 'ERR_HOST_OUTDATED' : 'ERR_EXTENSION_OUTDATED', detail);
      return;
    }
    this.#isGreeted = true;
    this.#stopTimer();
    this.#ports.onHello(hello);
  }

  #lose(code: NativeFaultCode, detail: string): void {
    this.close();
    this.#ports.onLost(code, detail);
  }
}

/** A host that cannot serve this page at all may say so before its hello. */
function isRefusal(frame: HostFrame): boolean {
  return frame.type === 'page' && frame.message.type === 'refused';
}
