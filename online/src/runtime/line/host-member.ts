/** One member at the switch: its lines, its working keys and their changes. */
import { type Clock, errorBody } from '@tapnpay/protocol/bytes';
import type { DecodedMessage, Iso8583Message } from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { Log } from '../logging.ts';
import { LineError } from './errors.ts';
import type { HostLine } from './host-line.ts';
import { KeyRing } from './key-ring.ts';
import { keysOfMessage, type LineKeys, type MadeKeys, makeWorkingKeys } from './keys.ts';
import type { LineTimes } from './limits.ts';
import { MacAlarm, saysWrongMac } from './mac-alarm.ts';
import type { Reply } from './session.ts';
import { Spread } from './spread.ts';

/** What a member stands on. */
export type HostMemberOptions = {
  readonly memberId: string;
  readonly zoneKey: KeyBlock;
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly log: Log;
  readonly times: LineTimes;
  readonly onEstablished: () => void;
};

/** The keys belong to the member, not to a line: a message may be under them on any line. */
export class HostMember {
  readonly #options: HostMemberOptions;
  readonly #ring: KeyRing;
  readonly #alarm: MacAlarm;
  readonly #spread: Spread<HostLine>;
  /** Lines that hold the current keys. */
  #established: readonly HostLine[] = [];
  #made: MadeKeys | null = null;
  /** Exchanges of keys, one after another; it never rejects. */
  #exchange: Promise<void> = Promise.resolve();
  #exchanging = 0;
  #changedMs = Number.NEGATIVE_INFINITY;

  constructor(options: HostMemberOptions) {
    const { clock, times } = options;
    this.#options = options;
    this.#ring = new KeyRing(clock, times.oldKeysMs);
    this.#alarm = new MacAlarm(clock, times);
    this.#spread = new Spread(() => this.#established.filter(({ isUsable }) => isUsable));
  }

  /** Lines that are established. */
  get lines(): readonly HostLine[] {
    return this.#established;
  }

  keys(): LineKeys | null {
    return this.#established.length > 0 ? this.#ring.current : null;
  }

  previousKeys(): LineKeys | null {
    return this.#established.length > 0 ? this.#ring.previous : null;
  }

  acceptedKeys(): readonly LineKeys[] {
    return this.#established.length > 0 ? this.#ring.accepted : [];
  }

