/** What a sandbox does with an applet's keys: the applet names them and never sees one. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { equalBytes, type RandomSource, xorBytes } from '@tapnpay/protocol/bytes';
import {
  aesCbcDecrypt,
  aesCbcEncrypt,
  aesCmac,
  type CipherProvider,
  padIso9797Method2,
  retailMac,
  tdesCbcDecrypt,
  tdesCbcEncrypt,
} from '@tapnpay/protocol/crypto';
import type {
  KeyFacts,
  KeyKind,
  KeyRules,
  KeyUsage,
} from '@tapnpay/protocol/globalplatform/applet';
import { aesKeyCheckValue, desKeyCheckValue } from '@tapnpay/protocol/globalplatform/data';
import { SandboxError } from './errors.ts';
import type { StoredKey, Vault } from './vault.ts';

const CHECK_VALUE_BYTES = 3;
/** Bytes of an uncompressed point at the end of its SPKI. */
const POINT_BYTES = 65;
/** Allowed lengths of symmetric keys, the usual one first. */
const KEY_LENGTHS: Readonly<Record<Exclude<KeyKind, 'ecP256'>, readonly number[]>> = {
  aes: [16, 24, 32],
  tdes: [16, 24],
  sm4: [16],
  hmac: [32, ...Array.from({ length: 49 }, (_, index) => 16 + index)],
};
const BLOCK_BYTES: Readonly<Record<KeyKind, number>> = {
  ...{ aes: 16, tdes: 8, sm4: 16, hmac: 0, ecP256: 0 },
};
const USAGES_OF: Readonly<Record<KeyKind, readonly KeyUsage[]>> = {
  aes: ['mac', 'encipher', 'decipher'],
  tdes: ['mac', 'encipher', 'decipher'],
  sm4: ['mac', 'encipher', 'decipher'],
  hmac: ['mac'],
  ecP256: ['sign'],
};

/** Keys of one instance in one call. Every refusal is `ERR_APPLET_KEY`. */
export class KeyRing {
  readonly #vault: Vault;
  readonly #ciphers: CipherProvider;
  readonly #random: RandomSource;

  constructor(
    vault: Vault,
    ports: { readonly ciphers: CipherProvider; readonly random: RandomSource },
  ) {
    this.#vault = vault;
    this.#ciphers = ports.ciphers;
    this.#random = ports.random;
  }

