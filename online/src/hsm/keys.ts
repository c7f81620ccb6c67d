/**
 * Key blocks of this HSM: TR-31 version D under the local master key. The header of a block says
 * what its key may do; nothing here takes a caller's word for it. @see X9.143
 */
import { equalBytes, Secret, toHex } from '@tapnpay/protocol/bytes';
import {
  CryptoError,
  kcvAes,
  kcvTdes,
  type Tr31KeyBlock,
  tr31UnwrapD,
  tr31WrapD,
} from '@tapnpay/protocol/crypto';
import type { KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';
import type { HsmContext } from './context.ts';
import { HsmError } from './errors.ts';
import { KEY_BYTES, KEY_RULES } from './profile.ts';

/** A key as it leaves the HSM. */
export type WrappedKey = { readonly keyBlock: KeyBlock; readonly kcv: string };

/**
 * A clear key as a block of this HSM.
 * @throws HsmError `ERR_HSM_PARAMETER` for a key that breaks the rules of its usage,
 *   `ERR_HSM_KEY_USAGE` for one that is known here under another usage.
 */
export function wrapKey(context: HsmContext, usage: KeyUsage, key: Uint8Array): WrappedKey {
  const { algorithm, modeOfUse } = KEY_RULES[usage];
  assertKeyRules(usage, key);
  claimUsage(context, usage, key);
  const header = {
    usage,
    algorithm,
    modeOfUse,
    exportability: 'N',
    optionalBlocks: [{ id: 'LB', data: context.label }],
  };
  const master = context.masterKey.expose();
  const keyBlock = tr31WrapD(context.ciphers, master, header, key, context.random);
  context.openKeys.set(keyBlock, { usage, key: new Secret(key.slice(), '[key]') });
  return { keyBlock, kcv: keyCheckValue(context, usage, key) };
}

/**
 * The clear key of a block, if its header allows one of `usages`.
 * @throws HsmError `ERR_HSM_KEY_BLOCK`, `ERR_HSM_KEY_USAGE`.
 */
export function openKey(
  context: HsmContext,
  block: KeyBlock,
  usages: readonly KeyUsage[],
): Uint8Array {
  const open = context.openKeys.get(block) ?? unwrap(context, block);
  if (!usages.includes(open.usage)) {
    const text = `a key of usage ${open.usage} was given, ${usages.join(' or ')} is needed`;
    throw new HsmError('ERR_HSM_KEY_USAGE', text, { usage: open.usage });
  }
  return open.key.expose();
}

/**
 * DES: 4 bytes of a zero block enciphered, as line messages carry it. AES: 5 bytes of the CMAC of
 * a zero block. @see X9.24-1:2017 Annex A
 */
export function keyCheckValue(context: HsmContext, usage: KeyUsage, key: Uint8Array): string {
  return KEY_RULES[usage].algorithm === 'A' ? kcvAes(context.ciphers, key) : kcvTdes(key);
}

/** Sets the last bit of every byte so that its number of ones is odd. @see FIPS 46-3 */
export function withOddParity(key: Uint8Array): Uint8Array {
  return key.map((value) => {
    let ones = 0;
    for (let bits = value >> 1; bits !== 0; bits >>= 1) ones += bits & 1;
    return (value & 0xfe) | (ones % 2 === 0 ? 1 : 0);
  });
}

/** A random key that keeps the rules of `usage`. */
export function randomKey(context: HsmContext, usage: KeyUsage): Uint8Array {
  for (;;) {
    const bytes = context.random.bytes(KEY_BYTES);
    const key = KEY_RULES[usage].algorithm === 'T' ? withOddParity(bytes) : bytes;
    if (!hasEqualHalves(key)) return key;
  }
}

function unwrap(
  context: HsmContext,
  block: KeyBlock,
): { readonly usage: KeyUsage; readonly key: Secret<Uint8Array> } {
  const content = unwrapBlock(context, block);
  const usage = knownUsage(content);
  assertKeyRules(usage, content.key);
  claimUsage(context, usage, content.key);
  const open = { usage, key: new Secret(content.key, '[key]') };
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

function knownUsage(content: Tr31KeyBlock): KeyUsage {
  const found = Object.entries(KEY_RULES).find(([usage]) => usage === content.usage);
  const [usage, rule] = found ?? [];
  if (rule?.algorithm !== content.algorithm || rule.modeOfUse !== content.modeOfUse) {
    throw new HsmError('ERR_HSM_KEY_USAGE', 'the key block has attributes unknown here');
  }
  return usage as KeyUsage;
}

function assertKeyRules(usage: KeyUsage, key: Uint8Array): void {
  if (key.length !== KEY_BYTES) {
    throw new HsmError('ERR_HSM_PARAMETER', `a key has ${KEY_BYTES} bytes`);
  }
  if (!KEY_RULES[usage].mayBeSingleLength && hasEqualHalves(key)) {
    throw new HsmError('ERR_HSM_PARAMETER', `a key of usage ${usage} may not have equal halves`);
  }
}

/** Compared without parity bits, which DES does not see. */
function hasEqualHalves(key: Uint8Array): boolean {
  const half = KEY_BYTES / 2;
  const [left, right] = [key.slice(0, half), key.slice(half)].map(withOddParity);
  return left !== undefined && right !== undefined && equalBytes(left, right);
}

/**
 * One key, one usage. A key enciphered in plain ECB does not say what it is for: a PIN key that was
 * imported again as a MAC key would turn the MAC command into an oracle for PIN blocks.
 */
function claimUsage(context: HsmContext, usage: KeyUsage, key: Uint8Array): void {
  const digest = toHex(context.ciphers.hmacSha256(context.masterKey.expose(), key));
  const known = context.knownKeys.get(digest);
  if (known !== undefined && known !== usage) {
    throw new HsmError('ERR_HSM_KEY_USAGE', `this key has usage ${known} here already`, { usage });
  }
  context.knownKeys.set(digest, usage);
}
