/** The switch's end of one connection: takes a sign-on, gives keys, hears requests. */
import type { Clock, RandomSource, TapError } from '@tapnpay/protocol/bytes';
import {
  buildKeyReset,
  buildNetworkReply,
  buildNetworkRequest,
  type DecodedMessage,
  type Iso8583Message,
  type KeyReset,
  messageClass,
  NetworkCode,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { Log } from '../logging.ts';
import { type LineCounters, type LineStats, newCounters } from './counters.ts';
import { LineError } from './errors.ts';
import type { FrameFormat } from './framing.ts';
import { Heartbeat } from './heartbeat.ts';
import { endsWithin, NetworkIdentities } from './identity.ts';
import type { LineLimits, LineTimes } from './limits.ts';
import { lineNumberOf } from './line-number.ts';
import { LineSession, type Reply } from './session.ts';
import type { Transport } from './transport.ts';

/** Field 39 of a sign-on by an institution that is no member. */
const RESPONSE_92_UNKNOWN_INSTITUTION = '92';

/** Who owns a connection and hears from it. */
export type HostLineEvents = {
  /** Whether the institution is a member whose sign-on is taken. */
  readonly isMember: (memberId: string) => boolean;
  /** A sign-on was accepted and answered; keys follow. */
  readonly onSignOn: (line: HostLine) => void;
  /** Requests other than network management; null is not answered. */
  readonly onRequest: (line: HostLine, message: DecodedMessage) => Promise<Iso8583Message | null>;
  readonly onLateReply: (line: HostLine, message: DecodedMessage) => void;
  readonly isAdopted: (line: HostLine, message: DecodedMessage) => boolean;
  readonly onUnreadable: (line: HostLine, fault: TapError, body: Uint8Array) => void;
  readonly onClosed: (line: HostLine) => void;
};

/** What a connection stands on. */
export type HostLineOptions = {
  readonly localId: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  readonly times: LineTimes;
  readonly limits?: Partial<LineLimits> | undefined;
  readonly framing?: FrameFormat | undefined;
  readonly events: HostLineEvents;
};

/** One member's connection. */
export class HostLine {
  readonly #options: HostLineOptions;
  readonly #session: LineSession;
  readonly #heartbeat: Heartbeat;
  readonly #identities: NetworkIdentities;
  readonly #counters: LineCounters = newCounters();
  #memberId = '';
  #lineNumber = 1;
  /** The member has signed off, or we have. */
  #isLeaving = false;
  #cancelTimer: () => void = () => undefined;

  constructor(transport: Transport, options: HostLineOptions) {
    this.#options = options;
    const { localId, clock, random, log, limits, framing, times, events } = options;
    this.#identities = new NetworkIdentities(clock, random, localId);
    this.#session = new LineSession({
      ...{ transport, localId, remoteId: '', clock, log, limits, framing },
      counters: this.#counters,
      frameTimeoutMs: times.frameTimeoutMs,
      events: {
        onRequest: (message) => this.#onRequest(message),
        onLateReply: (message) => events.onLateReply(this, message),
        isAdopted: (message) => events.isAdopted(this, message),
        onUnreadable: (fault, body) => events.onUnreadable(this, fault, body),
        onSilence: () => this.#heartbeat.probe(),
        onClose: (reason) => this.#onClose(reason),
      },
    });
    const identities = this.#identities;
    this.#heartbeat = new Heartbeat({ session: this.#session, clock, identities, times });
    this.#cancelTimer = clock.startTimer(times.signOnTimeoutMs, () => {
      if (this.#memberId !== '') return;
      this.#session.close(new LineError('ERR_LINE_SIGN_ON', 'no sign-on came in time'));
    });
  }

  /** Institution number, empty before the sign-on. */
  get memberId(): string {
    return this.#memberId;
  }

  /** Which of the member's lines it is. */
  get lineNumber(): number {
    return this.#lineNumber;
  }

  get isClosed(): boolean {
    return this.#session.isClosed;
  }

  /** Whether new requests may be sent, once it has keys. */
  get isUsable(): boolean {
    return !this.#session.isClosed && !this.#isLeaving;
  }

  /** Requests in flight and waiting. */
  get load(): number {
    return this.#session.load;
  }

  stats(): LineStats {
    return this.#session.stats();
  }

  /** Sends and waits; faults as of `MemberLine.request`. */
  async request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    if (this.isUsable) return this.#session.request(message, options);
    throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'the member has signed off');
  }

  /** Takes an answer that came by another line of the member. */
  adopt(message: DecodedMessage): boolean {
    return this.#session.adopt(message);
  }

  /**
   * Brings both keys to the member. @throws LineError `ERR_LINE_KEY` with the `responseCode` of a
   * refusal, null when the answer did not come and the member may have taken the key;
   * `ERR_LINE_CLOSED`.
   */
  async giveKeys(resets: readonly KeyReset[]): Promise<void> {
    const { signOnTimeoutMs: timeoutMs } = this.#options.times;
    for (const reset of resets) {
      const message = buildKeyReset(this.#identities.next(), reset);
      const reply = await this.#session.request(message, { timeoutMs, isUrgent: true });
      const responseCode = reply === 'timeout' ? null : (textField(reply, 39) ?? null);
      if (responseCode === '00') continue;
      const text = `the member did not take its ${reset.key} key`;
      throw new LineError('ERR_LINE_KEY', text, { responseCode });
    }
    this.#heartbeat.start();
  }

  /** Closes at once; requests in flight end with `ERR_LINE_CLOSED`. */
  abort(reason: LineError): void {
    this.#session.close(reason);
  }

  /** Takes no new requests and tells the member so, lets work under way end, closes. */
  async close(options: { readonly drainMs?: number } = {}): Promise<void> {
    const { clock, times } = this.#options;
    const { drainMs = times.closeTimeoutMs } = options;
    if (!this.#session.isClosed && this.#memberId !== '' && !this.#isLeaving) {
      this.#isLeaving = true;
      const signOff = buildNetworkRequest(this.#identities.next(), NetworkCode.signOff);
      const timeoutMs = Math.max(1, drainMs);
      await this.#session.request(signOff, { timeoutMs, isUrgent: true }).catch(() => 'timeout');
    }
    await endsWithin(clock, this.#session.drained(), drainMs);
    this.#session.close();
  }

  async #onRequest(message: DecodedMessage): Promise<Iso8583Message | null> {
    if (messageClass(message.mti) !== '8') return this.#options.events.onRequest(this, message);
    switch (textField(message, 70)) {
      case NetworkCode.signOn:
        return this.#onSignOn(message);
      case NetworkCode.signOff:
        this.#isLeaving = true;
        return buildNetworkReply(message, '00');
      case NetworkCode.echo:
        return buildNetworkReply(message, '00');
      default:
        return buildNetworkReply(message, '12');
    }
  }

  #onSignOn(message: DecodedMessage): null {
    const { events } = this.#options;
    const memberId = textField(message, 33) ?? '';
    const lineNumber = lineNumberOf(message);
    const isSame = this.#memberId === '' || this.#memberId === memberId;
    const isMember = message.header.source === memberId && events.isMember(memberId);
    if (!isMember || !isSame || lineNumber === null) {
      const reply = buildNetworkReply(message, RESPONSE_92_UNKNOWN_INSTITUTION);
      this.#session.reply(message, reply);
      this.#session.close(new LineError('ERR_LINE_SIGN_ON', 'no member', { memberId }));
      return null;
    }
    this.#memberId = memberId;
    this.#lineNumber = lineNumber;
    this.#isLeaving = false;
    this.#session.bindRemote(memberId);
    this.#session.reply(message, buildNetworkReply(message, '00'));
    events.onSignOn(this);
    return null;
  }

  #onClose(reason: LineError): void {
    this.#cancelTimer();
    this.#heartbeat?.stop();
    const { log, events } = this.#options;
    log({ event: 'lineClosed', memberId: this.#memberId, ...reason.toJSON() });
    events.onClosed(this);
  }
}
