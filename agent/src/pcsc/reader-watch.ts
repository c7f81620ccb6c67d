/** Hot-plug: tells of readers and cards that come and go. Its process has a context of its own. */
import { fromHex } from '@tapnpay/protocol/bytes';
import type { CardEvent, Unsubscribe } from '../readers/card-reader.ts';
import { ReaderError } from '../readers/errors.ts';
import { PNP_READER, type ReaderStateAnswer, STATE, WAIT_SLICE_MS } from './messages.ts';
import { NativeProcess, type NativeProcessOptions } from './native-process.ts';
import { judgedServiceFault } from './service-socket.ts';

const REQUEST_TIMEOUT_MS = 5_000;
const SERVICE_PAUSE_MS = 1_000;
/** The high half of a state counts insertions and removals, where the system counts them. */
const EVENT_COUNT_SHIFT = 16;

/** The process has dropped its context already, or never had one. */
const SAME_CONTEXT: ReadonlySet<string> = new Set([
  ...['ERR_READER_SERVICE', 'ERR_READER_DENIED', 'ERR_READER_LIBRARY'],
]);

/** What happens around the readers of the system. */
export type ReaderEvent =
  | CardEvent
  | { readonly type: 'readerAdded' | 'readerRemoved'; readonly reader: string }
  /** The service does not answer, refuses us, or there is none: `code` says which, its last one. */
  | { readonly type: 'serviceLost'; readonly code: string }
  | { readonly type: 'serviceFound' };

/** Pure: what a reader's new state means after its last one. Exported for its test. */
export function cardEvents(
  last: number,
  { reader, state, atr }: ReaderStateAnswer,
): readonly CardEvent[] {
  const [was, is] = [(last & STATE.PRESENT) !== 0, (state & STATE.PRESENT) !== 0];
  const inserted: CardEvent = {
    type: 'cardInserted',
    reader,
    atr: atr === '' || (state & STATE.MUTE) !== 0 ? null : fromHex(atr),
    isFresh: (last & STATE.EMPTY) !== 0,
  };
  const removed: CardEvent = { type: 'cardRemoved', reader };
  if (was && !is) return [removed];
  if (!was && is) return [inserted];
  const isSwapped = is && last >>> EVENT_COUNT_SHIFT !== state >>> EVENT_COUNT_SHIFT;
  // Out and in between two looks: the one that is there now is another presentation.
  return isSwapped ? [removed, inserted] : [];
}

/** The watch; it runs while somebody listens. */
export class ReaderWatch {
  readonly #options: NativeProcessOptions;
  readonly #listeners: Set<(event: ReaderEvent) => void> = new Set();
  readonly #states: Map<string, number> = new Map();
  #atrs: ReadonlyMap<string, string> = new Map();
  #native: NativeProcess | null = null;
  /** Why the service does not serve; null while it does. */
  #lostCode: string | null = null;

  constructor(options: NativeProcessOptions = {}) {
    this.#options = options;
  }

  /** Tells of what is there, then of every change. */
  listen(listener: (event: ReaderEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    if (this.#native === null) void this.#run();
    else this.#tellAll(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  /** Ends the watch and its process. */
  close(): void {
    this.#listeners.clear();
    this.#stop();
  }

  #stop(): void {
    this.#native?.kill();
    this.#native = null;
    this.#states.clear();
  }

  async #run(): Promise<void> {
    let native = new NativeProcess(this.#options);
    this.#native = native;
    while (this.#native === native) {
      try {
        await this.#look(native);
      } catch (raw) {
        const fault = await judgedServiceFault(raw);
        if (this.#native !== native) return;
        const code = fault instanceof ReaderError ? fault.code : 'ERR_READER_CRASH';
        this.#lost(code);
        // Whatever is wrong with this context, the next look has one of its own.
        if (!SAME_CONTEXT.has(code)) native.kill();
        await pause(SERVICE_PAUSE_MS);
        if (this.#native !== native) return;
        if (!native.isEnded) continue;
        native = new NativeProcess(this.#options);
        this.#native = native;
      }
    }
  }

  /** One look: the readers, then a wait for their next change. */
  async #look(native: NativeProcess): Promise<void> {
    const { readers } = await native.request({ op: 'list' }, { timeoutMs: REQUEST_TIMEOUT_MS });
    if (this.#native !== native) return;
    if (this.#lostCode !== null) this.#tell({ type: 'serviceFound' });
    this.#lostCode = null;
    this.#compare(readers);
    const states = [...this.#states].map(([reader, state]) => ({ reader, state }));
    const isFirst = states.some(({ state }) => state === 0);
    // macOS has no pseudo reader: there the list is looked at after every slice.
    if (process.platform !== 'darwin') states.push({ reader: PNP_READER, state: 0 });
    else if (states.length === 0) return await pause(WAIT_SLICE_MS);
    const timeoutMs = isFirst ? 0 : WAIT_SLICE_MS;
    const request = { op: 'wait', timeoutMs, states } as const;
    const answer = await native.request(request, { timeoutMs: timeoutMs + REQUEST_TIMEOUT_MS });
    if (this.#native !== native) return;
    this.#atrs = new Map(answer.states.map(({ reader, atr }) => [reader, atr]));
    for (const state of answer.states) this.#update(state);
  }

  #compare(readers: readonly string[]): void {
    for (const [reader, state] of [...this.#states]) {
      if (readers.includes(reader)) continue;
      this.#states.delete(reader);
      if ((state & STATE.PRESENT) !== 0) this.#tell({ type: 'cardRemoved', reader });
      this.#tell({ type: 'readerRemoved', reader });
    }
    for (const reader of readers) {
      if (this.#states.has(reader)) continue;
      this.#states.set(reader, 0);
      this.#tell({ type: 'readerAdded', reader });
    }
  }

  #update(answer: ReaderStateAnswer): void {
    const last = this.#states.get(answer.reader);
    if (last === undefined) return;
    this.#states.set(answer.reader, answer.state & ~STATE.CHANGED);
    for (const event of cardEvents(last, answer)) this.#tell(event);
  }

  #lost(code: string): void {
    this.#compare([]);
    if (this.#lostCode !== code) this.#tell({ type: 'serviceLost', code });
    this.#lostCode = code;
  }

  #tellAll(listener: (event: ReaderEvent) => void): void {
    for (const [reader, state] of this.#states) {
      listener({ type: 'readerAdded', reader });
      const atr = this.#atrs.get(reader) ?? '';
      for (const event of cardEvents(0, { reader, state, atr })) listener(event);
    }
  }

  #tell(event: ReaderEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
