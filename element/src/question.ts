/** A question to the agent that waits for one answer, for a limited time. */
import { type Clock, type ErrorBody, errorFromBody, type TapError } from '@tapnpay/protocol/bytes';
import { ElementError } from './errors.ts';

type Waiting<T> = { readonly resolve: (value: T) => void; readonly reject: (e: Error) => void };

/** One kind of question; one is open at a time. */
export class Question<T> {
  readonly #name: string;
  readonly #clock: Clock;
  #waiting: Waiting<T> | null = null;
  /** We gave up, which an agent that answers just now could not know. */
  #isGivenUp = false;

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
  }

  /**
   * Asks, and waits until the answer, its time or `unless` ends it.
   * @throws TapError the agent's fault, `late()`, or what `unless` rejects with.
   */
  async ask(facts: {
    readonly emit: () => void;
    readonly timeoutMs: number;
    readonly late: () => TapError;
    readonly unless?: Promise<never>;
  }): Promise<T> {
    let cancel: () => void = () => {};
    const answered = new Promise<T>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      cancel = this.#clock.startTimer(facts.timeoutMs, () => reject(facts.late()));
    });
    this.#isGivenUp = false;
    facts.unless?.catch(() => {});
    facts.emit();
    try {
      return await (facts.unless ? Promise.race([answered, facts.unless]) : answered);
    } finally {
      cancel();
      this.#isGivenUp = this.#waiting !== null;
      this.#waiting = null;
    }
  }

  /** The agent's answer or fault. @throws ElementError `ERR_ELEMENT_SEQUENCE` when unasked. */
  answer(answer: { readonly value: T } | { readonly error: ErrorBody }): void {
    const waiting = this.#waiting;
    if (waiting === null) {
      if (!this.#isGivenUp) throw outOfSequence(`a ${this.#name} that nobody asked for`);
      this.#isGivenUp = false;
      return;
    }
    this.#waiting = null;
    if ('error' in answer) waiting.reject(errorFromBody(answer.error));
    else waiting.resolve(answer.value);
  }
}

/** A command that does not fit the conversation; it ends the process. */
export function outOfSequence(what: string): ElementError {
  return new ElementError('ERR_ELEMENT_SEQUENCE', `the agent sent ${what}`);
}
