/** Faults of the kernels: their own (`ERR_KERNEL_*`) and the card's (`ERR_CARD_*`). */
import { TapError } from '../../bytes/index.ts';

/** Stable codes of this folder. */
export type KernelErrorCode =
  /** Terminal profile or CA key that cannot be used. */
  | 'ERR_KERNEL_PROFILE'
  /** A CA public key whose check value does not match. */
  | 'ERR_KERNEL_CA_KEY'
  /** Transaction data outside its range. */
  | 'ERR_KERNEL_INPUT'
  /** The driver answered something the request does not allow. */
  | 'ERR_KERNEL_ANSWER'
  /** A status word that ends the transaction. */
  | 'ERR_CARD_STATUS'
  /** Card data that cannot be parsed or has a wrong format. */
  | 'ERR_CARD_DATA'
  /** A mandatory data object is missing. */
  | 'ERR_CARD_MISSING_DATA'
  /** A data object came twice. */
  | 'ERR_CARD_REDUNDANT_DATA'
  /** A cryptogram type the card may not answer. */
  | 'ERR_CARD_CRYPTOGRAM'
  /** The card keeps the terminal busy beyond a limit. */
  | 'ERR_CARD_LIMIT';

/** Ends a transaction; before the request went online nothing was charged. */
export class KernelError extends TapError<KernelErrorCode> {}

/**
 * Runs a parser over card data and turns its fault into the kernel's.
 * @throws KernelError `ERR_CARD_DATA` naming the data object. @see EMV 4.3 B3 §7.5
 */
export function parseCardData<Value>(what: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (fault) {
    if (fault instanceof KernelError || !(fault instanceof TapError)) throw fault;
    throw new KernelError('ERR_CARD_DATA', `${what} is malformed`, { what }, fault);
  }
}
