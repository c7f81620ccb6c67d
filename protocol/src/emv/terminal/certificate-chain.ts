/** From the terminal's CA key to the keys of issuer and card, RSA or SM2, for this transaction. */
import { byteAt, concatBytes, equalBytes } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import type { CaPublicKey, SmCaPublicKey } from './ca-keys.ts';
import { type KernelContext, markTvr } from './context.ts';
import { panOf } from './read-data.ts';

/** A key of issuer or card. */
export type ChainKey =
  | ({ readonly algorithm: 'RSA' } & data.EmvRsaPublicKey)
  | { readonly algorithm: 'SM2'; readonly publicKey: Uint8Array };

/**
 * A value, or the check that failed, for traces; `missingTag` names an object the card should have
 * given.
 */
export type Chained<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly why: string; readonly missingTag?: string };

/** A needed object of the card is missing. @see EMV 4.3 B3 §7.5 */
export function missing(tag: string): { ok: false; why: string; missingTag: string } {
  return { ok: false, why: `missing:${tag}`, missingTag: tag };
}

/** The result of a recovery under the name of its object. */
export function chained<Good extends { readonly ok: true }>(
  name: string,
  result: Good | data.RecoveryFailure,
): Chained<Good> {
  return result.ok ? { ok: true, value: result } : { ok: false, why: `${name}:${result.fault}` };
}

/** Says in the TVR that a needed object was missing, when one was. @see EMV 4.3 B3 §7.5 */
export function markMissing(context: KernelContext, result: Chained<unknown>): void {
  if (result.ok || result.missingTag === undefined) return;
  markTvr(context, data.TVR_1_ICC_DATA_MISSING);
}

/** Tags of one certificate of the chain. */
type CertificateTags = {
  readonly name: string;
  readonly certificate: string;
  readonly exponent: string;
  readonly remainder: string;
};
const ISSUER_TAGS: CertificateTags = {
  name: 'issuerCertificate',
  certificate: data.TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE,
  exponent: data.TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT,
  remainder: data.TAG_92_ISSUER_PUBLIC_KEY_REMAINDER,
};
const ICC_TAGS: CertificateTags = {
  name: 'iccCertificate',
  certificate: data.TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE,
  exponent: data.TAG_9F47_ICC_PUBLIC_KEY_EXPONENT,
  remainder: data.TAG_9F48_ICC_PUBLIC_KEY_REMAINDER,
};
const PIN_TAGS: CertificateTags = {
  name: 'pinCertificate',
  certificate: data.TAG_9F2D_ICC_PIN_ENCIPHERMENT_CERTIFICATE,
  exponent: data.TAG_9F2E_ICC_PIN_ENCIPHERMENT_EXPONENT,
  remainder: data.TAG_9F2F_ICC_PIN_ENCIPHERMENT_REMAINDER,
};

/** CA key of the card's index, then the issuer's certificate. @see EMV 4.3 B2 §5.2, §5.3, §6.3 */
export function issuerKey(context: KernelContext): Chained<ChainKey> {
  const index = context.data.get(data.TAG_8F_CA_PUBLIC_KEY_INDEX_ICC);
  if (index?.length !== 1) return missing(data.TAG_8F_CA_PUBLIC_KEY_INDEX_ICC);
  context.data.set(data.TAG_9F22_CA_PUBLIC_KEY_INDEX_TERMINAL, index);
  const certificate = context.data.get(ISSUER_TAGS.certificate);
  if (!certificate) return missing(ISSUER_TAGS.certificate);
  const ca = caKey(context, { index: byteAt(index, 0), certificate });
  if (!ca.ok) return ca;
  const expected = {
    ...expectation(context),
    isRevoked: (serialNumber: Uint8Array) => isRevoked(context, ca.value, serialNumber),
  };
  if (ca.value.algorithm === 'SM2') {
    const caPoint = ca.value.publicKey;
    const input = { caKey: caPoint, certificate, ...expected };
    return smKey(ISSUER_TAGS, data.verifySmIssuerCertificate(context.input.ciphers, input));
  }
  if (data.looksLikeSmCertificate(certificate)) return notRsa(ISSUER_TAGS);
  const input = rsaInput(context, ISSUER_TAGS);
  if (!input.ok) return input;
  return rsaKey(
    ISSUER_TAGS,
    data.recoverIssuerCertificate(context.input.ciphers, {
      ...input.value,
      ...expected,
      caKey: ca.value,
    }),
  );
}

/**
 * The key that the card names by its index. RSA and SM2 keys may share an index: then the card's
 * certificate says which chain it has. An expired key is as good as none.
 * @see EMV 4.3 B2 §5.2, §11.2.2; PBOC3 P17
 */
function caKey(
  context: KernelContext,
  card: { readonly index: number; readonly certificate: Uint8Array },
): Chained<CaPublicKey | SmCaPublicKey> {
  const { terminal, dateYymmdd } = context.input;
  const aid = context.data.get(data.TAG_9F06_APPLICATION_IDENTIFIER_TERMINAL);
  const rid = (aid ?? new Uint8Array(0)).subarray(0, 5);
  const rsa = terminal.caPublicKeys.find(rid, card.index);
  const sm = terminal.supportsSmAlgorithms
    ? terminal.caPublicKeys.findSm?.(rid, card.index)
    : undefined;
  const isSm = rsa === undefined || data.looksLikeSmCertificate(card.certificate);
  const key = sm !== undefined && isSm ? sm : rsa;
  if (key === undefined) return { ok: false, why: 'caKey:missing' };
  const last = key.expiryYymmdd;
  if (last !== null && fullDate(dateYymmdd) > fullDate(last)) {
    return { ok: false, why: 'caKey:expired' };
  }
  return { ok: true, value: key };
}

