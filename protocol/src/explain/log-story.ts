/** A session told from its exchanges: what was selected, read, asked and answered. */
import { byteAt, concatBytes, toHex } from '../bytes/index.ts';
import { cryptogramTypeOf } from '../emv/data/index.ts';
import { type ResponseReading, readResponse } from './apdu.ts';
import { type CommandReading, readCommand } from './apdu-command.ts';
import { both, byteHex, finding, nodeOf } from './build.ts';
import { splitByDol } from './content.ts';
import type {
  ApduLogFacts,
  CandidateFact,
  DolFact,
  ExchangeFact,
  FciFact,
  LogCryptogramFact,
  ProcessingFact,
} from './facts.ts';
import { readIad } from './iad.ts';
import type { LogPair } from './log-pairs.ts';
import { tagName } from './tag-names.ts';
import { readTlv, type TlvObject, tlvNodes, tlvValues } from './tlv-reader.ts';
import type { BothLanguages, ExplainNode, Finding } from './types.ts';
import { readValue, valueNode } from './value.ts';
import { readFlags } from './value-bits.ts';
import { readDol } from './value-lists.ts';

const DIRECTORIES = ['1PAY.SYS.DDF01', '2PAY.SYS.DDF01'];

/** What is known so far; one function a command changes it. */
export type Story = {
  exchanges: ExchangeFact[];
  tree: ExplainNode[];
  findings: Finding[];
  candidates: CandidateFact[];
  fci: FciFact | null;
  selectedAid: string | null;
  isDirectory: boolean;
  /** Card data of the selected application by tag. */
  values: Map<string, Uint8Array>;
  processing: ProcessingFact | null;
  records: ApduLogFacts['records'][number][];
  /** What of the signed records enters data authentication, in the order read. */
  signedParts: Uint8Array[];
  getData: Record<string, string>;
  pdolData: Uint8Array | null;
  pdolValues: Map<string, Uint8Array>;
  dynamic: { readonly terminalData: Uint8Array; readonly signature: Uint8Array } | null;
  combined: CombinedAnswer[];
  cdolData: Uint8Array[];
  cryptograms: LogCryptogramFact[];
  issuerAuthentication: ApduLogFacts['issuerAuthentication'];
  /** A command whose answer is fetched by GET RESPONSE, with what came so far. */
  pending: { readonly command: CommandReading; readonly data: Uint8Array } | null;
};

/** A combined answer of GENERATE AC. */
export type CombinedAnswer = {
  /** Which of the story's cryptograms. */
  readonly index: number;
  readonly signature: Uint8Array;
  readonly unpredictableNumber: Uint8Array;
  readonly cryptogramInformationData: number;
  readonly transactionData: Uint8Array;
};

/** Tells the story of all pairs. */
export function tellStory(pairs: readonly LogPair[]): Story {
  const story: Story = {
    exchanges: [],
    tree: [],
    findings: [],
    candidates: [],
    fci: null,
    selectedAid: null,
    isDirectory: false,
    values: new Map(),
    processing: null,
    records: [],
    signedParts: [],
    getData: {},
    pdolData: null,
    pdolValues: new Map(),
    dynamic: null,
    combined: [],
    cdolData: [],
    cryptograms: [],
    issuerAuthentication: null,
    pending: null,
  };
  for (const pair of pairs) tellPair(story, pair);
  return story;
}

function tellPair(story: Story, pair: LogPair): void {
  const command = pair.command ? readCommand(pair.command.bytes, pair.command.offsetBytes) : null;
  const isGpo = (command?.fact.ins ?? story.pending?.command.fact.ins) === 'A8';
  const response = pair.response
    ? readResponse(pair.response.bytes, pair.response.offsetBytes, isGpo)
    : null;
  const number = story.exchanges.length + 1;
  const nextCommand = nextOf(command, response);
  story.exchanges.push({
    number,
    command: command?.fact ?? null,
    response: response?.fact ?? null,
    nextCommand,
  });
  const before = story.findings.length;
  story.findings.push(...(command?.findings ?? []), ...(response?.findings ?? []));
  if (pair.command && !command) addUnreadable(story, pair.command.offsetBytes);
  if (pair.response && !response) addUnreadable(story, pair.response.offsetBytes);
  const extra = command ? tellCommand(story, command, response) : [];
  const added = story.findings.slice(before);
  story.tree.push(exchangeNode(number, { command, response, extra, nextCommand, added }));
}

