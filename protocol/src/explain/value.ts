/** What the value of any data element says: text, flags, inner parts, and what is odd about it. */
import { byteAt, bytesToLatin1, luhnCheckDigit, toHex } from '../bytes/index.ts';
import { cryptogramTypeOf } from '../emv/data/index.ts';
import { both, byteHex, finding, nodeOf, quoted } from './build.ts';
import type { BitFact, ValueFact } from './facts.ts';
import { isPrintableAscii, readableText } from './gbk.ts';
import { readIad, uintText } from './iad.ts';
import {
  amountText,
  applicationName,
  countryName,
  currencyName,
  dayOf,
  fullYear,
} from './names.ts';
import { tagName } from './tag-names.ts';
import type { BothLanguages, ExplainNode, Fact, Finding } from './types.ts';
import { readFlags } from './value-bits.ts';
import {
  cvmCondition,
  cvmMethod,
  cvmRule,
  readAfl,
  readCvmList,
  readDol,
  readTagList,
} from './value-lists.ts';
import { readCplc, readTerminalType, readTrack2, readTransactionType } from './value-parts.ts';

/** A value taken apart. */
export type ValueReading = {
  readonly text: BothLanguages | null;
  readonly bits: readonly BitFact[];
  readonly detail: Fact;
  readonly children: readonly ExplainNode[];
  readonly findings: readonly Finding[];
};

/** Where a value stands and what else is known of its transaction. */
export type ValueContext = {
  readonly offsetBytes: number;
  /** 5F2A, 9F42 or 9F51 beside it. */
  readonly currency?: string | undefined;
};

/** What a tag's reader gives; missing parts are empty. */
export type PartialReading = Partial<ValueReading>;
type Reader = (bytes: Uint8Array, context: ValueContext, tag: string) => PartialReading;

/** The value of `tag`; never throws. */
export function readValue(tag: string, bytes: Uint8Array, context: ValueContext): ValueReading {
  const reading = READERS[tag]?.(bytes, context, tag) ?? byFormat(tag, bytes, context);
  const flags = readFlags(tag, bytes, context.offsetBytes);
  return {
    text: flags ? flagText(flags.bits) : (reading.text ?? null),
    bits: flags?.bits ?? reading.bits ?? [],
    detail: reading.detail ?? null,
    children: flags?.children ?? reading.children ?? [],
    findings: [
      ...lengthFindings(tag, bytes, context),
      ...(flags?.findings ?? reading.findings ?? []),
    ],
  };
}

/** The value as a fact. */
export function valueFact(tag: string, bytes: Uint8Array, reading: ValueReading): ValueFact {
  const { nameEn, nameZh } = tagName(tag);
  return {
    tag,
    nameEn,
    nameZh,
    value: toHex(bytes),
    lengthBytes: bytes.length,
    text: reading.text?.en ?? null,
    textZh: reading.text?.zh ?? null,
    bits: reading.bits,
    detail: reading.detail,
  };
}

/** The value as a line of the tree. */
export function valueNode(
  tag: string,
  bytes: Uint8Array,
  reading: ValueReading,
  offsetBytes: number,
): ExplainNode {
  const { nameEn, nameZh } = tagName(tag);
  return nodeOf(
    both(nameEn, nameZh),
    { offsetBytes, bytes },
    { tag, text: reading.text, children: reading.children, findings: reading.findings },
  );
}

function flagText(bits: readonly BitFact[]): BothLanguages {
  if (bits.length === 0) return both('no bit is set', '没有置位');
  return both(bits.map((bit) => bit.nameEn).join('; '), bits.map((bit) => bit.nameZh).join('；'));
}

function lengthFindings(tag: string, bytes: Uint8Array, context: ValueContext): readonly Finding[] {
  const { lengths } = tagName(tag);
  if (!lengths || (bytes.length >= lengths[0] && bytes.length <= lengths[1])) return [];
  const range = lengths[0] === lengths[1] ? `${lengths[0]}` : `${lengths[0]} to ${lengths[1]}`;
  const message = both(
    `${tag} has ${bytes.length} bytes, ${range} expected`,
    `${tag} 长度 ${bytes.length} 字节，应为 ${range.replace(' to ', ' 至 ')} 字节`,
  );
  return [finding('warning', 'VALUE_LENGTH', context.offsetBytes, message)];
}

