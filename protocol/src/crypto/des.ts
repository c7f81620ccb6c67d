/** DES and two- or three-key 3DES in plain TypeScript. @see FIPS 46-3, SP 800-67 */
import {
  beginChain,
  chainBlocks,
  cipherBlocks,
  DES_BLOCK_BYTES,
  decipheringRun,
  encipheringRun,
  passesOf,
  putHalves,
} from './des-core.ts';
import { assertDataLength, assertKeyLength, assertWholeBlocks } from './errors.ts';

const TDES_KEY_BYTES: readonly number[] = [16, 24];

/** DES of one block under a single-length key. */
export function desEncrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  assertKeyLength(key, [8]);
  assertDataLength(block, DES_BLOCK_BYTES, 'DES block');
  return ecb(encipheringRun(key), key, block);
}

/** The inverse of `desEncrypt`. */
export function desDecrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  assertKeyLength(key, [8]);
  assertDataLength(block, DES_BLOCK_BYTES, 'DES block');
  return ecb(decipheringRun(key), key, block);
}

/** 3DES-ECB over whole 8-byte blocks. @see FIPS 46-3 §3 */
export function tdesEncrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertKeyLength(key, TDES_KEY_BYTES);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  return ecb(encipheringRun(key), key, blocks);
}

/** The inverse of `tdesEncrypt`. */
export function tdesDecrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertKeyLength(key, TDES_KEY_BYTES);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  return ecb(decipheringRun(key), key, blocks);
}

/** 3DES-CBC over whole 8-byte blocks; the initial vector is zero unless given. */
export function tdesCbcEncrypt(
  key: Uint8Array,
  blocks: Uint8Array,
  initialVector: Uint8Array = new Uint8Array(DES_BLOCK_BYTES),
): Uint8Array {
  assertKeyLength(key, TDES_KEY_BYTES);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  assertDataLength(initialVector, DES_BLOCK_BYTES, 'initial vector');
  const run = encipheringRun(key);
  const output = new Uint8Array(blocks.length);
  beginChain(initialVector);
  for (let offset = 0; offset < blocks.length; offset += DES_BLOCK_BYTES) {
    chainBlocks(run, 3, blocks.subarray(offset, offset + DES_BLOCK_BYTES), DES_BLOCK_BYTES);
    putHalves(output, offset);
  }
  return output;
}

/** The inverse of `tdesCbcEncrypt`. */
export function tdesCbcDecrypt(
  key: Uint8Array,
  blocks: Uint8Array,
  initialVector: Uint8Array = new Uint8Array(DES_BLOCK_BYTES),
): Uint8Array {
  assertDataLength(initialVector, DES_BLOCK_BYTES, 'initial vector');
  const output = tdesDecrypt(key, blocks);
  for (let index = 0; index < output.length; index++) {
    const before = index - DES_BLOCK_BYTES;
    output[index]! ^= before < 0 ? initialVector[index]! : blocks[before]!;
  }
  return output;
}

/** `tdesEncrypt` over blocks of the caller's own, which become the enciphered ones. */
export function tdesEncryptInPlace(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertKeyLength(key, TDES_KEY_BYTES);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  cipherBlocks(encipheringRun(key), 3, blocks, blocks);
  return blocks;
}

function ecb(run: number, key: Uint8Array, blocks: Uint8Array): Uint8Array {
  const output = new Uint8Array(blocks.length);
  cipherBlocks(run, passesOf(key), blocks, output);
  return output;
}
