/** Kind `keyBlock`: a TR-31 key block, its header in words and its key when it can be opened. */
import { toHex } from '../bytes/index.ts';
import {
  CryptoError,
  kcvAes,
  kcvTdes,
  tr31Hex,
  tr31UnwrapD,
  tr31UnwrapTdes,
} from '../crypto/index.ts';
import {
  both,
  finding,
  findingsOf,
  givenBytes,
  givenText,
  nodeOf,
  notPossible,
  step,
} from './build.ts';
import { ExplainError, formatError } from './errors.ts';
import type {
  BothLanguages,
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  ExplainNode,
  Fact,
  Finding,
} from './types.ts';

export const KEY_BLOCK_KIND: ExplainModule = { kind: 'keyBlock', detect, explain };

const HEADER_CHARACTERS = 16;
/** Most optional blocks; two digits say how many. */
const OPTIONAL_BLOCKS_MAX = 99;
const START = /^[ABCD][0-9]{4}[0-9A-Z]{2}[0-9A-Z][0-9A-Z]/;
const PROTECTION_NAMES = ['kbpk', 'zmk', 'kek', 'lmk', 'tmk', 'key'] as const;

function textOf(input: ExplainInput): string | null {
  const given = givenText(input, 'keyBlock', 'tr31', 'block') ?? input.text;
  const text = given.trim().replace(/^[RS](?=[ABCD][0-9]{4})/, '');
  return START.test(text) && !/\s/.test(text) ? text : null;
}

function detect(input: ExplainInput): number {
  const text = textOf(input);
  if (text === null || text.length < HEADER_CHARACTERS + 16) return 0;
  return Number(text.slice(1, 5)) === text.length ? 0.98 : 0.35;
}

type OptionalBlock = {
  readonly id: string;
  readonly data: string;
  readonly offsetCharacters: number;
};

/** A block taken apart; offsets are characters, which are bytes in ASCII. */
type Block = {
  readonly text: string;
  readonly version: 'A' | 'B' | 'C' | 'D';
  readonly declaredLength: number;
  readonly usage: string;
  readonly algorithm: string;
  readonly modeOfUse: string;
  readonly keyVersion: string;
  readonly exportability: string;
  readonly optional: readonly OptionalBlock[];
  readonly headerLength: number;
  readonly macCharacters: 8 | 16 | 32;
};

function parse(text: string): Block {
  if (text.length < HEADER_CHARACTERS) {
    throw formatError('keyBlock', text.length, 'the header of 16 characters is cut off');
  }
  const version = text.charAt(0) as Block['version'];
  const count = Number(text.slice(12, 14));
  if (!(count <= OPTIONAL_BLOCKS_MAX)) {
    throw formatError('keyBlock', 12, 'the number of optional blocks is no number');
  }
  const optional: OptionalBlock[] = [];
  let offset = HEADER_CHARACTERS;
  for (let index = 0; index < count; index++) {
    const head = /^([0-9A-Z]{2})([0-9A-F]{2})/.exec(text.slice(offset, offset + 4));
    const length = Number.parseInt(head?.[2] ?? '0', 16);
    if (head === null || length < 4 || offset + length > text.length) {
      throw formatError('keyBlock', offset, 'optional block is malformed or cut off');
    }
    const data = text.slice(offset + 4, offset + length);
    optional.push({ id: head[1] ?? '', data, offsetCharacters: offset });
    offset += length;
  }
  return {
    text,
    version,
    declaredLength: Number(text.slice(1, 5)),
    usage: text.slice(5, 7),
    algorithm: text.charAt(7),
    modeOfUse: text.charAt(8),
    keyVersion: text.slice(9, 11),
    exportability: text.charAt(11),
    optional,
    headerLength: offset,
    macCharacters: version === 'D' ? 32 : version === 'B' ? 16 : 8,
  };
}

function explain({ ciphers, input }: ExplainContext): Explained {
  const text = textOf(input);
  if (text === null) throw formatError('keyBlock', 0, 'this is no header of a key block');
  const block = parse(text);
  const protection = givenBytes(input, ...PROTECTION_NAMES);
  const opened = protection === undefined ? null : open(ciphers, block, protection);
  const key = opened?.key ?? null;
  const kcv = key === null ? null : kcvOf(ciphers, block, key);
  const usage = USAGES[block.usage] ?? both('unknown usage', '未知用途');
  const tree = treeOf(block, key);
  return {
    summaryEn: `Key block of version ${block.version}: ${usage.en}`,
    summaryZh: `版本 ${block.version} 的密钥块：${usage.zh}`,
    facts: {
      version: block.version,
      declaredLength: block.declaredLength,
      lengthCharacters: text.length,
      lengthMatches: block.declaredLength === text.length,
      usage: block.usage,
      usageName: usage.en,
      algorithm: block.algorithm,
      algorithmName: ALGORITHMS[block.algorithm] ?? null,
      modeOfUse: block.modeOfUse,
      modeName: MODES[block.modeOfUse]?.en ?? null,
      keyVersion: block.keyVersion,
      exportability: block.exportability,
      optionalBlocks: block.optional.map(({ id, data }) => ({ id, data })),
      enciphered: text.slice(block.headerLength, -block.macCharacters),
      mac: text.slice(-block.macCharacters),
      macMatches: opened === null ? null : opened.fault === null,
      key: key === null ? null : toHex(key),
      keyLengthBytes: key?.length ?? null,
      kcv,
    } satisfies Readonly<Record<string, Fact>>,
    tree,
    checks: [checkOf(opened, kcv)],
    findings: [...blockFindings(block), ...findingsOf(tree)],
  };
}

