/** Kind `kcv`: the check values of a key, in every form in use. @see X9.24-1:2017 Annex A */
import { toHex } from '../bytes/index.ts';
import { kcvAes, kcvTdes } from '../crypto/index.ts';
import { both, finding, givenBytes, givenText, nodeOf, requireBytes, step } from './build.ts';
import { requireKeyBytes } from './keys-given.ts';
import { areHalvesEqual } from './keys-mac-algorithms.ts';
import type {
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  Finding,
} from './types.ts';

export const KCV_KIND: ExplainModule = { kind: 'kcv', detect, explain };

/** Sizes of DES, 3DES, AES and SM4 keys in bytes. */
const KEY_BYTES: readonly number[] = [8, 16, 24, 32];
const LIKELY: Readonly<Record<number, number>> = { 8: 0.1, 16: 0.24, 24: 0.2, 32: 0.15 };

function detect(input: ExplainInput): number {
  const isNamed = givenText(input, 'kcv', 'checkValue') !== undefined;
  if (isNamed && givenText(input, 'key') !== undefined) return 0.9;
  if (input.bytes === null || input.lines.length !== 1) return 0;
  if (!KEY_BYTES.includes(input.bytes.length)) return 0;
  return isNamed ? 0.8 : (LIKELY[input.bytes.length] ?? 0);
}

type Values = Readonly<Record<string, string | null>>;

function explain({ ciphers, input }: ExplainContext): Explained {
  const key = requireKeyBytes(
    givenBytes(input, 'key') ?? requireBytes('kcv', input),
    'key',
    KEY_BYTES,
  );
  const isDes = key.length !== 32;
  const isAes = key.length !== 8;
  const encrypt = (block: number): string =>
    toHex(ciphers.aesEcbEncrypt(key, new Uint8Array(16).fill(block)));
  const values: Values = {
    tdesKcv: isDes ? kcvTdes(key).slice(0, 6) : null,
    tdesKcv4: isDes ? kcvTdes(key) : null,
    aesCmacKcv: isAes ? kcvAes(ciphers, key) : null,
    aesZerosKcv: isAes ? encrypt(0).slice(0, 6) : null,
    aesOnesKcv: isAes ? encrypt(1).slice(0, 6) : null,
    sm4Kcv:
      key.length === 16 ? toHex(ciphers.sm4EcbEncrypt(key, new Uint8Array(16))).slice(0, 6) : null,
  };
  const shown = isDes ? values['tdesKcv'] : values['aesCmacKcv'];
  const check = checkOf(input, values);
  return {
    summaryEn: `Key of ${8 * key.length} bits, check value ${shown}`,
    summaryZh: `${8 * key.length} 位密钥，校验值 ${shown}`,
    facts: {
      lengthBytes: key.length,
      kcv: shown ?? null,
      ...values,
      oddParity: isDes ? hasOddParity(key) : null,
      halvesEqual: key.length === 16 ? areHalvesEqual(key) : null,
    },
    tree: [
      nodeOf(both('Key', '密钥'), { offsetBytes: 0, bytes: key }),
      ...Object.entries(values).flatMap(([name, value]) =>
        value === null ? [] : [nodeOf(NAMES[name] ?? both(name), null, { value })],
      ),
    ],
    checks: check === null ? [] : [check],
    findings: findingsFor(key),
  };
}

const NAMES: Readonly<Record<string, ReturnType<typeof both>>> = {
  tdesKcv: both('DES/3DES: 8 zero bytes, first 3', 'DES/3DES：加密 8 字节零，取 3 字节'),
  tdesKcv4: both('DES/3DES: first 4 (UnionPay)', 'DES/3DES：取 4 字节（银联）'),
  aesCmacKcv: both('AES: CMAC of zeros, first 5', 'AES：零的 CMAC，取 5 字节'),
  aesZerosKcv: both('AES: 16 zero bytes, first 3', 'AES：加密 16 字节零，取 3 字节'),
  aesOnesKcv: both(
    'AES: 16 bytes 01, first 3 (GlobalPlatform)',
    'AES：加密 16 字节 01，取 3 字节（GP）',
  ),
  sm4Kcv: both('SM4: 16 zero bytes, first 3', 'SM4：加密 16 字节零，取 3 字节'),
};

/** Whether the given check value is the start of one of the key's. */
function checkOf(input: ExplainInput, values: Values): ExplainCheck | null {
  const given = givenText(input, 'kcv', 'checkValue')?.replace(/\s/g, '').toUpperCase();
  if (given === undefined) return null;
  const found = Object.entries(values).find(
    ([, value]) => value !== null && given.length >= 4 && value.startsWith(given),
  );
  const actual = found?.[1] ?? values['tdesKcv4'] ?? values['aesCmacKcv'] ?? '';
  const how = found
    ? (NAMES[found[0]] ?? both(found[0]))
    : both('no form gives it', '各种算法都不符');
  return {
    name: 'kcv',
    result: found ? 'passed' : 'failed',
    steps: [step(how, actual)],
    expected: given,
    actual: actual.slice(0, given.length),
  };
}

function hasOddParity(key: Uint8Array): boolean {
  return key.every((byte) => byte.toString(2).replaceAll('0', '').length % 2 === 1);
}

function findingsFor(key: Uint8Array): readonly Finding[] {
  if (!areHalvesEqual(key)) return [];
  const about = both(
    'both halves are equal: 3DES is single DES',
    '左右两半相同，3DES 退化为单 DES',
  );
  return [finding('warning', 'KEY_HALVES_EQUAL', 8, about)];
}
