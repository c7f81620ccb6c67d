/** What the issuer reads from a 0200 or 0420, and the identity under which it remembers it. */
import { bytesToUint, Secret, TapError, toHex } from '@tapnpay/protocol/bytes';
import { decodeTlv, flattenTlv } from '@tapnpay/protocol/iso7816';
import {
  bytesField,
  DE_2_PRIMARY_ACCOUNT_NUMBER,
  DE_3_PROCESSING_CODE,
  DE_4_AMOUNT,
  DE_7_TRANSMISSION_DATE_TIME,
  DE_11_STAN,
  DE_14_EXPIRY,
  DE_22_ENTRY_MODE,
  DE_23_CARD_SEQUENCE_NUMBER,
  DE_32_ACQUIRING_INSTITUTION,
  DE_33_FORWARDING_INSTITUTION,
  DE_35_TRACK_2,
  DE_41_TERMINAL,
  DE_49_CURRENCY,
  DE_52_PIN_BLOCK,
  DE_55_ICC_DATA,
  decodeOriginalDataElements,
  type Iso8583Message,
  macBlock,
  requireText,
  textField,
  withFields,
} from '@tapnpay/protocol/iso8583';
import { IssuerError } from './errors.ts';

const TAG_9F36_APPLICATION_TRANSACTION_COUNTER = '9F36';

/** Fields that purchase and reversal share. */
export type RequestBase = {
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
};

/** A 0200. */
export type PurchaseRequest = RequestBase & {
  readonly kind: 'purchase';
  readonly processingCode: string;
  readonly expiryYymm: string | null;
  readonly entryMode: string;
  readonly track2: Secret<string> | null;
  readonly pinBlock: Secret<Uint8Array> | null;
  /** Values of field 55 by tag, or null when it is no TLV. */
  readonly card: Secret<ReadonlyMap<string, Uint8Array>> | null;
  /** Tag 9F36, null when there is none. */
  readonly atc: number | null;
};

/** A 0420 or its repeat 0421. */
export type ReversalRequest = RequestBase & {
  readonly kind: 'reversal';
  readonly originalTraceKey: string;
};

type Digest = (text: string) => string;

/** Field 22 of chip data through a reader's field. @see Q/CUP 006 (F22) */
const ENTRY_MODE_CONTACTLESS = '07';

/** Whether the card was tapped: nothing can be said to it any more. */
export function isTapped(request: Pick<PurchaseRequest, 'entryMode'>): boolean {
  return request.entryMode.startsWith(ENTRY_MODE_CONTACTLESS);
}

/** Reads a 0200. @throws Iso8583Error `ERR_ISO8583_MISSING` for a field that must be there. */
export function readPurchase(message: Iso8583Message, digest: Digest): PurchaseRequest {
  const iccData = bytesField(message, DE_55_ICC_DATA);
  const values = iccData ? readIccData(iccData) : null;
  const counter = values?.get(TAG_9F36_APPLICATION_TRANSACTION_COUNTER);
  const track2 = textField(message, DE_35_TRACK_2);
  const pinBlock = bytesField(message, DE_52_PIN_BLOCK);
  return {
    ...readBase(message, digest),
    kind: 'purchase',
    processingCode: requireText(message, DE_3_PROCESSING_CODE),
    expiryYymm: textField(message, DE_14_EXPIRY) ?? null,
    entryMode: requireText(message, DE_22_ENTRY_MODE),
    track2: track2 === undefined ? null : new Secret(track2, '[track 2]'),
    pinBlock: pinBlock === undefined ? null : new Secret(pinBlock, '[PIN block]'),
    card: values && new Secret(values, '[field 55]'),
    atc: counter?.length === 2 ? bytesToUint(counter) : null,
  };
}

/** Reads a 0420. @throws Iso8583Error for a field that is missing or a malformed field 90. */
export function readReversal(message: Iso8583Message, digest: Digest): ReversalRequest {
  const original = decodeOriginalDataElements(message);
  const base = readBase(message, digest);
  const originalTraceKey = traceKeyOf('purchase', {
    stan: original.stan,
    transmission: original.transmission,
    acquirer: original.acquirer,
    terminal: requireText(message, DE_41_TERMINAL),
  });
  // A repeat may know more of its original (field 38) than the first one did.
  const asked = [originalTraceKey, base.pan.expose(), base.amount, base.currency];
  return { ...base, kind: 'reversal', originalTraceKey, fingerprint: digest(asked.join('/')) };
}

function readBase(message: Iso8583Message, digest: Digest): RequestBase {
  const pan = requireText(message, DE_2_PRIMARY_ACCOUNT_NUMBER);
  const amount = requireText(message, DE_4_AMOUNT);
  if (!/^[0-9]{12}$/.test(amount)) {
    throw new IssuerError('ERR_ISSUER_FORMAT', 'F4 is not twelve digits', { fieldPath: 'F4' });
  }
  const stan = requireText(message, DE_11_STAN);
  const traceKey = traceKeyOf(message.mti.charAt(1) === '4' ? 'reversal' : 'purchase', {
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
  };
}

/**
 * Under what a request is remembered: trace number, transmission time, acquirer and terminal.
 * The forwarder (field 33) changes on the way and is left out.
 */
export function traceKeyOf(
  kind: 'purchase' | 'reversal',
  parts: {
    readonly stan: string;
    readonly transmission: string;
    readonly acquirer: string;
    readonly terminal: string;
  },
): string {
  const acquirer = parts.acquirer.replace(/^0+/, '');
  return [kind, parts.transmission, parts.stan, acquirer, parts.terminal.trim()].join('/');
}

/** What makes two purchases of one trace key the same. */
function fingerprintText(message: Iso8583Message): string {
  const iccData = bytesField(message, DE_55_ICC_DATA);
  return [
    toHex(macBlock(withFields(message, [[DE_33_FORWARDING_INSTITUTION, undefined]]))),
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
