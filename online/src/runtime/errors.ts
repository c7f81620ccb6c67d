/** Coded faults of what every party stands on: database, configuration, start. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Every code this folder throws. */
export type RuntimeErrorCode =
  | 'ERR_DATABASE_BINARIES'
  | 'ERR_DATABASE_BUSY'
  | 'ERR_DATABASE_COMMIT_UNKNOWN'
  | 'ERR_DATABASE_CONNECT'
  | 'ERR_DATABASE_INIT'
  | 'ERR_DATABASE_MIGRATION'
  | 'ERR_DATABASE_PATH'
  | 'ERR_DATABASE_PORT'
  | 'ERR_DATABASE_START'
  | 'ERR_DATABASE_STOP'
  | 'ERR_DATABASE_VERSION'
  | 'ERR_CONFIG';

/** A part that a party needs is missing, broken or of another version. */
export class RuntimeError extends TapError<RuntimeErrorCode> {}
