/**
 * Kind `workingKeys`: field 62 of a sign-in answer, the working keys under the terminal's master
 * key with their check values. @see Q/CUP 009.1, sign-in
 */
import { equalBytes, toHex } from '../bytes/index.ts';
import { kcvTdes } from '../crypto/index.ts';
import {
  both,
  comparison,
  finding,
  findingsOf,
  givenBytes,
  isGiven,
  nodeOf,
  notPossible,
  requireBytes,
  step,
} from './build.ts';
import { formatError } from './errors.ts';
import { decipherUnder, MASTER_KEY_NAMES, requireKeyBytes } from './keys-given.ts';
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

export const WORKING_KEYS_KIND: ExplainModule = { kind: 'workingKeys', detect, explain };

const FIELD_NAMES = ['field62WithLen', 'field62', 'f62', 'de62', 'workingKeys'] as const;

type KeyName = 'PIK' | 'MAK' | 'TDK';
/** Bytes of the enciphered key, of it the zeros that fill it up, and of the check value. */
type Part = { readonly name: KeyName; readonly bytes: number; readonly kcvBytes: 0 | 4 };
type Layout = { readonly parts: readonly Part[]; readonly restBytes: number };

/**
 * Layouts by total length, the standard's own first; hosts leave out the last check value or
 * write a short MAC key without its fill.
 */
const LAYOUTS: readonly Layout[] = [
  layout('PIK8+4 MAK8+4'),
  layout('PIK16+4 MAK16+4'),
  layout('PIK16+4 MAK16+4 TDK16+4'),
  layout('PIK16+4 MAK8+4'),
  layout('PIK16+4 MAK16+0'),
  layout('PIK16+4 MAK8+4 TDK16+4'),
  layout('PIK16+4 MAK16+4 TDK16+0'),
  layout('PIK16+4 MAK8+4 TDK16+4', 4),
  layout('PIK16+4 MAK8+4 TDK16+4', 8),
  layout('PIK16+4 MAK8+4', 4),
];

function layout(text: string, restBytes = 0): Layout {
  const parts = text.split(' ').map((part): Part => {
    const [, name, bytes, kcv] = /^([A-Z]+)(\d+)\+(\d)$/.exec(part) ?? [];
    return { name: name as KeyName, bytes: Number(bytes), kcvBytes: kcv === '4' ? 4 : 0 };
  });
  return { parts, restBytes };
}

function lengthOf({ parts, restBytes }: Layout): number {
  return parts.reduce((sum, part) => sum + part.bytes + part.kcvBytes, restBytes);
}

const LENGTHS: ReadonlySet<number> = new Set(LAYOUTS.map(lengthOf));

function detect(input: ExplainInput): number {
  const hasMaster = isGiven(input, ...MASTER_KEY_NAMES);
  if (isGiven(input, ...FIELD_NAMES)) return hasMaster ? 0.96 : 0.7;
  const isLog = input.lines.some(({ direction }) => direction !== null);
  if (input.bytes === null || isLog) return 0;
  const body = withoutLength(input.bytes);
  if (!LENGTHS.has(body.bytes.length)) return 0;
  if (hasMaster) return 0.88;
  return body.declaredBytes === null ? 0.06 : 0.35;
}

/** The keys, and the BCD length in front when there is one. */
type Body = {
  readonly bytes: Uint8Array;
  readonly offsetBytes: number;
  readonly declaredBytes: number | null;
};

function withoutLength(field: Uint8Array): Body {
  const digits = toHex(field.subarray(0, 2));
  const declared = /^0[0-9]{3}$/.test(digits) ? Number(digits) : null;
  if (declared === null || declared !== field.length - 2) {
    return { bytes: field, offsetBytes: 0, declaredBytes: null };
  }
  return { bytes: field.subarray(2), offsetBytes: 2, declaredBytes: declared };
}

/** One key of the field, read. */
type WorkingKey = {
  readonly name: KeyName;
  readonly offsetBytes: number;
  readonly cipher: Uint8Array;
  /** Zero bytes behind a single key in a double key's place. */
  readonly fillBytes: number;
  readonly kcvGiven: Uint8Array;
  readonly clear: Uint8Array | null;
  readonly kcv: string | null;
  readonly kcvMatches: boolean | null;
};

