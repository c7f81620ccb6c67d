/** What the issuer tells about its decision in field 57 of an answer: our own use of that field. */
import { fault } from './errors.ts';

/** Facts that a payment's page shows as the issuer's word. */
export type IssuerFacts = {
  /** Whether the application cryptogram was right; null when it was not looked at. */
  readonly arqcVerified: boolean | null;
  /** The issuer's ledger entry, null when no money moved. */
  readonly ledgerEntryId: string | null;
  /** Why it declined, a lower-case word; null for an approval. */
  readonly reason?: string | null;
};

const PLACE = { fieldPath: 'F57', offsetBytes: 0 };

/** For example `AV=1;LE=0193...;RS=funds`. @throws Iso8583Error `ERR_ISO8583_FIELD`. */
export function encodeIssuerFacts(facts: IssuerFacts): string {
  const parts: string[] = [];
  if (facts.arqcVerified !== null) parts.push(`AV=${facts.arqcVerified ? '1' : '0'}`);
  if (facts.ledgerEntryId !== null) parts.push(`LE=${facts.ledgerEntryId}`);
  if (facts.reason) parts.push(`RS=${facts.reason}`);
  const text = parts.join(';') || 'AV=-';
  if (parts.every(isPart) && text.length <= 100) return text;
  throw fault('ERR_ISO8583_FIELD', PLACE, 'facts do not fit');
}

/** The facts of field 57; unknown parts are ignored. @throws Iso8583Error `ERR_ISO8583_FIELD`. */
export function decodeIssuerFacts(text: string): IssuerFacts {
  const parts = new Map<string, string>();
  for (const part of text.split(';')) {
    if (!isPart(part)) throw fault('ERR_ISO8583_FIELD', PLACE, 'is no list of facts');
    parts.set(part.slice(0, 2), part.slice(3));
  }
  const verdict = parts.get('AV');
  return {
    arqcVerified: verdict === '1' ? true : verdict === '0' ? false : null,
    ledgerEntryId: parts.get('LE') ?? null,
    reason: parts.get('RS') ?? null,
  };
}

function isPart(part: string): boolean {
  return /^[A-Z]{2}=[0-9A-Za-z-]+$/.test(part);
}
