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

/** Values by key, found also by a key that leaves out fields. */
export class KeyIndex<Value extends { readonly key: MatchKey }> {
  readonly #byTrace = new Map<string, Value[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a value; several may have one key. */
  add(value: Value): void {
    const { trace } = value.key;
    const same = this.#byTrace.get(trace);
    if (same) same.push(value);
    else this.#byTrace.set(trace, [value]);
    this.#size += 1;
  }

  /** Whether the value was in it. */
  remove(value: Value): boolean {
    const { trace } = value.key;
    const same = this.#byTrace.get(trace);
    const at = same ? same.indexOf(value) : -1;
    if (!same || at < 0) return false;
    if (same.length === 1) this.#byTrace.delete(trace);
    else same.splice(at, 1);
    this.#size -= 1;
    return true;
  }

  /** The value of exactly this key. */
  exactly(key: MatchKey): Value | undefined {
    return this.#byTrace.get(key.trace)?.find((value) => isSame(value.key, key));
  }

  /** Every value that `key` may mean: what both name is equal. */
  meantBy(key: MatchKey): readonly Value[] {
    return (this.#byTrace.get(key.trace) ?? []).filter((value) => agrees(value.key, key));
  }

  /** Every value, in no order. */
  *values(): Generator<Value> {
    for (const same of this.#byTrace.values()) yield* same;
  }
}

/** The last keys of some kind, at most a fixed number; the oldest are forgotten first. */
export class KeyMemory {
  readonly #index = new KeyIndex<{ readonly key: MatchKey }>();
  readonly #inOrder = new Set<{ readonly key: MatchKey }>();
  readonly #sizeMax: number;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  add(key: MatchKey): void {
    if (this.#inOrder.size >= this.#sizeMax) {
      for (const oldest of this.#inOrder) {
        this.#drop(oldest);
        break;
      }
    }
    const entry = { key };
    this.#index.add(entry);
    this.#inOrder.add(entry);
  }

  /** Forgets exactly this key; whether it was known. */
  forget(key: MatchKey): boolean {
    const entry = this.#index.exactly(key);
    if (entry) this.#drop(entry);
    return entry !== undefined;
  }

  /** The keys that `key` may mean. */
  meantBy(key: MatchKey): readonly MatchKey[] {
    return this.#index.meantBy(key).map((entry) => entry.key);
  }

  #drop(entry: { readonly key: MatchKey }): void {
    this.#index.remove(entry);
    this.#inOrder.delete(entry);
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