/** Values without a rule of their own, by the dictionary's format. */
function byFormat(tag: string, bytes: Uint8Array, context: ValueContext): PartialReading {
  const { format } = tagName(tag);
  if (format === 'n' || format === 'cn') return readDigits(bytes, context, tag);
  if (format.startsWith('a')) return readText(bytes, context, tag);
  return {};
}

function readDigits(bytes: Uint8Array, context: ValueContext, tag: string): PartialReading {
  const digits = toHex(bytes).replace(/F+$/, '');
  const bad = digits.search(/[^0-9]/);
  if (bad < 0) return { text: both(digits) };
  const message = both(
    `${tag} holds ${digits[bad]}, which is no digit`,
    `${tag} 含非数字 ${digits[bad]}`,
  );
  return {
    findings: [finding('error', 'VALUE_DIGIT', context.offsetBytes + (bad >> 1), message)],
  };
}

/** ASCII or GBK; what is neither is flagged and shown with dots. */
function readText(bytes: Uint8Array, context: ValueContext, tag: string): PartialReading {
  if (bytes.length === 0) return { text: both('empty', '空') };
  const text = readableText(trimZeros(bytes));
  if (text === null) {
    if (bytes.every((value) => value === 0)) return { text: both('empty', '空') };
    const message = both(`${tag} is no text in GBK or ASCII`, `${tag} 不是 GBK 或 ASCII 文本`);
    return {
      text: both(quoted(bytes)),
      findings: [finding('warning', 'VALUE_TEXT', context.offsetBytes, message)],
    };
  }
  const isPadded = trimZeros(bytes).length !== bytes.length;
  const message = both('text is filled up with 00', '文本以 00 填充');
  return {
    text: both(text),
    detail: { text, encoding: isPrintableAscii(trimZeros(bytes)) ? 'ASCII' : 'GBK' },
    findings: isPadded ? [finding('note', 'VALUE_TEXT_FILLER', context.offsetBytes, message)] : [],
  };
}

function trimZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && byteAt(bytes, end - 1) === 0) end -= 1;
  return bytes.subarray(0, end);
}

const amount: Reader = (bytes, context, tag) => {
  const digits = toHex(bytes);
  if (!/^[0-9]+$/.test(digits)) return readDigits(bytes, context, tag);
  const amountMinor = digits.replace(/^0+(?=\d)/, '');
  const text = amountText(amountMinor, context.currency ?? currencyOfTag(tag));
  return { text: both(text), detail: { amountMinor, text } };
};

/** E-cash of the first currency is in yuan unless the card says otherwise. @see PBOC3 P13 */
function currencyOfTag(tag: string): string | undefined {
  return ['9F77', '9F78', '9F79', '9F6D', '9F5D', '9F7B'].includes(tag) ? '156' : undefined;
}

const binaryAmount: Reader = (bytes, context) => {
  const amountMinor = uintText(bytes);
  return { text: both(amountText(amountMinor, context.currency)), detail: { amountMinor } };
};

const number: Reader = (bytes) => ({
  text: both(uintText(bytes)),
  detail: Number(uintText(bytes)),
});

const currency: Reader = (bytes) => ({ text: currencyName(toHex(bytes)) });
const country: Reader = (bytes) => ({ text: countryName(toHex(bytes)) });

const date: Reader = (bytes, context, tag) => {
  const day = dayOf(toHex(bytes));
  if (day !== null) return { text: both(day), detail: { date: day } };
  const message = both(`${tag} is no date YYMMDD`, `${tag} 不是 YYMMDD 日期`);
  const isEmpty = bytes.every((value) => value === 0);
  return {
    findings: [finding(isEmpty ? 'note' : 'error', 'VALUE_DATE', context.offsetBytes, message)],
  };
};

const pan: Reader = (bytes, context, tag) => {
  const digits = toHex(bytes).replace(/F+$/, '');
  if (!/^[0-9]+$/.test(digits)) return readDigits(bytes, context, tag);
  const isGood = luhnCheckDigit(digits.slice(0, -1)) === digits.slice(-1);
  const message = both('the check digit (Luhn) of the PAN is wrong', '主账号校验位（Luhn）错误');
  return {
    text: both(digits),
    detail: { pan: digits, luhn: isGood },
    findings: isGood ? [] : [finding('warning', 'PAN_CHECK_DIGIT', context.offsetBytes, message)],
  };
};

