/** Coded faults of the issuer; declines are outcomes, not errors. */
import { TapError } from '@tapnpay/protocol/bytes';

/** Every code this folder throws. */
export type IssuerErrorCode =
  | 'ERR_ISSUER_CARDS'
  | 'ERR_ISSUER_LEDGER'
  | 'ERR_ISSUER_BUSY'
  | 'ERR_ISSUER_FORMAT'
  | 'ERR_ISSUER_SCRIPT';

/**
 * A broken card file, books that do not balance, or a card that too many others use; a script
 * that no card would take.
 */
export class IssuerError extends TapError<IssuerErrorCode> {}
