/**
 * CBC-MACs of several texts under one 3DES key at a time. One chain waits for each block before the
 * next, and a processor for most of that time; three chains side by side fill the gaps. The rounds
 * of the three lanes are written here as WebAssembly instructions, which have no checks of array
 * bounds; where WebAssembly is absent or forbidden, texts are taken one by one with `x99Mac`.
 * @see ISO 9797-1 §7.2 (MAC algorithm 1), FIPS 46-3
 */
import { copyRun, DES_BLOCK_BYTES, encipheringRun } from './des-core.ts';
import { SCHEDULE_WORDS, SP } from './des-tables.ts';
import { x99Mac } from './mac.ts';

/** What of WebAssembly is used; the language's own library does not know it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

const LANES = 3;
/** Longest text of a lane; longer ones go alone. */
const TEXT_BYTES = 8192;
const RUN_WORDS = 3 * SCHEDULE_WORDS;
/** Where things lie in the memory of the lanes, which is one page of 64 KB. */
const RUN_AT = SP.byteLength;
const HALVES_AT = RUN_AT + 4 * RUN_WORDS;
const TEXTS_AT = 4096;

type Lanes = {
  /** Takes the blocks from one offset to another into the chains of all lanes. */
  readonly chain: (fromBytes: number, toBytes: number) => void;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
};

/**
 * `x99Mac` of each text, in order; the more texts, the faster.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function x99Macs(key: Uint8Array, texts: readonly Uint8Array[]): readonly Uint8Array[] {
  const run = encipheringRun(key);
  const isFit = key.length > 8 && texts.length > 1 && texts.every((t) => t.length <= TEXT_BYTES);
  const lanes = isFit ? theLanes() : undefined;
  if (!lanes) return texts.map((text) => x99Mac(key, text));
  copyRun(run, lanes.words.subarray(RUN_AT / 4, RUN_AT / 4 + RUN_WORDS));
  const macs: Uint8Array[] = [];
  for (let start = 0; start < texts.length; start += LANES) {
    macs.push(...groupMacs(lanes, texts.slice(start, start + LANES)));
  }
  // Neither key nor text stays behind.
  lanes.bytes.fill(0, RUN_AT);
  return macs;
}

/** Chains of up to three texts; one that has ended runs along unread. */
function groupMacs(lanes: Lanes, texts: readonly Uint8Array[]): readonly Uint8Array[] {
  const { bytes, words } = lanes;
  words.fill(0, HALVES_AT / 4, HALVES_AT / 4 + 2 * LANES);
  const ends = texts.map((text, lane) => {
    const at = TEXTS_AT + lane * TEXT_BYTES;
    const end = DES_BLOCK_BYTES * Math.max(1, Math.ceil(text.length / DES_BLOCK_BYTES));
    bytes.set(text, at);
    bytes.fill(0, at + text.length, at + end);
    return end;
  });
  const macs = texts.map(() => new Uint8Array(DES_BLOCK_BYTES));
  let done = 0;
  for (const end of [...new Set(ends)].sort((left, right) => left - right)) {
    lanes.chain(done, end);
    done = end;
    for (const [lane, mac] of macs.entries()) {
      if (ends[lane] === end) putWords(mac, words, HALVES_AT / 4 + 2 * lane);
    }
  }
  return macs;
}

function putWords(mac: Uint8Array, words: Int32Array, index: number): void {
  for (let offset = 0; offset < DES_BLOCK_BYTES; offset++) {
    mac[offset] = words[index + (offset >> 2)]! >>> (24 - 8 * (offset & 3));
  }
}

let made: Lanes | null | undefined;

/** Made when first needed; undefined where it cannot be. */
function theLanes(): Lanes | undefined {
  made ??= makeLanes();
  return made ?? undefined;
}

