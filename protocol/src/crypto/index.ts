/** Ciphers, MACs, PIN blocks, key derivations, cryptograms and key blocks of cards and lines. */
export * from './cmac.ts';
export * from './cvv.ts';
export * from './derivation.ts';
export {
  desDecrypt,
  desEncrypt,
  tdesCbcDecrypt,
  tdesCbcEncrypt,
  tdesDecrypt,
  tdesEncrypt,
} from './des.ts';
export { DES_BLOCK_BYTES, forgetKeySchedules } from './des-core.ts';
export * from './dukpt.ts';
export * from './dukpt-tdes.ts';
export { CryptoError, type CryptoErrorCode } from './errors.ts';
export * from './kcv.ts';
export * from './mac.ts';
export * from './mac-lanes.ts';
export * from './pin-block.ts';
export type { CipherProvider } from './provider.ts';
export * from './pvv.ts';
export * from './rsa.ts';
export * from './sm2.ts';
export * from './sm4-cryptogram.ts';
export * from './tr31.ts';
export * from './tr31-tdes.ts';
