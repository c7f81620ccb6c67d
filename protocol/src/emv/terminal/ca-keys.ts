/** Certification authority public keys, checked by their SHA-1 value when loaded. */
import { concatBytes, equalBytes, toHex } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/provider.ts';
import { KernelError } from './errors.ts';

/** One key of a payment system. @see EMV 4.3 B2 §11.2 table 30 */
export type CaPublicKey = {
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

/** Keys by RID and index. */
export type CaPublicKeyTable = {
  find(rid: Uint8Array, index: number): CaPublicKey | undefined;
};

/**
 * Checks every key's value before any card is trusted with it (a key with wrong bytes otherwise
 * shows only as "recovered header is not 6A", RfidResearchGroup/proxmark3 #3081).
 * @throws KernelError `ERR_KERNEL_CA_KEY` naming RID and index.
 * @see EMV 4.3 B2 §11.2.2
 */
export function loadCaPublicKeys(
  ciphers: CipherProvider,
  keys: readonly CaPublicKey[],
): CaPublicKeyTable {
  const table = new Map<string, CaPublicKey>();
  for (const key of keys) {
    const name = keyName(key.rid, key.index);
    const input = concatBytes(key.rid, Uint8Array.of(key.index), key.modulus, key.exponent);
    const wellFormed = key.rid.length === 5 && key.modulus.length >= 64 && key.exponent.length > 0;
    if (!wellFormed || !equalBytes(ciphers.sha1(input), key.sha1)) {
      throw new KernelError('ERR_KERNEL_CA_KEY', `CA public key ${name} fails its check value`, {
        rid: toHex(key.rid),
        index: key.index,
      });
    }
    if (table.has(name)) {
      throw new KernelError('ERR_KERNEL_CA_KEY', `CA public key ${name} is there twice`, {
        rid: toHex(key.rid),
        index: key.index,
      });
    }
    table.set(name, key);
  }
  return { find: (rid, index) => table.get(keyName(rid, index)) };
}

function keyName(rid: Uint8Array, index: number): string {
  return `${toHex(rid)}.${toHex(Uint8Array.of(index))}`;
}
