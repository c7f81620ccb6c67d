/**
 * Our end of one native port: says hello first, hears the worker's, decides by the page's origin
 * what may be asked, and brings page and window to a seat. The same for the host that a browser
 * starts and for the service that a host relays to.
 */
import { type Clock, type ErrorBody, errorBody, TapError } from '@tapnpay/protocol/bytes';
import {
  checkShape,
  type DoctorReport,
  NATIVE_HELLO_TIMEOUT_MS,
  NATIVE_PROTOCOL,
  type NativeChunk,
  type NativeHostFrame,
  type NativeHostHello,
  NativeJoiner,
  type NativeWorkerFrame,
  type NativeWorkerHello,
  nativeProtocolsMeet,
  nativeWorkerFrameShape,
} from '@tapnpay/protocol/wire';
import { ServiceError } from './errors.ts';
import type { AgentLog } from './events.ts';

/** What a seat hears: the page's words, its window's, and that window's coming and going. */
export type SeatFrame = Extract<
  NativeWorkerFrame,
  { readonly type: 'page' | 'window' | 'windowOpened' | 'windowClosed' }
>;

/** Where one page's payments are made. */
export type NativeSeat = {
  /** A coded fault that it throws ends the port. */
  readonly take: (frame: SeatFrame) => void;
  /** The page is gone. */
  readonly leave: () => void;
};

export type NativePortPorts = {
  readonly hello: NativeHostHello;
  /** Pages that may pay. */
  readonly gatewayOrigins: readonly string[];
  /** Whether these are the extension's own pages, which may ask the doctor and no more. */
  readonly isExtension: (origin: string) => boolean;
  readonly openSeat: (hello: NativeWorkerHello) => NativeSeat;
  /** Null where the other side has a doctor of its own. */
  readonly runDoctor: (() => Promise<DoctorReport>) | null;
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly send: (frame: Exclude<NativeHostFrame, NativeChunk>) => void;
  /** The port is to be closed; why was sent before. */
  readonly end: (error: ErrorBody) => void;
};

type Frame = Exclude<NativeWorkerFrame, NativeChunk>;
type Rights = 'none' | 'doctor' | 'all';

/** One port, from its hello to its end. */
export class NativePort {
  readonly #ports: NativePortPorts;
  readonly #joiner: NativeJoiner = new NativeJoiner();
  #rights: Rights = 'none';
  #seat: NativeSeat | null = null;
  #cancelHello: () => void = () => {};
  #isExamining = false;
  #isEnded = false;

  constructor(ports: NativePortPorts) {
    this.#ports = ports;
  }

  /** Speaks first. */
  open(): void {
    const { clock, hello, send } = this.#ports;
    this.#cancelHello = clock.startTimer(NATIVE_HELLO_TIMEOUT_MS, () => {
      this.refuse(new ServiceError('ERR_SEQUENCE', 'the extension did not say hello in time'));
    });
    send(hello);
  }

  /** A frame as it came, a chunk or a whole one. */
  take(frame: unknown): void {
    if (this.#isEnded) return;
    try {
      const joined = this.#joiner.take(frame);
      if (joined !== null) this.#onFrame(checkShape(nativeWorkerFrameShape, joined, 'frame'));
    } catch (fault) {
      if (!(fault instanceof TapError)) throw fault;
      this.refuse(fault);
    }
  }

  /** Says why and ends. */
  refuse(fault: unknown): void {
    if (this.#isEnded) return;
    const error = errorBody(fault);
    this.#ports.log({ event: 'nativePortRefused', code: error.code });
    this.#ports.send({ type: 'page', message: { type: 'refused', error } });
    this.lost();
    this.#ports.end(error);
  }

  /** The other side is gone. */
  lost(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cancelHello();
    this.#seat?.leave();
  }

  #onFrame(frame: Frame): void {
    if (frame.type === 'hello') {
      this.#onHello(frame);
      return;
    }
    if (this.#rights === 'none') throw new ServiceError('ERR_SEQUENCE', 'hello comes first');
    if (frame.type === 'doctor') this.#examine();
    else if (this.#seat === null) throw foreignPage();
    else this.#seat.take(frame);
  }

  #onHello(hello: NativeWorkerHello): void {
    if (this.#rights !== 'none') throw new ServiceError('ERR_SEQUENCE', 'hello is said once');
    this.#cancelHello();
    const { gatewayOrigins, isExtension, openSeat } = this.#ports;
    if (!nativeProtocolsMeet(NATIVE_PROTOCOL, hello.protocol)) {
      const { min, max } = NATIVE_PROTOCOL;
      const message = `this host speaks versions ${min} to ${max} of the native port`;
      throw new ServiceError('ERR_VERSION', message, { min, max });
    }
    const { origin } = hello.page;
    if (gatewayOrigins.includes(origin)) {
      this.#rights = 'all';
      this.#seat = openSeat(hello);
    } else if (isExtension(origin)) this.#rights = 'doctor';
    else throw foreignPage();
  }

  /** One examination at a time: who asks again meanwhile gets the same report. */
  #examine(): void {
    const { runDoctor, send } = this.#ports;
    if (runDoctor === null) throw new ServiceError('ERR_REQUEST', 'the host has its own doctor');
    if (this.#isExamining) return;
    this.#isExamining = true;
    runDoctor().then(
      (report) => {
        this.#isExamining = false;
        if (!this.#isEnded) send({ type: 'report', report });
      },
      (fault: unknown) => this.refuse(fault),
    );
  }
}

function foreignPage(): ServiceError {
  return new ServiceError('ERR_ORIGIN', 'this host does not serve that page');
}
