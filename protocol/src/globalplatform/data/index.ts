/** What a secure element says about itself, and the arithmetic of its secure channels. */
export * from './card-recognition.ts';
export * from './cplc.ts';
export { GlobalPlatformError, type GlobalPlatformErrorCode } from './errors.ts';
export * from './initialize-update.ts';
export * from './key-information.ts';
export * from './scp02.ts';
export * from './scp03.ts';
