/** The system's own ciphers, clock and randomness: the only place where the element takes them. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { nodeCiphers } from '@tapnpay/protocol/node';

export { systemClock, systemRandom } from '@tapnpay/protocol/node';

/** Ciphers that keep no context: a key of one PIN does not outlive it in a cache. */
export const elementCiphers: CipherProvider = {
  ...nodeCiphers,
  aesEcbEncrypt(key, blocks) {
    const cipher = createCipheriv(`aes-${8 * key.length}-ecb`, key, null).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([cipher.update(blocks), cipher.final()]));
  },
  aesEcbDecrypt(key, blocks) {
    const cipher = createDecipheriv(`aes-${8 * key.length}-ecb`, key, null).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([cipher.update(blocks), cipher.final()]));
  },
};
