/** One connection of a line: frames, messages, matching; what is said in it is the owner's. */
import { type Clock, errorBody, TapError } from '@tapnpay/protocol/bytes';
import {
  CUPS_DIALECT,
  type DecodedMessage,
  decodeMessage,
  encodeMessage,
  type Iso8583Message,
  isRequest,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { Log } from '../logging.ts';
import type { LineCounters, LineStats } from './counters.ts';
import { LineError } from './errors.ts';
import { encodeFrame, FrameDecoder, type FrameFormat } from './framing.ts';
import { LINE_LIMITS, LINE_TIMES, type LineLimits } from './limits.ts';
import { matchKeyOf, requireMatchKey } from './match-key.ts';
import { Multiplexer } from './multiplexer.ts';
import type { Transport } from './transport.ts';

/** What a request ends with, beside an error: its answer, or none in time. */
export type Reply = DecodedMessage | 'timeout';

/** Header reject code of a message that nobody sent back. @see Q/CUP 006, message header */
const NOT_REJECTED = /^0+$/;

/** Who owns a session and hears from it. */
export type SessionEvents = {
  /** Answers a request of the peer; null when there is nothing to answer. */
  readonly onRequest: (message: DecodedMessage) => Promise<Iso8583Message | null>;
  /** An answer that nobody here waits for (any more); each one comes once. */
  readonly onLateReply: (message: DecodedMessage) => void;
  /** Offers an answer that nobody here waits for to other lines of the same institution. */
  readonly isAdopted?: (message: DecodedMessage) => boolean;
  /** A message that could not be read, in a frame that could: the line stays. */
  readonly onUnreadable?: (fault: TapError, body: Uint8Array) => void;
  /** A request expired, and since `sentMs`, when it was made, nothing has come. */
  readonly onSilence?: () => void;
  readonly onClose: (reason: LineError) => void;
};

/** What a session stands on. */
export type SessionOptions = {
  readonly transport: Transport;
  readonly localId: string;
  /** Empty until it is known; until then every source is taken. */
  readonly remoteId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: LineCounters;
  readonly framing?: FrameFormat | undefined;
  readonly limits?: Partial<LineLimits> | undefined;
  readonly frameTimeoutMs?: number;
  readonly events: SessionEvents;
};

/** A connection between two institutions. */
export class LineSession {
  readonly #options: SessionOptions;
  readonly #limits: LineLimits;
  readonly #counters: LineCounters;
  readonly #multiplexer: Multiplexer<DecodedMessage>;
  readonly #decoder: FrameDecoder;
  #remoteId: string;
  #answering = 0;
  #watchers: { readonly isReached: () => boolean; readonly wake: () => void }[] = [];
  #isClosed = false;
  /** When the frame under way began, or null; one timer looks after it. */
  #frameSinceMs: number | null = null;
  #isFrameWatched = false;
  #cancelFrameTimer: () => void = () => undefined;
  #lastReceivedMs: number;

  constructor(options: SessionOptions) {
    const { clock, counters } = options;
    this.#options = options;
    this.#limits = { ...LINE_LIMITS, ...options.limits };
    this.#counters = counters;
    this.#remoteId = options.remoteId;
    this.#decoder = new FrameDecoder(options.framing);
    this.#lastReceivedMs = clock.nowMs();
    this.#multiplexer = new Multiplexer({
      clock,
      counters,
      inFlightMax: this.#limits.inFlightMax,
      queueMax: this.#limits.queueMax,
      onExpired: (sentMs) => {
        if (this.#lastReceivedMs <= sentMs) options.events.onSilence?.();
        this.#wakeWatchers();
      },
    });
    options.transport.listen({
      onBytes: (chunk) => this.#receive(chunk),
      onClose: (fault) => this.#end(lineClosed(fault)),
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** When the peer's last message came; bytes and keep-alives do not count. */
  get lastReceivedMs(): number {
    return this.#lastReceivedMs;
  }

  /** Requests that wait for an answer or for their turn. */
  get load(): number {
    return this.#multiplexer.inFlight + this.#multiplexer.queued;
  }

  /** The owner's counters, and how full this connection is. */
  stats(): LineStats {
    const { inFlight, queued } = this.#multiplexer;
    return { ...this.#counters, inFlight, queued };
  }

  /** From now on the peer must call itself by this institution number. */
  bindRemote(remoteId: string): void {
    this.#remoteId = remoteId;
  }

  /**
   * Sends and waits; `isUrgent` passes the queue. @throws LineError: `ERR_LINE_CLOSED` when the
   * line was lost meanwhile (it may have arrived), `ERR_LINE_REJECTED` when it came back, other
   * codes before anything was sent; Iso8583Error when it cannot be encoded.
   */
  async request(
    message: Iso8583Message,
    options: { readonly timeoutMs: number; readonly isUrgent?: boolean },
  ): Promise<Reply> {
    if (this.#isClosed) {
      throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'the line is closed');
    }
    const frame = this.#encode(message, this.#remoteId);
    return this.#multiplexer.expect(requireMatchKey(message), {
      ...options,
      send: () => this.#send(frame),
    });
  }

  /** Sends an answer now; `request` is what it answers. */
  reply(request: DecodedMessage, message: Iso8583Message): void {
    if (this.#isClosed) {
      this.#options.log({ event: 'lineReplyLost', remoteId: this.#remoteId, mti: message.mti });
      return;
    }
    this.#send(this.#encode(message, request.header.source));
  }

  /** Takes an answer that came by another line of the same institution. */
  adopt(message: DecodedMessage): boolean {
    const key = matchKeyOf(message);
    if (key === null || !this.#multiplexer.awaits(key)) return false;
    return this.#multiplexer.settle(key, message) === 'matched';
  }

  /** Resolves when none of our requests is under way. */
  answered(): Promise<void> {
    return this.#until(() => this.load === 0);
  }

  /** Resolves when nothing is being answered and nothing waited for. */
  drained(): Promise<void> {
    return this.#until(() => this.#answering === 0 && this.load === 0);
  }

  /** Closes the connection; requests in flight end with `ERR_LINE_CLOSED`. */
  close(reason?: LineError): void {
    if (this.#isClosed) return;
    this.#end(reason ?? new LineError('ERR_LINE_CLOSED', 'the line was closed'));
    this.#options.transport.close();
  }

  #encode(message: Iso8583Message, destination: string): Uint8Array {
    const header = { destination, source: this.#options.localId };
    return encodeFrame(encodeMessage(CUPS_DIALECT, header, message), this.#options.framing);
  }

  #send(frame: Uint8Array): void {
    this.#counters.sent += 1;
    this.#options.transport.send(frame);
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isClosed) return;
    const keepAlives = this.#decoder.keepAlives;
    let hasEnded = false;
    try {
      for (const body of this.#decoder.push(chunk)) {
        hasEnded = true;
        this.#lastReceivedMs = this.#options.clock.nowMs();
        this.#counters.received += 1;
        this.#read(body);
        if (this.#isClosed) return;
      }
    } catch (fault) {
      if (!(fault instanceof LineError)) throw fault;
      this.#options.log({ event: 'lineFault', remoteId: this.#remoteId, ...fault.toJSON() });
      this.close(fault);
      return;
    }
    this.#counters.keepAlives += this.#decoder.keepAlives - keepAlives;
    this.#watchFrame(hasEnded);
  }

  /** A frame must end in time, however many of its bytes keep coming. */
  #watchFrame(hasEnded: boolean): void {
    const { clock, frameTimeoutMs = LINE_TIMES.frameTimeoutMs } = this.#options;
    if (this.#decoder.heldBytes === 0) {
      this.#frameSinceMs = null;
      return;
    }
    if (hasEnded || this.#frameSinceMs === null) this.#frameSinceMs = clock.nowMs();
    if (this.#isFrameWatched) return;
    this.#isFrameWatched = true;
    const look = (delayMs: number): void => {
      this.#cancelFrameTimer = clock.startTimer(delayMs, () => {
        const leftMs = (this.#frameSinceMs ?? clock.nowMs()) + frameTimeoutMs - clock.nowMs();
        this.#isFrameWatched = this.#frameSinceMs !== null && leftMs > 0;
        if (this.#isFrameWatched) look(Math.min(leftMs, frameTimeoutMs));
        else if (this.#frameSinceMs !== null) {
          this.close(new LineError('ERR_LINE_FRAME', 'a frame did not end in time'));
        }
      });
    };
    look(frameTimeoutMs);
  }

  /** One unreadable message does not close the line: the frame around it was right. */
  #read(body: Uint8Array): void {
    const { localId, log, events } = this.#options;
    const remoteId = this.#remoteId;
    try {
      const message = decodeMessage(CUPS_DIALECT, body);
      const { source, destination, rejectCode } = message.header;
      if (destination !== localId || (remoteId !== '' && source !== remoteId)) {
        this.#counters.misrouted += 1;
        log({ event: 'lineMisrouted', remoteId, source, destination });
      } else if (!NOT_REJECTED.test(rejectCode)) this.#onRejected(message);
      else if (isRequest(message.mti)) this.#answer(message);
      else this.#settle(message);
      this.#wakeWatchers();
    } catch (fault) {
      if (!(fault instanceof TapError) || fault instanceof LineError) throw fault;
      this.#counters.unreadable += 1;
      log({ event: 'lineMessageRefused', remoteId, ...fault.toJSON() });
      events.onUnreadable?.(fault, body);
    }
  }

  #settle(message: DecodedMessage): void {
    const { log, events } = this.#options;
    const key = matchKeyOf(message);
    const isForeign = key === null || !this.#multiplexer.awaits(key);
    if (isForeign && events.isAdopted?.(message)) return;
    const settled = key === null ? 'unmatched' : this.#multiplexer.settle(key, message);
    if (settled === 'matched') return;
    if (key === null) this.#counters.unmatched += 1;
    const { mti } = message;
    const stan = textField(message, 11);
    log({ event: 'lineLateReply', remoteId: this.#remoteId, mti, stan, settled });
    events.onLateReply(message);
  }

  /** A node sent a message back unprocessed: who waits for its answer waits in vain. */
  #onRejected(message: DecodedMessage): void {
    const { rejectCode } = message.header;
    const text = `the message came back with reject code ${rejectCode}`;
    const fault = new LineError('ERR_LINE_REJECTED', text, { rejectCode });
    const key = matchKeyOf(message);
    const isOurs = key !== null && this.#multiplexer.refuse(key, fault);
    const { mti } = message;
    this.#options.log({ event: 'lineRejected', remoteId: this.#remoteId, mti, rejectCode, isOurs });
  }

  #answer(request: DecodedMessage): void {
    const { log, events } = this.#options;
    if (this.#answering >= this.#limits.answeringMax) {
      this.#counters.overloaded += 1;
      log({ event: 'lineOverload', remoteId: this.#remoteId, mti: request.mti });
      return;
    }
    this.#answering += 1;
    // The owner runs in a turn of its own; its faults are not the reader's.
    Promise.resolve()
      .then(() => events.onRequest(request))
      .then((reply) => {
        if (reply) this.reply(request, reply);
      })
      .catch((fault: unknown) => {
        const { code, message } = errorBody(fault);
        log({ event: 'lineRequestFailed', mti: request.mti, code, message });
      })
      .finally(() => {
        this.#answering -= 1;
        this.#wakeWatchers();
      });
  }

  #until(isReached: () => boolean): Promise<void> {
    if (this.#isClosed || isReached()) return Promise.resolve();
    return new Promise((wake) => this.#watchers.push({ isReached, wake }));
  }

  #wakeWatchers(): void {
    if (this.#watchers.length === 0) return;
    const watchers = this.#watchers;
    this.#watchers = watchers.filter(({ isReached }) => !this.#isClosed && !isReached());
    for (const watcher of watchers) if (!this.#watchers.includes(watcher)) watcher.wake();
  }

  #end(reason: LineError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelFrameTimer();
    this.#multiplexer.failAll(lineClosed(reason));
    this.#wakeWatchers();
    this.#options.events.onClose(reason);
  }
}

function lineClosed(cause: Error | undefined): LineError {
  if (cause instanceof LineError && cause.code === 'ERR_LINE_CLOSED') return cause;
  const text = cause ? `the line was lost: ${cause.message}` : 'the peer closed the line';
  return new LineError('ERR_LINE_CLOSED', text, {}, cause);
}