const aid: Reader = (bytes) => {
  const name = applicationName(toHex(bytes));
  if (isPrintableAscii(bytes) && bytes.length > 0) {
    const text = bytesToLatin1(bytes);
    return {
      text: both(
        `"${text}"${name ? `, ${name.en}` : ''}`,
        `"${text}"${name ? `，${name.zh}` : ''}`,
      ),
    };
  }
  return { text: name };
};

const CRYPTOGRAMS: Readonly<Record<string, BothLanguages>> = {
  AAC: both('AAC: declined', 'AAC：拒绝'),
  TC: both('TC: approved', 'TC：批准'),
  ARQC: both('ARQC: online authorisation requested', 'ARQC：请求联机授权'),
  RFU: both('reserved', '保留'),
};

/** @see EMV 4.3 B3 §6.5.5 table 14 */
const cid: Reader = (bytes, context) => {
  const value = bytes[0] ?? 0;
  const type = cryptogramTypeOf(value);
  const isAdvice = (value & 0x08) !== 0;
  const reason = REASONS[value & 7] ?? both('reserved', '保留');
  const findings =
    (value & 0x37) === 0 && !isAdvice
      ? []
      : [
          finding(
            'note',
            'CID_REASON',
            context.offsetBytes,
            both(
              `advice ${isAdvice ? 'required' : 'not required'}; reason: ${reason.en}`,
              `${isAdvice ? '需要' : '不需要'}通知；原因：${reason.zh}`,
            ),
          ),
        ];
  return {
    text: CRYPTOGRAMS[type] ?? null,
    detail: { type, advice: isAdvice, reason: value & 7 },
    findings,
  };
};

const REASONS: readonly BothLanguages[] = [
  both('none', '无'),
  both('service not allowed', '不允许的服务'),
  both('PIN try limit exceeded', '密码尝试次数超限'),
  both('issuer authentication failed', '发卡行认证失败'),
];

const RESULTS: readonly BothLanguages[] = [
  both('unknown', '未知'),
  both('failed', '失败'),
  both('successful', '成功'),
];

/** @see EMV 4.3 B4 §A4 */
const cvmResults: Reader = (bytes) => {
  const [code = 0, condition = 0, result = 0] = bytes;
  const outcome = RESULTS[result] ?? both('reserved', '保留');
  const method = cvmMethod(code);
  const when = cvmCondition(condition);
  return {
    text: both(
      `${method.en}; ${when.en}; ${outcome.en}`,
      `${method.zh}；${when.zh}；${outcome.zh}`,
    ),
    detail: { ...cvmRule(code, condition), result: outcome.en },
  };
};

const dol: Reader = (bytes, context, tag) => {
  const read = readDol(tag, bytes, context.offsetBytes);
  return { ...read, detail: read.fact };
};

const afl: Reader = (bytes, context) => {
  const read = readAfl(bytes, context.offsetBytes);
  return { ...read, detail: read.fact };
};

const cvmList: Reader = (bytes, context) => {
  const read = readCvmList(bytes, context.offsetBytes);
  return { ...read, detail: read.fact };
};

const tagList: Reader = (bytes, context) => {
  const read = readTagList(bytes, context.offsetBytes);
  return { ...read, detail: read.fact };
};

const iad: Reader = (bytes, context) => {
  const read = readIad(bytes, context.offsetBytes);
  return { ...read, detail: read.fact };
};

const logEntry: Reader = ([sfi = 0, records = 0]) => ({
  text: both(`file ${sfi}, ${records} records`, `文件 ${sfi}，${records} 条记录`),
  detail: { sfi, records },
});

const languages: Reader = (bytes) => {
  const codes = bytesToLatin1(bytes).match(/../g) ?? [];
  return { text: both(codes.join(', ')), detail: [...codes] };
};

const ARCS: Readonly<Record<string, BothLanguages>> = {
  '00': both('approved', '批准'),
  '01': both('refer to issuer', '查询发卡行'),
  '05': both('declined', '拒绝'),
  '51': both('not enough money', '余额不足'),
  '55': both('wrong PIN', '密码错误'),
  Y1: both('offline approved', '脱机批准'),
  Z1: both('offline declined', '脱机拒绝'),
  Y3: both('unable to go online, offline approved', '无法联机，脱机批准'),
  Z3: both('unable to go online, offline declined', '无法联机，脱机拒绝'),
};

