/**
 * Matches answers to requests on one line, bounds what is in flight, and lets the rest wait. One
 * timer looks after all deadlines.
 */
import type { Clock } from '@tapnpay/protocol/bytes';
import { type LineCounters, newCounters } from './counters.ts';
import { LineError } from './errors.ts';
import { type Keyed, KeyIndex, KeyMemory, type MatchKey } from './match-key.ts';

/** Requests in flight on one line, and waiting for a place in that flight. */
export const IN_FLIGHT_MAX = 1_024;
export const QUEUE_MAX = 1_024;
/** Expired requests whose answers are still known to be late, and answered ones known as such. */
const KEYS_REMEMBERED = 4_096;

/** What became of an answer. */
export type Settled = 'matched' | 'late' | 'unmatched';

/** One request. */
export type Expectation = {
  readonly timeoutMs: number;
  /** Sends the request: now, or when it is its turn. */
  readonly send: () => void;
  /** Passes the queue: network management. */
  readonly isUrgent?: boolean;
};

type Pending<Answer> = Keyed & {
  deadlineMs: number;
  /** Null once it is sent. */
  send: (() => void) | null;
  readonly sentMs: number;
  readonly resolve: (answer: Answer | 'timeout') => void;
  readonly reject: (fault: LineError) => void;
};

/** The requests of one line that wait for an answer. */
export class Multiplexer<Answer> {
  readonly #clock: Clock;
  readonly #counters: LineCounters;
  readonly #inFlightMax: number;
  readonly #queueMax: number;
  /** Told of each request that expires, and when it was made. */
  readonly #onExpired: (sentMs: number) => void;
  readonly #waiting = new KeyIndex<Pending<Answer>>();
  readonly #expired = new KeyMemory(KEYS_REMEMBERED);
  readonly #answered = new KeyMemory(KEYS_REMEMBERED);
  readonly #queue = new Set<Pending<Answer>>();
  #armedMs = Number.POSITIVE_INFINITY;
  #cancelTimer: () => void = () => undefined;
  #lastMs: number;

  constructor(options: {
    readonly clock: Clock;
    readonly counters?: LineCounters;
    readonly inFlightMax?: number;
    readonly queueMax?: number;
    readonly onExpired?: (sentMs: number) => void;
  }) {
    this.#clock = options.clock;
    this.#counters = options.counters ?? newCounters();
    this.#inFlightMax = options.inFlightMax ?? IN_FLIGHT_MAX;
    this.#queueMax = options.queueMax ?? QUEUE_MAX;
    this.#onExpired = options.onExpired ?? (() => undefined);
    this.#lastMs = options.clock.nowMs();
  }

  /** Requests sent and not ended. */
  get inFlight(): number {
    return this.#waiting.size - this.#queue.size;
  }

  /** Requests that wait for their turn. */
  get queued(): number {
    return this.#queue.size;
  }

