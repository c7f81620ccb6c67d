/** The working keys of one institution: the current ones and, for a while, those before. */
import type { Clock } from '@tapnpay/protocol/bytes';
import type { LineKeys } from './keys.ts';

/** Generations of keys that may hold at once; more changes in one window drop the oldest. */
const GENERATIONS_MAX = 64;

type Generation = {
  readonly keys: LineKeys;
  /** Check values of both keys. */
  readonly id: string;
  readonly cancelTimer: () => void;
};

/** Keys by age. What is sent uses the current ones; what comes may be under any that hold. */
export class KeyRing {
  readonly #clock: Clock;
  readonly #oldKeysMs: number;
  #current: { readonly keys: LineKeys; readonly id: string } | null = null;
  /** Newest first. */
  #previous: Generation[] = [];

  /** `oldKeysMs`: how long keys hold after their change. */
  constructor(clock: Clock, oldKeysMs: number) {
    this.#clock = clock;
    this.#oldKeysMs = oldKeysMs;
  }

  get current(): LineKeys | null {
    return this.#current?.keys ?? null;
  }

  /** The keys before the current ones while they still hold. */
  get previous(): LineKeys | null {
    return this.#previous[0]?.keys ?? null;
  }

  /** All that hold, the current ones first. */
  get accepted(): readonly LineKeys[] {
    const previous = this.#previous.map(({ keys }) => keys);
    return this.#current ? [this.#current.keys, ...previous] : previous;
  }

  /** New keys from now on; the same once more (`id`, the check values) change nothing. */
  use(keys: LineKeys, id: string): void {
    const old = this.#current;
    if (old?.id === id) return;
    this.#current = { keys, id };
    if (!old) return;
    const generation: Generation = {
      ...old,
      cancelTimer: this.#clock.startTimer(this.#oldKeysMs, () => this.#drop(generation)),
    };
    this.#previous.unshift(generation);
    const oldest = this.#previous[GENERATIONS_MAX - 1];
    if (oldest) this.#drop(oldest);
  }

  /** Forgets everything. */
  clear(): void {
    for (const { cancelTimer } of this.#previous) cancelTimer();
    this.#previous = [];
    this.#current = null;
  }

  #drop(generation: Generation): void {
    generation.cancelTimer();
    this.#previous = this.#previous.filter((other) => other !== generation);
  }
}
