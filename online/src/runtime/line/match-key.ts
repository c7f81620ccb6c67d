/** What ties an answer to its request: class of the message, fields 11, 7, 41 and 32. */
import {
  DE_7_TRANSMISSION_DATE_TIME,
  DE_11_STAN,
  DE_32_ACQUIRING_INSTITUTION,
  DE_41_TERMINAL,
  type Iso8583Message,
  requireText,
  textField,
} from '@tapnpay/protocol/iso8583';

/**
 * Identity of a request and of its answer. Field 32 tells acquirers apart whose messages share a
 * line and whose trace numbers are not in step.
 */
export type MatchKey = {
  /** `messagePair` and field 11: never left out. */
  readonly trace: string;
  readonly transmission: string | undefined;
  readonly terminal: string | undefined;
  readonly acquirer: string | undefined;
};

/**
 * Class and function of a message type, the same for a request, its repeat and its answer: 0200,
 * 0201 and 0210 are "20"; 0220 and 0230 are "22"; 0420, 0421 and 0430 are "42".
 */
export function messagePair(mti: string): string {
  const functionDigit = Number(mti.charAt(2));
  return mti.charAt(1) + (functionDigit - (functionDigit % 2));
}

/** The key of a message; null without field 11, which nothing can be matched by. */
export function matchKeyOf(message: Iso8583Message): MatchKey | null {
  return message.fields.has(DE_11_STAN) ? requireMatchKey(message) : null;
}

/** The key of a request. @throws Iso8583Error `ERR_ISO8583_MISSING` without field 11. */
export function requireMatchKey(message: Iso8583Message): MatchKey {
  return {
    trace: messagePair(message.mti) + requireText(message, DE_11_STAN),
    transmission: textField(message, DE_7_TRANSMISSION_DATE_TIME),
    terminal: textField(message, DE_41_TERMINAL)?.trimEnd(),
    acquirer: textField(message, DE_32_ACQUIRING_INSTITUTION)?.trimEnd(),
  };
}

/** What an index holds: a value with its key, chained to others of the same trace. */
export type Keyed = { readonly key: MatchKey; next: Keyed | null };

/** Values by key, found also by a key that leaves out fields. A value is in one index at a time. */
export class KeyIndex<Value extends Keyed> {
  readonly #first = new Map<string, Value>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a value; several may have one key. */
  add(value: Value): void {
    const { trace } = value.key;
    value.next = this.#first.get(trace) ?? null;
    this.#first.set(trace, value);
    this.#size += 1;
  }

  /** Whether the value was in it. */
  remove(value: Value): boolean {
    const { trace } = value.key;
    const first = this.#first.get(trace);
    if (first === undefined) return false;
    const rest = value.next as Value | null;
    if (first === value) {
      if (rest === null) this.#first.delete(trace);
      else this.#first.set(trace, rest);
    } else {
      let before: Keyed = first;
      while (before.next !== null && before.next !== value) before = before.next;
      if (before.next === null) return false;
      before.next = rest;
    }
    value.next = null;
    this.#size -= 1;
    return true;
  }

  /** The value of exactly this key. */
  exactly(key: MatchKey): Value | null {
    let value: Keyed | null = this.#first.get(key.trace) ?? null;
    while (value !== null && !isSame(value.key, key)) value = value.next;
    return value as Value | null;
  }

  /** Every value that `key` may mean: what both name is equal. */
  meantBy(key: MatchKey): readonly Value[] {
    const meant: Value[] = [];
    let value: Keyed | null = this.#first.get(key.trace) ?? null;
    for (; value !== null; value = value.next) {
      if (agrees(value.key, key)) meant.push(value as Value);
    }
    return meant;
  }

  /** Every value, in no order. */
  *values(): Generator<Value> {
    for (const first of this.#first.values()) {
      for (let value: Keyed | null = first; value !== null; value = value.next) {
        yield value as Value;
      }
    }
  }
}

/** The last keys of some kind, at most a fixed number; the oldest are forgotten first. */
export class KeyMemory {
  readonly #index = new KeyIndex<Keyed>();
  /** A ring: what is overwritten is forgotten. */
  readonly #inOrder: Keyed[] = [];
  readonly #sizeMax: number;
  #at = 0;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  add(key: MatchKey): void {
    const oldest = this.#inOrder[this.#at];
    if (oldest) this.#index.remove(oldest);
    const entry = { key, next: null };
    this.#index.add(entry);
    this.#inOrder[this.#at] = entry;
    this.#at = (this.#at + 1) % this.#sizeMax;
  }

  /** Forgets exactly this key; whether it was known. */
  forget(key: MatchKey): boolean {
    const entry = this.#index.exactly(key);
    return entry !== null && this.#index.remove(entry);
  }

  /** How many keys `key` may mean. */
  countMeantBy(key: MatchKey): number {
    return this.#index.meantBy(key).length;
  }

  /** The one key that `key` may mean, or null. */
  onlyMeantBy(key: MatchKey): MatchKey | null {
    const [first, ...more] = this.#index.meantBy(key);
    return first && more.length === 0 ? first.key : null;
  }
}

function isSame(left: MatchKey, right: MatchKey): boolean {
  return (
    left.transmission === right.transmission &&
    left.terminal === right.terminal &&
    left.acquirer === right.acquirer
  );
}

function agrees(left: MatchKey, right: MatchKey): boolean {
  return (
    agreesIn(left.transmission, right.transmission) &&
    agreesIn(left.terminal, right.terminal) &&
    agreesIn(left.acquirer, right.acquirer)
  );
}

function agreesIn(left: string | undefined, right: string | undefined): boolean {
  return left === right || left === undefined || right === undefined;
}
