/** Small makers of nodes, findings, steps and checks, shared by all kinds. */
import { bytesToLatin1, fromHex, toHex } from '../bytes/index.ts';
import { ExplainError } from './errors.ts';
import { foldName } from './input-lines.ts';
import type {
  BothLanguages,
  CheckStep,
  ExplainCheck,
  ExplainInput,
  ExplainKind,
  ExplainNode,
  Finding,
} from './types.ts';

/** A text in both languages; one argument when they share it. */
export function both(en: string, zh: string = en): BothLanguages {
  return { en, zh };
}

/** Something to say about a place. */
export function finding(
  severity: Finding['severity'],
  code: string,
  offsetBytes: number | null,
  message: BothLanguages,
): Finding {
  return { severity, code, offsetBytes, messageEn: message.en, messageZh: message.zh };
}

/** What a node may have beside its name and place. */
export type NodeParts = {
  readonly tag?: string;
  readonly value?: string;
  readonly text?: BothLanguages | null;
  readonly children?: readonly ExplainNode[];
  readonly findings?: readonly Finding[];
};

/** A line of the tree for `bytes` at `offsetBytes`; `value` replaces their hex. */
export function nodeOf(
  name: BothLanguages,
  place: { readonly offsetBytes: number; readonly bytes: Uint8Array } | null,
  parts: NodeParts = {},
): ExplainNode {
  return {
    offsetBytes: place?.offsetBytes ?? null,
    lengthBytes: place?.bytes.length ?? null,
    ...(parts.tag === undefined ? {} : { tag: parts.tag }),
    nameEn: name.en,
    nameZh: name.zh,
    value: parts.value ?? (place ? toHex(place.bytes) : ''),
    ...(parts.text ? { text: parts.text.en, textZh: parts.text.zh } : {}),
    children: parts.children ?? [],
    findings: parts.findings ?? [],
  };
}

/** One step of a computation. */
export function step(name: BothLanguages, value: string): CheckStep {
  return { nameEn: name.en, nameZh: name.zh, value };
}

/** A comparison of two hex values as a check. */
export function comparison(
  name: string,
  values: { readonly expected: string; readonly actual: string },
  steps: readonly CheckStep[],
): ExplainCheck {
  const result = values.expected === values.actual ? 'passed' : 'failed';
  return { name, result, steps, ...values };
}

/** A check that cannot be made, and why. */
export function notPossible(name: string, why: BothLanguages): ExplainCheck {
  return { name, result: 'notPossible', steps: [step(why, '')] };
}

/** All findings of a tree, in order, outermost first. */
export function findingsOf(nodes: readonly ExplainNode[]): readonly Finding[] {
  return nodes.flatMap((node) => [...node.findings, ...findingsOf(node.children)]);
}

/**
 * The input's bytes. @throws ExplainError `ERR_EXPLAIN_HEX` with the first character that is no
 * hex, `ERR_EXPLAIN_EMPTY` when there is nothing at all.
 */
export function requireBytes(kind: ExplainKind, input: ExplainInput): Uint8Array {
  if (input.bytes !== null && input.bytes.length > 0) return input.bytes;
  const offsetCharacters = input.text.search(/[^0-9A-Fa-f\s]/);
  if (input.text === '' || offsetCharacters < 0) {
    throw new ExplainError('ERR_EXPLAIN_EMPTY', `${kind}: no bytes were given`, { kind });
  }
  const message = `${kind}: no hex at character ${offsetCharacters}`;
  throw new ExplainError('ERR_EXPLAIN_HEX', message, { kind, offsetCharacters });
}

/** The first of the named values that was given, as text. */
export function givenText(input: ExplainInput, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = input.values.get(foldName(name));
    if (value !== undefined && value.trim() !== '') return value.trim();
  }
  return undefined;
}

/**
 * The first of the named values as bytes.
 * @throws ExplainError `ERR_EXPLAIN_VALUE` when it is given and no hex.
 */
export function givenBytes(
  input: ExplainInput,
  ...names: readonly string[]
): Uint8Array | undefined {
  for (const name of names) {
    const value = givenText(input, name);
    if (value === undefined) continue;
    const digits = value.replace(/^0x/i, '').replace(/[\s:,-]/g, '');
    if (!/^(?:[0-9A-Fa-f]{2})+$/.test(digits)) {
      throw new ExplainError('ERR_EXPLAIN_VALUE', `${name} is no hex of whole bytes`, { name });
    }
    return fromHex(digits);
  }
  return undefined;
}

/** A named value that must be there. @throws ExplainError `ERR_EXPLAIN_MISSING`. */
export function requiredBytes(input: ExplainInput, ...names: readonly string[]): Uint8Array {
  const value = givenBytes(input, ...names);
  const name = names[0] ?? '';
  if (value === undefined) {
    throw new ExplainError('ERR_EXPLAIN_MISSING', `${name} is needed and was not given`, { name });
  }
  return value;
}

/** Whether any of the names was given. */
export function isGiven(input: ExplainInput, ...names: readonly string[]): boolean {
  return names.some((name) => givenText(input, name) !== undefined);
}

/** Two hex digits of a byte. */
export function byteHex(value: number): string {
  return toHex(Uint8Array.of(value));
}

/** Latin-1 text in quotes with dots for what cannot be printed. */
export function quoted(bytes: Uint8Array): string {
  return `"${bytesToLatin1(bytes).replace(/[^\x20-\x7e]/g, '·')}"`;
}
