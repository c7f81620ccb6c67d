/** Matches answers to requests on one line: message class, fields 11 and 7, then 32 and 41. */
import type { Clock } from '@tapnpay/protocol/bytes';
import {
  DE_7_TRANSMISSION_DATE_TIME,
  DE_11_STAN,
  DE_32_ACQUIRING_INSTITUTION,
  DE_41_TERMINAL,
  type DecodedMessage,
  type Iso8583Message,
  messageClass,
  requireText,
  textField,
} from '@tapnpay/protocol/iso8583';
import { LineError } from './errors.ts';

/** Requests in flight on one line. */
export const IN_FLIGHT_MAX = 1_024;

/** What a request ends with, beside an error: its answer, or none in time. */
export type Reply = DecodedMessage | 'timeout';

type Pending = {
  readonly acquirer: string | undefined;
  readonly terminal: string | undefined;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (fault: LineError) => void;
  readonly cancelTimer: () => void;
};

/** The requests of one line that wait for an answer. */
export class Multiplexer {
  readonly #clock: Clock;
  readonly #pending = new Map<string, Pending[]>();
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get inFlight(): number {
    return this.#count;
  }

  /**
   * Waits for the answer to `request`, which the caller sends right after this call.
   * @throws LineError `ERR_LINE_DUPLICATE` when its key is in flight, `ERR_LINE_BUSY`.
   */
  expect(request: Iso8583Message, timeoutMs: number): Promise<Reply> {
    const key = keyOf(request);
    const acquirer = textField(request, DE_32_ACQUIRING_INSTITUTION);
    const terminal = textField(request, DE_41_TERMINAL);
    const same = this.#pending.get(key) ?? [];
    if (same.some((other) => other.acquirer === acquirer && other.terminal === terminal)) {
      throw new LineError('ERR_LINE_DUPLICATE', 'a request of this key is in flight');
    }
    if (this.#count >= IN_FLIGHT_MAX) {
      throw new LineError('ERR_LINE_BUSY', `${IN_FLIGHT_MAX} requests are in flight`);
    }
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.startTimer(timeoutMs, () => {
        this.#remove(key, pending);
        resolve('timeout');
      });
      const pending: Pending = { acquirer, terminal, resolve, reject, cancelTimer };
      this.#pending.set(key, [...same, pending]);
      this.#count += 1;
    });
  }

  /**
   * Hands an answer to its request. False when none waits: it is late, or foreign. An answer that
   * leaves out field 32 or 41 matches when only one request can be meant.
   */
  settle(reply: DecodedMessage): boolean {
    const key = keyOf(reply);
    const acquirer = textField(reply, DE_32_ACQUIRING_INSTITUTION);
    const terminal = textField(reply, DE_41_TERMINAL);
    const meant = (this.#pending.get(key) ?? []).filter(
      (pending) => agrees(pending.acquirer, acquirer) && agrees(pending.terminal, terminal),
    );
    const [pending] = meant;
    if (!pending || meant.length > 1) return false;
    this.#remove(key, pending);
    pending.resolve(reply);
    return true;
  }

  /** The line is lost: whether the requests arrived is not known. */
  failAll(fault: LineError): void {
    const all = [...this.#pending.entries()];
    for (const [key, list] of all) {
      for (const pending of list) {
        this.#remove(key, pending);
        pending.reject(fault);
      }
    }
  }

  #remove(key: string, pending: Pending): void {
    const left = (this.#pending.get(key) ?? []).filter((other) => other !== pending);
    if (left.length === 0) this.#pending.delete(key);
    else this.#pending.set(key, left);
    this.#count -= 1;
    pending.cancelTimer();
  }
}

function keyOf(message: Iso8583Message): string {
  const stan = requireText(message, DE_11_STAN);
  const transmission = requireText(message, DE_7_TRANSMISSION_DATE_TIME);
  return `${messageClass(message.mti)} ${stan} ${transmission}`;
}

function agrees(asked: string | undefined, answered: string | undefined): boolean {
  return answered === undefined || asked === undefined || asked.trim() === answered.trim();
}
