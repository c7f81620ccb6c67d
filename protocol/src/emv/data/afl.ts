/** Application file locator, tag 94: which records to read and which are signed. */
import { byteAt } from '../../bytes/index.ts';
import { EmvDataError } from './errors.ts';

/** Bytes of one entry. @see EMV 4.3 B3 §10.2 */
export const AFL_ENTRY_BYTES = 4;
/** Most bytes of a whole locator. @see EMV 4.3 B3 Annex A */
export const AFL_BYTES_MAX = 252;

/** Records `firstRecord` to `lastRecord` of a file; the first `signedRecords` are authenticated. */
export type AflEntry = {
  readonly sfi: number;
  readonly firstRecord: number;
  readonly lastRecord: number;
  readonly signedRecords: number;
};

/**
 * Entries of an AFL in order.
 * @throws EmvDataError `ERR_EMV_AFL` with the entry's `offsetBytes` when a rule of §10.2 is broken.
 * @see EMV 4.3 B3 §10.2
 */
export function decodeAfl(bytes: Uint8Array): readonly AflEntry[] {
  if (bytes.length === 0 || bytes.length % AFL_ENTRY_BYTES !== 0 || bytes.length > AFL_BYTES_MAX) {
    throw aflError(0, `${bytes.length} bytes are not 1 to 63 entries of 4 bytes`);
  }
  const entries: AflEntry[] = [];
  for (let offset = 0; offset < bytes.length; offset += AFL_ENTRY_BYTES) {
    entries.push(decodeEntry(bytes, offset));
  }
  return entries;
}

function decodeEntry(bytes: Uint8Array, offset: number): AflEntry {
  const first = byteAt(bytes, offset);
  const sfi = first >> 3;
  const firstRecord = byteAt(bytes, offset + 1);
  const lastRecord = byteAt(bytes, offset + 2);
  const signedRecords = byteAt(bytes, offset + 3);
  if ((first & 0x07) !== 0 || sfi === 0 || sfi === 31) {
    throw aflError(offset, `first byte ${first} names no file 1 to 30`);
  }
  if (firstRecord === 0) throw aflError(offset, 'the first record is 0');
  if (lastRecord < firstRecord) throw aflError(offset, 'the last record is before the first');
  if (signedRecords > lastRecord - firstRecord + 1) {
    throw aflError(offset, `${signedRecords} signed records are more than the entry has`);
  }
  return { sfi, firstRecord, lastRecord, signedRecords };
}

/** Bytes of an AFL; the caller vouches for its rules. */
export function encodeAfl(entries: readonly AflEntry[]): Uint8Array {
  return Uint8Array.from(
    entries.flatMap((entry) => [
      entry.sfi << 3,
      entry.firstRecord,
      entry.lastRecord,
      entry.signedRecords,
    ]),
  );
}

function aflError(offsetBytes: number, why: string): EmvDataError {
  return new EmvDataError('ERR_EMV_AFL', `AFL entry at byte ${offsetBytes}: ${why}`, {
    offsetBytes,
  });
}
