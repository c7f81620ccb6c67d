/** The card image of version 2: kept only until the card engine runs version 3. */
import { asciiToBytes, compressedToBcd, concatBytes, fromHex } from '../../bytes/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import { type AflEntry, encodeAfl } from './afl.ts';
import { EmvDataError } from './errors.ts';
import * as tags from './tags.ts';

/** Layout version of `IccImageV2`. */
export const ICC_IMAGE_VERSION_2 = 2;

/** What the card's risk management is told by its issuer. @see PBOC3 P5 */
export type IccPolicy = {
  /** Tag 9F52. */
  readonly applicationDefaultAction: string;
  /** Tag 9F56: `80` when issuer authentication is mandatory. */
  readonly issuerAuthenticationIndicator: string;
  /** Tags 9F58 and 9F59: consecutive offline transactions; 0 switches a check off. */
  readonly lowerConsecutiveOfflineLimit: number;
  readonly upperConsecutiveOfflineLimit: number;
  /** Tags 9F54 and 9F5C in minor units of the card's currency; `0` switches a check off. */
  readonly cumulativeAmountLimitMinor: string;
  readonly cumulativeAmountUpperLimitMinor: string;
};

/** Counters and memories of the card that outlive a session. */
export type IccStateV2 = {
  readonly atc: number;
  readonly lastOnlineAtc: number;
  readonly pinTryCounter: number;
  readonly pinTryLimit: number;
  /** Minor units approved offline since the last online transaction. */
  readonly cumulativeOfflineAmountMinor: string;
  readonly applicationBlocked: boolean;
  readonly cardBlocked: boolean;
  readonly lastOnlineNotCompleted: boolean;
  readonly lastIssuerAuthenticationFailed: boolean;
  readonly issuerAuthenticationNotPerformed: boolean;
  readonly lastSdaFailed: boolean;
  readonly lastDdaFailed: boolean;
  readonly lastScriptFailed: boolean;
  /** Secured script commands processed after the second GENERATE AC, 0 to 15. */
  readonly scriptCounter: number;
  /** Newest first, each in the log format (9F4F), hex. */
  readonly log: readonly string[];
};

/**
 * The contactless side of a dual-interface card. Counter, keys and state are those of the contact
 * side; the certificate is another one, for it signs other records. @see EMV C-7; PBOC3 P5
 */
export type IccContactless = {
  /** Must ask for 9F66. */
  readonly pdol: string;
  readonly aip: string;
  /**
   * Tag 9F6C as the issuer sets it; the card adds "online PIN" or "signature" when the reader
   * wants the cardholder verified.
   */
  readonly ctq: string;
  readonly cryptogramVersion: number;
  readonly iccCertificate: string;
  readonly iccRemainder: string;
};

/** All of a virtual card as plain JSON; byte values are upper-case hex. Holds clear keys. */
export type IccImageV2 = {
  readonly version: typeof ICC_IMAGE_VERSION_2;
  readonly pan: string;
  /** Two digits. */
  readonly panSequenceNumber: string;
  readonly expiryYymm: string;
  readonly effectiveYymm: string;
  readonly cardholderName: string;
  readonly serviceCode: string;
  readonly label: string;
  readonly aid: string;
  readonly issuerCountryCode: string;
  readonly currencyCode: string;
  readonly aip: string;
  readonly applicationUsageControl: string;
  readonly applicationVersion: string;
  readonly keys: { readonly udkAc: string; readonly udkMac: string; readonly udkEnc: string };
  readonly derivationKeyIndex: number;
  readonly cryptogramVersion: number;
  readonly rsa: {
    readonly modulus: string;
    readonly privateExponent: string;
    readonly publicExponent: string;
  };
  readonly caIndex: string;
  readonly issuerCertificate: string;
  readonly issuerRemainder: string;
  readonly issuerExponent: string;
  readonly iccCertificate: string;
  readonly iccRemainder: string;
  readonly iccExponent: string;
  readonly signedStaticData: string;
  readonly cvmList: string;
  readonly iac: { readonly default: string; readonly denial: string; readonly online: string };
  readonly cdol1: string;
  readonly cdol2: string;
  readonly pdol: string;
  readonly ddol: string;
  readonly logFormat: string;
  readonly policy: IccPolicy;
  /** Null: a contact-only card, which answers no reader's field. */
  readonly contactless: IccContactless | null;
  /** Lab behaviour: answer to contactless GET PROCESSING OPTIONS; `6984` asks for insertion. */
  readonly contactlessRefusal: '6984' | null;
  readonly state: IccStateV2;
};