function fullDate(yymmdd: string): string {
  return data.century(yymmdd) + yymmdd;
}

/** @see EMV 4.3 B2 §5.1.2, §5.3 step 10 */
function isRevoked(
  context: KernelContext,
  ca: CaPublicKey | SmCaPublicKey,
  serialNumber: Uint8Array,
): boolean {
  const rows = context.input.terminal.revokedCertificates ?? [];
  return rows.some(
    (row) =>
      row.caIndex === ca.index &&
      equalBytes(row.rid, ca.rid) &&
      equalBytes(row.serialNumber, serialNumber),
  );
}

/** Issuer's key, then the card's certificate over its static data. @see EMV 4.3 B2 §6.3, §6.4 */
export function iccKey(context: KernelContext): Chained<ChainKey> {
  const issuer = issuerKey(context);
  if (!issuer.ok) return issuer;
  const staticData = staticDataToBeAuthenticated(context);
  if (!staticData.ok) return staticData;
  return cardKey(context, ICC_TAGS, { issuer: issuer.value, staticData: staticData.value });
}

/**
 * The RSA key that a PIN is enciphered under: the card's PIN encipherment key, or without all of
 * that key's objects the card's own key. It marks no TVR bit: it is no data authentication.
 * @see EMV 4.3 B2 §7.1
 */
export function pinEnciphermentKey(context: KernelContext): Chained<data.EmvRsaPublicKey> {
  const pin = pinKey(context);
  const key = !pin.ok && pin.missingTag !== undefined ? iccKey(context) : pin;
  if (!key.ok) return key;
  // PBOC3 P17 has no published encipherment of a PIN under SM2.
  if (key.value.algorithm === 'SM2') return { ok: false, why: 'pinCertificate:keyAlgorithm' };
  return { ok: true, value: key.value };
}

/** Its certificate covers no static data. @see EMV 4.3 B2 §7.1 table 21 */
function pinKey(context: KernelContext): Chained<ChainKey> {
  const issuer = issuerKey(context);
  if (!issuer.ok) return issuer;
  return cardKey(context, PIN_TAGS, { issuer: issuer.value, staticData: new Uint8Array(0) });
}

function cardKey(
  context: KernelContext,
  tags: CertificateTags,
  signed: { readonly issuer: ChainKey; readonly staticData: Uint8Array },
): Chained<ChainKey> {
  const certificate = context.data.get(tags.certificate);
  if (!certificate) return missing(tags.certificate);
  const { issuer, staticData } = signed;
  const { ciphers } = context.input;
  if (issuer.algorithm === 'SM2') {
    const issuerPoint = issuer.publicKey;
    const input = { issuerKey: issuerPoint, certificate, staticData, ...expectation(context) };
    return smKey(tags, data.verifySmIccCertificate(ciphers, input));
  }
  if (data.looksLikeSmCertificate(certificate)) return notRsa(tags);
  const input = rsaInput(context, tags);
  if (!input.ok) return input;
  return rsaKey(
    tags,
    data.recoverIccCertificate(ciphers, {
      ...input.value,
      ...expectation(context),
      issuerKey: issuer,
      staticData,
    }),
  );
}

function expectation(context: KernelContext): {
  readonly pan: string;
  readonly dateYymmdd: string;
} {
  return { pan: panOf(context), dateYymmdd: context.input.dateYymmdd };
}

/** Certificate, exponent and remainder of an RSA key; the certificate is known to be there. */
function rsaInput(context: KernelContext, tags: CertificateTags): Chained<data.CertificateInput> {
  const certificate = context.data.get(tags.certificate);
  const exponent = context.data.get(tags.exponent);
  if (!certificate) return missing(tags.certificate);
  if (!exponent) return missing(tags.exponent);
  const remainder = context.data.get(tags.remainder);
  return { ok: true, value: { certificate, exponent, remainder } };
}

function rsaKey(
  tags: CertificateTags,
  result: data.RecoveredCertificate<data.EmvRsaPublicKey> | data.RecoveryFailure,
): Chained<ChainKey> {
  if (!result.ok && result.fault === 'remainderMissing') return missing(tags.remainder);
  const named = chained(tags.name, result);
  return named.ok ? { ok: true, value: { algorithm: 'RSA', ...named.value.key } } : named;
}

function smKey(
  tags: CertificateTags,
  result: data.RecoveredCertificate<Uint8Array> | data.RecoveryFailure,
): Chained<ChainKey> {
  const named = chained(tags.name, result);
  return named.ok ? { ok: true, value: { algorithm: 'SM2', publicKey: named.value.key } } : named;
}

/** An SM2 certificate under an RSA key is clear data: there is nothing to recover. */
function notRsa(tags: CertificateTags): { ok: false; why: string } {
  return { ok: false, why: `${tags.name}:keyAlgorithm` };
}

/**
 * Signed records in the order read, then the AIP when the tag list (9F4A) names it; a list with
 * anything else fails authentication. @see EMV 4.3 B3 §10.3; Proxmark/proxmark3 #793
 */
export function staticDataToBeAuthenticated(context: KernelContext): Chained<Uint8Array> {
  if (context.staticDataFault) return { ok: false, why: 'staticData:noTemplate70' };
  const tagList = context.data.get(data.TAG_9F4A_STATIC_DATA_AUTHENTICATION_TAG_LIST);
  if (!tagList) return { ok: true, value: concatBytes(...context.staticRecords) };
  if (tagList.length !== 1 || byteAt(tagList, 0) !== 0x82) {
    return { ok: false, why: 'staticData:tagList' };
  }
  const aip = context.data.get(data.TAG_82_APPLICATION_INTERCHANGE_PROFILE) ?? new Uint8Array(0);
  return { ok: true, value: concatBytes(...context.staticRecords, aip) };
}
