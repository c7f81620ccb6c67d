/** DES tables of FIPS 46-3, turned at load into the combined forms that `des.ts` runs on. */

// FIPS 46-3, Appendix 1: permuted choices, left shifts, S-boxes and the permutation P.
const PC1 = [
  57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60,
  52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21,
  13, 5, 28, 20, 12, 4,
];
const PC2 = [
  14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52,
  31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
const LEFT_SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
const P = [
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13,
  30, 6, 22, 11, 4, 25,
];
/** Rows 0 to 3 of S1 to S8, one hexadecimal digit a value. */
const S_BOXES = [
  'E4D12FB83A6C59070F74E2D1A6CB953841E8D62BFC973A50FC8249175B3EA06D',
  'F18E6B34972DC05A3D47F28EC01A69B50E7BA4D158C6932FD8A13F42B67C05E9',
  'A09E63F51DC7B428D709346A285ECBF1D6498F30B12C5AE71AD069874FE3B52C',
  '7DE3069A1285BC4FD8B56F03472C1AE9A690CB7DF13E52843F06A1D8945BC72E',
  '2C417AB6853FD0E9EB2C47D150FA3986421BAD78F9C5630EB8C71E2D6F09A453',
  'C1AF92680D34E75BAF427C9561DE0B389EF528C3704A1DB6432C95FABE17608D',
  '4B2EF08D3C975A61D0B7491AE35C2F8614BDC37EAF6805926BD814A7950FE23C',
  'D2846FB1A93E50C71FD8A374C56B0E927B419CE206ADF35821E74A8DFC90356B',
];

/**
 * S-box and P in one: entry `64 * box + sixBits` is the box's share of f(R, K), rotated left by one
 * bit as the halves are in `des.ts`, where every expansion group is then six neighbouring bits.
 */
export const SP: Int32Array = combineSubstitution();

/**
 * Key schedule by OR: entry `(128 * byteIndex + sevenBits) * 32 + word` is what one key byte gives
 * to the 32 schedule words (two a round: K1 K3 K5 K7 and K2 K4 K6 K8). Parity bits do not count.
 */
export const KEY_BYTE_SHARE: Int32Array = keyByteShares();

/** Words of a single-DES schedule. */
export const SCHEDULE_WORDS = 32;

function combineSubstitution(): Int32Array {
  const table = new Int32Array(8 * 64);
  for (let box = 0; box < 8; box++) {
    for (let bits = 0; bits < 64; bits++) {
      const row = ((bits >> 4) & 2) | (bits & 1);
      const column = (bits >> 1) & 15;
      const value = Number.parseInt(S_BOXES[box]!.charAt(16 * row + column), 16);
      const beforeP = value << (28 - 4 * box);
      let afterP = 0;
      for (let index = 0; index < 32; index++) {
        afterP |= ((beforeP >>> (32 - P[index]!)) & 1) << (31 - index);
      }
      table[64 * box + bits] = (afterP << 1) | (afterP >>> 31);
    }
  }
  return table;
}

function keyByteShares(): Int32Array {
  const table = new Int32Array(8 * 128 * 32);
  for (let byteIndex = 0; byteIndex < 8; byteIndex++) {
    for (let bit = 0; bit < 7; bit++) {
      const words = scheduleOfKeyBit(8 * byteIndex + bit + 1);
      for (let value = 0; value < 128; value++) {
        if (((value >> (6 - bit)) & 1) === 0) continue;
        const start = (128 * byteIndex + value) * 32;
        for (let word = 0; word < 32; word++) table[start + word]! |= words[word]!;
      }
    }
  }
  return table;
}

/** The schedule of a key whose only set bit is `keyBit` (1 to 64, parity bits excluded). */
function scheduleOfKeyBit(keyBit: number): Int32Array {
  const words = new Int32Array(32);
  let position = PC1.indexOf(keyBit);
  for (let round = 0; round < 16; round++) {
    const half = position < 28 ? 0 : 28;
    position = half + ((position - half + 28 - LEFT_SHIFTS[round]!) % 28);
    const selected = PC2.indexOf(position + 1);
    if (selected < 0) continue;
    const box = Math.floor(selected / 6);
    const shift = 24 - 8 * (box >> 1) + 5 - (selected % 6);
    words[2 * round + (box & 1)]! |= 1 << shift;
  }
  return words;
}
