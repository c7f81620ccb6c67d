/** One connection of a line: frames, messages, matching; what is said in it is the owner's. */
import { type Clock, errorBody, TapError } from '@tapnpay/protocol/bytes';
import {
  CUPS_DIALECT,
  type DecodedMessage,
  decodeMessage,
  encodeMessage,
  type Iso8583Message,
  isRequest,
} from '@tapnpay/protocol/iso8583';
import type { Log } from '../logging.ts';
import { LineError } from './errors.ts';
import { encodeFrame, FrameDecoder } from './framing.ts';
import { Multiplexer, type Reply } from './multiplexer.ts';
import type { Transport } from './transport.ts';

/** Requests of the peer that are being answered at once. */
export const ANSWERING_MAX = 1_024;
/** How long a peer may take for one frame. */
const FRAME_TIMEOUT_MS = 10_000;

/** Who owns a session and hears from it. */
export type SessionEvents = {
  /** Answers a request of the peer; null when there is nothing to answer. */
  readonly onRequest: (message: DecodedMessage) => Promise<Iso8583Message | null>;
  /** An answer that nobody waits for (any more). */
  readonly onLateReply: (message: DecodedMessage) => void;
  readonly onClose: (reason: LineError) => void;
};

/** A connection between two institutions. */
export class LineSession {
  readonly #transport: Transport;
  readonly #localId: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #events: SessionEvents;
  readonly #multiplexer: Multiplexer;
  readonly #decoder = new FrameDecoder();
  #remoteId: string;
  #answering = 0;
  #idle: (() => void)[] = [];
  #isClosed = false;
  #cancelFrameTimer: () => void = () => undefined;
  #lastReceivedMs: number;

  constructor(options: {
    readonly transport: Transport;
    readonly localId: string;
    /** Empty until it is known; until then every source is taken. */
    readonly remoteId: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly events: SessionEvents;
  }) {
    this.#transport = options.transport;
    this.#localId = options.localId;
    this.#remoteId = options.remoteId;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#events = options.events;
    this.#multiplexer = new Multiplexer(options.clock);
    this.#lastReceivedMs = options.clock.nowMs();
    options.transport.listen({
      onBytes: (chunk) => this.#receive(chunk),
      onClose: (fault) => this.#end(lineClosed(fault)),
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** When the peer was last heard. */
  get lastReceivedMs(): number {
    return this.#lastReceivedMs;
  }

  /** From now on the peer must call itself by this institution number. */
  bindRemote(remoteId: string): void {
    this.#remoteId = remoteId;
  }

  /**
   * Sends and waits. @throws LineError: `ERR_LINE_CLOSED` when the line was lost meanwhile (it may
   * have arrived), other codes before anything was sent; Iso8583Error when it cannot be encoded.
   */
  async request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    if (this.#isClosed) {
      throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'the line is closed');
    }
    const frame = this.#encode(message, this.#remoteId);
    const reply = this.#multiplexer.expect(message, options.timeoutMs);
    this.#transport.send(frame);
    return reply;
  }

  /** Sends an answer now; `request` is what it answers. */
  reply(request: DecodedMessage, message: Iso8583Message): void {
    if (this.#isClosed) {
      this.#log({ event: 'lineReplyLost', remoteId: this.#remoteId, mti: message.mti });
      return;
    }
    this.#transport.send(this.#encode(message, request.header.source));
  }

  /** Resolves when nothing is being answered and nothing waited for. */
  drained(): Promise<void> {
    if (this.#answering === 0 && this.#multiplexer.inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Closes the connection; requests in flight end with `ERR_LINE_CLOSED`. */
  close(reason?: LineError): void {
    if (this.#isClosed) return;
    this.#end(reason ?? new LineError('ERR_LINE_CLOSED', 'the line was closed'));
    this.#transport.close();
  }

  #encode(message: Iso8583Message, destination: string): Uint8Array {
    const header = { destination, source: this.#localId };
    return encodeFrame(encodeMessage(CUPS_DIALECT, header, message));
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isClosed) return;
    this.#lastReceivedMs = this.#clock.nowMs();
    this.#cancelFrameTimer();
    try {
      for (const body of this.#decoder.push(chunk)) {
        this.#read(body);
        if (this.#isClosed) return;
      }
    } catch (fault) {
      if (!(fault instanceof LineError)) throw fault;
      this.#log({ event: 'lineFault', remoteId: this.#remoteId, ...fault.toJSON() });
      this.close(fault);
      return;
    }
    if (this.#decoder.heldBytes === 0) return;
    this.#cancelFrameTimer = this.#clock.startTimer(FRAME_TIMEOUT_MS, () => {
      this.close(new LineError('ERR_LINE_FRAME', 'a frame did not end in time'));
    });
  }

  /** One unreadable message does not close the line: the frame around it was right. */
  #read(body: Uint8Array): void {
    try {
      const message = decodeMessage(CUPS_DIALECT, body);
      const { source, destination } = message.header;
      const isOurs = destination === this.#localId;
      if (!isOurs || (this.#remoteId !== '' && source !== this.#remoteId)) {
        this.#log({ event: 'lineMisrouted', remoteId: this.#remoteId, source, destination });
        return;
      }
      if (isRequest(message.mti)) this.#answer(message);
      else if (!this.#multiplexer.settle(message)) this.#events.onLateReply(message);
      this.#wakeIdle();
    } catch (fault) {
      if (!(fault instanceof TapError) || fault instanceof LineError) throw fault;
      this.#log({ event: 'lineMessageRefused', remoteId: this.#remoteId, ...fault.toJSON() });
    }
  }

  #answer(request: DecodedMessage): void {
    if (this.#answering >= ANSWERING_MAX) {
      this.#log({ event: 'lineOverload', remoteId: this.#remoteId, mti: request.mti });
      return;
    }
    this.#answering += 1;
    // The owner runs in a turn of its own; its faults are not the reader's.
    Promise.resolve()
      .then(() => this.#events.onRequest(request))
      .then((reply) => {
        if (reply) this.reply(request, reply);
      })
      .catch((fault: unknown) => {
        const { code, message } = errorBody(fault);
        this.#log({ event: 'lineRequestFailed', mti: request.mti, code, message });
      })
      .finally(() => {
        this.#answering -= 1;
        this.#wakeIdle();
      });
  }

  #wakeIdle(): void {
    if (this.#idle.length === 0) return;
    if (!this.#isClosed && (this.#answering > 0 || this.#multiplexer.inFlight > 0)) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }

  #end(reason: LineError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelFrameTimer();
    this.#multiplexer.failAll(lineClosed(reason));
    this.#wakeIdle();
    this.#events.onClose(reason);
  }
}

function lineClosed(cause: Error | undefined): LineError {
  if (cause instanceof LineError && cause.code === 'ERR_LINE_CLOSED') return cause;
  const text = cause ? `the line was lost: ${cause.message}` : 'the peer closed the line';
  return new LineError('ERR_LINE_CLOSED', text, {}, cause);
}
