/** What the issuer reads from a message, and the identity under which it remembers it. */
import { bytesToUint, Secret, TapError, toHex } from '@tapnpay/protocol/bytes';
import { decodeTlv, flattenTlv } from '@tapnpay/protocol/iso7816';
import {
  bytesField,
  DE_2_PRIMARY_ACCOUNT_NUMBER,
  DE_4_AMOUNT,
  DE_7_TRANSMISSION_DATE_TIME,
  DE_11_STAN,
  DE_14_EXPIRY,
  DE_15_SETTLEMENT_DATE,
  DE_22_ENTRY_MODE,
  DE_23_CARD_SEQUENCE_NUMBER,
  DE_32_ACQUIRING_INSTITUTION,
  DE_33_FORWARDING_INSTITUTION,
  DE_35_TRACK_2,
  DE_37_RETRIEVAL_REFERENCE,
  DE_38_APPROVAL_CODE,
  DE_41_TERMINAL,
  DE_49_CURRENCY,
  DE_52_PIN_BLOCK,
  DE_55_ICC_DATA,
  DE_102_ACCOUNT_FROM,
  DE_103_ACCOUNT_TO,
  decodeOriginalDataElements,
  type Iso8583Message,
  macBlock,
  requireText,
  type TransactionKind,
  textField,
  transactionKindOf,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { IssuerError } from './errors.ts';
import type { RequestKind } from './model.ts';
import { type ScriptResult, scriptResultsOf } from './scripts/results.ts';
import { settlementDateAt, settlementDateOf } from './settlement.ts';

const TAG_9F36_APPLICATION_TRANSACTION_COUNTER = '9F36';
const TAG_DF31_SCRIPT_RESULTS = 'DF31';

/** Fields that all requests share. */
export type RequestBase = {
  readonly kind: RequestKind;
  readonly traceKey: string;
  readonly fingerprint: string;
  readonly pan: Secret<string>;
  readonly panLookup: string;
  /** Two digits of field 23. */
  readonly panSequenceNumber: string;
  /** Field 4, twelve digits. */
  readonly amount: string;
  readonly amountMinor: bigint;
  readonly currency: string;
  readonly stan: string;
  /** YYYYMMDD of field 15, or the issuer's own day. */
  readonly settlementDate: string;
  readonly retrievalReference: string | null;
};

/** A message that a card stands behind. */
export type CardRequest = RequestBase & {
  readonly kind: TransactionKind;
  readonly expiryYymm: string | null;
  readonly entryMode: string;
  readonly track2: Secret<string> | null;
  readonly pinBlock: Secret<Uint8Array> | null;
  /** Values of field 55 by tag, or null when it is no TLV. */
  readonly card: Secret<ReadonlyMap<string, Uint8Array>> | null;
  /** Tag 9F36, null when there is none. */
  readonly atc: number | null;
  /** Fields 102 and 103 of a load from another account, as keyed digests; null without. */
  readonly transfer: { readonly fromLookup: string; readonly toLookup: string } | null;
};

/** How a card took the scripts of an earlier answer. */
export type NoticeRequest = RequestBase & {
  readonly kind: 'scriptResultNotice';
  readonly originalTraceKey: string;
  /** DF31 taken apart; null when it is missing or malformed. */
  readonly results: readonly ScriptResult[] | null;
};

/** A message about an earlier one: void, refund, cancellation, completion. */
export type FollowUpRequest = RequestBase & {
  readonly kind: TransactionKind;
  readonly originalTraceKey: string;
  /** Field 38: the original's. */
  readonly approvalCode: string | null;
};

/** A 0420 or its repeat 0421. */
export type ReversalRequest = RequestBase & {
  readonly kind: 'reversal';
  readonly originalTraceKey: string;
  /** What the original is, by the fields that the reversal repeats. */
  readonly originalKind: TransactionKind;
};

/** What reading stands on. */
export type Reading = {
  /** Keyed digest. */
  readonly digest: (text: string) => string;
  readonly nowMs: number;
};

/** Field 22 of chip data through a reader's field. @see Q/CUP 006 (F22) */
const ENTRY_MODE_CONTACTLESS = '07';

/** Whether the card was tapped: nothing can be said to it any more. */
export function isTapped(request: Pick<CardRequest, 'entryMode'>): boolean {
  return request.entryMode.startsWith(ENTRY_MODE_CONTACTLESS);
}

/**
 * Reads a message that a card stands behind.
 * @throws Iso8583Error `ERR_ISO8583_MISSING` for a field that must be there.
 */
export function readCardRequest(
  message: Iso8583Message,
  kind: TransactionKind,
  reading: Reading,
): CardRequest {
  const iccData = bytesField(message, DE_55_ICC_DATA);
  const values = iccData ? readIccData(iccData) : null;
  const counter = values?.get(TAG_9F36_APPLICATION_TRANSACTION_COUNTER);
  const track2 = textField(message, DE_35_TRACK_2);
  const pinBlock = bytesField(message, DE_52_PIN_BLOCK);
  return {
    ...readBase(message, reading),
    kind,
    expiryYymm: textField(message, DE_14_EXPIRY) ?? null,
    entryMode: requireText(message, DE_22_ENTRY_MODE),
    track2: track2 === undefined ? null : new Secret(track2, '[track 2]'),
    pinBlock: pinBlock === undefined ? null : new Secret(pinBlock, '[PIN block]'),
    card: values && new Secret(values, '[field 55]'),
    atc: counter?.length === 2 ? bytesToUint(counter) : null,
    transfer: readTransfer(message, reading),
  };
}

function readTransfer(message: Iso8583Message, { digest }: Reading): CardRequest['transfer'] {
  const from = textField(message, DE_102_ACCOUNT_FROM);
  const to = textField(message, DE_103_ACCOUNT_TO);
  if (from === undefined || to === undefined) return null;
  return { fromLookup: digest(from.trim()), toLookup: digest(to.trim()) };
}

/** Reads a 0620. @throws Iso8583Error for a missing or malformed field. */
export function readNotice(message: Iso8583Message, reading: Reading): NoticeRequest {
  const iccData = bytesField(message, DE_55_ICC_DATA);
  const results = (iccData ? readIccData(iccData) : null)?.get(TAG_DF31_SCRIPT_RESULTS);
  return {
    ...readBase(message, reading),
    kind: 'scriptResultNotice',
    originalTraceKey: originalTraceKey(message),
    results: results === undefined ? null : scriptResultsOf(results),
  };
}

/** Reads a message about an earlier one. @throws Iso8583Error for a missing or malformed field. */
export function readFollowUp(
  message: Iso8583Message,
  kind: TransactionKind,
  reading: Reading,
): FollowUpRequest {
  return {
    ...readBase(message, reading),
    kind,
    originalTraceKey: originalTraceKey(message),
    approvalCode: textField(message, DE_38_APPROVAL_CODE) ?? null,
  };
}

/**
 * Reads a 0420. @throws Iso8583Error for a field that is missing or a malformed field 90;
 * IssuerError `ERR_ISSUER_FORMAT` when no request can be its original.
 */
export function readReversal(message: Iso8583Message, reading: Reading): ReversalRequest {
  const base = readBase(message, reading);
  const { mti } = decodeOriginalDataElements(message);
  const originalKind = transactionKindOf({ mti, fields: message.fields });
  if (originalKind === null) {
    throw new IssuerError('ERR_ISSUER_FORMAT', 'F90 names no request', { fieldPath: 'F90' });
  }
  const key = originalTraceKey(message);
  // A repeat may know more of its original (field 38) than the first one did.
  const asked = [key, base.pan.expose(), base.amount, base.currency];
  const fingerprint = reading.digest(asked.join('/'));
  return { ...base, kind: 'reversal', originalTraceKey: key, originalKind, fingerprint };
}

function readBase(message: Iso8583Message, reading: Reading): Omit<RequestBase, 'kind'> {
  const { digest, nowMs } = reading;
  const pan = requireText(message, DE_2_PRIMARY_ACCOUNT_NUMBER);
  // An inquiry or a notice may have no amount.
  const kind = transactionKindOf(message);
  const isWithoutAmount = kind === 'balanceInquiry' || kind === 'scriptResultNotice';
  const amount = isWithoutAmount
    ? (textField(message, DE_4_AMOUNT) ?? '0'.repeat(12))
    : requireText(message, DE_4_AMOUNT);
  if (!/^[0-9]{12}$/.test(amount)) throw malformed(DE_4_AMOUNT);
  const stan = requireText(message, DE_11_STAN);
  const monthDay = textField(message, DE_15_SETTLEMENT_DATE);
  const settlementDate =
    monthDay === undefined ? settlementDateAt(nowMs) : settlementDateOf(monthDay, nowMs);
  if (settlementDate === null) throw malformed(DE_15_SETTLEMENT_DATE);
  const traceKey = traceKeyOf(message.mti, {
    stan,
    transmission: requireText(message, DE_7_TRANSMISSION_DATE_TIME),
    acquirer: requireText(message, DE_32_ACQUIRING_INSTITUTION),
    terminal: requireText(message, DE_41_TERMINAL),
  });
  return {
    traceKey,
    fingerprint: digest(fingerprintText(message)),
    pan: new Secret(pan, '[PAN]'),
    panLookup: digest(pan),
    panSequenceNumber: (textField(message, DE_23_CARD_SEQUENCE_NUMBER) ?? '000').slice(-2),
    amount,
    amountMinor: BigInt(amount),
    currency: requireText(message, DE_49_CURRENCY),
    stan,
    settlementDate,
    retrievalReference: textField(message, DE_37_RETRIEVAL_REFERENCE) ?? null,
  };
}

function malformed(field: number): IssuerError {
  const fieldPath = `F${field}`;
  return new IssuerError('ERR_ISSUER_FORMAT', `${fieldPath} is malformed`, { fieldPath });
}

/** Field 90 names all but the terminal, which is that of the message itself. */
function originalTraceKey(message: Iso8583Message): string {
  const { mti, ...original } = decodeOriginalDataElements(message);
  return traceKeyOf(mti, { ...original, terminal: requireText(message, DE_41_TERMINAL) });
}

/**
 * Under what a request is remembered: type, transmission time, trace number, acquirer, terminal.
 * The forwarder (field 33) changes on the way and is left out; a repeat has its first one's type.
 */
export function traceKeyOf(
  mti: string,
  parts: {
    readonly stan: string;
    readonly transmission: string;
    readonly acquirer: string;
    readonly terminal: string;
  },
): string {
  const acquirer = parts.acquirer.replace(/^0+/, '');
  const key = [parts.transmission, parts.stan, acquirer, parts.terminal.trim()];
  return [firstMti(mti), ...key].join('/');
}

/** The type of the message that a repeat repeats. */
function firstMti(mti: string): string {
  return `${mti.slice(0, 3)}0`;
}

/** What makes two requests of one trace key the same. */
function fingerprintText(message: Iso8583Message): string {
  const iccData = bytesField(message, DE_55_ICC_DATA);
  const first = { ...message, mti: firstMti(message.mti) };
  return [
    toHex(macBlock(withFields(first, [[DE_33_FORWARDING_INSTITUTION, undefined]]))),
    textField(message, DE_49_CURRENCY) ?? '',
    iccData ? toHex(iccData) : '',
  ].join('/');
}

function readIccData(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> | null {
  try {
    return flattenTlv(decodeTlv(bytes));
  } catch (thrown) {
    if (thrown instanceof TapError) return null;
    throw thrown;
  }
}
