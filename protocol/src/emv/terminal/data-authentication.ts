/** Offline data authentication: SDA and DDA; a failure is a TVR bit, never an end. */
import { byteAt, bytesToUint, concatBytes, TapError } from '../../bytes/index.ts';
import { decodeTlv, SW_9000_OK } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import type { CaPublicKey } from './ca-keys.ts';
import {
  century,
  REMAINDER_MISSING,
  type Recovered,
  type RsaPublicKey,
  recoverIccKey,
  recoverIssuerKey,
  verifyDynamicSignature,
  verifyStaticSignature,
} from './certificates.ts';
import {
  aipSays,
  askRandom,
  type KernelContext,
  markTsi,
  markTvr,
  terminalCan,
  transmit,
} from './context.ts';
import { decodeCardDol, dolValue } from './dol.ts';
import { KernelError } from './errors.ts';
import { panOf } from './read-data.ts';
import type { Kernel, PhaseFacts } from './types.ts';

/** Whether authentication passed, or the check that failed; the text goes into traces. */
export type Verdict = { readonly ok: true } | { readonly ok: false; readonly why: string };
export const PASSED: Verdict = { ok: true };

/**
 * DDA when both sides can, else SDA, else none. CDA is not built: the profile refuses the
 * capability, so a card that could do CDA is asked for DDA. Answers facts for the trace.
 * @see EMV 4.3 B3 §10.3; B2 §5, §6
 */
export function* authenticateOfflineData(context: KernelContext): Kernel<PhaseFacts> {
  const method = selectMethod(context);
  if (method === 'none') {
    markTvr(context, data.TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED);
    return { method };
  }
  if (method === 'SDA') markTvr(context, data.TVR_1_SDA_SELECTED);
  const verdict = method === 'DDA' ? yield* authenticateDynamic(context) : verifyStatic(context);
  markTsi(context, data.TSI_1_OFFLINE_DATA_AUTHENTICATION_PERFORMED);
  if (verdict.ok) {
    context.dataAuthentication = method;
    return { method, result: 'passed' };
  }
  context.dataAuthentication = 'failed';
  markTvr(context, method === 'DDA' ? data.TVR_1_DDA_FAILED : data.TVR_1_SDA_FAILED);
  return { method, result: 'failed', why: verdict.why };
}

function selectMethod(context: KernelContext): 'DDA' | 'SDA' | 'none' {
  const can = (card: data.StatusBit, terminal: data.StatusBit): boolean =>
    aipSays(context, card) && terminalCan(context, terminal);
  if (can(data.AIP_1_DDA_SUPPORTED, data.TERMINAL_CAPABILITY_3_DDA)) return 'DDA';
  return can(data.AIP_1_SDA_SUPPORTED, data.TERMINAL_CAPABILITY_3_SDA) ? 'SDA' : 'none';
}

/** A needed object of the card is missing: its own TVR bit, then failure. @see EMV 4.3 B3 §7.5 */
export function missing(context: KernelContext, tag: string): { ok: false; why: string } {
  markTvr(context, data.TVR_1_ICC_DATA_MISSING);
  return { ok: false, why: `missing:${tag}` };
}

function verifyStatic(context: KernelContext): Verdict {
  const issuer = issuerKey(context);
  if (!issuer.ok) return issuer;
  const tag = data.TAG_93_SIGNED_STATIC_APPLICATION_DATA;
  const signature = context.data.get(tag);
  if (!signature) return missing(context, tag);
  const staticData = staticDataToBeAuthenticated(context);
  if (!staticData.ok) return staticData;
  const code = verifyStaticSignature(context.input.ciphers, issuer.value, {
    signature,
    staticData: staticData.value,
  });
  if (!code.ok) return { ok: false, why: `signedStaticData:${code.why}` };
  context.data.set(data.TAG_9F45_DATA_AUTHENTICATION_CODE, code.value);
  return PASSED;
}

