/**
 * Kind `iso8583`: an interchange frame of the POS dialect, the interbank dialect or a private one.
 * @see ISO 8583:1987, Q/CUP 009.1, Q/CUP 006
 */
import { bytesToLatin1, toHex } from '../bytes/index.ts';
import { both, finding, findingsOf, givenBytes, isGiven, nodeOf, requireBytes } from './build.ts';
import { formatError } from './errors.ts';
import { type ReadField, type Reading, readMessage } from './iso8583-decode.ts';
import { fragmentOf } from './iso8583-fragment.ts';
import { explainedWorth, readingFindings } from './iso8583-judge.ts';
import {
  CUPS_HEADER_PARTS,
  fieldLabel,
  fieldText,
  messageTypeLabel,
  posHeaderText,
  tpduText,
} from './iso8583-meanings.ts';
import { type Nested, nestedOf } from './iso8583-nested.ts';
import { messageMacCheck } from './keys-mac-field.ts';
import type {
  BothLanguages,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  ExplainNode,
  Fact,
  Facts,
  Finding,
} from './types.ts';

export const ISO8583_KIND: ExplainModule = { kind: 'iso8583', detect, explain };

function detect(input: ExplainInput): number {
  const bytes = frameOf(input);
  if (bytes === null) return 0;
  if (isGiven(input, 'mab') || isGiven(input, 'frame')) return 0.2;
  const reading = readMessage(bytes);
  if (reading === null) return fragmentOf(bytes) === null ? 0 : 0.4;
  return explainedWorth(reading);
}

/** One message: the pasted bytes, or the value that is called the frame. */
function frameOf(input: ExplainInput): Uint8Array | null {
  if (input.bytes !== null) {
    // Lines without a direction are one frame that was wrapped.
    const isLog = input.lines.some(({ direction }) => direction !== null);
    return isLog ? null : input.bytes;
  }
  return isGiven(input, 'frame', 'message')
    ? (givenBytes(input, 'frame', 'message') ?? null)
    : null;
}

function explain(context: ExplainContext): Explained {
  const { input } = context;
  const given = givenBytes(input, 'frame', 'message');
  const bytes = given ?? requireBytes('iso8583', input);
  const reading = readMessage(bytes);
  if (reading === null) {
    const fragment = fragmentOf(bytes);
    if (fragment !== null) return fragment;
    throw formatError('iso8583', 0, 'no message type with a bitmap behind it was found');
  }
  const check = messageMacCheck(context, bytes, reading);
  const nested = reading.fields.map((field) => nestedOf(input, field, reading));
  const tree = [...frameNodes(reading), ...fieldNodes(reading, nested)];
  const findings = [...readingFindings(reading, bytes), ...findingsOf(tree)];
  const name = messageTypeLabel(reading.type.mti);
  const count = reading.fields.length;
  return {
    summaryEn: `${reading.type.mti} ${name.en}, ${dialectName(reading).en}, ${count} fields read`,
    summaryZh: `${reading.type.mti} ${name.zh}，${dialectName(reading).zh}，读出 ${count} 个域`,
    facts: factsOf(reading, bytes),
    tree,
    checks: [...(check === null ? [] : [check]), ...nested.flatMap(({ checks }) => checks)],
    findings,
  };
}

/** Whether the frame is of one of UnionPay's own dialects. */
export function isPrivate({ format, framing }: Reading): boolean {
  if (format.name === 'cups') return false;
  return format.name !== 'unionPayPos' || framing.headerKind === 'private';
}

function dialectName(reading: Reading): BothLanguages {
  switch (reading.format.name) {
    case 'unionPayPos':
      return both('UnionPay POS dialect', '银联 POS 报文');
    case 'cups':
      return both('UnionPay interbank dialect (CUPS)', '银联联网联合报文（CUPS）');
    case 'bcd':
      return both('private dialect in BCD', '自定义 BCD 报文');
    case 'ascii':
      return both('dialect in ASCII', 'ASCII 报文');
  }
}

function frameNodes(reading: Reading): readonly ExplainNode[] {
  const { framing, type, bitmap } = reading;
  const nodes: ExplainNode[] = [];
  let offsetBytes = 0;
  const add = (name: BothLanguages, bytes: Uint8Array, text: BothLanguages | null): void => {
    const children = name.en === 'Interbank header' ? headerNodes(bytes, offsetBytes) : [];
    nodes.push(nodeOf(name, { offsetBytes, bytes }, { text, children }));
    offsetBytes += bytes.length;
  };
  if (framing.length !== null) {
    const { value, hex } = framing.length;
    const bytes = Uint8Array.of(value >> 8, value & 0xff);
    add(both('Length', '报文长度'), bytes, both(`${value} (${hex})`));
  }
  if (framing.tpdu !== null) {
    add(both('TPDU', 'TPDU'), framing.tpdu, tpduText(toHex(framing.tpdu)));
  }
  if (framing.header !== null) {
    const { header, headerKind } = framing;
    const names = { pos: both('POS header', '报文头'), cups: both('Interbank header', '报文头') };
    const name = headerKind === 'private' ? both('Version', '版本号') : names[headerKind ?? 'pos'];
    add(name, header, headerKind === 'pos' ? posHeaderText(toHex(header)) : null);
  }
  const mtiBytes = type.encoding === 'bcd' ? 2 : 4;
  nodes.push({
    ...nodeOf(both('Message type', '消息类型'), null, { value: type.mti, tag: 'MTI' }),
    offsetBytes: framing.mtiOffset,
    lengthBytes: mtiBytes,
    text: messageTypeLabel(type.mti).en,
    textZh: messageTypeLabel(type.mti).zh,
  });
  nodes.push({
    ...nodeOf(both('Bitmap', '位元表'), null, { value: toHex(bitmap.bytes) }),
    offsetBytes: bitmap.offsetBytes,
    lengthBytes: bitmap.lengthBytes,
    text: bitmap.fieldNumbers.join(' '),
    textZh: bitmap.fieldNumbers.join(' '),
  });
  return nodes;
}