const responseCode: Reader = (bytes) => {
  const code = bytesToLatin1(bytes).replace(/[^\x20-\x7e]/g, '·');
  const meaning = ARCS[code];
  return {
    text: meaning
      ? both(`"${code}": ${meaning.en}`, `"${code}"：${meaning.zh}`)
      : both(`"${code}"`),
    detail: { code },
  };
};

/** ARPC of 8 bytes and response code of 2; method 2 is 4 and 4. @see EMV 4.3 B2 §8.2 */
const issuerAuthentication: Reader = (bytes, context) => {
  const at = (start: number, end: number) => ({
    offsetBytes: context.offsetBytes + start,
    bytes: bytes.subarray(start, end),
  });
  if (bytes.length === 10) {
    const code = bytesToLatin1(bytes.subarray(8));
    return {
      text: both(
        `ARPC, response code ${quoted(bytes.subarray(8))}`,
        `ARPC，响应码 ${quoted(bytes.subarray(8))}`,
      ),
      detail: { arpc: toHex(bytes.subarray(0, 8)), arc: toHex(bytes.subarray(8)), code },
      children: [
        nodeOf(both('Authorisation response cryptogram (ARPC)', '授权响应密文'), at(0, 8)),
        nodeOf(both('Authorisation response code', '授权响应码'), at(8, 10)),
      ],
    };
  }
  const message = both(
    `UnionPay needs 10 bytes (8-byte ARPC and 2-byte response code), here are ${bytes.length}`,
    `银联需要 10 字节（8 字节 ARPC 加 2 字节响应码），此处为 ${bytes.length} 字节`,
  );
  const findings = [
    finding('warning', 'ISSUER_AUTHENTICATION_LENGTH', context.offsetBytes, message),
  ];
  return { detail: { arpc: toHex(bytes.subarray(0, 8)), arc: null, code: null }, findings };
};

const DOCUMENTS: readonly BothLanguages[] = [
  both('national identity card', '身份证'),
  both("officer's card", '军官证'),
  both('passport', '护照'),
  both('entry permit', '入境证'),
  both('temporary identity card', '临时身份证'),
  both('other', '其他'),
];

/** @see PBOC3 P5 (9F62) */
const documentType: Reader = ([type = -1]) => ({
  text: DOCUMENTS[type] ?? DOCUMENTS[type - 0x30] ?? null,
});

const personal: Reader = (bytes, context, tag) => {
  const read = readText(bytes, context, tag);
  const message = both('personal data: must not be printed or shown', '个人信息：不得打印或显示');
  const note = finding('warning', 'PERSONAL_DATA', context.offsetBytes, message);
  return { ...read, findings: [...(read.findings ?? []), note] };
};

const priority: Reader = ([value = 0]) => {
  const rank = value & 0x0f;
  const needsConfirmation = (value & 0x80) !== 0;
  const confirm = needsConfirmation
    ? both(', the cardholder must confirm', '，需持卡人确认')
    : both('');
  return {
    text: both(`priority ${rank || 'none'}${confirm.en}`, `优先级 ${rank || '无'}${confirm.zh}`),
    detail: { priority: rank, needsConfirmation },
  };
};

const yesNo =
  (yes: BothLanguages, no: BothLanguages): Reader =>
  ([value = 0]) => ({
    text: value === 0 ? no : value === 1 ? yes : both(byteHex(value)),
  });

/** `YYYYMMDD` in ASCII, as downloads carry it, or BCD. */
const keyExpiry: Reader = (bytes, context) => {
  const ascii = bytesToLatin1(bytes);
  const digits = bytes.length === 8 && /^[0-9]{8}$/.test(ascii) ? ascii : toHex(bytes);
  const match = /^(\d{4})(\d\d)(\d\d)$/.exec(
    digits.length === 6 ? fullYear(digits.slice(0, 2)) + digits.slice(2) : digits,
  );
  if (match) {
    const day = `${match[1]}-${match[2]}-${match[3]}`;
    return { text: both(day), detail: { date: day } };
  }
  const message = both('no date YYYYMMDD', '不是 YYYYMMDD 日期');
  return { findings: [finding('error', 'VALUE_DATE', context.offsetBytes, message)] };
};