function explain({ input }: ExplainContext): Explained {
  const field = givenBytes(input, ...FIELD_NAMES) ?? requireBytes('workingKeys', input);
  return explainWorkingKeys(field, 0, givenBytes(input, ...MASTER_KEY_NAMES));
}

/**
 * The keys of a field at `baseBytes`, deciphered when there is a master key.
 * @throws ExplainError `ERR_EXPLAIN_FORMAT` for a length that no layout has.
 */
export function explainWorkingKeys(
  field: Uint8Array,
  baseBytes: number,
  master: Uint8Array | undefined,
): Explained {
  if (master !== undefined) requireKeyBytes(master, 'tmk', [16, 24, 8]);
  const body = withoutLength(field);
  const fitting = LAYOUTS.filter((one) => lengthOf(one) === body.bytes.length);
  const readings = fitting.map((one) => ({
    layout: one,
    keys: readKeys(one, { ...body, offsetBytes: baseBytes + body.offsetBytes }, master),
  }));
  const best = readings.toSorted((left, right) => matchesOf(right.keys) - matchesOf(left.keys))[0];
  if (best === undefined) {
    const lengths = [...LENGTHS].toSorted((left, right) => left - right).join(', ');
    const why = `${body.bytes.length} bytes are no key field; known are ${lengths}`;
    throw formatError('workingKeys', field.length, why);
  }
  const { keys } = best;
  const rest = body.bytes.subarray(body.bytes.length - best.layout.restBytes);
  const tree = [...lengthNodes(field, body, baseBytes), ...keys.flatMap(keyNodes)];
  const good = matchesOf(keys);
  const named = keys.map(({ name }) => name).join(', ');
  return {
    summaryEn: `Working keys ${named}: ${good} of ${keys.length} check values match`,
    summaryZh: `工作密钥 ${named}：${keys.length} 个校验值中 ${good} 个相符`,
    facts: {
      declaredLengthBytes: body.declaredBytes,
      lengthBytes: body.bytes.length,
      layout: layoutText(keys),
      keys: keys.map(keyFact),
      rest: toHex(rest),
      allMatch: master === undefined ? null : good === keys.length,
    },
    tree,
    checks: keys.map(keyCheck),
    findings: [...keys.flatMap(keyFindings), ...findingsOf(tree)],
  };
}

function readKeys(
  { parts }: Layout,
  body: Pick<Body, 'bytes' | 'offsetBytes'>,
  master: Uint8Array | undefined,
): readonly WorkingKey[] {
  let offset = 0;
  return parts.map(({ name, bytes, kcvBytes }) => {
    const whole = body.bytes.slice(offset, offset + bytes);
    const kcvGiven = body.bytes.slice(offset + bytes, offset + bytes + kcvBytes);
    const isHalf = bytes === 16 && equalBytes(whole.subarray(8), new Uint8Array(8));
    const cipher = isHalf ? whole.subarray(0, 8) : whole;
    const clear = master === undefined ? null : decipherUnder(master, cipher);
    const kcv = clear === null ? null : kcvTdes(clear);
    const key: WorkingKey = {
      name,
      offsetBytes: body.offsetBytes + offset,
      cipher,
      fillBytes: whole.length - cipher.length,
      kcvGiven,
      clear,
      kcv,
      kcvMatches: kcv === null || kcvBytes === 0 ? null : kcv === toHex(kcvGiven),
    };
    offset += bytes + kcvBytes;
    return key;
  });
}

function matchesOf(keys: readonly WorkingKey[]): number {
  return keys.filter(({ kcvMatches }) => kcvMatches === true).length;
}

/** As `PIK16 KCV4 MAK8 ZERO8 KCV4`. */
function layoutText(keys: readonly WorkingKey[]): string {
  return keys
    .flatMap(({ name, cipher, fillBytes, kcvGiven }) => [
      `${name}${cipher.length}`,
      ...(fillBytes > 0 ? [`ZERO${fillBytes}`] : []),
      ...(kcvGiven.length > 0 ? [`KCV${kcvGiven.length}`] : []),
    ])
    .join(' ');
}

