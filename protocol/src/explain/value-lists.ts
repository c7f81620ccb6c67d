/** Values that are lists: data object lists, file locators, verification methods. */
import { byteAt, bytesToUint, toHex } from '../bytes/index.ts';
import { both, byteHex, finding, nodeOf } from './build.ts';
import type { AflFact, DolEntryFact, DolFact, RuleFact } from './facts.ts';
import { tagName } from './tag-names.ts';
import type { BothLanguages, ExplainNode, Finding } from './types.ts';

/** A list taken apart. */
export type ListReading<Fact> = {
  readonly fact: Fact;
  readonly text: BothLanguages;
  readonly children: readonly ExplainNode[];
  readonly findings: readonly Finding[];
};

/** Most bytes that one list may ask for in a short command. @see EMV 4.3 B3 §5.4 */
export const DOL_VALUE_BYTES_MAX = 252;

/** Most entries read of one list; its 252 bytes hold at most 126. */
const DOL_ENTRIES_MAX = 256;
/** Most bytes read of an AFL. @see EMV 4.3 B3 Annex A */
const AFL_BYTES_MAX = 252;

/** A DOL in order, a tag as often as it stands; a cut-off entry is flagged. */
export function readDol(
  tag: string | null,
  bytes: Uint8Array,
  offsetBytes: number,
): ListReading<DolFact> {
  const entries: DolEntryFact[] = [];
  const children: ExplainNode[] = [];
  const findings: Finding[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (entries.length >= DOL_ENTRIES_MAX) {
      const message = both('more entries than any list has', '项数超过任何列表');
      findings.push(finding('error', 'DOL_CUT', offsetBytes + offset, message));
      break;
    }
    const tagBytes = tagLength(bytes, offset);
    const lengthBytes = bytes[offset + tagBytes];
    if (lengthBytes === undefined || tagBytes > 4) {
      const message = both('the last entry is cut off', '最后一项不完整');
      findings.push(finding('error', 'DOL_CUT', offsetBytes + offset, message));
      break;
    }
    const entryTag = toHex(bytes.subarray(offset, offset + tagBytes));
    const name = tagName(entryTag);
    entries.push({ tag: entryTag, nameEn: name.nameEn, nameZh: name.nameZh, lengthBytes });
    const place = {
      offsetBytes: offsetBytes + offset,
      bytes: bytes.subarray(offset, offset + tagBytes + 1),
    };
    const unit = lengthBytes === 1 ? 'byte' : 'bytes';
    children.push(
      nodeOf(both(name.nameEn, name.nameZh), place, {
        tag: entryTag,
        text: both(`${lengthBytes} ${unit}`, `${lengthBytes} 字节`),
      }),
    );
    offset += tagBytes + 1;
  }
  const totalLengthBytes = entries.reduce((sum, entry) => sum + entry.lengthBytes, 0);
  const duplicates = duplicateTags(entries);
  findings.push(...dolFindings(duplicates, totalLengthBytes, offsetBytes));
  const text = both(
    `${entries.length} values, ${totalLengthBytes} bytes`,
    `${entries.length} 项，共 ${totalLengthBytes} 字节`,
  );
  return { fact: { tag, entries, totalLengthBytes, duplicates }, text, children, findings };
}

function dolFindings(
  duplicates: readonly string[],
  totalLengthBytes: number,
  offsetBytes: number,
): readonly Finding[] {
  const findings: Finding[] = [];
  for (const tag of duplicates) {
    const message = both(
      `${tag} is asked for more than once: every place is filled, in order`,
      `${tag} 被多次要求：每一处都要按顺序填入`,
    );
    findings.push(finding('note', 'DOL_DUPLICATE', offsetBytes, message));
  }
  if (totalLengthBytes > DOL_VALUE_BYTES_MAX) {
    const message = both(
      `${totalLengthBytes} bytes do not fit a command of ${DOL_VALUE_BYTES_MAX}`,
      `共 ${totalLengthBytes} 字节，超过命令可容纳的 ${DOL_VALUE_BYTES_MAX} 字节`,
    );
    findings.push(finding('error', 'DOL_TOO_LONG', offsetBytes, message));
  }
  return findings;
}

function duplicateTags(entries: readonly DolEntryFact[]): readonly string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const { tag } of entries) {
    if (seen.has(tag)) twice.add(tag);
    seen.add(tag);
  }
  return [...twice];
}

function tagLength(bytes: Uint8Array, offset: number): number {
  if ((byteAt(bytes, offset) & 0x1f) !== 0x1f) return 1;
  let length = 2;
  while (length <= 4 && ((bytes[offset + length - 1] ?? 0) & 0x80) !== 0) length += 1;
  return length;
}

