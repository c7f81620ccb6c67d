/** Kind `atr`: answer to reset of contact cards, and the one that PC/SC makes for contactless. */
import { byteAt, toHex } from '../bytes/index.ts';
import { both, byteHex, finding, nodeOf, requireBytes } from './build.ts';
import { formatError } from './errors.ts';
import type { AtrFacts } from './facts.ts';
import { isPrintableAscii, readableText } from './gbk.ts';
import type {
  BothLanguages,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  ExplainNode,
  Finding,
} from './types.ts';

/** Longest answer to reset. @see ISO 7816-3 §8.2.1 */
const ATR_BYTES_MAX = 33;
/** Fi by the high half of TA1, Di by its low half; 0 is reserved. @see ISO 7816-3 §8.3 */
const FI = [372, 372, 558, 744, 1116, 1488, 1860, 0, 0, 512, 768, 1024, 1536, 2048, 0, 0];
const DI = [0, 1, 2, 4, 8, 16, 32, 64, 12, 20, 0, 0, 0, 0, 0, 0];

type Walk = {
  readonly interfaceBytes: Record<string, string>;
  readonly protocols: number[];
  readonly children: ExplainNode[];
  readonly findings: Finding[];
  offset: number;
};

function detect(input: ExplainInput): number {
  const bytes = input.bytes;
  if (bytes === null || bytes.length < 2 || bytes.length > ATR_BYTES_MAX + 4) return 0;
  if (input.values.has('atr')) return 0.98;
  const first = byteAt(bytes, 0);
  if (first !== 0x3b && first !== 0x3f) return 0;
  const walk = walkAtr(bytes);
  return walk.findings.some((found) => found.severity === 'error') ? 0.6 : 0.97;
}

function explainAtr({ input }: ExplainContext): Explained {
  const bytes = requireBytes('atr', input);
  if (bytes.length < 2 || bytes.length > 255) {
    throw formatError('atr', bytes.length, `${bytes.length} bytes are no answer to reset`);
  }
  const walk = walkAtr(bytes);
  const historicalLengthBytes = byteAt(bytes, 1) & 0x0f;
  const historical = bytes.subarray(walk.offset, walk.offset + historicalLengthBytes);
  addHistorical(walk, historical);
  const tckAt = walk.offset + historicalLengthBytes;
  const tck = readTck(bytes, walk, tckAt);
  const ts = byteAt(bytes, 0);
  const ta1 = walk.interfaceBytes['TA1'];
  const tc1 = walk.interfaceBytes['TC1'];
  const contactless = isPcscContactless(bytes, historical);
  const facts: AtrFacts = {
    lengthBytes: bytes.length,
    ts: byteHex(ts),
    convention: ts === 0x3b ? 'direct' : ts === 0x3f ? 'inverse' : 'unknown',
    t0: byteHex(byteAt(bytes, 1)),
    interfaceBytes: walk.interfaceBytes,
    protocols: walk.protocols.length === 0 ? [0] : [...new Set(walk.protocols)],
    historicalBytes: toHex(historical),
    historicalLengthBytes,
    historicalText:
      historical.length > 0 && isPrintableAscii(historical) ? readableText(historical) : null,
    ...tck,
    extraGuardTime: tc1 === undefined ? null : Number.parseInt(tc1, 16),
    clockRateConversion: ta1 === undefined ? null : (FI[Number.parseInt(ta1, 16) >> 4] ?? null),
    baudRateAdjustment: ta1 === undefined ? null : (DI[Number.parseInt(ta1, 16) & 15] ?? null),
    contactless,
  };
  const protocols = facts.protocols.map((number) => `T=${number}`).join(', ');
  const form = contactless
    ? both('contactless (PC/SC)', '非接触（PC/SC）')
    : both('contact', '接触式');
  return {
    summaryEn: `ATR, ${form.en}, ${protocols}, ${historicalLengthBytes} historical bytes`,
    summaryZh: `复位应答，${form.zh}，${protocols}，历史字节 ${historicalLengthBytes} 个`,
    facts,
    tree: [
      nodeOf(
        both('Answer to reset', '复位应答'),
        { offsetBytes: 0, bytes },
        { children: walk.children },
      ),
    ],
    checks: [],
    findings: walk.findings,
  };
}

/** TS, T0 and the interface bytes, TAi TBi TCi TDi, as each Y announces them. */
function walkAtr(bytes: Uint8Array): Walk {
  const walk: Walk = { interfaceBytes: {}, protocols: [], children: [], findings: [], offset: 2 };
  const at = (offset: number) => ({
    offsetBytes: offset,
    bytes: bytes.subarray(offset, offset + 1),
  });
  const ts = byteAt(bytes, 0);
  const conventions: Readonly<Record<number, BothLanguages>> = {
    59: both('direct convention', '正向约定'),
    63: both('inverse convention', '反向约定'),
  };
  walk.children.push(nodeOf(both('TS'), at(0), { text: conventions[ts] ?? null }));
  if (!conventions[ts])
    addError(walk, 0, both(`TS ${byteHex(ts)} is not 3B or 3F`, `TS ${byteHex(ts)} 不是 3B 或 3F`));
  const t0 = bytes[1] ?? 0;
  const count = both(`${t0 & 15} historical bytes`, `历史字节 ${t0 & 15} 个`);
  walk.children.push(nodeOf(both('T0'), at(1), { text: count }));
  let announced = t0 >> 4;
  for (let level = 1; announced !== 0; level++) {
    let next = 0;
    for (const [bit, letter] of ['A', 'B', 'C', 'D'].entries()) {
      if ((announced & (1 << bit)) === 0) continue;
      const value = bytes[walk.offset];
      if (value === undefined) {
        addError(
          walk,
          walk.offset,
          both(`T${letter}${level} is missing`, `缺少 T${letter}${level}`),
        );
        return walk;
      }
      const name = `T${letter}${level}`;
      walk.interfaceBytes[name] = byteHex(value);
      walk.children.push(
        nodeOf(both(name), at(walk.offset), { text: interfaceText(name, value, walk) }),
      );
      if (letter === 'D') {
        walk.protocols.push(value & 15);
        next = value >> 4;
      }
      walk.offset += 1;
    }
    announced = next;
  }
  return walk;
}