function headerNodes(header: Uint8Array, baseBytes: number): readonly ExplainNode[] {
  let offset = 0;
  return CUPS_HEADER_PARTS.map(([name, lengthBytes]) => {
    const bytes = header.slice(offset, offset + lengthBytes);
    const text = bytes.every((byte) => byte >= 0x20 && byte < 0x7f) ? bytesToLatin1(bytes) : null;
    const node = nodeOf(
      name,
      { offsetBytes: baseBytes + offset, bytes },
      { text: text === null ? null : both(text) },
    );
    offset += lengthBytes;
    return node;
  });
}

function fieldNodes(reading: Reading, nested: readonly Nested[]): readonly ExplainNode[] {
  const isPos = reading.format.name === 'unionPayPos';
  const currency = reading.fields.find(({ number }) => number === 49)?.value;
  return reading.fields.map((field, index) => {
    const text = fieldText(field.number, field.value, { isPos, currency });
    const findings = fieldFindings(field, reading);
    const children = nested[index]?.nodes ?? [];
    const node = nodeOf(fieldLabel(field.number, isPos), null, {
      tag: `F${field.number}`,
      value: field.value,
      text: text ?? lengthText(field),
      children,
      findings,
    });
    const lengthBytes = field.prefix.length + field.content.length;
    return { ...node, offsetBytes: field.offsetBytes, lengthBytes };
  });
}

/** Binary that is text is shown as text. */
function lengthText({ kind, content }: ReadField): BothLanguages | null {
  const isText = content.every((byte) => byte >= 0x20 && byte < 0x7f);
  return kind === 'b' && isText && content.length > 0 ? both(bytesToLatin1(content)) : null;
}

function fieldFindings(field: ReadField, reading: Reading): readonly Finding[] {
  const findings: Finding[] = [];
  const at = field.offsetBytes;
  if (!field.isClean) {
    const what = { n: 'digits', z: 'track data', a: 'text', b: 'bytes', x: 'a signed amount' };
    findings.push(
      finding(
        'warning',
        'ISO8583_ALPHABET',
        at,
        both(
          `field ${field.number} should be ${what[field.kind]} and is not`,
          `域 ${field.number} 的内容不符合其数据类型`,
        ),
      ),
    );
  }
  const { filler } = field;
  const isUnusual = filler !== null && !/^[0F]$/.test(filler.digit);
  if (isUnusual) {
    findings.push(
      finding(
        'warning',
        'ISO8583_FILLER',
        at,
        both(
          `field ${field.number} is filled with ${filler.digit}, usual are 0 and F`,
          `域 ${field.number} 的填充为 ${filler.digit}，通常为 0 或 F`,
        ),
      ),
    );
  }
  if (field.number === 39 && reading.type.mti.charAt(2) === '0') {
    const about = both('a request carries a response code', '请求报文中出现应答码');
    findings.push(finding('note', 'ISO8583_RESPONSE_CODE', at, about));
  }
  return findings;
}

function factsOf(reading: Reading, bytes: Uint8Array): Facts {
  const { framing, format, type, bitmap, stop } = reading;
  const { length } = framing;
  const fields: Record<string, Fact> = {};
  for (const { number, value } of reading.fields) fields[String(number)] = value;
  return {
    dialect: format.name,
    privateDialect: isPrivate(reading),
    totalBytes: bytes.length,
    lengthHeader: length === null ? null : { ...length },
    tpdu: framing.tpdu === null ? null : toHex(framing.tpdu),
    header: framing.header === null ? null : toHex(framing.header),
    headerKind: framing.headerKind,
    mti: type.mti,
    mtiEncoding: type.encoding,
    mtiOffsetBytes: framing.mtiOffset,
    bitmap: toHex(bitmap.bytes),
    bitmapEncoding: bitmap.encoding,
    fieldNumbers: bitmap.fieldNumbers,
    fields,
    fieldList: reading.fields.map((field) => ({
      number: field.number,
      offsetBytes: field.offsetBytes,
      lengthBytes: field.prefix.length + field.content.length,
      length: field.prefix.length === 0 ? null : field.value.length,
      filler: field.filler?.digit ?? null,
      fillerSide: field.filler?.side ?? null,
      raw: toHex(field.content),
      value: field.value,
    })),
    missing:
      stop === null
        ? null
        : {
            field: stop.field,
            offsetBytes: stop.offsetBytes,
            why: stop.why,
            neededBytes: stop.neededBytes,
            presentBytes: stop.presentBytes,
            missingBytes: Math.max(0, stop.neededBytes - stop.presentBytes),
            rest: toHex(bytes.subarray(stop.offsetBytes)),
          },
    trailing: toHex(reading.trailing),
    fragment: null,
  };
}
