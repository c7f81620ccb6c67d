/**
 * Kind `mac`: which bytes go into a line's MAC, by which algorithm, and whether it is right.
 * @see Q/CUP 009.1 (field 64), X9.9, X9.19
 */
import { bytesToLatin1, toHex } from '../bytes/index.ts';
import { kcvTdes } from '../crypto/index.ts';
import {
  both,
  finding,
  givenBytes,
  givenText,
  isGiven,
  nodeOf,
  notPossible,
  requireBytes,
  step,
} from './build.ts';
import { ExplainError } from './errors.ts';
import { readMessage } from './iso8583-decode.ts';
import { fieldLabel } from './iso8583-meanings.ts';
import { decipheredKey, type GivenKey, givenKey } from './keys-given.ts';
import {
  areHalvesEqual,
  type ComputedMac,
  foldedBlock,
  isMac,
  MAC_ALGORITHM_NAMES,
  MAC_ALGORITHMS,
  type MacAlgorithm,
  macTarget,
} from './keys-mac-algorithms.ts';
import type {
  CheckStep,
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  Fact,
  Finding,
} from './types.ts';

export const MAC_KIND: ExplainModule = { kind: 'mac', detect, explain };

const KEY_NAMES = ['mak', 'tak', 'macKey', 'key'] as const;
const CIPHER_NAMES = ['makCipher', 'takCipher', 'encMak', 'encTak', 'encryptedMak'] as const;
const TARGET_NAMES = [
  'targetMacAscii',
  'targetMac',
  'target',
  'mac',
  'expectedMac',
  'f64',
] as const;
/** Bytes at the front of a frame where a MAC may begin. */
const SEARCH_START_MAX = 64;
/** Bytes at its end that may be the MAC itself. */
const SEARCH_TAILS: readonly number[] = [0, 4, 8, 16];

function detect(input: ExplainInput): number {
  const hasKey = isGiven(input, ...KEY_NAMES, ...CIPHER_NAMES);
  if (isGiven(input, 'mab')) return 0.95;
  if (!hasKey || isGiven(input, 'pin', 'hostChallenge')) return 0;
  if (isGiven(input, 'frame', 'message')) return 0.92;
  if (isGiven(input, 'mak', 'tak', 'macKey') && isGiven(input, 'data')) return 0.9;
  if (input.bytes === null || !isGiven(input, 'mak', 'tak', 'macKey')) return 0;
  return isGiven(input, ...TARGET_NAMES) ? 0.97 : 0.4;
}

/** The bytes under the MAC and where they were found. */
type Mab = {
  readonly source: 'given' | 'frame' | 'found';
  readonly frame: Uint8Array;
  readonly start: number;
  readonly end: number;
};

function explain(context: ExplainContext): Explained {
  const { input } = context;
  const key = givenKey(input, KEY_NAMES) ?? decipheredKey(input, CIPHER_NAMES);
  const frame = givenBytes(input, 'mab', 'frame', 'message', 'data') ?? requireBytes('mac', input);
  const target = targetOf(input, frame);
  const usual = usualMab(input, frame);
  const found = searched(key, usual, target, wantedAlgorithm(input));
  const { mab, algorithm } = found;
  const data = mab.frame.subarray(mab.start, mab.end);
  const computed = key ? MAC_ALGORITHMS[algorithm].compute(key.clear, data) : null;
  const check = checkOf(key, computed, target, algorithm);
  const name = MAC_ALGORITHMS[algorithm].name;
  const said = computed === null ? both('no key given', '未给出密钥') : both(computed.sent);
  return {
    summaryEn: `${name.en} over ${data.length} bytes from byte ${mab.start}: ${said.en}`,
    summaryZh: `${name.zh}，自第 ${mab.start} 字节起共 ${data.length} 字节：${said.zh}`,
    facts: {
      algorithm,
      mabSource: mab.source,
      mabOffsetBytes: mab.start,
      mabEndBytes: mab.end,
      mabLengthBytes: data.length,
      mab: toHex(data),
      excludedBefore: toHex(mab.frame.subarray(0, mab.start)),
      excludedAfter: toHex(mab.frame.subarray(mab.end)),
      xor: toHex(foldedBlock(data)),
      mac: computed?.sent ?? null,
      macField: computed === null ? null : macFieldOf(computed, algorithm),
      target: target?.value ?? null,
      targetSource: target?.source ?? null,
      matches: target === null || computed === null ? null : isMac(computed, target.value),
      keyLengthBytes: key?.clear.length ?? null,
      keyHalvesEqual: key ? areHalvesEqual(key.clear) : null,
      keyKcv: key ? kcvTdes(key.clear) : null,
      keyClear: key?.cipher === undefined ? null : toHex(key.clear),
      otherAlgorithms: key ? othersOf(key.clear, data, algorithm) : {},
    },
    tree: treeOf(mab),
    checks: [check],
    findings: [...keyFindings(key), ...found.findings],
  };
}

