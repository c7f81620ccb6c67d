/** Issuer application data, tag 9F10: PBOC's with its algorithm byte, and what others use. */
import { byteAt, bytesToUint, toHex } from '../bytes/index.ts';
import { cryptogramTypeOf, IAD_ALGORITHM_3DES, IAD_ALGORITHM_SM4 } from '../emv/data/index.ts';
import { both, byteHex, finding, nodeOf } from './build.ts';
import type { BitFact, IadFact } from './facts.ts';
import { amountText } from './names.ts';
import type { BothLanguages, ExplainNode, Finding } from './types.ts';
import { readCvrFlags } from './value-bits.ts';

/** Issuer application data taken apart. */
export type IadReading = {
  readonly fact: IadFact;
  readonly text: BothLanguages;
  readonly bits: readonly BitFact[];
  readonly children: readonly ExplainNode[];
  readonly findings: readonly Finding[];
};

const EMPTY: IadFact = {
  format: 'unknown',
  lengthByte: null,
  derivationKeyIndex: null,
  cryptogramVersion: null,
  cvr: null,
  algorithmByte: null,
  algorithm: null,
  firstAc: null,
  secondAc: null,
  discretionary: null,
};

/** Reads any issuer application data; never throws. @see PBOC3 P5 (9F10) */
export function readIad(bytes: Uint8Array, offsetBytes: number): IadReading {
  const first = bytes[0];
  const hasCvr = bytes.length >= 7 && byteAt(bytes, 3) === 0x03;
  if (first === 0x07 && hasCvr) return readCvrForm(bytes, offsetBytes, 'PBOC');
  if (first === 0x06 && hasCvr) return readCvrForm(bytes, offsetBytes, 'Visa');
  if (first === 0x0f && bytes.length === 32) return other(bytes, 'CCD');
  if (bytes.length === 18 || bytes.length === 20 || bytes.length === 26) return mChip(bytes);
  const findings = [
    finding(
      'warning',
      'IAD_FORMAT',
      offsetBytes,
      both('not the form of PBOC: 07 DKI CVN 03…', '不是 PBOC 的格式：07 DKI CVN 03…'),
    ),
  ];
  return { ...other(bytes, 'unknown'), findings };
}

function other(bytes: Uint8Array, format: string): IadReading {
  const fact = { ...EMPTY, format, lengthByte: bytes[0] === undefined ? null : byteHex(bytes[0]) };
  return {
    fact,
    text: both(`format ${format}`, `格式 ${format}`),
    bits: [],
    children: [],
    findings: [],
  };
}

/** M/Chip: DKI, CVN, CVR(6), DAC or dynamic number (2), counters. */
function mChip(bytes: Uint8Array): IadReading {
  const fact = {
    ...EMPTY,
    format: 'M/Chip',
    derivationKeyIndex: byteHex(byteAt(bytes, 0)),
    cryptogramVersion: byteHex(byteAt(bytes, 1)),
    cvr: toHex(bytes.subarray(2, 8)),
  };
  const text = both(`M/Chip, CVN ${fact.cryptogramVersion}`);
  return { fact, text, bits: [], children: [], findings: [] };
}

function readCvrForm(bytes: Uint8Array, offsetBytes: number, format: 'PBOC' | 'Visa'): IadReading {
  const at = (start: number, end: number) => ({
    offsetBytes: offsetBytes + start,
    bytes: bytes.subarray(start, end),
  });
  const cvr = bytes.subarray(3, 7);
  const flags = readCvrFlags(cvr, offsetBytes + 3);
  const firstAc = cryptogramTypeOf((byteAt(cvr, 1) & 0x30) << 2);
  const second = cryptogramTypeOf(byteAt(cvr, 1));
  const secondAc = second === 'ARQC' ? null : second;
  const fixedBytes = format === 'PBOC' ? 8 : 7;
  const algorithmByte = format === 'PBOC' ? (bytes[7] ?? null) : null;
  const discretionary = readDiscretionary(bytes, fixedBytes, offsetBytes);
  const fact: IadFact = {
    format,
    lengthByte: byteHex(byteAt(bytes, 0)),
    derivationKeyIndex: byteHex(byteAt(bytes, 1)),
    cryptogramVersion: byteHex(byteAt(bytes, 2)),
    cvr: toHex(cvr),
    algorithmByte: algorithmByte === null ? null : byteHex(algorithmByte),
    algorithm: algorithmName(format, algorithmByte),
    firstAc,
    secondAc,
    discretionary: discretionary.fact,
  };
  const kinds = kindsOf(firstAc, secondAc);
  const children = [
    nodeOf(both('Length', '长度'), at(0, 1)),
    nodeOf(both('Derivation key index', '分散密钥索引'), at(1, 2)),
    nodeOf(both('Cryptogram version number', '密文版本号'), at(2, 3), {
      text: CRYPTOGRAM_VERSIONS[fact.cryptogramVersion ?? ''] ?? null,
    }),
    nodeOf(both('Card verification results (CVR)', '卡片验证结果'), at(3, 7), {
      text: kinds,
      children: flags.children,
      findings: flags.findings,
    }),
    ...(algorithmByte === null
      ? []
      : [
          nodeOf(both('Algorithm', '算法标识'), at(7, 8), {
            text: both(fact.algorithm ?? 'unknown', fact.algorithm ?? '未知'),
          }),
        ]),
    ...discretionary.children,
  ];
  const findings = [...algorithmFindings(fact, offsetBytes), ...discretionary.findings];
  const text = both(
    `${format}, CVN ${fact.cryptogramVersion}, ${kinds.en}`,
    `${format}，密文版本 ${fact.cryptogramVersion}，${kinds.zh}`,
  );
  return { fact, text, bits: flags.bits, children, findings };
}

