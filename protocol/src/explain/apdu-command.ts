/** One command APDU: its name, its parts, what is wrong with its lengths and what was meant. */
import { byteAt, bytesToUint, toHex } from '../bytes/index.ts';
import { cryptogramTypeOf, GENERATE_AC_CDA_REQUESTED } from '../emv/data/index.ts';
import { both, byteHex, finding, nodeOf } from './build.ts';
import type { CommandFact } from './facts.ts';
import { applicationName } from './names.ts';
import { tagName } from './tag-names.ts';
import { readTlv, tlvNodes } from './tlv-reader.ts';
import type { BothLanguages, ExplainNode, Finding } from './types.ts';

/** A command taken apart. */
export type CommandReading = {
  readonly fact: CommandFact;
  readonly bytes: Uint8Array;
  readonly data: Uint8Array;
  readonly node: ExplainNode;
  readonly findings: readonly Finding[];
};

const NAMES: Readonly<Record<number, readonly [name: string, en: string, zh: string]>> = {
  4: ['DEACTIVATE FILE', 'deactivates a file', '使文件失效'],
  14: ['ERASE BINARY', 'erases a file', '擦除文件'],
  22: ['CARD BLOCK', 'blocks the card for ever', '永久锁定卡片'],
  24: ['APPLICATION UNBLOCK', 'unblocks the application', '应用解锁'],
  30: ['APPLICATION BLOCK', 'blocks the application', '应用锁定'],
  32: ['VERIFY', 'the card checks a PIN', '卡片验证密码'],
  36: ['PIN CHANGE/UNBLOCK', 'changes or unblocks the PIN', '修改或解锁密码'],
  42: ['PERFORM SECURITY OPERATION', 'a cryptographic operation', '执行安全操作'],
  80: ['INITIALIZE UPDATE', 'opens a GlobalPlatform session', '初始化更新'],
  112: ['MANAGE CHANNEL', 'opens or closes a channel', '管理逻辑通道'],
  130: ['EXTERNAL AUTHENTICATE', 'the card checks its issuer', '外部认证'],
  132: ['GET CHALLENGE', 'asks for a random number', '取随机数'],
  136: ['INTERNAL AUTHENTICATE', 'the card signs', '内部认证'],
  164: ['SELECT', 'selects a directory or an application', '选择目录或应用'],
  168: ['GET PROCESSING OPTIONS', 'begins a transaction', '取处理选项，交易开始'],
  174: ['GENERATE AC', 'asks for an application cryptogram', '产生应用密文'],
  176: ['READ BINARY', 'reads a file', '读二进制文件'],
  178: ['READ RECORD', 'reads a record', '读记录'],
  192: ['GET RESPONSE', 'fetches an answer', '取响应'],
  202: ['GET DATA', 'reads one data element', '取数据'],
  203: ['GET DATA', 'reads one data element', '取数据'],
  214: ['UPDATE BINARY', 'writes a file', '修改二进制文件'],
  216: ['PUT KEY', 'loads keys', '装载密钥'],
  218: ['PUT DATA', 'writes one data element', '设置数据'],
  220: ['UPDATE RECORD', 'writes a record', '修改记录'],
  226: ['STORE DATA', 'personalises', '存储数据'],
  228: ['DELETE', 'deletes an application', '删除'],
  230: ['INSTALL', 'installs an application', '安装'],
  232: ['LOAD', 'loads a file', '装载'],
  240: ['SET STATUS', 'changes a life cycle', '设置状态'],
  242: ['GET STATUS', 'lists applications', '取状态'],
};

/** Name of a command by its instruction byte, or `INS xx`. */
export function commandName(ins: number): string {
  return NAMES[ins]?.[0] ?? `INS ${byteHex(ins)}`;
}

/** Whether an instruction byte has a name here. */
export function isKnownInstruction(ins: number): boolean {
  return ins in NAMES;
}

type Lengths = {
  readonly lc: number | null;
  readonly data: Uint8Array;
  readonly le: number | null;
  readonly dataStart: number;
  readonly fault: BothLanguages | null;
  readonly corrected: string | null;
};

