/** Spreads requests evenly over the lines to one institution, and over what is left of them. */
import type { DecodedMessage, Iso8583Message } from '@tapnpay/protocol/iso8583';
import { isSurelyUnsent, LineError } from './errors.ts';
import { type MatchKey, requireMatchKey } from './match-key.ts';
import type { Reply } from './session.ts';

/** What a line offers to its set. */
type SpreadLine = {
  readonly load: number;
  request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply>;
  adopt(message: DecodedMessage): boolean;
};

/** Requests over several lines; a key in flight on one of them is refused on all. */
export class Spread<Line extends SpreadLine> {
  /** The lines that take requests now. */
  readonly #usable: () => readonly Line[];
  readonly #inFlight = new Set<string>();
  #turn = 0;

  constructor(usable: () => readonly Line[]) {
    this.#usable = usable;
  }

  /**
   * Sends by the line with the least under way, by another one when that line fails before the
   * request has left. @throws LineError as the line's.
   */
  async request(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    const text = keyText(requireMatchKey(message));
    if (this.#inFlight.has(text)) {
      throw new LineError('ERR_LINE_DUPLICATE', 'a request of this key is in flight');
    }
    this.#inFlight.add(text);
    try {
      return await this.#send(message, options);
    } finally {
      this.#inFlight.delete(text);
    }
  }

  /** Offers an answer to all lines but the one it came by. */
  isAdopted(message: DecodedMessage, except: Line): boolean {
    return this.#usable().some((line) => line !== except && line.adopt(message));
  }

  async #send(message: Iso8583Message, options: { readonly timeoutMs: number }): Promise<Reply> {
    const tried = new Set<Line>();
    let fault: LineError | null = null;
    for (;;) {
      const line = this.#next(tried);
      if (!line) {
        throw fault ?? new LineError('ERR_LINE_NOT_ESTABLISHED', 'no line is established');
      }
      tried.add(line);
      try {
        return await line.request(message, options);
      } catch (thrown) {
        if (!isSurelyUnsent(thrown) || thrown.code !== 'ERR_LINE_NOT_ESTABLISHED') throw thrown;
        fault = thrown;
      }
    }
  }

  /** The least loaded line; equals take turns. */
  #next(tried: ReadonlySet<Line>): Line | null {
    const lines = this.#usable().filter((line) => !tried.has(line));
    if (lines.length === 0) return null;
    const least = Math.min(...lines.map(({ load }) => load));
    const equals = lines.filter(({ load }) => load === least);
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER;
    return equals[this.#turn % equals.length] ?? null;
  }
}

function keyText({ trace, transmission, terminal, acquirer }: MatchKey): string {
  return `${trace}|${transmission}|${terminal}|${acquirer}`;
}
