/** The question for a PIN, and what bypass and a broken pad mean for every rule that follows. */
import { Secret } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { type KernelContext, markTvr } from './context.ts';
import { KernelError } from './errors.ts';
import { panOf } from './read-data.ts';
import type { Kernel, KernelRequest, PinEntry } from './types.ts';

/** State across the rules: a PIN once bypassed, or a pad once broken, is not asked for again. */
export type PinMemory = {
  refused: boolean;
  /** The card said that no try is left: no offline PIN any more, an online one all the same. */
  isBlocked?: boolean;
};

/** Whether a PIN is there; if not, how the rule ends. */
export type AskedPin = 'entered' | 'failed' | 'cancelled';

type Question = Omit<Extract<KernelRequest, { kind: 'enterPin' }>, 'kind' | 'pan'>;

/**
 * Asks the driver for a PIN and marks the TVR when there is none. Bypass never sets "PIN try limit
 * exceeded", before the first or after a wrong PIN.
 * @throws KernelError `ERR_KERNEL_ANSWER`. @see EMV 4.3 B4 §6.3.4.3; B3 §10.5.1, §10.5.2
 */
export function* askPin(
  context: KernelContext,
  memory: PinMemory,
  question: Question,
): Kernel<AskedPin> {
  if (memory.refused) return 'failed';
  const answer = yield { kind: 'enterPin', pan: new Secret(panOf(context)), ...question };
  switch (answer as PinEntry) {
    case 'entered':
      return 'entered';
    case 'bypassed':
      memory.refused = true;
      markTvr(context, data.TVR_3_PIN_NOT_ENTERED);
      return 'failed';
    case 'unavailable':
      memory.refused = true;
      markTvr(context, data.TVR_3_PIN_PAD_NOT_PRESENT);
      return 'failed';
    case 'cancelled':
      return 'cancelled';
    default:
      throw new KernelError('ERR_KERNEL_ANSWER', 'driver did not say how PIN entry ended');
  }
}
