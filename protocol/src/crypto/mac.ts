/** Message authentication codes of cards and lines. @see ISO 9797-1, X9.9, X9.19 */
import { asciiToBytes, toHex } from '../bytes/index.ts';
import {
  beginChain,
  chainBlocks,
  DES_BLOCK_BYTES,
  type DesPasses,
  encipheringRun,
  passesOf,
  putHalves,
} from './des-core.ts';
import { assertKeyLength } from './errors.ts';

/** Padding of ISO 9797-1 §6.3: 1 = zeros up to whole blocks, 2 = `80` and then zeros. */
export type MacPadding = 1 | 2;

/** Passes of all blocks but the last, and of the last. */
type Passes = { readonly passes: DesPasses; readonly lastPasses: DesPasses };
const SINGLE: Passes = { passes: 1, lastPasses: 1 };
const TRIPLE: Passes = { passes: 3, lastPasses: 3 };
const RETAIL: Passes = { passes: 1, lastPasses: 3 };
const DOUBLE_KEY: readonly number[] = [16];

/** Data ‖ `80` ‖ zeros up to whole blocks. @see ISO 9797-1 §6.3.3, padding method 2 */
export function padIso9797Method2(
  data: Uint8Array,
  blockBytes: number = DES_BLOCK_BYTES,
): Uint8Array {
  const padded = new Uint8Array((Math.floor(data.length / blockBytes) + 1) * blockBytes);
  padded.set(data);
  padded[data.length] = 0x80;
  return padded;
}

/** Data ‖ zeros up to whole blocks, at least one. @see ISO 9797-1 §6.3.2, padding method 1 */
export function padIso9797Method1(
  data: Uint8Array,
  blockBytes: number = DES_BLOCK_BYTES,
): Uint8Array {
  const padded = new Uint8Array(Math.max(1, Math.ceil(data.length / blockBytes)) * blockBytes);
  padded.set(data);
  return padded;
}

/**
 * Retail MAC: DES-CBC under the left key half, last block through the right and the left half.
 * All 8 bytes; callers cut. Padding 2 for cards (CVN 01, scripts), 1 for X9.19 lines.
 * @see ISO 9797-1 §7.4 (MAC algorithm 3), X9.19, EMV 4.3 B2 A1.2.1
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function retailMac(
  key: Uint8Array,
  data: Uint8Array,
  options: { readonly padding: MacPadding },
): Uint8Array {
  assertKeyLength(key, DOUBLE_KEY);
  // E, D, E of the last block is 3DES as a whole.
  return cbcMac(key, RETAIL, data, options.padding);
}

/**
 * CBC-MAC with zero padding: DES under a single key (X9.9), 3DES under a longer one (field 128 of
 * CUPS). All 8 bytes; X9.9 sends the left four.
 * @see ISO 9797-1 §7.2 (MAC algorithm 1), X9.9, FIPS 113
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function x99Mac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return cbcMac(key, passesOf(key) === 1 ? SINGLE : TRIPLE, data, 1);
}

/**
 * UnionPay POS MAC (field 64): XOR of all blocks, written as 16 hex characters, whose first half is
 * enciphered, XORed with the second and enciphered again; the answer's first 8 hex characters.
 * Input is MTI to field 63, without TPDU and header. @see Q/CUP 009.1, "ECB" MAC
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`; key of 8 (DES) or 16 bytes (3DES).
 */
export function unionPayPosMac(key: Uint8Array, data: Uint8Array): Uint8Array {
  assertKeyLength(key, [8, 16]);
  const folded = new Uint8Array(DES_BLOCK_BYTES);
  for (let index = 0; index < data.length; index++) {
    folded[index % DES_BLOCK_BYTES]! ^= data[index]!;
  }
  const chain = x99Mac(key, asciiToBytes(toHex(folded)));
  return asciiToBytes(toHex(chain.subarray(0, 4)));
}

/** CBC over the padded data, the last block in passes of its own; the data is not copied. */
function cbcMac(key: Uint8Array, by: Passes, data: Uint8Array, padding: MacPadding): Uint8Array {
  const run = encipheringRun(key);
  const open = padding === 1 ? Math.max(0, data.length - 1) : data.length;
  const lastStart = open - (open % DES_BLOCK_BYTES);
  const last = new Uint8Array(DES_BLOCK_BYTES);
  for (let index = lastStart; index < data.length; index++) last[index - lastStart] = data[index]!;
  if (padding === 2) last[data.length - lastStart] = 0x80;
  beginChain();
  chainBlocks(run, by.passes, data, lastStart);
  chainBlocks(run, by.lastPasses, last, DES_BLOCK_BYTES);
  putHalves(last, 0);
  return last;
}