function* authenticateDynamic(context: KernelContext): Kernel<Verdict> {
  const icc = iccKey(context);
  if (!icc.ok) return icc;
  const dynamicData = yield* dynamicDataToBeSigned(context);
  if (!dynamicData.ok) return dynamicData;
  const signature = yield* internalAuthenticate(context, dynamicData.value);
  if (!signature.ok) return signature;
  const input = { signature: signature.value, dynamicData: dynamicData.value };
  const result = verifyDynamicSignature(context.input.ciphers, icc.value, input);
  if (!result.ok) return { ok: false, why: `signedDynamicData:${result.why}` };
  storeDynamicNumber(context, result.value);
  return PASSED;
}

/** CA key of the card's index, then the issuer's certificate. @see EMV 4.3 B2 §5.2, §5.3 */
function issuerKey(context: KernelContext): Recovered<RsaPublicKey> {
  const index = context.data.get(data.TAG_8F_CA_PUBLIC_KEY_INDEX_ICC);
  if (index?.length !== 1) return missing(context, data.TAG_8F_CA_PUBLIC_KEY_INDEX_ICC);
  context.data.set(data.TAG_9F22_CA_PUBLIC_KEY_INDEX_TERMINAL, index);
  const ca = caKey(context, byteAt(index, 0));
  if (!ca.ok) return ca;
  return certifiedKey(context, {
    name: 'issuerCertificate',
    certificateTag: data.TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE,
    exponentTag: data.TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT,
    remainderTag: data.TAG_92_ISSUER_PUBLIC_KEY_REMAINDER,
    recover: (input) => recoverIssuerKey(context.input.ciphers, ca.value, input),
  });
}

function caKey(context: KernelContext, index: number): Recovered<CaPublicKey> {
  const aid = context.data.get(data.TAG_9F06_APPLICATION_IDENTIFIER_TERMINAL);
  const rid = (aid ?? new Uint8Array(0)).subarray(0, 5);
  const key = context.input.terminal.caPublicKeys.find(rid, index);
  if (!key) return { ok: false, why: 'caKey:missing' };
  const today = context.input.dateYymmdd;
  const last = key.expiryYymmdd;
  if (last !== null && century(today) + today > century(last) + last) {
    return { ok: false, why: 'caKey:expired' };
  }
  return { ok: true, value: key };
}

/** Issuer's key, then the card's certificate over its static data. @see EMV 4.3 B2 §6.3, §6.4 */
export function iccKey(context: KernelContext): Recovered<RsaPublicKey> {
  const issuer = issuerKey(context);
  if (!issuer.ok) return issuer;
  const staticData = staticDataToBeAuthenticated(context);
  if (!staticData.ok) return staticData;
  return certifiedKey(context, {
    name: 'iccCertificate',
    certificateTag: data.TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE,
    exponentTag: data.TAG_9F47_ICC_PUBLIC_KEY_EXPONENT,
    remainderTag: data.TAG_9F48_ICC_PUBLIC_KEY_REMAINDER,
    recover: (input) =>
      recoverIccKey(context.input.ciphers, issuer.value, {
        ...input,
        staticData: staticData.value,
      }),
  });
}

type CertificateStep = {
  readonly name: string;
  readonly certificateTag: string;
  readonly exponentTag: string;
  readonly remainderTag: string;
  readonly recover: (input: {
    readonly certificate: Uint8Array;
    readonly remainder: Uint8Array | undefined;
    readonly exponent: Uint8Array;
    readonly pan: string;
    readonly dateYymmdd: string;
  }) => Recovered<RsaPublicKey>;
};

function certifiedKey(context: KernelContext, step: CertificateStep): Recovered<RsaPublicKey> {
  const certificate = context.data.get(step.certificateTag);
  const exponent = context.data.get(step.exponentTag);
  if (!certificate) return missing(context, step.certificateTag);
  if (!exponent) return missing(context, step.exponentTag);
  const key = step.recover({
    certificate,
    exponent,
    remainder: context.data.get(step.remainderTag),
    pan: panOf(context),
    dateYymmdd: context.input.dateYymmdd,
  });
  if (key.ok) return key;
  if (key.why === REMAINDER_MISSING) return missing(context, step.remainderTag);
  return { ok: false, why: `${step.name}:${key.why}` };
}

