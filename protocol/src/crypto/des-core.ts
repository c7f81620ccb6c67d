/**
 * The inside of DES: cached key schedules and blocks of one or three times sixteen rounds, table
 * driven and so not constant in time. @see FIPS 46-3
 *
 * V8 compiles a table's address and length into the code when the table is an unexported constant
 * of the same module and its loop does not lie inside another loop of the same function: hence the
 * copies of the imported tables, and one function for sixteen rounds.
 */
import { KEY_BYTE_SHARE, SCHEDULE_WORDS, SP } from './des-tables.ts';
import { assertKeyLength } from './errors.ts';

/** Bytes of a DES block. */
export const DES_BLOCK_BYTES = 8;
/** Key schedules kept at one time; a key that falls on a taken slot takes its place. */
export const KEY_SCHEDULES_MAX = 1024;
const KEY_WORDS_MAX = 6;
// DES, two-key and three-key 3DES.
const DES_KEY_BYTES: readonly number[] = [8, 16, 24];
/** Sixteen rounds: single DES. Three times sixteen: 3DES. */
export type DesPasses = 1 | 3;
const RUN_WORDS_MAX = 3 * SCHEDULE_WORDS;
/** Words of one slot: the enciphering run, then the deciphering one. */
const SLOT_WORDS = 2 * RUN_WORDS_MAX;
/** XOR of a word's number that turns the order of rounds over and keeps the words of a round. */
const REVERSED = SCHEDULE_WORDS - 2;

// One flat pool, so that a fresh session key costs no allocation; two words are read beyond it.
const schedules = new Int32Array(KEY_SCHEDULES_MAX * SLOT_WORDS + 2);
const slotKeys = new Int32Array(KEY_SCHEDULES_MAX * KEY_WORDS_MAX);
const slotKeyLengths = new Uint8Array(KEY_SCHEDULES_MAX);
const hasDeciphering = new Uint8Array(KEY_SCHEDULES_MAX);

const keyByteShare = KEY_BYTE_SHARE.slice();
const [s1, s2, s3, s4, s5, s6, s7, s8] = Array.from({ length: 8 }, (_, box) =>
  SP.slice(64 * box, 64 * box + 64),
) as [
  ...[Int32Array, Int32Array, Int32Array, Int32Array],
  ...[Int32Array, Int32Array, Int32Array, Int32Array],
];
/** The halves of the block that is worked on. */
const halves = new Int32Array(2);

/** Wipes all cached keys and schedules, for callers that give up their keys. */
export function forgetKeySchedules(): void {
  schedules.fill(0);
  slotKeys.fill(0);
  slotKeyLengths.fill(0);
  hasDeciphering.fill(0);
  halves.fill(0);
}

/** Passes of a whole key: one for single DES. */
export function passesOf(key: Uint8Array): DesPasses {
  return key.length === 8 ? 1 : 3;
}

/**
 * Where the enciphering words of a DES (8), two-key (16) or three-key (24 bytes) 3DES key begin;
 * good until the next key is asked for. One pass of them is DES under the first key part.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function encipheringRun(key: Uint8Array): number {
  return slotOf(key) * SLOT_WORDS;
}

/** The same for deciphering. */
export function decipheringRun(key: Uint8Array): number {
  const slot = slotOf(key);
  const start = slot * SLOT_WORDS;
  const words = SCHEDULE_WORDS * passesOf(key);
  if (hasDeciphering[slot] === 0) {
    reverseRounds(start, words);
    hasDeciphering[slot] = 1;
  }
  return start + RUN_WORDS_MAX;
}

/** The words of the three passes of a run. */
export function copyRun(run: number, into: Int32Array): void {
  into.set(schedules.subarray(run, run + RUN_WORDS_MAX));
}

