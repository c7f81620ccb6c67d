/** The switch's side of a line: takes the sign-on of a member and gives it its working keys. */
import { type Clock, errorBody, type RandomSource } from '@tapnpay/protocol/bytes';
import {
  buildKeyReset,
  buildNetworkReply,
  type DecodedMessage,
  type Iso8583Message,
  messageClass,
  NetworkCode,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { Log } from '../logging.ts';
import { LineError } from './errors.ts';
import { endsWithin, NetworkIdentities } from './identity.ts';
import { type LineKeys, makeWorkingKey } from './keys.ts';
import { LINE_TIMES, type LineTimes } from './member-line.ts';
import type { Reply } from './multiplexer.ts';
import { LineSession } from './session.ts';
import type { Transport } from './transport.ts';

/** Idle times of a member after which its line is taken for dead. */
const SILENT_IDLES = 3;
/** Field 39 of a sign-on by an institution that is no member. */
const RESPONSE_92_UNKNOWN_INSTITUTION = '92';

/** What a host line stands on. */
export type HostLineOptions = {
  readonly localId: string;
  /** Zone master key of each member by its institution number. */
  readonly zoneKeys: ReadonlyMap<string, KeyBlock>;
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  /** Financial messages of an established member; null is not answered. */
  readonly onRequest: (line: HostLine, message: DecodedMessage) => Promise<Iso8583Message | null>;
  readonly onLateReply: (line: HostLine, message: DecodedMessage) => void;
  readonly onEstablished?: (line: HostLine) => void;
  readonly onClosed?: (line: HostLine) => void;
  readonly times?: Partial<LineTimes>;
};

/** One member's connection. */
export class HostLine {
  readonly #options: HostLineOptions;
  readonly #times: LineTimes;
  readonly #session: LineSession;
  readonly #identities: NetworkIdentities;
  #memberId = '';
  #keys: LineKeys | null = null;
  #previousKeys: LineKeys | null = null;
  /** Ends with the key exchange under way, well or badly. */
  #exchange: Promise<void> = Promise.resolve();
  #cancelTimer: () => void = () => undefined;

  constructor(transport: Transport, options: HostLineOptions) {
    this.#options = options;
    this.#times = { ...LINE_TIMES, ...options.times };
    const { localId, clock, random, log } = options;
    this.#identities = new NetworkIdentities(clock, random, localId);
    this.#session = new LineSession({
      transport,
      localId,
      remoteId: '',
      clock,
      log,
      events: {
        onRequest: (message) => this.#onRequest(message),
        onLateReply: (message) => options.onLateReply(this, message),
        onClose: (reason) => this.#onClose(reason),
      },
    });
    this.#watch(this.#times.signOnTimeoutMs);
  }

  /** Institution number, empty before the sign-on. */
  get memberId(): string {
    return this.#memberId;
  }

  get isClosed(): boolean {
    return this.#session.isClosed;
  }

  /** Working keys, or null while the line is not established. */
  keys(): LineKeys | null {
    return this.#session.isClosed ? null : this.#keys;
  }

  /** The keys before the last exchange on this connection. */
  previousKeys(): LineKeys | null {
    return this.#session.isClosed ? null : this.#previousKeys;
  }

  /** Sends and waits; faults as of `MemberLine.request`. */
  async request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    if (!this.keys()) {
      throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'the line of the member is not established');
    }
    return this.#session.request(message, options);
  }

  /** Lets work under way end, then closes. */
  async close(): Promise<void> {
    await endsWithin(this.#options.clock, this.#session.drained(), this.#times.closeTimeoutMs);
    this.#session.close();
  }

  async #onRequest(message: DecodedMessage): Promise<Iso8583Message | null> {
    if (messageClass(message.mti) === '8') return this.#onNetwork(message);
    // Requests may overtake the end of the key exchange that allows them.
    await this.#exchange;
    if (this.keys()) return this.#options.onRequest(this, message);
    const memberId = this.#memberId;
    this.#options.log({ event: 'lineNotEstablished', memberId, mti: message.mti });
    return null;
  }

  #onNetwork(message: DecodedMessage): Iso8583Message | null {
    switch (textField(message, 70)) {
      case NetworkCode.signOn:
        return this.#onSignOn(message);
      case NetworkCode.signOff:
        this.#keys = null;
        return buildNetworkReply(message, '00');
      case NetworkCode.echo:
        return buildNetworkReply(message, '00');
      default:
        return buildNetworkReply(message, '12');
    }
  }

  #onSignOn(message: DecodedMessage): null {
    const memberId = textField(message, 33) ?? '';
    const zoneKey = this.#options.zoneKeys.get(memberId);
    const isSame = this.#memberId === '' || this.#memberId === memberId;
    if (zoneKey === undefined || message.header.source !== memberId || !isSame) {
      const reply = buildNetworkReply(message, RESPONSE_92_UNKNOWN_INSTITUTION);
      this.#session.reply(message, reply);
      this.#session.close(new LineError('ERR_LINE_SIGN_ON', 'no member', { memberId }));
      return null;
    }
    this.#memberId = memberId;
    this.#session.bindRemote(memberId);
    this.#session.reply(message, buildNetworkReply(message, '00'));
    this.#exchange = this.#exchange.then(() => this.#giveKeys(zoneKey));
    return null;
  }

  async #giveKeys(zoneKey: KeyBlock): Promise<void> {
    try {
      const pin = await this.#giveKey('pin', zoneKey);
      const mac = await this.#giveKey('mac', zoneKey);
      if (this.#session.isClosed) return;
      this.#previousKeys = this.#keys;
      this.#keys = { pin, mac };
      this.#options.log({ event: 'lineEstablished', memberId: this.#memberId });
      this.#options.onEstablished?.(this);
    } catch (fault) {
      const { code, message } = errorBody(fault);
      this.#options.log({ event: 'lineKeyFailed', memberId: this.#memberId, code, message });
      this.#session.close(new LineError('ERR_LINE_KEY', 'the key exchange failed', {}, fault));
    }
  }

  async #giveKey(key: 'pin' | 'mac', zoneKey: KeyBlock): Promise<KeyBlock> {
    const { keyBlock, reset } = await makeWorkingKey(this.#options.hsm, key, zoneKey);
    const message = buildKeyReset(this.#identities.next(), reset);
    const reply = await this.#session.request(message, { timeoutMs: this.#times.signOnTimeoutMs });
    const responseCode = reply === 'timeout' ? null : (textField(reply, 39) ?? null);
    if (responseCode === '00') return keyBlock;
    throw new LineError('ERR_LINE_KEY', `the member refused its ${key} key`, { responseCode });
  }

  /** A member that says nothing, not even an echo, has gone. */
  #watch(delayMs: number): void {
    const { clock } = this.#options;
    this.#cancelTimer = clock.startTimer(delayMs, () => {
      if (this.#session.isClosed) return;
      const limitMs = SILENT_IDLES * this.#times.idleMs;
      const silentMs = clock.nowMs() - this.#session.lastReceivedMs;
      if (this.#memberId === '') {
        this.#session.close(new LineError('ERR_LINE_SIGN_ON', 'no sign-on came in time'));
      } else if (silentMs >= limitMs) {
        this.#session.close(new LineError('ERR_LINE_SILENT', 'the member is silent'));
      } else {
        this.#watch(limitMs - silentMs);
      }
    });
  }

  #onClose(reason: LineError): void {
    this.#cancelTimer();
    this.#keys = null;
    this.#previousKeys = null;
    const { log, onClosed } = this.#options;
    log({ event: 'lineClosed', memberId: this.#memberId, ...reason.toJSON() });
    onClosed?.(this);
  }
}
