/**
 * The seat of a host's page: at the running service of the system when there is one, which holds
 * element and cards, and else in the host. A service that comes later is moved to before a payment.
 */
import { type Clock, errorBody, TapError } from '@tapnpay/protocol/bytes';
import type {
  NativeChunk,
  NativeHostFrame,
  NativeWorkerHello,
  PageMessage,
} from '@tapnpay/protocol/wire';
import { SESSION_INTENTS } from '../service/desk.ts';
import { ServiceError } from '../service/errors.ts';
import type { AgentLog } from '../service/events.ts';
import { type LocalAgent, localAgent } from '../service/local-agent.ts';
import type { NativeSeat, SeatFrame } from '../service/native-port.ts';
import type { HostConfig } from './config.ts';

/** Frames that wait for the seat to be there. */
const WAITING_FRAMES_MAX = 256;

/** What of a page begins a session. */
const INTENTS: ReadonlySet<PageMessage['type']> = new Set<PageMessage['type']>(SESSION_INTENTS);

type Frame = Exclude<NativeHostFrame, NativeChunk>;

/** A seat that is there. */
export type OpenSeat = NativeSeat & {
  /** No payment is under way: the page can be brought to another one. */
  readonly canMove: boolean;
  readonly close: () => Promise<void>;
};

export type HostSeatFacts = {
  readonly config: HostConfig;
  readonly hello: NativeWorkerHello;
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly openLocal: (send: (frame: Frame) => void) => Promise<OpenSeat>;
  readonly send: (frame: Frame) => void;
  /** The seat is lost; null when the page was told why. */
  readonly onLost: (fault: TapError | null) => void;
};

/** Keeps the order of frames while seats open and change. */
export class HostSeat implements NativeSeat {
  readonly #facts: HostSeatFacts;
  #seat: OpenSeat | null = null;
  #turn: Promise<void>;
  #waitingFrames = 0;
  #isLeft = false;
  /** What the page has said that a new seat must hear, too. */
  #pageHello: SeatFrame | null = null;
  #isWindowOpen = false;

  constructor(facts: HostSeatFacts) {
    this.#facts = facts;
    this.#turn = this.#inTurn(() => this.#open());
  }

  take(frame: SeatFrame): void {
    if (this.#waitingFrames >= WAITING_FRAMES_MAX) {
      throw new ServiceError('ERR_RATE', 'too many frames wait');
    }
    this.#waitingFrames += 1;
    this.#turn = this.#turn.then(() =>
      this.#inTurn(async () => {
        this.#waitingFrames -= 1;
        await this.#give(frame);
      }),
    );
  }

  /** Whether the seat is there. */
  get isOpen(): boolean {
    return this.#seat !== null;
  }

  leave(): void {
    this.#isLeft = true;
    this.#seat?.leave();
  }

  /** Resolves when everything that the seat held is free. */
  async close(): Promise<void> {
    this.leave();
    await this.#turn;
    await this.#seat?.close();
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (fault) {
      const { onLost } = this.#facts;
      onLost(fault instanceof TapError ? fault : new TapError('ERR_INTERNAL', String(fault)));
    }
  }

  async #open(): Promise<void> {
    const { openLocal, send } = this.#facts;
    const remote = await this.#openRemote(send);
    if (remote === null && this.#isLeft) return;
    const seat = remote ?? (await openLocal(send));
    this.#seat = seat;
    if (this.#isLeft) seat.leave();
  }

  async #give(frame: SeatFrame): Promise<void> {
    if (this.#isLeft) return;
    if (frame.type === 'page' && INTENTS.has(frame.message.type)) await this.#moveToService();
    if (frame.type === 'page' && frame.message.type === 'hello') this.#pageHello = frame;
    if (frame.type === 'windowOpened') this.#isWindowOpen = true;
    if (frame.type === 'windowClosed') this.#isWindowOpen = false;
    if (!this.#isLeft) this.#seat?.take(frame);
  }

  /** A service that was started meanwhile has the element and the cards: the page pays there. */
  async #moveToService(): Promise<void> {
    const before = this.#seat;
    if (before === null || !before.canMove) return;
    let isAgain = this.#pageHello !== null;
    const next = await this.#openRemote((frame) => {
      const isWelcome = frame.type === 'page' && frame.message.type === 'welcome';
      if (isAgain && isWelcome) isAgain = false;
      else this.#facts.send(frame);
    });
    if (next === null) return;
    this.#seat = next;
    await before.close();
    if (this.#pageHello !== null) next.take(this.#pageHello);
    if (this.#isWindowOpen) next.take({ type: 'windowOpened' });
    if (this.#isLeft) next.leave();
  }

  async #openRemote(send: (frame: Frame) => void): Promise<OpenSeat | null> {
    const { hello, clock, log, onLost } = this.#facts;
    const agent = this.#service();
    if (agent === null) return null;
    const { RemoteSeat } = await import('./remote-seat.ts');
    const seat = await RemoteSeat.open({ agent, hello, clock, send, onLost });
    log({ event: seat === null ? 'serviceNotReached' : 'serviceReached' });
    return seat;
  }

  #service(): LocalAgent | null {
    const { config, log } = this.#facts;
    try {
      return localAgent(config.dataDir);
    } catch (fault) {
      log({ event: 'serviceNotReached', code: errorBody(fault).code });
      return null;
    }
  }
}
