/**
 * TR-31 key blocks under a 3DES protection key: version B (derivation binding) and A and C
 * (variant binding), to read. @see X9.143-2021 §4, TR-31
 */
import {
  asciiToBytes,
  bytesToUint,
  concatBytes,
  equalBytes,
  fromHex,
  uintToBytes,
} from '../bytes/index.ts';
import { tdesCbcDecrypt, tdesEncrypt } from './des.ts';
import { assertKeyLength, CryptoError } from './errors.ts';
import { padIso9797Method2, x99Mac } from './mac.ts';

const BLOCK_BYTES = 8;
/** Usages in the derivation data. @see X9.143 §4.4 (TR-31 §5.3.2.1) */
const USAGE = { encryption: 0x0000, authentication: 0x0001 } as const;

/** One block taken apart, its MAC not yet looked at. */
export type TdesKeyBlockParts = {
  readonly version: 'A' | 'B' | 'C';
  /** Characters of the header with its optional blocks. */
  readonly headerText: string;
  readonly enciphered: Uint8Array;
  /** 8 bytes in version B, 4 in A and C. */
  readonly mac: Uint8Array;
};

/**
 * The key of a block.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_KEY_BLOCK_MAC` for a wrong protection
 *   key or any changed character, `ERR_CRYPTO_KEY_BLOCK` for a wrong length inside.
 */
export function tr31UnwrapTdes(protectionKey: Uint8Array, parts: TdesKeyBlockParts): Uint8Array {
  assertKeyLength(protectionKey, [16, 24]);
  const { version, headerText, enciphered, mac } = parts;
  const header = asciiToBytes(headerText);
  const keys = version === 'B' ? derivedKeys(protectionKey) : variantKeys(protectionKey);
  const startVector = version === 'B' ? mac : header.slice(0, BLOCK_BYTES);
  const clear = tdesCbcDecrypt(keys.encryption, enciphered, startVector);
  const expected =
    version === 'B'
      ? tdesCmac(keys.authentication, concatBytes(header, clear))
      : x99Mac(keys.authentication, concatBytes(header, enciphered)).slice(0, 4);
  if (!equalBytes(expected, mac)) {
    throw new CryptoError('ERR_CRYPTO_KEY_BLOCK_MAC', 'key block MAC is wrong');
  }
  const lengthBits = bytesToUint(clear.subarray(0, 2));
  const keyBytes = lengthBits / 8;
  if (lengthBits % 8 !== 0 || keyBytes === 0 || keyBytes > clear.length - 2) {
    throw new CryptoError('ERR_CRYPTO_KEY_BLOCK', 'key block: key length is wrong', {
      offsetCharacters: headerText.length,
    });
  }
  return clear.slice(2, 2 + keyBytes);
}

/** Version B: CMAC of a counter, the usage and the algorithm. @see X9.143 §4.4 (TR-31 §5.3.2.1) */
function derivedKeys(key: Uint8Array): {
  readonly encryption: Uint8Array;
  readonly authentication: Uint8Array;
} {
  const algorithm = key.length === 16 ? 0x0000 : 0x0001;
  const derive = (usage: number): Uint8Array => {
    const parts: Uint8Array[] = [];
    for (let counter = 1; counter <= key.length / BLOCK_BYTES; counter++) {
      const head = [counter, usage >> 8, usage & 0xff, 0x00, algorithm >> 8, algorithm & 0xff];
      const data = concatBytes(Uint8Array.from(head), uintToBytes(8 * key.length, 2));
      parts.push(tdesCmac(key, data));
    }
    return concatBytes(...parts);
  };
  return { encryption: derive(USAGE.encryption), authentication: derive(USAGE.authentication) };
}

/** Versions A and C: the key XOR `E` and XOR `M`. @see X9.143 §4.4 (TR-31 §5.3.1) */
function variantKeys(key: Uint8Array): {
  readonly encryption: Uint8Array;
  readonly authentication: Uint8Array;
} {
  return {
    encryption: key.map((byte) => byte ^ 0x45),
    authentication: key.map((byte) => byte ^ 0x4d),
  };
}

/** CMAC with 3DES. @see SP800-38B §6 */
function tdesCmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  const subkey1 = doubled(tdesEncrypt(key, new Uint8Array(BLOCK_BYTES)));
  const isWhole = data.length > 0 && data.length % BLOCK_BYTES === 0;
  const message = isWhole ? data.slice() : padIso9797Method2(data);
  const subkey = isWhole ? subkey1 : doubled(subkey1);
  const last = message.length - BLOCK_BYTES;
  for (let index = 0; index < BLOCK_BYTES; index++) message[last + index]! ^= subkey[index]!;
  return x99Mac(key, message);
}

/** Multiplication by x in GF(2^64), R = 1B. @see SP800-38B §6.1 */
function doubled(block: Uint8Array): Uint8Array {
  const result = new Uint8Array(BLOCK_BYTES);
  for (let index = 0; index < BLOCK_BYTES; index++) {
    const carry = index + 1 < BLOCK_BYTES ? block[index + 1]! >> 7 : 0;
    result[index] = (block[index]! << 1) | carry;
  }
  if (block[0]! >> 7 === 1) result[BLOCK_BYTES - 1]! ^= 0x1b;
  return result;
}

/** Bytes of hex characters. @throws CryptoError `ERR_CRYPTO_KEY_BLOCK`. */
export function tr31Hex(text: string, offsetCharacters: number): Uint8Array {
  if (text.length % 2 === 0 && /^[0-9A-Fa-f]*$/.test(text)) return fromHex(text);
  throw new CryptoError('ERR_CRYPTO_KEY_BLOCK', 'key block: key data or MAC is no hex', {
    offsetCharacters,
  });
}