  /** As `MemberLine.keysOf`. */
  async keysOf(message: Iso8583Message): Promise<LineKeys | null> {
    const accepted = this.acceptedKeys();
    if (accepted.length < 2) return accepted[0] ?? null;
    return (await keysOfMessage(this.#options.hsm, accepted, message)) ?? this.keys();
  }

  /** A line has signed on: it gets the keys in force, or all lines get new ones. */
  signOn(line: HostLine): void {
    void this.#inTurn(async () => {
      if (line.isClosed) return;
      const isKnown = this.#established.includes(line);
      const isFresh = this.#options.clock.nowMs() - this.#changedMs < this.#reSignOnMs;
      if (isKnown && !isFresh) await this.#change();
      else await this.#admit(line);
    }).catch((fault: unknown) => this.#onFailed(line, fault));
  }

  /**
   * New keys on every line. Messages under the old ones are still taken for `oldKeysMs`.
   * @throws LineError `ERR_LINE_NOT_ESTABLISHED`, or `ERR_LINE_KEY` when no line took the keys: the
   *   old ones go on; TapError of the HSM.
   */
  changeKeys(): Promise<void> {
    return this.#inTurn(() => this.#change());
  }

  /** Waits until the keys that a message was made under are in force, if they are on their way. */
  async settledKeys(message: Iso8583Message): Promise<void> {
    if (this.#exchanging === 0) return;
    const { hsm } = this.#options;
    const known = await keysOfMessage(hsm, this.#ring.accepted, message).catch(() => null);
    if (known === null) await this.#exchange;
  }

  /** Sends by the line with the least under way. @throws LineError as of `MemberLine.request`. */
  async request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    const keys = this.#ring.current;
    const reply = await this.#spread.request(message, options);
    if (reply !== 'timeout') await this.settledKeys(reply);
    const isOurFault = saysWrongMac(reply) && keys === this.#ring.current;
    if (isOurFault && this.#established.length > 0 && this.#alarm.isDue()) {
      const { log, memberId } = this.#options;
      log({ event: 'lineMacRefused', memberId });
      void this.changeKeys().catch((fault: unknown) => this.#log(fault));
    }
    return reply;
  }

  /** Offers an answer to the member's other lines. */
  isAdopted(message: DecodedMessage, by: HostLine): boolean {
    return this.#spread.isAdopted(message, by);
  }

  /** A line is gone. */
  remove(line: HostLine): void {
    this.#established = this.#established.filter((other) => other !== line);
  }

  /** Forgets the keys. */
  close(): void {
    this.#ring.clear();
  }

  get #reSignOnMs(): number {
    return this.#options.times.reSignOnMinMs;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#exchanging += 1;
    const done = this.#exchange.then(work);
    this.#exchange = done
      .catch(() => undefined)
      .then(() => {
        this.#exchanging -= 1;
      });
    return done;
  }

  /** The first line gets new keys; one beside others, or the same one once more, those in force. */
  async #admit(line: HostLine): Promise<void> {
    const { hsm, zoneKey, log, memberId, onEstablished } = this.#options;
    const others = this.#established.filter(({ isClosed }) => !isClosed);
    const holdsKeys = others.some((other) => other === line || !isReplaced(other, line));
    const inForce = holdsKeys ? this.#made : null;
    const made = inForce ?? (await makeWorkingKeys(hsm, zoneKey));
    await line.giveKeys(made.resets);
    if (line.isClosed) return;
    this.#take(made);
    this.#established = [...others.filter((other) => !isReplaced(other, line)), line];
    log({ event: 'lineEstablished', memberId, lineNumber: line.lineNumber });
    onEstablished();
  }

  async #change(): Promise<void> {
    const { hsm, zoneKey, log, memberId } = this.#options;
    const lines = this.#established;
    if (lines.length === 0) {
      throw new LineError('ERR_LINE_NOT_ESTABLISHED', 'the member is not signed on', { memberId });
    }
    const made = await makeWorkingKeys(hsm, zoneKey);
    const faults = await Promise.all(
      lines.map((line) => line.giveKeys(made.resets).then(() => null, asLineError)),
    );
    const taken = faults.filter((fault) => fault === null).length;
    for (const [index, fault] of faults.entries()) {
      const isOld = fault?.code === 'ERR_LINE_KEY' && fault.data['responseCode'] !== null;
      // A line whose keys are not known, or not those of the others, starts anew.
      if (fault && (taken > 0 || !isOld)) lines[index]?.abort(fault);
    }
    const [fault] = faults;
    if (taken === 0) throw fault ?? new LineError('ERR_LINE_KEY', 'no line took the keys');
    this.#take(made);
    log({ event: 'lineKeysChanged', memberId, lines: taken });
  }

  #take(made: MadeKeys): void {
    if (made === this.#made) return;
    this.#made = made;
    this.#changedMs = this.#options.clock.nowMs();
    const [pin, mac] = made.resets;
    this.#ring.use(made.keys, pin.kcv + mac.kcv);
  }

  /** A line that cannot be given keys is closed, unless it still has those in force. */
  #onFailed(line: HostLine, fault: unknown): void {
    this.#log(fault);
    if (this.#established.includes(line)) return;
    line.abort(new LineError('ERR_LINE_KEY', 'the key exchange failed', {}, fault));
  }

  #log(fault: unknown): void {
    const { log, memberId } = this.#options;
    const { code, message } = errorBody(fault);
    log({ event: 'lineKeyFailed', memberId, code, message });
  }
}

/** Whether a line that signs on takes the place of another. */
function isReplaced(other: HostLine, line: HostLine): boolean {
  return other === line || other.lineNumber === line.lineNumber;
}

function asLineError(fault: unknown): LineError {
  if (fault instanceof LineError) return fault;
  return new LineError('ERR_LINE_KEY', 'the key exchange failed', { responseCode: null }, fault);
}
