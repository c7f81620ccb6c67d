/** Offline data authentication: SDA, DDA, the keys of CDA; a failure is a TVR bit, never an end. */
import { TapError } from '../../bytes/index.ts';
import { decodeTlv, SW_9000_OK } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import {
  type Chained,
  type ChainKey,
  chained,
  iccKey,
  issuerKey,
  markMissing,
  missing,
  staticDataToBeAuthenticated,
} from './certificate-chain.ts';
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
import type { Kernel, PhaseFacts } from './types.ts';

/** A passed check that gives nothing. */
export const PASSED: Chained<null> = { ok: true, value: null };

/** The method and the bit of its failure. */
type Method = {
  readonly name: 'CDA' | 'DDA' | 'SDA';
  readonly card: data.StatusBit;
  readonly terminal: data.StatusBit;
  readonly failed: data.StatusBit;
};

/** In this order: the first that both sides can. @see EMV 4.3 B3 §10.3; B4 §A2 */
const METHODS: readonly Method[] = [
  {
    name: 'CDA',
    card: data.AIP_1_CDA_SUPPORTED,
    terminal: data.TERMINAL_CAPABILITY_3_CDA,
    failed: data.TVR_1_CDA_FAILED,
  },
  {
    name: 'DDA',
    card: data.AIP_1_DDA_SUPPORTED,
    terminal: data.TERMINAL_CAPABILITY_3_DDA,
    failed: data.TVR_1_DDA_FAILED,
  },
  {
    name: 'SDA',
    card: data.AIP_1_SDA_SUPPORTED,
    terminal: data.TERMINAL_CAPABILITY_3_SDA,
    failed: data.TVR_1_SDA_FAILED,
  },
];

/**
 * CDA when both sides can, else DDA, else SDA, else none. Of CDA only the card's key is recovered
 * here: the signature comes with the cryptogram, and only then is the TSI marked; when the key
 * already fails, CDA has failed and is not asked for. Answers facts for the trace.
 * @see EMV 4.3 B3 §10.3; B2 §5, §6
 */
export function* authenticateOfflineData(context: KernelContext): Kernel<PhaseFacts> {
  const method = METHODS.find(
    ({ card, terminal }) => aipSays(context, card) && terminalCan(context, terminal),
  );
  if (method === undefined) {
    markTvr(context, data.TVR_1_OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED);
    return { method: 'none' };
  }
  const { name } = method;
  if (name === 'SDA') markTvr(context, data.TVR_1_SDA_SELECTED);
  const verdict = yield* authenticateBy(context, name);
  if (verdict.ok && name === 'CDA') return { method: name, result: 'keyRecovered' };
  markTsi(context, data.TSI_1_OFFLINE_DATA_AUTHENTICATION_PERFORMED);
  if (verdict.ok) {
    context.dataAuthentication = name;
    return { method: name, result: 'passed' };
  }
  markMissing(context, verdict);
  context.dataAuthentication = 'failed';
  markTvr(context, method.failed);
  return { method: name, result: 'failed', why: verdict.why };
}

function* authenticateBy(context: KernelContext, name: Method['name']): Kernel<Chained<null>> {
  switch (name) {
    case 'CDA':
      return prepareCombined(context);
    case 'DDA':
      return yield* authenticateDynamic(context);
    case 'SDA':
      return verifyStatic(context);
  }
}

/** The key that the signature in the answer to GENERATE AC is opened with. */
function prepareCombined(context: KernelContext): Chained<null> {
  const key = iccKey(context);
  if (!key.ok) return key;
  context.combined = { iccKey: key.value, cdol1Value: new Uint8Array(0) };
  return PASSED;
}

function verifyStatic(context: KernelContext): Chained<null> {
  const issuer = issuerKey(context);
  if (!issuer.ok) return issuer;
  const tag = data.TAG_93_SIGNED_STATIC_APPLICATION_DATA;
  const signature = context.data.get(tag);
  if (!signature) return missing(tag);
  const staticData = staticDataToBeAuthenticated(context);
  if (!staticData.ok) return staticData;
  const { ciphers } = context.input;
  const key = issuer.value;
  const input = { signature, staticData: staticData.value };
  const result =
    key.algorithm === 'SM2'
      ? data.verifySmStaticData(ciphers, { ...input, issuerKey: key.publicKey })
      : data.recoverSignedStaticData(ciphers, { ...input, issuerKey: key });
  const named = chained('signedStaticData', result);
  if (!named.ok) return named;
  context.data.set(data.TAG_9F45_DATA_AUTHENTICATION_CODE, named.value.dataAuthenticationCode);
  return PASSED;
}

function* authenticateDynamic(context: KernelContext): Kernel<Chained<null>> {
  const icc = iccKey(context);
  if (!icc.ok) return icc;
  const terminalData = yield* dynamicDataToBeSigned(context);
  if (!terminalData.ok) return terminalData;
  const signature = yield* internalAuthenticate(context, terminalData.value);
  if (!signature.ok) return signature;
  return checkDynamicSignature(context, icc.value, {
    signature: signature.value,
    terminalData: terminalData.value,
  });
}

/**
 * Opens signed dynamic data (9F4B) and keeps the card's number (9F4C).
 * @see EMV 4.3 B2 §6.5.2; PBOC3 P17
 */
export function checkDynamicSignature(
  context: KernelContext,
  key: ChainKey,
  input: { readonly signature: Uint8Array; readonly terminalData: Uint8Array },
): Chained<null> {
  const { ciphers } = context.input;
  const result =
    key.algorithm === 'SM2'
      ? data.verifySmDynamicData(ciphers, { ...input, iccKey: key.publicKey })
      : data.recoverSignedDynamicData(ciphers, { ...input, iccKey: key });
  const named = chained('signedDynamicData', result);
  if (!named.ok) return named;
  const { iccDynamicNumber } = named.value;
  if (iccDynamicNumber !== null) {
    context.data.set(data.TAG_9F4C_ICC_DYNAMIC_NUMBER, iccDynamicNumber);
  }
  return PASSED;
}

/**
 * Values of the card's DDOL or the terminal's default one; either must ask for the unpredictable
 * number, which is a fresh one here. @see EMV 4.3 B2 §6.5.1
 */
function* dynamicDataToBeSigned(context: KernelContext): Kernel<Chained<Uint8Array>> {
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
): Kernel<Chained<Uint8Array>> {
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
