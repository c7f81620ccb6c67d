/** One contactless (qPBOC) transaction: the phases in the order of the standard. */
import { KernelError } from './errors.ts';
import type {
  ContactlessOutcome,
  ContactlessTransaction,
  KernelAnswer,
  KernelRequest,
} from './types.ts';

/**
 * The contactless kernel. Yields what it needs, is answered, returns the outcome. Up to
 * `releaseCard` a fault of the card or the driver is thrown: nothing was charged.
 * @throws KernelError; whatever the driver throws into it before `authorise`.
 * @see EMV C-7 §3; PBOC3 P5
 */
export function* contactlessTransaction(
  _input: ContactlessTransaction,
): Generator<KernelRequest, ContactlessOutcome, KernelAnswer> {
  yield { kind: 'releaseCard' };
  throw new KernelError('ERR_KERNEL_INPUT', 'not built yet');
}
