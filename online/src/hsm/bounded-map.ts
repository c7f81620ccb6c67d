/** A map that lets go of the entry that was used longest ago when it is full. */
export class BoundedMap<K, V> {
  readonly #entries = new Map<K, V>();
  readonly #entriesMax: number;
  readonly #wipe: (value: V) => void;

  /** `wipe` is called with every value that is dropped. */
  constructor(entriesMax: number, wipe: (value: V) => void = () => undefined) {
    this.#entriesMax = entriesMax;
    this.#wipe = wipe;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined || this.#entries.size < this.#entriesMax) return value;
    // Order counts only once the map is full; keys that are in use must then stay.
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    const isNew = !this.#entries.has(key);
    this.delete(key);
    if (isNew && this.#entries.size >= this.#entriesMax) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.delete(oldest.value);
    }
    this.#entries.set(key, value);
  }

  delete(key: K): void {
    const value = this.#entries.get(key);
    if (value === undefined) return;
    this.#entries.delete(key);
    this.#wipe(value);
  }

  clear(): void {
    for (const value of this.#entries.values()) this.#wipe(value);
    this.#entries.clear();
  }
}
