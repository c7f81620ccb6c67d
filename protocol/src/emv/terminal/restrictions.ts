/** Processing restrictions: application version, usage control, effective and expiry date. */
import { bcdToNumeric, equalBytes } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { cardValue, type KernelContext, markTvr } from './context.ts';
import { KernelError, parseCardData } from './errors.ts';

/** Transaction types of tag 9C. @see ISO 8583:1987 field 3 */
export const TRANSACTION_TYPE_GOODS_AND_SERVICES = 0x00;
export const TRANSACTION_TYPE_CASH = 0x01;
export const TRANSACTION_TYPE_CASHBACK = 0x09;

/**
 * Sets the TVR bits of byte 2.
 * @throws KernelError `ERR_CARD_DATA` for a malformed date, version or usage control.
 * @see EMV 4.3 B3 §10.4
 */
export function checkRestrictions(context: KernelContext): void {
  checkVersion(context);
  checkUsageControl(context);
  checkDates(context);
}

/** §10.4.1: without a version on the card they are taken as equal. */
function checkVersion(context: KernelContext): void {
  const card = cardValue(context, data.TAG_9F08_APPLICATION_VERSION_NUMBER_ICC, 2);
  const terminal = context.data.get(data.TAG_9F09_APPLICATION_VERSION_NUMBER_TERMINAL);
  if (card && terminal && !equalBytes(card, terminal)) {
    markTvr(context, data.TVR_2_APPLICATION_VERSIONS_DIFFER);
  }
}

/** §10.4.2: without usage control there is no check, without issuer country only the place. */
function checkUsageControl(context: KernelContext): void {
  const control = cardValue(context, data.TAG_9F07_APPLICATION_USAGE_CONTROL, data.AUC_BYTES);
  if (!control) return;
  const place = isAtm(context) ? data.AUC_1_ATMS : data.AUC_1_OTHER_THAN_ATMS;
  const issuerCountry = cardValue(context, data.TAG_5F28_ISSUER_COUNTRY_CODE, 2);
  const isAllowed =
    data.hasBit(control, place) &&
    (issuerCountry === undefined || isServiceAllowed(context, { control, issuerCountry }));
  if (!isAllowed) markTvr(context, data.TVR_2_SERVICE_NOT_ALLOWED);
}

function isServiceAllowed(
  context: KernelContext,
  card: { readonly control: Uint8Array; readonly issuerCountry: Uint8Array },
): boolean {
  const country = context.data.get(data.TAG_9F1A_TERMINAL_COUNTRY_CODE);
  const isDomestic = country !== undefined && equalBytes(country, card.issuerCountry);
  const has = (domestic: data.StatusBit, international: data.StatusBit): boolean =>
    data.hasBit(card.control, isDomestic ? domestic : international);
  const isPurchase =
    has(data.AUC_1_DOMESTIC_GOODS, data.AUC_1_INTERNATIONAL_GOODS) ||
    has(data.AUC_1_DOMESTIC_SERVICES, data.AUC_1_INTERNATIONAL_SERVICES);
  switch (context.input.transactionType) {
    case TRANSACTION_TYPE_GOODS_AND_SERVICES:
      return isPurchase;
    case TRANSACTION_TYPE_CASH:
      return has(data.AUC_1_DOMESTIC_CASH, data.AUC_1_INTERNATIONAL_CASH);
    case TRANSACTION_TYPE_CASHBACK:
      return isPurchase && has(data.AUC_2_DOMESTIC_CASHBACK, data.AUC_2_INTERNATIONAL_CASHBACK);
    default:
      return true;
  }
}

/** Types 14, 15 and 16 that pay out cash are ATMs. @see EMV 4.3 B4 §A1 */
function isAtm(context: KernelContext): boolean {
  const { terminalType, additionalCapabilities } = context.input.terminal;
  const paysCash = ((additionalCapabilities[0] ?? 0) & 0x80) !== 0;
  return terminalType >= 0x14 && terminalType <= 0x16 && paysCash;
}

/** §10.4.3: the effective date is optional, the expiry date is not; both days are included. */
function checkDates(context: KernelContext): void {
  const today = fullDate(context.input.dateYymmdd);
  const effective = dateOf(context, data.TAG_5F25_APPLICATION_EFFECTIVE_DATE);
  if (effective !== undefined && today < effective) {
    markTvr(context, data.TVR_2_APPLICATION_NOT_YET_EFFECTIVE);
  }
  const expiration = dateOf(context, data.TAG_5F24_APPLICATION_EXPIRATION_DATE);
  if (expiration !== undefined && today > expiration) {
    markTvr(context, data.TVR_2_EXPIRED_APPLICATION);
  }
}

function dateOf(context: KernelContext, tag: string): string | undefined {
  const value = cardValue(context, tag, 3);
  if (value === undefined) return undefined;
  const yymmdd = parseCardData(tag, () => bcdToNumeric(value));
  if (!/^[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$/.test(yymmdd)) {
    throw new KernelError('ERR_CARD_DATA', `${tag} is no date`, { tag });
  }
  return fullDate(yymmdd);
}

function fullDate(yymmdd: string): string {
  return data.century(yymmdd) + yymmdd;
}
