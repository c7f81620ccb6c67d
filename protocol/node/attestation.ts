/** The hashes of an attestation, and its signature and check, with the ciphers of Node. */
import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { fromHex, toHex } from '../src/bytes/index.ts';
import {
  type AttestedFacts,
  attestationStatement,
  type PaymentAttestation,
  type PaymentClaim,
} from '../src/wire/index.ts';

/** SHA-256, hex. */
export function sha256Hex(data: Uint8Array): string {
  return toHex(createHash('sha256').update(data).digest());
}

/** What the element knows of itself when it attests. */
export type AttestingElement = Pick<
  AttestedFacts,
  'elementId' | 'loadFileHash' | 'lifeCycle' | 'counter' | 'exporter'
>;

/** The statement over a claim: field 55 and PIN block by their hashes. */
export function statementOf(element: AttestingElement, claim: PaymentClaim): string {
  const { field55, pinBlock, order, parameterVersion, tvr, cvmResults } = claim;
  return attestationStatement({
    ...element,
    ...{ order, parameterVersion, tvr, cvmResults },
    field55Hash: sha256Hex(fromHex(field55)),
    pinBlockHash: pinBlock === null ? null : sha256Hex(fromHex(pinBlock)),
  });
}

/** Composes and signs. */
export function attest(
  key: KeyObject,
  element: AttestingElement,
  claim: PaymentClaim,
): PaymentAttestation {
  const { loadFileHash, lifeCycle, counter } = element;
  const { parameterVersion, tvr, cvmResults } = claim;
  const signature = signP1363(key, statementOf(element, claim));
  return { loadFileHash, lifeCycle, counter, parameterVersion, tvr, cvmResults, signature };
}

/** ECDSA P-256/SHA-256 in IEEE P1363 form over a text, hex. */
export function signP1363(key: KeyObject, text: string): string {
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return toHex(sign('sha256', Buffer.from(text, 'utf8'), options));
}

/** Whether `signature` is by the key over the text. */
export function verifyP1363(key: KeyObject, text: string, signature: string): boolean {
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return verify('sha256', Buffer.from(text, 'utf8'), options, fromHex(signature));
}
