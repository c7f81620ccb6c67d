/** Faults of what a secure element and its manager say to each other. */
import { TapError } from '../../bytes/index.ts';

/** Stable codes of the three folders of GlobalPlatform. */
export type GlobalPlatformErrorCode =
  /** The bytes have not the length that their format needs; `lengthBytes` says what came. */
  | 'ERR_GP_LENGTH'
  /** A byte has a value that the format does not know; `offsetBytes` says where. */
  | 'ERR_GP_FORMAT'
  /** The card's cryptogram fits none of the given keys: nothing was sent that it would count. */
  | 'ERR_GP_CARD_CRYPTOGRAM'
  /** Protocol, parameter i or security level that this side or this card does not speak. */
  | 'ERR_GP_PROTOCOL'
  /** A status word that the step does not allow; `statusWord` holds it. */
  | 'ERR_GP_STATUS'
  /** The MAC of an answer is missing or wrong; the session has ended. */
  | 'ERR_GP_RESPONSE_MAC'
  /** The session has ended; a new one is needed. */
  | 'ERR_GP_SESSION_ENDED'
  /** The check value in an answer is not that of the key that was sent. */
  | 'ERR_GP_KEY_CHECK_VALUE'
  /** A named limit would be passed; `limit` names it. */
  | 'ERR_GP_LIMIT'
  /** The card refuses a command; `statusWord` is its answer. */
  | 'ERR_GP_REFUSED'
  /** Bytes that are no application package; `fieldPath` says which part. */
  | 'ERR_GP_PACKAGE';

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

/** The error of a limit that would be passed. */
export function limitFault(limit: string, value: number, most: number): GlobalPlatformError {
  return new GlobalPlatformError('ERR_GP_LIMIT', `${value} exceed ${limit} of ${most}`, {
    ...{ limit, value, most },
  });
}
