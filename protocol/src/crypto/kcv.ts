/** Key check values, as people compare them and lines carry them. @see X9.24-1:2017 Annex A */
import { KeyCheckValue, toHex } from '../bytes/index.ts';
import { aesCmac } from './cmac.ts';
import { desEncrypt, tdesEncrypt } from './des.ts';
import { assertKeyLength } from './errors.ts';
import type { CipherProvider } from './provider.ts';

/**
 * First 4 bytes of eight zero bytes enciphered under the key (8, 16 or 24 bytes), as UnionPay's
 * key fields 48 and 62 carry them. @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function kcvTdes(key: Uint8Array): KeyCheckValue {
  const zeros = new Uint8Array(8);
  const block = key.length === 8 ? desEncrypt(key, zeros) : tdesEncrypt(key, zeros);
  return KeyCheckValue(toHex(block.subarray(0, 4)));
}

/**
 * First 5 bytes of the CMAC of sixteen zero bytes: the X9.24-1:2017 form for AES keys. (The older
 * form, sixteen zero bytes enciphered, and GlobalPlatform's, sixteen `01`, are other values.)
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function kcvAes(ciphers: CipherProvider, key: Uint8Array): KeyCheckValue {
  return KeyCheckValue(toHex(aesCmac(ciphers, key, new Uint8Array(16)).subarray(0, 5)));
}

/**
 * First 4 bytes of sixteen zero bytes enciphered under an SM4 key, as lines carry it for DES keys.
 * @throws CryptoError `ERR_CRYPTO_KEY_LENGTH`.
 */
export function kcvSm4(
  ciphers: Pick<CipherProvider, 'sm4EcbEncrypt'>,
  key: Uint8Array,
): KeyCheckValue {
  assertKeyLength(key, [16]);
  return KeyCheckValue(toHex(ciphers.sm4EcbEncrypt(key, new Uint8Array(16)).subarray(0, 4)));
}
