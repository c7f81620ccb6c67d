/** Parameter sets as the element keeps them: signed by the gateway's key, never an older one. */
import { createPublicKey } from 'node:crypto';
import { fromHex, TapError } from '@tapnpay/protocol/bytes';
import { verifyP1363 } from '@tapnpay/protocol/node';
import { readParameterSet, type SignedParameterSet } from '@tapnpay/protocol/wire';
import { ElementError } from './errors.ts';
import type { ElementIdentity, ElementState } from './state.ts';

/**
 * Checks a set by the key of the enrolment; answers its version.
 * @throws ElementError `ERR_PARAMETERS`.
 */
export function parametersVersion(keySpki: string, set: SignedParameterSet): number {
  try {
    const der = Buffer.from(fromHex(keySpki));
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    if (!verifyP1363(key, set.body, set.signature)) throw wrong('the set is not signed');
    return readParameterSet(set.body).version;
  } catch (fault) {
    if (fault instanceof ElementError) throw fault;
    if (fault instanceof TapError) throw wrong(fault.message, fault);
    throw wrong('the key of the sets is no key', fault);
  }
}

/** Makes a newer set durable; what is refused changes nothing. @throws ElementError. */
export function keepParameters(
  state: ElementState,
  identity: ElementIdentity,
  set: SignedParameterSet,
): void {
  const { parameterPublicKeySpki, parameters } = state.record.identity ?? identity;
  const version = parametersVersion(parameterPublicKeySpki, set);
  if (version <= parametersVersion(parameterPublicKeySpki, parameters)) {
    throw wrong('an older set than the one kept');
  }
  state.update({ identity: { ...(state.record.identity ?? identity), parameters: set } });
}

function wrong(why: string, cause?: unknown): ElementError {
  return new ElementError('ERR_PARAMETERS', why, {}, cause);
}
