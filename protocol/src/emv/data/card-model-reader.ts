/** Reading what a person wrote: typed values of JSON, and faults that say where, what and how. */
import { EmvDataError } from './errors.ts';

/** Reads one value or throws; `path` is where it stands, as `applications[0].pin.value`. */
export type Read<T> = (value: unknown, path: string) => T;

/** A fault of a card model. */
export function modelError(path: string, what: string, fix: string): EmvDataError {
  const message = `card model: ${path} ${what}; ${fix}`;
  return new EmvDataError('ERR_CARD_MODEL', message, { path, what, fix });
}

/** A text of a form. `fix` says which texts there are. */
export function textOf(pattern: RegExp, fix: string): Read<string> {
  return (value, path) => {
    if (typeof value === 'string' && pattern.test(value)) return value;
    throw modelError(path, value === undefined ? 'is missing' : 'is out of format', fix);
  };
}

/** Upper-case hex of `min` to `max` bytes. */
export function hexOf(min: number, max: number): Read<string> {
  const length = min === max ? `${min}` : `${min} to ${max}`;
  const read = textOf(/^([0-9A-F]{2})*$/, `write ${length} bytes as upper-case hex`);
  return (value, path) => {
    const hex = read(value, path);
    if (hex.length >= 2 * min && hex.length <= 2 * max) return hex;
    const what = `has ${hex.length / 2} bytes`;
    throw modelError(path, what, `write ${length} bytes as upper-case hex`);
  };
}

/** A whole number. */
export function countOf(min: number, max: number): Read<number> {
  return (value, path) => {
    const isCount = typeof value === 'number' && Number.isInteger(value);
    if (isCount && value >= min && value <= max) return value;
    throw modelError(path, 'is no such number', `write a whole number from ${min} to ${max}`);
  };
}

/** Yes or no. */
export const flagOf: Read<boolean> = (value, path) => {
  if (typeof value === 'boolean') return value;
  throw modelError(path, 'is neither true nor false', 'write true or false without quotes');
};

/** One of some words. */
export function wordOf<const T extends string>(words: readonly T[]): Read<T> {
  return (value, path) => {
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    throw modelError(path, 'is not known', `write one of: ${words.join(', ')}`);
  };
}

/** A list of `min` to `max` items, none of them twice when they are words. */
export function listOf<T>(read: Read<T>, min: number, max: number): Read<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) {
      throw modelError(path, 'is no such list', `write a list of ${min} to ${max}`);
    }
    const items = value.map((item: unknown, index) => read(item, `${path}[${index}]`));
    const doubled = items.findIndex((item, index) => items.indexOf(item) !== index);
    if (doubled < 0) return items;
    throw modelError(`${path}[${doubled}]`, 'stands there twice', 'write each once');
  };
}

/** Null, or what `read` reads. */
export function orNull<T>(read: Read<T>): Read<T | null> {
  return (value, path) => (value === null ? null : read(value, path));
}

/** A map whose keys match. */
export function mapOf<T>(
  key: RegExp,
  read: Read<T>,
  rule: { readonly max: number; readonly fix: string },
): Read<Readonly<Record<string, T>>> {
  return (value, path) => {
    const entries = Object.entries(objectAt(value, path));
    if (entries.length > rule.max) {
      throw modelError(path, `has ${entries.length} entries`, `write at most ${rule.max}`);
    }
    return Object.fromEntries(
      entries.map(([name, item]) => {
        if (!key.test(name)) throw modelError(`${path}.${name}`, 'is not known', rule.fix);
        return [name, read(item, `${path}.${name}`)];
      }),
    );
  };
}

/** Reads the fields of an object one by one; `end` refuses those that nobody asked for. */
export type FieldReader = {
  /** A field that may be left out; `fallback` is then its value. */
  optional<T>(name: string, read: Read<T>, fallback: T): T;
  required<T>(name: string, read: Read<T>): T;
  /** Path of a field. */
  at(name: string): string;
  end(): void;
};

/** @throws EmvDataError `ERR_CARD_MODEL` unless `value` is an object. */
export function fieldsOf(value: unknown, path: string): FieldReader {
  const object = objectAt(value, path);
  const asked = new Set<string>();
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  return {
    optional(name, read, fallback) {
      asked.add(name);
      const found = object[name];
      return found === undefined ? fallback : read(found, at(name));
    },
    required(name, read) {
      asked.add(name);
      if (object[name] === undefined) throw modelError(at(name), 'is missing', 'add it');
      return read(object[name], at(name));
    },
    at,
    end() {
      const strange = Object.keys(object).find((name) => !asked.has(name));
      if (strange === undefined) return;
      const fix = `take it out or write one of: ${[...asked].join(', ')}`;
      throw modelError(at(strange), 'is not known', fix);
    },
  };
}

function objectAt(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.fromEntries(Object.entries(value));
  }
  throw modelError(path === '' ? 'the whole' : path, 'is no object', 'write { "name": value }');
}