/** A list of tags without lengths, as 9F4A. */
export function readTagList(bytes: Uint8Array, offsetBytes: number): ListReading<string[]> {
  const tags: string[] = [];
  const children: ExplainNode[] = [];
  let offset = 0;
  while (offset < bytes.length && tags.length < DOL_ENTRIES_MAX) {
    const end = Math.min(bytes.length, offset + tagLength(bytes, offset));
    const tag = toHex(bytes.subarray(offset, end));
    const name = tagName(tag);
    const place = { offsetBytes: offsetBytes + offset, bytes: bytes.subarray(offset, end) };
    children.push(nodeOf(both(name.nameEn, name.nameZh), place, { tag }));
    tags.push(tag);
    offset = end;
  }
  const isAip = tags.length === 1 && tags[0] === '82';
  const message = both('only 82 may stand in this list', '此列表只能含 82');
  const findings = isAip ? [] : [finding('error', 'STATIC_TAG_LIST', offsetBytes, message)];
  return { fact: tags, text: both(tags.join(' ')), children, findings };
}

/** An AFL with the READ RECORD commands that it asks for. @see EMV 4.3 B3 §10.2 */
export function readAfl(bytes: Uint8Array, offsetBytes: number): ListReading<AflFact> {
  const entries: AflFact['entries'][number][] = [];
  const commands: string[] = [];
  const signedCommands: string[] = [];
  const children: ExplainNode[] = [];
  const findings: Finding[] = [];
  for (let offset = 0; offset + 4 <= Math.min(bytes.length, AFL_BYTES_MAX); offset += 4) {
    const sfi = byteAt(bytes, offset) >> 3;
    const firstRecord = byteAt(bytes, offset + 1);
    const lastRecord = byteAt(bytes, offset + 2);
    const signedRecords = byteAt(bytes, offset + 3);
    entries.push({ sfi, firstRecord, lastRecord, signedRecords });
    findings.push(...aflFindings(bytes.subarray(offset, offset + 4), offsetBytes + offset));
    for (let record = firstRecord; record <= lastRecord; record++) {
      const command = `00B2${byteHex(record)}${byteHex((sfi << 3) | 0x04)}00`;
      commands.push(command);
      if (record < firstRecord + signedRecords) signedCommands.push(command);
    }
    const range = firstRecord === lastRecord ? `${firstRecord}` : `${firstRecord}-${lastRecord}`;
    const place = { offsetBytes: offsetBytes + offset, bytes: bytes.subarray(offset, offset + 4) };
    children.push(
      nodeOf(both(`File ${sfi}, records ${range}`, `文件 ${sfi}，记录 ${range}`), place, {
        text: both(
          `${signedRecords} of them for offline data authentication`,
          `其中 ${signedRecords} 条参与脱机数据认证`,
        ),
      }),
    );
  }
  if (bytes.length > AFL_BYTES_MAX) {
    const message = both('longer than an AFL may be', '超过 AFL 的最大长度');
    findings.push(finding('error', 'AFL_LENGTH', offsetBytes + AFL_BYTES_MAX, message));
  }
  if (bytes.length === 0 || bytes.length % 4 !== 0) {
    const at = offsetBytes + bytes.length - (bytes.length % 4);
    const message = both('not whole entries of 4 bytes', '不是 4 字节的整数倍');
    findings.push(finding('error', 'AFL_LENGTH', at, message));
  }
  const fact = { value: toHex(bytes), entries, commands, signedCommands };
  const text = both(
    `${commands.length} records, ${signedCommands.length} for offline data authentication`,
    `${commands.length} 条记录，其中 ${signedCommands.length} 条参与脱机数据认证`,
  );
  return { fact, text, children, findings };
}

function aflFindings(entry: Uint8Array, offsetBytes: number): readonly Finding[] {
  const [first = 0, firstRecord = 0, lastRecord = 0, signedRecords = 0] = entry;
  const findings: Finding[] = [];
  const add = (at: number, message: BothLanguages) =>
    findings.push(finding('error', 'AFL_ENTRY', offsetBytes + at, message));
  const sfi = first >> 3;
  if ((first & 7) !== 0) add(0, both('bits 3-1 of the file are not 0', '文件字节的低三位不为 0'));
  if (sfi === 0 || sfi === 31) add(0, both(`${sfi} is no file`, `${sfi} 不是文件标识`));
  if (firstRecord === 0) add(1, both('record 0 does not exist', '记录号不能为 0'));
  if (lastRecord < firstRecord) {
    add(2, both('the last record is before the first', '末记录号小于首记录号'));
  } else if (signedRecords > lastRecord - firstRecord + 1) {
    add(3, both('more signed records than records', '参与认证的记录数多于记录数'));
  }
  return findings;
}

