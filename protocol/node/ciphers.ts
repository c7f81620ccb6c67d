/** The `CipherProvider` of Node: OpenSSL by `node:crypto`, one kept cipher context a key. */
import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  type Decipheriv,
} from 'node:crypto';
import { type CipherProvider, CryptoError } from '../src/crypto/index.ts';

/** Cipher contexts kept at one time; beyond it all are dropped and made anew. */
export const CIPHER_CONTEXTS_MAX = 512;
const BLOCK_BYTES = 16;

type Context = Cipheriv | Decipheriv;
const contexts = new Map<string, Context>();

/** The one instance; stateless but for its bounded cache of contexts. */
export const nodeCiphers: CipherProvider = {
  sha1: (data) => digest('sha1', data),
  sha256: (data) => digest('sha256', data),
  sm3: (data) => digest('sm3', data),
  hmacSha256: (key, data) => plain(createHmac('sha256', key).update(data).digest()),
  aesEcbEncrypt: (key, blocks) => ecb(`aes-${8 * key.length}-ecb`, 'encrypt', key, blocks),
  aesEcbDecrypt: (key, blocks) => ecb(`aes-${8 * key.length}-ecb`, 'decrypt', key, blocks),
  sm4EcbEncrypt: (key, blocks) => ecb('sm4-ecb', 'encrypt', key, blocks),
  sm4EcbDecrypt: (key, blocks) => ecb('sm4-ecb', 'decrypt', key, blocks),
};

function digest(algorithm: string, data: Uint8Array): Uint8Array {
  return plain(createHash(algorithm).update(data).digest());
}

function ecb(
  algorithm: string,
  direction: 'encrypt' | 'decrypt',
  key: Uint8Array,
  blocks: Uint8Array,
): Uint8Array {
  const lengths = algorithm === 'sm4-ecb' ? [16] : [16, 24, 32];
  if (!lengths.includes(key.length)) {
    throw new CryptoError('ERR_CRYPTO_KEY_LENGTH', `key of ${key.length} bytes for ${algorithm}`, {
      lengthBytes: key.length,
    });
  }
  if (blocks.length === 0 || blocks.length % BLOCK_BYTES !== 0) {
    throw new CryptoError('ERR_CRYPTO_DATA_LENGTH', `${blocks.length} bytes are no whole blocks`, {
      lengthBytes: blocks.length,
    });
  }
  return plain(contextOf(algorithm, direction, key).update(blocks));
}

/** Whole blocks in ECB leave no state behind, so that a context serves many calls. */
function contextOf(algorithm: string, direction: string, key: Uint8Array): Context {
  const id = `${algorithm} ${direction} ${Buffer.from(key).toString('latin1')}`;
  const kept = contexts.get(id);
  if (kept !== undefined) return kept;
  if (contexts.size >= CIPHER_CONTEXTS_MAX) contexts.clear();
  const make = direction === 'encrypt' ? createCipheriv : createDecipheriv;
  const context = make(algorithm, key, null).setAutoPadding(false);
  contexts.set(id, context);
  return context;
}

/** A plain `Uint8Array` that shares nothing with Node's buffer pool. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer);
}
