/** The readers of the system's PC/SC service behind the agent's `CardReader`. */
import type {
  CardEvent,
  CardReader,
  CardSession,
  ConnectOptions,
  Unsubscribe,
} from '../readers/card-reader.ts';
import { NativeProcess, type NativeProcessOptions } from './native-process.ts';
import { PcscSession, SESSION_TIMES, type SessionTimes } from './pcsc-session.ts';
import { type ReaderEvent, ReaderWatch } from './reader-watch.ts';
import { judgedServiceFault } from './service-socket.ts';

const LIST_TIMEOUT_MS = 3_000;

/** How the library is reached, and how long it may take. */
export type PcscOptions = NativeProcessOptions & { readonly times?: Partial<SessionTimes> };

/**
 * All readers of the system. Each session has a process of its own, so that a hanging driver holds
 * up one reader only; the watch has another.
 */
export class PcscReaders {
  readonly #options: PcscOptions;
  readonly #watch: ReaderWatch;
  readonly #readers: Map<string, PcscReader> = new Map();

  constructor(options: PcscOptions = {}) {
    this.#options = options;
    this.#watch = new ReaderWatch(options);
  }

  /**
   * Names of the readers now.
   * @throws ReaderError `ERR_READER_LIBRARY`, `ERR_READER_SERVICE`, `ERR_READER_DENIED`.
   */
  async list(): Promise<readonly string[]> {
    const native = new NativeProcess(this.#options);
    try {
      const timeoutMs = LIST_TIMEOUT_MS;
      return (await native.request({ op: 'list' }, { timeoutMs })).readers;
    } catch (fault) {
      throw await judgedServiceFault(fault);
    } finally {
      native.kill();
    }
  }

  /** The reader of this name, whether it is plugged in or not. */
  reader(name: string): CardReader {
    const known = this.#readers.get(name);
    if (known) return known;
    const options = this.#options;
    const reader = new PcscReader({
      name,
      options,
      listen: (listener) => this.#watch.listen(listener),
    });
    this.#readers.set(name, reader);
    return reader;
  }

  /** Tells of readers and cards, first of those that are there. */
  watch(listener: (event: ReaderEvent) => void): Unsubscribe {
    return this.#watch.listen(listener);
  }

  /** Ends every session and the watch. */
  async close(): Promise<void> {
    this.#watch.close();
    await Promise.all([...this.#readers.values()].map((reader) => reader.close()));
  }
}

type ReaderFacts = {
  readonly name: string;
  readonly options: PcscOptions;
  readonly listen: (listener: (event: ReaderEvent) => void) => Unsubscribe;
};

class PcscReader implements CardReader {
  readonly #facts: ReaderFacts;
  readonly kind = 'pcsc';
  readonly #sessions: Map<PcscSession, NativeProcess> = new Map();
  readonly #subscriptions: Set<Unsubscribe> = new Set();
  /** A process that is up and has no card: the next session starts at once. */
  #spare: NativeProcess | null = null;

  constructor(facts: ReaderFacts) {
    this.#facts = facts;
  }

  get name(): string {
    return this.#facts.name;
  }

  async connect(options: ConnectOptions = {}): Promise<CardSession> {
    const native = this.#takeProcess();
    const session = new PcscSession({
      native,
      reader: this.name,
      options,
      times: { ...SESSION_TIMES, ...this.#facts.options.times },
      onEnd: () => this.#takeBack(session),
    });
    this.#sessions.set(session, native);
    try {
      await session.open();
    } catch (fault) {
      await session.disconnect();
      throw fault;
    }
    return session;
  }

  onCard(listener: (event: CardEvent) => void): Unsubscribe {
    const unsubscribe = this.#facts.listen((event) => {
      if (event.type !== 'cardInserted' && event.type !== 'cardRemoved') return;
      if (event.reader === this.name) listener(event);
    });
    this.#subscriptions.add(unsubscribe);
    return () => {
      this.#subscriptions.delete(unsubscribe);
      unsubscribe();
    };
  }

  async close(): Promise<void> {
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#subscriptions.clear();
    await Promise.all([...this.#sessions.keys()].map((session) => session.disconnect()));
    this.#spare?.kill();
    this.#spare = null;
  }

  #takeProcess(): NativeProcess {
    const spare = this.#spare;
    this.#spare = null;
    return spare !== null && !spare.isEnded ? spare : new NativeProcess(this.#facts.options);
  }

  #takeBack(session: PcscSession): void {
    const native = this.#sessions.get(session);
    this.#sessions.delete(session);
    if (native === undefined || native.isEnded) return;
    if (this.#spare === null) this.#spare = native;
    else native.kill();
  }
}
