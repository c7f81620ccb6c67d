/** Readers in this process in place of the system's: plugged, filled, emptied and torn by hand. */
import type { ReaderEvent } from '../pcsc/index.ts';
import type {
  CardReader,
  CardSession,
  ChipCard,
  ConnectOptions,
  Unsubscribe,
} from '../readers/card-reader.ts';
import { ReaderError } from '../readers/errors.ts';
import { MemoryReader } from '../readers/memory-reader.ts';
import type { ReaderSource } from './real-readers.ts';

/** What a real card says to power here; it must never be shown or logged. */
export const TEST_ATR: Uint8Array = Uint8Array.of(0x3b, 0x65, 0x11, 0x5a, 0xc3, 0x5a, 0xc3);

/** A chip that says yes to everything, and counts what reaches it. */
export class TestChip implements ChipCard {
  readonly interface: ChipCard['interface'];
  resets = 0;
  commands = 0;
  isMute = false;

  constructor(cardInterface: ChipCard['interface'] = 'contact') {
    this.interface = cardInterface;
  }

  reset(): Uint8Array {
    this.resets += 1;
    if (this.isMute) throw new ReaderError('ERR_CARD_MUTE', 'the card does not answer to power');
    return TEST_ATR;
  }

  transmit(): Uint8Array {
    this.commands += 1;
    return Uint8Array.of(0x90, 0x00);
  }
}

class FakeReader implements CardReader {
  readonly name: string;
  readonly kind = 'pcsc';
  readonly memory: MemoryReader;
  isGone = false;
  /** A connect waits for this. */
  gate: Promise<void> = Promise.resolve();
  sessions = 0;

  constructor(name: string) {
    this.name = name;
    this.memory = new MemoryReader({ name, kind: 'virtual' });
  }

  async connect(options: ConnectOptions = {}): Promise<CardSession> {
    await this.gate;
    const session = await this.memory.connect(options);
    this.sessions += 1;
    let isOpen = true;
    return {
      reader: this.name,
      atr: session.atr,
      protocol: session.protocol,
      interface: session.interface,
      pinPad: null,
      transmit: async (command) => {
        if (this.isGone) throw new ReaderError('ERR_READER_GONE', 'the reader was unplugged');
        return await session.transmit(command);
      },
      reset: () => session.reset(),
      exclusively: (work) => session.exclusively(work),
      disconnect: async () => {
        if (isOpen) this.sessions -= 1;
        isOpen = false;
        await session.disconnect();
      },
    };
  }

  onCard(): Unsubscribe {
    throw new Error('the service watches all readers at once');
  }

  async close(): Promise<void> {
    await this.memory.close();
  }
}

/** Stands for the system's reader service. */
export class FakeReaders implements ReaderSource {
  readonly #listeners: Set<(event: ReaderEvent) => void> = new Set();
  readonly #readers: Map<string, FakeReader> = new Map();
  isClosed = false;

  watch(listener: (event: ReaderEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  reader(name: string): FakeReader {
    const reader = this.#readers.get(name) ?? new FakeReader(name);
    this.#readers.set(name, reader);
    return reader;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  plug(name: string): void {
    this.reader(name).isGone = false;
    this.tell({ type: 'readerAdded', reader: name });
  }

  /** The service sees the card go before the reader. */
  unplug(name: string): void {
    this.reader(name).isGone = true;
    this.remove(name);
    this.tell({ type: 'readerRemoved', reader: name });
  }

  /** `isFresh` false: it lay there when the service looked first. */
  insert(name: string, chip: ChipCard, facts: { readonly isFresh?: boolean } = {}): void {
    this.reader(name).memory.insert(chip);
    const { isFresh = true } = facts;
    this.tell({ type: 'cardInserted', reader: name, atr: TEST_ATR, isFresh });
  }

  remove(name: string): void {
    this.reader(name).memory.remove();
    this.tell({ type: 'cardRemoved', reader: name });
  }

  tell(event: ReaderEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
