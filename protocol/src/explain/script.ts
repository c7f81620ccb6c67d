/** Kind `script`: issuer script commands, what they change and what their MAC covers. */
import { byteAt, concatBytes, toHex } from '../bytes/index.ts';
import {
  deriveIccMasterKey,
  deriveSessionKey,
  deriveSm4IccMasterKey,
  deriveSm4SessionKey,
  scriptMac4,
  sm4ScriptMac4,
} from '../crypto/index.ts';
import { readCommand } from './apdu-command.ts';
import {
  both,
  comparison,
  finding,
  givenBytes,
  givenText,
  nodeOf,
  notPossible,
  requireBytes,
  step,
} from './build.ts';
import { ExplainError, formatError } from './errors.ts';
import type { ScriptCommandFact, ScriptFacts } from './facts.ts';
import { tagName } from './tag-names.ts';
import { readTlv, type TlvObject } from './tlv-reader.ts';
import type {
  CheckStep,
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  ExplainNode,
  Finding,
} from './types.ts';
import { readValue, valueNode } from './value.ts';

/** Bytes of a script command's MAC. */
const MAC_BYTES = 4;
/** Instructions that issuers send in scripts. @see EMV 4.3 B3 §6.5; PBOC3 P5 */
const SCRIPT_INSTRUCTIONS = [0x16, 0x18, 0x1e, 0x24, 0xda, 0xdc, 0xd6];

type Material = {
  readonly atc: Uint8Array | null;
  readonly cryptogram: Uint8Array | null;
  readonly sessionKey: Uint8Array | null;
  readonly isSm4: boolean;
};

type Source = {
  readonly template: string | null;
  readonly identifier: string | null;
  readonly commands: readonly { readonly bytes: Uint8Array; readonly offsetBytes: number }[];
};

function isScriptCommand(bytes: Uint8Array): boolean {
  const hasMac =
    bytes.length >= 5 && (byteAt(bytes, 0) & 0x0c) !== 0 && (byteAt(bytes, 0) & 0x70) === 0;
  return hasMac && SCRIPT_INSTRUCTIONS.includes(byteAt(bytes, 1));
}

function detect(input: ExplainInput): number {
  const named = input.values.get('command') ?? input.values.get('script');
  if (
    named !== undefined &&
    /^(?:0[4C]|8[4C])(?:16|18|1E|24|DA|DC|D6)/i.test(named.replace(/\s/g, ''))
  ) {
    return 0.95;
  }
  const bytes = input.bytes;
  if (bytes === null || input.lines.length > 1) return 0;
  if (isScriptCommand(bytes)) return 0.9;
  const isTemplate = bytes[0] === 0x71 || bytes[0] === 0x72;
  return isTemplate && commandsOf(readTlv(bytes).objects).length > 0 ? 0.95 : 0;
}

function explainScript(context: ExplainContext): Explained {
  const { input } = context;
  const bytes = givenBytes(input, 'script', 'command') ?? requireBytes('script', input);
  const source = sourceOf(bytes);
  const material = materialOf(context);
  const results = source.commands.map((command, index) =>
    explainCommand(context, material, { ...command, number: index + 1 }),
  );
  const first = results[0];
  if (!first) throw formatError('script', 0, 'no command in the script');
  const getData = getDataOf(input, first.fact);
  const facts: ScriptFacts = {
    template: source.template,
    identifier: source.identifier,
    commands: results.map((result) => result.fact),
    atc: material.atc ? toHex(material.atc) : null,
    applicationCryptogram: material.cryptogram ? toHex(material.cryptogram) : null,
    sessionKey: material.sessionKey ? toHex(material.sessionKey) : null,
    getData,
  };
  const when = TEMPLATES[source.template ?? ''];
  const { command, tag, value } = first.fact;
  const count = results.length;
  const more = count > 1 ? both(` and ${count - 1} more`, ` 等 ${count} 条`) : both('');
  const what = tag === null ? '' : ` ${tag} = ${value}`;
  return {
    summaryEn: `Script${when ? ` (${when.en})` : ''}: ${command.name}${what}${more.en}`,
    summaryZh: `脚本${when ? `（${when.zh}）` : ''}：${command.name}${what}${more.zh}`,
    facts,
    tree: results.map((result) => result.node),
    checks: results.map((result) => result.check),
    findings: [...results.flatMap((result) => result.findings), ...getDataFindings(getData)],
  };
}

const TEMPLATES: Readonly<Record<string, { readonly en: string; readonly zh: string }>> = {
  '71': both('before the second GENERATE AC', '第二次 GENERATE AC 之前'),
  '72': both('after the second GENERATE AC', '第二次 GENERATE AC 之后'),
};

