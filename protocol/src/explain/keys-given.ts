/** Keys that the person gave: in clear, or enciphered under another given key. */
import { toHex } from '../bytes/index.ts';
import { desDecrypt, tdesDecrypt } from '../crypto/index.ts';
import { both, givenBytes, step } from './build.ts';
import { ExplainError } from './errors.ts';
import type { CheckStep, ExplainInput } from './types.ts';

/** A usable key. */
export type GivenKey = {
  readonly clear: Uint8Array;
  /** Set when it was given enciphered. */
  readonly cipher?: Uint8Array;
  readonly steps: readonly CheckStep[];
};

/** Names of the key under which others travel. */
export const MASTER_KEY_NAMES = ['tmk', 'kek', 'zmk', 'masterKey'] as const;

/** Key sizes of DES and 3DES in bytes. */
const DES_KEY_BYTES: readonly number[] = [8, 16, 24];

/** Requires a size. @throws ExplainError `ERR_EXPLAIN_VALUE`. */
export function requireKeyBytes(
  key: Uint8Array,
  name: string,
  allowed: readonly number[] = DES_KEY_BYTES,
): Uint8Array {
  if (allowed.includes(key.length)) return key;
  const message = `${name} has ${key.length} bytes, needs ${allowed.join(' or ')}`;
  throw new ExplainError('ERR_EXPLAIN_VALUE', message, { name, lengthBytes: key.length });
}

/** A key given in clear; null when none was. @throws ExplainError `ERR_EXPLAIN_VALUE`. */
export function givenKey(input: ExplainInput, names: readonly string[]): GivenKey | null {
  const clear = givenBytes(input, ...names);
  if (clear === undefined) return null;
  return { clear: requireKeyBytes(clear, names[0] ?? 'key', [8, 16]), steps: [] };
}

/** A key given under a master key; null without both. @throws ExplainError `ERR_EXPLAIN_VALUE`. */
export function decipheredKey(input: ExplainInput, names: readonly string[]): GivenKey | null {
  const cipher = givenBytes(input, ...names);
  const master = givenBytes(input, ...MASTER_KEY_NAMES);
  if (cipher === undefined || master === undefined) return null;
  requireKeyBytes(cipher, names[0] ?? 'key', [8, 16]);
  const clear = decipherUnder(requireKeyBytes(master, 'tmk'), cipher);
  const about = both('key deciphered under the master key', '用主密钥解密得到的工作密钥');
  return { clear, cipher, steps: [step(about, toHex(clear))] };
}

/** DES or 3DES in ECB by the length of the key. */
export function decipherUnder(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  return key.length === 8
    ? Uint8Array.from(splitBlocks(blocks).flatMap((block) => [...desDecrypt(key, block)]))
    : tdesDecrypt(key, blocks);
}

function splitBlocks(bytes: Uint8Array): readonly Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let offset = 0; offset < bytes.length; offset += 8) {
    blocks.push(bytes.slice(offset, offset + 8));
  }
  return blocks;
}
