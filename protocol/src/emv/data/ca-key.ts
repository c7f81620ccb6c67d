/** Certification authority public keys: the row of a key table and what its check value covers. */
import { concatBytes, fromHex } from '../../bytes/index.ts';

/** Longest modulus of a CA, issuer or card key in bytes. @see EMV 4.3 B2 §D1 */
export const EMV_MODULUS_BYTES_MAX = 248;

/** One CA public key as a kernel's key table holds it; hex in upper case. */
export type CaPublicKey = {
  readonly rid: string;
  readonly index: string;
  readonly modulus: string;
  readonly exponent: string;
  readonly sha1: string;
  readonly expiryYymmdd: string;
};

/** What `sha1` is taken over: RID, index, modulus, exponent. @see EMV 4.3 B2 §11.2.2 */
export function caPublicKeyHashInput(
  key: Pick<CaPublicKey, 'rid' | 'index' | 'modulus' | 'exponent'>,
): Uint8Array {
  return concatBytes(
    fromHex(key.rid),
    fromHex(key.index),
    fromHex(key.modulus),
    fromHex(key.exponent),
  );
}
