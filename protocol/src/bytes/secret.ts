/** `Secret<T>`: PAN, track, PIN, key and field 55 values that mask themselves when printed. */
import { equalBytes } from './bytes.ts';

/** Holds a value that must not reach a log; `.expose()` is the only way out and is reviewed. */
export class Secret<T> {
  readonly #value: T;
  readonly #mask: string;

  constructor(value: T, mask = '[secret]') {
    this.#value = value;
    this.#mask = mask;
  }

  /** The clear value. Every call site is a place a reviewer looks at. */
  expose(): T {
    return this.#value;
  }

  /** Constant-time equality for byte values, identity for others. */
  equals(other: Secret<T>): boolean {
    const mine = this.#value;
    const theirs = other.#value;
    if (mine instanceof Uint8Array && theirs instanceof Uint8Array) return equalBytes(mine, theirs);
    return mine === theirs;
  }

  toString(): string {
    return this.#mask;
  }

  toJSON(): string {
    return this.#mask;
  }

  static {
    // `util.inspect` and `console.log` of Node ask for this method by its registered symbol.
    Object.defineProperty(Secret.prototype, Symbol.for('nodejs.util.inspect.custom'), {
      value(this: Secret<unknown>): string {
        return this.toString();
      },
    });
  }
}