/** The fields that the records under offline authentication are made of. */
export type IccSignedFields = Pick<
  IccImageV2,
  | 'pan'
  | 'panSequenceNumber'
  | 'expiryYymm'
  | 'effectiveYymm'
  | 'issuerCountryCode'
  | 'applicationUsageControl'
  | 'cvmList'
  | 'iac'
>;

/** One record of a file: its template 70. */
export type IccRecord = {
  readonly sfi: number;
  readonly record: number;
  readonly value: Uint8Array;
};

/** The file layout of our cards; only record 1 of file 2 is signed. */
export const ICC_AFL_ENTRIES: readonly AflEntry[] = [
  { sfi: 1, firstRecord: 1, lastRecord: 1, signedRecords: 0 },
  { sfi: 2, firstRecord: 1, lastRecord: 2, signedRecords: 1 },
  { sfi: 3, firstRecord: 1, lastRecord: 4, signedRecords: 0 },
];
/** The layout as tag 94. */
export const ICC_AFL: Uint8Array = encodeAfl(ICC_AFL_ENTRIES);
/** Log entry (9F4D): file 11, ten records. @see PBOC3 P5 (9F4D) */
export const ICC_LOG_SFI = 11;
export const ICC_LOG_RECORDS_MAX = 10;

/** Contents of the signed record, without its template 70. @see EMV 4.3 B3 §10.3 */
export function iccSignedRecord(image: IccSignedFields): Uint8Array {
  return concatBytes(
    encodeTlv(tags.TAG_5A_APPLICATION_PAN, compressedToBcd(image.pan)),
    hexTlv(tags.TAG_5F34_PAN_SEQUENCE_NUMBER, image.panSequenceNumber),
    hexTlv(tags.TAG_5F24_APPLICATION_EXPIRATION_DATE, expirationDate(image)),
    hexTlv(tags.TAG_5F25_APPLICATION_EFFECTIVE_DATE, `${image.effectiveYymm}01`),
    hexTlv(tags.TAG_5F28_ISSUER_COUNTRY_CODE, image.issuerCountryCode),
    hexTlv(tags.TAG_9F07_APPLICATION_USAGE_CONTROL, image.applicationUsageControl),
    hexTlv(tags.TAG_8E_CVM_LIST, image.cvmList),
    hexTlv(tags.TAG_9F0D_ISSUER_ACTION_CODE_DEFAULT, image.iac.default),
    hexTlv(tags.TAG_9F0E_ISSUER_ACTION_CODE_DENIAL, image.iac.denial),
    hexTlv(tags.TAG_9F0F_ISSUER_ACTION_CODE_ONLINE, image.iac.online),
    hexTlv(tags.TAG_9F4A_STATIC_DATA_AUTHENTICATION_TAG_LIST, '82'),
  );
}

/** Static data to be authenticated: the signed records, then the AIP. @see EMV 4.3 B3 §10.3 */
export function iccStaticData(image: IccSignedFields & Pick<IccImageV2, 'aip'>): Uint8Array {
  return concatBytes(iccSignedRecord(image), fromHex(image.aip));
}

/** Track 2 equivalent data (57): PAN, D, expiry, service code, discretionary data, F filler. */
export function iccTrack2(
  image: Pick<IccImageV2, 'pan' | 'expiryYymm' | 'serviceCode'>,
): Uint8Array {
  const track = `${image.pan}D${image.expiryYymm}${image.serviceCode}00000`;
  return fromHex(track.length % 2 === 0 ? track : `${track}F`);
}

