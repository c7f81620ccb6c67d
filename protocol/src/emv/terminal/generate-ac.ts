/** First and second GENERATE AC: command, both response formats, which types a card may answer. */
import { byteAt } from '../../bytes/index.ts';
import { decodeTlv, type StatusWord, SW_9000_OK, type Tlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { checkCombined, wantsCombined } from './combined-data-authentication.ts';
import { askRandom, type KernelContext, markTsi, transmit } from './context.ts';
import { decodeCardDol, dolValue } from './dol.ts';
import { KernelError, parseCardData } from './errors.ts';
import type { Cryptogram, Kernel } from './types.ts';

/** What the terminal asks for. */
export type CryptogramRequest = 'AAC' | 'TC' | 'ARQC';

/** A cryptogram, or the status word of a card that gives none. */
export type GenerateAcAnswer =
  | {
      readonly result: 'cryptogram';
      /** Its value is empty when it came in a signature that does not open. */
      readonly cryptogram: Cryptogram;
      /** CDA of this answer: `passed`, or the check that failed; null when it was not asked for. */
      readonly combined: string | null;
    }
  | { readonly result: 'refused'; readonly statusWord: StatusWord };

const ANSWER = 'answer to GENERATE AC';
const NO_BYTE: Uint8Array = new Uint8Array(1);
const CRYPTOGRAM_BYTES = 8;
/** Longest 9F10. @see EMV 4.3 B3 Annex A */
const ISSUER_APPLICATION_DATA_BYTES_MAX = 32;

const REQUEST_P1: Readonly<Record<CryptogramRequest, number>> = {
  AAC: data.CRYPTOGRAM_AAC,
  TC: data.CRYPTOGRAM_TC,
  ARQC: data.CRYPTOGRAM_ARQC,
};

/** A card never answers more than was asked. @see EMV 4.3 B3 §9.3 table 32 */
const ALLOWED_FIRST: Readonly<Record<CryptogramRequest, readonly string[]>> = {
  AAC: ['AAC'],
  ARQC: ['ARQC', 'AAC'],
  TC: ['TC', 'ARQC', 'AAC'],
};
/** The second cryptogram is final. @see EMV 4.3 B3 §9.3.2 */
const ALLOWED_SECOND: Readonly<Record<CryptogramRequest, readonly string[]>> = {
  AAC: ['AAC'],
  TC: ['TC', 'AAC'],
  ARQC: [],
};

/** Objects that only an answer to GENERATE AC may give; older values never reach the issuer. */
const ANSWER_TAGS: readonly string[] = [
  data.TAG_9F26_APPLICATION_CRYPTOGRAM,
  data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA,
  data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER,
  data.TAG_9F10_ISSUER_APPLICATION_DATA,
];

/**
 * First GENERATE AC with CDOL1 and a fresh unpredictable number. Card risk management is then
 * done, which the TSI says. @throws KernelError `ERR_CARD_DATA`, `ERR_CARD_CRYPTOGRAM`.
 * @see EMV 4.3 B3 §10.8
 */
export function* firstGenerateAc(
  context: KernelContext,
  request: CryptogramRequest,
): Kernel<GenerateAcAnswer> {
  context.data.set(data.TAG_9F37_UNPREDICTABLE_NUMBER, yield* askRandom(4));
  const answer = yield* generateAc(context, { request, cdolTag: data.TAG_8C_CDOL1 });
  if (answer.result === 'refused') return answer;
  assertAllowed(answer.cryptogram, { request, allowed: ALLOWED_FIRST[request] });
  markTsi(context, data.TSI_1_CARD_RISK_MANAGEMENT_PERFORMED);
  context.first = answer.cryptogram;
  return answer;
}

/**
 * First GENERATE AC of a dynamic token: over the values that are there, with its own 9F37, without
 * CDA. @throws KernelError `ERR_CARD_DATA`, `ERR_CARD_CRYPTOGRAM`.
 */
export function* tokenGenerateAc(context: KernelContext): Kernel<GenerateAcAnswer> {
  const request = 'ARQC';
  const answer = yield* generateAc(context, { request, cdolTag: data.TAG_8C_CDOL1 });
  if (answer.result === 'refused') return answer;
  assertAllowed(answer.cryptogram, { request, allowed: ALLOWED_FIRST[request] });
  return answer;
}

/**
 * Second GENERATE AC with CDOL2 and the same unpredictable number; there is never a third (a card
 * would answer 6985). @throws KernelError `ERR_CARD_DATA`, `ERR_CARD_CRYPTOGRAM`.
 * @see EMV 4.3 B3 §10.11
 */
export function* secondGenerateAc(
  context: KernelContext,
  request: 'AAC' | 'TC',
): Kernel<GenerateAcAnswer> {
  const answer = yield* generateAc(context, { request, cdolTag: data.TAG_8D_CDOL2 });
  if (answer.result === 'refused') return answer;
  assertAllowed(answer.cryptogram, { request, allowed: ALLOWED_SECOND[request] });
  context.second = answer.cryptogram;
  return answer;
}

function* generateAc(
  context: KernelContext,
  step: { readonly request: CryptogramRequest; readonly cdolTag: string },
): Kernel<GenerateAcAnswer> {
  const cdol = context.data.get(step.cdolTag) ?? new Uint8Array(0);
  const value = dolValue(context, decodeCardDol(step.cdolTag, cdol));
  const isCombined = wantsCombined(context, step.request);
  const p1 = REQUEST_P1[step.request] | (isCombined ? data.GENERATE_AC_CDA_REQUESTED : 0);
  const isFirst = step.cdolTag === data.TAG_8C_CDOL1;
  if (isFirst && context.combined !== null) context.combined.cdol1Value = value;
  const command = { cla: 0x80, ins: 0xae, p1, p2: 0x00, data: value, le: 256 };
  const response = yield* transmit(context, command);
  if (response.statusWord !== SW_9000_OK) {
    return { result: 'refused', statusWord: response.statusWord };
  }
  const cdol2Value = isFirst ? null : value;
  const { objects, combined } = readAnswer(context, response.data, { isCombined, cdol2Value });
  for (const tag of ANSWER_TAGS) context.data.delete(tag);
  for (const [tag, bytes] of objects) context.data.set(tag, bytes);
  return { result: 'cryptogram', cryptogram: cryptogramOf(objects), combined };
}

/** The objects of an answer; of a combined one the cryptogram comes out of its signature. */
function readAnswer(
  context: KernelContext,
  answer: Uint8Array,
  step: { readonly isCombined: boolean; readonly cdol2Value: Uint8Array | null },
): { readonly objects: ReadonlyMap<string, Uint8Array>; readonly combined: string | null } {
  const template = parseCardData(ANSWER, () => decodeTlv(answer))[0];
  const objects = answerObjects(template);
  assertLength(objects, data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA, 1);
  assertLength(objects, data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, 2);
  const cid = byteAt(objects.get(data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA) ?? NO_BYTE, 0);
  const { combined: state } = context;
  const isPlain = !step.isCombined || isPlainRefusal(objects, cid);
  if (state === null || isPlain) {
    assertLength(objects, data.TAG_9F26_APPLICATION_CRYPTOGRAM, CRYPTOGRAM_BYTES);
    return { objects, combined: null };
  }
  const { cdol2Value } = step;
  const opened = checkCombined(context, state, {
    answer,
    template: template?.tag === data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2 ? template : undefined,
    cryptogramInformationData: cid,
    cdolValues: cdol2Value === null ? [state.cdol1Value] : [state.cdol1Value, cdol2Value],
  });
  // Nothing in clear is believed where a signature was due.
  objects.delete(data.TAG_9F26_APPLICATION_CRYPTOGRAM);
  if (opened.ok) objects.set(data.TAG_9F26_APPLICATION_CRYPTOGRAM, opened.value);
  return { objects, combined: opened.ok ? 'passed' : opened.why };
}

/**
 * An AAC is not signed: it stands in clear. QUIRK: some cards sign it too and leave 9F26 out; then
 * it is opened like the others. @see EMV 4.3 B2 §6.6.1
 */
function isPlainRefusal(objects: ReadonlyMap<string, Uint8Array>, cid: number): boolean {
  const isRefusal = data.cryptogramTypeOf(cid) === 'AAC';
  return isRefusal && objects.has(data.TAG_9F26_APPLICATION_CRYPTOGRAM);
}

/** Objects of format 1 (CID, ATC, AC, IAD) or format 2. @see EMV 4.3 B3 §6.5.5.4 */
function answerObjects(template: Tlv | undefined): Map<string, Uint8Array> {
  const objects = new Map<string, Uint8Array>();
  if (template?.tag === data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1) {
    const value = template.value;
    objects.set(data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA, value.slice(0, 1));
    objects.set(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, value.slice(1, 3));
    objects.set(data.TAG_9F26_APPLICATION_CRYPTOGRAM, value.slice(3, 11));
    if (value.length > 11) objects.set(data.TAG_9F10_ISSUER_APPLICATION_DATA, value.slice(11));
  } else if (template?.tag === data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2) {
    for (const { tag, value } of template.children ?? []) {
      if (ANSWER_TAGS.includes(tag) && !objects.has(tag)) objects.set(tag, value);
    }
  }
  const iad = objects.get(data.TAG_9F10_ISSUER_APPLICATION_DATA);
  if (iad && iad.length > ISSUER_APPLICATION_DATA_BYTES_MAX) {
    const tag = data.TAG_9F10_ISSUER_APPLICATION_DATA;
    throw new KernelError('ERR_CARD_DATA', `${tag} of ${iad.length} bytes`, { tag });
  }
  return objects;
}

function assertLength(
  objects: ReadonlyMap<string, Uint8Array>,
  tag: string,
  lengthBytes: number,
): void {
  const present = objects.get(tag)?.length ?? 0;
  if (present === lengthBytes) return;
  const message = `${ANSWER}: ${tag} has ${present} bytes`;
  throw new KernelError('ERR_CARD_DATA', message, { tag, lengthBytes: present });
}

function cryptogramOf(objects: ReadonlyMap<string, Uint8Array>): Cryptogram {
  const cid = objects.get(data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA) ?? NO_BYTE;
  const value = objects.get(data.TAG_9F26_APPLICATION_CRYPTOGRAM) ?? new Uint8Array(0);
  return { type: data.cryptogramTypeOf(byteAt(cid, 0)), value };
}

function assertAllowed(
  cryptogram: Cryptogram,
  rule: { readonly request: CryptogramRequest; readonly allowed: readonly string[] },
): void {
  if (rule.allowed.includes(cryptogram.type)) return;
  throw new KernelError(
    'ERR_CARD_CRYPTOGRAM',
    `the card answers ${cryptogram.type} to a request for ${rule.request}`,
    { request: rule.request, type: cryptogram.type },
  );
}
