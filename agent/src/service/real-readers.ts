/** The real readers beside the virtual one: what lies in them, and the session of a payment. */
import { errorBody } from '@tapnpay/protocol/bytes';
import type { ReaderService, RealReaderView } from '@tapnpay/protocol/wire';
import { cleanName, isTokenReader, type PcscReaders, type ReaderEvent } from '../pcsc/index.ts';
import type { CardSession } from '../readers/card-reader.ts';
import { paymentChannel } from '../readers/decorators.ts';
import { removedFault } from '../readers/errors.ts';
import { SerialQueue } from '../readers/serial-queue.ts';
import type { OfferedCard } from './desk-session.ts';
import type { AgentLog } from './events.ts';

/** Where readers and their cards come from; tests give their own. */
export type ReaderSource = Pick<PcscReaders, 'watch' | 'reader' | 'close'>;

/** One card in one reader, from its coming to its going; another insertion is another object. */
export type InsertedCard = {
  readonly reader: string;
  /** The reader was seen empty before: the card has not lain there. */
  readonly isFresh: boolean;
};

/** Who hears of the cards. */
export type RealReadersListener = {
  readonly onInserted: (card: InsertedCard) => void;
  readonly onRemoved: (reader: string) => void;
  /** Something that windows show is different. */
  readonly onChange: () => void;
};

type Slot = { readonly card: InsertedCard; fault: string | null };

/** What is known of the readers; a service that is missing or dies is a state, never a throw. */
export class RealReaders {
  readonly #source: ReaderSource | null;
  readonly #log: AgentLog;
  /** By the service's own names; null: empty. */
  readonly #slots: Map<string, Slot | null> = new Map();
  readonly #queues: Map<string, SerialQueue> = new Map();
  #service: ReaderService;
  #stop: () => void = () => {};

  /** @param ports `source` null: real readers take no part. */
  constructor(ports: { readonly source: ReaderSource | null; readonly log: AgentLog }) {
    this.#source = ports.source;
    this.#log = ports.log;
    this.#service = { state: ports.source === null ? 'off' : 'on', code: null };
  }

  /** Begins to watch, in a process of its own: nothing waits for it. */
  start(listener: RealReadersListener): void {
    if (this.#source === null) return;
    this.#stop = this.#source.watch((event) => this.#onEvent(event, listener));
  }

  get service(): ReaderService {
    return this.#service;
  }

  views(): readonly RealReaderView[] {
    return [...this.#slots].map(([name, slot]) => ({
      name: cleanName(name),
      kind: 'pcsc',
      isCardThere: slot !== null,
      fault: slot?.fault ?? null,
    }));
  }

  /** Cards in all real readers. */
  get cardCount(): number {
    return [...this.#slots.values()].filter((slot) => slot !== null).length;
  }

  /** Whether the card still lies where it was put. */
  isThere(card: InsertedCard): boolean {
    return this.#slots.get(card.reader)?.card === card;
  }

  /** Keeps why a card cannot pay, as long as it lies there. */
  refuse(card: InsertedCard, code: string): void {
    this.#log({ event: 'realCardRefused', reader: cleanName(card.reader), code });
    const slot = this.#slots.get(card.reader);
    if (slot?.card === card) slot.fault = code;
  }

  /** What was wrong for one payment may be right for the next. */
  forgetFaults(): void {
    for (const slot of this.#slots.values()) if (slot !== null) slot.fault = null;
  }

  /**
   * Powers the card, for us alone.
   * @throws ReaderError `ERR_CARD_REMOVED`, `ERR_CARD_MUTE`, `ERR_READER_IN_USE` and others of
   * `CardReader.connect`.
   */
  async connect(card: InsertedCard): Promise<OfferedCard> {
    const { reader } = card;
    const queue = this.#queueOf(reader);
    const session = await queue.run(() => this.#open(card));
    const release = (): void => {
      queue
        .run(() => session.disconnect())
        .catch((fault: unknown) => {
          this.#log({ event: 'realCardHeld', code: errorBody(fault).code });
        });
    };
    const channel = paymentChannel(session);
    return { interface: session.interface, channel, reader, panMasked: null, release };
  }

  async #open(card: InsertedCard): Promise<CardSession> {
    const { reader } = card;
    // It may have gone while the session before was given back.
    if (this.#source === null || !this.isThere(card)) throw removedFault(reader);
    const session = await this.#source.reader(reader).connect({ sharing: 'exclusive' });
    if (this.isThere(card)) return session;
    await session.disconnect();
    throw removedFault(reader);
  }

  /** One session at a time in each reader: the next waits until the last was given back. */
  #queueOf(reader: string): SerialQueue {
    const queue = this.#queues.get(reader) ?? new SerialQueue();
    this.#queues.set(reader, queue);
    return queue;
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#source?.close();
  }

  #onEvent(event: ReaderEvent, listener: RealReadersListener): void {
    if ('reader' in event && isTokenReader(event.reader)) return;
    switch (event.type) {
      case 'readerAdded':
        this.#slots.set(event.reader, null);
        break;
      case 'readerRemoved':
        this.#slots.delete(event.reader);
        break;
      case 'serviceLost':
        this.#service = { state: 'lost', code: event.code };
        break;
      case 'serviceFound':
        this.#service = { state: 'on', code: null };
        break;
      case 'cardInserted': {
        const card = { reader: event.reader, isFresh: event.isFresh };
        this.#slots.set(card.reader, { card, fault: null });
        listener.onInserted(card);
        break;
      }
      case 'cardRemoved':
        this.#slots.set(event.reader, null);
        listener.onRemoved(event.reader);
        break;
    }
    this.#tell(event);
    listener.onChange();
  }

  /** To the log, which never holds what a card answered to power. */
  #tell(event: ReaderEvent): void {
    const reader = 'reader' in event ? { reader: cleanName(event.reader) } : {};
    const code = event.type === 'serviceLost' ? { code: event.code } : {};
    this.#log({ event: 'realReader', what: event.type, ...reader, ...code });
  }
}
