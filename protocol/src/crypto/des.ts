/** DES and two- or three-key 3DES in plain TypeScript, table driven. @see FIPS 46-3, SP 800-67 */
import { equalBytes } from '../bytes/index.ts';
import { KEY_BYTE_SHARE, SCHEDULE_WORDS, SP } from './des-tables.ts';
import { assertDataLength, assertKeyLength, assertWholeBlocks } from './errors.ts';

/** Bytes of a DES block. */
export const DES_BLOCK_BYTES = 8;
/** Most key schedules kept at one time; a newer key takes the place of an older one. */
export const KEY_SCHEDULES_MAX = 2048;

/** Round keys in the order they are used: one or three times 16 rounds of two words. */
export type DesSchedule = { readonly encrypt: Int32Array; readonly decrypt: Int32Array };

type CachedSchedule = { readonly key: Uint8Array; readonly schedule: DesSchedule };
let cache: (CachedSchedule | undefined)[] = new Array(KEY_SCHEDULES_MAX);

/** Forgets all cached key schedules, for callers that give up their keys. */
export function forgetKeySchedules(): void {
  for (const entry of cache) {
    entry?.key.fill(0);
    entry?.schedule.encrypt.fill(0);
    entry?.schedule.decrypt.fill(0);
  }
  cache = new Array(KEY_SCHEDULES_MAX);
}

/**
 * The schedule of a DES (8), two-key (16) or three-key (24 bytes) 3DES key, from a bounded cache.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function desScheduleOf(key: Uint8Array): DesSchedule {
  let hash = key.length;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key[index]!, 0x01000193);
  const slot = (hash ^ (hash >>> 15)) & (KEY_SCHEDULES_MAX - 1);
  const cached = cache[slot];
  if (cached !== undefined && equalBytes(cached.key, key)) return cached.schedule;
  assertKeyLength(key, [8, 16, 24]);
  const schedule = expandKey(key);
  cache[slot] = { key: key.slice(), schedule };
  return schedule;
}

/** DES of one block under a single-length key. */
export function desEncrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  assertKeyLength(key, [8]);
  assertDataLength(block, DES_BLOCK_BYTES, 'DES block');
  return ecb(desScheduleOf(key).encrypt, block);
}

/** The inverse of `desEncrypt`. */
export function desDecrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  assertKeyLength(key, [8]);
  assertDataLength(block, DES_BLOCK_BYTES, 'DES block');
  return ecb(desScheduleOf(key).decrypt, block);
}

/** 3DES-ECB over whole 8-byte blocks. @see SP 800-67 §3 */
export function tdesEncrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertKeyLength(key, [16, 24]);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  return ecb(desScheduleOf(key).encrypt, blocks);
}

/** The inverse of `tdesEncrypt`. */
export function tdesDecrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertKeyLength(key, [16, 24]);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  return ecb(desScheduleOf(key).decrypt, blocks);
}

