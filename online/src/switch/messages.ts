/** The switch's messages: MACs, what is passed on, what is sealed, and the reversals it sends. */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  buildReply,
  DE_7_TRANSMISSION_DATE_TIME,
  DE_11_STAN,
  DE_15_SETTLEMENT_DATE,
  DE_33_FORWARDING_INSTITUTION,
  DE_38_APPROVAL_CODE,
  DE_52_PIN_BLOCK,
  DE_70_NETWORK_MANAGEMENT_CODE,
  DE_90_ORIGINAL_DATA_ELEMENTS,
  DE_100_RECEIVING_INSTITUTION,
  DE_121_CUPS_RESERVED,
  DE_128_MAC,
  encodeOriginalDataElements,
  type FieldValue,
  type Iso8583Message,
  macBlock,
  makeMessage,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { Advice, Transaction } from './model.ts';
import { settlementField } from './settlement.ts';

/** Fields that tell one request from another; an answer must repeat those that it has. */
const IDENTITY_FIELDS = [4, 7, 11, 32, 33, 37, 41, 42] as const;
/** Fields of an answer that are the request's own, or belong to one line only. */
const NOT_PASSED_ON: ReadonlySet<number> = new Set([
  ...[2, 3, 4, 7, 11, 12, 13, 14, 15, 18, 25, 32, 33, 37, 39, 41, 42, 49],
  ...[48, 52, 53, 90, 96, 121, 128],
]);
/** What a reversal repeats of its original. @see Q/CUP 006, message 0420 */
const REVERSAL_FIELDS = [2, 3, 4, 12, 13, 18, 22, 23, 25, 32, 33, 37, 41, 42, 43, 49, 60] as const;

/** The message with field 128 under a line's MAC key, made by the HSM. */
export async function withMac(
  hsm: Hsm,
  key: KeyBlock,
  message: Iso8583Message,
): Promise<Iso8583Message> {
  const unsigned = withFields(message, [[DE_128_MAC, undefined]]);
  const data = toHex(macBlock(unsigned));
  const { mac } = await hsm.call({ command: 'generateMac', key, data });
  return withFields(unsigned, [[DE_128_MAC, fromHex(mac)]]);
}

/** Whether field 128 is right under one of `keys`; a missing one is wrong. */
export async function macIsValid(
  hsm: Hsm,
  keys: readonly (KeyBlock | undefined)[],
  message: Iso8583Message,
): Promise<boolean> {
  const mac = message.fields.get(DE_128_MAC);
  if (!(mac instanceof Uint8Array) || mac.length !== 8) return false;
  const data = toHex(macBlock(message));
  for (const key of new Set(keys)) {
    if (key === undefined) continue;
    const { valid } = await hsm.call({ command: 'verifyMac', key, data, mac: toHex(mac) });
    if (valid) return true;
  }
  return false;
}

/**
 * Canonical text of a message without its PIN block and MAC, of the type of a first one: repeats of
 * it have the same.
 */
export function bodyText(message: Iso8583Message): string {
  const first = { ...message, mti: `${message.mti.slice(0, 3)}0` };
  return packMessage(
    withFields(first, [
      [DE_52_PIN_BLOCK, undefined],
      [DE_128_MAC, undefined],
    ]),
  );
}

/** A message as text, for the vault. */
export function packMessage(message: Iso8583Message): string {
  const fields = [...message.fields]
    .sort(([left], [right]) => left - right)
    .map(([number, value]) =>
      typeof value === 'string' ? [number, value] : [number, { hex: toHex(value) }],
    );
  return JSON.stringify([message.mti, fields]);
}

/** The message of `packMessage`. */
export function unpackMessage(text: string): Iso8583Message {
  const [mti, fields] = JSON.parse(text) as [string, [number, string | { hex: string }][]];
  return makeMessage(
    mti,
    fields.map(([number, value]) => [
      number,
      typeof value === 'string' ? value : fromHex(value.hex),
    ]),
  );
}

/** The message as it goes to the issuer, without its MAC; both book it under one date. */
export function requestToIssuer(
  request: Iso8583Message,
  facts: {
    readonly destination: string;
    readonly settlementDate: string;
    readonly pinBlock: Uint8Array | null;
  },
): Iso8583Message {
  return withFields(request, [
    settlementOf(facts),
    [DE_52_PIN_BLOCK, facts.pinBlock ?? undefined],
    [DE_100_RECEIVING_INSTITUTION, facts.destination],
    [DE_128_MAC, undefined],
  ]);
}