/** Whole blocks, each by itself. */
export function cipherBlocks(
  run: number,
  passes: DesPasses,
  input: Uint8Array,
  output: Uint8Array,
): void {
  for (let offset = 0; offset < input.length; offset += DES_BLOCK_BYTES) {
    halves[0] = wordAt(input, offset);
    halves[1] = wordAt(input, offset + 4);
    cipherHalves(run, passes);
    putHalves(output, offset);
  }
}

/** CBC: the blocks of `data` up to `end` go into the chain. */
export function chainBlocks(run: number, passes: DesPasses, data: Uint8Array, end: number): void {
  for (let offset = 0; offset < end; offset += DES_BLOCK_BYTES) {
    halves[0] = halves[0]! ^ wordAt(data, offset);
    halves[1] = halves[1]! ^ wordAt(data, offset + 4);
    cipherHalves(run, passes);
  }
}

/** Begins a chain at an initial vector of eight bytes, or zero. */
export function beginChain(initialVector?: Uint8Array): void {
  halves[0] = initialVector ? wordAt(initialVector, 0) : 0;
  halves[1] = initialVector ? wordAt(initialVector, 4) : 0;
}

/** Writes the chain as it stands. */
export function putHalves(output: Uint8Array, offset: number): void {
  const left = halves[0]!;
  const right = halves[1]!;
  output[offset] = left >>> 24;
  output[offset + 1] = left >>> 16;
  output[offset + 2] = left >>> 8;
  output[offset + 3] = left;
  output[offset + 4] = right >>> 24;
  output[offset + 5] = right >>> 16;
  output[offset + 6] = right >>> 8;
  output[offset + 7] = right;
}

/** The slot of a key, whose schedule is made unless it is there. */
function slotOf(key: Uint8Array): number {
  const length = key.length;
  if (length !== 16) assertKeyLength(key, DES_KEY_BYTES);
  let hash = length;
  for (let offset = 0; offset < length; offset += 4) {
    hash = Math.imul(hash ^ wordAt(key, offset), 0x01000193);
    hash ^= hash >>> 15;
  }
  const slot = (hash ^ (hash >>> 10)) & (KEY_SCHEDULES_MAX - 1);
  const keyOffset = slot * KEY_WORDS_MAX;
  let difference = slotKeyLengths[slot]! ^ length;
  for (let offset = 0; offset < length; offset += 4) {
    difference |= slotKeys[keyOffset + (offset >> 2)]! ^ wordAt(key, offset);
  }
  if (difference === 0) return slot;
  for (let offset = 0; offset < length; offset += 4) {
    slotKeys[keyOffset + (offset >> 2)] = wordAt(key, offset);
  }
  slotKeyLengths[slot] = length;
  hasDeciphering[slot] = 0;
  expandKey(key, slot * SLOT_WORDS);
  return slot;
}

/** E of the first part, D of the second, E of the third, which of two-key 3DES is the first. */
function expandKey(key: Uint8Array, start: number): void {
  expandPart(key, 0, start, 0);
  if (key.length === 8) return;
  expandPart(key, 8, start + SCHEDULE_WORDS, REVERSED);
  const third = start + 2 * SCHEDULE_WORDS;
  if (key.length === 24) expandPart(key, 16, third, 0);
  else schedules.copyWithin(third, start, start + SCHEDULE_WORDS);
}

function expandPart(key: Uint8Array, offset: number, start: number, flip: number): void {
  const rows = (byteIndex: number): number =>
    (128 * byteIndex + (key[offset + byteIndex]! >> 1)) * SCHEDULE_WORDS;
  const [r0, r1, r2, r3] = [rows(0), rows(1), rows(2), rows(3)] as const;
  const [r4, r5, r6, r7] = [rows(4), rows(5), rows(6), rows(7)] as const;
  for (let word = 0; word < SCHEDULE_WORDS; word++) {
    schedules[start + (word ^ flip)] =
      keyByteShare[r0 + word]! |
      keyByteShare[r1 + word]! |
      keyByteShare[r2 + word]! |
      keyByteShare[r3 + word]! |
      keyByteShare[r4 + word]! |
      keyByteShare[r5 + word]! |
      keyByteShare[r6 + word]! |
      keyByteShare[r7 + word]!;
  }
}

