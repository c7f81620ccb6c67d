/**
 * The gateway's financial messages: sale and pre-authorisation, what follows them (void, capture,
 * refund), reversal, and their MAC.
 */
import { concatBytes, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { encodeTlv } from '@tapnpay/protocol/iso7816';
import {
  bytesField,
  encodeOriginalDataElements,
  type FieldValue,
  type Iso8583Message,
  macBlock,
  makeMessage,
  type OriginalDataElements,
  type TransactionKind,
  transactionSpec,
  withFields,
} from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { MerchantProfile } from '../ports.ts';

/** Field 22 of what follows a payment: the number was kept, no card is there, no PIN. */
export const ENTRY_MODE_KEPT = '012';
/** Issuer script results. @see PBOC3 P5 (DF31) */
const TAG_DF31_SCRIPT_RESULTS = 'DF31';
/** Field 53: a PIN block with the PAN (2) under a double-length key (6). */
const SECURITY_CONTROL_PIN = '2600000000000000';
/**
 * Field 60 of a chip sale: reason 0000; reader for chip (5) on a personal computer (07); no fee,
 * debit-credit application. @see Q/CUP 006, field 60
 */
const ADDITIONAL_60 = `0000${'050007'}${'00'}${'00'}${'0'}${'00'}${'0'}${'000'}${'0000000'}`;

/** What a repeat or reversal is made of; strings, so that the vault can keep it. */
export type OriginalRequest = {
  /** Message type and fields 3 and 25 follow from it. */
  readonly kind: TransactionKind;
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly amount: string;
  readonly transmission: string;
  readonly stan: string;
  readonly localTime: string;
  readonly localDate: string;
  readonly entryMode: string;
  readonly retrievalReference: string;
  readonly currency: string;
  /** Empty without a card. */
  readonly field55: string;
};

/** Which message a follow-up speaks of: type, fields 11 and 7. */
export type OriginalMessage = Pick<OriginalDataElements, 'mti' | 'stan' | 'transmission'>;

/** A follow-up as the vault keeps it, with what it follows. */
export type FollowUpRequest = OriginalRequest & {
  readonly original: OriginalMessage;
  /** Field 38 of the original. */
  readonly approvalCode: string | null;
};

/** What only the request itself carries. */
export type RequestExtras = {
  readonly expiryYymm: string;
  readonly track2: string;
  readonly field55: string;
  /** ISO 9564-1 format 0 block under the line's PIN key, hex. */
  readonly pinBlock: string | null;
};

/** Whose terminal it is. */
export type AcceptorFacts = { readonly acquirerId: string; readonly merchant: MerchantProfile };

/** Field 22: chip (05) or contactless chip (07), with (1) or without (2) a PIN. */
export function entryModeOf(facts: {
  readonly interface: 'contact' | 'contactless';
  readonly withPin: boolean;
}): string {
  return (facts.interface === 'contact' ? '05' : '07') + (facts.withPin ? '1' : '2');
}

/** The 0200 of a sale or 0100 of a pre-authorisation, without its MAC. @see Q/CUP 006 */
export function buildRequest(
  acceptor: AcceptorFacts,
  original: OriginalRequest,
  extras: RequestExtras,
): Iso8583Message {
  const { expiryYymm, track2, field55, pinBlock } = extras;
  return makeMessage(transactionSpec(original.kind).mti, [
    ...commonFields(acceptor, original),
    [14, expiryYymm],
    [35, track2],
    [52, pinBlock === null ? undefined : fromHex(pinBlock)],
    [53, pinBlock === null ? undefined : SECURITY_CONTROL_PIN],
    [55, fromHex(field55)],
  ]);
}

/**
 * The void (0200, 0100), capture or refund (0220, 0221 when repeated) without its MAC: the card is
 * not there, so neither track nor field 55 nor PIN. @see Q/CUP 006
 */
export function buildFollowUp(
  acceptor: AcceptorFacts,
  request: FollowUpRequest,
  repeated: 'first' | 'repeated',
): Iso8583Message {
  const { mti } = transactionSpec(request.kind);
  return makeMessage(repeated === 'first' ? mti : `${mti.slice(0, 3)}1`, [
    ...commonFields(acceptor, request),
    [38, request.approvalCode ?? undefined],
    [90, originalData(acceptor, request.original)],
  ]);
}

function originalData({ acquirerId }: AcceptorFacts, original: OriginalMessage): string {
  return encodeOriginalDataElements({
    ...original,
    acquirer: acquirerId,
    forwarder: acquirerId,
  });
}

/** The 0420 (0421 when repeated) of an original, without its MAC. */
export function buildReversal(
  acceptor: AcceptorFacts,
  original: OriginalRequest,
  reversal: {
    readonly stan: string;
    readonly transmission: string;
    readonly approvalCode: string | null;
    readonly repeated: boolean;
  },
): Iso8583Message {
  const { kind, stan, transmission, field55 } = original;
  const { mti } = transactionSpec(kind);
  return makeMessage(reversal.repeated ? '0421' : '0420', [
    ...commonFields(acceptor, original),
    [7, reversal.transmission],
    [11, reversal.stan],
    [38, reversal.approvalCode ?? undefined],
    [55, field55 === '' ? undefined : fromHex(field55)],
    [90, originalData(acceptor, { mti, stan, transmission })],
  ]);
}

/**
 * The 0620 (0621 when repeated) of a card's script results, without its MAC. The card has left: no
 * entry mode. @see Q/CUP 006, message 0620
 */
export function buildNotice(
  acceptor: AcceptorFacts,
  original: OriginalRequest,
  notice: {
    readonly stan: string;
    readonly transmission: string;
    /** DF31, hex. */
    readonly results: string;
    readonly approvalCode: string | null;
    readonly repeated: boolean;
  },
): Iso8583Message {
  const { kind, stan, transmission, field55 } = original;
  const { mti } = transactionSpec(kind);
  const results = encodeTlv(TAG_DF31_SCRIPT_RESULTS, fromHex(notice.results));
  const message = makeMessage(notice.repeated ? '0621' : '0620', [
    ...commonFields(acceptor, original),
    [7, notice.transmission],
    [11, notice.stan],
    [38, notice.approvalCode ?? undefined],
    [55, concatBytes(fromHex(field55), results)],
    [90, originalData(acceptor, { mti, stan, transmission })],
  ]);
  return withFields(message, [[22, undefined]]);
}

function commonFields(
  acceptor: AcceptorFacts,
  original: OriginalRequest,
): readonly (readonly [number, FieldValue])[] {
  const { acquirerId, merchant } = acceptor;
  const { processingCode, conditionCode } = transactionSpec(original.kind);
  return [
    [2, original.pan],
    [3, processingCode],
    [4, original.amount],
    [7, original.transmission],
    [11, original.stan],
    [12, original.localTime],
    [13, original.localDate],
    [18, merchant.categoryCode],
    [22, original.entryMode],
    [23, original.panSequenceNumber.padStart(3, '0')],
    [25, conditionCode],
    [32, acquirerId],
    [33, acquirerId],
    [37, original.retrievalReference],
    [41, merchant.terminalId],
    [42, merchant.merchantId],
    [43, merchant.location.padEnd(40)],
    [49, original.currency],
    [60, ADDITIONAL_60],
  ];
}

/** The message with field 128 under the line's MAC key, made by the HSM. */
export async function withMac(
  hsm: Hsm,
  key: KeyBlock,
  message: Iso8583Message,
): Promise<Iso8583Message> {
  const data = toHex(macBlock(message));
  const { mac } = await hsm.call({ command: 'generateMac', key, data });
  return withFields(message, [[128, fromHex(mac)]]);
}

/** Whether field 128 of an answer is right; a missing one is wrong. */
export async function macIsValid(
  hsm: Hsm,
  key: KeyBlock,
  message: Iso8583Message,
): Promise<boolean> {
  const mac = bytesField(message, 128);
  if (mac === undefined) return false;
  const data = toHex(macBlock(message));
  const answer = await hsm.call({ command: 'verifyMac', key, data, mac: toHex(mac) });
  return answer.valid;
}

/** Lab fault `flip-mac`: one bit of field 128 is wrong. */
export function flipMacBit(message: Iso8583Message): Iso8583Message {
  const mac = bytesField(message, 128);
  return withFields(message, [[128, mac?.map((byte, index) => (index === 0 ? byte ^ 1 : byte))]]);
}