/** Result of a script: 0 not performed, 1 failed, 2 done; which command; the script's id. */
const scriptResult: Reader = (bytes) => {
  const [first = 0] = bytes;
  const outcomes = [
    both('not performed', '未执行'),
    both('failed', '失败'),
    both('successful', '成功'),
  ];
  const outcome = outcomes[first >> 4] ?? both('reserved', '保留');
  const identifier = toHex(bytes.subarray(1, 5));
  return {
    text: both(
      `${outcome.en}, command ${first & 15}, script ${identifier}`,
      `${outcome.zh}，第 ${first & 15} 条命令，脚本 ${identifier}`,
    ),
    detail: { result: outcome.en, command: first & 15, identifier },
  };
};

/** @see PBOC3 P12 (9F69) */
const authenticationRelated: Reader = (bytes, context) => {
  const at = (start: number, end: number) => ({
    offsetBytes: context.offsetBytes + start,
    bytes: bytes.subarray(start, end),
  });
  const version = byteHex(bytes[0] ?? 0);
  return {
    text: both(`fDDA version ${version}`, `fDDA 版本 ${version}`),
    detail: {
      version,
      unpredictableNumber: toHex(bytes.subarray(1, 5)),
      ctq: toHex(bytes.subarray(5, 7)),
    },
    children: [
      nodeOf(both('fDDA version', 'fDDA 版本'), at(0, 1)),
      nodeOf(both("Card's unpredictable number", '卡片不可预知数'), at(1, 5)),
      nodeOf(both('Card transaction qualifiers', '卡片交易属性'), at(5, 7)),
    ],
  };
};

function readersFor(reader: Reader, ...tags: readonly string[]): Readonly<Record<string, Reader>> {
  return Object.fromEntries(tags.map((tag) => [tag, reader]));
}

/** Readers by tag. */
const READERS: Readonly<Record<string, Reader>> = {
  ...readersFor(amount, '9F02', '9F03', '9F54', '9F5C', '9F5D', '9F6B', '9F6D', '9F75', '9F77'),
  ...readersFor(amount, '9F78', '9F79', '9F7B', 'DF62', 'DF63', 'DF76', 'DF77', 'DF78', 'DF79'),
  ...readersFor(amount, 'DF19', 'DF20', 'DF21'),
  ...readersFor(binaryAmount, '81', '9F04', '9F1B', '9F3A'),
  ...readersFor(number, '9F36', '9F13', '9F14', '9F17', '9F23', '9F53', '9F58', '9F59'),
  ...readersFor(number, '88', '5F36', '9F44', '9F11'),
  ...readersFor(currency, '5F2A', '9F42', '9F51', '9F3C', '9F76', 'DF71'),
  ...readersFor(country, '9F1A', '5F28', '9F57'),
  ...readersFor(date, '9A', '5F24', '5F25'),
  ...readersFor(pan, '5A'),
  ...readersFor(aid, '4F', '84', '9F06', '9D'),
  ...readersFor(dol, '9F38', '8C', '8D', '97', '9F49', '9F4F', 'DF4F', 'DF14'),
  ...readersFor(logEntry, '9F4D', 'DF4D'),
  ...readersFor(personal, '9F61'),
  '57': (bytes, context) => readTrack2(bytes, context.offsetBytes),
  '87': priority,
  '8A': responseCode,
  '8E': cvmList,
  '91': issuerAuthentication,
  '94': afl,
  '9C': (bytes) => readTransactionType(bytes),
  '5F2D': languages,
  '9F10': iad,
  '9F21': (bytes) => ({ text: both((toHex(bytes).match(/../g) ?? []).join(':')) }),
  '9F27': cid,
  '9F34': cvmResults,
  '9F35': (bytes) => readTerminalType(bytes),
  '9F4A': tagList,
  '9F62': documentType,
  '9F69': authenticationRelated,
  '9F7A': yesNo(both('e-cash requested', '支持电子现金'), both('no e-cash', '不支持电子现金')),
  '9F7F': (bytes, context) => readCplc(bytes, context.offsetBytes),
  DF05: keyExpiry,
  DF31: scriptResult,
  DF60: yesNo(
    both('extended application', '扩展应用'),
    both('no extended application', '非扩展应用'),
  ),
  DF69: yesNo(
    both('SM algorithms supported', '支持国密算法'),
    both('no SM algorithms', '不支持国密算法'),
  ),
};