  /**
   * Sends a request, now or when it is its turn, and waits for its answer.
   * @throws LineError at once or as the promise's: `ERR_LINE_DUPLICATE` when its key is in flight,
   *   `ERR_LINE_BUSY` when the queue is full or its turn did not come in time: it was not sent.
   */
  expect(key: MatchKey, options: Expectation): Promise<Answer | 'timeout'> {
    if (this.#waiting.exactly(key)) {
      this.#counters.duplicates += 1;
      throw new LineError('ERR_LINE_DUPLICATE', 'a request of this key is in flight');
    }
    const isNext = options.isUrgent || this.inFlight < this.#inFlightMax;
    if (!isNext && this.#queue.size >= this.#queueMax) {
      this.#counters.busy += 1;
      const text = `${this.inFlight} requests are in flight, ${this.#queueMax} wait`;
      throw new LineError('ERR_LINE_BUSY', text);
    }
    // The same key again after a time-out: an answer is this one's now.
    this.#expired.forget(key);
    this.#answered.forget(key);
    return new Promise((resolve, reject) => {
      const sentMs = this.#nowMs();
      const deadlineMs = sentMs + options.timeoutMs;
      const send = isNext ? null : options.send;
      const next = null;
      const pending: Pending<Answer> = { key, next, deadlineMs, send, sentMs, resolve, reject };
      this.#waiting.add(pending);
      if (!isNext) this.#queue.add(pending);
      if (deadlineMs < this.#armedMs) this.#arm(deadlineMs);
      if (isNext) options.send();
    });
  }

  /**
   * Hands an answer to its request. One that leaves out field 7, 32 or 41 matches when only one
   * request can be meant, expired and answered ones counted among them; it is never guessed.
   */
  settle(key: MatchKey, answer: Answer): Settled {
    const pending = this.#meant(key);
    if (pending) {
      this.#counters.matched += 1;
      this.#answered.add(pending.key);
      this.#remove(pending);
      pending.resolve(answer);
      return 'matched';
    }
    const isLate = this.#expired.forget(key) || this.#expired.forget(this.#lateKey(key) ?? key);
    const settled = isLate ? 'late' : 'unmatched';
    this.#counters[settled] += 1;
    return settled;
  }

  /** Whether `settle` would match an answer of this key. */
  awaits(key: MatchKey): boolean {
    return this.#meant(key) !== null;
  }

  /** Ends the request that came back unprocessed; false when none is meant. */
  refuse(key: MatchKey, fault: LineError): boolean {
    const pending = this.#meant(key);
    if (!pending) return false;
    this.#counters.rejected += 1;
    this.#remove(pending);
    pending.reject(fault);
    return true;
  }

  /** The line is lost: whether what was sent arrived is not known; what waited was not sent. */
  failAll(fault: LineError): void {
    this.#cancelTimer();
    this.#armedMs = Number.POSITIVE_INFINITY;
    for (const pending of [...this.#waiting.values()]) {
      this.#waiting.remove(pending);
      this.#queue.delete(pending);
      if (pending.send === null) pending.reject(fault);
      else pending.reject(new LineError('ERR_LINE_NOT_ESTABLISHED', 'lost before its turn'));
    }
  }

  /** The one request in flight that an answer can belong to. */
  #meant(key: MatchKey): Pending<Answer> | null {
    const exact = this.#waiting.exactly(key);
    if (exact) return exact.send === null ? exact : null;
    const meant = this.#waiting.meantBy(key).filter(({ send }) => send === null);
    const [pending] = meant;
    if (!pending || meant.length > 1) return null;
    const others = this.#expired.countMeantBy(key) + this.#answered.countMeantBy(key);
    return others === 0 ? pending : null;
  }

  /** The expired request whose late answer this is, for sure. */
  #lateKey(key: MatchKey): MatchKey | null {
    const others = this.#waiting.meantBy(key).length + this.#answered.countMeantBy(key);
    return others === 0 ? this.#expired.onlyMeantBy(key) : null;
  }

  #remove(pending: Pending<Answer>): void {
    this.#waiting.remove(pending);
    this.#queue.delete(pending);
    for (const next of this.#queue) {
      if (this.inFlight >= this.#inFlightMax) return;
      this.#queue.delete(next);
      const send = next.send;
      next.send = null;
      send?.();
    }
  }

  /** Now; when the wall clock was set back, every deadline is moved with it. */
  #nowMs(): number {
    const nowMs = this.#clock.nowMs();
    const changeMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (changeMs < 0) {
      for (const pending of this.#waiting.values()) pending.deadlineMs += changeMs;
      this.#armedMs += changeMs;
    }
    return nowMs;
  }

  #arm(atMs: number): void {
    this.#cancelTimer();
    this.#armedMs = atMs;
    const delayMs = Math.max(0, atMs - this.#lastMs);
    this.#cancelTimer = this.#clock.startTimer(delayMs, () => this.#expire());
  }

  /** Ends what is due, then sleeps until the next deadline. */
  #expire(): void {
    const nowMs = this.#nowMs();
    this.#armedMs = Number.POSITIVE_INFINITY;
    const due = [...this.#waiting.values()].filter(({ deadlineMs }) => deadlineMs <= nowMs);
    // What waits goes first: places that come free are not for requests whose time is over.
    for (const pending of due) if (pending.send !== null) this.#end(pending);
    for (const pending of due) if (this.#waiting.exactly(pending.key)) this.#end(pending);
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of this.#waiting.values()) nextMs = Math.min(nextMs, deadlineMs);
    if (nextMs < this.#armedMs) this.#arm(nextMs);
  }

  #end(pending: Pending<Answer>): void {
    const isSent = pending.send === null;
    if (isSent) this.#expired.add(pending.key);
    this.#remove(pending);
    if (isSent) {
      this.#counters.expired += 1;
      pending.resolve('timeout');
      this.#onExpired(pending.sentMs);
    } else {
      this.#counters.busy += 1;
      pending.reject(new LineError('ERR_LINE_BUSY', 'no place came free in time'));
    }
  }
}