/** Deciphering is enciphering with the rounds in reverse order, also across the three keys. */
function reverseRounds(start: number, words: number): void {
  const to = start + RUN_WORDS_MAX + words;
  for (let word = 0; word < words; word += 2) {
    schedules[to - 2 - word] = schedules[start + word]!;
    schedules[to - 1 - word] = schedules[start + word + 1]!;
  }
}

/**
 * The block in the halves through one or three passes of a run. Both halves are kept rotated left
 * by one bit between the initial and the final permutation, which cancel out between the three
 * parts of 3DES.
 */
function cipherHalves(run: number, passes: DesPasses): void {
  initialPermutation();
  sixteenRounds(run);
  if (passes === 3) {
    sixteenRounds(run + SCHEDULE_WORDS);
    sixteenRounds(run + 2 * SCHEDULE_WORDS);
  }
  finalPermutation();
}

/** Five exchanges of bit groups. */
function initialPermutation(): void {
  let left = halves[0]!;
  let right = halves[1]!;
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
  halves[0] = (left << 1) | (left >>> 31);
  halves[1] = right;
}

/** The same exchanges backwards. */
function finalPermutation(): void {
  let left = halves[0]!;
  let right = halves[1]!;
  left = (left << 31) | (left >>> 1);
  let swap = (left ^ right) & 0xaaaaaaaa;
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
  halves[0] = left ^ (swap << 4);
  halves[1] = right ^ swap;
}

/**
 * Sixteen rounds of a schedule, two a turn, and the exchange of the halves. What a round looks up
 * is its half XOR key; the half's own part of the next look-up is made before f of this round is
 * known, which shortens the way from one round to the next. The last round's next is not used.
 */
function sixteenRounds(start: number): void {
  let left = halves[0]!;
  let right = halves[1]!;
  let odd = ((right << 28) | (right >>> 4)) ^ schedules[start]!;
  let even = right ^ schedules[(start + 1) | 0]!;
  let nextOdd = 0;
  let nextEven = 0;
  let mixed = 0;
  const end = (start + SCHEDULE_WORDS) | 0;
  for (let word = start; word < end; word = (word + 4) | 0) {
    nextOdd = ((left << 28) | (left >>> 4)) ^ schedules[(word + 2) | 0]!;
    nextEven = left ^ schedules[(word + 3) | 0]!;
    mixed =
      s2[(even >>> 24) & 63]! |
      s4[(even >>> 16) & 63]! |
      s6[(even >>> 8) & 63]! |
      s8[even & 63]! |
      s1[(odd >>> 24) & 63]! |
      s3[(odd >>> 16) & 63]! |
      s5[(odd >>> 8) & 63]! |
      s7[odd & 63]!;
    odd = nextOdd ^ ((mixed << 28) | (mixed >>> 4));
    even = nextEven ^ mixed;
    left ^= mixed;
    nextOdd = ((right << 28) | (right >>> 4)) ^ schedules[(word + 4) | 0]!;
    nextEven = right ^ schedules[(word + 5) | 0]!;
    mixed =
      s2[(even >>> 24) & 63]! |
      s4[(even >>> 16) & 63]! |
      s6[(even >>> 8) & 63]! |
      s8[even & 63]! |
      s1[(odd >>> 24) & 63]! |
      s3[(odd >>> 16) & 63]! |
      s5[(odd >>> 8) & 63]! |
      s7[odd & 63]!;
    odd = nextOdd ^ ((mixed << 28) | (mixed >>> 4));
    even = nextEven ^ mixed;
    right ^= mixed;
  }
  halves[0] = right;
  halves[1] = left;
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset]! << 24) |
    (bytes[offset + 1]! << 16) |
    (bytes[offset + 2]! << 8) |
    bytes[offset + 3]!
  );
}
