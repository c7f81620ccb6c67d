/** What a secure element says about itself, and the arithmetic of its secure channels. */
export * from './application-package.ts';
export * from './card-recognition.ts';
export * from './commands.ts';
export * from './cplc.ts';
export * from './dgi.ts';
export * from './diversification.ts';
export {
  assertBytes,
  formatFault,
  GlobalPlatformError,
  type GlobalPlatformErrorCode,
  limitFault,
} from './errors.ts';
export * from './initialize-update.ts';
export * from './install-parameters.ts';
export * from './key-check-value.ts';
export * from './key-data.ts';
export * from './key-information.ts';
export * from './known-aids.ts';
export * from './length-value.ts';
export * from './life-cycle.ts';
export * from './load-file.ts';
export * from './privileges.ts';
export * from './scp02.ts';
export * from './scp03.ts';
export * from './scp03-messaging.ts';
export * from './secure-messaging.ts';
export * from './status-words.ts';
export * from './tags.ts';
