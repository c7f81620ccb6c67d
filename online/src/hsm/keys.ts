/**
 * Key blocks of this HSM: TR-31 version D under the local master key. The header of a block says
 * what its key may do; nothing here takes a caller's word for it. @see X9.143
 */
import { equalBytes, Secret, toHex } from '@tapnpay/protocol/bytes';
import {
  CryptoError,
  kcvAes,
  kcvSm4,
  kcvTdes,
  type Tr31KeyBlock,
  tdesDecrypt,
  tdesEncrypt,
  tr31UnwrapD,
  tr31WrapD,
} from '@tapnpay/protocol/crypto';
import type { KeyAlgorithm, KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';
import type { HsmContext, OpenKey } from './context.ts';
import { HsmError } from './errors.ts';
import { EXPORTABILITY, KEY_BYTES, KEY_RULES, keyLengths } from './profile.ts';

/** A key as it leaves the HSM. */
export type WrappedKey = { readonly keyBlock: KeyBlock; readonly kcv: string };
/** What a key is: the part of its header that commands look at. */
export type KeyKind = { readonly usage: KeyUsage; readonly algorithm: KeyAlgorithm };
/** A key that a command needs; any algorithm of the usage when none is named. */
export type KeyNeed = {
  readonly block: KeyBlock;
  readonly usages: readonly KeyUsage[];
  readonly algorithm?: KeyAlgorithm | undefined;
};

/**
 * A clear key as a block of this HSM.
 * @throws HsmError `ERR_HSM_PARAMETER` for a key that breaks the rules of its usage,
 *   `ERR_HSM_KEY_USAGE` for one that is known here under another usage.
 */
export function wrapKey(context: HsmContext, kind: KeyKind, key: Uint8Array): WrappedKey {
  const { usage, algorithm } = kind;
  assertKeyRules(kind, key);
  claimUsage(context, kind, key);
  const header = {
    ...{ usage, algorithm, modeOfUse: KEY_RULES[usage].modeOfUse, exportability: EXPORTABILITY },
    optionalBlocks: [{ id: 'LB', data: context.label }],
  };
  const master = context.masterKey.expose();
  const keyBlock = tr31WrapD(context.ciphers, master, header, key, context.random);
  context.openKeys.set(keyBlock, { usage, algorithm, key: new Secret(key.slice(), '[key]') });
  return { keyBlock, kcv: keyCheckValue(context, algorithm, key) };
}

/**
 * The key of a block.
 * @throws HsmError `ERR_HSM_KEY_BLOCK` for a block that is altered or of another HSM,
 *   `ERR_HSM_KEY_USAGE` for a header that is none of ours.
 */
export function openKey(context: HsmContext, block: KeyBlock): OpenKey {
  return context.openKeys.get(block) ?? unwrap(context, block);
}

/** @throws HsmError `ERR_HSM_KEY_USAGE` when the header of a key does not allow what is needed. */
export function assertNeed(kind: KeyKind, { usages, algorithm }: KeyNeed): void {
  if (!usages.includes(kind.usage)) {
    const text = `a key of usage ${kind.usage} was given, ${usages.join(' or ')} is needed`;
    throw new HsmError('ERR_HSM_KEY_USAGE', text, { usage: kind.usage });
  }
  if (algorithm !== undefined && algorithm !== kind.algorithm) {
    const text = `a key of algorithm ${kind.algorithm} was given, ${algorithm} is needed`;
    throw new HsmError('ERR_HSM_KEY_USAGE', text, { algorithm: kind.algorithm });
  }
}

/**
 * DES and SM4: 4 bytes of a zero block enciphered, as line messages carry it. AES: 5 bytes of the
 * CMAC of a zero block. @see X9.24-1:2017 Annex A
 */
export function keyCheckValue(
  { ciphers }: Pick<HsmContext, 'ciphers'>,
  algorithm: KeyAlgorithm,
  key: Uint8Array,
): string {
  if (algorithm === 'A') return kcvAes(ciphers, key);
  return algorithm === '4' ? kcvSm4(ciphers, key) : kcvTdes(key);
}

/** ECB of whole blocks under a key of any algorithm. */
export function encipherEcb(
  { ciphers }: HsmContext,
  algorithm: KeyAlgorithm,
  key: Uint8Array,
  blocks: Uint8Array,
): Uint8Array {
  if (algorithm === 'T') return tdesEncrypt(key, blocks);
  return algorithm === 'A'
    ? ciphers.aesEcbEncrypt(key, blocks)
    : ciphers.sm4EcbEncrypt(key, blocks);
}

/** The inverse of `encipherEcb`. */
export function decipherEcb(
  { ciphers }: HsmContext,
  algorithm: KeyAlgorithm,
  key: Uint8Array,
  blocks: Uint8Array,
): Uint8Array {
  if (algorithm === 'T') return tdesDecrypt(key, blocks);
  return algorithm === 'A'
    ? ciphers.aesEcbDecrypt(key, blocks)
    : ciphers.sm4EcbDecrypt(key, blocks);
}

/** Sets the last bit of every byte so that its number of ones is odd. @see FIPS 46-3 */
export function withOddParity(key: Uint8Array): Uint8Array {
  return key.map((value) => {
    let ones = 0;
    for (let bits = value >> 1; bits !== 0; bits >>= 1) ones += bits & 1;
    return (value & 0xfe) | (ones % 2 === 0 ? 1 : 0);
  });
}

/** The key as its algorithm wants it: DES keys have odd parity. */
export function adjusted(algorithm: KeyAlgorithm, key: Uint8Array): Uint8Array {
  return algorithm === 'T' ? withOddParity(key) : key;
}

/** A random key that keeps the rules of its kind. */
export function randomKey(
  context: HsmContext,
  algorithm: KeyAlgorithm,
  lengthBytes: number = KEY_BYTES,
): Uint8Array {
  for (;;) {
    const key = adjusted(algorithm, context.random.bytes(lengthBytes));
    if (!hasEqualHalves(key)) return key;
  }
}

/** @throws HsmError `ERR_HSM_PARAMETER` when keys of this usage are not of this algorithm. */
export function assertAlgorithm({ usage, algorithm }: KeyKind): void {
  if (KEY_RULES[usage].algorithms.includes(algorithm)) return;
  const text = `keys of usage ${usage} are not of algorithm ${algorithm}`;
  throw new HsmError('ERR_HSM_PARAMETER', text);
}

function unwrap(context: HsmContext, block: KeyBlock): OpenKey {
  const content = unwrapBlock(context, block);
  const kind = knownKind(content);
  assertKeyRules(kind, content.key);
  claimUsage(context, kind, content.key);
  const open = { ...kind, key: new Secret(content.key, '[key]') };
  context.openKeys.set(block, open);
  return open;
}

function unwrapBlock(context: HsmContext, block: KeyBlock): Tr31KeyBlock {
  try {
    return tr31UnwrapD(context.ciphers, context.masterKey.expose(), block);
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new HsmError('ERR_HSM_KEY_BLOCK', 'this is no key block of this HSM');
  }
}

/** A header with a usage, algorithm, mode or exportability that is none of ours is refused. */
function knownKind(content: Tr31KeyBlock): KeyKind {
  const { usage, modeOfUse, exportability } = content;
  const rule = Object.hasOwn(KEY_RULES, usage) ? KEY_RULES[usage as KeyUsage] : undefined;
  const algorithm = rule?.algorithms.find((known) => known === content.algorithm);
  if (algorithm && rule?.modeOfUse === modeOfUse && exportability === EXPORTABILITY) {
    return { usage: usage as KeyUsage, algorithm };
  }
  throw new HsmError('ERR_HSM_KEY_USAGE', 'the key block has attributes unknown here');
}

function assertKeyRules({ usage, algorithm }: KeyKind, key: Uint8Array): void {
  const lengths = keyLengths(usage, algorithm);
  if (!lengths.includes(key.length)) {
    throw new HsmError('ERR_HSM_PARAMETER', `a key has ${lengths.join(' or ')} bytes`);
  }
  const mayBeSingle = algorithm === 'T' && KEY_RULES[usage].mayBeSingleLength;
  if (!mayBeSingle && hasEqualHalves(key)) {
    throw new HsmError('ERR_HSM_PARAMETER', `a key of usage ${usage} may not have equal halves`);
  }
}

/** Compared without parity bits, which DES does not see. */
function hasEqualHalves(key: Uint8Array): boolean {
  const half = key.length / 2;
  const [left, right] = [key.slice(0, half), key.slice(half)].map(withOddParity);
  return left !== undefined && right !== undefined && equalBytes(left, right);
}

/**
 * One key, one usage and algorithm. A key enciphered in plain ECB does not say what it is for: a
 * PIN key that was imported again as a MAC key would turn the MAC command into an oracle for PIN
 * blocks.
 */
function claimUsage(context: HsmContext, { usage, algorithm }: KeyKind, key: Uint8Array): void {
  const master = context.masterKey.expose();
  // Without parity bits, so that a DES key is the same one however they are set.
  const digest = toHex(context.ciphers.hmacSha256(master, withOddParity(key)));
  const claimed = `${usage} ${algorithm}`;
  const known = context.knownKeys.get(digest);
  if (known !== undefined && known !== claimed) {
    throw new HsmError('ERR_HSM_KEY_USAGE', `this key has usage ${known} here already`, { usage });
  }
  context.knownKeys.set(digest, claimed);
}