/** Reads a command whose first byte stands at `offsetBytes`; null below four bytes. */
export function readCommand(bytes: Uint8Array, offsetBytes: number): CommandReading | null {
  if (bytes.length < 4) return null;
  const ins = byteAt(bytes, 1);
  const lengths = readLengths(bytes);
  const name = commandName(ins);
  const meaning = commandMeaning(bytes, lengths.data);
  const fact: CommandFact = {
    hex: toHex(bytes),
    name,
    cla: byteHex(byteAt(bytes, 0)),
    ins: byteHex(ins),
    p1: byteHex(byteAt(bytes, 2)),
    p2: byteHex(byteAt(bytes, 3)),
    lc: lengths.lc,
    data: lengths.data.length === 0 ? null : toHex(lengths.data),
    le: lengths.le,
    meaningEn: meaning.en,
    meaningZh: meaning.zh,
    wellFormed: lengths.fault === null,
    corrected: lengths.corrected,
  };
  const findings: Finding[] = [];
  if (lengths.fault) findings.push(finding('error', 'APDU_LENGTH', offsetBytes + 4, lengths.fault));
  const node = nodeOf(
    both(name, `${name} ${NAMES[ins]?.[2] ?? ''}`.trim()),
    { offsetBytes, bytes },
    {
      text: meaning,
      children: commandParts(bytes, lengths, offsetBytes),
      findings,
    },
  );
  return { fact, bytes, data: lengths.data, node, findings };
}

/** Lc, data and Le in whatever form; with what does not fit. @see ISO 7816-4 §5.1 */
function readLengths(bytes: Uint8Array): Lengths {
  const body = bytes.subarray(4);
  const none = {
    lc: null,
    data: new Uint8Array(0),
    le: null,
    dataStart: 5,
    fault: null,
    corrected: null,
  };
  if (body.length === 0) return none;
  const first = byteAt(body, 0);
  if (body.length === 1) return { ...none, le: first === 0 ? 256 : first };
  if (first === 0 && body.length >= 3) return readExtended(body);
  const rest = body.length - 1 - first;
  if (rest === 0 || rest === 1) {
    const data = body.subarray(1, 1 + first);
    const last = byteAt(body, body.length - 1);
    const le = rest === 0 ? null : last === 0 ? 256 : last;
    return { ...none, lc: first, data, le, ...emptyLc(bytes, first) };
  }
  return { ...none, lc: first, data: body.subarray(1), ...wrongLc(bytes, body) };
}

/** A command with Lc 00 and Le, which cards refuse (RfidResearchGroup/proxmark3 #171). */
function emptyLc(bytes: Uint8Array, lc: number): Partial<Lengths> {
  if (lc !== 0) return {};
  return {
    fault: both('Lc 00 must not stand there when there are no data', '没有数据时不应有 Lc 00'),
    corrected: `${toHex(bytes.subarray(0, 4))}00`,
  };
}

function readExtended(body: Uint8Array): Lengths {
  const value = bytesToUint(body.subarray(1, 3));
  const none = { data: new Uint8Array(0), dataStart: 7, fault: null, corrected: null };
  if (body.length === 3) return { ...none, lc: null, le: value === 0 ? 65536 : value };
  const rest = body.length - 3 - value;
  const le = rest === 2 ? bytesToUint(body.subarray(body.length - 2)) : null;
  const data = body.subarray(3, 3 + value);
  if (rest === 0 || rest === 2) return { ...none, lc: value, data, le: le === 0 ? 65536 : le };
  const fault = both(
    `extended Lc ${value}, but ${body.length - 3} bytes follow`,
    `扩展 Lc 为 ${value}，实际有 ${body.length - 3} 字节`,
  );
  return { ...none, lc: value, data: body.subarray(3), le: null, fault };
}

/** Lc does not fit: forgotten before template 83, or simply another number. */
function wrongLc(bytes: Uint8Array, body: Uint8Array): Partial<Lengths> {
  const head = toHex(bytes.subarray(0, 4));
  const isGpo = byteAt(bytes, 1) === 0xa8 && byteAt(body, 0) === 0x83;
  const template = isGpo ? body.subarray(0, Math.min(body.length, 2 + byteAt(body, 1))) : null;
  if (template) {
    return {
      lc: null,
      data: template,
      dataStart: 4,
      fault: both(
        `Lc is missing: 83 is the template's tag, so that the card reads Lc 131`,
        '缺少 Lc：83 是模板标签，卡片会把它当作 Lc（131）',
      ),
      corrected: `${head}${byteHex(template.length)}${toHex(template)}00`,
    };
  }
  const present = body.length - 1;
  return {
    fault: both(
      `Lc ${byteHex(byteAt(body, 0))} announces ${byteAt(body, 0)} bytes, ${present} follow`,
      `Lc ${byteHex(byteAt(body, 0))} 声明 ${byteAt(body, 0)} 字节，其后有 ${present} 字节`,
    ),
    corrected: present <= 255 ? `${head}${byteHex(present)}${toHex(body.subarray(1))}` : null,
  };
}

