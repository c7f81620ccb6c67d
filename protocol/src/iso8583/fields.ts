/** Field numbers by name, and small values inside fields. @see Q/CUP 006 */
import type { FieldValue, Iso8583Message } from './dialect.ts';
import { Iso8583Error } from './errors.ts';

export const DE_2_PRIMARY_ACCOUNT_NUMBER = 2;
export const DE_3_PROCESSING_CODE = 3;
export const DE_4_AMOUNT = 4;
export const DE_7_TRANSMISSION_DATE_TIME = 7;
export const DE_11_SYSTEMS_TRACE_AUDIT_NUMBER = 11;
export const DE_14_EXPIRATION_DATE = 14;
export const DE_15_SETTLEMENT_DATE = 15;
export const DE_22_ENTRY_MODE = 22;
export const DE_23_CARD_SEQUENCE_NUMBER = 23;
export const DE_32_ACQUIRING_INSTITUTION = 32;
export const DE_33_FORWARDING_INSTITUTION = 33;
export const DE_35_TRACK_2_DATA = 35;
export const DE_37_RETRIEVAL_REFERENCE_NUMBER = 37;
export const DE_38_AUTHORIZATION_CODE = 38;
export const DE_39_RESPONSE_CODE = 39;
export const DE_41_TERMINAL_IDENTIFICATION = 41;
export const DE_42_ACCEPTOR_IDENTIFICATION = 42;
export const DE_48_ADDITIONAL_DATA = 48;
export const DE_49_CURRENCY_CODE = 49;
export const DE_52_PIN_DATA = 52;
export const DE_53_SECURITY_CONTROL = 53;
export const DE_55_ICC_DATA = 55;
export const DE_57_ISSUER_FACTS = 57;
export const DE_70_NETWORK_MANAGEMENT_CODE = 70;
export const DE_90_ORIGINAL_DATA_ELEMENTS = 90;
export const DE_96_MESSAGE_SECURITY_CODE = 96;
export const DE_100_RECEIVING_INSTITUTION = 100;
export const DE_128_MESSAGE_AUTHENTICATION_CODE = 128;

/** Text of a field. @throws Iso8583Error `ERR_ISO8583_MISSING`. */
export function requiredText(message: Iso8583Message, number: number): string {
  const value = message.fields.get(number);
  if (typeof value === 'string') return value;
  throw new Iso8583Error('ERR_ISO8583_MISSING', `message ${message.mti} lacks field ${number}`, {
    fieldPath: String(number),
    offsetBytes: 0,
  });
}

/** Text of a field, or undefined. */
export function optionalText(message: Iso8583Message, number: number): string | undefined {
  const value = message.fields.get(number);
  return typeof value === 'string' ? value : undefined;
}

/** Bytes of a field, or undefined. */
export function optionalBytes(message: Iso8583Message, number: number): Uint8Array | undefined {
  const value = message.fields.get(number);
  return value instanceof Uint8Array ? value : undefined;
}

/** The message with some fields set and others (undefined) taken out. */
export function withFields(
  message: Iso8583Message,
  changes: ReadonlyMap<number, FieldValue | undefined>,
): Iso8583Message {
  const fields = new Map(message.fields);
  for (const [number, value] of changes) {
    if (value === undefined) fields.delete(number);
    else fields.set(number, value);
  }
  return { mti: message.mti, fields };
}

/** What field 90 says of the original of a reversal. */
export type OriginalDataElements = {
  readonly mti: string;
  readonly stan: string;
  readonly transmissionDateTime: string;
  readonly acquirerId: string;
  readonly forwarderId: string;
};

/** Field 90: message type 4, trace number 6, transmission time 10, two institutions of 11. */
export function encodeOriginalDataElements(original: OriginalDataElements): string {
  const institutions = [original.acquirerId, original.forwarderId];
  const tail = institutions.map((id) => id.padStart(11, '0')).join('');
  return original.mti + original.stan + original.transmissionDateTime + tail;
}

/** @throws Iso8583Error `ERR_ISO8583_FIELD`. */
export function decodeOriginalDataElements(text: string): OriginalDataElements {
  const match = /^([0-9]{4})([0-9]{6})([0-9]{10})([0-9]{11})([0-9]{11})$/.exec(text);
  if (!match) {
    throw new Iso8583Error('ERR_ISO8583_FIELD', 'field 90 is not 42 digits', {
      fieldPath: '90',
      offsetBytes: 0,
    });
  }
  const [, mti = '', stan = '', transmissionDateTime = '', acquirerId = '', forwarderId = ''] =
    match;
  return { mti, stan, transmissionDateTime, acquirerId, forwarderId };
}

/** What the issuer tells beside its code, carried in field 57. [I] behind this name. */
export type IssuerFacts = {
  readonly arqcVerified: boolean | null;
  readonly ledgerEntryId: string | null;
};

/** `AV=1;LE=<id>`: verdict on the cryptogram and the entry in the issuer's ledger. */
export function encodeIssuerFacts(facts: IssuerFacts): string {
  const verified = facts.arqcVerified === null ? [] : [`AV=${facts.arqcVerified ? 1 : 0}`];
  const entry = facts.ledgerEntryId === null ? [] : [`LE=${facts.ledgerEntryId}`];
  return [...verified, ...entry].join(';');
}

/** @throws Iso8583Error `ERR_ISO8583_FIELD` on anything else. */
export function decodeIssuerFacts(text: string): IssuerFacts {
  const match = /^(?:AV=([01]))?;?(?:LE=([0-9A-Za-z-]{1,64}))?$/.exec(text);
  if (!match) {
    throw new Iso8583Error('ERR_ISO8583_FIELD', 'field 57 holds no issuer facts', {
      fieldPath: '57',
      offsetBytes: 0,
    });
  }
  const [, verified, ledgerEntryId] = match;
  return {
    arqcVerified: verified === undefined ? null : verified === '1',
    ledgerEntryId: ledgerEntryId ?? null,
  };
}

/** The type of the answer: 0200 -> 0210, 0420 and 0421 -> 0430. @see ISO 8583:1987 §4.1 */
export function answerMti(mti: string): string {
  return `${mti.slice(0, 2)}${Number(mti[2]) + 1}0`;
}