type Opened = { readonly key: Uint8Array | null; readonly fault: string | null };

function open(ciphers: ExplainContext['ciphers'], block: Block, protection: Uint8Array): Opened {
  const { text, version, headerLength, macCharacters } = block;
  try {
    if (version === 'D') return { key: tr31UnwrapD(ciphers, protection, text).key, fault: null };
    const macStart = text.length - macCharacters;
    const enciphered = tr31Hex(text.slice(headerLength, macStart), headerLength);
    const mac = tr31Hex(text.slice(macStart), macStart);
    const headerText = text.slice(0, headerLength);
    return {
      key: tr31UnwrapTdes(protection, { version, headerText, enciphered, mac }),
      fault: null,
    };
  } catch (thrown) {
    if (!(thrown instanceof CryptoError)) throw thrown;
    if (thrown.code === 'ERR_CRYPTO_KEY_LENGTH') {
      throw new ExplainError('ERR_EXPLAIN_VALUE', `kbpk: ${thrown.message}`, { name: 'kbpk' });
    }
    return { key: null, fault: thrown.message };
  }
}

function kcvOf(ciphers: ExplainContext['ciphers'], block: Block, key: Uint8Array): string | null {
  const isTdes = block.algorithm === 'T' || block.algorithm === 'D';
  if (isTdes && [8, 16, 24].includes(key.length)) return kcvTdes(key).slice(0, 6);
  return [16, 24, 32].includes(key.length) ? kcvAes(ciphers, key) : null;
}

function checkOf(opened: Opened | null, kcv: string | null): ExplainCheck {
  if (opened === null) {
    return notPossible('keyBlock.mac', both('no protection key was given', '未给出密钥块保护密钥'));
  }
  if (opened.fault !== null) {
    const why = step(both(opened.fault, '密钥块 MAC 或内容不正确'), '');
    return { name: 'keyBlock.mac', result: 'failed', steps: [why] };
  }
  const steps = [
    step(both('key', '密钥'), toHex(opened.key ?? new Uint8Array())),
    step(both('its check value', '其校验值'), kcv ?? ''),
  ];
  return { name: 'keyBlock.mac', result: 'passed', steps };
}

/** @see X9.143 table 2 */
const USAGES: Readonly<Record<string, BothLanguages>> = {
  B0: both('base derivation key', 'DUKPT 基础派生密钥'),
  B1: both('initial DUKPT key', 'DUKPT 初始密钥'),
  B2: both('base key variant key', '基础变体密钥'),
  C0: both('card verification key', '卡片校验密钥（CVK）'),
  D0: both('data encryption, symmetric', '数据加密密钥'),
  D1: both('data encryption, asymmetric', '非对称数据加密密钥'),
  E0: both('EMV master key: application cryptograms', 'EMV 主密钥：应用密文'),
  E1: both('EMV master key: secure messaging for confidentiality', 'EMV 主密钥：安全报文加密'),
  E2: both('EMV master key: secure messaging for integrity', 'EMV 主密钥：安全报文 MAC'),
  E3: both('EMV master key: data authentication code', 'EMV 主密钥：数据认证码'),
  E4: both('EMV master key: dynamic numbers', 'EMV 主密钥：动态数'),
  E5: both('EMV master key: card personalisation', 'EMV 主密钥：个人化'),
  E6: both('EMV master key: other', 'EMV 主密钥：其他'),
  I0: both('initialisation vector', '初始向量'),
  K0: both('key encryption or wrapping', '密钥加密密钥'),
  K1: both('key block protection key', '密钥块保护密钥'),
  M0: both('ISO 16609 MAC algorithm 1', 'ISO 16609 MAC 算法 1'),
  M1: both('ISO 9797-1 MAC algorithm 1', 'ISO 9797-1 MAC 算法 1'),
  M3: both('ISO 9797-1 MAC algorithm 3', 'ISO 9797-1 MAC 算法 3'),
  M6: both('ISO 9797-1 MAC algorithm 5, CMAC', 'ISO 9797-1 MAC 算法 5（CMAC）'),
  M7: both('HMAC', 'HMAC 密钥'),
  P0: both('PIN encryption', 'PIN 加密密钥'),
  V0: both('PIN verification, other algorithm', 'PIN 校验密钥（其他）'),
  V1: both('PIN verification, IBM 3624', 'PIN 校验密钥（IBM 3624）'),
  V2: both('PIN verification, Visa PVV', 'PIN 校验密钥（Visa PVV）'),
};
const ALGORITHMS: Readonly<Record<string, string>> = {
  A: 'AES',
  D: 'DES',
  E: 'elliptic curve',
  H: 'HMAC',
  R: 'RSA',
  S: 'DSA',
  T: '3DES',
};
const MODES: Readonly<Record<string, BothLanguages>> = {
  B: both('encrypt and decrypt', '加密和解密'),
  C: both('generate and verify', '生成和校验'),
  D: both('decrypt only', '仅解密'),
  E: both('encrypt only', '仅加密'),
  G: both('generate only', '仅生成'),
  N: both('no restriction', '无限制'),
  S: both('signature only', '仅签名'),
  T: both('sign and decrypt', '签名和解密'),
  V: both('verify only', '仅校验'),
  X: both('key derivation', '密钥派生'),
  Y: both('key variants', '密钥变体'),
};
const EXPORTS: Readonly<Record<string, BothLanguages>> = {
  E: both('exportable under a trusted key', '可在可信密钥下导出'),
  N: both('not exportable', '不可导出'),
  S: both('sensitive, exportable under any key', '敏感，可在任何密钥下导出'),
};
const VERSIONS: Readonly<Record<Block['version'], BothLanguages>> = {
  A: both('variant binding, 3DES (deprecated)', '变体绑定，3DES（已废弃）'),
  B: both('derivation binding, 3DES', '派生绑定，3DES'),
  C: both('variant binding, 3DES', '变体绑定，3DES'),
  D: both('derivation binding, AES', '派生绑定，AES'),
};