function addUnreadable(story: Story, offsetBytes: number): void {
  const message = both(
    'neither a command nor an answer with a status word',
    '既不是命令也不是带状态字的响应',
  );
  story.findings.push(finding('error', 'LOG_LINE', offsetBytes, message));
}

/** 61xx: GET RESPONSE; 6Cxx: the same again with the right Le. @see EMV 4.3 B1 §9.3.1 */
function nextOf(command: CommandReading | null, response: ResponseReading | null): string | null {
  const status = response?.fact.statusWord ?? '';
  if (status.startsWith('61')) return `00C00000${status.slice(2)}`;
  if (!status.startsWith('6C') || !command) return null;
  const { hex, le, lc } = command.fact;
  const bare = le === null || (lc === null && hex.length === 8) ? hex : hex.slice(0, -2);
  return bare + status.slice(2);
}

function exchangeNode(
  number: number,
  parts: {
    readonly command: CommandReading | null;
    readonly response: ResponseReading | null;
    readonly extra: readonly ExplainNode[];
    readonly nextCommand: string | null;
    readonly added: readonly Finding[];
  },
): ExplainNode {
  const { command, response, extra, nextCommand, added } = parts;
  const name = command?.fact.name ?? 'Answer';
  const status = response?.fact.statusWord ?? '';
  const next = nextCommand === null ? '' : `; next ${nextCommand}`;
  const meaning = command ? both(command.fact.meaningEn, command.fact.meaningZh) : both('', '');
  return nodeOf(both(`${number}. ${name}`), null, {
    value: status,
    text: both(`${meaning.en}${next}`, `${meaning.zh}${next.replace('; next', '；下一条命令')}`),
    children: [...(command ? [command.node] : []), ...(response ? [response.node] : []), ...extra],
    findings: added.filter((each) => each.code.startsWith('LOG_')),
  });
}

type Teller = (
  story: Story,
  command: CommandReading,
  response: ResponseReading | null,
) => readonly ExplainNode[];

const NOTHING: readonly ExplainNode[] = [];

/** What each command does to the story; the answer of a GET RESPONSE belongs to the one before. */
function tellCommand(
  story: Story,
  command: CommandReading,
  response: ResponseReading | null,
): readonly ExplainNode[] {
  if (command.fact.ins === 'C0' && story.pending && response) {
    const { pending } = story;
    const whole = concatBytes(pending.data, response.data, statusBytes(response));
    story.pending = null;
    const joined = readResponse(whole, 0, pending.command.fact.ins === 'A8') ?? response;
    if (keepPending(story, pending.command, joined)) return NOTHING;
    return TELLERS[pending.command.fact.ins]?.(story, pending.command, joined) ?? NOTHING;
  }
  story.pending = null;
  if (response && keepPending(story, command, response)) return NOTHING;
  return TELLERS[command.fact.ins]?.(story, command, response) ?? NOTHING;
}

function keepPending(story: Story, command: CommandReading, response: ResponseReading): boolean {
  if (!response.fact.statusWord.startsWith('61')) return false;
  story.pending = { command, data: response.data };
  return true;
}

function statusBytes(response: ResponseReading): Uint8Array {
  const value = Number.parseInt(response.fact.statusWord, 16);
  return Uint8Array.of(value >> 8, value & 0xff);
}

function isOk(response: ResponseReading | null): response is ResponseReading {
  return response !== null && /^(?:9000|62|63)/.test(response.fact.statusWord);
}

const tellSelect: Teller = (story, command, response) => {
  if (!isOk(response) || response.data.length === 0) return NOTHING;
  const { fci, candidates } = response.content;
  story.fci = fci;
  story.isDirectory = DIRECTORIES.includes(fci?.dfNameText ?? '');
  if (candidates.length > 0) story.candidates.push(...candidates);
  if (story.isDirectory) return NOTHING;
  story.selectedAid = fci?.dfName ?? command.fact.data;
  story.values = tlvValues(readTlv(response.data).objects);
  story.processing = null;
  return NOTHING;
};

const tellRecord: Teller = (story, command, response) => {
  if (!isOk(response)) return NOTHING;
  if (story.isDirectory) {
    story.candidates.push(...response.content.candidates);
    return NOTHING;
  }
  const sfi = Number.parseInt(command.fact.p2, 16) >> 3;
  const record = Number.parseInt(command.fact.p1, 16);
  if (story.records.some((each) => each.sfi === sfi && each.record === record)) return NOTHING;
  const signed = isSigned(story.processing, sfi, record);
  story.records.push({ sfi, record, signed, value: toHex(response.data) });
  const { objects } = readTlv(response.data);
  if (signed) story.signedParts.push(signedPart(sfi, response.data, objects));
  for (const [tag, value] of tlvValues(objects)) {
    if (!story.values.has(tag)) story.values.set(tag, value);
  }
  return NOTHING;
};

