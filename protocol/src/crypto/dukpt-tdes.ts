/** DUKPT of 3DES: initial key, key of a counter, its variants. @see X9.24-1:2009 Annex A */
import { concatBytes, fromHex, xorBytes } from '../bytes/index.ts';
import { desEncrypt, tdesEncrypt } from './des.ts';
import { assertDataLength, assertKeyLength, CryptoError } from './errors.ts';

/** Bytes of a key serial number, its 21-bit counter included. */
export const TDES_DUKPT_KSN_BYTES = 10;
const COUNTER_BITS = 21;
const KEY_MASK = fromHex('C0C0C0C000000000C0C0C0C000000000');

/** Masks that make the key of one use from the transaction key. @see X9.24-1:2009 table A-1 */
const VARIANTS = {
  pinEncryption: '00000000000000FF00000000000000FF',
  macRequest: '000000000000FF00000000000000FF00',
  macResponse: '00000000FF00000000000000FF000000',
  dataRequest: '0000000000FF00000000000000FF0000',
  dataResponse: '000000FF00000000000000FF00000000',
} as const;
/** What a key of one transaction is for. */
export type TdesDukptUsage = keyof typeof VARIANTS;

/** The counter in the last 21 bits of a key serial number. */
export function tdesDukptCounter(ksn: Uint8Array): number {
  assertDataLength(ksn, TDES_DUKPT_KSN_BYTES, 'key serial number');
  return ((ksn[7]! & 0x1f) << 16) | (ksn[8]! << 8) | ksn[9]!;
}

/**
 * The key that a device begins with.
 * @see X9.24-1:2009 §A.6
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function tdesDukptInitialKey(baseDerivationKey: Uint8Array, ksn: Uint8Array): Uint8Array {
  assertKeyLength(baseDerivationKey, [16]);
  const serial = withoutCounter(ksn).subarray(0, 8);
  const left = tdesEncrypt(baseDerivationKey, serial);
  return concatBytes(left, tdesEncrypt(xorBytes(baseDerivationKey, KEY_MASK), serial));
}

/**
 * The key of a serial number's counter, from the initial key.
 * @see X9.24-1:2009 §A.3
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`, `ERR_CRYPTO_COUNTER`.
 */
export function tdesDukptTransactionKey(initialKey: Uint8Array, ksn: Uint8Array): Uint8Array {
  assertKeyLength(initialKey, [16]);
  const counter = tdesDukptCounter(ksn);
  if (counter === 0) throw new CryptoError('ERR_CRYPTO_COUNTER', 'counter 0 has no key');
  const register = withoutCounter(ksn).slice(2);
  let key = initialKey;
  for (let bit = COUNTER_BITS - 1; bit >= 0; bit--) {
    if (((counter >> bit) & 1) === 0) continue;
    const index = 7 - (bit >> 3);
    register[index]! |= 1 << (bit % 8);
    key = nextKey(key, register);
  }
  return key;
}

/** The key of one use; a data key is enciphered under itself. @see X9.24-1:2009 §A.4.1 */
export function tdesDukptVariant(transactionKey: Uint8Array, usage: TdesDukptUsage): Uint8Array {
  assertKeyLength(transactionKey, [16]);
  const variant = xorBytes(transactionKey, fromHex(VARIANTS[usage]));
  return usage.startsWith('data') ? tdesEncrypt(variant, variant) : variant;
}

/** The non-reversible key generation process. @see X9.24-1:2009 §A.2 */
function nextKey(key: Uint8Array, register: Uint8Array): Uint8Array {
  const right = halfOf(key, register);
  return concatBytes(halfOf(xorBytes(key, KEY_MASK), register), right);
}

function halfOf(key: Uint8Array, register: Uint8Array): Uint8Array {
  const right = key.subarray(8);
  return xorBytes(desEncrypt(key.slice(0, 8), xorBytes(register, right)), right);
}

function withoutCounter(ksn: Uint8Array): Uint8Array {
  assertDataLength(ksn, TDES_DUKPT_KSN_BYTES, 'key serial number');
  const serial = ksn.slice();
  serial[7]! &= 0xe0;
  serial.fill(0, 8);
  return serial;
}
