/**
 * The seat at the running agent service of the same system: a WebSocket on loopback that takes the
 * port's frames as they are. The service checks them once more.
 */
import { type Clock, TapError } from '@tapnpay/protocol/bytes';
import {
  AGENT_NATIVE_PATH,
  checkShape,
  cutNativeFrame,
  NATIVE_FRAME_BYTES_MAX,
  NATIVE_PROTOCOL,
  type NativeChunk,
  type NativeHostFrame,
  NativeJoiner,
  type NativeWorkerHello,
  nativeHostFrameShape,
  nativeProtocolsMeet,
} from '@tapnpay/protocol/wire';
import type { LocalAgent } from '../service/local-agent.ts';
import type { SeatFrame } from '../service/native-port.ts';
import type { OpenSeat } from './host-seat.ts';

/** Longest wait for the service's hello. */
const OPEN_TIMEOUT_MS = 2_000;
/** A service that lets more wait than this reads no more. */
const WAITING_BYTES_MAX = 4_194_304;
const CODE = /^ERR_[A-Z_]{1,60}$/;

type Frame = Exclude<NativeHostFrame, NativeChunk>;

export type RemoteSeatFacts = {
  readonly agent: LocalAgent;
  readonly hello: NativeWorkerHello;
  readonly clock: Clock;
  readonly send: (frame: Frame) => void;
  /** The service has gone, or refuses; null when it has said why itself. */
  readonly onLost: (fault: TapError | null) => void;
};

/** One page at the service. */
export class RemoteSeat implements OpenSeat {
  readonly #facts: RemoteSeatFacts;
  readonly #socket: WebSocket;
  readonly #joiner: NativeJoiner = new NativeJoiner();
  #onOpened: ((isOpen: boolean) => void) | null = null;
  #frames = 0;
  #hasRefused = false;
  #isLeft = false;

  private constructor(facts: RemoteSeatFacts) {
    const { agent } = facts;
    this.#facts = facts;
    this.#socket = new WebSocket(`ws://127.0.0.1:${agent.port}${AGENT_NATIVE_PATH}`, {
      headers: { authorization: `Bearer ${agent.key}` },
    });
    this.#socket.addEventListener('message', ({ data }) => this.#read(data));
    this.#socket.addEventListener('close', ({ reason }) => this.#onClosed(reason));
    // `close` follows.
    this.#socket.addEventListener('error', () => {});
  }

  /** Null when no service answers there, or it speaks another language. */
  static async open(facts: RemoteSeatFacts): Promise<RemoteSeat | null> {
    const seat = new RemoteSeat(facts);
    const isOpen = await new Promise<boolean>((resolve) => {
      const cancel = facts.clock.startTimer(OPEN_TIMEOUT_MS, () => resolve(false));
      seat.#onOpened = (isThere) => {
        cancel();
        resolve(isThere);
      };
    });
    seat.#onOpened = null;
    if (isOpen) return seat;
    seat.leave();
    return null;
  }

  /** It is where everything is already. */
  get canMove(): boolean {
    return false;
  }

  take(frame: SeatFrame): void {
    this.#write(frame);
  }

  leave(): void {
    this.#isLeft = true;
    this.#socket.close();
  }

  async close(): Promise<void> {
    this.leave();
  }

  #write(frame: SeatFrame | NativeWorkerHello): void {
    if (this.#socket.bufferedAmount > WAITING_BYTES_MAX) throw serviceDown();
    for (const one of cutNativeFrame(frame, this.#frames++)) this.#socket.send(JSON.stringify(one));
  }

  #read(data: unknown): void {
    if (this.#isLeft) return;
    try {
      const frame = this.#frameOf(data);
      if (frame === null) return;
      if (this.#onOpened !== null) this.#onHello(frame);
      else this.#pass(frame);
    } catch (fault) {
      if (!(fault instanceof TapError)) throw fault;
      this.leave();
      this.#facts.onLost(fault);
    }
  }

  #frameOf(data: unknown): Frame | null {
    if (typeof data !== 'string' || data.length > NATIVE_FRAME_BYTES_MAX) throw serviceDown();
    const joined = this.#joiner.take(JSON.parse(data));
    return joined === null ? null : checkShape(nativeHostFrameShape, joined, 'frame');
  }

  #onHello(frame: Frame): void {
    const isOurs = frame.type === 'hello' && nativeProtocolsMeet(frame.protocol, NATIVE_PROTOCOL);
    if (isOurs) this.#write(this.#facts.hello);
    this.#onOpened?.(isOurs);
  }

  #pass(frame: Frame): void {
    this.#hasRefused ||= frame.type === 'page' && frame.message.type === 'refused';
    this.#facts.send(frame);
  }

  #onClosed(reason: string): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    if (this.#onOpened !== null) {
      this.#onOpened(false);
      return;
    }
    if (this.#hasRefused) this.#facts.onLost(null);
    else this.#facts.onLost(CODE.test(reason) ? refused(reason) : serviceDown());
  }
}

function serviceDown(): TapError {
  return new TapError('ERR_AGENT_DOWN', 'the agent service of this system has ended');
}

function refused(code: string): TapError {
  return new TapError(code, 'the agent service of this system refused a frame');
}
