/** Why something could not be installed or removed. */
import { TapError } from '@tapnpay/protocol/bytes';

export type InstallErrorCode =
  /** The folder is another user's: root or the owner must do it. */
  | 'ERR_INSTALL_DENIED'
  /** Another fault of the file system. */
  | 'ERR_INSTALL_FILE'
  /** The program lies where it will vanish, as in the cache of npx. */
  | 'ERR_INSTALL_PLACE'
  /** A policy of somebody else stands there and cannot be read: it is left alone. */
  | 'ERR_INSTALL_POLICY'
  /** The record of what was installed cannot be read. */
  | 'ERR_INSTALL_RECORD'
  /** The registry of Windows refuses. */
  | 'ERR_INSTALL_REGISTRY'
  /** Not on this system. */
  | 'ERR_INSTALL_PLATFORM';

/** A refused or failed installation; `data` names the path. */
export class InstallError extends TapError<InstallErrorCode> {}

/** The fault of a path that the file system gave. */
export function fileFault(path: string, cause: unknown): InstallError {
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  const isDenied = reason === 'EACCES' || reason === 'EPERM' || reason === 'EROFS';
  if (isDenied) {
    const message = `${path} may not be written by this user (${reason})`;
    return new InstallError('ERR_INSTALL_DENIED', message, { path, reason }, cause);
  }
  const message = `${path} cannot be written (${reason})`;
  return new InstallError('ERR_INSTALL_FILE', message, { path, reason }, cause);
}