function wantedAlgorithm(input: ExplainInput): MacAlgorithm | null {
  const name = givenText(input, 'algorithm', 'macAlgorithm');
  if (name === undefined) return null;
  const folded = name.toLowerCase().replace(/[^a-z0-9]/g, '');
  const found = MAC_ALGORITHM_NAMES.find((known) => known.toLowerCase() === folded);
  if (found) return found;
  const list = MAC_ALGORITHM_NAMES.join(', ');
  throw new ExplainError('ERR_EXPLAIN_VALUE', `algorithm is one of ${list}`, { name: 'algorithm' });
}

type Target = { readonly value: string; readonly source: 'given' | 'frame' };

/** The MAC to compare with: the one that was named, else field 64 of the frame. */
function targetOf(input: ExplainInput, frame: Uint8Array): Target | null {
  const given = givenText(input, ...TARGET_NAMES);
  if (given !== undefined) {
    const value = macTarget(given);
    if (value !== null) return { value, source: 'given' };
    throw new ExplainError('ERR_EXPLAIN_VALUE', 'the MAC is no 4 or 8 bytes', { name: 'mac' });
  }
  if (isGiven(input, 'mab')) return null;
  const field = readMessage(frame)?.fields.find(({ number }) => number === 64);
  const value = field ? macTarget(bytesToLatin1(field.content)) : null;
  const plain = value ?? (field ? macTarget(toHex(field.content)) : null);
  return plain === null ? null : { value: plain, source: 'frame' };
}

/** From the message type to field 63: without length, TPDU, header and field 64. */
function usualMab(input: ExplainInput, frame: Uint8Array): Mab {
  if (isGiven(input, 'mab')) return { source: 'given', frame, start: 0, end: frame.length };
  const reading = readMessage(frame);
  const start = reading?.framing.mtiOffset ?? 0;
  const mac = reading?.fields.find(({ number }) => number === 64);
  const isCut = reading?.stop?.field === 64;
  const end = mac?.offsetBytes ?? (isCut ? (reading?.stop?.offsetBytes ?? 0) : tailOf(frame));
  return { source: reading === null ? 'given' : 'frame', frame, start, end };
}

/** The end of a frame whose fields could not all be read: before 8 hex characters, if any. */
function tailOf(frame: Uint8Array): number {
  const isText = /^[0-9A-F]{8}$/.test(bytesToLatin1(frame.subarray(-8)));
  return isText && frame.length > 16 ? frame.length - 8 : frame.length;
}

type Found = {
  readonly mab: Mab;
  readonly algorithm: MacAlgorithm;
  readonly findings: readonly Finding[];
};

/** The usual bytes and algorithm; others only when they alone give the wanted MAC. */
function searched(
  key: GivenKey | null,
  usual: Mab,
  target: Target | null,
  wanted: MacAlgorithm | null,
): Found {
  const first = wanted ?? 'unionPayEcb';
  const plain: Found = { mab: usual, algorithm: first, findings: [] };
  if (key === null || target === null) return plain;
  const algorithms = wanted === null ? MAC_ALGORITHM_NAMES : [wanted];
  for (const mab of [usual, ...otherRanges(usual)]) {
    const data = mab.frame.subarray(mab.start, mab.end);
    for (const algorithm of algorithms) {
      const { keyBytes, compute } = MAC_ALGORITHMS[algorithm];
      if (!keyBytes.includes(key.clear.length)) continue;
      if (!isMac(compute(key.clear, data), target.value)) continue;
      return { mab, algorithm, findings: mab === usual ? [] : [unusual(mab)] };
    }
  }
  return plain;
}

