/**
 * Takes card numbers out of an explanation before people copy it: first six and last four digits
 * stay. Only what may be a real number is masked: 12 to 19 digits with a right check digit, from
 * a place that holds one. @see ISO 7812
 */
import { luhnCheckDigit, toHex } from '../bytes/index.ts';
import type { ExplainInput, ExplainNode, Explanation, Fact } from './types.ts';

/** Tags and fields whose value begins with a card number or holds one. */
const PAN_TAGS: readonly string[] = ['5A', '57', '56', '9F6B', '9F1F', 'F2', 'F35', 'F36', 'F45'];
/** Named values that are card numbers or tracks. */
const PAN_NAMES: readonly string[] = ['pan', '5a', '57', 'track2', 'f2', 'f35', 'cardnumber'];
/** Facts that are card numbers or begin with one. */
const PAN_FACTS: readonly string[] = ['pan', 'subject'];
/** Shortest piece of a card number that is looked for. */
const WINDOW_DIGITS = 10;
/** Most card numbers of one explanation. */
const PANS_MAX = 50;
const HEAD_DIGITS = 6;
const TAIL_DIGITS = 4;

/** The explanation with its card numbers masked. */
export function maskExplanation(explanation: Explanation, input: ExplainInput): Explanation {
  const pans = [...pansOf(explanation, input)].slice(0, PANS_MAX);
  if (pans.length === 0) return explanation;
  return maskDeep(explanation, pans) as Explanation;
}

/** Every likely card number, as digits. */
function pansOf(explanation: Explanation, input: ExplainInput): ReadonlySet<string> {
  const found = new Set<string>();
  const look = (text: string): void => {
    for (const pan of pansIn(text)) found.add(pan);
  };
  for (const [name, value] of input.values) {
    if (PAN_NAMES.includes(name.split('.').at(-1) ?? '')) look(value.replace(/[\s-]/g, ''));
  }
  const walk = (nodes: readonly ExplainNode[]): void => {
    for (const node of nodes) {
      if (node.tag !== undefined && PAN_TAGS.includes(node.tag)) look(node.value);
      walk(node.children);
    }
  };
  walk(explanation.tree);
  lookIntoFacts(explanation.facts, look);
  return found;
}

function lookIntoFacts(fact: Fact, look: (text: string) => void): void {
  if (Array.isArray(fact)) {
    for (const one of fact) lookIntoFacts(one, look);
  } else if (typeof fact === 'object' && fact !== null) {
    const { tag, value } = fact as { readonly tag?: Fact; readonly value?: Fact };
    const isPan = typeof tag === 'string' && PAN_TAGS.includes(tag) && typeof value === 'string';
    if (isPan) look(value);
    for (const [name, one] of Object.entries(fact)) {
      if (PAN_FACTS.includes(name) && typeof one === 'string') look(one);
      // Values by tag and fields by number.
      const isField = /^(?:2|35|36|45)$/.test(name) || PAN_TAGS.includes(name);
      if (isField && typeof one === 'string') look(one);
      lookIntoFacts(one, look);
    }
  }
}

/** Numbers at the start of a value: digits up to a separator or filler, also as ASCII in hex. */
function pansIn(text: string): readonly string[] {
  const runs = [text, asciiOf(text)].map((form) => /^[B%;]{0,2}([0-9]+)/.exec(form)?.[1] ?? '');
  return runs.flatMap((run) => {
    const sizes = [19, 18, 17, 16, 15, 14, 13, 12].filter((size) => size === run.length);
    const cut = run.length > 19 ? [16, 19] : sizes;
    return cut.map((size) => run.slice(0, size)).filter(mayBePan);
  });
}

function mayBePan(digits: string): boolean {
  return (
    digits.length >= 12 &&
    !/^0+$/.test(digits) &&
    luhnCheckDigit(digits.slice(0, -1)) === digits.slice(-1)
  );
}

/** Text whose hex this is; empty when it is none. */
function asciiOf(hex: string): string {
  if (!/^(?:[2-7][0-9A-F])+$/.test(hex)) return '';
  return hex.replace(/../g, (byte) => String.fromCharCode(Number.parseInt(byte, 16)));
}

function maskDeep(value: unknown, pans: readonly string[]): unknown {
  if (typeof value === 'string') return maskText(value, pans);
  if (Array.isArray(value)) return value.map((one: unknown) => maskDeep(one, pans));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, maskDeep(one, pans)]),
  );
}

/** Stars for the middle digits of every piece of a number, in digits and in ASCII as hex. */
export function maskText(text: string, pans: readonly string[]): string {
  let masked = text;
  for (const pan of pans) {
    masked = maskForm(masked, pan, [...pan]);
    const hex = [...pan].map((digit) => toHex(Uint8Array.of(digit.charCodeAt(0))));
    masked = maskForm(masked, pan, hex);
  }
  return masked;
}

/** `symbols` are the digits as they stand in the text, all of one length. */
function maskForm(text: string, pan: string, symbols: readonly string[]): string {
  const width = symbols[0]?.length ?? 1;
  const whole = symbols.join('');
  const characters = [...text];
  for (let start = 0; start + WINDOW_DIGITS <= pan.length; start++) {
    const piece = whole.slice(start * width, (start + WINDOW_DIGITS) * width);
    for (let at = text.indexOf(piece); at >= 0; at = text.indexOf(piece, at + 1)) {
      for (let digit = start; digit < start + WINDOW_DIGITS; digit++) {
        if (digit < HEAD_DIGITS || digit >= pan.length - TAIL_DIGITS) continue;
        const place = at + (digit - start) * width;
        characters.fill('*', place, place + width);
      }
    }
  }
  return characters.join('');
}
