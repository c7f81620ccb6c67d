/** Certification authority public keys, checked by their check value when loaded. */
import { concatBytes, equalBytes, fromHex, toHex } from '../../bytes/index.ts';
import { type CipherProvider, isSm2PublicKey } from '../../crypto/index.ts';
import * as data from '../data/index.ts';
import { KernelError } from './errors.ts';

/** One RSA key of a payment system. @see EMV 4.3 B2 §11.2 table 30 */
export type CaPublicKey = {
  readonly algorithm?: 'RSA';
  /** 5 bytes. */
  readonly rid: Uint8Array;
  readonly index: number;
  readonly modulus: Uint8Array;
  readonly exponent: Uint8Array;
  /** SHA-1 over RID, index, modulus, exponent. */
  readonly sha1: Uint8Array;
  /** Last day of use; null when it has none. */
  readonly expiryYymmdd: string | null;
};

/** One SM2 key of a payment system. @see PBOC3 P17 */
export type SmCaPublicKey = {
  readonly algorithm: 'SM2';
  /** 5 bytes. */
  readonly rid: Uint8Array;
  readonly index: number;
  /** Point x ‖ y, 64 bytes. */
  readonly publicKey: Uint8Array;
  /** SM3 over RID, index, point; null when the list has none. */
  readonly sm3: Uint8Array | null;
  /** Last day of use; null when it has none. */
  readonly expiryYymmdd: string | null;
};

/** Keys by RID and index; RSA and SM2 keys count their indexes apart. */
export type CaPublicKeyTable = {
  find(rid: Uint8Array, index: number): CaPublicKey | undefined;
  findSm?(rid: Uint8Array, index: number): SmCaPublicKey | undefined;
};

/**
 * Checks every key's value before any card is trusted with it (a key with wrong bytes otherwise
 * shows only as "recovered header is not 6A", RfidResearchGroup/proxmark3 #3081).
 * @throws KernelError `ERR_KERNEL_CA_KEY` naming RID and index.
 * @see EMV 4.3 B2 §11.2.2
 */
export function loadCaPublicKeys(
  ciphers: CipherProvider,
  keys: readonly (CaPublicKey | SmCaPublicKey)[],
): CaPublicKeyTable {
  const rsa = new Map<string, CaPublicKey>();
  const sm = new Map<string, SmCaPublicKey>();
  for (const key of keys) {
    const name = keyName(key.rid, key.index);
    const isSound = key.algorithm === 'SM2' ? isSmKey(ciphers, key) : isRsaKey(ciphers, key);
    if (!isSound || key.rid.length !== 5) throw keyError(key, 'fails its check value');
    if ((key.algorithm === 'SM2' ? sm : rsa).has(name)) throw keyError(key, 'is there twice');
    if (key.algorithm === 'SM2') sm.set(name, key);
    else rsa.set(name, key);
  }
  return {
    find: (rid, index) => rsa.get(keyName(rid, index)),
    findSm: (rid, index) => sm.get(keyName(rid, index)),
  };
}

/**
 * Keys of a file as a terminal takes them; of live and test keys only those that the caller names.
 * @see EMV 4.3 B2 §11.2
 */
export function caPublicKeysOf(
  entries: readonly data.CaKeyFileEntry[],
  uses: readonly data.CaKeyUse[],
): readonly (CaPublicKey | SmCaPublicKey)[] {
  return entries.filter(({ use }) => uses.includes(use)).map(caPublicKeyOf);
}

function caPublicKeyOf(entry: data.CaKeyFileEntry): CaPublicKey | SmCaPublicKey {
  const base = {
    rid: fromHex(entry.rid),
    index: Number.parseInt(entry.index, 16),
    expiryYymmdd: entry.expiryYymmdd === '' ? null : entry.expiryYymmdd,
  };
  if (entry.algorithm === 'SM2') {
    const { algorithm, publicKey, checkValue } = entry;
    // A check value of another algorithm was tested when the file was read.
    const sm3 = checkValue.length === 64 ? fromHex(checkValue) : null;
    return { ...base, algorithm, publicKey: fromHex(publicKey), sm3 };
  }
  const { modulus, exponent, sha1 } = entry;
  return {
    ...base,
    modulus: fromHex(modulus),
    exponent: fromHex(exponent),
    sha1: fromHex(sha1),
  };
}

function isRsaKey(ciphers: CipherProvider, key: CaPublicKey): boolean {
  const { rid, index, modulus, exponent } = key;
  const input = concatBytes(rid, Uint8Array.of(index), modulus, exponent);
  const isWellFormed = modulus.length >= data.EMV_MODULUS_BYTES_MIN && exponent.length > 0;
  return isWellFormed && equalBytes(ciphers.sha1(input), key.sha1);
}

/** The curve is a check of its own: of 2^256 wrong points almost none is on it. */
function isSmKey(ciphers: CipherProvider, key: SmCaPublicKey): boolean {
  if (!isSm2PublicKey(key.publicKey)) return false;
  if (key.sm3 === null) return true;
  const input = concatBytes(key.rid, Uint8Array.of(key.index), key.publicKey);
  return equalBytes(ciphers.sm3(input), key.sm3);
}

function keyError(key: CaPublicKey | SmCaPublicKey, why: string): KernelError {
  const name = keyName(key.rid, key.index);
  return new KernelError('ERR_KERNEL_CA_KEY', `CA public key ${name} ${why}`, {
    rid: toHex(key.rid),
    index: key.index,
  });
}

function keyName(rid: Uint8Array, index: number): string {
  return `${toHex(rid)}.${toHex(Uint8Array.of(index))}`;
}
