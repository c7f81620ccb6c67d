/** Cleans what people paste: hex in any dress, logs, hex dumps, JSON, named values. */
import { concatBytes, fromHex, toHex } from '../bytes/index.ts';
import { ExplainError } from './errors.ts';
import { foldName, type HexPiece, readLog } from './input-lines.ts';
import type { ExplainInput, Finding, InputLine } from './types.ts';

/** Longest text taken; a whole contact transaction with its log is about 20,000 characters. */
export const EXPLAIN_CHARACTERS_MAX = 200_000;
/** Most named values taken of one input. */
const VALUES_MAX = 4_000;
/** Deepest JSON nesting followed. */
const JSON_DEPTH_MAX = 8;
/** JSON fields whose arrays of texts are lines of bytes. */
const LINE_FIELDS = ['', 'input', 'lines', 'log', 'trace', 'apdus', 'commands'];
/** JSON fields whose text is the input itself. */
const MAIN_FIELDS = ['input', 'hex', 'bytes', 'raw'];

/**
 * One cleaning for all kinds.
 * @throws ExplainError `ERR_EXPLAIN_EMPTY`, `ERR_EXPLAIN_LIMIT`.
 */
export function readInput(
  input: string | Uint8Array,
  keys: Readonly<Record<string, string>> = {},
): ExplainInput {
  if (input.length > EXPLAIN_CHARACTERS_MAX) {
    throw new ExplainError('ERR_EXPLAIN_LIMIT', `more than ${EXPLAIN_CHARACTERS_MAX} characters`, {
      lengthCharacters: input.length,
    });
  }
  const read = typeof input === 'string' ? readText(input) : readBytes(input);
  const values = new Map(read.values);
  for (const [name, value] of Object.entries(keys)) values.set(foldName(name), value);
  if (read.text === '' && values.size === 0) {
    throw new ExplainError('ERR_EXPLAIN_EMPTY', 'nothing was given to explain');
  }
  return { ...read, values };
}

function readBytes(bytes: Uint8Array): ExplainInput {
  const copy = bytes.slice();
  const lines: InputLine[] = [{ direction: null, bytes: copy, offsetBytes: 0 }];
  return { text: toHex(copy), bytes: copy, lines, values: new Map(), findings: [] };
}

function readText(pasted: string): ExplainInput {
  const text = pasted.replace(/^\uFEFF/, '').trim();
  const json = /^[[{]/.test(text) ? parseJson(text) : undefined;
  if (json !== undefined && typeof json === 'object' && json !== null) return readJson(text, json);
  return assemble(text, text.split(/\r\n|\n|\r/), new Map());
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    // Text in brackets that is no JSON, as a C array of bytes, is read as text.
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

type Collected = { readonly values: Map<string, string>; readonly lines: string[] };

function readJson(text: string, json: object): ExplainInput {
  const collected: Collected = { values: new Map(), lines: [] };
  collect(json, '', '', { collected, depth: 0 });
  return assemble(text, collected.lines, collected.values);
}

/** Leaves by their own name (the first of a name stays) and by the path to them. */
function collect(
  value: unknown,
  name: string,
  path: string,
  at: { readonly collected: Collected; readonly depth: number },
): void {
  const { collected, depth } = at;
  if (depth > JSON_DEPTH_MAX || value === null || value === undefined) return;
  if (Array.isArray(value)) {
    value.forEach((item: unknown, index) => {
      const isLine = typeof item === 'string' && LINE_FIELDS.includes(name);
      if (isLine) collected.lines.push(item);
      else collect(item, isLine ? '' : name, `${path}.${index}`, { collected, depth: depth + 1 });
    });
    return;
  }
  if (typeof value === 'object') {
    for (const [key, item] of Object.entries(value)) {
      const folded = foldName(key);
      const inner = path === '' ? folded : `${path}.${folded}`;
      collect(item, folded, inner, { collected, depth: depth + 1 });
    }
    return;
  }
  const leaf = String(value);
  if (MAIN_FIELDS.includes(name)) collected.lines.push(...leaf.split(/\r\n|\n|\r/));
  if (collected.values.size >= VALUES_MAX) return;
  if (!collected.values.has(name)) collected.values.set(name, leaf);
  if (path !== name) collected.values.set(path, leaf);
}

function assemble(
  text: string,
  lines: readonly string[],
  given: Map<string, string>,
): ExplainInput {
  const log = readLog(lines);
  const values = new Map([...log.named, ...given]);
  const pieces = log.pieces.length > 0 ? log.pieces : onlyNamedValue(log.named, given.size);
  if (pieces === null || pieces.length === 0) {
    return { text, bytes: null, lines: [], values, findings: log.findings };
  }
  const joined = joinPieces(pieces);
  if (joined.bytes.length === 0) {
    return { text, bytes: null, lines: [], values, findings: joined.findings };
  }
  return { text, ...joined, values, findings: [...log.findings, ...joined.findings] };
}

/** A single `ATR: 3B 6D …` is the input itself, under a name that tells its kind. */
function onlyNamedValue(
  named: ReadonlyMap<string, string>,
  others: number,
): readonly HexPiece[] | null {
  const [only] = named.values();
  if (named.size !== 1 || others > 0 || only === undefined) return null;
  const digits = only.replace(/0x|\\x|[\s:,;-]/gi, '');
  if (!/^[0-9A-Fa-f]{2,}$/.test(digits)) return null;
  return [{ direction: null, digits }];
}

/** Pieces without a direction run on into one another, as a wrapped dump does. */
function joinPieces(pieces: readonly HexPiece[]): {
  bytes: Uint8Array;
  lines: readonly InputLine[];
  findings: readonly Finding[];
} {
  const lines: InputLine[] = [];
  const findings: Finding[] = [];
  let offsetBytes = 0;
  for (const piece of mergeOdd(pieces)) {
    const even = piece.digits.length - (piece.digits.length % 2);
    const bytes = fromHex(piece.digits.slice(0, even));
    lines.push({ direction: piece.direction, bytes, offsetBytes });
    offsetBytes += bytes.length;
    if (even !== piece.digits.length) findings.push(oddDigit(offsetBytes, piece.digits.slice(-1)));
  }
  return { bytes: concatBytes(...lines.map((line) => line.bytes)), lines, findings };
}

/** Lines that break inside a byte run on into the next; a single odd one is a cut-off line. */
function mergeOdd(pieces: readonly HexPiece[]): readonly HexPiece[] {
  const odd = pieces.filter((piece) => piece.digits.length % 2 !== 0).length;
  if (odd < 2 || pieces.some((piece) => piece.direction !== null)) return pieces;
  const merged: HexPiece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (last === undefined || last.digits.length % 2 === 0) merged.push(piece);
    else merged[merged.length - 1] = { ...last, digits: last.digits + piece.digits };
  }
  return merged;
}

function oddDigit(offsetBytes: number, digit: string): Finding {
  return {
    severity: 'error',
    code: 'HEX_ODD_DIGITS',
    offsetBytes,
    messageEn: `odd number of hex digits: the half byte ${digit} at the end is left out`,
    messageZh: `十六进制位数为奇数：末尾半个字节 ${digit} 未计入`,
  };
}
