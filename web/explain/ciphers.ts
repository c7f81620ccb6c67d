/** The `CipherProvider` of a browser, in plain JavaScript: nothing is asked of any server. */
import { ecb } from '@noble/ciphers/aes.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { fromHex } from '@tapnpay/protocol/bytes';
import { type CipherProvider, CryptoError } from '@tapnpay/protocol/crypto';
import { sm3, sm4 } from 'sm-crypto-v2';

const BLOCK_BYTES = 16;
const AES_KEY_BYTES: readonly number[] = [16, 24, 32];
const SM4_KEY_BYTES: readonly number[] = [16];

/** Whole blocks under a key of a right size. @throws CryptoError as the one of Node does. */
function assertSizes(key: Uint8Array, blocks: Uint8Array, allowed: readonly number[]): void {
  if (!allowed.includes(key.length)) {
    throw new CryptoError('ERR_CRYPTO_KEY_LENGTH', `key of ${key.length} bytes`, {
      lengthBytes: key.length,
    });
  }
  if (blocks.length === 0 || blocks.length % BLOCK_BYTES !== 0) {
    throw new CryptoError('ERR_CRYPTO_DATA_LENGTH', `${blocks.length} bytes are no whole blocks`, {
      lengthBytes: blocks.length,
    });
  }
}

function aes(direction: 'encrypt' | 'decrypt', key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertSizes(key, blocks, AES_KEY_BYTES);
  return ecb(key, { disablePadding: true })[direction](blocks);
}

function sm4Ecb(direction: 'encrypt' | 'decrypt', key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertSizes(key, blocks, SM4_KEY_BYTES);
  return sm4[direction](blocks, key, { padding: 'none', mode: 'ecb', output: 'array' });
}

/** The one instance; it holds nothing. */
export const browserCiphers: CipherProvider = {
  sha1: (data) => sha1(data),
  sha256: (data) => sha256(data),
  sm3: (data) => fromHex(sm3(data)),
  hmacSha256: (key, data) => hmac(sha256, key, data),
  aesEcbEncrypt: (key, blocks) => aes('encrypt', key, blocks),
  aesEcbDecrypt: (key, blocks) => aes('decrypt', key, blocks),
  sm4EcbEncrypt: (key, blocks) => sm4Ecb('encrypt', key, blocks),
  sm4EcbDecrypt: (key, blocks) => sm4Ecb('decrypt', key, blocks),
};
