/** DES and two- or three-key 3DES in plain TypeScript, table driven. @see FIPS 46-3, SP 800-67 */
import { KEY_BYTE_SHARE, SCHEDULE_WORDS, SP } from './des-tables.ts';
import { assertDataLength, assertKeyLength, assertWholeBlocks } from './errors.ts';

/** Bytes of a DES block. */
export const DES_BLOCK_BYTES = 8;
/** Key schedules kept at one time; a key that falls on a taken slot takes its place. */
export const KEY_SCHEDULES_MAX = 1024;
const KEY_BYTES_MAX = 24;
// DES, two-key and three-key 3DES.
const DES_KEY_BYTES: readonly number[] = [8, 16, 24];
const TDES_KEY_BYTES: readonly number[] = [16, 24];
const RUN_WORDS_MAX = 3 * SCHEDULE_WORDS;
/** Words of one slot: the enciphering runs, then the deciphering ones. */
const SLOT_WORDS = 2 * RUN_WORDS_MAX;

// One flat pool, so that a fresh session key costs no allocation.
const schedules = new Int32Array(KEY_SCHEDULES_MAX * SLOT_WORDS);
const slotKeys = new Uint8Array(KEY_SCHEDULES_MAX * KEY_BYTES_MAX);
const slotKeyLengths = new Uint8Array(KEY_SCHEDULES_MAX);

/** Wipes all cached keys and schedules, for callers that give up their keys. */
export function forgetKeySchedules(): void {
  schedules.fill(0);
  slotKeys.fill(0);
  slotKeyLengths.fill(0);
}

/** Where the words of a run begin and end in the pool; good until the next key is asked for. */
export type DesRun = { readonly start: number; readonly end: number };

/**
 * The enciphering run of a DES (8), two-key (16) or three-key (24 bytes) 3DES key. Its first
 * `SCHEDULE_WORDS` alone are single DES under the first key part.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function encipheringRun(key: Uint8Array): DesRun {
  const start = slotOf(key) * SLOT_WORDS;
  return { start, end: start + runWords(key) };
}

/** The deciphering run of the same key. */
export function decipheringRun(key: Uint8Array): DesRun {
  const start = slotOf(key) * SLOT_WORDS + RUN_WORDS_MAX;
  return { start, end: start + runWords(key) };
}

function runWords(key: Uint8Array): number {
  return key.length === 8 ? SCHEDULE_WORDS : RUN_WORDS_MAX;
}

function slotOf(key: Uint8Array): number {
  assertKeyLength(key, DES_KEY_BYTES);
  let hash = key.length;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key[index]!, 0x01000193);
  const slot = (hash ^ (hash >>> 15)) & (KEY_SCHEDULES_MAX - 1);
  const keyOffset = slot * KEY_BYTES_MAX;
  let same = slotKeyLengths[slot] === key.length;
  for (let index = 0; same && index < key.length; index++) {
    same = slotKeys[keyOffset + index] === key[index];
  }
  if (same) return slot;
  slotKeys.set(key, keyOffset);
  slotKeyLengths[slot] = key.length;
  expandKey(key, slot * SLOT_WORDS);
  return slot;
}

/** DES of one block under a single-length key. */
export function desEncrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  assertKeyLength(key, [8]);
  assertDataLength(block, DES_BLOCK_BYTES, 'DES block');
  return ecb(encipheringRun(key), block);
}

/** The inverse of `desEncrypt`. */
export function desDecrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  assertKeyLength(key, [8]);
  assertDataLength(block, DES_BLOCK_BYTES, 'DES block');
  return ecb(decipheringRun(key), block);
}

/** 3DES-ECB over whole 8-byte blocks. @see FIPS 46-3 §3 */
export function tdesEncrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertKeyLength(key, TDES_KEY_BYTES);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  return ecb(encipheringRun(key), blocks);
}