function makeLanes(): Lanes | null {
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(laneModule()));
    const { chain, memory } = exports as {
      readonly chain: Lanes['chain'];
      readonly memory: { readonly buffer: ArrayBuffer };
    };
    const words = new Int32Array(memory.buffer);
    words.set(SP);
    return { chain, words, bytes: new Uint8Array(memory.buffer) };
  } catch {
    // A page's policy may forbid it: the slower way gives the same.
    return null;
  }
}

/** Instructions, as chapter 5.4 of the WebAssembly core specification numbers them. */
const OP = {
  ...{ loop: 0x03, end: 0x0b, branchIf: 0x0d, get: 0x20, set: 0x21, load: 0x28, load8: 0x2d },
  ...{ store: 0x36, const: 0x41, less: 0x49, add: 0x6a, and: 0x71, or: 0x72, xor: 0x73 },
  ...{ shl: 0x74, shr: 0x76, rotl: 0x77, rotr: 0x78 },
} as const;
const I32 = 0x7f;
const NO_RESULT = 0x40;

/** Variables of the function: its parameters, then what all lanes share. */
const OFFSET = 0;
const END = 1;
const WORD = 2;
const SWAP = 3;
const ODD = 4;
const EVEN = 5;
const SHARED = 6;
type Lane = { readonly left: number; readonly right: number; readonly index: number };
type Code = readonly number[];

const get = (variable: number): Code => [OP.get, variable];
const set = (variable: number): Code => [OP.set, variable];
const constant = (value: number): Code => [OP.const, ...signed(value | 0)];
const load = (offset: number): Code => [OP.load, 2, ...unsigned(offset)];
const code = (...parts: readonly (Code | number)[]): Code => parts.flat();
/** variable = variable XOR what `value` leaves. */
const mix = (variable: number, ...value: readonly (Code | number)[]): Code =>
  code(get(variable), ...value, OP.xor, set(variable));

/** A module with one page of memory and the function `chain(fromBytes, toBytes)`. */
function laneModule(): Uint8Array {
  const lanes = Array.from({ length: LANES }, (_, index) => ({
    ...{ index, left: SHARED + 2 * index, right: SHARED + 2 * index + 1 },
  }));
  const body = code(vector([[SHARED - 2 + 2 * LANES, I32]]), chainCode(lanes), OP.end);
  const name = (text: string): Code => vector([...text].map((letter) => [letter.charCodeAt(0)]));
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([[0x60, 2, I32, I32, 0]])),
    ...section(3, vector([[0]])),
    ...section(5, vector([[0, 1]])),
    ...section(7, vector([code(name('chain'), 0, 0), code(name('memory'), 2, 0)])),
    ...section(10, vector([code(unsigned(body.length), body)])),
  ]);
}

function chainCode(lanes: readonly Lane[]): Code {
  const each = (part: (lane: Lane) => Code): Code => lanes.flatMap((lane) => part(lane));
  const pairs = Array.from({ length: SCHEDULE_WORDS / 4 }, (_, pair) =>
    code(
      each((lane) => round(lane.left, lane.right, 16 * pair)),
      each((lane) => round(lane.right, lane.left, 16 * pair + 8)),
    ),
  );
  return code(
    each(({ left, right, index }) => code(halfFrom(left, index, 0), halfFrom(right, index, 4))),
    ...[OP.loop, NO_RESULT],
    each(({ left, right, index }) =>
      code(mix(left, textWord(index, 0)), mix(right, textWord(index, 4))),
    ),
    each(initialPermutation),
    ...[constant(0), set(WORD), OP.loop, NO_RESULT],
    ...pairs,
    each(({ left, right }) => code(get(left), get(right), set(left), set(right))),
    ...[get(WORD), constant(4 * SCHEDULE_WORDS), OP.add, set(WORD)],
    ...[get(WORD), constant(4 * RUN_WORDS), OP.less, OP.branchIf, 0, OP.end],
    each(finalPermutation),
    ...[get(OFFSET), constant(DES_BLOCK_BYTES), OP.add, set(OFFSET)],
    ...[get(OFFSET), get(END), OP.less, OP.branchIf, 0, OP.end],
    each(({ left, right, index }) => code(halfTo(left, index, 0), halfTo(right, index, 4))),
  );
}

