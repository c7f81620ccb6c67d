/** Checks of what the element sealed, before anything is sent: card data and field 55. */
import {
  BytesError,
  bcdToNumeric,
  bytesToUint,
  fromHex,
  Pan,
  TapError,
  toHex,
} from '@tapnpay/protocol/bytes';
import { decodeTlv, flattenTlv } from '@tapnpay/protocol/iso7816';
import type { SealedPayment, SignedOrder } from '@tapnpay/protocol/wire';
import { GatewayError } from '../errors.ts';
import type { CardFacts } from '../model.ts';

/** Objects field 55 of an online request needs. @see Q/CUP 006, field 55; PBOC3 P5 §13 */
const FIELD_55_TAGS = ['9F26', '9F27', '9F10', '9F37', '9F36', '95', '9A', '9C', '9F02', '5F2A'];
const FIELD_55_TAGS_MORE = ['82', '9F1A', '9F03', '9F33'];
/** Lengths in bytes of objects that are kept as they are. @see EMV 4.3 B3 Annex A */
const FIELD_55_LENGTHS: readonly (readonly [tag: string, min: number, max: number])[] = [
  ['9F26', 8, 8],
  ['9F36', 2, 2],
  ['95', 5, 5],
  ['9F34', 3, 3],
  ['84', 5, 16],
];
/** Cryptogram type bits of 9F27: ARQC. @see EMV 4.3 B3 §6.5.5.4 */
const CRYPTOGRAM_TYPE_MASK = 0xc0;
const CRYPTOGRAM_TYPE_ARQC = 0x80;

/** Field 55 by tag. */
export type Field55 = ReadonlyMap<string, Uint8Array>;

/**
 * Field 55 of a payment that fits its order: the issuer will compare the same values, and a wrong
 * one must not reach it. A tap fills the same field 55; the kernel makes 9F27, 95 and 9F34 of what
 * the card returned. Messages name tags, never values.
 * @throws GatewayError `ERR_PAYMENT_FIELD`, `ERR_PAYMENT_AMOUNT`.
 */
export function checkCardData(
  payment: SealedPayment,
  order: SignedOrder,
  tapLimitMinor: bigint,
): Field55 {
  checkTrack2(payment);
  const isTapped = payment.interface === 'contactless';
  if (isTapped && order.transactionType !== '00') {
    throw fault('ERR_PAYMENT_FIELD', 'interface', 'loads by insertion only');
  }
  if (isTapped && BigInt(order.amountMinor) > tapLimitMinor) {
    throw fault('ERR_PAYMENT_AMOUNT', 'interface', 'takes no tap of this amount');
  }
  const field55 = parseField55(payment.field55);
  const cryptogramInformation = field55.get('9F27')?.[0] ?? 0;
  if ((cryptogramInformation & CRYPTOGRAM_TYPE_MASK) !== CRYPTOGRAM_TYPE_ARQC) {
    throw fault('ERR_PAYMENT_FIELD', '9F27', 'is no ARQC');
  }
  const amount = order.amountMinor.padStart(12, '0');
  if (numeric(field55, '9F02', 6) !== amount) {
    throw fault('ERR_PAYMENT_AMOUNT', '9F02', 'differs from the order');
  }
  if (numeric(field55, '5F2A', 2) !== order.currency.padStart(4, '0')) {
    throw fault('ERR_PAYMENT_AMOUNT', '5F2A', 'differs from the order');
  }
  if (numeric(field55, '9C', 1) !== order.transactionType) {
    throw fault('ERR_PAYMENT_FIELD', '9C', 'differs from the order');
  }
  if (numeric(field55, '9A', 3) !== order.dateYymmdd) {
    throw fault('ERR_PAYMENT_FIELD', '9A', 'differs from the order');
  }
  return field55;
}

function checkTrack2(payment: SealedPayment): void {
  try {
    Pan(payment.pan);
  } catch (cause) {
    if (!(cause instanceof BytesError)) throw cause;
    throw fault('ERR_PAYMENT_FIELD', 'pan', 'is no card number');
  }
  if (!payment.track2.startsWith(`${payment.pan}D${payment.expiryYymm}`)) {
    throw fault('ERR_PAYMENT_FIELD', 'track2', 'belongs to another card or expiry');
  }
}

function parseField55(hex: string): Field55 {
  let field55: Field55;
  try {
    field55 = flattenTlv(decodeTlv(fromHex(hex)));
  } catch (cause) {
    if (!(cause instanceof TapError)) throw cause;
    throw new GatewayError('ERR_PAYMENT_FIELD', 'field55 is no TLV', { fieldPath: 'field55' });
  }
  for (const tag of [...FIELD_55_TAGS, ...FIELD_55_TAGS_MORE]) {
    if (!field55.has(tag)) throw fault('ERR_PAYMENT_FIELD', tag, 'is missing in field 55');
  }
  for (const [tag, min, max] of FIELD_55_LENGTHS) {
    const length = field55.get(tag)?.length ?? min;
    if (length < min || length > max) throw fault('ERR_PAYMENT_FIELD', tag, 'has a wrong length');
  }
  return field55;
}

function numeric(field55: Field55, tag: string, lengthBytes: number): string {
  const value = field55.get(tag) ?? new Uint8Array();
  if (value.length !== lengthBytes) throw fault('ERR_PAYMENT_FIELD', tag, 'has a wrong length');
  try {
    return bcdToNumeric(value);
  } catch {
    throw fault('ERR_PAYMENT_FIELD', tag, 'is no number');
  }
}

/**
 * The DUKPT transaction counter of a KSN that belongs to this element.
 * @see X9.24-3, initial key ID (8 bytes) and transaction counter (4 bytes)
 * @throws GatewayError `ERR_PIN_KSN`.
 */
export function pinCounterOf(ksn: string, initialKeyId: string): number {
  if (!ksn.startsWith(initialKeyId) || ksn.length !== initialKeyId.length + 8) {
    throw new GatewayError('ERR_PIN_KSN', 'the key serial number belongs to another element');
  }
  return Number.parseInt(ksn.slice(-8), 16);
}

/** What the receipt will show of the card; an object the card did not give stays empty. */
export function cardFactsOf(payment: SealedPayment, field55: Field55): CardFacts {
  const hex = (tag: string): string => toHex(field55.get(tag) ?? new Uint8Array());
  return {
    aid: hex('84'),
    applicationLabel: payment.applicationLabel,
    applicationTransactionCounter: bytesToUint(field55.get('9F36') ?? new Uint8Array()),
    arqc: hex('9F26'),
    tvr: hex('95'),
    cvmResults: hex('9F34'),
  };
}

/** The part of field 55 a reversal repeats, as hex TLV. */
export function reversalField55(field55: Field55): string {
  return ['95', '9F10', '9F36']
    .map((tag) => {
      const value = field55.get(tag) ?? new Uint8Array();
      return tag + value.length.toString(16).padStart(2, '0').toUpperCase() + toHex(value);
    })
    .join('');
}

function fault(
  code: 'ERR_PAYMENT_FIELD' | 'ERR_PAYMENT_AMOUNT',
  fieldPath: string,
  why: string,
): GatewayError {
  return new GatewayError(code, `${fieldPath} ${why}`, { fieldPath });
}
