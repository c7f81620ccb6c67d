/** What happened in one simulated world, in order: readable, and the same for the same seed. */
import { createHash } from 'node:crypto';
import type { Clock } from '@tapnpay/protocol/bytes';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** Events of the parties' own logs that every payment has; they would hide the others. */
const QUIET_EVENTS: ReadonlySet<string> = new Set(['lineLateReply', 'hop']);

/** Facts of an event; values that are long or secret have no place here. */
export type Facts = Readonly<Record<string, unknown>>;

/** The record of a world. Identifiers are numbered in the order in which they appear. */
export class History {
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #names = new Map<string, string>();
  readonly #hash = createHash('sha256');
  readonly #onLine: (line: string) => void;
  readonly lines: string[] = [];

  /** `onLine` sees each line as it is written. */
  constructor(clock: Clock, onLine: (line: string) => void = () => undefined) {
    this.#clock = clock;
    this.#onLine = onLine;
    this.#startMs = clock.nowMs();
  }

  /** Writes one event of `who`. */
  add(who: string, event: string, facts: Facts = {}): void {
    const seconds = ((this.#clock.nowMs() - this.#startMs) / 1000).toFixed(3).padStart(8);
    const told = Object.entries(facts).map(([name, value]) => ` ${name}=${this.#shown(value)}`);
    const line = `${seconds} ${who.padEnd(8)} ${event}${told.join('')}`;
    this.#hash.update(`${line}\n`);
    this.#onLine(line);
    if (!QUIET_EVENTS.has(event)) this.lines.push(line);
  }

  /** Short name of an identifier. */
  name(id: string): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const name = `#${this.#names.size + 1}`;
    this.#names.set(id, name);
    return name;
  }

  /** Of everything so far, the quiet events included. */
  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16);
  }

  /** The lines that name one of `words` whole, and the faults between them while there is room. */
  about(words: readonly string[], linesMax: number): readonly string[] {
    const wanted = new Set(words);
    const isMeant = (line: string): boolean => line.split(/[ =,/]+/).some((it) => wanted.has(it));
    const first = Math.max(0, this.lines.findIndex(isMeant));
    const between = this.lines.slice(first, this.lines.findLastIndex(isMeant) + 1);
    const isStrike = (line: string): boolean => / world +(?:kill|cut|heal)/.test(line);
    const withStrikes = between.filter((line) => isMeant(line) || isStrike(line));
    if (withStrikes.length <= linesMax) return withStrikes;
    const chosen = between.filter(isMeant);
    if (chosen.length <= linesMax) return chosen;
    const half = Math.floor(linesMax / 2);
    const left = `... ${chosen.length - 2 * half} lines left out ...`;
    return [...chosen.slice(0, half), left, ...chosen.slice(-half)];
  }

  #shown(value: unknown): string {
    const text = typeof value === 'string' ? value : JSON.stringify(value, bigintAsText);
    return String(text).replace(UUID, (id) => this.name(id));
  }
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
