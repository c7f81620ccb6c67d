/** EMV and PBOC data that card, terminal and issuer share: tags, bits, lists, card image. */
export * from './ada.ts';
export * from './afl.ts';
export * from './aip.ts';
export * from './auc.ts';
export * from './bits.ts';
export * from './ca-key.ts';
export * from './cryptogram.ts';
export * from './cvm.ts';
export * from './cvr.ts';
export * from './dictionary.ts';
export * from './errors.ts';
export * from './icc-image.ts';
export * from './tags.ts';
export * from './terminal-capabilities.ts';
export * from './tsi.ts';
export * from './tvr.ts';
