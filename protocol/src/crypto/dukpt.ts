/** AES DUKPT, AES-128: initial key, working keys and the counter. @see X9.24-3:2017 §6 */
import { concatBytes, uintToBytes } from '../bytes/index.ts';
import { assertDataLength, assertKeyLength, CryptoError } from './errors.ts';
import type { CipherProvider } from './provider.ts';

/** Key usage indicators of the derivation data. @see X9.24-3:2017 §6.3.2 table 3 */
const USAGE = {
  pinEncryption: 0x1000,
  macGeneration: 0x2000,
  macVerification: 0x2001,
  dataEncryption: 0x3000,
  dataDecryption: 0x3001,
  keyDerivation: 0x8000,
  keyDerivationInitialKey: 0x8001,
} as const;
/** What a working key is for. */
export type DukptKeyUsage = Exclude<
  keyof typeof USAGE,
  'keyDerivation' | 'keyDerivationInitialKey'
>;

/** Bytes of an initial key id (KSN without counter) and of the whole KSN. */
export const DUKPT_INITIAL_KEY_ID_BYTES = 8;
export const DUKPT_KSN_BYTES = 12;
/** Most one bits in a counter; others are skipped. @see X9.24-3:2017 §6.1 */
export const DUKPT_COUNTER_ONES_MAX = 16;
/** The last counter; after it the device is at its end of life. */
export const DUKPT_COUNTER_MAX = 0xffff0000;

/**
 * The initial key of one device. @see X9.24-3:2017 §6.3
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`.
 */
export function aesDukptInitialKey(
  ciphers: CipherProvider,
  baseDerivationKey: Uint8Array,
  initialKeyId: Uint8Array,
): Uint8Array {
  assertKeyLength(baseDerivationKey, [16]);
  assertDataLength(initialKeyId, DUKPT_INITIAL_KEY_ID_BYTES, 'initial key id');
  const data = concatBytes(derivationHead(USAGE.keyDerivationInitialKey), initialKeyId);
  return ciphers.aesEcbEncrypt(baseDerivationKey, data);
}

/**
 * The working key of one transaction, by the host's way down from the initial key.
 * @see X9.24-3:2017 §6.4
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`, `ERR_CRYPTO_DATA_LENGTH`, `ERR_CRYPTO_COUNTER`.
 */
export function aesDukptWorkingKey(
  ciphers: CipherProvider,
  initialKey: Uint8Array,
  initialKeyId: Uint8Array,
  counter: number,
  usage: DukptKeyUsage,
): Uint8Array {
  const transactionKey = aesDukptTransactionKey(ciphers, initialKey, initialKeyId, counter);
  return ciphers.aesEcbEncrypt(transactionKey, derivationData(USAGE[usage], initialKeyId, counter));
}

/** The key of a counter from which its working keys come; for tests and devices, not for data. */
export function aesDukptTransactionKey(
  ciphers: CipherProvider,
  initialKey: Uint8Array,
  initialKeyId: Uint8Array,
  counter: number,
): Uint8Array {
  assertKeyLength(initialKey, [16]);
  assertDataLength(initialKeyId, DUKPT_INITIAL_KEY_ID_BYTES, 'initial key id');
  assertCounter(counter);
  let key = initialKey;
  let reached = 0;
  for (let bit = 31; bit >= 0; bit--) {
    if (((counter >>> bit) & 1) === 0) continue;
    reached += 2 ** bit;
    key = ciphers.aesEcbEncrypt(key, derivationData(USAGE.keyDerivation, initialKeyId, reached));
  }
  return key;
}

/** Initial key id ‖ counter, 12 bytes. @throws CryptoError as `aesDukptWorkingKey`. */
export function aesDukptKsn(initialKeyId: Uint8Array, counter: number): Uint8Array {
  assertDataLength(initialKeyId, DUKPT_INITIAL_KEY_ID_BYTES, 'initial key id');
  assertCounter(counter);
  return concatBytes(initialKeyId, uintToBytes(counter, 4));
}

/**
 * The counter after `counter` (0 before the first), leaving out those with more than 16 ones.
 * @throws CryptoError `ERR_CRYPTO_COUNTER` at the device's end of life.
 */
export function nextAesDukptCounter(counter: number): number {
  let next = counter + 1;
  while (next <= DUKPT_COUNTER_MAX && onesOf(next) > DUKPT_COUNTER_ONES_MAX) {
    next += (next & -next) >>> 0;
  }
  assertCounter(next);
  return next;
}

function assertCounter(counter: number): void {
  const good =
    Number.isInteger(counter) &&
    counter > 0 &&
    counter <= DUKPT_COUNTER_MAX &&
    onesOf(counter) <= DUKPT_COUNTER_ONES_MAX;
  if (good) return;
  throw new CryptoError('ERR_CRYPTO_COUNTER', `${counter} is no transaction counter`, { counter });
}

function onesOf(counter: number): number {
  let ones = 0;
  for (let rest = counter >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) ones++;
  return ones;
}

/** Version 01, block counter 01, usage, algorithm AES-128 (0002), 128 bits. */
function derivationHead(usage: number): Uint8Array {
  return new Uint8Array([1, 1, usage >> 8, usage & 0xff, 0, 2, 0, 128]);
}

function derivationData(usage: number, initialKeyId: Uint8Array, counter: number): Uint8Array {
  return concatBytes(derivationHead(usage), initialKeyId.subarray(4), uintToBytes(counter, 4));
}