function isSigned(processing: ProcessingFact | null, sfi: number, record: number): boolean {
  return (processing?.afl?.entries ?? []).some(
    (entry) =>
      entry.sfi === sfi &&
      record >= entry.firstRecord &&
      record < entry.firstRecord + entry.signedRecords,
  );
}

/** Files 1 to 10 without the record's own tag and length, others whole. @see EMV 4.3 B3 §10.3 */
function signedPart(sfi: number, data: Uint8Array, objects: readonly TlvObject[]): Uint8Array {
  const [template] = objects;
  return sfi <= 10 && template?.tag === '70' ? template.value : data;
}

const tellOptions: Teller = (story, command, response) => {
  const offsetBytes = 0;
  if (story.selectedAid === null) addNotSelected(story);
  const [template] = readTlv(command.data).objects;
  const pdol = story.fci?.pdol ?? null;
  const sent = template?.tag === '83' ? template.value : command.data;
  story.pdolData = sent;
  const extra = pdol ? fitDol(story, { dol: pdol, data: sent, name: 'PDOL', offsetBytes }) : null;
  story.pdolValues = new Map(extra?.values ?? []);
  if (!isOk(response)) return extra?.nodes ?? NOTHING;
  story.processing = response.content.processing;
  const values = tlvValues(readTlv(response.data).objects);
  for (const [tag, value] of values) story.values.set(tag, value);
  if (values.has('9F26')) {
    story.cryptograms.push(contactlessCryptogram(story, values));
  }
  return extra?.nodes ?? NOTHING;
};

/** The cryptogram that qPBOC gives with the processing options; its kind may stand in 9F10 only. */
function contactlessCryptogram(
  story: Story,
  values: ReadonlyMap<string, Uint8Array>,
): LogCryptogramFact {
  const iad = values.get('9F10');
  const fact = iad ? readIad(iad, 0).fact : null;
  const cid = values.get('9F27')?.[0];
  const type = cid === undefined ? (fact?.secondAc ?? fact?.firstAc) : cryptogramTypeOf(cid);
  return {
    generateAc: 0,
    requested: null,
    type: type ?? 'unknown',
    cid: cid === undefined ? null : byteHex(cid),
    cryptogram: hexOf(values.get('9F26')),
    atc: hexOf(values.get('9F36')),
    iad: hexOf(iad),
    tvr: hexOf(story.pdolValues.get('95')),
    values: Object.fromEntries([...story.pdolValues].map(([tag, value]) => [tag, toHex(value)])),
  };
}

function hexOf(value: Uint8Array | undefined): string | null {
  return value ? toHex(value) : null;
}

function addNotSelected(story: Story): void {
  const best = bestCandidate(story.candidates);
  const message = best
    ? both(
        `no application is selected: the directory only lists them; SELECT ${best.aid} comes first`,
        `尚未选择应用：目录只列出应用，应先 SELECT ${best.aid}`,
      )
    : both('no application is selected in this log', '此日志中尚未选择应用');
  const severity = best || story.isDirectory ? 'error' : 'note';
  story.findings.push(finding(severity, 'LOG_GPO_BEFORE_SELECT', null, message));
}

/** The candidate of the highest priority; 1 is the highest. @see EMV 4.3 B1 §12.4 */
export function bestCandidate(candidates: readonly CandidateFact[]): CandidateFact | undefined {
  const ranked = candidates.filter((candidate) => candidate.aid !== null);
  return [...ranked].sort((left, right) => (left.priority ?? 99) - (right.priority ?? 99))[0];
}

type Fitted = {
  readonly values: ReadonlyMap<string, Uint8Array>;
  readonly nodes: readonly ExplainNode[];
};

/** The command's data taken apart by the list that the card gave. */
function fitDol(
  story: Story,
  given: {
    readonly dol: DolFact;
    readonly data: Uint8Array;
    readonly name: string;
    readonly offsetBytes: number;
  },
): Fitted {
  const { dol, data, name, offsetBytes } = given;
  if (data.length !== dol.totalLengthBytes) {
    const message = both(
      `${data.length} bytes were sent, ${name} asks for ${dol.totalLengthBytes}`,
      `发送了 ${data.length} 字节，${name} 要求 ${dol.totalLengthBytes} 字节`,
    );
    story.findings.push(finding('error', 'LOG_DOL_LENGTH', null, message));
  }
  const parts = splitByDol(dol, data);
  const values = new Map<string, Uint8Array>();
  for (const { tag, value } of parts) if (!values.has(tag)) values.set(tag, value);
  const currency = values.get('5F2A');
  const context = { offsetBytes, currency: currency ? toHex(currency) : undefined };
  const children = parts.map((part) =>
    valueNode(part.tag, part.value, readValue(part.tag, part.value, context), part.offsetBytes),
  );
  const title: BothLanguages = both(`Data by ${name}`, `按 ${name} 的数据`);
  return { values, nodes: [nodeOf(title, null, { value: toHex(data), children })] };
}