function treeOf(block: Block, key: Uint8Array | null): readonly ExplainNode[] {
  const { text } = block;
  const part = (
    name: BothLanguages,
    range: readonly [number, number],
    words: BothLanguages | null = null,
  ): ExplainNode => ({
    ...nodeOf(name, null, { value: text.slice(...range), text: words }),
    offsetBytes: range[0],
    lengthBytes: range[1] - range[0],
  });
  const macStart = text.length - block.macCharacters;
  const { headerLength } = block;
  const isOpened = key !== null;
  return [
    part(both('Version', '版本'), [0, 1], VERSIONS[block.version]),
    part(both('Length', '长度'), [1, 5]),
    part(both('Key usage', '密钥用途'), [5, 7], USAGES[block.usage] ?? null),
    part(both('Algorithm', '算法'), [7, 8], both(ALGORITHMS[block.algorithm] ?? 'unknown')),
    part(both('Mode of use', '使用方式'), [8, 9], MODES[block.modeOfUse] ?? null),
    part(both('Key version', '密钥版本'), [9, 11]),
    part(both('Exportability', '可导出性'), [11, 12], EXPORTS[block.exportability] ?? null),
    part(both('Optional blocks', '可选块数'), [12, 14]),
    part(both('Reserved', '保留'), [14, 16]),
    ...block.optional.map(({ id, data, offsetCharacters }) => ({
      ...nodeOf(both(`Optional block ${id}`, `可选块 ${id}`), null, { value: data }),
      offsetBytes: offsetCharacters,
      lengthBytes: 4 + data.length,
    })),
    {
      ...part(both('Enciphered key', '密钥密文'), [headerLength, Math.max(headerLength, macStart)]),
      children: isOpened ? [nodeOf(both('Key', '密钥明文'), null, { value: toHex(key) })] : [],
    },
    part(both('MAC', 'MAC'), [Math.max(headerLength, macStart), text.length]),
  ];
}

function blockFindings(block: Block): readonly Finding[] {
  const { text, declaredLength, version, headerLength, macCharacters } = block;
  const found: Finding[] = [];
  if (declaredLength !== text.length) {
    const about = both(
      `the header says ${declaredLength} characters, ${text.length} are there`,
      `头部声明 ${declaredLength} 个字符，实际 ${text.length} 个`,
    );
    found.push(finding('error', 'KEY_BLOCK_LENGTH', 1, about));
  }
  const rest = text.slice(headerLength);
  const bad = rest.search(/[^0-9A-Fa-f]/);
  if (bad >= 0 || rest.length <= macCharacters) {
    const about = both(
      'key data and MAC are not all there in hex',
      '密钥数据或 MAC 不完整或不是十六进制',
    );
    found.push(finding('error', 'KEY_BLOCK_DATA', headerLength + Math.max(0, bad), about));
  }
  if (USAGES[block.usage] === undefined) {
    const about = both(`usage ${block.usage} is not defined`, `未定义的用途 ${block.usage}`);
    found.push(finding('warning', 'KEY_BLOCK_USAGE', 5, about));
  }
  if (version === 'A') {
    const about = both('version A is deprecated', '版本 A 已废弃');
    found.push(finding('warning', 'KEY_BLOCK_VERSION_A', 0, about));
  }
  return found;
}
