/**
 * A member's side of its line to the switch: connects, signs on, receives its working keys, echoes
 * when idle, and starts again with growing pauses when the line is lost. @see Q/CUP 006, 0800/0820
 */
import { bytesToUint, type Clock, errorBody, type RandomSource } from '@tapnpay/protocol/bytes';
import {
  buildNetworkReply,
  buildNetworkRequest,
  type DecodedMessage,
  decodeKeyReset,
  type Iso8583Message,
  messageClass,
  NetworkCode,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { Log } from '../logging.ts';
import { LineError } from './errors.ts';
import { endsWithin, NetworkIdentities } from './identity.ts';
import { importWorkingKey, type LineKeys } from './keys.ts';
import type { Reply } from './multiplexer.ts';
import { LineSession } from './session.ts';
import type { Transport } from './transport.ts';

/** Times of a line; all in milliseconds. */
export type LineTimes = {
  /** Sign-on to both keys. */
  readonly signOnTimeoutMs: number;
  readonly echoTimeoutMs: number;
  /** Silence of the peer before an echo. */
  readonly idleMs: number;
  readonly backOffMinMs: number;
  readonly backOffMaxMs: number;
  /** What a graceful close gives to work under way. */
  readonly closeTimeoutMs: number;
};

export const LINE_TIMES: LineTimes = {
  signOnTimeoutMs: 10_000,
  echoTimeoutMs: 5_000,
  idleMs: 30_000,
  backOffMinMs: 100,
  backOffMaxMs: 15_000,
  closeTimeoutMs: 1_500,
};

/** Key resets of one connection whose copies are known. */
const RESETS_REMEMBERED = 64;

/** `down`: between two connections. `signing`: connected, keys not complete. */
export type LineState = 'down' | 'signing' | 'established' | 'closed';

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
  /** Answers that came after their time-out. */
  readonly onLateReply?: (message: DecodedMessage) => void;
  readonly onState?: (state: LineState) => void;
  readonly times?: Partial<LineTimes>;
};

/** A line that keeps itself up until it is closed. */
export class MemberLine {
  readonly #options: MemberLineOptions;
  readonly #times: LineTimes;
  readonly #identities: NetworkIdentities;
  #state: LineState = 'down';
  #session: LineSession | null = null;
  #keys: LineKeys | null = null;
  /** Trace -> answer of the key resets of this connection. */
  readonly #resetsAnswered: Map<string, string> = new Map();
  #received: { pin?: KeyBlock; mac?: KeyBlock } = {};
  #failures = 0;
  #waiting: (() => void)[] = [];
  #cancelTimer: () => void = () => undefined;

  constructor(options: MemberLineOptions) {
    this.#options = options;
    this.#times = { ...LINE_TIMES, ...options.times };
    this.#identities = new NetworkIdentities(options.clock, options.random, options.localId);
  }

  get state(): LineState {
    return this.#state;
  }

