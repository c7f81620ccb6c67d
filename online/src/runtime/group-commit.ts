/**
 * Durable steps of many callers as one: what is asked for while a group is on its way to the disk
 * leaves together as the next group, in one statement and one commit. A caller alone waits for
 * nobody. One bad row never fails its neighbours: a group that the database refuses is halved until
 * the bad one stands alone and hears why.
 */
import { isRefusal } from './database.ts';
import { RuntimeError } from './errors.ts';

/** Steps of one group. */
export const GROUP_ITEMS_MAX = 64;
/** Groups of one kind on their way at once; more would be smaller, and cost more in all. */
export const GROUP_FLIGHTS_MAX = 1;
/** Steps of one kind that may wait; then callers are refused and must come again. */
export const GROUP_WAITING_MAX = 8_192;

/** One kind of step. */
export type GroupOptions<Item, Result> = {
  /**
   * Does all steps in one statement or transaction, whole or not at all; a result each, in order.
   * An error that the database itself raised means that nothing was written.
   */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  /**
   * What a step touches: two that share a key never share a group, and keep their order. Absent:
   * steps are independent.
   */
  readonly keysOf?: (item: Item) => readonly string[];
  /**
   * Asks whether a step has happened after its commit was lost on the wire: its result, or null
   * when it has not. Absent: the caller hears the error and must ask by itself.
   */
  readonly find?: (item: Item) => Promise<Result | null>;
  readonly itemsMax?: number;
  readonly flightsMax?: number;
  readonly waitingMax?: number;
};

type Step<Item, Result> = {
  readonly item: Item;
  readonly keys: readonly string[];
  readonly resolve: (result: Result) => void;
  readonly reject: (fault: unknown) => void;
};

/** Groups of one kind of step. */
export class GroupCommit<Item, Result> {
  readonly #options: GroupOptions<Item, Result>;
  #waiting: Step<Item, Result>[] = [];
  /** Keys of the steps that are on their way. */
  readonly #busy = new Set<string>();
  #flights = 0;
  #isPlanned = false;

  constructor(options: GroupOptions<Item, Result>) {
    this.#options = options;
  }

  /**
   * Resolves when the step is durable. @throws RuntimeError `ERR_DATABASE_BUSY` when too many wait;
   * else what the database said of this step.
   */
  submit(item: Item): Promise<Result> {
    const { waitingMax = GROUP_WAITING_MAX, keysOf } = this.#options;
    if (this.#waiting.length >= waitingMax) {
      const text = 'too many steps wait for the database; come again';
      return Promise.reject(new RuntimeError('ERR_DATABASE_BUSY', text));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, keys: keysOf?.(item) ?? [], resolve, reject });
      this.#plan();
    });
  }

  /** After the turn: all that this poll of the event loop brings shares a group. */
  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.#start();
    });
  }

  #start(): void {
    const { flightsMax = GROUP_FLIGHTS_MAX } = this.#options;
    while (this.#flights < flightsMax && this.#waiting.length > 0) {
      const group = this.#take();
      if (group.length === 0) return;
      this.#flights += 1;
      void this.#fly(group);
    }
  }

  /** The first steps that may share a group; one that must wait holds back those of its keys. */
  #take(): Step<Item, Result>[] {
    const { itemsMax = GROUP_ITEMS_MAX } = this.#options;
    const group: Step<Item, Result>[] = [];
    const left: Step<Item, Result>[] = [];
    const taken = new Set(this.#busy);
    for (const [index, step] of this.#waiting.entries()) {
      if (group.length === itemsMax) {
        left.push(...this.#waiting.slice(index));
        break;
      }
      if (step.keys.some((key) => taken.has(key))) left.push(step);
      else group.push(step);
      for (const key of step.keys) taken.add(key);
    }
    this.#waiting = left;
    for (const { keys } of group) for (const key of keys) this.#busy.add(key);
    return group;
  }

  async #fly(group: readonly Step<Item, Result>[]): Promise<void> {
    await this.#run(group);
    this.#flights -= 1;
    for (const { keys } of group) for (const key of keys) this.#busy.delete(key);
    this.#start();
  }

  /** Never rejects: each step hears its own end. */
  async #run(group: readonly Step<Item, Result>[]): Promise<void> {
    const { run } = this.#options;
    let results: readonly Result[];
    try {
      results = await run(group.map(({ item }) => item));
      if (results.length !== group.length) throw new Error('a group gave another count of results');
    } catch (fault) {
      await this.#part(group, fault);
      return;
    }
    for (const [index, step] of group.entries()) step.resolve(results[index] as Result);
  }

  /** A refused group is halved; of one whose commit was lost each step is looked for. */
  async #part(group: readonly Step<Item, Result>[], fault: unknown): Promise<void> {
    if (!isRefusal(fault)) {
      await Promise.all(group.map((step) => this.#look(step, fault)));
      return;
    }
    if (group.length === 1) {
      group[0]?.reject(fault);
      return;
    }
    const middle = group.length >> 1;
    await this.#run(group.slice(0, middle));
    await this.#run(group.slice(middle));
  }

  async #look(step: Step<Item, Result>, fault: unknown): Promise<void> {
    const found = await this.#options.find?.(step.item).catch(() => null);
    if (found === null || found === undefined) step.reject(fault);
    else step.resolve(found);
  }
}
