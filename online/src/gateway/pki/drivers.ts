/** The core's cryptographic ports over node:crypto: order and element signatures, the vault. */
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import { GatewayError } from '../errors.ts';
import type { Signatures, Vault } from '../ports.ts';
import { p256Key } from './authority.ts';

const P1363 = 'ieee-p1363';
const VAULT_IV_BYTES = 12;
const VAULT_TAG_BYTES = 16;
/** Key length of the vault: AES-256. */
export const VAULT_KEY_BYTES = 32;

/** Signs orders with `orderKey`; checks elements with the key they were certified for. */
export function signaturesOf(orderKey: KeyObject): Signatures {
  if (createPublicKey(orderKey).asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new GatewayError('ERR_INTERNAL', 'the order key is no P-256 key');
  }
  return {
    signOrder: (input) =>
      toHex(sign('sha256', Buffer.from(input), { key: orderKey, dsaEncoding: P1363 })),
    verifyElement: (publicKeySpki, input, signature) => {
      const key = p256Key(publicKeySpki);
      const bytes = fromHex(signature);
      return verify('sha256', Buffer.from(input), { key, dsaEncoding: P1363 }, bytes);
    },
  };
}

/** AES-256-GCM; the sealed text is hex of IV, tag and ciphertext. @see NIST SP 800-38D */
export function createVault(key: Uint8Array, random: RandomSource): Vault {
  return {
    seal(text) {
      const iv = random.bytes(VAULT_IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, iv);
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return toHex(iv) + toHex(cipher.getAuthTag()) + toHex(body);
    },
    open(sealed) {
      try {
        const bytes = fromHex(sealed);
        const tagEnd = VAULT_IV_BYTES + VAULT_TAG_BYTES;
        const iv = bytes.subarray(0, VAULT_IV_BYTES);
        const options = { authTagLength: VAULT_TAG_BYTES };
        const decipher = createDecipheriv('aes-256-gcm', key, iv, options);
        decipher.setAuthTag(bytes.subarray(VAULT_IV_BYTES, tagEnd));
        const body = [decipher.update(bytes.subarray(tagEnd)), decipher.final()];
        return Buffer.concat(body).toString('utf8');
      } catch (cause) {
        throw new GatewayError('ERR_INTERNAL', 'a sealed record does not open', {}, cause);
      }
    },
  };
}
