/**
 * The element's word on a payment: its signature over its own code, life cycle and counter, this
 * channel, the order and what the card gave. Checked before anything is sent, kept with the
 * payment, and what finds a restored copy or a clone of an element.
 */
import { toHex } from '@tapnpay/protocol/bytes';
import { statementOf } from '@tapnpay/protocol/node';
import type { SealedPayment, SignedOrder } from '@tapnpay/protocol/wire';
import { uuidv7 } from '../../runtime/index.ts';
import { GatewayError } from '../errors.ts';
import type { Field55 } from '../payment/card-data.ts';
import type { ChannelPeer } from '../payment/peer.ts';
import type { GatewayPorts } from '../ports.ts';
import type { KeptAttestation } from './model.ts';
import type { AttestationRefusal } from './store.ts';

/** Kind of the work item that a locked clone is. */
export const CLONE_WORK_ITEM = 'elementCloned';

/**
 * What the commit point will check and keep. The statement is composed of what the gateway knows
 * by itself (element, channel, order) and what came: a wrong fact is a wrong signature.
 * @throws GatewayError `ERR_PAYMENT_SIGNATURE`, `APP_LOCKED`.
 */
export function checkAttestation(
  { signatures }: Pick<GatewayPorts, 'signatures'>,
  peer: Pick<ChannelPeer, 'elementId' | 'publicKeySpki' | 'exporter'>,
  sealed: { readonly payment: SealedPayment; readonly order: SignedOrder },
): KeptAttestation {
  const { elementId, exporter, publicKeySpki } = peer;
  const { field55, pin, attestation } = sealed.payment;
  const { loadFileHash, lifeCycle, counter, parameterVersion, signature } = attestation;
  const { tvr, cvmResults } = attestation;
  const { order } = sealed;
  const pinBlock = pin?.block ?? null;
  const statement = statementOf(
    { elementId, loadFileHash, lifeCycle, counter, exporter },
    { order, parameterVersion, field55, pinBlock, tvr, cvmResults },
  );
  if (!signatures.verifyElement(publicKeySpki, statement, signature)) {
    throw new GatewayError('ERR_PAYMENT_SIGNATURE', "the element's signature is wrong");
  }
  if (lifeCycle !== 'operable') {
    throw new GatewayError('APP_LOCKED', `the payment application is ${lifeCycle}`, { lifeCycle });
  }
  return { counter, loadFileHash, parameterVersion, statement, signature };
}

/**
 * The attested verification of terminal and cardholder is the one that the issuer is told.
 * @throws GatewayError `ERR_PAYMENT_FIELD`.
 */
export function checkAttestedVerification(
  { attestation }: Pick<SealedPayment, 'attestation'>,
  field55: Field55,
): void {
  const told = { '95': attestation.tvr, '9F34': attestation.cvmResults };
  for (const [tag, attested] of Object.entries(told)) {
    const value = field55.get(tag);
    if (value === undefined || toHex(value) === attested) continue;
    const facts = { fieldPath: tag };
    throw new GatewayError('ERR_PAYMENT_FIELD', `${tag} differs from what was attested`, facts);
  }
}

/**
 * The error of an attestation that the commit point refused. A counter that stood still or went
 * back locks the element, unless it is the very payment again, or one that another channel of the
 * same element has overtaken.
 */
export async function refuseAttestation(
  ports: GatewayPorts,
  facts: {
    readonly peer: ChannelPeer;
    readonly kept: KeptAttestation;
    readonly refusal: AttestationRefusal;
  },
): Promise<GatewayError> {
  const { peer, kept, refusal } = facts;
  switch (refusal.refused) {
    case 'loadFile': {
      const code = refusal.state === 'revoked' ? 'ERR_LOAD_FILE_REVOKED' : 'ERR_LOAD_FILE_UNKNOWN';
      const { loadFileHash } = kept;
      return new GatewayError(code, `the code is ${refusal.state}`, { loadFileHash });
    }
    case 'parameters': {
      const { minimumVersion } = refusal;
      const message = `version ${minimumVersion} of the parameters is the lowest taken`;
      return new GatewayError('PARAMS_OUTDATED', message, { minimumVersion });
    }
    case 'counter': {
      const { recorded } = refusal;
      const isTheSame = recorded === kept.statement;
      // The counter was free, and used after this channel began: a message that came late.
      const isOvertaken = recorded === null && kept.counter > peer.counterAtHello;
      if (isTheSame || isOvertaken) {
        return new GatewayError('ERR_PAYMENT_REPEATED', 'the element has spoken since');
      }
      await lockClone(ports, peer.elementId, kept.counter);
      return new GatewayError('ERR_ELEMENT_CLONED', 'the counter was used before');
    }
  }
}

/** Two states of one element exist: which one is genuine nobody can say, so that both stop. */
async function lockClone(ports: GatewayPorts, elementId: string, counter: number): Promise<void> {
  const { store, clock, random, audit, log } = ports;
  const atMs = clock.nowMs();
  const note = `counter ${counter} again`;
  const locked = await store.lockElement(elementId, { reason: 'clone', note, atMs });
  const lastCounter = locked?.lastPaymentCounter ?? 0;
  log({ event: 'elementCloned', elementId, counter, lastCounter });
  await store.openWorkItem({
    itemId: uuidv7(clock, random),
    kind: CLONE_WORK_ITEM,
    subjectId: elementId,
    facts: { elementId, counter, lastCounter },
    openedAtMs: atMs,
  });
  await audit?.append({
    ...{ atMs, actor: 'gateway', action: 'element.lock', subject: elementId },
    facts: { reason: 'clone', counter, lastCounter },
  });
}