function otherRanges({ frame }: Mab): readonly Mab[] {
  const ranges: Mab[] = [];
  for (let start = 0; start < Math.min(SEARCH_START_MAX, frame.length); start++) {
    for (const tail of SEARCH_TAILS) {
      const end = frame.length - tail;
      if (end > start) ranges.push({ source: 'found', frame, start, end });
    }
  }
  return ranges;
}

function unusual({ start, end }: Mab): Finding {
  const about = both(
    `the MAC was made over bytes ${start} to ${end}, not over the usual range`,
    `MAC 的计算范围为第 ${start} 至 ${end} 字节，与规范不同`,
  );
  return finding('warning', 'MAC_UNUSUAL_RANGE', start, about);
}

function macFieldOf(computed: ComputedMac, algorithm: MacAlgorithm): string {
  if (algorithm !== 'unionPayEcb') return computed.full;
  return toHex(Uint8Array.from(computed.sent, (character) => character.charCodeAt(0)));
}

function othersOf(
  key: Uint8Array,
  data: Uint8Array,
  chosen: MacAlgorithm,
): Readonly<Record<string, Fact>> {
  const others: Record<string, Fact> = {};
  for (const name of MAC_ALGORITHM_NAMES) {
    const { keyBytes, compute } = MAC_ALGORITHMS[name];
    if (name !== chosen && keyBytes.includes(key.length)) others[name] = compute(key, data).sent;
  }
  return others;
}

function checkOf(
  key: GivenKey | null,
  computed: ComputedMac | null,
  target: Target | null,
  algorithm: MacAlgorithm,
): ExplainCheck {
  if (key === null || computed === null) {
    return notPossible('mac', both('no MAC key was given', '未给出 MAC 密钥'));
  }
  const steps: CheckStep[] = [
    ...key.steps,
    step(both('algorithm', '算法'), MAC_ALGORITHMS[algorithm].name.en),
    ...computed.steps,
  ];
  if (target === null) {
    const why = step(both('no MAC to compare with was given', '未给出用于比较的 MAC'), '');
    return { name: 'mac', result: 'notPossible', steps: [...steps, why], actual: computed.sent };
  }
  const actual = computed.full.slice(0, target.value.length);
  const result = isMac(computed, target.value) ? 'passed' : 'failed';
  return { name: 'mac', result, steps, expected: target.value, actual };
}

function keyFindings(key: GivenKey | null): readonly Finding[] {
  if (key === null || !areHalvesEqual(key.clear)) return [];
  const about = both(
    'both key halves are equal: 3DES is single DES here',
    '密钥左右两半相同，3DES 退化为单 DES',
  );
  return [finding('note', 'KEY_HALVES_EQUAL', null, about)];
}

function treeOf({ frame, start, end }: Mab): Explained['tree'] {
  const part = (from: number, to: number): { offsetBytes: number; bytes: Uint8Array } => ({
    offsetBytes: from,
    bytes: frame.subarray(from, to),
  });
  const left = both('not under the MAC', '不参与 MAC');
  return [
    ...(start > 0 ? [nodeOf(left, part(0, start))] : []),
    nodeOf(both('under the MAC (MAB)', '参与 MAC（MAB）'), part(start, end), {
      children: fieldNodes(frame, start, end),
    }),
    ...(end < frame.length ? [nodeOf(left, part(end, frame.length))] : []),
  ];
}

/** The fields under the MAC, when the bytes are a message. */
function fieldNodes(frame: Uint8Array, start: number, end: number): Explained['tree'] {
  const reading = readMessage(frame);
  const isPos = reading?.format.name === 'unionPayPos';
  return (reading?.fields ?? [])
    .filter(({ offsetBytes }) => offsetBytes >= start && offsetBytes < end)
    .map(({ number, value, offsetBytes, prefix, content }) => ({
      ...nodeOf(fieldLabel(number, isPos), null, { tag: `F${number}`, value }),
      offsetBytes,
      lengthBytes: prefix.length + content.length,
    }));
}
