/** One after another for each key: requests of one card do not race inside a process. */

/** Queues by key; a key without work takes no memory. */
export class Turns {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Runs `work` after all earlier work of the same key, whatever became of that. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const tail = mine.catch(() => undefined);
    this.#tails.set(key, tail);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
