/** Records of a card's contactless side: what is signed, where each object stands. */
import { compressedToBcd, concatBytes, fromHex } from '../../bytes/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import { type AflEntry, encodeAfl } from './afl.ts';
import {
  expirationDate,
  type IccContactless,
  type IccImageV2,
  type IccRecord,
  type IccSignedFields,
} from './icc-image-v2.ts';
import * as tags from './tags.ts';

/**
 * The contactless files: one, of five records, the first of them signed and the last made anew for
 * each transaction. 57 and 5F34 are in no record, for the GPO answer gives them and none may come
 * twice.
 */
export const ICC_CONTACTLESS_AFL_ENTRIES: readonly AflEntry[] = [
  { sfi: 4, firstRecord: 1, lastRecord: 5, signedRecords: 1 },
];
/** The layout as tag 94. */
export const ICC_CONTACTLESS_AFL: Uint8Array = encodeAfl(ICC_CONTACTLESS_AFL_ENTRIES);
/** File and record of 9F69 and, from keys above 1024 bits, 9F4B. */
export const ICC_CONTACTLESS_SFI = 4;
export const ICC_CONTACTLESS_DYNAMIC_RECORD = 5;

/** fDDA version, first byte of 9F69; 00 is refused by kernels. @see EMV C-7 Annex A (9F69) */
export const FDDA_VERSION_01 = 0x01;
/** Version, card's unpredictable number (4), CTQ (2), one byte reserved. */
export const CARD_AUTHENTICATION_RELATED_DATA_BYTES = 8;
/** Where 9F69 repeats the CTQ, so that it is signed. */
export const CARD_AUTHENTICATION_CTQ_OFFSET_BYTES = 5;

/** Contents of the signed record, without its template 70. @see EMV 4.3 B3 §10.3 */
export function iccContactlessSignedRecord(image: IccSignedFields): Uint8Array {
  return concatBytes(
    encodeTlv(tags.TAG_5A_APPLICATION_PAN, compressedToBcd(image.pan)),
    hexTlv(tags.TAG_5F24_APPLICATION_EXPIRATION_DATE, expirationDate(image)),
    hexTlv(tags.TAG_5F25_APPLICATION_EFFECTIVE_DATE, `${image.effectiveYymm}01`),
    hexTlv(tags.TAG_5F28_ISSUER_COUNTRY_CODE, image.issuerCountryCode),
    hexTlv(tags.TAG_9F07_APPLICATION_USAGE_CONTROL, image.applicationUsageControl),
    hexTlv(tags.TAG_9F4A_STATIC_DATA_AUTHENTICATION_TAG_LIST, '82'),
  );
}

/** Static data to be authenticated: the signed record, then the AIP of the contactless side. */
export function iccContactlessStaticData(
  image: IccSignedFields,
  contactless: Pick<IccContactless, 'aip'>,
): Uint8Array {
  return concatBytes(iccContactlessSignedRecord(image), fromHex(contactless.aip));
}

/** Records of the contactless file; `dynamic` is what this transaction's last record holds. */
export function iccContactlessRecords(
  image: IccImageV2,
  contactless: IccContactless,
  dynamic: Uint8Array,
): readonly IccRecord[] {
  const { issuerRemainder } = image;
  const { iccCertificate, iccRemainder } = contactless;
  return [
    record(1, [iccContactlessSignedRecord(image)]),
    record(2, [
      hexTlv(tags.TAG_9F08_APPLICATION_VERSION_NUMBER_ICC, image.applicationVersion),
      hexTlv(tags.TAG_8F_CA_PUBLIC_KEY_INDEX_ICC, image.caIndex),
      hexTlv(tags.TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT, image.issuerExponent),
      optional(tags.TAG_92_ISSUER_PUBLIC_KEY_REMAINDER, issuerRemainder),
    ]),
    record(3, [hexTlv(tags.TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE, image.issuerCertificate)]),
    record(4, [
      hexTlv(tags.TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE, iccCertificate),
      hexTlv(tags.TAG_9F47_ICC_PUBLIC_KEY_EXPONENT, image.iccExponent),
      optional(tags.TAG_9F48_ICC_PUBLIC_KEY_REMAINDER, iccRemainder),
    ]),
    record(ICC_CONTACTLESS_DYNAMIC_RECORD, [dynamic]),
  ];
}

function record(number: number, parts: readonly Uint8Array[]): IccRecord {
  const value = encodeTlv(tags.TAG_70_READ_RECORD_TEMPLATE, concatBytes(...parts));
  return { sfi: ICC_CONTACTLESS_SFI, record: number, value };
}

function hexTlv(tag: string, hex: string): Uint8Array {
  return encodeTlv(tag, fromHex(hex));
}

function optional(tag: string, hex: string): Uint8Array {
  return hex === '' ? new Uint8Array(0) : hexTlv(tag, hex);
}