  /** @throws SandboxError `ERR_APPLET_KEY`, `ERR_APPLET_LIMIT`. */
  generate(name: string, rules: KeyRules, lengthBytes: number | null): KeyFacts {
    const { kind } = rules;
    if (kind !== 'ecP256') {
      const length = lengthBytes ?? KEY_LENGTHS[kind][0] ?? 0;
      assertLength(kind, length);
      return this.put(name, rules, this.#random.bytes(length));
    }
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return this.put(name, rules, privateKey.export({ type: 'pkcs8', format: 'der' }));
  }

  /** Keeps a key that came in clear to the host: from personalisation. */
  put(name: string, rules: KeyRules, bytes: Uint8Array, checkValue?: Uint8Array): KeyFacts {
    const { kind, usages } = rules;
    if (usages.length === 0 || usages.some((usage) => !USAGES_OF[kind].includes(usage))) {
      throw wrongKey(`a key of kind ${kind} cannot be used so`);
    }
    if (kind === 'ecP256') assertPrivateKey(bytes);
    else assertLength(kind, bytes.length);
    const key: StoredKey = { kind, usages: [...new Set(usages)].sort(), bytes: bytes.slice() };
    const facts = this.#factsOf(key);
    if (checkValue && checkValue.length > 0 && !equalBytes(facts.checkValue, checkValue)) {
      throw wrongKey('the check value is another');
    }
    this.#vault.writeKey(name, key);
    return facts;
  }

  facts(name: string): KeyFacts | null {
    const key = this.#vault.key(name);
    return key && this.#factsOf(key);
  }

  mac(name: string, data: Uint8Array): Uint8Array {
    const { kind, bytes } = this.#keyFor(name, 'mac');
    if (kind === 'aes') return aesCmac(this.#ciphers, bytes, data);
    if (kind === 'hmac') return this.#ciphers.hmacSha256(bytes, data);
    if (kind === 'sm4') {
      const padded = padIso9797Method2(data, BLOCK_BYTES.sm4);
      return sm4Cbc(this.#ciphers, bytes, padded, new Uint8Array(16)).slice(-BLOCK_BYTES.sm4);
    }
    if (bytes.length !== 16) throw wrongKey('a retail MAC needs a key of two parts');
    return retailMac(bytes, data, { padding: 2 });
  }

  encipher(name: string, initialVector: Uint8Array, blocks: Uint8Array): Uint8Array {
    const { kind, bytes } = this.#keyFor(name, 'encipher');
    assertBlocks(kind, initialVector, blocks);
    if (kind === 'aes') return aesCbcEncrypt(this.#ciphers, bytes, blocks, initialVector);
    if (kind === 'sm4') return sm4Cbc(this.#ciphers, bytes, blocks, initialVector);
    return tdesCbcEncrypt(bytes, blocks, initialVector);
  }

  decipher(name: string, initialVector: Uint8Array, blocks: Uint8Array): Uint8Array {
    const { kind, bytes } = this.#keyFor(name, 'decipher');
    assertBlocks(kind, initialVector, blocks);
    if (kind === 'aes') return aesCbcDecrypt(this.#ciphers, bytes, blocks, initialVector);
    if (kind === 'tdes') return tdesCbcDecrypt(bytes, blocks, initialVector);
    const before = new Uint8Array([...initialVector, ...blocks]);
    const clear = this.#ciphers.sm4EcbDecrypt(bytes, blocks);
    return clear.map((value, index) => value ^ (before[index] ?? 0));
  }

  sign(name: string, data: Uint8Array): Uint8Array {
    const key = privateKeyOf(this.#keyFor(name, 'sign').bytes);
    return new Uint8Array(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }));
  }

  #keyFor(name: string, usage: KeyUsage): StoredKey {
    const key = this.#vault.key(name);
    if (!key) throw wrongKey('there is no such key');
    if (!key.usages.includes(usage)) throw wrongKey(`it may not be used to ${usage}`);
    return key;
  }

  #factsOf({ kind, usages, bytes }: StoredKey): KeyFacts {
    const publicKey = kind === 'ecP256' ? pointOf(privateKeyOf(bytes)) : new Uint8Array();
    return { kind, usages, publicKey, checkValue: this.#checkValueOf(kind, bytes) };
  }

  #checkValueOf(kind: KeyKind, bytes: Uint8Array): Uint8Array {
    if (kind === 'aes') return aesKeyCheckValue(this.#ciphers, bytes);
    if (kind === 'tdes') return desKeyCheckValue(bytes);
    if (kind !== 'sm4') return new Uint8Array();
    return this.#ciphers.sm4EcbEncrypt(bytes, new Uint8Array(16)).slice(0, CHECK_VALUE_BYTES);
  }
}

function sm4Cbc(
  ciphers: CipherProvider,
  key: Uint8Array,
  blocks: Uint8Array,
  initialVector: Uint8Array,
): Uint8Array {
  const output = new Uint8Array(blocks.length);
  let chain = initialVector;
  for (let offset = 0; offset < blocks.length; offset += BLOCK_BYTES.sm4) {
    const block = blocks.subarray(offset, offset + BLOCK_BYTES.sm4);
    chain = ciphers.sm4EcbEncrypt(key, xorBytes(block, chain));
    output.set(chain, offset);
  }
  return output;
}

function assertLength(kind: Exclude<KeyKind, 'ecP256'>, lengthBytes: number): void {
  if (KEY_LENGTHS[kind].includes(lengthBytes)) return;
  throw wrongKey(`a key of kind ${kind} has no ${lengthBytes} bytes`);
}

function assertBlocks(kind: KeyKind, initialVector: Uint8Array, blocks: Uint8Array): void {
  const size = BLOCK_BYTES[kind];
  if (initialVector.length === size && blocks.length > 0 && blocks.length % size === 0) return;
  throw wrongKey(`blocks and initial vector are not of ${size} bytes`);
}

function assertPrivateKey(bytes: Uint8Array): void {
  let key: KeyObject;
  try {
    key = privateKeyOf(bytes);
  } catch {
    throw wrongKey('it is no private key in PKCS#8');
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw wrongKey('it is not on P-256');
}

function privateKeyOf(pkcs8: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
}

function pointOf(privateKey: KeyObject): Uint8Array {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return new Uint8Array(spki.subarray(-POINT_BYTES));
}

function wrongKey(why: string): SandboxError {
  return new SandboxError('ERR_APPLET_KEY', why);
}
