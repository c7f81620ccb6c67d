/** Kind `tag`: values of known data elements, or a bare value whose tag is guessed. */
import { byteAt, toHex } from '../bytes/index.ts';
import { both, finding, givenText, requireBytes } from './build.ts';
import { looksLikeGpo } from './content.ts';
import { ExplainError } from './errors.ts';
import type { TagFacts, ValueFact } from './facts.ts';
import { isKnownTag, tagName, tagOfName } from './tag-names.ts';
import type {
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  ExplainNode,
  Finding,
} from './types.ts';
import { readValue, valueFact, valueNode } from './value.ts';
import { readAfl, readCvmList } from './value-lists.ts';

/** Most named values shown at once. */
const VALUES_MAX = 200;
/** Longest value of any data element. @see EMV 4.3 B3 Annex A */
const VALUE_BYTES_MAX = 255;

type Named = { readonly tag: string; readonly value: Uint8Array };

function detect(input: ExplainInput): number {
  if (input.values.has('tag') && input.bytes !== null) return 0.97;
  const named = namedValues(input);
  if (named.length > 0) {
    const isAlone = named.length >= input.values.size / 2;
    return input.bytes !== null && input.lines.length > 1 ? 0.1 : isAlone ? 0.7 : 0.3;
  }
  if (input.bytes === null || input.lines.length > 1) return 0;
  return guessTags(input.bytes)[0]?.score ?? 0;
}

/** Values under the names of tags; other names are left to other kinds. */
function namedValues(input: ExplainInput): readonly Named[] {
  const named: Named[] = [];
  for (const [name, text] of input.values) {
    if (name.includes('.') || named.length >= VALUES_MAX) continue;
    const tag = tagOfName(name);
    const digits = text.replace(/^0x/i, '').replace(/[\s:]/g, '');
    if (tag === null || !isKnownTag(tag) || !/^(?:[0-9A-Fa-f]{2})+$/.test(digits)) continue;
    const value = Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    named.push({ tag, value });
  }
  return named;
}

type TagGuess = { readonly tag: string; readonly score: number };

/** Tags that a value without a name may belong to, by length and form, the likeliest first. */
export function guessTags(bytes: Uint8Array): readonly TagGuess[] {
  const guesses: TagGuess[] = [];
  if (bytes.length > VALUE_BYTES_MAX) return guesses;
  const add = (tag: string, score: number) => guesses.push({ tag, score });
  const hex = toHex(bytes);
  if (bytes.length >= 7 && bytes.length <= 32 && /^07....03/.test(hex)) add('9F10', 0.9);
  if (bytes.length >= 7 && bytes.length <= 32 && /^06....03/.test(hex)) add('9F10', 0.8);
  if (isCvmList(bytes)) add('8E', 0.86);
  if (isAfl(bytes)) add('94', 0.84);
  if (looksLikeGpo(bytes)) add('94', 0.05);
  if (/^[0-9]{12,19}D[0-9]{7,}F?$/.test(hex) && bytes.length <= 19) add('57', 0.9);
  if (bytes.length === 5) add('95', reservedBits('95', bytes) ? 0.3 : 0.62);
  if (bytes.length === 2) add('82', hex.endsWith('00') && !reservedBits('82', bytes) ? 0.5 : 0.2);
  if (bytes.length === 2) add('9B', 0.18);
  if (bytes.length === 2) add('9F07', 0.15);
  if (bytes.length === 2) add('9F6C', 0.12);
  if (bytes.length === 3) add('9F34', isCvmResults(bytes) ? 0.5 : 0.1);
  if (bytes.length === 3) add('9F33', reservedBits('9F33', bytes) ? 0.15 : 0.45);
  if (bytes.length === 4) add('9F66', reservedBits('9F66', bytes) ? 0.12 : 0.4);
  if (bytes.length === 6 && /^[0-9]{12}$/.test(hex)) add('9F02', 0.4);
  if (bytes.length === 1) add('9F27', [0, 0x40, 0x80].includes(byteAt(bytes, 0)) ? 0.4 : 0.1);
  return guesses.sort((left, right) => right.score - left.score);
}

