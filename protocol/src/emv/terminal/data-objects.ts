/** The kernel's data objects: terminal, card and issuer values by tag, masked when printed. */
import { DATA_ELEMENTS } from '../data/index.ts';

/** What readers outside the kernel see. */
export interface DataValues {
  get(tag: string): Uint8Array | undefined;
  has(tag: string): boolean;
  tags(): readonly string[];
}

/** Values by tag. Only `get` opens one; printing and serialising show tags and lengths. */
export class DataObjects implements DataValues {
  readonly #values = new Map<string, Uint8Array>();

  get(tag: string): Uint8Array | undefined {
    return this.#values.get(tag);
  }

  has(tag: string): boolean {
    return this.#values.has(tag);
  }

  tags(): readonly string[] {
    return [...this.#values.keys()];
  }

  set(tag: string, value: Uint8Array): void {
    this.#values.set(tag, value);
  }

  delete(tag: string): void {
    this.#values.delete(tag);
  }

  /** A copy of the table; the values themselves are shared, for nobody writes into them. */
  copy(): DataObjects {
    const copy = new DataObjects();
    for (const [tag, value] of this.#values) copy.set(tag, value);
    return copy;
  }

  /** A copy that later changes do not reach, nor writes into its values reach the kernel. */
  snapshot(): DataValues {
    const copy = new DataObjects();
    for (const [tag, value] of this.#values) copy.set(tag, value.slice());
    return copy;
  }

  toJSON(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      [...this.#values].map(([tag, value]) => [tag, `[${value.length} bytes]`]),
    );
  }

  toString(): string {
    return `DataObjects(${this.tags().join(' ')})`;
  }
}

/**
 * Whether a card may give this object. Terminal and issuer objects inside card records are
 * ignored, so that a card cannot write amount, TVR or response code; unknown tags are too.
 * @see EMV 4.3 B3 §7.3
 */
export function isCardObject(tag: string): boolean {
  return DATA_ELEMENTS[tag]?.source === 'icc';
}