/** The first field in which `answer` belongs to another request, or null. */
export function foreignField(request: Iso8583Message, answer: Iso8583Message): number | null {
  for (const number of IDENTITY_FIELDS) {
    const echoed = textField(answer, number)?.trim();
    const isOptional = number === 33 || number === 42;
    if (echoed === undefined && isOptional) continue;
    if (echoed !== textField(request, number)?.trim()) return number;
  }
  return null;
}

/** The issuer's answer as it goes to the acquirer, without its MAC. */
export function answerToAcquirer(
  request: Iso8583Message,
  answer: Iso8583Message,
  facts: AnswerFacts,
): Iso8583Message {
  const passed = [...answer.fields].filter(([number]) => !NOT_PASSED_ON.has(number));
  return buildReply(request, facts.responseCode, [...passed, settlementOf(facts)]);
}

/** What the switch itself says in an answer. */
export type AnswerFacts = {
  readonly responseCode: string;
  /** YYYYMMDD. */
  readonly settlementDate: string;
};

function settlementOf(facts: Pick<AnswerFacts, 'settlementDate'>): readonly [number, string] {
  return [DE_15_SETTLEMENT_DATE, settlementField(facts.settlementDate)];
}

/** The switch's own answer; field 121 says that it was the switch, and why. */
export function ownAnswer(
  request: Iso8583Message,
  facts: AnswerFacts & { readonly reason: string | null },
): Iso8583Message {
  const { responseCode, reason } = facts;
  const note: readonly (readonly [number, FieldValue])[] =
    reason === null ? [] : [[DE_121_CUPS_RESERVED, `SW=${reason}`]];
  return buildReply(request, responseCode, [settlementOf(facts), ...note]);
}

/** The part of a request that its reversal repeats: no PIN, no track, no field 55. */
export function originalOf(request: Iso8583Message): Iso8583Message {
  const { mti, fields } = request;
  const kept = [...REVERSAL_FIELDS, DE_7_TRANSMISSION_DATE_TIME, DE_11_STAN];
  return makeMessage(
    mti,
    kept.map((number) => [number, fields.get(number)]),
  );
}

/** What an issuer is owed about a transaction: the repeat type after the first try; no MAC. */
export function adviceMessage(
  advice: Advice,
  transaction: Transaction,
  original: Iso8583Message,
): Iso8583Message {
  const { destination } = advice;
  const { settlementDate } = transaction;
  const message =
    advice.kind === 'reversal'
      ? reversalMessage(advice, transaction, original)
      : requestToIssuer(original, { destination, settlementDate, pinBlock: null });
  return asTry(advice, message);
}

/** 0820: the settlement date turns (F70 201), or the one before is closed (202). F15 is the new. */
export function cutOffMessage(advice: Advice, institutionId: string): Iso8583Message {
  const message = makeMessage('0820', [
    [DE_7_TRANSMISSION_DATE_TIME, advice.transmission],
    [DE_11_STAN, advice.stan],
    [DE_15_SETTLEMENT_DATE, settlementField(advice.settlementDate)],
    [DE_33_FORWARDING_INSTITUTION, institutionId],
    [DE_70_NETWORK_MANAGEMENT_CODE, advice.reason],
    [DE_100_RECEIVING_INSTITUTION, advice.destination],
  ]);
  return asTry(advice, message);
}

function asTry({ attempts }: Advice, message: Iso8583Message): Iso8583Message {
  return attempts > 1 ? { ...message, mti: `${message.mti.slice(0, 3)}1` } : message;
}

/**
 * The day of a reversal at the issuer. What the switch books nowhere, for it never had an approval,
 * must come to nothing there as well: in one day, that of its original.
 */
function reversedOn({ responseCode, reversalDate, settlementDate }: Transaction): string {
  return responseCode === '00' ? (reversalDate ?? settlementDate) : settlementDate;
}

function reversalMessage(
  advice: Advice,
  transaction: Transaction,
  original: Iso8583Message,
): Iso8583Message {
  const text = (number: number): string => textField(original, number) ?? '';
  const originalData = encodeOriginalDataElements({
    mti: original.mti,
    stan: transaction.stan,
    transmission: transaction.transmission,
    acquirer: text(32),
    forwarder: text(33),
  });
  return makeMessage('0420', [
    ...REVERSAL_FIELDS.map((number) => [number, original.fields.get(number)] as const),
    [DE_7_TRANSMISSION_DATE_TIME, advice.transmission],
    [DE_11_STAN, advice.stan],
    settlementOf({ settlementDate: reversedOn(transaction) }),
    [DE_38_APPROVAL_CODE, transaction.approvalCode ?? undefined],
    [DE_90_ORIGINAL_DATA_ELEMENTS, originalData],
    [DE_100_RECEIVING_INSTITUTION, advice.destination],
  ]);
}
