/**
 * The element's own word on a payment: it knows its code, life cycle, counter and channel by
 * itself, and takes order and card from the application. The counter is durable before the
 * signature exists, so that a restored or copied store repeats one and is found.
 */
import type { KeyObject } from 'node:crypto';
import { attest } from '@tapnpay/protocol/node';
import {
  type ApplicationLifeCycle,
  type AttestedFacts,
  checkShape,
  type PaymentAttestation,
  type PaymentClaim,
  paymentClaimShape,
} from '@tapnpay/protocol/wire';
import { ElementError } from './errors.ts';
import type { ElementState } from './state.ts';

/** What an attestation stands on. */
export type AttestationPorts = {
  readonly state: ElementState;
  readonly key: KeyObject;
  readonly elementId: string;
  /** SHA-256 of the load file whose code runs, hex. */
  readonly loadFileHash: string;
  /** The payment application's life cycle as the card's registry has it now. */
  readonly lifeCycle: () => ApplicationLifeCycle;
  /** The open channel's exporter value. */
  readonly exporter: () => AttestedFacts['exporter'];
};

/**
 * One attestation; its counter is used up even when the payment never arrives.
 * @throws ElementError `APP_LOCKED`, the channel's; WireError `ERR_MESSAGE_FIELD`.
 */
export function attestPayment(ports: AttestationPorts, claimed: PaymentClaim): PaymentAttestation {
  const { state, key, elementId, loadFileHash } = ports;
  const claim = checkShape(paymentClaimShape, claimed, 'claim');
  const lifeCycle = assertOperable(ports.lifeCycle());
  const exporter = ports.exporter();
  const counter = state.record.paymentCounter + 1;
  state.update({ paymentCounter: counter });
  return attest(key, { elementId, loadFileHash, lifeCycle, counter, exporter }, claim);
}

/** A locked application neither pays nor is selected. @throws ElementError `APP_LOCKED`. */
export function assertOperable(lifeCycle: ApplicationLifeCycle): 'operable' {
  if (lifeCycle === 'operable') return lifeCycle;
  throw new ElementError('APP_LOCKED', `the payment application is ${lifeCycle}`, { lifeCycle });
}