const METHODS: Readonly<Record<number, BothLanguages>> = {
  0: both('Fail CVM processing', 'CVM 处理失败'),
  1: both('Plaintext PIN verified by the card', '卡片验证明文脱机密码'),
  2: both('Enciphered PIN verified online', '联机加密密码验证'),
  3: both('Plaintext PIN verified by the card, and signature', '卡片验证明文脱机密码，并签名'),
  4: both('Enciphered PIN verified by the card', '卡片验证加密脱机密码'),
  5: both('Enciphered PIN verified by the card, and signature', '卡片验证加密脱机密码，并签名'),
  30: both('Signature (paper)', '签名（纸）'),
  31: both('No CVM required', '无需 CVM'),
  32: both("Cardholder's identity document (PBOC)", '持卡人证件验证（PBOC）'),
  63: both('No CVM performed', '未执行 CVM'),
};

const CONDITIONS: readonly BothLanguages[] = [
  both('always', '任何情况'),
  both('if unattended cash', '无人值守现金交易'),
  both(
    'if not unattended cash and not manual cash and not purchase with cashback',
    '非无人值守现金、非手工现金、非返现消费',
  ),
  both('if terminal supports the CVM', '终端支持该 CVM'),
  both('if manual cash', '手工现金交易'),
  both('if purchase with cashback', '返现消费'),
  both('if in the application currency and under X', '应用货币且金额小于 X'),
  both('if in the application currency and over X', '应用货币且金额大于 X'),
  both('if in the application currency and under Y', '应用货币且金额小于 Y'),
  both('if in the application currency and over Y', '应用货币且金额大于 Y'),
];

/** What a rule's first byte asks for. @see EMV 4.3 B3 §C3 table 39 */
export function cvmMethod(code: number): BothLanguages {
  return METHODS[code & 0x3f] ?? both('Reserved method', '保留的方法');
}

/** What a rule's second byte says. @see EMV 4.3 B3 §C3 table 40 */
export function cvmCondition(condition: number): BothLanguages {
  return CONDITIONS[condition] ?? both('reserved condition', '保留的条件');
}

/** One rule as a fact. */
export function cvmRule(code: number, condition: number): RuleFact {
  return {
    code: byteHex(code),
    condition: byteHex(condition),
    methodEn: cvmMethod(code).en,
    conditionEn: cvmCondition(condition).en,
    onFailure: (code & 0x40) !== 0 ? 'next' : 'fail',
  };
}

/** Facts of a CVM list. */
export type CvmListFact = {
  readonly amountX: string;
  readonly amountY: string;
  readonly rules: readonly RuleFact[];
};

/** A CVM list. @see EMV 4.3 B3 §10.5 */
export function readCvmList(bytes: Uint8Array, offsetBytes: number): ListReading<CvmListFact> {
  const rules: RuleFact[] = [];
  const children: ExplainNode[] = [];
  const findings: Finding[] = [];
  for (let offset = 8; offset + 2 <= bytes.length; offset += 2) {
    const code = byteAt(bytes, offset);
    const condition = byteAt(bytes, offset + 1);
    const rule = cvmRule(code, condition);
    rules.push(rule);
    const method = cvmMethod(code);
    const when = cvmCondition(condition);
    const isNext = rule.onFailure === 'next';
    const place = { offsetBytes: offsetBytes + offset, bytes: bytes.subarray(offset, offset + 2) };
    const text = both(
      `${when.en}; when it fails ${isNext ? 'the next rule' : 'verification fails'}`,
      `条件：${when.zh}；失败后${isNext ? '用下一条' : '持卡人验证失败'}`,
    );
    children.push(nodeOf(method, place, { text }));
  }
  if (bytes.length < 10 || bytes.length % 2 !== 0) {
    const message = both('not amounts X, Y and whole rules', '不是金额 X、Y 加整数条规则');
    findings.push(finding('error', 'CVM_LIST_LENGTH', offsetBytes + bytes.length, message));
  }
  const amount = (start: number) => String(bytesToUint(bytes.subarray(start, start + 4)));
  const fact = { amountX: amount(0), amountY: amount(4), rules };
  const text = both(
    `X = ${fact.amountX}, Y = ${fact.amountY}, ${rules.length} rules`,
    `X = ${fact.amountX}，Y = ${fact.amountY}，${rules.length} 条规则`,
  );
  return { fact, text, children, findings };
}
