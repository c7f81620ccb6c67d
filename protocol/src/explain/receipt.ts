/** Kind `receipt`: which data of a transaction belong on its slip, and which are missing. */
import { fromHex, maskPan } from '../bytes/index.ts';
import { both, finding, isGiven, nodeOf } from './build.ts';
import { ExplainError } from './errors.ts';
import { tagName } from './tag-names.ts';
import type {
  BothLanguages,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  Fact,
} from './types.ts';
import { cvmMethod } from './value-lists.ts';

export const RECEIPT_KIND: ExplainModule = { kind: 'receipt', detect, explain };

/** One line of a slip: where its value is looked for, in this order. */
type ReceiptField = {
  readonly field: string;
  readonly name: BothLanguages;
  readonly sources: readonly string[];
  readonly requirement: 'required' | 'unionPay' | 'recommended';
};

/** @see EMV 4.3 B4 §11.4 (receipt); the UnionPay slip adds counter, batch, trace, reference. */
const FIELDS: readonly ReceiptField[] = [
  {
    field: 'applicationName',
    name: both('Application preferred name or label', '应用首选名称或应用标签'),
    sources: ['9F12', '50'],
    requirement: 'required',
  },
  {
    field: 'aid',
    name: both('AID (DF name)', '应用标识（AID）'),
    sources: ['84', '4F', '9F06'],
    requirement: 'required',
  },
  {
    field: 'panMasked',
    name: both('Card number, masked', '卡号（屏蔽）'),
    sources: ['5A', 'pan', 'panMasked'],
    requirement: 'required',
  },
  {
    field: 'cryptogram',
    name: both('Application cryptogram (ARQC or TC)', '应用密文（ARQC 或 TC）'),
    sources: ['9F26'],
    requirement: 'required',
  },
  {
    field: 'tvr',
    name: both('TVR', '终端验证结果（TVR）'),
    sources: ['95'],
    requirement: 'required',
  },
  {
    field: 'tsi',
    name: both('TSI', '交易状态信息（TSI）'),
    sources: ['9B'],
    requirement: 'required',
  },
  {
    field: 'authorisationResponseCode',
    name: both('Authorisation response code', '授权响应码（ARC）'),
    sources: ['8A'],
    requirement: 'required',
  },
  {
    field: 'authorisationCode',
    name: both('Authorisation code (field 38)', '授权码（38 域）'),
    sources: ['89', 'authorisationCode', 'authorizationCode', 'authCode', 'f38'],
    requirement: 'required',
  },
  {
    field: 'cvm',
    name: both('Cardholder verification', '持卡人验证方式'),
    sources: ['9F34'],
    requirement: 'required',
  },
  {
    field: 'accountType',
    name: both('Account type', '账户类型'),
    sources: ['5F57', 'accountType'],
    requirement: 'recommended',
  },
  {
    field: 'atc',
    name: both('ATC', '应用交易计数器（ATC）'),
    sources: ['9F36'],
    requirement: 'unionPay',
  },
  {
    field: 'batchNumber',
    name: both('Batch number', '批次号'),
    sources: ['batchNumber', 'batch'],
    requirement: 'unionPay',
  },
  {
    field: 'traceNumber',
    name: both('Trace number (field 11)', '凭证号（11 域）'),
    sources: ['traceNumber', 'stan', 'f11'],
    requirement: 'unionPay',
  },
  {
    field: 'referenceNumber',
    name: both('Reference number (field 37)', '参考号（37 域）'),
    sources: ['referenceNumber', 'rrn', 'f37'],
    requirement: 'unionPay',
  },
];

/** Values that only a slip has together. */
const SLIP_TAGS: readonly string[] = ['50', '9F12', '84', '9F26', '95', '9B', '8A', '9F34'];

function detect(input: ExplainInput): number {
  if (isGiven(input, 'imkAc', 'udk', 'sessionKey', 'pdol', 'cdol1', 'frame')) return 0;
  const present = SLIP_TAGS.filter((tag) => input.values.has(tag.toLowerCase()));
  const hasName = present.includes('50') || present.includes('9F12');
  const isSlip = hasName && present.includes('8A');
  return isSlip && present.length >= 4 ? 0.93 : hasName && present.length >= 3 ? 0.45 : 0;
}

function explain({ input }: ExplainContext): Explained {
  const lines = FIELDS.map((field) => ({ ...field, ...foundValue(input, field) }));
  const present = lines.filter(({ value }) => value !== null);
  if (present.length === 0) {
    throw new ExplainError('ERR_EXPLAIN_MISSING', 'no value of a receipt was given', {
      name: 'tags',
    });
  }
  const missing = lines.filter(({ value }) => value === null);
  const needed = missing.filter(({ requirement }) => requirement !== 'recommended');
  return {
    summaryEn: `Receipt: ${present.length} fields, ${needed.length} more are needed`,
    summaryZh: `签购单：已有 ${present.length} 项，还缺 ${needed.length} 项`,
    facts: {
      items: present.map((line) => ({
        field: line.field,
        source: line.source,
        requirement: line.requirement,
        nameEn: line.name.en,
        nameZh: line.name.zh,
        value: line.value,
        text: line.text,
      })),
      missing: missing.map(({ field }) => field),
      missingRequired: missing
        .filter(({ requirement }) => requirement === 'required')
        .map(({ field }) => field),
      missingUnionPay: missing
        .filter(({ requirement }) => requirement === 'unionPay')
        .map(({ field }) => field),
      values: valuesOf(input),
    },
    tree: present.map((line) =>
      nodeOf(line.name, null, {
        ...(line.source === null ? {} : { tag: line.source }),
        value: line.value ?? '',
        text: line.text === null ? null : both(line.text),
      }),
    ),
    checks: [],
    findings: needed.map((line) =>
      finding(
        'warning',
        'RECEIPT_MISSING',
        null,
        both(`missing on the slip: ${line.name.en}`, `签购单上缺少：${line.name.zh}`),
      ),
    ),
  };
}

type Found = {
  readonly source: string | null;
  readonly value: string | null;
  readonly text: string | null;
};

function foundValue(input: ExplainInput, { field, sources }: ReceiptField): Found {
  for (const source of sources) {
    const value = input.values.get(source.toLowerCase())?.trim();
    if (value === undefined || value === '') continue;
    if (field === 'panMasked')
      return { source, value: maskPan(value.replace(/F+$/i, '')), text: null };
    return { source, value, text: textOf(source, value) };
  }
  return { source: null, value: null, text: null };
}

function textOf(source: string, value: string): string | null {
  const isHex = /^(?:[0-9A-Fa-f]{2})+$/.test(value);
  if (source === '8A' && isHex && value.length === 4) return String.fromCharCode(...fromHex(value));
  if (source === '9F34' && isHex && value.length === 6) {
    return cvmMethod(fromHex(value)[0] ?? 0).en;
  }
  return /^[0-9A-F]{2,4}$/.test(source) ? tagName(source).nameEn : null;
}

/** All that was given, by tag: two slips that differ differ here. */
function valuesOf(input: ExplainInput): Readonly<Record<string, Fact>> {
  const values: Record<string, Fact> = {};
  for (const [name, value] of input.values) if (!name.includes('.')) values[name] = value;
  return values;
}
