/** Real card readers, through the system's PC/SC service. */

export { PcscReaders } from './pcsc-readers.ts';
export { parseFeatures, pinPadResult, pinVerifyStructure } from './pin-pad.ts';
export type { ReaderEvent } from './reader-watch.ts';
export { cleanName, listReaders, type ReaderList } from './readers.ts';
export { isTokenReader } from './token-readers.ts';
