/** Coded faults of the lines between institutions. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Every code this folder throws. */
export type LineErrorCode =
  | 'ERR_LINE_FRAME'
  | 'ERR_LINE_CLOSED'
  | 'ERR_LINE_REJECTED'
  | 'ERR_LINE_NOT_ESTABLISHED'
  | 'ERR_LINE_DUPLICATE'
  | 'ERR_LINE_BUSY'
  | 'ERR_LINE_SIGN_ON'
  | 'ERR_LINE_KEY'
  | 'ERR_LINE_SILENT'
  | 'ERR_LINE_CONNECT';

/**
 * A line is down, or refuses a message. After `ERR_LINE_CLOSED` the message may have arrived; after
 * `ERR_LINE_REJECTED` a node on the way says that it was not processed, but no MAC proves it. After
 * every other code of a request it has surely not been sent.
 */
export class LineError extends TapError<LineErrorCode> {}

/** Whether a request that ended with `fault` has surely not left. */
export function isSurelyUnsent(fault: unknown): fault is LineError {
  if (!(fault instanceof LineError)) return false;
  return fault.code !== 'ERR_LINE_CLOSED' && fault.code !== 'ERR_LINE_REJECTED';
}
