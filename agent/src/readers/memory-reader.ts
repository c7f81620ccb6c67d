/** A reader in this process: a card that the program holds is put in and taken out. */
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { protocolOf } from './atr.ts';
import type {
  CardEvent,
  CardProtocol,
  CardReader,
  CardSession,
  ChipCard,
  ConnectOptions,
  ReaderKind,
  Unsubscribe,
} from './card-reader.ts';
import { Conversation } from './conversation.ts';
import { ReaderError, removedFault } from './errors.ts';
import { SerialQueue } from './serial-queue.ts';

/** A card in the slot; `resets` tells a session that another one has reset it. */
type Slot = { readonly card: ChipCard; readonly sessions: Set<MemorySession>; resets: number };

/** The reader; what is true of PC/SC's sharing is true of it. */
export class MemoryReader implements CardReader {
  readonly name: string;
  readonly kind: ReaderKind;
  readonly #listeners: Set<(event: CardEvent) => void> = new Set();
  #slot: Slot | null = null;
  /** The conversation that has the card for itself, and those waiting for it. */
  readonly #queue: SerialQueue = new SerialQueue();

  constructor(options: { readonly name: string; readonly kind: Exclude<ReaderKind, 'pcsc'> }) {
    this.name = options.name;
    this.kind = options.kind;
  }

  /** Puts a card in; one that is there is taken out first. */
  insert(card: ChipCard): void {
    this.remove();
    this.#slot = { card, sessions: new Set(), resets: 0 };
    this.#tell({ type: 'cardInserted', reader: this.name, atr: null, isFresh: true });
  }

  /** Takes the card out: its sessions end with `ERR_CARD_REMOVED`. */
  remove(): void {
    if (this.#slot === null) return;
    this.#slot = null;
    this.#tell({ type: 'cardRemoved', reader: this.name });
  }

  async connect(options: ConnectOptions = {}): Promise<CardSession> {
    const slot = this.#slot;
    if (slot === null) {
      throw new ReaderError('ERR_CARD_ABSENT', 'no card in the reader', { reader: this.name });
    }
    const exclusive = options.sharing === 'exclusive';
    const others = [...slot.sessions];
    if (others.some((session) => session.isExclusive) || (exclusive && others.length > 0)) {
      throw new ReaderError('ERR_READER_IN_USE', 'the card is in use', { reader: this.name });
    }
    const session = new MemorySession({
      reader: this.name,
      slot,
      isExclusive: exclusive,
      isThere: () => this.#slot === slot,
      queue: this.#queue,
    });
    slot.sessions.add(session);
    try {
      await session.power();
    } catch (fault) {
      slot.sessions.delete(session);
      throw fault;
    }
    return session;
  }

  onCard(listener: (event: CardEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    const lies = { type: 'cardInserted', reader: this.name, atr: null, isFresh: false } as const;
    if (this.#slot) listener(lies);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.remove();
    this.#listeners.clear();
  }

  #tell(event: CardEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

type SessionFacts = {
  readonly reader: string;
  readonly slot: Slot;
  readonly isExclusive: boolean;
  readonly isThere: () => boolean;
  readonly queue: SerialQueue;
};

class MemorySession implements CardSession {
  readonly #facts: SessionFacts;
  readonly pinPad = null;
  #atr: Uint8Array = new Uint8Array(0);
  #resets = 0;
  #isOpen = true;
  #isAlone = false;

  constructor(facts: SessionFacts) {
    this.#facts = facts;
  }

  get reader(): string {
    return this.#facts.reader;
  }

  get atr(): Uint8Array {
    return this.#atr.slice();
  }

  get protocol(): CardProtocol {
    return protocolOf(this.#atr);
  }

  get interface(): CardInterface {
    return this.#facts.slot.card.interface;
  }

  get isExclusive(): boolean {
    return this.#facts.isExclusive;
  }

  /** The first session powers the card; a later one finds it as the others left it. */
  async power(): Promise<void> {
    const { slot } = this.#facts;
    if (slot.sessions.size > 1) {
      this.#atr = [...slot.sessions][0]?.atr ?? this.#atr;
      this.#resets = slot.resets;
      return;
    }
    await this.#facts.queue.run(() => this.#reset());
  }

  async transmit(command: Uint8Array): Promise<Uint8Array> {
    return await this.#facts.queue.run(() => this.#exchange(command));
  }

  async reset(): Promise<void> {
    if (this.#isAlone) throw new Error('a conversation that has the card does not reset it');
    await this.#facts.queue.run(() => this.#reset());
  }

  async exclusively<Result>(work: (card: CardChannel) => Promise<Result>): Promise<Result> {
    return await this.#facts.queue.run(async () => {
      this.#isAlone = true;
      try {
        return await work(new Conversation((command) => this.#exchange(command)));
      } finally {
        this.#isAlone = false;
      }
    });
  }

  async disconnect(): Promise<void> {
    this.#isOpen = false;
    this.#facts.slot.sessions.delete(this);
  }

  async #reset(): Promise<void> {
    this.#assertThere();
    const { slot } = this.#facts;
    this.#atr = Uint8Array.from(await slot.card.reset());
    slot.resets += 1;
    this.#resets = slot.resets;
  }

  async #exchange(command: Uint8Array): Promise<Uint8Array> {
    this.#assertThere();
    if (this.#resets !== this.#facts.slot.resets) {
      throw new ReaderError('ERR_CARD_RESET', 'the card was reset by another session', {
        reader: this.reader,
      });
    }
    const answer = Uint8Array.from(await this.#facts.slot.card.transmit(command.slice()));
    // Pulled while it worked: what it answered never reached anybody.
    this.#assertThere();
    return answer;
  }

  #assertThere(): void {
    if (!this.#isOpen) {
      throw new ReaderError('ERR_READER_CLOSED', 'the session is closed', { reader: this.reader });
    }
    if (!this.#facts.isThere()) throw removedFault(this.reader);
  }
}