  /** Working keys, or null while the line is not established. */
  keys(): LineKeys | null {
    return this.#state === 'established' ? this.#keys : null;
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
   * @throws LineError `ERR_LINE_CLOSED`: it may have arrived; any other code: it was not sent.
   */
  async request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    if (this.#state !== 'established' || !this.#session) {
      throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'the line to the switch is not established');
    }
    return this.#session.request(message, options);
  }

  /** Lets work under way end, signs off, closes. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    const session = this.#session;
    const wasEstablished = this.#state === 'established';
    this.#setState('closed');
    this.#cancelTimer();
    if (!session || session.isClosed) return;
    const { closeTimeoutMs } = this.#times;
    if (wasEstablished) {
      await endsWithin(this.#options.clock, session.drained(), closeTimeoutMs);
      const signOff = buildNetworkRequest(this.#identities.next(), NetworkCode.signOff);
      await session.request(signOff, { timeoutMs: closeTimeoutMs }).catch(() => 'timeout');
    }
    session.close();
  }

  async #connect(): Promise<void> {
    if (this.#state === 'closed') return;
    try {
      const transport = await this.#options.connect();
      // `close` may have been called while the connection was made.
      if (this.state === 'closed') transport.close();
      else this.#open(transport);
    } catch (fault) {
      this.#options.log({ event: 'lineConnectFailed', ...errorBody(fault) });
      this.#retry();
    }
  }

  #open(transport: Transport): void {
    const { localId, remoteId, clock, log } = this.#options;
    this.#received = {};
    this.#resetsAnswered.clear();
    this.#setState('signing');
    const session = new LineSession({
      transport,
      localId,
      remoteId,
      clock,
      log,
      events: {
        onRequest: (message) => this.#onRequest(session, message),
        onLateReply: (message) => this.#onLateReply(message),
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

  async #signOn(session: LineSession): Promise<void> {
    const message = buildNetworkRequest(this.#identities.next(), NetworkCode.signOn);
    try {
      const reply = await session.request(message, { timeoutMs: this.#times.signOnTimeoutMs });
      if (reply !== 'timeout' && textField(reply, 39) === '00') return;
      const responseCode = reply === 'timeout' ? null : (textField(reply, 39) ?? null);
      const text = 'the switch does not take the sign-on';
      session.close(new LineError('ERR_LINE_SIGN_ON', text, { responseCode }));
    } catch {
      // The line was lost meanwhile; `#onClose` has been told.
    }
  }

  async #onRequest(session: LineSession, message: DecodedMessage): Promise<Iso8583Message | null> {
    if (messageClass(message.mti) !== '8') {
      return this.#options.onRequest?.(message) ?? null;
    }
    const code = textField(message, 70);
    if (code === NetworkCode.echo) return buildNetworkReply(message, '00');
    if (code !== NetworkCode.keyReset) return buildNetworkReply(message, '12');
    return this.#onKeyReset(session, message);
  }

  async #onKeyReset(session: LineSession, message: DecodedMessage): Promise<null> {
    const { hsm, zoneKey, log } = this.#options;
    const reset = decodeKeyReset(message);
    const trace = `${textField(message, 11)}|${textField(message, 7)}`;
    const answered = this.#resetsAnswered.get(trace);
    if (answered !== undefined) {
      // A copy, perhaps from before a newer key: answered again, never taken again.
      session.reply(message, buildNetworkReply(message, answered));
      return null;
    }
    const { keyBlock, responseCode } = await importWorkingKey(hsm, reset, zoneKey);
    log({ event: 'lineKeyReset', which: reset.key, kcv: reset.kcv, responseCode });
    this.#noteReset(trace, responseCode);
    session.reply(message, buildNetworkReply(message, responseCode));
    if (session !== this.#session || session.isClosed) return null;
    if (!keyBlock) {
      session.close(new LineError('ERR_LINE_KEY', 'a working key was refused', { responseCode }));
      return null;
    }
    this.#received = { ...this.#received, [reset.key]: keyBlock };
    const { pin, mac } = this.#received;
    if (pin !== undefined && mac !== undefined) this.#establish(session, { pin, mac });
    return null;
  }

  #noteReset(trace: string, responseCode: string): void {
    const [oldest] = this.#resetsAnswered.keys();
    if (this.#resetsAnswered.size >= RESETS_REMEMBERED && oldest !== undefined) {
      this.#resetsAnswered.delete(oldest);
    }
    this.#resetsAnswered.set(trace, responseCode);
  }

  #establish(session: LineSession, keys: LineKeys): void {
    if (this.#state === 'closed') return;
    this.#keys = keys;
    this.#received = {};
    this.#failures = 0;
    this.#setState('established');
    this.#watch(session);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Echoes when the peer has been silent; a silent peer loses the line. */
  #watch(session: LineSession): void {
    const { clock } = this.#options;
    const silentMs = clock.nowMs() - session.lastReceivedMs;
    this.#startTimer(Math.max(1, this.#times.idleMs - silentMs), () => {
      if (session.isClosed) return;
      if (clock.nowMs() - session.lastReceivedMs < this.#times.idleMs) this.#watch(session);
      else void this.#echo(session);
    });
  }

  async #echo(session: LineSession): Promise<void> {
    const message = buildNetworkRequest(this.#identities.next(), NetworkCode.echo);
    try {
      const reply = await session.request(message, { timeoutMs: this.#times.echoTimeoutMs });
      if (this.#state === 'closed') return;
      if (reply !== 'timeout') this.#watch(session);
      else session.close(new LineError('ERR_LINE_SILENT', 'the switch does not answer an echo'));
    } catch {
      // The line was lost meanwhile; `#onClose` has been told.
    }
  }

  #onLateReply(message: DecodedMessage): void {
    this.#options.log({ event: 'lineLateReply', mti: message.mti, stan: textField(message, 11) });
    this.#options.onLateReply?.(message);
  }

  #onClose(session: LineSession, reason: LineError): void {
    if (session !== this.#session || this.#state === 'closed') return;
    this.#options.log({ event: 'lineLost', ...reason.toJSON() });
    this.#session = null;
    this.#keys = null;
    this.#retry();
  }

  /** Exponential back-off with jitter: half to all of the pause. */
  #retry(): void {
    if (this.#state === 'closed') return;
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
