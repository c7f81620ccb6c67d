/** Kind `dol`: what a list asks for, and the command that answers it. @see EMV 4.3 B3 §5.4 */
import { concatBytes, toHex } from '../bytes/index.ts';
import { dolFormatOf } from '../emv/data/index.ts';
import { buildDolValue } from '../iso7816/dol.ts';
import { readCommand } from './apdu-command.ts';
import { both, byteHex, finding, givenBytes, nodeOf } from './build.ts';
import { contentFacts, splitByDol } from './content.ts';
import { ExplainError, formatError } from './errors.ts';
import type { CommandFact, DolFact, DolFacts, ObjectFact } from './facts.ts';
import { isStatusWord } from './status-words.ts';
import { isKnownTag, tagName } from './tag-names.ts';
import { readTlv } from './tlv-reader.ts';
import type {
  BothLanguages,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  ExplainNode,
  Finding,
} from './types.ts';
import { readValue, valueNode } from './value.ts';
import { type ListReading, readDol } from './value-lists.ts';

/** A list and where it came from. */
type Source = {
  readonly tag: string | null;
  readonly bytes: Uint8Array;
  readonly offsetBytes: number;
  /** What else stood around it. */
  readonly objects: readonly ObjectFact[];
  readonly statusWord: string | null;
};

const LISTS: readonly (readonly [tag: string, list: string, names: readonly string[]])[] = [
  ['9F38', 'PDOL', ['9F38', 'pdol', 'pdol_9F38']],
  ['8C', 'CDOL1', ['8C', 'cdol1', 'cdol1_8C', 'cdol']],
  ['8D', 'CDOL2', ['8D', 'cdol2', 'cdol2_8D']],
  ['9F49', 'DDOL', ['9F49', 'ddol']],
  ['97', 'TDOL', ['97', 'tdol']],
  ['9F4F', 'log format', ['9F4F', 'logformat']],
];
/** Names of an FCI or record that holds the list. */
const HOLDERS = ['fci', 'fcitemplate', 'selectresponse', 'record'];
const REQUESTS = {
  AAC: 0x00,
  TC: 0x40,
  ARQC: 0x80,
  'AAC+CDA': 0x10,
  'TC+CDA': 0x50,
  'ARQC+CDA': 0x90,
};

function detect(input: ExplainInput): number {
  const isNamed = LISTS.some(([, , names]) => names.some((name) => hasName(input, name)));
  if (isNamed) return input.values.has('gporesponse') ? 0.5 : 0.93;
  if (HOLDERS.some((name) => hasName(input, name))) return 0.9;
  return input.bytes === null || input.lines.length > 1 ? 0 : listScore(input.bytes);
}

function hasName(input: ExplainInput, name: string): boolean {
  return input.values.has(name.toLowerCase().replace(/[^a-z0-9]/g, ''));
}

/** Whole entries of known tags whose lengths are those of the dictionary. */
function listScore(bytes: Uint8Array): number {
  const { fact, findings } = readDol(null, bytes, 0);
  if (fact.entries.length === 0 || findings.some((found) => found.code === 'DOL_CUT')) return 0;
  const fitting = fact.entries.filter(({ tag, lengthBytes }) => {
    const lengths = tagName(tag).lengths;
    return (
      isKnownTag(tag) && (!lengths || (lengthBytes >= lengths[0] && lengthBytes <= lengths[1]))
    );
  });
  const share = fitting.length / fact.entries.length;
  return fact.entries.length === 1 ? share * 0.55 : share * 0.92;
}

function explainDol({ input }: ExplainContext): Explained {
  const source = findList(input);
  const list = readDol(source.tag, source.bytes, source.offsetBytes);
  if (list.fact.entries.length === 0) {
    throw formatError('dol', source.offsetBytes, 'no entry of tag and length');
  }
  const built = buildData(input, list.fact);
  const given = compareGiven(input, list.fact);
  const split = built.data ?? given.data;
  const values = split ? splitByDol(list.fact, split) : [];
  const name = LISTS.find(([tag]) => tag === source.tag)?.[1] ?? null;
  const facts: DolFacts = {
    ...list.fact,
    list: name,
    data: built.data ? toHex(built.data) : null,
    missing: built.missing,
    command: commandOf(name, list.fact, built.data),
    generateAc: generateAcOf(name, list.fact, split),
    values: values.map(({ tag, value }) => ({ tag, value: toHex(value) })),
    objects: source.objects,
    holderStatusWord: source.statusWord,
    given: given.fact,
  };
  const dolNode = nodeOf(
    both(name ?? 'Data object list', name ?? '数据对象列表'),
    { offsetBytes: source.offsetBytes, bytes: source.bytes },
    { text: list.text, children: list.children, findings: list.findings },
  );
  return {
    ...summary(list, facts),
    facts,
    tree: [dolNode, ...valuesNode(values)],
    checks: [],
    findings: [...list.findings, ...built.findings, ...given.findings],
  };
}

