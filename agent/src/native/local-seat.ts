/** The seat in the host's own process: a desk without the service, with the element when needed. */
import { join } from 'node:path';
import type { Clock } from '@tapnpay/protocol/bytes';
import type { NativeChunk, NativeHostFrame } from '@tapnpay/protocol/wire';
import { PcscReaders } from '../pcsc/index.ts';
import { PaymentDesk } from '../service/desk.ts';
import type { AgentLog } from '../service/events.ts';
import type { SeatFrame } from '../service/native-port.ts';
import { DeskSeat } from '../service/native-seat.ts';
import { RealReaders } from '../service/real-readers.ts';
import { nodeCiphers, systemRandom } from '../system.ts';
import { VirtualCards } from '../virtual-cards.ts';
import type { HostConfig } from './config.ts';
import type { OpenSeat } from './host-seat.ts';
import type { SharedElement } from './shared-element.ts';

/** Time for a payment of a page that is gone to end by itself. */
const IDLE_TIMEOUT_MS = 300;

export type LocalSeatFacts = {
  readonly config: HostConfig;
  readonly element: SharedElement;
  /** Of the page. */
  readonly origin: string;
  readonly clock: Clock;
  readonly log: AgentLog;
  readonly send: (frame: Exclude<NativeHostFrame, NativeChunk>) => void;
};

/** One page at a desk of its own. */
export class LocalSeat implements OpenSeat {
  readonly #facts: LocalSeatFacts;
  readonly #desk: PaymentDesk;
  readonly #seat: DeskSeat;
  readonly #cards: VirtualCards;
  readonly #realReaders: RealReaders;

  constructor(facts: LocalSeatFacts) {
    const { config, element, origin, clock, log, send } = facts;
    this.#facts = facts;
    this.#cards = new VirtualCards({
      directory: join(config.dataDir, 'cards'),
      ciphers: nodeCiphers,
      random: systemRandom,
      onChange: () => this.#desk.onReaderChanged(),
    });
    const source = config.readers ? new PcscReaders() : null;
    this.#realReaders = new RealReaders({ source, log });
    this.#desk = new PaymentDesk({
      element,
      cards: this.#cards,
      realReaders: this.#realReaders,
      serverName: config.serverName,
      ciphers: nodeCiphers,
      clock,
      log,
    });
    this.#seat = new DeskSeat({ desk: this.#desk, origin, send });
  }

  get canMove(): boolean {
    return !this.#desk.isBusy;
  }

  take(frame: SeatFrame): void {
    this.#seat.take(frame);
  }

  leave(): void {
    this.#seat.leave();
  }

  /** The element is let go last: what a payment still wants of it is heard before. */
  async close(): Promise<void> {
    const { clock, element } = this.#facts;
    this.leave();
    this.#desk.stop();
    let cancel: () => void = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = clock.startTimer(IDLE_TIMEOUT_MS, resolve);
    });
    const readers = Promise.all([this.#realReaders.close(), this.#cards.close()]);
    await Promise.race([this.#desk.idle(), late]);
    cancel();
    await Promise.all([readers, element.close()]);
  }
}