function commandParts(
  bytes: Uint8Array,
  lengths: Lengths,
  offsetBytes: number,
): readonly ExplainNode[] {
  const at = (start: number, end: number) => ({
    offsetBytes: offsetBytes + start,
    bytes: bytes.subarray(start, end),
  });
  const parts = [nodeOf(both('CLA INS P1 P2'), at(0, 4), { text: classText(byteAt(bytes, 0)) })];
  if (lengths.lc !== null) {
    const text = both(`${lengths.lc} bytes of data`, `数据 ${lengths.lc} 字节`);
    parts.push(nodeOf(both('Lc'), at(4, lengths.dataStart), { text }));
  }
  if (lengths.data.length > 0) {
    const { dataStart } = lengths;
    const children = dataParts(byteAt(bytes, 1), lengths.data, offsetBytes + dataStart);
    const place = at(dataStart, dataStart + lengths.data.length);
    parts.push(nodeOf(both('Data', '数据'), place, { children }));
  }
  if (lengths.le !== null) {
    const text = both(`${lengths.le} bytes wanted at most`, `最多期望 ${lengths.le} 字节`);
    parts.push(nodeOf(both('Le'), at(bytes.length - 1, bytes.length), { text }));
  }
  return parts;
}

function classText(cla: number): BothLanguages {
  const isSecure = (cla & 0x0c) !== 0 && (cla & 0x60) === 0;
  const own =
    (cla & 0x80) !== 0
      ? both('class of its own', '专有类')
      : both('interindustry class', '行业间类');
  if (!isSecure) return own;
  return both(`${own.en}, with secure messaging (MAC)`, `${own.zh}，带安全报文（MAC）`);
}

function dataParts(ins: number, data: Uint8Array, offsetBytes: number): readonly ExplainNode[] {
  if (ins === 0xa4) {
    return [
      nodeOf(
        both('Name', '名称'),
        { offsetBytes, bytes: data },
        { text: applicationName(toHex(data)) },
      ),
    ];
  }
  if (ins === 0xa8) {
    const reading = readTlv(data, offsetBytes);
    return reading.brokenAtBytes === null ? tlvNodes(reading.objects) : [];
  }
  return [];
}

/** What the command does, with its P1 and P2 in words. */
function commandMeaning(bytes: Uint8Array, data: Uint8Array): BothLanguages {
  const ins = byteAt(bytes, 1);
  const p1 = byteAt(bytes, 2);
  const p2 = byteAt(bytes, 3);
  const row = NAMES[ins];
  const own = row ? both(row[1], row[2]) : both('unknown command', '未知命令');
  switch (ins) {
    case 0xa4: {
      const name = applicationName(toHex(data));
      return name ? both(`selects ${name.en}`, `选择${name.zh}`) : own;
    }
    case 0xb2:
      return both(`reads record ${p1} of file ${p2 >> 3}`, `读文件 ${p2 >> 3} 的第 ${p1} 条记录`);
    case 0xae: {
      const type = cryptogramTypeOf(p1);
      const isCda = (p1 & GENERATE_AC_CDA_REQUESTED) !== 0;
      return both(
        `asks for ${type}${isCda ? ' with CDA' : ''}`,
        `请求 ${type}${isCda ? '（含 CDA）' : ''}`,
      );
    }
    case 0xca:
    case 0xda: {
      const tag = toHex(bytes.subarray(2, 4)).replace(/^00/, '');
      const { nameEn, nameZh } = tagName(tag);
      const verb = ins === 0xca ? both('reads', '读取') : both('writes', '写入');
      return both(`${verb.en} ${tag} ${nameEn}`, `${verb.zh} ${tag} ${nameZh}`);
    }
    case 0x20: {
      const isPlain = p2 === 0x80;
      return both(
        `the card checks a PIN, ${isPlain ? 'plaintext' : 'enciphered'}`,
        `卡片验证${isPlain ? '明文' : '加密'}密码`,
      );
    }
    default:
      return own;
  }
}

/** How well bytes read as a command: known instruction, fitting lengths, a class that cards use. */
export function commandScore(bytes: Uint8Array): number {
  if (bytes.length < 4 || bytes.length > 65544) return 0;
  const cla = byteAt(bytes, 0);
  const isClass = (cla & 0xf0) === 0x00 || (cla & 0xf0) === 0x80;
  const ins = byteAt(bytes, 1);
  if (!isClass || !isKnownInstruction(ins)) return 0;
  const { fault, corrected } = readLengths(bytes);
  if (fault === null) return bytes.length === 4 ? 0.5 : 0.75;
  return corrected === null ? 0.2 : 0.45;
}
