/** The MACs of lines, each with its steps. @see Q/CUP 009.1, X9.9, X9.19, ISO 9797-1 */
import { asciiToBytes, equalBytes, fromHex, toHex, xorBytes } from '../bytes/index.ts';
import { desEncrypt, retailMac, tdesEncrypt, unionPayPosMac, x99Mac } from '../crypto/index.ts';
import { both, step } from './build.ts';
import type { BothLanguages, CheckStep } from './types.ts';

/** Algorithms by their stable names. */
export type MacAlgorithm = 'unionPayEcb' | 'x99' | 'x919' | 'x919Padding2' | 'tdesCbc';

/** A computed MAC. */
export type ComputedMac = {
  /** All 16 hex digits of the last block. */
  readonly full: string;
  /** What is sent, as people compare it: 8 characters of the ECB MAC, else 16 hex digits. */
  readonly sent: string;
  readonly steps: readonly CheckStep[];
};

type Algorithm = {
  readonly name: BothLanguages;
  readonly keyBytes: readonly number[];
  readonly compute: (key: Uint8Array, data: Uint8Array) => ComputedMac;
};

/** Every algorithm, the likeliest on a UnionPay line first. */
export const MAC_ALGORITHMS: Readonly<Record<MacAlgorithm, Algorithm>> = {
  unionPayEcb: {
    name: both('UnionPay ECB MAC', '银联 ECB 算法'),
    keyBytes: [8, 16],
    compute: unionPayEcb,
  },
  x99: {
    name: both('X9.9 (DES-CBC, zero filled)', 'X9.9（DES-CBC，补零）'),
    keyBytes: [8],
    compute: (key, data) => plain(x99Mac(key, data)),
  },
  x919: {
    name: both('X9.19 (retail MAC, zero filled)', 'X9.19（补零）'),
    keyBytes: [16],
    compute: (key, data) => plain(retailMac(key, data, { padding: 1 })),
  },
  x919Padding2: {
    name: both('ISO 9797-1 algorithm 3, padding 80', 'ISO 9797-1 算法 3，补 80'),
    keyBytes: [16],
    compute: (key, data) => plain(retailMac(key, data, { padding: 2 })),
  },
  tdesCbc: {
    name: both('3DES-CBC MAC, zero filled', '3DES-CBC（补零）'),
    keyBytes: [16, 24],
    compute: (key, data) => plain(x99Mac(key, data)),
  },
};

/** Names of all algorithms. */
export const MAC_ALGORITHM_NAMES: readonly MacAlgorithm[] = [
  ...(['unionPayEcb', 'x99', 'x919', 'x919Padding2', 'tdesCbc'] as const),
];

/** XOR of all 8-byte blocks, the last filled with zeros. @see Q/CUP 009.1, "ECB" MAC */
export function foldedBlock(data: Uint8Array): Uint8Array {
  const folded = new Uint8Array(8);
  data.forEach((byte, index) => {
    folded[index % 8] = (folded[index % 8] ?? 0) ^ byte;
  });
  return folded;
}

function unionPayEcb(key: Uint8Array, data: Uint8Array): ComputedMac {
  const encrypt = (block: Uint8Array): Uint8Array =>
    key.length === 8 ? desEncrypt(key, block) : tdesEncrypt(key, block);
  const xor = toHex(foldedBlock(data));
  const first = encrypt(asciiToBytes(xor.slice(0, 8)));
  const mixed = xorBytes(first, asciiToBytes(xor.slice(8)));
  const last = toHex(encrypt(mixed));
  const sent = String.fromCharCode(...unionPayPosMac(key, data));
  return {
    full: last,
    sent,
    steps: [
      step(both('XOR of all 8-byte blocks', '各 8 字节块异或'), xor),
      step(both('as 16 characters, in hex', '展开为 16 个字符'), toHex(asciiToBytes(xor))),
      step(both('encipher the first 8', '加密前 8 字节'), toHex(first)),
      step(both('XOR with the last 8', '与后 8 字节异或'), toHex(mixed)),
      step(both('encipher', '再加密'), last),
      step(both('first 8 characters', '取前 8 个字符'), sent),
    ],
  };
}

function plain(block: Uint8Array): ComputedMac {
  const full = toHex(block);
  return { full, sent: full, steps: [step(both('last block', '最后一块'), full)] };
}

/** A MAC as it was given: 8 or 16 hex digits, or the bytes of 8 hex characters. */
export function macTarget(text: string): string | null {
  const digits = text.replace(/[\s:-]/g, '').toUpperCase();
  if (!/^(?:[0-9A-F]{8}|[0-9A-F]{16})$/.test(digits)) return null;
  if (digits.length === 8) return digits;
  const characters = String.fromCharCode(...fromHex(digits));
  return /^[0-9A-F]{8}$/.test(characters) ? characters : digits;
}

/** Whether a computed MAC is the wanted one: its first digits in the form that is sent. */
export function isMac(computed: ComputedMac, target: string): boolean {
  return computed.full.startsWith(target);
}

/** Whether both halves of a 16-byte key are the same, which makes 3DES single DES. */
export function areHalvesEqual(key: Uint8Array): boolean {
  return key.length === 16 && equalBytes(key.subarray(0, 8), key.subarray(8));
}
