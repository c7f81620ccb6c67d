/** Faults of what a secure element and its manager say to each other. */
import { TapError } from '../../bytes/index.ts';

/** Stable codes of this folder. */
export type GlobalPlatformErrorCode =
  /** The bytes have not the length that their format needs; `lengthBytes` says what came. */
  | 'ERR_GP_LENGTH'
  /** A byte has a value that the format does not know; `offsetBytes` says where. */
  | 'ERR_GP_FORMAT';

/** A malformed answer, template or key; `data` holds the place, never a key. */
export class GlobalPlatformError extends TapError<GlobalPlatformErrorCode> {}

/** Requires one of some lengths. @throws GlobalPlatformError `ERR_GP_LENGTH`. */
export function assertBytes(what: string, bytes: Uint8Array, allowed: readonly number[]): void {
  if (allowed.includes(bytes.length)) return;
  const message = `${what} has ${bytes.length} bytes, needs ${allowed.join(' or ')}`;
  throw new GlobalPlatformError('ERR_GP_LENGTH', message, { lengthBytes: bytes.length });
}

/** The error of a byte that the format does not know. */
export function formatFault(what: string, offsetBytes: number): GlobalPlatformError {
  return new GlobalPlatformError('ERR_GP_FORMAT', `at byte ${offsetBytes}: ${what}`, {
    offsetBytes,
  });
}