const tellGetData: Teller = (story, command, response) => {
  if (!isOk(response)) return NOTHING;
  for (const { tag, value } of readTlv(response.data).objects) {
    story.getData[tag] = toHex(value);
    if (!story.values.has(tag)) story.values.set(tag, value);
  }
  const asked = (command.fact.p1 + command.fact.p2).replace(/^00/, '');
  if (story.getData[asked] === undefined) {
    const message = both(
      `${asked} ${tagName(asked).nameEn} is not in the answer`,
      `响应中没有 ${asked}`,
    );
    story.findings.push(finding('warning', 'LOG_GET_DATA', null, message));
  }
  return NOTHING;
};

const tellInternal: Teller = (story, command, response) => {
  const ddol = story.values.get('9F49');
  const dol = ddol ? readDol('9F49', ddol, 0).fact : null;
  const fitted = dol
    ? fitDol(story, { dol, data: command.data, name: 'DDOL', offsetBytes: 0 })
    : null;
  if (!isOk(response)) return fitted?.nodes ?? NOTHING;
  const { objects } = readTlv(response.data);
  const signature = objects[0]?.tag === '80' ? objects[0].value : tlvValues(objects).get('9F4B');
  if (signature) story.dynamic = { terminalData: command.data, signature };
  return fitted?.nodes ?? NOTHING;
};

const tellGenerateAc: Teller = (story, command, response) => {
  const generateAc = story.cryptograms.filter((each) => each.generateAc > 0).length + 1;
  const tag = generateAc === 1 ? '8C' : '8D';
  const list = story.values.get(tag);
  const name = generateAc === 1 ? 'CDOL1' : 'CDOL2';
  const dol = list ? readDol(tag, list, 0).fact : null;
  const fitted = dol ? fitDol(story, { dol, data: command.data, name, offsetBytes: 0 }) : null;
  if (!isOk(response)) return fitted?.nodes ?? NOTHING;
  story.cdolData.push(command.data);
  const parts = cryptogramParts(response.data);
  const p1 = Number.parseInt(command.fact.p1, 16);
  const cid = parts.cid;
  const values = fitted?.values ?? new Map<string, Uint8Array>();
  story.cryptograms.push({
    generateAc,
    requested: cryptogramTypeOf(p1) + ((p1 & 0x10) !== 0 ? '+CDA' : ''),
    type: cid === null ? 'unknown' : cryptogramTypeOf(cid),
    cid: cid === null ? null : byteHex(cid),
    cryptogram: hexOf(parts.cryptogram),
    atc: hexOf(parts.atc),
    iad: hexOf(parts.iad),
    tvr: hexOf(values.get('95')),
    values: Object.fromEntries([...values].map(([each, value]) => [each, toHex(value)])),
  });
  noteChangedTvr(story);
  const signed = tlvValues(readTlv(response.data).objects).get('9F4B');
  const unpredictableNumber = values.get('9F37');
  if (signed && unpredictableNumber && cid !== null) {
    story.combined.push({
      index: story.cryptograms.length - 1,
      signature: signed,
      unpredictableNumber,
      cryptogramInformationData: cid,
      transactionData: transactionData(story, response.data),
    });
  }
  return [...(fitted?.nodes ?? []), ...formatOneNodes(response)];
};

type CryptogramParts = {
  readonly cid: number | null;
  readonly atc: Uint8Array | undefined;
  readonly cryptogram: Uint8Array | undefined;
  readonly iad: Uint8Array | undefined;
};

/** Format 1: CID, ATC, cryptogram, 9F10 without tags. @see EMV 4.3 B3 §6.5.5 */
function cryptogramParts(data: Uint8Array): CryptogramParts {
  const { objects } = readTlv(data);
  const [template] = objects;
  if (template?.tag === '80') {
    const { value } = template;
    return {
      cid: value[0] ?? null,
      atc: value.length >= 3 ? value.subarray(1, 3) : undefined,
      cryptogram: value.length >= 11 ? value.subarray(3, 11) : undefined,
      iad: value.length > 11 ? value.subarray(11) : undefined,
    };
  }
  const values = tlvValues(objects);
  return {
    cid: values.get('9F27')?.[0] ?? null,
    atc: values.get('9F36'),
    cryptogram: values.get('9F26'),
    iad: values.get('9F10'),
  };
}