function summary(
  list: ListReading<DolFact>,
  facts: DolFacts,
): Pick<Explained, 'summaryEn' | 'summaryZh'> {
  const name = both(facts.list ?? 'DOL', facts.list ?? '数据对象列表');
  const wrong = facts.given && !facts.given.matches;
  return {
    summaryEn: `${name.en}: ${list.text.en}${wrong ? '; what was sent does not fit' : ''}`,
    summaryZh: `${name.zh}：${list.text.zh}${wrong ? '；所发送的长度不符' : ''}`,
  };
}

/** The list by its name, inside an FCI or record, or the bare bytes. */
function findList(input: ExplainInput): Source {
  for (const [tag, , names] of LISTS) {
    const bytes = givenBytes(input, ...names);
    if (bytes)
      return { tag, bytes: withoutTag(bytes, tag), offsetBytes: 0, objects: [], statusWord: null };
  }
  const holder = givenBytes(input, ...HOLDERS) ?? input.bytes;
  if (!holder || holder.length === 0) {
    throw new ExplainError('ERR_EXPLAIN_MISSING', 'a data object list is needed', { name: 'pdol' });
  }
  const statusWord = toHex(holder.subarray(-2));
  const hasStatus = holder.length > 4 && isStatusWord(statusWord) && isWholeWithout(holder);
  const found = listInside(hasStatus ? holder.subarray(0, -2) : holder);
  if (found) return { ...found, statusWord: hasStatus ? statusWord : null };
  return { tag: null, bytes: holder, offsetBytes: 0, objects: [], statusWord: null };
}

/** An answer whose data are whole once its status word is taken off. */
function isWholeWithout(holder: Uint8Array): boolean {
  const { objects, brokenAtBytes } = readTlv(holder.subarray(0, -2));
  return objects.length > 0 && brokenAtBytes === null;
}

/** A list given with its own tag and length is meant without them. */
function withoutTag(bytes: Uint8Array, tag: string): Uint8Array {
  if (!toHex(bytes).startsWith(tag)) return bytes;
  const { objects, brokenAtBytes } = readTlv(bytes);
  const [only] = objects;
  return only && brokenAtBytes === null && objects.length === 1 && only.tag === tag
    ? only.value
    : bytes;
}

function listInside(bytes: Uint8Array): Source | null {
  const reading = readTlv(bytes);
  const flat = [...reading.objects];
  while (flat.length > 0) {
    const object = flat.shift();
    if (!object) break;
    const isList = LISTS.some(([tag]) => tag === object.tag);
    if (isList && (object.offsetBytes > 0 || reading.objects.length === 1)) {
      const { tag, value, valueOffsetBytes } = object;
      const { objects } = contentFacts(reading.objects, false);
      return { tag, bytes: value, offsetBytes: valueOffsetBytes, objects, statusWord: null };
    }
    flat.unshift(...(object.children ?? []));
  }
  return null;
}

type Built = {
  readonly data: Uint8Array | null;
  readonly missing: readonly string[];
  readonly findings: readonly Finding[];
};

/** The list's values of the named ones; null when none was given. */
function buildData(input: ExplainInput, dol: DolFact): Built {
  const values = new Map<string, Uint8Array>();
  for (const { tag } of dol.entries) {
    const value = givenBytes(input, tag);
    if (value) values.set(tag, value);
  }
  const missing = [...new Set(dol.entries.map((entry) => entry.tag))].filter(
    (tag) => !values.has(tag),
  );
  if (values.size === 0) return { data: null, missing, findings: [] };
  const findings = missing.map((tag) =>
    finding(
      'warning',
      'DOL_VALUE_MISSING',
      null,
      both(`${tag} was not given: zeros stand for it`, `未给出 ${tag}：以零填充`),
    ),
  );
  const fitted = dol.entries.filter(({ tag, lengthBytes }) => {
    const value = values.get(tag);
    return value !== undefined && value.length !== lengthBytes;
  });
  for (const { tag, lengthBytes } of fitted) {
    const message = both(
      `${tag} was cut or filled to the ${lengthBytes} bytes asked for`,
      `${tag} 已按要求截断或填充为 ${lengthBytes} 字节`,
    );
    findings.push(finding('note', 'DOL_VALUE_FITTED', null, message));
  }
  const data = buildDolValue(dol.entries, (tag) => values.get(tag), dolFormatOf);
  return { data, missing, findings };
}

