/** Enrolment: keys made inside, proofs for the gateway, and the check of what it grants. */
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  sign,
  X509Certificate,
} from 'node:crypto';
import { promisify } from 'node:util';
import { type Clock, fromHex, type RandomSource, Secret, toHex } from '@tapnpay/protocol/bytes';
import { type CipherProvider, kcvAes } from '@tapnpay/protocol/crypto';
import { type EnrolmentGrant, type EnrolmentRequest, enrolmentInput } from '@tapnpay/protocol/wire';
import { ElementError } from './errors.ts';
import { parametersVersion } from './parameters.ts';
import type { ElementState, PendingEnrolment } from './state.ts';

const generate = promisify(generateKeyPair);
const ELEMENT_ID_BYTES = 8;
const TRANSPORT_KEY_BITS = 2048;
const INITIAL_KEY_BYTES = 16;

/** Makes the client key and the transport key, keeps them, and asks for a certificate. */
export async function beginEnrolment(ports: {
  readonly state: ElementState;
  readonly random: RandomSource;
  readonly pairingCode: string;
}): Promise<EnrolmentRequest> {
  const client = await generate('ec', { namedCurve: 'P-256' });
  const transport = await generate('rsa', { modulusLength: TRANSPORT_KEY_BITS });
  const facts = {
    elementId: toHex(ports.random.bytes(ELEMENT_ID_BYTES)),
    publicKeySpki: spkiOf(client.publicKey),
    transportKeySpki: spkiOf(transport.publicKey),
  };
  ports.state.update({
    pending: {
      elementId: facts.elementId,
      publicKeySpki: facts.publicKeySpki,
      clientKeyPkcs8: pkcs8Of(client.privateKey),
      transportKeyPkcs8: pkcs8Of(transport.privateKey),
    },
  });
  const input = Buffer.from(enrolmentInput(facts), 'utf8');
  return {
    ...facts,
    pairingProof: toHex(createHmac('sha256', ports.pairingCode).update(input).digest()),
    signature: toHex(signP1363(client.privateKey, input)),
  };
}

/**
 * Checks a grant against the pending keys and makes it the element's identity in one step.
 * @throws ElementError `ERR_ENROLMENT_NOT_BEGUN`, `ERR_ENROLMENT_GRANT` naming the wrong part.
 */
export function finishEnrolment(ports: {
  readonly state: ElementState;
  readonly clock: Clock;
  readonly ciphers: CipherProvider;
  readonly grant: EnrolmentGrant;
}): { readonly elementId: string } {
  const { state, grant } = ports;
  const { pending } = state.record;
  if (pending === null) {
    throw new ElementError('ERR_ENROLMENT_NOT_BEGUN', 'no enrolment is pending');
  }
  checkCertificate(grant, pending, ports.clock);
  checkKeys(grant);
  const initialKey = openInitialKey(grant, pending, ports.ciphers);
  state.update({
    locked: false,
    pending: null,
    identity: {
      elementId: pending.elementId,
      clientKeyPkcs8: pending.clientKeyPkcs8,
      certificatePem: grant.certificatePem,
      caPem: grant.caPem,
      orderPublicKeySpki: grant.orderPublicKeySpki,
      initialKeyId: grant.initialKeyId,
      initialKey,
      parameterPublicKeySpki: grant.parameterPublicKeySpki,
      parameters: grant.parameters,
    },
  });
  return { elementId: pending.elementId };
}

function checkCertificate(grant: EnrolmentGrant, pending: PendingEnrolment, clock: Clock): void {
  const certificate = parseCertificate(grant.certificatePem, 'certificatePem');
  const authority = parseCertificate(grant.caPem, 'caPem');
  if (!authority.ca) throw wrongGrant('caPem', 'is no certification authority');
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    throw wrongGrant('certificatePem', 'is not issued by the authority');
  }
  if (spkiOf(certificate.publicKey) !== pending.publicKeySpki) {
    throw wrongGrant('certificatePem', 'certifies another key');
  }
  const names = certificate.subject.split('\n');
  if (!names.includes(`CN=${pending.elementId}`)) {
    throw wrongGrant('certificatePem', 'names another element');
  }
  if (certificate.validToDate.getTime() <= clock.nowMs()) {
    throw wrongGrant('certificatePem', 'has expired');
  }
}

function parseCertificate(pem: string, field: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw wrongGrant(field, 'is no certificate', cause);
  }
}

function checkKeys(grant: EnrolmentGrant): void {
  const { parameterPublicKeySpki, parameters } = grant;
  checkP256(grant.orderPublicKeySpki, 'orderPublicKeySpki');
  checkP256(parameterPublicKeySpki, 'parameterPublicKeySpki');
  try {
    parametersVersion(parameterPublicKeySpki, parameters);
  } catch (cause) {
    throw wrongGrant('parameters', 'are not signed by their key', cause);
  }
}

function checkP256(spkiHex: string, field: string): void {
  let curve: string | undefined;
  try {
    const key = createPublicKey({ key: derOf(spkiHex), ...SPKI_DER });
    curve = key.asymmetricKeyDetails?.namedCurve;
  } catch (cause) {
    throw wrongGrant(field, 'is no public key', cause);
  }
  if (curve !== 'prime256v1') throw wrongGrant(field, 'is no P-256 key');
}

function openInitialKey(
  grant: EnrolmentGrant,
  pending: PendingEnrolment,
  ciphers: CipherProvider,
): Secret<string> {
  const key = createPrivateKey({
    key: derOf(pending.transportKeyPkcs8.expose()),
    format: 'der',
    type: 'pkcs8',
  });
  let initialKey: Buffer;
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const enciphered = derOf(grant.encipheredInitialKey);
    initialKey = privateDecrypt({ key, padding, oaepHash: 'sha256' }, enciphered);
  } catch (cause) {
    throw wrongGrant('encipheredInitialKey', 'does not open', cause);
  }
  try {
    if (initialKey.length !== INITIAL_KEY_BYTES) {
      throw wrongGrant('encipheredInitialKey', 'holds no AES-128 key');
    }
    const kcv = kcvAes(ciphers, new Uint8Array(initialKey));
    if (!kcv.startsWith(grant.initialKeyKcv)) {
      throw wrongGrant('initialKeyKcv', 'differs from the key');
    }
    return new Secret(toHex(initialKey));
  } finally {
    initialKey.fill(0);
  }
}

const SPKI_DER = { format: 'der', type: 'spki' } as const;

/** ECDSA P-256 with SHA-256 in IEEE P1363 form. */
export function signP1363(key: KeyObject, data: Uint8Array): Uint8Array {
  return new Uint8Array(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }));
}

function spkiOf(key: KeyObject): string {
  return toHex(key.export({ type: 'spki', format: 'der' }));
}

function pkcs8Of(key: KeyObject): Secret<string> {
  return new Secret(toHex(key.export({ type: 'pkcs8', format: 'der' })));
}

function derOf(hex: string): Buffer {
  return Buffer.from(fromHex(hex));
}

function wrongGrant(field: string, why: string, cause?: unknown): ElementError {
  return new ElementError('ERR_ENROLMENT_GRANT', `${field} ${why}`, { fieldPath: field }, cause);
}
