/**
 * A member's side of its line to the switch: connects, signs on, receives its working keys, echoes
 * when idle, and starts again with growing pauses when the line is lost. @see Q/CUP 006, 0800/0820
 */
import {
  bytesToUint,
  type Clock,
  errorBody,
  type RandomSource,
  type TapError,
} from '@tapnpay/protocol/bytes';
import {
  buildNetworkReply,
  buildNetworkRequest,
  DE_48_ADDITIONAL_DATA,
  type DecodedMessage,
  type Iso8583Message,
  messageClass,
  NetworkCode,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { Log } from '../logging.ts';
import { type LineCounters, type LineStats, newCounters } from './counters.ts';
import { LineError } from './errors.ts';
import type { FrameFormat } from './framing.ts';
import { Heartbeat } from './heartbeat.ts';
import { endsWithin, NetworkIdentities } from './identity.ts';
import { KeyReceiver } from './key-receiver.ts';
import { KeyRing } from './key-ring.ts';
import { keysOfMessage, type LineKeys } from './keys.ts';
import { LINE_TIMES, type LineLimits, type LineTimes } from './limits.ts';
import { lineNumberText } from './line-number.ts';
import { MacAlarm, saysWrongMac } from './mac-alarm.ts';
import { LineSession, type Reply } from './session.ts';
import type { Transport } from './transport.ts';

/**
 * `down`: between two connections. `signing`: connected, keys not complete. `draining`: no new
 * requests any more, those under way end.
 */
export type LineState = 'down' | 'signing' | 'established' | 'draining' | 'closed';

/** What a member's line stands on. */
export type MemberLineOptions = {
  /** Own institution number and the switch's. */
  readonly localId: string;
  readonly remoteId: string;
  readonly zoneKey: KeyBlock;
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  readonly connect: () => Promise<Transport>;
  /** Requests of the switch, other than network management; null is not answered. */
  readonly onRequest?: (message: DecodedMessage) => Promise<Iso8583Message | null>;
  /** Answers that nobody waits for (any more), each one once. */
  readonly onLateReply?: (message: DecodedMessage) => void;
  /** Messages that could not be read. */
  readonly onUnreadable?: (fault: TapError, body: Uint8Array) => void;
  readonly onState?: (state: LineState) => void;
  readonly times?: Partial<LineTimes>;
  readonly limits?: Partial<LineLimits>;
  readonly framing?: FrameFormat;
};

/** What the lines of one set share. */
export type SharedByLines = {
  /** Which line of its set it is, from 1. */
  readonly lineNumber: number;
  readonly ring: KeyRing;
  readonly alarm: MacAlarm;
  /** Offers an answer to the other lines. */
  readonly isAdopted: (message: DecodedMessage) => boolean;
};

/** A line that keeps itself up until it is closed. */
export class MemberLine {
  readonly #options: MemberLineOptions;
  readonly #times: LineTimes;
  readonly #identities: NetworkIdentities;
  readonly #counters: LineCounters = newCounters();
  readonly #shared: SharedByLines;
  #state: LineState = 'down';
  #session: LineSession | null = null;
  #heartbeat: Heartbeat | null = null;
  #closing: Promise<void> | null = null;
  #failures = 0;
  #waiting: (() => void)[] = [];
  #cancelTimer: () => void = () => undefined;

  constructor(options: MemberLineOptions, shared?: SharedByLines) {
    this.#options = options;
    this.#times = { ...LINE_TIMES, ...options.times };
    const { clock, random, localId } = options;
    this.#identities = new NetworkIdentities(clock, random, localId);
    this.#shared = shared ?? {
      lineNumber: 1,
      ring: new KeyRing(clock, this.#times.oldKeysMs),
      alarm: new MacAlarm(clock, this.#times),
      isAdopted: () => false,
    };
  }

  get state(): LineState {
    return this.#state;
  }

  /** Requests in flight and waiting. */
  get load(): number {
    return this.#session?.load ?? 0;
  }

  /** Working keys, or null while the line is not established. */
  keys(): LineKeys | null {
    return this.#isUp() ? this.#shared.ring.current : null;
  }

  /** The keys before the last exchange while they still hold: for messages under way meanwhile. */
  previousKeys(): LineKeys | null {
    return this.#isUp() ? this.#shared.ring.previous : null;
  }

  /** All keys that hold, the current ones first. */
  acceptedKeys(): readonly LineKeys[] {
    return this.#isUp() ? this.#shared.ring.accepted : [];
  }

  /**
   * The keys that a message was made under: the current ones unless older ones hold and made its
   * MAC. Null while the line is not established. @throws TapError of the HSM.
   */
  async keysOf(message: Iso8583Message): Promise<LineKeys | null> {
    const accepted = this.acceptedKeys();
    if (accepted.length < 2) return accepted[0] ?? null;
    const found = await keysOfMessage(this.#options.hsm, accepted, message);
    return found ?? this.keys();
  }

  /** Counters since the beginning, and how full the line is now. */
  stats(): LineStats {
    return this.#session?.stats() ?? { ...this.#counters, inFlight: 0, queued: 0 };
  }

  /** Begins to connect; returns at once. */
  start(): void {
    void this.#connect();
  }

  /** Resolves when the line is next established (or at once); rejects never. */
  established(): Promise<void> {
    if (this.#state === 'established') return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Sends a request and waits for its answer.
   * @throws LineError `ERR_LINE_CLOSED`, `ERR_LINE_REJECTED`: it may have arrived; any other code:
   *   it was not sent.
   */
  async request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    const session = this.#session;
    if (this.#state !== 'established' || !session) {
      throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'the line to the switch is not established');
    }
    const { ring, alarm } = this.#shared;
    const keys = ring.current;
    const reply = await session.request(message, options);
    const isOurFault = saysWrongMac(reply) && keys === ring.current;
    if (isOurFault && session === this.#session && alarm.isDue()) {
      this.#options.log({ event: 'lineMacRefused', stan: textField(message, 11) });
      void this.#signOn(session);
    }
    return reply;
  }

  /** Takes an answer that came by another line of the set. */
  adopt(message: DecodedMessage): boolean {
    return this.#session?.adopt(message) ?? false;
  }

  /** Takes no new requests, lets those under way end, signs off, answers the rest, closes. */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close(options: { readonly drainMs?: number }): Promise<void> {
    const { clock } = this.#options;
    const { drainMs = this.#times.closeTimeoutMs } = options;
    const session = this.#session;
    this.#cancelTimer();
    if (session && !session.isClosed && this.#isUp()) {
      this.#setState('draining');
      await endsWithin(clock, session.answered(), drainMs);
      const signOff = buildNetworkRequest(this.#identities.next(), NetworkCode.signOff);
      const timeoutMs = this.#times.closeTimeoutMs;
      await session.request(signOff, { timeoutMs, isUrgent: true }).catch(() => 'timeout');
      await endsWithin(clock, session.drained(), drainMs);
    }
    this.#setState('closed');
    this.#heartbeat?.stop();
    this.#shared.ring.clear();
    session?.close();
  }

  get #isClosing(): boolean {
    return this.#closing !== null;
  }

  #isUp(): boolean {
    return this.#state === 'established' || this.#state === 'draining';
  }

  async #connect(): Promise<void> {
    if (this.#isClosing) return;
    try {
      const transport = await this.#options.connect();
      // `close` may have been called while the connection was made.
      if (this.#isClosing) transport.close();
      else this.#open(transport);
    } catch (fault) {
      this.#options.log({ event: 'lineConnectFailed', ...errorBody(fault) });
      this.#retry();
    }
  }

  #open(transport: Transport): void {
    const { localId, remoteId, clock, log, framing, limits, onUnreadable } = this.#options;
    this.#setState('signing');
    const receiver = this.#receiver();
    const session = new LineSession({
      ...{ transport, localId, remoteId, clock, log, framing, limits, counters: this.#counters },
      frameTimeoutMs: this.#times.frameTimeoutMs,
      events: {
        onRequest: (message) => this.#onRequest(session, receiver, message),
        onLateReply: (message) => this.#options.onLateReply?.(message),
        isAdopted: this.#shared.isAdopted,
        onUnreadable: (fault, body) => onUnreadable?.(fault, body),
        onSilence: () => this.#heartbeat?.probe(),
        onClose: (reason) => this.#onClose(session, reason),
      },
    });
    this.#session = session;
    if (session.isClosed) {
      this.#onClose(session, new LineError('ERR_LINE_CLOSED', 'the peer closed the line at once'));
      return;
    }
    this.#startTimer(this.#times.signOnTimeoutMs, () => {
      session.close(new LineError('ERR_LINE_SIGN_ON', 'no keys came in time'));
    });
    void this.#signOn(session);
  }

  #receiver(): KeyReceiver {
    const { hsm, zoneKey, log } = this.#options;
    return new KeyReceiver({ hsm, zoneKey, log });
  }

  async #signOn(session: LineSession): Promise<void> {
    const message = withFields(buildNetworkRequest(this.#identities.next(), NetworkCode.signOn), [
      [DE_48_ADDITIONAL_DATA, lineNumberText(this.#shared.lineNumber)],
    ]);
    const { signOnTimeoutMs: timeoutMs } = this.#times;
    try {
      const reply = await session.request(message, { timeoutMs, isUrgent: true });
      if (reply !== 'timeout' && textField(reply, 39) === '00') return;
      const responseCode = reply === 'timeout' ? null : (textField(reply, 39) ?? null);
      const text = 'the switch does not take the sign-on';
      session.close(new LineError('ERR_LINE_SIGN_ON', text, { responseCode }));
    } catch {
      // The line was lost meanwhile; `#onClose` has been told.
    }
  }

  async #onRequest(
    session: LineSession,
    receiver: KeyReceiver,
    message: DecodedMessage,
  ): Promise<Iso8583Message | null> {
    if (messageClass(message.mti) !== '8') {
      return this.#options.onRequest?.(message) ?? null;
    }
    switch (textField(message, 70)) {
      case NetworkCode.echo:
        return buildNetworkReply(message, '00');
      case NetworkCode.keyReset:
        return this.#onKeyReset(session, receiver, message);
      case NetworkCode.signOff:
        this.#onSignOff(session);
        return buildNetworkReply(message, '00');
      default:
        return buildNetworkReply(message, '12');
    }
  }

  async #onKeyReset(
    session: LineSession,
    receiver: KeyReceiver,
    message: DecodedMessage,
  ): Promise<null> {
    const { responseCode, complete } = await receiver.take(message);
    session.reply(message, buildNetworkReply(message, responseCode));
    if (session !== this.#session || session.isClosed) return null;
    if (complete) {
      this.#shared.ring.use(complete.keys, complete.id);
      this.#establish(session);
    } else if (responseCode !== '00' && !this.#isUp()) {
      session.close(new LineError('ERR_LINE_KEY', 'a working key was refused', { responseCode }));
    }
    return null;
  }

  /** The switch takes no new requests: it will close the line when those under way have ended. */
  #onSignOff(session: LineSession): void {
    if (this.#state !== 'established') return;
    this.#setState('draining');
    this.#startTimer(this.#times.signOnTimeoutMs, () => session.close());
  }

  #establish(session: LineSession): void {
    if (this.#state !== 'signing') return;
    const { clock } = this.#options;
    this.#cancelTimer();
    this.#failures = 0;
    const heart = { session, clock, identities: this.#identities, times: this.#times };
    this.#heartbeat = new Heartbeat(heart);
    this.#heartbeat.start();
    this.#setState('established');
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #onClose(session: LineSession, reason: LineError): void {
    if (session !== this.#session || this.#isClosing) return;
    this.#options.log({ event: 'lineLost', ...reason.toJSON() });
    this.#session = null;
    this.#heartbeat?.stop();
    this.#heartbeat = null;
    this.#retry();
  }

  /** Exponential back-off with jitter: half to all of the pause. */
  #retry(): void {
    if (this.#isClosing) return;
    this.#setState('down');
    const { backOffMinMs, backOffMaxMs } = this.#times;
    const pauseMs = Math.min(backOffMaxMs, backOffMinMs * 2 ** Math.min(this.#failures, 16));
    const jitter = bytesToUint(this.#options.random.bytes(2)) / 0xffff;
    this.#failures += 1;
    this.#startTimer(Math.round((pauseMs / 2) * (1 + jitter)), () => void this.#connect());
  }

  #startTimer(delayMs: number, action: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.startTimer(delayMs, action);
  }

  #setState(state: LineState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState?.(state);
  }
}
