/** Key check values as the card compares them: three bytes. @see GPCS 2.3.1 §B.5, GP-D §4.1.4 */
import { type CipherProvider, desEncrypt, tdesEncrypt } from '../../crypto/index.ts';
import { assertBytes } from './errors.ts';

/** Bytes of a key check value in PUT KEY. */
export const KEY_CHECK_VALUE_BYTES = 3;

/** Sixteen bytes `01` enciphered under an AES key; not zeros as elsewhere. @see GP-D §4.1.4 */
export function aesKeyCheckValue(ciphers: CipherProvider, key: Uint8Array): Uint8Array {
  assertBytes('AES key', key, [16, 24, 32]);
  return ciphers.aesEcbEncrypt(key, new Uint8Array(16).fill(1)).slice(0, KEY_CHECK_VALUE_BYTES);
}

/** Eight zero bytes enciphered under a DES key. @see GPCS 2.3.1 §B.5 */
export function desKeyCheckValue(key: Uint8Array): Uint8Array {
  assertBytes('DES key', key, [8, 16, 24]);
  const zeros = new Uint8Array(8);
  const block = key.length === 8 ? desEncrypt(key, zeros) : tdesEncrypt(key, zeros);
  return block.slice(0, KEY_CHECK_VALUE_BYTES);
}
