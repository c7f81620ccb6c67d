/** `Secret<T>`: PAN, track, PIN, key and field 55 values that mask themselves wherever they print. */
import { equalBytes } from './bytes.ts';

const inspectSymbol: unique symbol = Symbol.for('nodejs.util.inspect.custom');

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

  [inspectSymbol](): string {
    return this.#mask;
  }
}