/** The command of a PDOL or DDOL; without values its head, for a person to fill. */
function commandOf(list: string | null, dol: DolFact, data: Uint8Array | null): string | null {
  if (list === 'DDOL' && data) return `00880000${byteHex(data.length)}${toHex(data)}00`;
  if (list !== 'PDOL') return null;
  const total = dol.totalLengthBytes;
  if (total > 252) return null;
  const template = total < 0x80 ? `83${byteHex(total)}` : `8381${byteHex(total)}`;
  const lc = byteHex(total + template.length / 2);
  if (data) return `80A80000${lc}${template}${toHex(data)}00`;
  return `80A80000${lc}${template}${dol.entries.map((entry) => `<${entry.tag}>`).join('')}00`;
}

function generateAcOf(
  list: string | null,
  dol: DolFact,
  data: Uint8Array | null,
): DolFacts['generateAc'] {
  const isCdol = list === 'CDOL1' || list === 'CDOL2';
  if (!isCdol || !data || data.length !== dol.totalLengthBytes || data.length > 255) return null;
  return Object.fromEntries(
    Object.entries(REQUESTS).map(([request, p1]) => [
      request,
      toHex(concatBytes(Uint8Array.of(0x80, 0xae, p1, 0, data.length), data, Uint8Array.of(0))),
    ]),
  );
}

type Given = {
  readonly data: Uint8Array | null;
  readonly fact: DolFacts['given'];
  readonly findings: readonly Finding[];
};

/** A command, its data or an Lc beside the list: does it have the length asked for? */
function compareGiven(input: ExplainInput, dol: DolFact): Given {
  const { data, command } = givenData(input);
  const status = givenBytes(input, 'response', 'sw');
  const lc = givenBytes(input, 'asked_lc', 'lc');
  if (!data && !lc) return { data: null, fact: null, findings: [] };
  const lengthBytes = data?.length ?? lc?.[0] ?? 0;
  const expectedLengthBytes = dol.totalLengthBytes;
  const matches = lengthBytes === expectedLengthBytes && (!lc || lc[0] === expectedLengthBytes);
  const fact = {
    command,
    lc: lc?.[0] ?? null,
    statusWord: status ? toHex(status) : null,
    lengthBytes,
    expectedLengthBytes,
    matches,
  };
  if (matches) return { data, fact, findings: [] };
  const refused = status
    ? both(`, hence ${toHex(status)}`, `，因此返回 ${toHex(status)}`)
    : both('');
  const message = both(
    `${lengthBytes} bytes were sent, the list asks for ${expectedLengthBytes}${refused.en}`,
    `发送了 ${lengthBytes} 字节，列表要求 ${expectedLengthBytes} 字节${refused.zh}`,
  );
  return { data, fact, findings: [finding('error', 'DOL_DATA_LENGTH', null, message)] };
}

/** Data of `cdol_data`, or of a GPO, GENERATE AC or INTERNAL AUTHENTICATE command. */
function givenData(input: ExplainInput): {
  readonly data: Uint8Array | null;
  readonly command: CommandFact | null;
} {
  const data = givenBytes(input, 'cdol_data', 'pdol_data', 'ddol_data', 'dol_data');
  if (data) return { data, command: null };
  const bytes = givenBytes(input, 'command', 'gpo_command', 'gpo');
  const read = bytes ? readCommand(bytes, 0) : null;
  if (!read) return { data: null, command: null };
  const [template] = read.fact.ins === 'A8' ? readTlv(read.data).objects : [];
  const isTemplate = template?.tag === '83';
  return { data: isTemplate ? template.value : read.data, command: read.fact };
}

function valuesNode(
  values: readonly {
    readonly tag: string;
    readonly value: Uint8Array;
    readonly offsetBytes: number;
  }[],
): readonly ExplainNode[] {
  if (values.length === 0) return [];
  const title: BothLanguages = both('Values in order', '按顺序的值');
  const currency = values.find(({ tag }) => tag === '5F2A');
  const context = { offsetBytes: 0, currency: currency ? toHex(currency.value) : undefined };
  const children = values.map(({ tag, value, offsetBytes }) =>
    valueNode(tag, value, readValue(tag, value, context), offsetBytes),
  );
  const joined = values.reduce((sum, { value }) => sum + toHex(value), '');
  return [nodeOf(title, null, { value: joined, children })];
}

/** Data object lists. */
export const DOL_MODULE: ExplainModule = { kind: 'dol', detect, explain: explainDol };
