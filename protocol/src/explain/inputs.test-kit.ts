/** The published inputs with their restated answers, how answers are compared, and spoilt copies. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Explanation } from './index.ts';

/** One input of `vectors/explain/inputs.json`. */
export type InputCase = {
  readonly id: string;
  readonly kind: Explanation['kind'];
  readonly input: unknown;
  readonly expected: {
    readonly facts: unknown;
    readonly checks?: Readonly<Record<string, string>>;
    readonly findings?: readonly string[];
  };
};

const FILE = fileURLToPath(new URL('../../../vectors/explain/inputs.json', import.meta.url));

/** All cases and the ids of those left out. */
export function readInputs(): {
  readonly cases: readonly InputCase[];
  readonly skip: readonly { readonly id: string; readonly why: string }[];
} {
  return JSON.parse(readFileSync(FILE, 'utf8'));
}

/** The input as a person pastes it. */
export function pasted(input: unknown): string {
  return typeof input === 'string' ? input : JSON.stringify(input);
}

type Members = Readonly<Record<string, unknown>>;

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every place where `actual` lacks or differs from what is expected; empty when all is right. */
export function differences(expected: unknown, actual: unknown, path = ''): readonly string[] {
  if (isMembers(expected)) return memberDifferences(expected, actual, path);
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) {
      return [`${path}: ${expected.length} elements expected`];
    }
    return expected.flatMap((one, index) => differences(one, actual[index], `${path}[${index}]`));
  }
  return Object.is(expected, actual)
    ? []
    : [`${path}: ${JSON.stringify(expected)} expected, ${JSON.stringify(actual)} found`];
}

const LOOSE: Readonly<Record<string, (expected: unknown, actual: unknown) => boolean>> = {
  $starts: (expected, actual) => String(actual).startsWith(String(expected)),
  $ends: (expected, actual) => String(actual).endsWith(String(expected)),
  $contains: (expected, actual) => String(actual).includes(String(expected)),
  $has: (expected, actual) =>
    Array.isArray(expected) &&
    Array.isArray(actual) &&
    expected.every((one: unknown) => actual.includes(one)),
  $set: (expected, actual) =>
    JSON.stringify([...(expected as string[])].sort()) ===
    JSON.stringify([...(actual as string[])].sort()),
};
/** Members by which an element of a list is looked up. */
const LOOKUPS: Readonly<Record<string, string>> = {
  $tags: 'tag',
  $number: 'number',
  $field: 'field',
};

function memberDifferences(expected: Members, actual: unknown, path: string): readonly string[] {
  return Object.entries(expected).flatMap(([name, wanted]) => {
    const loose = LOOSE[name];
    if (loose) return loose(wanted, actual) ? [] : [`${path} ${name}: ${JSON.stringify(actual)}`];
    const lookup = LOOKUPS[name];
    if (lookup !== undefined && isMembers(wanted)) {
      const list = Array.isArray(actual) ? (actual as readonly Members[]) : [];
      return Object.entries(wanted).flatMap(([key, one]) => {
        const found = list.find((element) => String(element[lookup]) === key);
        return differences(one, found ?? {}, `${path}{${key}}`).concat(
          found === undefined ? [`${path}: no ${lookup} ${key}`] : [],
        );
      });
    }
    const inner = isMembers(actual) ? actual[name] : undefined;
    return differences(wanted, inner, `${path}.${name}`);
  });
}

/** Where an explanation differs from a case's restated answer. */
export function caseDifferences(one: InputCase, explanation: Explanation): readonly string[] {
  const results = Object.fromEntries(explanation.checks.map(({ name, result }) => [name, result]));
  const codes = explanation.findings.map(({ code }) => code);
  return [
    ...differences(one.kind, explanation.kind, 'kind'),
    ...differences(one.expected.facts, explanation.facts, 'facts'),
    ...differences(one.expected.checks ?? {}, results, 'checks'),
    ...(one.expected.findings ?? [])
      .filter((code) => !codes.includes(code))
      .map((code) => `finding ${code} is missing`),
  ];
}

/** A random source by its seed; the same copies in every run. */
export function randomBelow(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    // xorshift32: short, and good enough to choose places.
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % limit;
  };
}

/** How a copy is spoilt. */
export type Spoiling = 'flippedByte' | 'anotherKey' | 'shiftedOffset' | 'cutShort';

const KEY_NAME =
  /^(?:tmk|tak_cipher|mak|pik|key|enc|mac|bdk|pvk|cvk|imk_ac|issuer_modulus|capk_modulus)$/;
const RUN = /[0-9A-Fa-f]{3,}/g;

type Leaf = {
  readonly name: string;
  readonly text: string;
  readonly put: (text: string) => unknown;
};

/** Texts in the input that hold digits, each with a way to replace it. */
function leavesOf(input: unknown, name = ''): readonly Leaf[] {
  if (typeof input === 'string') {
    return /[0-9A-Fa-f]{3,}/.test(input) ? [{ name, text: input, put: (text) => text }] : [];
  }
  if (Array.isArray(input)) {
    return input.flatMap((item: unknown, index) =>
      leavesOf(item, name).map((leaf) => ({
        ...leaf,
        put: (text: string) =>
          input.map((old: unknown, at) => (at === index ? leaf.put(text) : old)),
      })),
    );
  }
  if (!isMembers(input)) return [];
  return Object.entries(input).flatMap(([key, item]) =>
    leavesOf(item, key).map((leaf) => ({
      ...leaf,
      put: (text: string) => ({ ...input, [key]: leaf.put(text) }),
    })),
  );
}

/** A spoilt copy of an input; keys change where their parity bits are not. */
export function spoilt(input: unknown, how: Spoiling, below: (limit: number) => number): unknown {
  const leaves = leavesOf(input);
  const keys = leaves.filter(({ name }) => KEY_NAME.test(name));
  const pool = how === 'anotherKey' && keys.length > 0 ? keys : leaves;
  const leaf = pool[below(pool.length)];
  if (leaf === undefined) return input;
  const runs = [...leaf.text.matchAll(RUN)].sort((left, right) => right[0].length - left[0].length);
  const run = runs[0];
  if (run === undefined) return input;
  const digits = spoiltDigits(run[0], how, below);
  const { text } = leaf;
  return leaf.put(text.slice(0, run.index) + digits + text.slice(run.index + run[0].length));
}

function spoiltDigits(digits: string, how: Spoiling, below: (limit: number) => number): string {
  const bytes = digits.length >> 1;
  if (how === 'cutShort')
    return digits.slice(0, 2 * Math.max(0, bytes - 1 - below(Math.min(4, bytes))));
  if (how === 'shiftedOffset')
    return below(2) === 0 ? digits.slice(2) : `0${below(9) + 1}${digits}`;
  const change = (text: string, index: number): string => {
    const old = Number.parseInt(text.charAt(index), 16);
    const isDecimal = /^[0-9]+$/.test(digits);
    const next = isDecimal ? (old + 1 + below(9)) % 10 : (old + 1 + below(15)) % 16;
    return text.slice(0, index) + next.toString(16).toUpperCase() + text.slice(index + 1);
  };
  // The upper half of a byte holds no parity bit.
  if (how === 'flippedByte') return change(digits, 2 * below(Math.max(1, bytes)));
  let other = digits;
  for (let index = 0; index < digits.length; index += 2) other = change(other, index);
  return other;
}
