/** Several lines of a member to its switch: one set of keys, spread requests, failover. */
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import { type LineStats, sumStats } from './counters.ts';
import { LineError } from './errors.ts';
import { KeyRing } from './key-ring.ts';
import { keysOfMessage, type LineKeys } from './keys.ts';
import { LINE_TIMES } from './limits.ts';
import { LINES_MAX } from './line-number.ts';
import { MacAlarm } from './mac-alarm.ts';
import { type LineState, MemberLine, type MemberLineOptions } from './member-line.ts';
import type { Reply } from './session.ts';
import { Spread } from './spread.ts';
import type { Transport } from './transport.ts';

/** What a set stands on: as one line, with a way to connect for each of them. */
export type MemberLinesOptions = Omit<MemberLineOptions, 'connect' | 'onState'> & {
  readonly connects: readonly (() => Promise<Transport>)[];
  /** The state of the whole set, as `MemberLines.state`. */
  readonly onState?: (state: LineState) => void;
};

/** States from the best to the worst: the set is as well as its best line. */
const BEST_FIRST: readonly LineState[] = ['established', 'draining', 'signing', 'down', 'closed'];

/** A set of lines to one switch; used like a single `MemberLine`. */
export class MemberLines {
  readonly #options: MemberLinesOptions;
  readonly #ring: KeyRing;
  readonly #lines: readonly MemberLine[];
  readonly #spread: Spread<MemberLine>;
  #told: LineState = 'down';

  /** @throws LineError `ERR_LINE_CONNECT` for no way to connect, or for more than `LINES_MAX`. */
  constructor(options: MemberLinesOptions) {
    const { connects, clock } = options;
    if (connects.length === 0 || connects.length > LINES_MAX) {
      throw new LineError('ERR_LINE_CONNECT', `a set has 1 to ${LINES_MAX} lines`);
    }
    const times = { ...LINE_TIMES, ...options.times };
    this.#options = options;
    this.#ring = new KeyRing(clock, times.oldKeysMs);
    const alarm = new MacAlarm(clock, times);
    this.#spread = new Spread(() => this.#lines.filter(({ state }) => state === 'established'));
    this.#lines = connects.map((connect, index) => {
      const line: MemberLine = new MemberLine(
        { ...options, connect, onState: () => this.#tell() },
        {
          lineNumber: index + 1,
          ring: this.#ring,
          alarm,
          isAdopted: (message) => this.#spread.isAdopted(message, line),
        },
      );
      return line;
    });
  }

  /** State of the best line. */
  get state(): LineState {
    const states = new Set(this.#lines.map(({ state }) => state));
    return BEST_FIRST.find((state) => states.has(state)) ?? 'closed';
  }

  /** The single lines, in the order of `connects`. */
  get lines(): readonly MemberLine[] {
    return this.#lines;
  }

  /** Working keys, or null while no line is established. */
  keys(): LineKeys | null {
    return this.#isUp() ? this.#ring.current : null;
  }

  /** The keys before the last change while they still hold. */
  previousKeys(): LineKeys | null {
    return this.#isUp() ? this.#ring.previous : null;
  }

  /** All keys that hold, the current ones first. */
  acceptedKeys(): readonly LineKeys[] {
    return this.#isUp() ? this.#ring.accepted : [];
  }

  /** As `MemberLine.keysOf`. */
  async keysOf(message: Iso8583Message): Promise<LineKeys | null> {
    const accepted = this.acceptedKeys();
    if (accepted.length < 2) return accepted[0] ?? null;
    return (await keysOfMessage(this.#options.hsm, accepted, message)) ?? this.keys();
  }

  /** Counters of all lines together. */
  stats(): LineStats {
    return sumStats(this.#lines.map((line) => line.stats()));
  }

  /** Begins to connect; returns at once. */
  start(): void {
    for (const line of this.#lines) line.start();
  }

  /** Resolves when a line is next established (or at once); rejects never. */
  established(): Promise<void> {
    return Promise.race(this.#lines.map((line) => line.established()));
  }

  /** As `MemberLine.request`, by the line with the least under way. */
  request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    return this.#spread.request(message, options);
  }

  /** As `MemberLine.close`, every line. */
  async close(options: { readonly drainMs?: number } = {}): Promise<void> {
    await Promise.all(this.#lines.map((line) => line.close(options)));
  }

  #isUp(): boolean {
    return this.state === 'established' || this.state === 'draining';
  }

  #tell(): void {
    const { state } = this;
    if (state === this.#told) return;
    this.#told = state;
    this.#options.onState?.(state);
  }
}