function formatOneNodes(response: ResponseReading): readonly ExplainNode[] {
  const { objects } = readTlv(response.data);
  if (objects[0]?.tag !== '80') return NOTHING;
  const { cid, atc, cryptogram, iad } = cryptogramParts(response.data);
  const rows: readonly (readonly [string, Uint8Array | undefined])[] = [
    ['9F27', cid === null ? undefined : Uint8Array.of(cid)],
    ['9F36', atc],
    ['9F26', cryptogram],
    ['9F10', iad],
  ];
  const children = rows.flatMap(([tag, value]) =>
    value ? [valueNode(tag, value, readValue(tag, value, { offsetBytes: 0 }), 0)] : [],
  );
  return [nodeOf(both('Cryptogram (format 1)', '应用密文（格式 1）'), null, { children })];
}

/** PDOL and CDOL values, then every object of the answer but 9F4B. @see EMV 4.3 B2 §6.6.2 */
function transactionData(story: Story, answer: Uint8Array): Uint8Array {
  const { objects } = readTlv(answer);
  const inner = objects[0]?.children ?? objects;
  const kept = inner
    .filter((object) => object.tag !== '9F4B')
    .map((object) => {
      const start = object.offsetBytes;
      return answer.subarray(start, object.valueOffsetBytes + object.value.length);
    });
  return concatBytes(story.pdolData ?? new Uint8Array(0), ...story.cdolData, ...kept);
}

/** Bits that the second command has and the first had not. */
function noteChangedTvr(story: Story): void {
  const [first, second] = story.cryptograms.filter((each) => each.generateAc > 0);
  if (!first?.tvr || !second?.tvr || first.tvr === second.tvr) return;
  const bits = (hex: string) => readFlags('95', bytesOf(hex), 0)?.bits ?? [];
  const before = bits(first.tvr).map((bit) => bit.nameEn);
  const added = bits(second.tvr).filter((bit) => !before.includes(bit.nameEn));
  const message = both(
    `TVR was ${first.tvr}, is ${second.tvr}: ${added.map((bit) => bit.nameEn).join('; ')}`,
    `TVR 由 ${first.tvr} 变为 ${second.tvr}：${added.map((bit) => bit.nameZh).join('；')}`,
  );
  story.findings.push(finding('note', 'LOG_TVR_CHANGED', null, message));
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** UnionPay's issuer authentication data: ARPC of 8 bytes and response code of 2. */
const ISSUER_AUTHENTICATION_BYTES = 10;

const tellExternal: Teller = (story, command, response) => {
  const accepted = response?.fact.statusWord === '9000';
  const { length } = command.data;
  story.issuerAuthentication = {
    data: toHex(command.data),
    lengthBytes: command.data.length,
    expectedLengthBytes: ISSUER_AUTHENTICATION_BYTES,
    statusWord: response?.fact.statusWord ?? null,
    accepted,
  };
  if (command.data.length !== ISSUER_AUTHENTICATION_BYTES) {
    const message = both(
      `issuer authentication data have ${length} bytes, UnionPay needs 10: ARPC and response code`,
      `发卡行认证数据为 ${length} 字节，银联要求 10 字节：ARPC（8）加响应码（2）`,
    );
    story.findings.push(finding('error', 'LOG_ISSUER_AUTHENTICATION_LENGTH', null, message));
  }
  const reading = readValue('91', command.data, { offsetBytes: 0 });
  return [valueNode('91', command.data, reading, 0)];
};

const tellVerify: Teller = (story, command, response) => {
  if (byteAt(command.bytes, 3) === 0x80) {
    const message = both('a plaintext PIN block is in this log', '此日志含明文密码块');
    story.findings.push(finding('warning', 'LOG_PIN_IN_CLEAR', null, message));
  }
  return response ? tlvNodes(readTlv(response.data).objects) : NOTHING;
};

const TELLERS: Readonly<Record<string, Teller>> = {
  '20': tellVerify,
  '82': tellExternal,
  '88': tellInternal,
  A4: tellSelect,
  A8: tellOptions,
  AE: tellGenerateAc,
  B2: tellRecord,
  CA: tellGetData,
};