function halfFrom(variable: number, lane: number, offset: number): Code {
  return code(constant(0), load(HALVES_AT + 8 * lane + offset), set(variable));
}

function halfTo(variable: number, lane: number, offset: number): Code {
  const at = unsigned(HALVES_AT + 8 * lane + offset);
  return code(constant(0), get(variable), OP.store, 2, at);
}

/** Four bytes of a lane's text, big-endian. */
function textWord(lane: number, offset: number): Code {
  const at = TEXTS_AT + lane * TEXT_BYTES + offset;
  const byte = (index: number): Code => code(get(OFFSET), OP.load8, 0, unsigned(at + index));
  const shifted = (index: number): Code => code(byte(index), constant(24 - 8 * index), OP.shl);
  return code(shifted(0), shifted(1), OP.or, shifted(2), OP.or, byte(3), OP.or);
}

/** target = target XOR f(half, the two words of a round), as in `des-core.ts`. */
function round(target: number, half: number, words: number): Code {
  const key = (offset: number): Code => code(get(WORD), load(RUN_AT + words + offset));
  const box = (word: number, shift: number, number: number): Code => {
    const moved = shift < 0 ? [constant(-shift), OP.shl] : [constant(shift), OP.shr];
    // Shifted by two bits less: an entry has four bytes.
    return code(get(word), ...moved, constant(63 << 2), OP.and, load(256 * number));
  };
  return code(
    ...[get(half), constant(4), OP.rotr, key(0), OP.xor, set(ODD)],
    ...[get(half), key(4), OP.xor, set(EVEN)],
    mix(
      target,
      ...[box(EVEN, 22, 1), box(EVEN, 14, 3), OP.or, box(EVEN, 6, 5), box(EVEN, -2, 7)],
      ...[OP.or, OP.or, box(ODD, 22, 0), box(ODD, 14, 2), OP.or, box(ODD, 6, 4)],
      ...[box(ODD, -2, 6), OP.or, OP.or, OP.or],
    ),
  );
}

/** Exchanges the bits of `mask` in one half with those `shift` higher in the other. */
function exchange(low: number, high: number, shift: number, mask: number): Code {
  return code(
    ...[get(high), constant(shift), OP.shr, get(low), OP.xor, constant(mask), OP.and, set(SWAP)],
    mix(low, get(SWAP)),
    mix(high, get(SWAP), constant(shift), OP.shl),
  );
}

function turn(variable: number, direction: number): Code {
  return code(get(variable), constant(1), direction, set(variable));
}

function initialPermutation({ left, right }: Lane): Code {
  return code(
    ...[exchange(right, left, 4, 0x0f0f0f0f), exchange(right, left, 16, 0x0000ffff)],
    ...[exchange(left, right, 2, 0x33333333), exchange(left, right, 8, 0x00ff00ff)],
    ...[turn(right, OP.rotl), exchange(left, right, 0, 0xaaaaaaaa), turn(left, OP.rotl)],
  );
}

function finalPermutation({ left, right }: Lane): Code {
  return code(
    ...[turn(left, OP.rotr), exchange(left, right, 0, 0xaaaaaaaa), turn(right, OP.rotr)],
    ...[exchange(left, right, 8, 0x00ff00ff), exchange(left, right, 2, 0x33333333)],
    ...[exchange(right, left, 16, 0x0000ffff), exchange(right, left, 4, 0x0f0f0f0f)],
  );
}

function section(id: number, content: Code): Code {
  return code(id, unsigned(content.length), content);
}

function vector(items: readonly Code[]): Code {
  return code(unsigned(items.length), ...items);
}

/** LEB128, the numbers of a WebAssembly module. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  const low = value & 0x7f;
  const rest = value >> 7;
  const isLast = rest === (low & 0x40 ? -1 : 0);
  return isLast ? [low] : [low | 0x80, ...signed(rest)];
}