function sourceOf(bytes: Uint8Array): Source {
  const first = byteAt(bytes, 0);
  if (first !== 0x71 && first !== 0x72 && first !== 0x86) {
    return { template: null, identifier: null, commands: [{ bytes, offsetBytes: 0 }] };
  }
  const { objects } = readTlv(bytes);
  const [template] = objects;
  const inner = template?.children ?? [];
  const identifier = inner.find((object) => object.tag === '9F18');
  return {
    template: first === 0x86 ? null : (template?.tag ?? null),
    identifier: identifier ? toHex(identifier.value) : null,
    commands: commandsOf(objects),
  };
}

function commandsOf(objects: readonly TlvObject[]): Source['commands'] {
  return objects.flatMap((object) => {
    if (object.tag === '86') return [{ bytes: object.value, offsetBytes: object.valueOffsetBytes }];
    return object.children ? commandsOf(object.children) : [];
  });
}

/** ATC, cryptogram and the session key for MACs, or what it is derived of. */
function materialOf({ ciphers, input }: ExplainContext): Material {
  const atc = givenBytes(input, 'atc', '9F36') ?? null;
  const cryptogram = givenBytes(input, 'ac', 'arqc', '9F26') ?? null;
  const isSm4 = givenText(input, 'algorithm')?.toUpperCase() === 'SM4';
  const given = key(input, 'sk_mac', 'session_key_mac', 'sk');
  if (given) return { atc, cryptogram, sessionKey: given, isSm4 };
  const master = key(input, 'imk_mac', 'mdk_mac', 'imk');
  const pan = givenText(input, 'pan');
  const panSequenceNumber = (givenText(input, 'psn') ?? '00').padStart(2, '0');
  const isNumber =
    pan !== undefined && /^[0-9]{12,19}$/.test(pan) && /^[0-9]{2}$/.test(panSequenceNumber);
  if (master && !isNumber) {
    throw new ExplainError('ERR_EXPLAIN_MISSING', 'PAN and sequence number are needed', {
      name: 'pan',
    });
  }
  const cardKey =
    master && pan !== undefined
      ? isSm4
        ? deriveSm4IccMasterKey(ciphers, master, { pan, panSequenceNumber })
        : deriveIccMasterKey(master, pan, panSequenceNumber)
      : key(input, 'udk_mac', 'mk_mac', 'udk');
  if (!cardKey || atc?.length !== 2) return { atc, cryptogram, sessionKey: null, isSm4 };
  const sessionKey = isSm4
    ? deriveSm4SessionKey(ciphers, cardKey, atc)
    : deriveSessionKey(cardKey, atc);
  return { atc, cryptogram, sessionKey, isSm4 };
}

function key(input: ExplainInput, ...names: readonly string[]): Uint8Array | undefined {
  const value = givenBytes(input, ...names);
  if (value && value.length !== 16) {
    throw new ExplainError('ERR_EXPLAIN_VALUE', `${names[0]} has 16 bytes`, {
      name: names[0] ?? '',
    });
  }
  return value;
}

type CommandResult = {
  readonly fact: ScriptCommandFact;
  readonly node: ExplainNode;
  readonly check: ExplainCheck;
  readonly findings: readonly Finding[];
};

function explainCommand(
  context: ExplainContext,
  material: Material,
  command: { readonly bytes: Uint8Array; readonly offsetBytes: number; readonly number: number },
): CommandResult {
  const { bytes, offsetBytes } = command;
  const read = readCommand(bytes, offsetBytes);
  if (!read) throw formatError('script', offsetBytes, 'a command of fewer than 4 bytes');
  const hasMac = (byteAt(bytes, 0) & 0x0c) !== 0 && read.data.length >= MAC_BYTES;
  const plain = hasMac ? read.data.subarray(0, -MAC_BYTES) : read.data;
  const mac = hasMac ? read.data.subarray(-MAC_BYTES) : null;
  const isPutData = byteAt(bytes, 1) === 0xda;
  const tag = isPutData ? toHex(bytes.subarray(2, 4)).replace(/^00/, '') : null;
  const reading = tag === null ? null : readValue(tag, plain, { offsetBytes: offsetBytes + 5 });
  const header = bytes.subarray(0, 5);
  const known = hasMac ? macInput(header, plain, material) : null;
  const computed = computeMac(context, material, { header, plain, hasMac });
  const fact: ScriptCommandFact = {
    command: read.fact,
    tag,
    nameEn: tag === null ? null : tagName(tag).nameEn,
    value: plain.length > 0 ? toHex(plain) : null,
    amountMinor: amountOf(reading?.detail ?? null),
    mac: mac ? toHex(mac) : null,
    macInput: known,
    macInputLengthBytes: hasMac ? 5 + 2 + 8 + plain.length : null,
    macInputPaddedLengthBytes: hasMac ? 8 * (Math.floor((15 + plain.length) / 8) + 1) : null,
    macComputed: computed,
    macVerified: computed === null || !mac ? null : computed === toHex(mac),
  };
  const name = `scriptMac${command.number}`;
  const steps = macSteps(material, known ?? '');
  const check =
    computed !== null && mac
      ? comparison(name, { expected: toHex(mac), actual: computed }, steps)
      : {
          ...notPossible(
            name,
            both(
              'session key for MACs, ATC or cryptogram not given',
              '未给出 MAC 过程密钥、ATC 或密文',
            ),
          ),
          steps,
        };
  const children = [
    ...read.node.children.filter((child) => child.nameEn !== 'Data'),
    ...(tag !== null && reading ? [valueNode(tag, plain, reading, offsetBytes + 5)] : []),
    ...(mac
      ? [nodeOf(both('MAC', 'MAC'), { offsetBytes: offsetBytes + 5 + plain.length, bytes: mac })]
      : []),
  ];
  const findings = [
    ...read.findings,
    ...macFindings(fact, offsetBytes),
    ...(reading?.findings ?? []),
  ];
  return { fact, node: { ...read.node, children }, check, findings };
}