/** What an interface byte says. @see ISO 7816-3 §8.3, §11.4 */
function interfaceText(name: string, value: number, walk: Walk): BothLanguages | null {
  const protocol = walk.protocols.at(-1);
  switch (name) {
    case 'TA1':
      return both(`Fi ${FI[value >> 4]}, Di ${DI[value & 15]}`);
    case 'TB1':
      return value === 0
        ? both('VPP not connected', 'VPP 未连接')
        : both('VPP needed (obsolete)', '需要 VPP（已废弃）');
    case 'TC1':
      return both(`extra guard time ${value}`, `额外保护时间 ${value}`);
    case 'TA2':
      return both(`specific mode, T=${value & 15}`, `专用模式，T=${value & 15}`);
    case 'TC2':
      return both(`waiting time integer ${value} (T=0)`, `等待时间整数 ${value}（T=0）`);
    default:
      break;
  }
  if (name.startsWith('TD')) return both(`T=${value & 15}`);
  if (name === 'TA3' && protocol === 1) return both(`IFSC ${value}`);
  if (name === 'TB3' && protocol === 1) return both(`BWI ${value >> 4}, CWI ${value & 15}`);
  return null;
}

function addHistorical(walk: Walk, historical: Uint8Array): void {
  if (historical.length === 0) return;
  const isText = isPrintableAscii(historical);
  const text = isText ? readableText(historical) : null;
  const category = CATEGORIES[byteAt(historical, 0)] ?? null;
  walk.children.push(
    nodeOf(
      both('Historical bytes', '历史字节'),
      { offsetBytes: walk.offset, bytes: historical },
      {
        text: text === null ? category : both(`"${text}"`),
      },
    ),
  );
}

const CATEGORIES: Readonly<Record<number, BothLanguages>> = {
  0: both('category 00: compact TLV, then status', '类别 00：紧凑 TLV，后随状态'),
  128: both('category 80: compact TLV', '类别 80：紧凑 TLV'),
};

type Tck = Pick<AtrFacts, 'tckPresent' | 'tck' | 'tckExpected' | 'tckOk'>;

/** TCK is the XOR of all from T0 on; there unless only T=0 is offered. @see ISO 7816-3 §8.2.5 */
function readTck(bytes: Uint8Array, walk: Walk, tckAt: number): Tck {
  const needed = walk.protocols.some((protocol) => protocol !== 0);
  const tck = bytes[tckAt];
  if (tckAt > bytes.length) {
    const missing = tckAt - bytes.length;
    addError(
      walk,
      bytes.length,
      both(`${missing} historical bytes are missing`, `缺少 ${missing} 个历史字节`),
    );
  }
  const extra = bytes.length - tckAt - (needed ? 1 : 0);
  if (extra > 0) {
    addError(
      walk,
      bytes.length - extra,
      both(`${extra} bytes more than T0 announces`, `比 T0 声明的多 ${extra} 字节`),
    );
  }
  const expected = bytes.subarray(1, tckAt).reduce((sum, value) => sum ^ value, 0);
  if (!needed) return { tckPresent: false, tck: null, tckExpected: null, tckOk: null };
  if (tck === undefined) {
    addError(walk, tckAt, both('TCK is missing', '缺少 TCK'));
    return { tckPresent: false, tck: null, tckExpected: byteHex(expected), tckOk: false };
  }
  const tckOk = tck === expected;
  const text = tckOk
    ? both('right', '正确')
    : both(`wrong, ${byteHex(expected)} expected`, `错误，应为 ${byteHex(expected)}`);
  const place = { offsetBytes: tckAt, bytes: bytes.subarray(tckAt, tckAt + 1) };
  walk.children.push(nodeOf(both('TCK'), place, { text }));
  if (!tckOk) addError(walk, tckAt, both(`TCK is ${text.en}`, `TCK ${text.zh}`));
  return { tckPresent: true, tck: byteHex(tck), tckExpected: byteHex(expected), tckOk };
}

/** `3B 8n 80 01 …`: PC/SC's form. @see PC/SC P3 §3.1.3.2.3 */
function isPcscContactless(bytes: Uint8Array, historical: Uint8Array): boolean {
  const isHead = bytes[0] === 0x3b && (byteAt(bytes, 1) & 0xf0) === 0x80;
  return isHead && bytes[2] === 0x80 && bytes[3] === 0x01 && historical.length > 0;
}

function addError(walk: Walk, offsetBytes: number, message: BothLanguages): void {
  walk.findings.push(finding('error', 'ATR', offsetBytes, message));
}

/** Answer to reset. */
export const ATR_MODULE: ExplainModule = { kind: 'atr', detect, explain: explainAtr };
