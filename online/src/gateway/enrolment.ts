/**
 * Enrolment: an operator's single-use pairing code lets one element get its key certified, its
 * DUKPT initial key and the acceptance parameters.
 */
import { createHmac } from 'node:crypto';
import { asciiToBytes, equalBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  type EnrolmentGrant,
  type EnrolmentRequest,
  enrolmentInput,
  type SignedParameterSet,
} from '@tapnpay/protocol/wire';
import { uuidv7 } from '../runtime/index.ts';
import { GatewayError } from './errors.ts';
import type { PairingCode } from './model.ts';
import type { GatewayPorts } from './ports.ts';

/** Characters of a pairing code: 32 of them, none that looks like another. */
const CODE_ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** 50 bits; the proof crosses loopback only and wrong ones are counted. */
export const PAIRING_CODE_CHARACTERS = 10;
/** Life of a pairing code. */
export const PAIRING_CODE_LIFETIME_MS: number = 10 * 60_000;
/** Wrong proofs after which every active code dies. */
export const PAIRING_FAILURES_MAX = 5;
/** First half of an initial key ID: which base derivation key. @see X9.24-3 */
const BASE_KEY_ID = '54415001';

/** Makes certificates for elements; the gateway's own CA. */
export interface ElementCertifier {
  readonly caPem: string;
  readonly orderPublicKeySpki: string;
  readonly parameterPublicKeySpki: string;
  certify(element: {
    readonly elementId: string;
    readonly publicKeySpki: string;
  }): Promise<{ readonly pem: string; readonly sha256: string }>;
}

/** One request with what the driver adds. */
export type Enrolment = {
  readonly request: EnrolmentRequest;
  readonly certifier: ElementCertifier;
  readonly parameters: SignedParameterSet;
};

/** Makes a code and keeps it sealed. */
export async function newPairingCode(
  ports: GatewayPorts,
): Promise<{ readonly code: string; readonly expiresAtMs: number }> {
  const { clock, random, store, vault } = ports;
  let code = '';
  for (const byte of random.bytes(PAIRING_CODE_CHARACTERS)) code += CODE_ALPHABET[byte & 31];
  const expiresAtMs = clock.nowMs() + PAIRING_CODE_LIFETIME_MS;
  const codeId = uuidv7(clock, random);
  await store.addPairingCode({ codeId, sealedCode: vault.seal(code), expiresAtMs, failures: 0 });
  return { code, expiresAtMs };
}

/**
 * Checks both proofs, certifies the key and hands over key and parameters; the code is used up
 * with the same transaction that writes the element.
 * @throws GatewayError `ERR_PAIRING_CODE`, `ERR_PROOF_OF_POSSESSION`, `ERR_ELEMENT_EXISTS`,
 * `ERR_HSM_UNAVAILABLE`.
 */
export async function enrol(ports: GatewayPorts, enrolment: Enrolment): Promise<EnrolmentGrant> {
  const { clock, hsm, profile, random, signatures, store } = ports;
  const { request, certifier, parameters } = enrolment;
  const input = enrolmentInput(request);
  const nowMs = clock.nowMs();
  const code = await matchingCode(ports, input, request.pairingProof);
  if (!signatures.verifyElement(request.publicKeySpki, input, request.signature)) {
    throw new GatewayError('ERR_PROOF_OF_POSSESSION', 'the signature is not by the key to certify');
  }
  const initialKeyId = BASE_KEY_ID + toHex(random.bytes(4));
  const { elementId, publicKeySpki, transportKeySpki } = request;
  const key = await hsm
    .call({
      command: 'exportInitialKey',
      baseKey: profile.baseKey,
      initialKeyId,
      publicKeySpki: transportKeySpki,
    })
    .catch((cause: unknown) => {
      throw new GatewayError('ERR_HSM_UNAVAILABLE', 'no initial key was exported', {}, cause);
    });
  const certificate = await certifier.certify({ elementId, publicKeySpki });
  const element = {
    elementId,
    publicKeySpki,
    certificateSha256: certificate.sha256,
    certificatePem: certificate.pem,
    initialKeyId,
    enrolledAtMs: nowMs,
  };
  const result = await store.enrolElement(code.codeId, element, nowMs);
  if (result === 'codeUsed') throw wrongCode();
  if (result === 'exists') {
    throw new GatewayError('ERR_ELEMENT_EXISTS', 'an element of this name is enrolled');
  }
  ports.log({ event: 'elementEnrolled', elementId });
  return {
    certificatePem: certificate.pem,
    caPem: certifier.caPem,
    orderPublicKeySpki: certifier.orderPublicKeySpki,
    initialKeyId,
    encipheredInitialKey: key.enciphered,
    initialKeyKcv: key.kcv,
    parameterPublicKeySpki: certifier.parameterPublicKeySpki,
    parameters,
  };
}

/** The active code whose proof this is; every code is compared, in constant time. */
async function matchingCode(
  ports: GatewayPorts,
  input: string,
  pairingProof: string,
): Promise<PairingCode> {
  const nowMs = ports.clock.nowMs();
  const given = fromHex(pairingProof);
  let match: PairingCode | null = null;
  for (const candidate of await ports.store.activePairingCodes(nowMs)) {
    const code = asciiToBytes(ports.vault.open(candidate.sealedCode));
    const proof = new Uint8Array(createHmac('sha256', code).update(input).digest());
    if (equalBytes(proof, given)) match = candidate;
  }
  if (match) return match;
  await ports.store.notePairingFailure(nowMs, PAIRING_FAILURES_MAX);
  throw wrongCode();
}

function wrongCode(): GatewayError {
  return new GatewayError('ERR_PAIRING_CODE', 'the pairing code is wrong, used or expired');
}