const CRYPTOGRAM_VERSIONS: Readonly<Record<string, BothLanguages>> = {
  '01': both('contact debit/credit', '接触式借记/贷记'),
  '0A': both('Visa CVN 10, no session key', 'Visa CVN 10，无过程密钥'),
  '11': both('Visa CVN 17', 'Visa CVN 17'),
  '12': both('Visa CVN 18, session key', 'Visa CVN 18，有过程密钥'),
  '17': both('qPBOC', 'qPBOC'),
};

function kindsOf(firstAc: string, secondAc: string | null): BothLanguages {
  const second = secondAc ?? 'not requested';
  return both(
    `first GENERATE AC: ${firstAc}; second: ${second}`,
    `第一次 GENERATE AC：${firstAc}；第二次：${secondAc ?? '未请求'}`,
  );
}

function algorithmName(format: 'PBOC' | 'Visa', value: number | null): string | null {
  if (format === 'Visa') return '3DES';
  if (value === IAD_ALGORITHM_3DES) return '3DES';
  return value === IAD_ALGORITHM_SM4 ? 'SM4' : null;
}

function algorithmFindings(fact: IadFact, offsetBytes: number): readonly Finding[] {
  if (fact.format !== 'PBOC' || fact.algorithm !== null) return [];
  const message =
    fact.algorithmByte === null
      ? both('the algorithm byte after the CVR is missing', 'CVR 之后缺少算法标识')
      : both(
          `algorithm ${fact.algorithmByte} is neither 01 (3DES) nor 04 (SM4)`,
          `算法标识 ${fact.algorithmByte} 既不是 01（3DES）也不是 04（SM4）`,
        );
  return [finding('error', 'IAD_ALGORITHM', offsetBytes + 7, message)];
}

type Discretionary = {
  readonly fact: IadFact['discretionary'];
  readonly children: readonly ExplainNode[];
  readonly findings: readonly Finding[];
};

/** Length, identifier, data, MAC; identifier 01 is the e-cash balance. @see PBOC3 P13 */
function readDiscretionary(bytes: Uint8Array, start: number, offsetBytes: number): Discretionary {
  const lengthBytes = bytes[start];
  if (lengthBytes === undefined) return { fact: null, children: [], findings: [] };
  const data = bytes.subarray(start + 1);
  const identifier = data[0];
  const isBalance = identifier === 0x01 && data.length >= 10;
  const balance = data.subarray(1, 6);
  const isDecimal = /^[0-9]*$/.test(toHex(balance));
  const fact = {
    lengthBytes,
    identifier: identifier === undefined ? '' : byteHex(identifier),
    balanceMinor: isBalance && isDecimal ? String(Number(toHex(balance))) : null,
    mac: isBalance ? toHex(data.subarray(6, 10)) : null,
    value: toHex(data),
  };
  const at = (from: number, to: number) => ({
    offsetBytes: offsetBytes + start + from,
    bytes: bytes.subarray(start + from, start + to),
  });
  const inner = isBalance
    ? [
        nodeOf(both('Identifier: e-cash balance', '标识：电子现金余额'), at(1, 2)),
        nodeOf(both('Electronic cash balance', '电子现金余额'), at(2, 7), {
          text: isDecimal ? both(amountText(toHex(balance), '156')) : null,
        }),
        nodeOf(both('MAC of the balance', '余额 MAC'), at(7, 11)),
      ]
    : [];
  const findings: Finding[] = [];
  if (lengthBytes !== data.length) {
    const message = both(
      `issuer discretionary data announces ${lengthBytes} bytes, ${data.length} follow`,
      `发卡行自定义数据声明 ${lengthBytes} 字节，实际 ${data.length} 字节`,
    );
    findings.push(finding('error', 'IAD_DISCRETIONARY_LENGTH', offsetBytes + start, message));
  }
  if (isBalance && !isDecimal) {
    const message = both('the balance is not decimal', '余额不是十进制数字');
    findings.push(finding('error', 'IAD_BALANCE', offsetBytes + start + 2, message));
  }
  const name = both('Issuer discretionary data', '发卡行自定义数据');
  return { fact, children: [nodeOf(name, at(0, 1 + data.length), { children: inner })], findings };
}

/** Unsigned value of at most six bytes, as text. */
export function uintText(bytes: Uint8Array): string {
  return bytes.length > 6 ? toHex(bytes) : String(bytesToUint(bytes));
}