const NAMES: Readonly<Record<KeyName, BothLanguages>> = {
  PIK: both('PIN key (PIK)', 'PIN 密钥（PIK）'),
  MAK: both('MAC key (MAK)', 'MAC 密钥（MAK）'),
  TDK: both('track key (TDK)', '磁道密钥（TDK）'),
};

function keyFact(key: WorkingKey): Fact {
  return {
    name: key.name,
    offsetBytes: key.offsetBytes,
    lengthBytes: key.cipher.length,
    fillBytes: key.fillBytes,
    cipher: toHex(key.cipher),
    clear: key.clear === null ? null : toHex(key.clear),
    kcvGiven: key.kcvGiven.length === 0 ? null : toHex(key.kcvGiven),
    kcv: key.kcv,
    kcvMatches: key.kcvMatches,
  };
}

function keyNodes(key: WorkingKey): readonly ExplainNode[] {
  const { name, cipher, fillBytes, kcvGiven, offsetBytes, clear } = key;
  const label = NAMES[name];
  const end = offsetBytes + cipher.length + fillBytes;
  const text = clear === null ? null : both(`clear: ${toHex(clear)}`, `明文：${toHex(clear)}`);
  const nodes = [
    nodeOf(
      both(`${label.en}, enciphered`, `${label.zh}密文`),
      { offsetBytes, bytes: cipher },
      { text },
    ),
  ];
  if (fillBytes > 0) {
    const at = { offsetBytes: offsetBytes + cipher.length, bytes: new Uint8Array(fillBytes) };
    nodes.push(nodeOf(both('zero fill', '补零'), at));
  }
  if (kcvGiven.length > 0) {
    const about = both(`check value of ${name}`, `${name} 校验值`);
    nodes.push(nodeOf(about, { offsetBytes: end, bytes: kcvGiven }));
  }
  return nodes;
}

function lengthNodes(field: Uint8Array, body: Body, baseBytes: number): readonly ExplainNode[] {
  if (body.declaredBytes === null) return [];
  const at = { offsetBytes: baseBytes, bytes: field.subarray(0, 2) };
  return [nodeOf(both('Length', '长度'), at, { text: both(`${body.declaredBytes}`) })];
}

function keyCheck(key: WorkingKey): ExplainCheck {
  const name = `${key.name.toLowerCase()}.kcv`;
  if (key.kcv === null || key.clear === null) {
    return notPossible(name, both('no master key was given', '未给出主密钥'));
  }
  const single = key.clear.length === 8;
  const steps = [
    step(both('enciphered key', '密钥密文'), toHex(key.cipher)),
    step(both('deciphered under the master key', '用主密钥解密'), toHex(key.clear)),
    step(
      single
        ? both('single DES of 8 zero bytes', '单 DES 加密 8 字节零')
        : both('3DES of 8 zero bytes', '3DES 加密 8 字节零'),
      key.kcv,
    ),
  ];
  if (key.kcvGiven.length === 0) {
    const why = step(both('the field holds no check value for it', '域中没有它的校验值'), '');
    return { name, result: 'notPossible', steps: [...steps, why] };
  }
  return comparison(name, { expected: toHex(key.kcvGiven), actual: key.kcv }, steps);
}

function keyFindings(key: WorkingKey): readonly Finding[] {
  const { name, fillBytes, clear, offsetBytes } = key;
  const found: Finding[] = [];
  if (fillBytes > 0) {
    const about = both(
      `${name} is a single-length key in a double one's place: the zeros are no key bytes`,
      `${name} 为单倍长密钥，占用双倍长位置：其后的零不是密钥，不可解密`,
    );
    found.push(finding('note', 'WORKING_KEY_SINGLE', offsetBytes, about));
  }
  const isDegenerate = clear?.length === 16 && equalBytes(clear.subarray(0, 8), clear.subarray(8));
  if (isDegenerate) {
    const about = both(
      `both halves of ${name} are equal: 3DES is single DES`,
      `${name} 左右两半相同，3DES 退化为单 DES`,
    );
    found.push(finding('warning', 'KEY_HALVES_EQUAL', offsetBytes, about));
  }
  return found;
}
