/** Checks that a foreign JSON value has the shape of a message; copies known fields only. */
import { WireError } from './frames.ts';

/** Returns the checked value or throws WireError `ERR_MESSAGE_FIELD` naming `path`. */
export type Shape<T> = (value: unknown, path: string) => T;

/** Checks a whole message. @throws WireError `ERR_MESSAGE_FIELD`. */
export function checkShape<T>(shape: Shape<T>, value: unknown, name: string): T {
  return shape(value, name);
}

/** A text of bounded length, of a pattern if one is given. */
export function textShape(charactersMax: number, pattern?: RegExp): Shape<string> {
  return (value, path) => {
    if (typeof value !== 'string') throw wrong(path, 'is no text');
    if (value.length > charactersMax) throw wrong(path, `exceeds ${charactersMax} characters`);
    if (pattern && !pattern.test(value)) throw wrong(path, 'has another form');
    return value;
  };
}

/** Upper-case hex of whole bytes. */
export function hexShape(bytes: { readonly min?: number; readonly max: number }): Shape<string> {
  const text = textShape(2 * bytes.max, /^(?:[0-9A-F]{2})*$/);
  return (value, path) => {
    const hex = text(value, path);
    if (hex.length < 2 * (bytes.min ?? 0)) throw wrong(path, `is below ${bytes.min} bytes`);
    return hex;
  };
}

/** A whole number from 0 to `max`. */
export function countShape(max: number = Number.MAX_SAFE_INTEGER): Shape<number> {
  return (value, path) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) {
      return value;
    }
    throw wrong(path, `is no whole number up to ${max}`);
  };
}

/** True or false; a text "true" is no truth value. */
export const booleanShape: Shape<boolean> = (value, path) => {
  if (typeof value === 'boolean') return value;
  throw wrong(path, 'is neither true nor false');
};

/** One of fixed texts. */
export function oneOfShape<const T extends string>(...allowed: readonly T[]): Shape<T> {
  return (value, path) => {
    const found = allowed.find((text) => text === value);
    if (found === undefined) throw wrong(path, `is none of ${allowed.join(', ')}`);
    return found;
  };
}

/** A value or null. */
export function nullableShape<T>(shape: Shape<T>): Shape<T | null> {
  return (value, path) => (value === null ? null : shape(value, path));
}

/** A list of bounded length. */
export function listShape<T>(shape: Shape<T>, itemsMax: number): Shape<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrong(path, 'is no list');
    if (value.length > itemsMax) throw wrong(path, `exceeds ${itemsMax} items`);
    return value.map((item: unknown, index) => shape(item, `${path}[${index}]`));
  };
}

/** An object with these fields; others are left out of the result. */
export function objectShape<T extends object>(
  fields: {
    readonly [K in keyof T]: Shape<T[K]>;
  },
): Shape<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  return (value, path) => {
    const source = recordOf(value, path);
    const result: Partial<T> = {};
    for (const name of names) {
      const present = Object.hasOwn(source, name) ? source[name] : undefined;
      result[name] = fields[name](present, `${path}.${name}`);
    }
    return result as T;
  };
}

/** A union told apart by its `type` field. */
export function unionShape<T extends { readonly type: string }>(
  shapes: {
    readonly [K in T['type']]: Shape<Omit<Extract<T, { type: K }>, 'type'>>;
  },
): Shape<T> {
  const byType: ReadonlyMap<string, Shape<object>> = new Map(Object.entries(shapes));
  return (value, path) => {
    const source = recordOf(value, path);
    const type = Object.hasOwn(source, 'type') ? source['type'] : undefined;
    const shape = typeof type === 'string' ? byType.get(type) : undefined;
    if (shape === undefined) throw wrong(`${path}.type`, 'is unknown');
    return { ...shape(source, path), type } as T;
  };
}

/** A flat record of plain values, as the data of an error. */
export function factsShape(
  entriesMax: number,
): Shape<Readonly<Record<string, string | number | boolean | null>>> {
  return (value, path) => {
    const entries = Object.entries(recordOf(value, path));
    if (entries.length > entriesMax) throw wrong(path, `exceeds ${entriesMax} entries`);
    return Object.fromEntries(entries.map(([name, fact]) => [name, plainFact(fact, path)]));
  };
}

function plainFact(fact: unknown, path: string): string | number | boolean | null {
  if (fact === null || typeof fact === 'number' || typeof fact === 'boolean') return fact;
  if (typeof fact === 'string' && fact.length <= 1024) return fact;
  throw wrong(path, 'holds a fact that is no plain value');
}

function recordOf(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(path, 'is no object');
  }
  return value as Readonly<Record<string, unknown>>;
}

function wrong(path: string, why: string): WireError {
  return new WireError('ERR_MESSAGE_FIELD', `${path} ${why}`, { fieldPath: path });
}
