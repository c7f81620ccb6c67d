/** All lines of a switch, found by the members' institution numbers. */
import type { Clock, RandomSource, TapError } from '@tapnpay/protocol/bytes';
import type { DecodedMessage, Iso8583Message } from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { Log } from '../logging.ts';
import { type LineStats, sumStats } from './counters.ts';
import { LineError } from './errors.ts';
import type { FrameFormat } from './framing.ts';
import { HostLine, type HostLineEvents } from './host-line.ts';
import { HostMember } from './host-member.ts';
import type { LineKeys } from './keys.ts';
import { LINE_TIMES, type LineLimits, type LineTimes } from './limits.ts';
import type { Reply } from './session.ts';
import type { Transport } from './transport.ts';

/** What the lines of a switch stand on; members are named by their institution number. */
export type HostLinesOptions = {
  readonly localId: string;
  /** Zone master key of each member by its institution number. */
  readonly zoneKeys: ReadonlyMap<string, KeyBlock>;
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  /** A financial message of an established member; null is not answered. */
  readonly onRequest: (memberId: string, message: DecodedMessage) => Promise<Iso8583Message | null>;
  /** Answers that nobody waits for (any more), each one once. */
  readonly onLateReply: (memberId: string, message: DecodedMessage) => void;
  /** Messages that could not be read; `memberId` is empty before the sign-on. */
  readonly onUnreadable?: (memberId: string, fault: TapError, body: Uint8Array) => void;
  readonly onEstablished?: (memberId: string) => void;
  readonly times?: Partial<LineTimes>;
  readonly limits?: Partial<LineLimits>;
  readonly framing?: FrameFormat;
};

/** The members' lines. A line that connects anew replaces the older one of its number. */
export class HostLines {
  readonly #options: HostLinesOptions;
  readonly #times: LineTimes;
  readonly #members: ReadonlyMap<string, HostMember>;
  readonly #open = new Set<HostLine>();
  #isClosing = false;

  constructor(options: HostLinesOptions) {
    const { hsm, clock, log, zoneKeys, onEstablished } = options;
    this.#options = options;
    this.#times = { ...LINE_TIMES, ...options.times };
    const member = ([memberId, zoneKey]: readonly [string, KeyBlock]): [string, HostMember] => [
      memberId,
      new HostMember({
        ...{ memberId, zoneKey, hsm, clock, log, times: this.#times },
        onEstablished: () => onEstablished?.(memberId),
      }),
    ];
    this.#members = new Map([...zoneKeys].map(member));
  }

  /** Takes a new connection; who it is comes with its sign-on. */
  accept(transport: Transport): void {
    if (this.#isClosing) {
      transport.close();
      return;
    }
    const { localId, clock, random, log, limits, framing } = this.#options;
    const common = { localId, clock, random, log, limits, framing, times: this.#times };
    const line = new HostLine(transport, { ...common, events: this.#events() });
    if (!line.isClosed) this.#open.add(line);
  }

  /** Working keys of a member, or null while no line of it is established. */
  keys(memberId: string): LineKeys | null {
    return this.#members.get(memberId)?.keys() ?? null;
  }

  /** The keys before the last change while they still hold: for messages already under way. */
  previousKeys(memberId: string): LineKeys | null {
    return this.#members.get(memberId)?.previousKeys() ?? null;
  }

  /** All keys of a member that hold, the current ones first. */
  acceptedKeys(memberId: string): readonly LineKeys[] {
    return this.#members.get(memberId)?.acceptedKeys() ?? [];
  }

  /** The keys that a member's message was made under; as `MemberLine.keysOf`. */
  async keysOf(memberId: string, message: Iso8583Message): Promise<LineKeys | null> {
    return (await this.#members.get(memberId)?.keysOf(message)) ?? null;
  }

  /** Gives a member new working keys on all its lines; faults as of `HostMember.changeKeys`. */
  changeKeys(memberId: string): Promise<void> {
    return this.#member(memberId).changeKeys();
  }

  /** Counters of the open connections, of one member's or of all. */
  stats(memberId?: string): LineStats {
    const lines = [...this.#open].filter((line) => (memberId ?? line.memberId) === line.memberId);
    return sumStats(lines.map((line) => line.stats()));
  }

  /**
   * Sends a request to a member and waits for its answer.
   * @throws LineError `ERR_LINE_CLOSED`, `ERR_LINE_REJECTED`: it may have arrived; any other code:
   *   it was not sent.
   */
  async request(
    memberId: string,
    message: Iso8583Message,
    options: { readonly timeoutMs: number },
  ): Promise<Reply> {
    return this.#member(memberId).request(message, options);
  }

  /** Takes no more connections and requests, lets work under way end, closes every line. */
  async close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#open].map((line) => line.close(options)));
    for (const member of this.#members.values()) member.close();
  }

  #member(memberId: string): HostMember {
    const member = this.#members.get(memberId);
    if (member) return member;
    throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'no member', { memberId });
  }

  #events(): HostLineEvents {
    const { onLateReply, onUnreadable } = this.#options;
    const memberOf = (line: HostLine): HostMember | undefined => this.#members.get(line.memberId);
    return {
      isMember: (memberId) => this.#members.has(memberId),
      onSignOn: (line) => memberOf(line)?.signOn(line),
      onRequest: (line, message) => this.#onRequest(line, message),
      onLateReply: (line, message) => onLateReply(line.memberId, message),
      isAdopted: (line, message) => memberOf(line)?.isAdopted(message, line) ?? false,
      onUnreadable: (line, fault, body) => onUnreadable?.(line.memberId, fault, body),
      onClosed: (line) => {
        this.#open.delete(line);
        memberOf(line)?.remove(line);
      },
    };
  }

  async #onRequest(line: HostLine, message: DecodedMessage): Promise<Iso8583Message | null> {
    const { memberId } = line;
    const member = this.#members.get(memberId);
    // Requests may overtake the end of the key exchange that allows them.
    await member?.settledKeys(message);
    if (member?.lines.includes(line)) return this.#options.onRequest(memberId, message);
    this.#options.log({ event: 'lineNotEstablished', memberId, mti: message.mti });
    return null;
  }
}