/** 3DES-CBC over whole 8-byte blocks; the initial vector is zero unless given. */
export function tdesCbcEncrypt(
  key: Uint8Array,
  blocks: Uint8Array,
  initialVector: Uint8Array = new Uint8Array(DES_BLOCK_BYTES),
): Uint8Array {
  assertKeyLength(key, [16, 24]);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  assertDataLength(initialVector, DES_BLOCK_BYTES, 'initial vector');
  const words = desScheduleOf(key).encrypt;
  const output = new Uint8Array(blocks.length);
  const chain = initialVector.slice();
  for (let offset = 0; offset < blocks.length; offset += DES_BLOCK_BYTES) {
    for (let index = 0; index < DES_BLOCK_BYTES; index++) chain[index]! ^= blocks[offset + index]!;
    cryptDesBlock(words, chain, 0, chain, 0);
    output.set(chain, offset);
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

function ecb(words: Int32Array, blocks: Uint8Array): Uint8Array {
  const output = new Uint8Array(blocks.length);
  for (let offset = 0; offset < blocks.length; offset += DES_BLOCK_BYTES) {
    cryptDesBlock(words, blocks, offset, output, offset);
  }
  return output;
}

function expandKey(key: Uint8Array): DesSchedule {
  const first = expandSingleKey(key, 0);
  if (key.length === 8) return { encrypt: first, decrypt: reverseRounds(first) };
  const second = expandSingleKey(key, 8);
  const third = key.length === 24 ? expandSingleKey(key, 16) : first;
  const encrypt = new Int32Array(3 * SCHEDULE_WORDS);
  encrypt.set(first);
  encrypt.set(reverseRounds(second), SCHEDULE_WORDS);
  encrypt.set(third, 2 * SCHEDULE_WORDS);
  return { encrypt, decrypt: reverseRounds(encrypt) };
}

function expandSingleKey(key: Uint8Array, offset: number): Int32Array {
  const words = new Int32Array(SCHEDULE_WORDS);
  for (let byteIndex = 0; byteIndex < 8; byteIndex++) {
    const start = (128 * byteIndex + (key[offset + byteIndex]! >> 1)) * SCHEDULE_WORDS;
    for (let word = 0; word < SCHEDULE_WORDS; word++) words[word]! |= KEY_BYTE_SHARE[start + word]!;
  }
  return words;
}

/** Deciphering is enciphering with the rounds in reverse order, also across the three keys. */
function reverseRounds(words: Int32Array): Int32Array {
  const reversed = new Int32Array(words.length);
  for (let word = 0; word < words.length; word += 2) {
    reversed[words.length - 2 - word] = words[word]!;
    reversed[words.length - 1 - word] = words[word + 1]!;
  }
  return reversed;
}

/**
 * One block through one or three runs of 16 rounds. Both halves are kept rotated left by one bit
 * between the initial and the final permutation, which cancel out between the runs of 3DES.
 */
export function cryptDesBlock(
  words: Int32Array,
  input: Uint8Array,
  inputOffset: number,
  output: Uint8Array,
  outputOffset: number,
): void {
  let left = readWord(input, inputOffset);
  let right = readWord(input, inputOffset + 4);
  // Initial permutation as five exchanges of bit groups.
  let swap = ((left >>> 4) ^ right) & 0x0f0f0f0f;
  right ^= swap;
  left ^= swap << 4;
  swap = ((left >>> 16) ^ right) & 0x0000ffff;
  right ^= swap;
  left ^= swap << 16;
  swap = ((right >>> 2) ^ left) & 0x33333333;
  left ^= swap;
  right ^= swap << 2;
  swap = ((right >>> 8) ^ left) & 0x00ff00ff;
  left ^= swap;
  right ^= swap << 8;
  right = (right << 1) | (right >>> 31);
  swap = (left ^ right) & 0xaaaaaaaa;
  left ^= swap;
  right ^= swap;
  left = (left << 1) | (left >>> 31);
  for (let word = 0; word < words.length; ) {
    for (const end = word + SCHEDULE_WORDS; word < end; word += 4) {
      left ^= roundFunction(right, words[word]!, words[word + 1]!);
      right ^= roundFunction(left, words[word + 2]!, words[word + 3]!);
    }
    swap = left;
    left = right;
    right = swap;
  }
  // Final permutation: the same exchanges backwards.
  left = (left << 31) | (left >>> 1);
  swap = (left ^ right) & 0xaaaaaaaa;
  left ^= swap;
  right ^= swap;
  right = (right << 31) | (right >>> 1);
  swap = ((right >>> 8) ^ left) & 0x00ff00ff;
  left ^= swap;
  right ^= swap << 8;
  swap = ((right >>> 2) ^ left) & 0x33333333;
  left ^= swap;
  right ^= swap << 2;
  swap = ((left >>> 16) ^ right) & 0x0000ffff;
  right ^= swap;
  left ^= swap << 16;
  swap = ((left >>> 4) ^ right) & 0x0f0f0f0f;
  right ^= swap;
  left ^= swap << 4;
  writeWord(output, outputOffset, left);
  writeWord(output, outputOffset + 4, right);
}

function roundFunction(half: number, oddKeys: number, evenKeys: number): number {
  const odd = ((half << 28) | (half >>> 4)) ^ oddKeys;
  const even = half ^ evenKeys;
  return (
    SP[(odd >>> 24) & 63]! |
    SP[64 + ((even >>> 24) & 63)]! |
    SP[128 + ((odd >>> 16) & 63)]! |
    SP[192 + ((even >>> 16) & 63)]! |
    SP[256 + ((odd >>> 8) & 63)]! |
    SP[320 + ((even >>> 8) & 63)]! |
    SP[384 + (odd & 63)]! |
    SP[448 + (even & 63)]!
  );
}

function readWord(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset]! << 24) |
    (bytes[offset + 1]! << 16) |
    (bytes[offset + 2]! << 8) |
    bytes[offset + 3]!
  );
}

function writeWord(bytes: Uint8Array, offset: number, word: number): void {
  bytes[offset] = word >>> 24;
  bytes[offset + 1] = word >>> 16;
  bytes[offset + 2] = word >>> 8;
  bytes[offset + 3] = word;
}