function amountOf(detail: unknown): string | null {
  if (typeof detail !== 'object' || detail === null || !('amountMinor' in detail)) return null;
  return String(detail.amountMinor);
}

/** CLA INS P1 P2 Lc ‖ ATC ‖ AC ‖ data. @see PBOC3 P7 */
function macInput(header: Uint8Array, plain: Uint8Array, material: Material): string {
  const { atc, cryptogram } = material;
  if (atc && cryptogram) return toHex(concatBytes(header, atc, cryptogram, plain));
  const parts = [
    toHex(header),
    atc ? toHex(atc) : 'ATC',
    cryptogram ? toHex(cryptogram) : 'AC',
    toHex(plain),
  ];
  return parts.join('‖');
}

function computeMac(
  { ciphers }: ExplainContext,
  material: Material,
  command: { readonly header: Uint8Array; readonly plain: Uint8Array; readonly hasMac: boolean },
): string | null {
  const { atc, cryptogram, sessionKey, isSm4 } = material;
  const { header, plain, hasMac } = command;
  if (!hasMac || !sessionKey || atc?.length !== 2 || cryptogram?.length !== 8) return null;
  return toHex(
    isSm4
      ? sm4ScriptMac4(ciphers, sessionKey, { header, atc, cryptogram, data: plain })
      : scriptMac4(sessionKey, header, atc, cryptogram, plain),
  );
}

function macSteps(material: Material, input: string): readonly CheckStep[] {
  return [
    step(
      both('session key for MACs', 'MAC 过程密钥'),
      material.sessionKey ? toHex(material.sessionKey) : '',
    ),
    step(
      both(
        'input: CLA INS P1 P2 Lc ‖ ATC ‖ cryptogram ‖ data',
        '输入：CLA INS P1 P2 Lc ‖ ATC ‖ 密文 ‖ 数据',
      ),
      input,
    ),
    step(both('padding', '填充'), '80 00…'),
    step(
      both('retail MAC, left 4 bytes', '零售 MAC，取左 4 字节'),
      material.isSm4 ? 'SM4-CBC' : 'ISO 9797-1 algorithm 3',
    ),
  ];
}

function macFindings(fact: ScriptCommandFact, offsetBytes: number): readonly Finding[] {
  if (fact.mac === null) {
    return [
      finding(
        'warning',
        'SCRIPT_NO_MAC',
        offsetBytes,
        both('no MAC: the card will refuse it', '没有 MAC：卡片会拒绝'),
      ),
    ];
  }
  if (fact.macVerified !== false) return [];
  const message = both(
    `the MAC is wrong: ${fact.macComputed} expected (card answers 6988)`,
    `MAC 错误：应为 ${fact.macComputed}（卡片返回 6988）`,
  );
  return [finding('error', 'SCRIPT_MAC_WRONG', offsetBytes, message)];
}

/** What GET DATA answered afterwards. */
function getDataOf(input: ExplainInput, fact: ScriptCommandFact): ScriptFacts['getData'] {
  const response = givenBytes(input, 'get_data_response', 'get_data');
  if (!response || fact.tag === null) return null;
  const [object] = readTlv(response).objects;
  const value = object ? toHex(object.value) : '';
  const head = `80CA${fact.tag.padStart(4, '0')}`;
  const lengthBytes = object ? object.valueOffsetBytes + object.value.length : 0;
  return {
    command: `${head}00`,
    commandAfter6c: `${head}${toHex(Uint8Array.of(lengthBytes))}`,
    response: toHex(response),
    value,
    matches: object?.tag === fact.tag && value === fact.value,
  };
}

function getDataFindings(getData: ScriptFacts['getData']): readonly Finding[] {
  if (!getData || getData.matches) return [];
  const message = both(
    'GET DATA answers another value than was written',
    'GET DATA 返回的值与写入的不同',
  );
  return [finding('error', 'SCRIPT_NOT_APPLIED', null, message)];
}

/** Issuer scripts. */
export const SCRIPT_MODULE: ExplainModule = { kind: 'script', detect, explain: explainScript };