function reservedBits(tag: string, bytes: Uint8Array): boolean {
  return readValue(tag, bytes, { offsetBytes: 0 }).findings.some(
    (each) => each.code === 'BITS_RESERVED',
  );
}

function isAfl(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes.length % 4 === 0 && readAfl(bytes, 0).findings.length === 0;
}

function isCvmList(bytes: Uint8Array): boolean {
  if (bytes.length < 10 || bytes.length % 2 !== 0 || bytes.length > 40) return false;
  const { rules } = readCvmList(bytes, 0).fact;
  const known = rules.filter(
    (rule) => rule.methodEn !== 'Reserved method' && Number.parseInt(rule.condition, 16) < 10,
  );
  const isUnused = (bytes[0] ?? 0) === 0 && (bytes[4] ?? 0) === 0;
  return isUnused && known.length === rules.length;
}

function isCvmResults([code = 0, condition = 0, result = 0]: Uint8Array): boolean {
  return (
    ([0, 1, 2, 3, 4, 5, 30, 31].includes(code & 0x3f) || code === 0x3f) &&
    condition < 10 &&
    result < 3
  );
}

function explainTag({ input }: ExplainContext): Explained {
  const asked = givenText(input, 'tag');
  if (asked !== undefined) {
    const tag = tagOfName(asked.toLowerCase().replace(/[^a-z0-9]/g, ''));
    if (tag === null)
      throw new ExplainError('ERR_EXPLAIN_VALUE', `${asked} is no tag`, { name: 'tag' });
    return explainValues([{ tag, value: requireBytes('tag', input) }], [], []);
  }
  const named = namedValues(input);
  if (named.length > 0) return explainValues(named, [], absentNote(input));
  const bytes = requireBytes('tag', input);
  const [first, ...others] = guessTags(bytes);
  if (!first) {
    throw new ExplainError('ERR_EXPLAIN_MISSING', 'the tag of this value is needed', {
      name: 'tag',
    });
  }
  return explainValues(
    [{ tag: first.tag, value: bytes }],
    others.map((guess) => guess.tag),
    [],
  );
}

/** Lengths given in place of values (`9F61_len`). */
function absentNote(input: ExplainInput): readonly Finding[] {
  return [...input.values].flatMap(([name, value]) => {
    const tag = /^([0-9a-f]{2,4})len$/.exec(name)?.[1]?.toUpperCase();
    if (tag === undefined || !isKnownTag(tag)) return [];
    const { nameEn, nameZh, isSensitive } = tagName(tag);
    const message = both(
      `${tag} ${nameEn}: ${value} bytes, not shown here`,
      `${tag} ${nameZh}：${value} 字节，此处未给出`,
    );
    return [
      finding(
        isSensitive ? 'warning' : 'note',
        isSensitive ? 'PERSONAL_DATA' : 'VALUE_ABSENT',
        null,
        message,
      ),
    ];
  });
}

function explainValues(
  named: readonly Named[],
  otherTags: readonly string[],
  more: readonly Finding[],
): Explained {
  const values: Record<string, ValueFact> = {};
  const tree: ExplainNode[] = [];
  const findings: Finding[] = [...more];
  const currency = named.find(({ tag }) => ['5F2A', '9F42', '9F51'].includes(tag));
  const context = { offsetBytes: 0, currency: currency ? toHex(currency.value) : undefined };
  for (const { tag, value } of named) {
    const reading = readValue(tag, value, context);
    values[tag] = valueFact(tag, value, reading);
    tree.push(valueNode(tag, value, reading, 0));
    findings.push(...reading.findings, ...reading.children.flatMap((child) => child.findings));
  }
  const [first] = named;
  const fact = first ? values[first.tag] : undefined;
  const facts: TagFacts = { tag: first?.tag ?? '', values, otherTags };
  return {
    summaryEn: `${fact?.tag} ${fact?.nameEn}: ${fact?.text ?? fact?.value}`,
    summaryZh: `${fact?.tag} ${fact?.nameZh}：${fact?.textZh ?? fact?.value}`,
    facts,
    tree,
    checks: [],
    findings,
  };
}

/** Values of data elements. */
export const TAG_MODULE: ExplainModule = { kind: 'tag', detect, explain: explainTag };