/**
 * Signed records in the order read, then the AIP when the tag list (9F4A) names it; a list with
 * anything else fails authentication. @see EMV 4.3 B3 §10.3; Proxmark/proxmark3 #793
 */
function staticDataToBeAuthenticated(context: KernelContext): Recovered<Uint8Array> {
  if (context.staticDataFault) return { ok: false, why: 'staticData:noTemplate70' };
  const tagList = context.data.get(data.TAG_9F4A_STATIC_DATA_AUTHENTICATION_TAG_LIST);
  if (!tagList) return { ok: true, value: concatBytes(...context.staticRecords) };
  if (tagList.length !== 1 || byteAt(tagList, 0) !== 0x82) {
    return { ok: false, why: 'staticData:tagList' };
  }
  const aip = context.data.get(data.TAG_82_APPLICATION_INTERCHANGE_PROFILE) ?? new Uint8Array(0);
  return { ok: true, value: concatBytes(...context.staticRecords, aip) };
}

/**
 * Values of the card's DDOL or the terminal's default one; either must ask for the unpredictable
 * number, which is a fresh one here. @see EMV 4.3 B2 §6.5.1
 */
function* dynamicDataToBeSigned(context: KernelContext): Kernel<Recovered<Uint8Array>> {
  const cardDdol = context.data.get(data.TAG_9F49_DDOL);
  const ddol = cardDdol ?? context.terminalAid?.defaultDdol;
  if (!ddol) return { ok: false, why: 'ddol:missing' };
  const entries = decodeCardDol(data.TAG_9F49_DDOL, ddol);
  if (!entries.some((entry) => entry.tag === data.TAG_9F37_UNPREDICTABLE_NUMBER)) {
    return { ok: false, why: 'ddol:noUnpredictableNumber' };
  }
  context.data.set(data.TAG_9F37_UNPREDICTABLE_NUMBER, yield* askRandom(4));
  return { ok: true, value: dolValue(context, entries) };
}

/** INTERNAL AUTHENTICATE, either response format (O2Xfs #3). @see EMV 4.3 B3 §6.5.9 */
function* internalAuthenticate(
  context: KernelContext,
  dynamicData: Uint8Array,
): Kernel<Recovered<Uint8Array>> {
  const command = { cla: 0x00, ins: 0x88, p1: 0x00, p2: 0x00, data: dynamicData, le: 256 };
  const response = yield* transmit(context, command);
  if (response.statusWord !== SW_9000_OK) {
    return { ok: false, why: `internalAuthenticate:${response.statusWord.toString(16)}` };
  }
  const signature = signatureOf(response.data);
  if (!signature) return { ok: false, why: 'internalAuthenticate:format' };
  return { ok: true, value: signature };
}

function signatureOf(answer: Uint8Array): Uint8Array | undefined {
  try {
    const template = decodeTlv(answer)[0];
    if (template?.tag === data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1) return template.value;
    if (template?.tag !== data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2) return undefined;
    const tag = data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA;
    return template.children?.find((child) => child.tag === tag)?.value;
  } catch (fault) {
    if (fault instanceof TapError && !(fault instanceof KernelError)) return undefined;
    throw fault;
  }
}

/**
 * First byte of ICC dynamic data is the length of the ICC dynamic number, 2 to 8.
 * QUIRK: some cards leave it out; the signature stands all the same (§6.5.2 does not test it), so
 * only the number is dropped. @see EMV 4.3 B2 §6.5.1 table 15
 */
export function storeDynamicNumber(context: KernelContext, dynamicData: Uint8Array): void {
  const lengthBytes = bytesToUint(dynamicData.subarray(0, 1));
  if (lengthBytes < 2 || lengthBytes > 8 || dynamicData.length < 1 + lengthBytes) return;
  const number = dynamicData.slice(1, 1 + lengthBytes);
  context.data.set(data.TAG_9F4C_ICC_DYNAMIC_NUMBER, number);
}
