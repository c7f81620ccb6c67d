/** The gateway's financial messages: 0200 request, 0420/0421 reversal, and their MAC. */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { type FieldValue, type Iso8583Message, macBlock } from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { MerchantProfile } from '../ports.ts';

/** Field 3: purchase from the default account. */
const PROCESSING_CODE_PURCHASE = '000000';
/** Field 25: normal presentment. A chip sale over the Internet is a sale at a terminal. */
const CONDITION_NORMAL = '00';
/** Field 53: a PIN block with the PAN (2) under a double-length key (6). */
const SECURITY_CONTROL_PIN = '2600000000000000';
/**
 * Field 60 of a chip sale: reason 0000; reader for chip (5) on a personal computer (07); no fee,
 * debit-credit application. @see Q/CUP 006, field 60
 */
const ADDITIONAL_60 = `0000${'050007'}${'00'}${'00'}${'0'}${'00'}${'0'}${'000'}${'0000000'}`;

/** What a reversal must repeat of its original; strings, so that the vault can keep it. */
export type OriginalRequest = {
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
  readonly field55: string;
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

/** The 0200 without its MAC. @see Q/CUP 006 */
export function buildRequest(
  acceptor: AcceptorFacts,
  original: OriginalRequest,
  extras: RequestExtras,
): Iso8583Message {
  const fields = commonFields(acceptor, original);
  fields.set(14, extras.expiryYymm);
  fields.set(35, extras.track2);
  fields.set(55, fromHex(extras.field55));
  if (extras.pinBlock !== null) {
    fields.set(52, fromHex(extras.pinBlock));
    fields.set(53, SECURITY_CONTROL_PIN);
  }
  return { mti: '0200', fields };
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
  const fields = commonFields(acceptor, original);
  fields.set(7, reversal.transmission);
  fields.set(11, reversal.stan);
  if (reversal.approvalCode !== null) fields.set(38, reversal.approvalCode);
  fields.set(55, fromHex(original.field55));
  const institutions = acceptor.acquirerId.padStart(11, '0').repeat(2);
  fields.set(90, `0200${original.stan}${original.transmission}${institutions}`);
  return { mti: reversal.repeated ? '0421' : '0420', fields };
}

function commonFields(acceptor: AcceptorFacts, original: OriginalRequest): Map<number, FieldValue> {
  const { acquirerId, merchant } = acceptor;
  return new Map<number, FieldValue>([
    [2, original.pan],
    [3, PROCESSING_CODE_PURCHASE],
    [4, original.amount],
    [7, original.transmission],
    [11, original.stan],
    [12, original.localTime],
    [13, original.localDate],
    [18, merchant.categoryCode],
    [22, original.entryMode],
    [23, original.panSequenceNumber.padStart(3, '0')],
    [25, CONDITION_NORMAL],
    [32, acquirerId],
    [33, acquirerId],
    [37, original.retrievalReference],
    [41, merchant.terminalId],
    [42, merchant.merchantId],
    [43, merchant.location.padEnd(40)],
    [49, original.currency],
    [60, ADDITIONAL_60],
  ]);
}

/** The message with field 128 under the line's MAC key, made by the HSM. */
export async function withMac(
  hsm: Hsm,
  key: KeyBlock,
  message: Iso8583Message,
): Promise<Iso8583Message> {
  const data = toHex(macBlock(message));
  const { mac } = await hsm.call({ command: 'generateMac', key, data });
  return { ...message, fields: new Map([...message.fields, [128, fromHex(mac)]]) };
}

/** Whether field 128 of an answer is right; a missing one is wrong. */
export async function macIsValid(
  hsm: Hsm,
  key: KeyBlock,
  message: Iso8583Message,
): Promise<boolean> {
  const mac = message.fields.get(128);
  if (!(mac instanceof Uint8Array)) return false;
  const unsigned = new Map(message.fields);
  unsigned.delete(128);
  const data = toHex(macBlock({ ...message, fields: unsigned }));
  const answer = await hsm.call({ command: 'verifyMac', key, data, mac: toHex(mac) });
  return answer.valid;
}

/** A text field of a message, or null. */
export function textField(message: Iso8583Message, number: number): string | null {
  const value = message.fields.get(number);
  return typeof value === 'string' ? value : null;
}

/** Lab fault `flip-mac`: one bit of field 128 is wrong. */
export function flipMacBit(message: Iso8583Message): Iso8583Message {
  const mac = message.fields.get(128);
  if (!(mac instanceof Uint8Array)) return message;
  const flipped = mac.map((byte, index) => (index === 0 ? byte ^ 1 : byte));
  return { ...message, fields: new Map([...message.fields, [128, flipped]]) };
}
