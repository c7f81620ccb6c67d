/** The check of a past payment's evidence: nothing is asked of anybody but the authority's file. */
import { X509Certificate } from 'node:crypto';
import { TapError } from '@tapnpay/protocol/bytes';
import { verifyP1363 } from '@tapnpay/protocol/node';
import {
  type AttestedFacts,
  checkShape,
  EVIDENCE_FORMAT,
  hexShape,
  objectShape,
  oneOfShape,
  type PaymentEvidence,
  readAttestationStatement,
  type Shape,
  STATEMENT_CHARACTERS_MAX,
  textShape,
} from '@tapnpay/protocol/wire';

/** Longest evidence file that is read, in bytes. */
export const EVIDENCE_BYTES_MAX = 65_536;
const PEM_CHARACTERS_MAX = 8_192;
/** Order times are Shanghai's, to the second; certificates begin an hour before they are made. */
const SHANGHAI = '+08:00';

const evidenceShape: Shape<PaymentEvidence> = objectShape<PaymentEvidence>({
  format: oneOfShape(EVIDENCE_FORMAT),
  paymentId: textShape(64),
  statement: textShape(STATEMENT_CHARACTERS_MAX),
  signature: hexShape({ min: 64, max: 64 }),
  certificatePem: textShape(PEM_CHARACTERS_MAX),
  caPem: textShape(PEM_CHARACTERS_MAX),
});

/** What is wrong; `null` in a report when nothing is. */
export type EvidenceFault =
  | 'form'
  | 'statement'
  | 'certificate'
  | 'issuer'
  | 'element'
  | 'term'
  | 'signature'
  | 'lifeCycle';

/** What a check found. Facts that come with a fault are what is claimed, not what is proved. */
export type EvidenceReport = {
  readonly fault: EvidenceFault | null;
  readonly paymentId: string | null;
  readonly facts: AttestedFacts | null;
  /** SHA-256 of the authority that was believed. */
  readonly authority: string;
};

/** Checks form, statement, chain, term and signature, in this order. Never throws for evidence. */
export function checkEvidence(text: string, trustedCaPem: string): EvidenceReport {
  const ca = new X509Certificate(trustedCaPem);
  const report = { authority: ca.fingerprint256, paymentId: null, facts: null };
  const evidence = valueOr(() => checkShape(evidenceShape, JSON.parse(text), 'evidence'));
  if (evidence === null) return { ...report, fault: 'form' };
  const { paymentId, statement, signature } = evidence;
  const facts = valueOr(() => readAttestationStatement(statement));
  if (facts === null) return { ...report, paymentId, fault: 'statement' };
  const found = { ...report, paymentId, facts };
  const certificate = valueOr(() => new X509Certificate(evidence.certificatePem));
  if (certificate === null) return { ...found, fault: 'certificate' };
  if (!ca.ca || !certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) {
    return { ...found, fault: 'issuer' };
  }
  if (!certificate.subject.split('\n').includes(`CN=${facts.elementId}`)) {
    return { ...found, fault: 'element' };
  }
  if (!wasValid(certificate, facts)) return { ...found, fault: 'term' };
  if (!verifyP1363(certificate.publicKey, statement, signature)) {
    return { ...found, fault: 'signature' };
  }
  return { ...found, fault: facts.lifeCycle === 'operable' ? null : 'lifeCycle' };
}

/** At the order's time; a certificate that has expired since proves as before. */
function wasValid(certificate: X509Certificate, { order }: AttestedFacts): boolean {
  const [, year, month, day] = /^(..)(..)(..)$/.exec(order.dateYymmdd) ?? [];
  const [, hours, minutes, seconds] = /^(..)(..)(..)$/.exec(order.timeHhmmss) ?? [];
  const atMs = Date.parse(`20${year}-${month}-${day}T${hours}:${minutes}:${seconds}${SHANGHAI}`);
  const { validFromDate, validToDate } = certificate;
  return validFromDate.getTime() <= atMs && atMs < validToDate.getTime();
}

/** A text that is not what it should be is an outcome here, not a fault of the program. */
function valueOr<T>(read: () => T): T | null {
  try {
    return read();
  } catch (fault) {
    const isForeign = fault instanceof TapError || fault instanceof SyntaxError;
    if (isForeign || (fault instanceof Error && 'code' in fault)) return null;
    throw fault;
  }
}
