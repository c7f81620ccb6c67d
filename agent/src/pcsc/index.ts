/** Real card readers, through the system's PC/SC service. */
export { listReaders, type ReaderList } from './readers.ts';
