/** Faults of applets in their sandbox. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Stable codes of this folder. */
export type SandboxErrorCode =
  /** The load file holds no applet that this element can run. */
  | 'ERR_APPLET_CODE'
  /** It asked for more memory than it may have; it was dropped. */
  | 'ERR_APPLET_MEMORY'
  /** It did not come to an end within its instructions or its time; it was dropped. */
  | 'ERR_APPLET_TIME'
  /** It called itself too deeply; it was dropped. */
  | 'ERR_APPLET_STACK'
  /** It threw something that has no code, or ended without an answer. */
  | 'ERR_APPLET_FAULT'
  /** It asked the host for what does not exist, or with arguments of a wrong type or size. */
  | 'ERR_APPLET_HOST_CALL'
  /** It asked the host too often in one call. */
  | 'ERR_APPLET_HOST_CALLS'
  /** Its answer has not the shape that the interface wants. */
  | 'ERR_APPLET_ANSWER'
  /** A key that it does not have, or that may not be used so. */
  | 'ERR_APPLET_KEY'
  /** An object or key beyond the limits of an instance. */
  | 'ERR_APPLET_LIMIT'
  /** A conversation with this instance is open. */
  | 'ERR_APPLET_BUSY';

/** An applet that is broken, out of hand, or asks for what it may not have. */
export class SandboxError extends TapError<SandboxErrorCode> {}

/** The error of a host call that cannot be answered. */
export function wrongCall(why: string): SandboxError {
  return new SandboxError('ERR_APPLET_HOST_CALL', why);
}
