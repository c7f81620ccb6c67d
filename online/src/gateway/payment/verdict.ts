/** What an answer of the switch means for the money: approved, declined, or unknown. */
import { fromHex, TapError, toHex } from '@tapnpay/protocol/bytes';
import { decodeTlv, encodeTlv, findTlv, type Tlv } from '@tapnpay/protocol/iso7816';
import {
  decodeIssuerFacts,
  type Iso8583Message,
  type IssuerFacts,
  responseMti,
  textField,
} from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import { macIsValid } from './messages.ts';

/** Field 39: approved. */
export const RESPONSE_00_APPROVED = '00';
/**
 * Codes after which money may have moved: no reply in time (68, 98), system fault (96), and
 * approvals this system does not ask for (partial 10, with identification 08, VIP 11, 16). A0 and
 * 94 refuse a message that is not the one we sent; ours may still pay.
 */
const AMBIGUOUS_CODES: ReadonlySet<string> = new Set([
  ...['68', '96', '98'],
  ...['08', '10', '11', '16'],
  ...['A0', '94'],
]);
/** Fields an answer repeats from its request. @see Q/CUP 006, message 0210 */
const ECHOED_FIELDS = [4, 7, 11, 32, 37, 41, 42] as const;

/** The end of the conversation with the switch. */
export type Verdict =
  | {
      readonly kind: 'approved' | 'declined';
      readonly responseCode: string;
      readonly approvalCode: string | null;
      /** Field 15, MMDD. */
      readonly settlementDate: string | null;
      readonly issuer: IssuerFacts | null;
      /** Value of tag 91, hex. */
      readonly issuerAuthenticationData: string | null;
      /** Templates 71 and 72, each as TLV, hex. */
      readonly scripts: readonly string[];
    }
  | {
      readonly kind: 'unknown';
      readonly reason: string;
      readonly responseCode: string | null;
    };

/** Judges the answer to `request`. Anything that is not surely an answer to it is `unknown`. */
export async function judgeAnswer(facts: {
  readonly hsm: Hsm;
  readonly macKey: KeyBlock;
  readonly request: Iso8583Message;
  readonly answer: Iso8583Message | 'timeout';
}): Promise<Verdict> {
  const { hsm, macKey, request, answer } = facts;
  if (answer === 'timeout') return unknown('timeout', null);
  if (answer.mti !== responseMti(request.mti)) return unknown('answerType', null);
  const valid = await macIsValid(hsm, macKey, answer);
  if (!valid) return unknown('answerMac', null);
  for (const field of ECHOED_FIELDS) {
    const echoed = textField(answer, field);
    if (echoed === undefined || echoed.trim() !== textField(request, field)?.trim()) {
      return unknown(`answerField:${field}`, null);
    }
  }
  const responseCode = textField(answer, 39);
  // Nothing else than a code may reach a merchant.
  if (responseCode === undefined || !/^[0-9A-Z]{2}$/.test(responseCode)) {
    return unknown('answerField:39', null);
  }
  if (AMBIGUOUS_CODES.has(responseCode)) return unknown(`code:${responseCode}`, responseCode);
  return {
    kind: responseCode === RESPONSE_00_APPROVED ? 'approved' : 'declined',
    responseCode,
    approvalCode: textField(answer, 38) ?? null,
    settlementDate: settlementDateOf(answer),
    issuer: issuerFactsOf(answer),
    ...iccDataOf(answer),
  };
}

function unknown(reason: string, responseCode: string | null): Verdict {
  return { kind: 'unknown', reason, responseCode };
}

function settlementDateOf(answer: Iso8583Message): string | null {
  const text = textField(answer, 15);
  return text !== undefined && /^[0-9]{4}$/.test(text) ? text : null;
}

function issuerFactsOf(answer: Iso8583Message): IssuerFacts | null {
  const text = textField(answer, 57);
  if (text === undefined) return null;
  try {
    return decodeIssuerFacts(text);
  } catch (fault) {
    if (!(fault instanceof TapError)) throw fault;
    return null;
  }
}

/** Tags 91, 71, 72 for the card. Unreadable data is not given to it: the card then decides. */
function iccDataOf(answer: Iso8583Message): {
  readonly issuerAuthenticationData: string | null;
  readonly scripts: readonly string[];
} {
  const value = answer.fields.get(55);
  let objects: readonly Tlv[] = [];
  try {
    if (value instanceof Uint8Array) objects = decodeTlv(value);
    else if (typeof value === 'string') objects = decodeTlv(fromHex(value));
  } catch (fault) {
    if (!(fault instanceof TapError)) throw fault;
  }
  const authentication = findTlv(objects, '91');
  const scripts = objects.filter(({ tag }) => tag === '71' || tag === '72');
  return {
    issuerAuthenticationData: authentication ? toHex(authentication.value) : null,
    scripts: scripts.map(({ tag, value: script }) => toHex(encodeTlv(tag, script))),
  };
}
