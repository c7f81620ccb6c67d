/** AES-CMAC. @see SP800-38B, RFC 4493 */
import { concatBytes } from '../bytes/index.ts';
import { assertKeyLength } from './errors.ts';
import { padIso9797Method2 } from './mac.ts';
import type { CipherProvider } from './provider.ts';

/** Bytes of an AES block. */
export const AES_BLOCK_BYTES = 16;
/** Key sizes of AES in bytes. */
export const AES_KEY_BYTES: readonly number[] = [16, 24, 32];

/** All 16 bytes of the CMAC. @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`. */
export function aesCmac(ciphers: CipherProvider, key: Uint8Array, data: Uint8Array): Uint8Array {
  assertKeyLength(key, AES_KEY_BYTES);
  const subkey1 = doubled(ciphers.aesEcbEncrypt(key, new Uint8Array(AES_BLOCK_BYTES)));
  const whole = data.length > 0 && data.length % AES_BLOCK_BYTES === 0;
  const message = whole ? data : padIso9797Method2(data, AES_BLOCK_BYTES);
  const subkey = whole ? subkey1 : doubled(subkey1);
  let chain: Uint8Array = new Uint8Array(AES_BLOCK_BYTES);
  for (let offset = 0; offset < message.length; offset += AES_BLOCK_BYTES) {
    const last = offset + AES_BLOCK_BYTES === message.length;
    const input = new Uint8Array(AES_BLOCK_BYTES);
    for (let index = 0; index < AES_BLOCK_BYTES; index++) {
      input[index] = chain[index]! ^ message[offset + index]! ^ (last ? subkey[index]! : 0);
    }
    chain = ciphers.aesEcbEncrypt(key, input);
  }
  return chain;
}

/** AES-CBC over whole blocks, built on the provider's ECB. */
export function aesCbcEncrypt(
  ciphers: CipherProvider,
  key: Uint8Array,
  blocks: Uint8Array,
  initialVector: Uint8Array,
): Uint8Array {
  let chain = initialVector;
  const output: Uint8Array[] = [];
  for (let offset = 0; offset < blocks.length; offset += AES_BLOCK_BYTES) {
    const previous = chain;
    const input = blocks.slice(offset, offset + AES_BLOCK_BYTES);
    chain = ciphers.aesEcbEncrypt(
      key,
      input.map((value, index) => value ^ previous[index]!),
    );
    output.push(chain);
  }
  return concatBytes(...output);
}

/** The inverse of `aesCbcEncrypt`. */
export function aesCbcDecrypt(
  ciphers: CipherProvider,
  key: Uint8Array,
  blocks: Uint8Array,
  initialVector: Uint8Array,
): Uint8Array {
  const before = concatBytes(initialVector, blocks);
  return ciphers.aesEcbDecrypt(key, blocks).map((value, index) => value ^ before[index]!);
}

/** Multiplication by x in GF(2^128), R = 87. @see SP800-38B §6.1 */
function doubled(block: Uint8Array): Uint8Array {
  const result = new Uint8Array(AES_BLOCK_BYTES);
  for (let index = 0; index < AES_BLOCK_BYTES; index++) {
    const carry = index + 1 < AES_BLOCK_BYTES ? block[index + 1]! >> 7 : 0;
    result[index] = (block[index]! << 1) | carry;
  }
  if (block[0]! >> 7 === 1) result[AES_BLOCK_BYTES - 1]! ^= 0x87;
  return result;
}