/** The inverse of `tdesEncrypt`. */
export function tdesDecrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  assertKeyLength(key, TDES_KEY_BYTES);
  assertWholeBlocks(blocks, DES_BLOCK_BYTES);
  return ecb(decipheringRun(key), blocks);
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
  const chain = initialVector.slice();
  for (let offset = 0; offset < blocks.length; offset += DES_BLOCK_BYTES) {
    for (let index = 0; index < DES_BLOCK_BYTES; index++) chain[index]! ^= blocks[offset + index]!;
    cryptDesBlock(run.start, run.end, chain, 0, chain, 0);
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

function ecb(run: DesRun, blocks: Uint8Array): Uint8Array {
  const output = new Uint8Array(blocks.length);
  for (let offset = 0; offset < blocks.length; offset += DES_BLOCK_BYTES) {
    cryptDesBlock(run.start, run.end, blocks, offset, output, offset);
  }
  return output;
}

function expandKey(key: Uint8Array, start: number): void {
  const decipher = start + RUN_WORDS_MAX;
  if (key.length === 8) {
    expandSingleKey(key, 0, start);
    reverseRounds(start, SCHEDULE_WORDS, decipher);
    return;
  }
  const second = start + SCHEDULE_WORDS;
  const third = second + SCHEDULE_WORDS;
  expandSingleKey(key, 8, third);
  reverseRounds(third, SCHEDULE_WORDS, second);
  expandSingleKey(key, 0, start);
  if (key.length === 24) expandSingleKey(key, 16, third);
  else schedules.copyWithin(third, start, second);
  reverseRounds(start, RUN_WORDS_MAX, decipher);
}

function expandSingleKey(key: Uint8Array, offset: number, start: number): void {
  schedules.fill(0, start, start + SCHEDULE_WORDS);
  for (let byteIndex = 0; byteIndex < 8; byteIndex++) {
    const share = (128 * byteIndex + (key[offset + byteIndex]! >> 1)) * SCHEDULE_WORDS;
    for (let word = 0; word < SCHEDULE_WORDS; word++) {
      schedules[start + word]! |= KEY_BYTE_SHARE[share + word]!;
    }
  }
}

/** Deciphering is enciphering with the rounds in reverse order, also across the three keys. */
function reverseRounds(from: number, words: number, to: number): void {
  for (let word = 0; word < words; word += 2) {
    schedules[to + words - 2 - word] = schedules[from + word]!;
    schedules[to + words - 1 - word] = schedules[from + word + 1]!;
  }
}

/**
 * One block through one or three times 16 rounds of the pool's words. Both halves are kept rotated
 * left by one bit between the initial and the final permutation, which cancel out between the
 * three parts of 3DES.
 */
export function cryptDesBlock(
  runStart: number,
  runEnd: number,
  input: Uint8Array,
  inputOffset: number,
  output: Uint8Array,
  outputOffset: number,
): void {
  // Locals, since an imported table is read through its cell at every use.
  const sp = SP;
  const keys = schedules;
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
  for (let word = runStart; word < runEnd; ) {
    for (const end = word + SCHEDULE_WORDS; word < end; word += 4) {
      left ^= roundFunction(sp, right, keys[word]!, keys[word + 1]!);
      right ^= roundFunction(sp, left, keys[word + 2]!, keys[word + 3]!);
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

function roundFunction(sp: Int32Array, half: number, oddKeys: number, evenKeys: number): number {
  const odd = ((half << 28) | (half >>> 4)) ^ oddKeys;
  const even = half ^ evenKeys;
  return (
    sp[(odd >>> 24) & 63]! |
    sp[64 + ((even >>> 24) & 63)]! |
    sp[128 + ((odd >>> 16) & 63)]! |
    sp[192 + ((even >>> 16) & 63)]! |
    sp[256 + ((odd >>> 8) & 63)]! |
    sp[320 + ((even >>> 8) & 63)]! |
    sp[384 + (odd & 63)]! |
    sp[448 + (even & 63)]!
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