/** All records of the application in the order of its AFL. */
export function iccRecords(image: IccImageV2): readonly IccRecord[] {
  const { issuerRemainder, iccRemainder } = image;
  return [
    record(1, 1, [
      encodeTlv(tags.TAG_57_TRACK_2_EQUIVALENT_DATA, iccTrack2(image)),
      encodeTlv(tags.TAG_5F20_CARDHOLDER_NAME, asciiToBytes(image.cardholderName)),
    ]),
    record(2, 1, [iccSignedRecord(image)]),
    record(2, 2, [
      hexTlv(tags.TAG_8C_CDOL1, image.cdol1),
      hexTlv(tags.TAG_8D_CDOL2, image.cdol2),
      hexTlv(tags.TAG_9F49_DDOL, image.ddol),
      hexTlv(tags.TAG_5F30_SERVICE_CODE, image.serviceCode.padStart(4, '0')),
      hexTlv(tags.TAG_9F08_APPLICATION_VERSION_NUMBER_ICC, image.applicationVersion),
      hexTlv(tags.TAG_9F42_APPLICATION_CURRENCY_CODE, image.currencyCode),
    ]),
    record(3, 1, [
      hexTlv(tags.TAG_8F_CA_PUBLIC_KEY_INDEX_ICC, image.caIndex),
      hexTlv(tags.TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT, image.issuerExponent),
      ...(issuerRemainder === ''
        ? []
        : [hexTlv(tags.TAG_92_ISSUER_PUBLIC_KEY_REMAINDER, issuerRemainder)]),
    ]),
    record(3, 2, [hexTlv(tags.TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE, image.issuerCertificate)]),
    record(3, 3, [
      hexTlv(tags.TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE, image.iccCertificate),
      hexTlv(tags.TAG_9F47_ICC_PUBLIC_KEY_EXPONENT, image.iccExponent),
      ...(iccRemainder === ''
        ? []
        : [hexTlv(tags.TAG_9F48_ICC_PUBLIC_KEY_REMAINDER, iccRemainder)]),
    ]),
    record(3, 4, [hexTlv(tags.TAG_93_SIGNED_STATIC_APPLICATION_DATA, image.signedStaticData)]),
  ];
}

function record(sfi: number, number: number, parts: readonly Uint8Array[]): IccRecord {
  const value = encodeTlv(tags.TAG_70_READ_RECORD_TEMPLATE, concatBytes(...parts));
  return { sfi, record: number, value };
}

function hexTlv(tag: string, hex: string): Uint8Array {
  return encodeTlv(tag, fromHex(hex));
}

/** Digits of tag 5F24: the last day of the month of expiry. */
export function expirationDate(image: Pick<IccImageV2, 'expiryYymm'>): string {
  return `${image.expiryYymm}${lastDay(image.expiryYymm)}`;
}

/** The last day of a month YYMM as two digits; 5F24 ends with it. Years are 2000 to 2099. */
function lastDay(yymm: string): string {
  const year = Number(yymm.slice(0, 2));
  const month = Number(yymm.slice(2, 4));
  if (month === 2) return year % 4 === 0 ? '29' : '28';
  return [4, 6, 9, 11].includes(month) ? '30' : '31';
}

/**
 * A card image of its JSON text, checked for version and for the fields that the card runs on.
 * @throws EmvDataError `ERR_EMV_IMAGE`; the message never quotes the text.
 */
export function parseIccImageV2(text: string): IccImageV2 {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new EmvDataError('ERR_EMV_IMAGE', 'the card image is not JSON');
  }
  if (!isImage(parsed)) {
    throw new EmvDataError(
      'ERR_EMV_IMAGE',
      `the card image is not of version ${ICC_IMAGE_VERSION_2}`,
    );
  }
  return parsed;
}

const HEX_FIELDS = [
  ...['aid', 'aip', 'cvmList', 'cdol1', 'cdol2', 'pdol', 'ddol', 'logFormat', 'caIndex'],
  ...['issuerCertificate', 'issuerRemainder', 'issuerExponent', 'signedStaticData'],
  ...['iccCertificate', 'iccRemainder', 'iccExponent', 'issuerCountryCode', 'currencyCode'],
  ...[
    'applicationUsageControl',
    'applicationVersion',
    'expiryYymm',
    'effectiveYymm',
    'serviceCode',
  ],
  ...['panSequenceNumber'],
];

function isImage(value: unknown): value is IccImageV2 {
  if (!isObject(value) || value['version'] !== ICC_IMAGE_VERSION_2) return false;
  const texts = ['pan', 'cardholderName', 'label'];
  if (texts.some((name) => typeof value[name] !== 'string')) return false;
  if (HEX_FIELDS.some((name) => !isHexText(value[name]))) return false;
  const parts = ['keys', 'rsa', 'iac', 'policy', 'state'];
  if (!parts.every((name) => isObject(value[name]))) return false;
  return isContactless(value['contactless']) && isRefusal(value['contactlessRefusal']);
}

const CONTACTLESS_HEX_FIELDS = ['pdol', 'aip', 'ctq', 'iccCertificate', 'iccRemainder'];

function isContactless(value: unknown): boolean {
  if (value === null) return true;
  return isObject(value) && CONTACTLESS_HEX_FIELDS.every((name) => isHexText(value[name]));
}

function isRefusal(value: unknown): boolean {
  return value === null || value === '6984';
}

function isHexText(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9A-F]*$/.test(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
